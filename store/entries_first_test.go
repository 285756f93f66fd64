package store_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// undo17 takes the second format of entries back, of a log that has none.
const undo17 = "DROP TABLE entries; DROP TABLE tallies; DROP TABLE tally_counts; DROP TRIGGER said_first_insert; DROP TRIGGER said_first_update; DROP TRIGGER said_first_delete; ALTER TABLE entries_1 RENAME TO entries; PRAGMA user_version = 13; " +
	"CREATE TRIGGER said_entries_insert AFTER INSERT ON entries WHEN NEW.seal <> x'' OR NEW.kind IN ('passkey', 'stop', 'start', 'end', 'accept', 'grant', 'block', 'revoke') BEGIN UPDATE said SET version = version + 1; END; " +
	"CREATE TRIGGER said_entries_update AFTER UPDATE ON entries BEGIN UPDATE said SET version = version + 1; END; " +
	"CREATE TRIGGER said_entries_delete AFTER DELETE ON entries BEGIN UPDATE said SET version = version + 1; END; "

// first appends entries of the first format to a database of before the second, by other
// code than the store's.
func first(t testing.TB, path string, list ...store.Entry) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var seq int64
	prev := strings.Repeat("0", 64)
	if err := tx.QueryRow("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").Scan(&seq, &prev); err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		e.Time = e.Time.UTC().Truncate(time.Microsecond)
		seq++
		e.Seq, e.Prev = seq, prev
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		prev = fmt.Sprintf("%x", sha256.Sum256(append([]byte("exeat-entry-1\n"), body...)))
		if _, err := tx.Exec("INSERT INTO entries (seq, at, kind, principal, api, tool, effect, agent, txn, body, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
			e.Seq, e.Time.UnixMicro(), e.Kind, e.Principal, e.API, e.Tool, e.Effect, e.Agent, e.Txn, body, prev); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// withFirst is a database with three entries of the first format that was opened since.
func withFirst(t testing.TB, path string) *store.Store {
	t.Helper()
	storetest.OpenAt(t, path).Close()
	raw(t, path, undo17)
	call := store.Entry{Kind: store.KindCall, Txn: "txn_1", Principal: "User::alice", API: "petstore", Tool: "get_pet", Agent: "a", Effect: "read"}
	outcome := call
	outcome.Kind, outcome.Status = store.KindOutcome, 200
	first(t, path, store.Entry{Kind: store.KindLogin, Principal: "User::alice"}, call, outcome)
	return storetest.OpenAt(t, path)
}

// A log goes on over the border between the formats, and its readers do not notice.
func TestFirstFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := withFirst(t, path)
	before, err := s.Verify(ctx)
	if err != nil || before.Seq != 3 {
		t.Fatal(before, err)
	}
	said := func() (list []string) {
		t.Helper()
		prev := strings.Repeat("0", 64)
		if err := s.Entries(ctx, 0, func(e store.Entry) error {
			if e.Prev != prev {
				t.Errorf("entry %d follows %s, want %s", e.Seq, e.Prev, prev)
			}
			prev = e.Hash
			list = append(list, fmt.Sprint(e.Seq, " ", e.Kind, " ", e.Principal))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if got := strings.Join(said(), ", "); got != "1 login User::alice, 2 call User::alice, 3 outcome User::alice" {
		t.Error(got)
	}
	for range 2 {
		if err := s.Log(store.Entry{Kind: store.KindCall, Txn: "txn_1", Principal: "User::alice", API: "petstore", Tool: "get_pet", Agent: "a", Effect: "read"})(); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(said()[3:], ", "); got != "4 call User::alice, 5 call User::alice" {
		t.Error(got)
	}
	if err := s.Contains(ctx, before); err != nil {
		t.Error(err)
	}
	if firstEnd, last, err := s.Ends(ctx); err != nil || firstEnd.Seq != 1 || last.Seq != 5 {
		t.Error(firstEnd, last, err)
	}
	for most, want := range map[int]int{1: 1, 2: 2, 3: 3, 9: 5} {
		n := 0
		if err := s.Newest(ctx, most, func(store.Entry) error { n++; return nil }); err != nil || n != want {
			t.Errorf("the newest %d are %d, want %d: %v", most, n, want, err)
		}
	}
	n := 0
	if err := s.Chain(ctx, "txn_1", func(store.Entry) error { n++; return nil }); err != nil || n != 4 {
		t.Errorf("the chain has %d entries: %v", n, err)
	}
	got, err := s.Usage(ctx, store.UsageOf{Principal: "User::alice", API: "petstore", Tool: "get_pet", Since: since(time.Now())})
	if err != nil || got != [3]int64{3, 3, 3} {
		t.Error(got, err)
	}
	var kinds []store.Kind
	if err := s.View(ctx, func(tx *store.Tx) error {
		kinds = nil
		_, err := tx.Follow(store.Start(), func(k store.Kind, _ bool) bool { kinds = append(kinds, k); return false }, nil)
		return err
	}); err != nil || fmt.Sprint(kinds) != "[login call outcome call call]" {
		t.Error(kinds, err)
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq != 5 {
		t.Error(head, err)
	}
}

// A copy that is made before a newer exeat changes the database is verified as it is.
func TestBackupOfFirstFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	storetest.OpenAt(t, path).Close()
	raw(t, path, undo17)
	first(t, path, store.Entry{Kind: store.KindLogin}, store.Entry{Kind: store.KindCall})
	if head, err := store.Backup(ctx, path, path+".copy"); err != nil || head.Seq != 2 {
		t.Error(head, err)
	}
}

func TestVerifyFindsTamperingOfFirstFormat(t *testing.T) {
	for name, tt := range map[string]struct {
		query   string
		seq     int64
		problem string
	}{
		"changed":        {`UPDATE entries_1 SET body = CAST(replace(CAST(body AS TEXT), 'get_pet', 'got_pet') AS BLOB) WHERE seq = 2`, 2, "its content was changed"},
		"removed":        {`DELETE FROM entries_1 WHERE seq = 2`, 3, "1 entries before it are missing"},
		"its end":        {`DELETE FROM entries_1 WHERE seq = 3`, 4, "1 entries before it are missing"},
		"all of it":      {`DELETE FROM entries_1`, 4, "3 entries before it are missing"},
		"renumbered":     {`DELETE FROM entries_1 WHERE seq = 2; UPDATE entries_1 SET seq = 2 WHERE seq = 3`, 2, "its content belongs to entry 3"},
		"index column":   {`UPDATE entries_1 SET principal = 'User::bob' WHERE seq = 2`, 2, "its index columns"},
		"txn":            {`UPDATE entries_1 SET txn = 'x' WHERE seq = 2`, 2, "its index columns"},
		"time":           {`UPDATE entries_1 SET at = at + 1 WHERE seq = 2`, 2, "its index columns"},
		"another hash":   {`UPDATE entries_1 SET hash = '00' WHERE seq = 3`, 3, "its content was changed"},
		"behind a word":  {`INSERT INTO entries_1 (seq, at, kind, principal, api, tool, body, hash) VALUES ('x', 0, '', '', '', '', x'00', '')`, 4, "is no entry"},
		"hidden between": {`INSERT INTO entries_1 (seq, at, kind, principal, api, tool, body, hash) SELECT 4, at, kind, principal, api, tool, body, hash FROM entries_1 WHERE seq = 3`, 4, "belongs to entry 3"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			s := withFirst(t, path)
			if err := s.Log(store.Entry{Kind: store.KindLogin})(); err != nil {
				t.Fatal(err)
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
