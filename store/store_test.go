package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

var ctx = context.Background()

func hold(id string) store.Hold {
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)
	return store.Hold{
		ID: id, State: store.Pending, API: "petstore", Tool: "delete_pet", Effect: "delete", Summary: "DELETE /pets/1 <b>",
		Principal: json.RawMessage(`{"type":"User","id":"alice"}`), Subject: "User::alice", Agent: json.RawMessage(`{"id":"x<y>"}`),
		Session: json.RawMessage(`{"id":"s"}`), Args: json.RawMessage(`{"a":"<&>","n":9007199254740993}`),
		Request: store.Request{Method: "DELETE", Origin: "http://api", Target: "/pets/1", Path: "/pets/1", Header: map[string][]string{"Accept": {"*/*"}}, Body: []byte{0, 255}},
		Details: json.RawMessage(`{"type":"t"}`), Digest: strings.Repeat("a", 64), Dedupe: "d" + id, Policies: []string{"p"}, Reason: "r", PolicySet: "ps",
		Choices: json.RawMessage(`{"once":true}`), Txn: "txn_" + id, Created: at, Expires: at.Add(time.Hour), Changed: at,
	}
}

func update(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s *store.Store, id string) (h store.Hold) {
	t.Helper()
	if err := s.View(ctx, func(tx *store.Tx) (err error) {
		h, err = tx.Hold(id)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHoldRoundtrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	want := hold("1")
	update(t, s, func(tx *store.Tx) error { return tx.Insert(want) })
	if diff := cmp.Diff(want, get(t, s, "1")); diff != "" {
		t.Error(diff)
	}
	changed := want
	changed.State = store.Approved
	changed.Approval = &store.Approval{By: json.RawMessage(`{"id":"<bob>"}`), ByName: "User::bob", Once: true, At: want.Created, Expires: want.Expires, AMR: []string{"otp"}, Proof: []byte{1}}
	changed.Summary, changed.Digest = "something else", "other" // must not change
	changed.Owner, changed.Lease, changed.Result, changed.Denial = "me", want.Expires, []byte("r"), "no"
	update(t, s, func(tx *store.Tx) error { return tx.Swap(changed) })
	s.Close()
	changed.Summary, changed.Digest, changed.Version = want.Summary, want.Digest, 1
	if diff := cmp.Diff(changed, get(t, storetest.OpenAt(t, path), "1")); diff != "" {
		t.Error(diff)
	}
}

func TestInsertConflicts(t *testing.T) {
	s := storetest.Open(t)
	a, b := hold("1"), hold("2")
	b.Dedupe = a.Dedupe
	update(t, s, func(tx *store.Tx) error { return tx.Insert(a) })
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.Insert(b) }); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second open hold of one call: %v", err)
	}
	a.State = store.Denied
	update(t, s, func(tx *store.Tx) error { return tx.Swap(a) })
	update(t, s, func(tx *store.Tx) error { return tx.Insert(b) })
	if err := s.View(ctx, func(tx *store.Tx) error { _, err := tx.OpenHold("nothing"); return err }); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func TestSwapHasOneWinner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, other := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	update(t, s, func(tx *store.Tx) error { return tx.Insert(hold("1")) })
	var won, lost atomic.Int32
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			h := hold("1")
			h.State = store.Cancelled
			err := []*store.Store{s, other}[i%2].Update(ctx, func(tx *store.Tx) error { return tx.Swap(h) })
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, store.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || lost.Load() != 31 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
}

func TestFilters(t *testing.T) {
	s := storetest.Open(t)
	update(t, s, func(tx *store.Tx) error {
		for i := range 6 {
			h := hold(fmt.Sprint(i))
			h.Created = h.Created.Add(-time.Duration(i) * time.Minute)
			if i%2 == 1 {
				h.Subject = "User::bob"
			}
			if i > 3 {
				h.API = "other"
			}
			if err := tx.Insert(h); err != nil {
				return err
			}
		}
		return nil
	})
	tests := []struct {
		f    store.HoldFilter
		want string
	}{
		{store.HoldFilter{}, "5 4 3 2 1 0"},
		{store.HoldFilter{Subject: "User::bob"}, "5 3 1"},
		{store.HoldFilter{APIs: []string{"other"}}, "5 4"},
		{store.HoldFilter{APIs: []string{"other", "petstore"}, Limit: 2}, "5 4"},
		{store.HoldFilter{States: []store.State{store.Done}}, ""},
		{store.HoldFilter{Subject: "User::alice", States: []store.State{store.Pending, store.Done}}, "4 2 0"},
	}
	for _, tt := range tests {
		var ids []string
		if err := s.View(ctx, func(tx *store.Tx) error {
			holds, err := tx.Holds(tt.f)
			for _, h := range holds {
				ids = append(ids, h.ID)
			}
			if n, cerr := tx.Count(tt.f); cerr == nil && tt.f.Limit == 0 && n != len(holds) {
				t.Errorf("%+v: counts %d, lists %d", tt.f, n, len(holds))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.f, got, tt.want)
		}
	}
}

func TestLogUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	stores := []*store.Store{storetest.OpenAt(t, path), storetest.OpenAt(t, path)}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			s := stores[i%2]
			for j := range 20 {
				if j%4 == 0 {
					update(t, s, func(tx *store.Tx) error { return tx.Append(store.Entry{Kind: "hold", Note: fmt.Sprint(i, j)}) })
				} else if err := s.Log(store.Entry{Kind: "call", Note: fmt.Sprint(i, j)})(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	if err := stores[0].Entries(ctx, 0, func(e store.Entry) error { seen[e.Note] = true; return nil }); err != nil {
		t.Error(err)
	}
	if head, err := stores[1].Verify(ctx); err != nil || head.Seq != 320 || len(seen) != 320 {
		t.Errorf("head %+v, %d entries: %v", head, len(seen), err)
	}
}

func TestRollback(t *testing.T) {
	s := storetest.Open(t)
	boom := errors.New("boom")
	err := s.Update(ctx, func(tx *store.Tx) error {
		if err := errors.Join(tx.Insert(hold("1")), tx.Append(store.Entry{Kind: "hold"})); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq != 0 {
		t.Error(head, err)
	}
	func() {
		defer func() { recover() }()
		s.Update(ctx, func(*store.Tx) error { panic("in the middle") })
	}()
	update(t, s, func(tx *store.Tx) error { return tx.Insert(hold("1")) })
}

func TestCloseDrains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	for range 100 {
		s.Log(store.Entry{Kind: "outcome"})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Log(store.Entry{Kind: "late"})(); err == nil {
		t.Error("a closed store took an entry")
	}
	if head, err := storetest.OpenAt(t, path).Verify(ctx); err != nil || head.Seq != 100 {
		t.Error(head, err)
	}
}

func TestSpend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	stores := []*store.Store{storetest.OpenAt(t, path), storetest.OpenAt(t, path)}
	var fresh atomic.Int32
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			ok, err := stores[i%2].Spend(ctx, "iss", "jti", time.Now().Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if ok {
				fresh.Add(1)
			}
		})
	}
	all.Wait()
	if fresh.Load() != 1 {
		t.Errorf("spent %d times", fresh.Load())
	}
	if ok, err := stores[0].Spend(ctx, "other", "jti", time.Now()); !ok || err != nil {
		t.Error("another issuer's id is another id", err)
	}
	s := storetest.OpenAt(t, path)
	s.Close()
	if ok, err := s.Spend(ctx, "iss", "x", time.Now()); ok || err == nil {
		t.Error("a store that cannot answer must refuse")
	}
}

func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, other := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	for name, writer := range map[string]*store.Store{"own": s, "another process's": other} {
		t.Run(name, func(t *testing.T) {
			ch, stop := s.Watch()
			defer stop()
			<-ch // the first wake-up is for what came before
			if err := writer.Log(store.Entry{Kind: "call"})(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ch:
			case <-time.After(10 * time.Second):
				t.Error("nobody was woken")
			}
		})
	}
	_, stop := s.Watch()
	s.Close() // with a watcher: must not hang
	stop()
}

// raw changes the file behind the store's back.
func raw(t testing.TB, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyFindsTampering(t *testing.T) {
	tests := []struct {
		name, query string
		seq         int64
		problem     string
	}{
		{"changed", `UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), 'alice', 'malet') AS BLOB) WHERE seq = 3`, 3, "its content was changed"},
		{"changed with its hash", `UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), 'note 3', 'note x') AS BLOB), hash = 'x' WHERE seq = 3`, 3, "its content was changed"},
		{"removed", `DELETE FROM entries WHERE seq = 3`, 4, "1 entries before it are missing"},
		{"the first removed", `DELETE FROM entries WHERE seq = 1`, 2, "1 entries before it are missing"},
		{"removed and renumbered", `DELETE FROM entries WHERE seq = 3; UPDATE entries SET seq = seq - 1 WHERE seq > 3`, 3, "its content belongs to entry 4"},
		{"swapped", `UPDATE entries SET seq = 99 WHERE seq = 2; UPDATE entries SET seq = 2 WHERE seq = 3; UPDATE entries SET seq = 3 WHERE seq = 99`, 2, "belongs to entry 3"},
		{"index column", `UPDATE entries SET principal = 'User::bob' WHERE seq = 5`, 5, "its index columns"},
		{"put in", `INSERT INTO entries SELECT 6, at, kind, principal, api, tool, body, hash FROM entries WHERE seq = 5`, 6, "belongs to entry 5"},
		{"another hash", `UPDATE entries SET hash = '00' WHERE seq = 5`, 5, "its content was changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			s := storetest.OpenAt(t, path)
			for i := range 5 {
				if err := s.Log(store.Entry{Kind: "call", Principal: "User::alice", Note: fmt.Sprint("note ", i+1)})(); err != nil {
					t.Fatal(err)
				}
			}
			raw(t, path, tt.query)
			_, err := s.Verify(ctx)
			var bad *store.ChainError
			if !errors.As(err, &bad) || bad.Seq != tt.seq || !strings.Contains(bad.Problem, tt.problem) {
				t.Errorf("got %v, want entry %d: %s", err, tt.seq, tt.problem)
			}
		})
	}
}

func TestContainsNoticesACutEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	for range 3 {
		if err := s.Log(store.Entry{Kind: "call"})(); err != nil {
			t.Fatal(err)
		}
	}
	head, err := s.Verify(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Contains(ctx, head); err != nil {
		t.Error(err)
	}
	raw(t, path, "DELETE FROM entries WHERE seq = 3")
	if _, err := s.Verify(ctx); err != nil {
		t.Errorf("a cut end is not visible in the chain alone: %v", err)
	}
	if err := s.Contains(ctx, head); err == nil {
		t.Error("the remembered head is gone, and nobody noticed")
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	notDB := filepath.Join(dir, "text")
	if err := os.WriteFile(notDB, []byte(strings.Repeat("hello, world. ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer")
	storetest.OpenAt(t, newer).Close()
	raw(t, newer, "PRAGMA user_version = 99")
	tests := []struct{ path, want string }{
		{filepath.Join(dir, "missing", "db"), "mkdir -p"},
		{dir, "is a folder"},
		{notDB, "no SQLite database"},
		{newer, "newer exeat"},
	}
	for _, tt := range tests {
		if _, err := store.Open(ctx, tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want it to say %q", tt.path, err, tt.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a folder was made")
	}
}

func TestFilesArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	if err := s.Log(store.Entry{Kind: "call"})(); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", suffix, info.Mode())
		}
	}
}

func TestTwoOpenAFreshFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := store.Open(ctx, path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Log(store.Entry{Kind: "call"})(); err != nil {
				t.Error(err)
			}
			s.Close()
		})
	}
	all.Wait()
	if head, err := storetest.OpenAt(t, path).Verify(ctx); err != nil || head.Seq != 4 {
		t.Error(head, err)
	}
}

// A process that is killed loses nothing that it was told is on disk.
func TestKilled(t *testing.T) {
	if path := os.Getenv("EXEAT_STORE_CHILD"); path != "" {
		s, err := store.Open(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; ; i++ {
			if err := s.Log(store.Entry{Kind: "call", Note: strconv.Itoa(i)})(); err != nil {
				t.Fatal(err)
			}
			fmt.Println("on disk", i)
		}
	}
	path := filepath.Join(t.TempDir(), "db")
	cmd := exec.Command(os.Args[0], "-test.run", "^TestKilled$")
	cmd.Env = append(os.Environ(), "EXEAT_STORE_CHILD="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := 0
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if _, err := fmt.Sscanf(scan.Text(), "on disk %d", &last); err == nil && last == 50 {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	s := storetest.OpenAt(t, path)
	storetest.Check(t, s)
	notes := map[string]bool{}
	if err := s.Entries(ctx, 0, func(e store.Entry) error { notes[e.Note] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= last; i++ {
		if !notes[strconv.Itoa(i)] {
			t.Errorf("entry %d was said to be on disk and is not", i)
		}
	}
	if last < 50 {
		t.Errorf("the child said only %d", last)
	}
}

func TestUsage(t *testing.T) {
	s := storetest.Open(t)
	now := time.Now()
	for _, e := range []store.Entry{
		{Kind: "call", Time: now.Add(-30 * time.Second)}, {Kind: "send", Time: now.Add(-30 * time.Minute)}, {Kind: "call", Time: now.Add(-2 * time.Hour)},
		{Kind: "outcome", Time: now}, {Kind: "call", Time: now, Tool: "other"},
	} {
		e.Principal, e.API = "User::alice", "petstore"
		if e.Tool == "" {
			e.Tool = "get_pet"
		}
		if err := s.Log(e)(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Usage(ctx, "User::alice", "petstore", "get_pet", now.Add(-time.Minute), now.Add(-time.Hour), now.Add(-24*time.Hour))
	if err != nil || !cmp.Equal(got, []int64{1, 2, 3}) {
		t.Error(got, err)
	}
}

// FuzzVerify: no other bytes pass for an entry.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"seq":1}`), "00")
	f.Add([]byte(nil), "")
	path := filepath.Join(f.TempDir(), "db")
	s := storetest.OpenAt(f, path)
	if err := s.Log(store.Entry{Kind: "call", Principal: "User::alice"})(); err != nil {
		f.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		f.Fatal(err)
	}
	defer db.Close()
	var body []byte
	var hash string
	if err := db.QueryRow("SELECT body, hash FROM entries").Scan(&body, &hash); err != nil {
		f.Fatal(err)
	}
	f.Add(body, hash)
	f.Fuzz(func(t *testing.T, b []byte, h string) {
		if _, err := db.Exec("UPDATE entries SET body = $1, hash = $2", b, h); err != nil {
			t.Skip(err)
		}
		if _, err := s.Verify(ctx); err == nil && (string(b) != string(body) || h != hash) {
			t.Errorf("%q with the hash %q passes", b, h)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	e := store.Entry{Kind: "call", Principal: "User::alice", API: "petstore", Tool: "get_pet", Method: "GET", Path: "/pets/1", Digest: strings.Repeat("a", 64)}
	b.Run("alone", func(b *testing.B) {
		s := storetest.Open(b)
		for b.Loop() {
			if err := s.Log(e)(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("shared", func(b *testing.B) {
		s := storetest.Open(b)
		b.SetParallelism(8)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if err := s.Log(e)(); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkSpend(b *testing.B) {
	s := storetest.Open(b)
	var n atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if ok, err := s.Spend(ctx, "iss", strconv.FormatInt(n.Add(1), 10), time.Now().Add(time.Minute)); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}
