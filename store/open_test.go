package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// tree is every file below dir with its content.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// What cannot be opened is said in one sentence, and nothing is left behind.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"text": strings.Repeat("hello, world. ", 1000), "short": "hello"} {
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	storetest.OpenAt(t, in("newer")).Close()
	raw(t, in("newer"), "PRAGMA user_version = 99")
	// In the journal mode of a store, so that a look at them changes no byte.
	raw(t, in("foreign"), "PRAGMA journal_mode = WAL; CREATE TABLE other (x)")
	raw(t, in("foreign1"), "PRAGMA journal_mode = WAL; CREATE TABLE other (x); PRAGMA user_version = 1")
	for _, name := range []string{"readonly", "loose"} {
		storetest.OpenAt(t, in(name)).Close()
	}
	for name, mode := range map[string]os.FileMode{"foreign": 0o600, "foreign1": 0o600, "readonly": 0o400, "loose": 0o644} {
		if err := os.Chmod(in(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		path string
		want string
	}{
		{"missing folder", ctx, in("missing/db"), "mkdir -p " + in("missing")},
		{"a file as the folder", ctx, in("text/db"), "does not exist"},
		{"a folder", ctx, dir, "is a folder: name a file in it"},
		{"a device", ctx, os.DevNull, "name a file"},
		{"text", ctx, in("text"), "no SQLite database: choose another path"},
		{"short text", ctx, in("short"), "no SQLite database: choose another path"},
		{"newer", ctx, in("newer"), "newer exeat (schema 99, this one knows "},
		{"another program's", ctx, in("foreign"), "another program: choose another path"},
		{"another program's with the same version", ctx, in("foreign1"), "another program: choose another path"},
		{"readable by others", ctx, in("loose"), "run chmod 600"},
		{"given up", cancelled, in("new"), "context canceled"},
		{"read-only", ctx, in("readonly"), "cannot be written"},
	}
	before := tree(t, dir)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "read-only" && os.Geteuid() == 0 {
				t.Skip("root can write it")
			}
			s, err := store.Open(tt.ctx, tt.path)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want it to say %q", err, tt.want)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("something was left behind or changed: %s", diff)
			}
		})
	}
}

// A path is a path, whatever it means in a URL or to SQLite.
func TestOpenAnyName(t *testing.T) {
	for _, name := range []string{"a?mode=memory#b%20c d&e", ":memory:", "file:x", "it's", "\u00fc", "rel/../db"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "rel"), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir)
			s := storetest.OpenAt(t, name)
			t.Chdir(t.TempDir()) // connections are made later too
			if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
				t.Fatal(err)
			}
			if head, err := s.Verify(ctx); err != nil || head.Seq != 1 {
				t.Error(head, err)
			}
			s.Close()
			if head, err := storetest.OpenAt(t, filepath.Join(dir, name)).Verify(ctx); err != nil || head.Seq != 1 {
				t.Error("after opening it again:", head, err)
			}
		})
	}
}

// A database that is taken away, or exchanged, is missed: nothing is read from
// it or written to it any more, and no empty one comes in its place.
func TestRemovedFile(t *testing.T) {
	for name, take := range map[string]func(path string) error{
		"removed": os.Remove,
		"moved":   func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", nil, 0o600), os.Rename(path+".new", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			s := storetest.OpenAt(t, path)
			update(t, s, func(tx *store.Tx) error { return tx.Insert(hold("1")) })
			if err := take(path); err != nil {
				t.Fatal(err)
			}
			_, spend := s.Spend(ctx, "iss", "jti", time.Now())
			for what, err := range map[string]error{
				"read":     s.View(ctx, func(tx *store.Tx) error { _, err := tx.Hold("1"); return err }),
				"written":  s.Update(ctx, func(tx *store.Tx) error { return tx.Insert(hold("2")) }),
				"recorded": s.Log(store.Entry{Kind: store.KindCall})(),
				"spent":    spend,
			} {
				if err == nil || !strings.Contains(err.Error(), path+" was removed, moved or replaced while it was in use: stop every exeat that uses it, put it back") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if info, err := os.Stat(path); name != "replaced" && !errors.Is(err, os.ErrNotExist) || name == "replaced" && info.Size() != 0 {
				t.Error("made a new file:", err)
			}
		})
	}
}

func TestFilesArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
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
	for range 8 {
		all.Go(func() {
			s, err := store.Open(ctx, path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
				t.Error(err)
			}
			s.Close()
		})
	}
	all.Wait()
	if head, err := storetest.OpenAt(t, path).Verify(ctx); err != nil || head.Seq != 8 {
		t.Error(head, err)
	}
}

// undoSaid takes back what counts what people said.
const undoSaid = "DROP TRIGGER said_rules_insert; DROP TRIGGER said_rules_update; DROP TRIGGER said_rules_delete; DROP TRIGGER said_clock_insert; DROP TRIGGER said_clock_update; DROP TRIGGER said_clock_delete; " +
	"DROP TRIGGER said_entries_insert; DROP TRIGGER said_entries_update; DROP TRIGGER said_entries_delete; DROP TABLE said; "

// undo3 takes the third migration back, and all after it.
const undo3 = undo17 + undoSaid + "DROP INDEX entries_usage_all; ALTER TABLE entries DROP COLUMN effect; ALTER TABLE entries DROP COLUMN agent; ALTER TABLE entries DROP COLUMN seal; DROP TABLE IF EXISTS pins; DROP TABLE IF EXISTS issuer_clients; DROP TABLE IF EXISTS issuer_access; DROP TABLE IF EXISTS accounts; DROP TABLE IF EXISTS outbox; DROP TABLE IF EXISTS channels; DROP TABLE IF EXISTS subscriptions; DROP TABLE IF EXISTS passkeys; DROP TABLE IF EXISTS rules; DROP TABLE IF EXISTS clock; " +
	"DROP INDEX holds_pending; DROP INDEX holds_approved; DROP INDEX holds_sending; DROP INDEX holds_ended; DROP INDEX holds_thing; DROP INDEX holds_recent; ALTER TABLE holds DROP COLUMN thing; " +
	"ALTER TABLE holds DROP COLUMN approved_until; ALTER TABLE holds DROP COLUMN bulk;"

// A log of the first schema goes on: its entries are counted and its chain holds.
func TestMigrateTxn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	s.Close()
	raw(t, path, undo17)
	for _, txn := range []string{"txn_a", ""} {
		first(t, path, store.Entry{Kind: store.KindCall, Principal: "User::alice", API: "a", Tool: "b", Txn: txn})
	}
	raw(t, path, strings.TrimPrefix(undo3, undo17)+"DROP INDEX entries_txn; ALTER TABLE entries DROP COLUMN txn; PRAGMA user_version = 1")
	s = storetest.OpenAt(t, path)
	got, err := s.Usage(ctx, store.UsageOf{Principal: "User::alice", API: "a", Tool: "b", Except: []string{"txn_b"}})
	if err != nil || got[0] != 2 {
		t.Error(got, err)
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq != 2 {
		t.Error(head, err)
	}
}
