package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// kept is a database of the real program, its keys, and an API that counts.
type kept struct {
	t            *testing.T
	dir, db, api string
	calls        atomic.Int64
}

func newKept(t *testing.T) *kept {
	t.Helper()
	k := &kept{t: t, dir: t.TempDir()}
	k.db = filepath.Join(k.dir, "exeat.db")
	shop := petstore.New()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.calls.Add(1)
		shop.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	k.api = srv.URL
	if err := os.WriteFile(filepath.Join(k.dir, "petstore.yaml"), petstore.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// run is the real program with these arguments.
func (k *kept) run(in string, args ...string) (code int, out string) {
	k.t.Helper()
	self, err := os.Executable()
	if err != nil {
		k.t.Fatal(err)
	}
	if args = append(args, "--db", k.db); args[1] != "tail" {
		args = append(args, "--keys", filepath.Join(k.dir, "keys"))
	}
	cmd := &exec.Cmd{Path: self, Args: append([]string{"exeat"}, args...), Dir: k.dir, Stdin: strings.NewReader(in), Env: append(os.Environ(), "HOME="+k.dir, "XDG_STATE_HOME="+k.dir)}
	b, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		k.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(b)
}

func (k *kept) must(args ...string) string {
	k.t.Helper()
	code, out := k.run("", args...)
	if code != 0 {
		k.t.Fatalf("%v: %d: %s", args, code, out)
	}
	return out
}

// call makes a call in alice's name, and reports whether the API got it.
func (k *kept) call() (sent bool, out string) {
	k.t.Helper()
	before := k.calls.Load()
	_, out = k.run("", "call", "--no-credential", "--base-url", k.api, "--user", "alice", "petstore.yaml", "get_pet", `{"petId": 1}`)
	return k.calls.Load() > before, out
}

// attack changes the database as somebody who can write the file.
func (k *kept) attack(statements ...string) {
	k.t.Helper()
	db, err := sql.Open("sqlite", k.db)
	if err != nil {
		k.t.Fatal(err)
	}
	defer db.Close()
	for _, s := range append(statements, "PRAGMA wal_checkpoint(TRUNCATE)") {
		if _, err := db.Exec(s); err != nil {
			k.t.Fatal(err)
		}
	}
}

// forge appends an entry that fits the chain.
func (k *kept) forge(e store.Entry) {
	k.t.Helper()
	db, err := sql.Open("sqlite", k.db)
	if err != nil {
		k.t.Fatal(err)
	}
	defer db.Close()
	e.Time = time.Now().UTC().Truncate(time.Microsecond)
	storetest.Forge(k.t, db, e)
}

// copyTo copies the database as it is in its file.
func (k *kept) copyTo(path string) {
	k.t.Helper()
	k.attack()
	b, err := os.ReadFile(k.db)
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *kept) remove(paths ...string) {
	k.t.Helper()
	for _, p := range paths {
		if err := os.RemoveAll(p); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *kept) noDatabase() { k.remove(k.db, k.db+"-wal", k.db+"-shm") }

// A start on a database that is not the one that exeat knows is refused, by the real
// program, and says what to do. Nothing that was stopped goes before somebody has
// accepted what was lost.
func TestStartOnAnotherDatabase(t *testing.T) {
	for name, tt := range map[string]struct {
		attack func(*kept)
		accept string // what accepting it shows; "-": it cannot be accepted
		goes   bool   // the stopped user, once it is accepted
	}{
		"the end of the log is cut off": {attack: func(k *kept) { k.attack("DELETE FROM entries WHERE seq > 2") }, accept: "User::alice: was stopped", goes: true},
		"a whole older database": {attack: func(k *kept) {
			k.noDatabase()
			if err := os.Rename(filepath.Join(k.dir, "older"), k.db); err != nil {
				k.t.Fatal(err)
			}
		}, accept: "User::alice: was stopped", goes: true},
		"the database is gone":  {attack: (*kept).noDatabase, accept: "User::alice: was stopped", goes: true},
		"the log is gone":       {attack: func(k *kept) { k.attack("DELETE FROM entries", "DELETE FROM tally_counts") }, accept: "User::alice: was stopped", goes: true},
		"the head file is gone": {attack: func(k *kept) { k.remove(headFile(filepath.Join(k.dir, "keys"), k.db)) }, accept: "the file beside the keys is missing"},
		"the head file is damaged": {attack: func(k *kept) {
			if err := os.WriteFile(headFile(filepath.Join(k.dir, "keys"), k.db), []byte("{}"), 0o600); err != nil {
				k.t.Fatal(err)
			}
		}, accept: "-"},
		"an entry of somebody else": {attack: func(k *kept) {
			k.forge(store.Entry{Kind: store.KindStart, Principal: "User::alice", By: "Operator::root"})
		},
			accept: "it does not count"},
		"a log of somebody else": {attack: func(k *kept) {
			k.attack("DELETE FROM entries WHERE seq > 1")
			for range 9 {
				k.forge(store.Entry{Kind: store.KindOutcome})
			}
		}, accept: "it is not the entry that is remembered", goes: true},
		"an entry is changed": {attack: func(k *kept) {
			k.attack("UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), 'get_pet', 'got_pet') AS BLOB)", "UPDATE entries SET hash = 'x' WHERE seq = (SELECT max(seq) FROM entries)")
		}, accept: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKept(t)
			if sent, out := k.call(); !sent {
				t.Fatal(out)
			}
			k.copyTo(filepath.Join(k.dir, "older"))
			k.must("users", "stop", "alice")
			if sent, out := k.call(); sent || !strings.Contains(out, "policy_denied") {
				t.Fatalf("a stopped user goes: %t %s", sent, out)
			}
			tt.attack(k)
			for range 2 {
				sent, out := k.call()
				if sent || strings.Contains(out, `"status"`) || !strings.Contains(out, "exeat audit accept") && name != "the head file is damaged" {
					t.Fatalf("it starts: %t %s", sent, out)
				}
				if code, out := k.run("", "users", "list"); code == 0 {
					t.Errorf("a command goes on: %s", out)
				}
			}
			if tt.accept == "-" {
				if code, out := k.run("", "audit", "accept", "--yes"); code == 0 {
					t.Errorf("it is accepted: %s", out)
				}
				return
			}
			if code, out := k.run("n\n", "audit", "accept"); code == 0 || !strings.Contains(out, tt.accept) {
				t.Errorf("%d: %s", code, out)
			}
			if sent, out := k.call(); sent || strings.Contains(out, `"status"`) {
				t.Fatalf("it starts although the answer was no: %t %s", sent, out)
			}
			if code, out := k.run("y\n", "audit", "accept"); code != 0 {
				t.Fatalf("%d: %s", code, out)
			}
			if sent, out := k.call(); sent != tt.goes || !strings.Contains(out, `"status"`) {
				t.Errorf("after that: %t %s", sent, out)
			}
			if out := k.must("audit", "tail"); !strings.Contains(out, " accept ") || !strings.Contains(out, "Operator::") {
				t.Errorf("no entry tells of it: %s", out)
			}
			if out := k.must("audit", "verify"); !strings.HasPrefix(out, "ok: ") {
				t.Error(out)
			}
			if out := k.must("audit", "accept"); !strings.Contains(out, "nothing to accept") {
				t.Error(out)
			}
		})
	}
}

// Columns that find entries say nothing of who may do what.
func TestColumnsOfEntriesDecideNothing(t *testing.T) {
	k := newKept(t)
	k.call()
	k.must("users", "stop", "alice")
	k.attack("UPDATE entries SET tally = 1, at = 1, ref = 1")
	if sent, out := k.call(); sent || !strings.Contains(out, "policy_denied") {
		t.Errorf("%t %s", sent, out)
	}
	if code, out := k.run("", "audit", "verify"); code == 0 || !strings.Contains(out, "its index columns were changed") {
		t.Errorf("%d %s", code, out)
	}
}

// A database of an exeat that sealed nothing is taken as it is, once; a head that an
// older exeat has noted goes on.
func TestDatabaseFromBeforeSeals(t *testing.T) {
	for _, noted := range []bool{false, true} {
		t.Run(fmt.Sprint("noted ", noted), func(t *testing.T) {
			k := newKept(t)
			k.call()
			k.must("users", "stop", "alice")
			k.attack("UPDATE entries SET seal = x''")
			file := headFile(filepath.Join(k.dir, "keys"), k.db)
			known, err := readHead(file)
			if err != nil {
				t.Fatal(err)
			}
			k.remove(file)
			if noted {
				known.Said = nil
				b, err := json.Marshal(known)
				if err == nil {
					err = os.WriteFile(file, b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if sent, out := k.call(); sent || !strings.Contains(out, "policy_denied") {
				t.Fatalf("%t %s", sent, out)
			}
			k.forge(store.Entry{Kind: store.KindStart, Principal: "User::alice", By: "Operator::root"})
			if sent, out := k.call(); sent || !strings.Contains(out, "no exeat with these keys has written it") {
				t.Errorf("%t %s", sent, out)
			}
		})
	}
}

// Rows that are not as the log says are named by verify, and ended by the operator.
func TestVerifyNamesRows(t *testing.T) {
	k := newKept(t)
	k.call()
	digest := strings.Repeat("a1", 32)
	k.attack("INSERT INTO passkeys VALUES ('"+digest+"', 1, 'User::alice', 'x', x'7b7d', 1, 0, 0, x'00')",
		"INSERT INTO rules VALUES ('grant_x', 1, 'grant', 'User::alice', 'a', 1, 9000000000000000, 0, x'7b7d', x'7b7d', x'00')")
	code, out := k.run("", "audit", "verify")
	if code == 0 || !strings.Contains(out, "grant_x of the agent a of User::alice") || !strings.Contains(out, "a passkey of User::alice: it was changed") {
		t.Fatalf("%d %s", code, out)
	}
	if out := k.must("passkeys", "list"); !strings.Contains(out, "NOT AS THE LOG SAYS") {
		t.Error(out)
	}
	k.must("passkeys", "revoke", digest)
	if code, out := k.run("", "audit", "verify"); code == 0 || strings.Contains(out, "a passkey") {
		t.Errorf("%d %s", code, out)
	}
	k.attack("DELETE FROM rules")
	k.must("audit", "verify")
}

// Two processes on one database: while they run, the log is cut, or an older database
// is written over it. Neither lets anything go any more, nor starts again.
func TestLogIsCutUnderTwoProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := newStage(t)
	httpCmd, agents := s.http(1)
	stdioCmd, agent := s.stdio()
	defer stdioCmd.Process.Kill()
	defer httpCmd.Process.Kill()
	agents = append(agents, agent)
	read := func(n int) string {
		t.Helper()
		e, ok := s.call(t.Context(), agents[n], "get_pet", map[string]any{"petId": 1})
		if !ok {
			t.Fatal("no answer")
		}
		return string(e.Status)
	}
	for n := range 2 * len(agents) { // at its second call each knows of entries
		if got := read(n % 2); got != "done" {
			t.Fatalf("agent %d: %s", n, got)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(filepath.Dir(s.config), "exeat.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DELETE FROM entries"); err != nil {
		t.Fatal(err)
	}
	for n := range agents {
		if got := read(n); got != "failed" {
			t.Errorf("agent %d goes on: %s", n, got)
		}
	}
	for _, cmd := range []*exec.Cmd{httpCmd, stdioCmd} {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
	}
	var errOut strings.Builder
	again := s.exeat("http", &errOut)
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { again.Process.Kill() }).Stop()
	if err := again.Wait(); err == nil || !strings.Contains(errOut.String(), "exeat audit accept") {
		t.Errorf("it starts again: %v %s", err, &errOut)
	}
}
