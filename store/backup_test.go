package store_test

import (
	"context"
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
	s := openAt(t, filepath.Join(dir, "exeat.db"))
	writing, stop := context.WithCancel(ctx)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; writing.Err() == nil; i++ {
				if err := s.Log(store.Entry{Kind: "call", Txn: fmt.Sprint(w, "-", i)})(); err != nil {
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
		if err := s.Backup(ctx, path); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		whole := openAt(t, path)
		head, err := whole.Verify(ctx)
		if err != nil || head.Seq < before.Seq || whole.Contains(ctx, before) != nil || s.Contains(ctx, head) != nil {
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
	s := openAt(t, filepath.Join(dir, "exeat.db"))
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{"there": "is there already", "link": "is there already", "exeat.db": "is there already", "no/folder": "no such file"} {
		if err := s.Backup(ctx, filepath.Join(dir, path)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "there")); err != nil || string(b) != "mine" {
		t.Errorf("%q %v", b, err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Backup(over, filepath.Join(dir, "never")); err == nil {
		t.Error("a backup that was called off is there")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "never*")); err != nil || len(left) > 0 {
		t.Errorf("%q is left, %v", left, err)
	}
}
