package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/exeat/exeat/store"
)

func openAt(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A copy that is made while entries are written verifies, holds all that was
// there when it began, and the log that goes on still holds its head.
func TestBackup(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	db := filepath.Join(dir, "exeat.db")
	s := openAt(t, db)
	writing, stop := context.WithCancel(ctx)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; writing.Err() == nil; i++ {
				if err := s.Log(store.Entry{Kind: store.KindCall, Txn: fmt.Sprint(w, "-", i)})(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 5 {
		before, err := s.Verify(ctx)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprint("copy", i))
		copied, err := store.Backup(ctx, db, path)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		whole := openAt(t, path)
		head, err := whole.Verify(ctx)
		if err != nil || head != copied || head.Seq < before.Seq || whole.Contains(ctx, before) != nil || s.Contains(ctx, head) != nil {
			t.Errorf("%+v of at least %+v: %v", head, before, err)
		}
	}
	stop()
	writers.Wait()
	if left, err := filepath.Glob(filepath.Join(dir, "*.part*")); err != nil || len(left) > 0 {
		t.Errorf("%q is left, %v", left, err)
	}
}

func TestBackupRefuses(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	db := filepath.Join(dir, "exeat.db")
	openAt(t, db)
	for name, text := range map[string]string{"there": "mine", "empty.db": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	for _, tt := range []struct {
		ctx            context.Context
		from, to, says string
	}{
		{ctx, "exeat.db", "there", "is there already"},
		{ctx, "exeat.db", "link", "is there already"},
		{ctx, "exeat.db", "exeat.db", "is there already"},
		{ctx, "exeat.db", "no/folder", "no such file"},
		{ctx, "none.db", "copy", "unable to open"},
		{ctx, "there", "copy", "it is no SQLite database"},
		{ctx, "empty.db", "copy", "not a database of exeat"},
		{over, "exeat.db", "copy", "context canceled"},
	} {
		if _, err := store.Backup(tt.ctx, filepath.Join(dir, tt.from), filepath.Join(dir, tt.to)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s to %s: %v", tt.from, tt.to, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "there")); err != nil || string(b) != "mine" {
		t.Errorf("%q %v", b, err)
	}
	for _, pattern := range []string{"copy*", "none*", "*.part*"} {
		if left, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(left) > 0 {
			t.Errorf("%q is left, %v", left, err)
		}
	}
}

// What is wrong with the log is wrong with the copy, which is there all the same;
// and an older schema stays as it is.
func TestBackupKeepsWhatIsThere(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	db := filepath.Join(dir, "exeat.db")
	s := openAt(t, db)
	for range 3 {
		if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
			t.Fatal(err)
		}
	}
	raw(t, db, "DELETE FROM entries WHERE seq = 2")
	raw(t, db, "PRAGMA user_version = 3")
	_, err := store.Backup(ctx, db, filepath.Join(dir, "copy"))
	var chain *store.ChainError
	if !errors.As(err, &chain) || chain.Seq != 3 {
		t.Errorf("%v", err)
	}
	whole, err := sql.Open("sqlite", filepath.Join(dir, "copy"))
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	schema := 0
	if err := whole.QueryRow("PRAGMA user_version").Scan(&schema); err != nil || schema != 3 {
		t.Errorf("the copy has the schema %d, %v", schema, err)
	}
}
