package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

var ctx = context.Background()

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

func TestRollback(t *testing.T) {
	s := storetest.Open(t)
	boom := errors.New("boom")
	err := s.Update(ctx, func(tx *store.Tx) error {
		if err := errors.Join(tx.Insert(hold("1")), tx.Append(store.Entry{Kind: store.KindHold})); err != nil {
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

// A process that is killed loses nothing that it was told is on disk.
func TestKilled(t *testing.T) {
	if path := os.Getenv("EXEAT_STORE_CHILD"); path != "" {
		s, err := store.Open(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; ; i++ {
			if err := s.Log(store.Entry{Kind: store.KindCall, Note: strconv.Itoa(i)})(); err != nil {
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
