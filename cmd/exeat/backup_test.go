package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/exeat/exeat/store"
)

// A backup that is made while a real exeat process works is whole: it verifies,
// the log that goes on holds its head, and its holds are there.
func TestBackupUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := newStage(t)
	cmd, agents := s.http(2)
	defer cmd.Process.Kill()
	stop := make(chan struct{})
	var working sync.WaitGroup
	for i, c := range agents {
		working.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if e, ok := s.call(t.Context(), c, "create_pet", map[string]any{"body": map[string]any{"name": fmt.Sprint(i, "-", n), "species": "cat"}}); !ok || e.Handle == "" {
					t.Errorf("%+v", e)
					return
				}
			}
		})
	}
	<-s.first
	dir := filepath.Dir(s.config)
	for i := range 5 {
		path := filepath.Join(dir, fmt.Sprint("copy", i, ".db"))
		var out, errOut bytes.Buffer
		if code := execute(t.Context(), []string{"backup", "--db", filepath.Join(dir, "exeat.db"), path}, nil, &out, &errOut); code != 0 {
			t.Fatalf("%d: %s", code, &errOut)
		}
		if want := path + ": "; !strings.HasPrefix(out.String(), want) {
			t.Errorf("it says %q", &out)
		}
		s.checkCopy(path)
	}
	close(stop)
	working.Wait()

	// A process that ends remembers how long the log was.
	if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(dir, "exeat.db")
	known, err := readHead(headFile(filepath.Join(dir, "keys"), db))
	_, last, ends := s.here.store.Ends(t.Context())
	if err != nil || ends != nil || known.DB != db || known.head() != last {
		t.Errorf("%+v of %+v: %v %v", known, last, err, ends)
	}
}

func (s *stage) checkCopy(path string) {
	s.t.Helper()
	whole, err := store.Open(s.t.Context(), path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer whole.Close()
	head, err := whole.Verify(s.t.Context())
	if err != nil || head.Seq == 0 {
		s.t.Errorf("%+v %v", head, err)
	}
	if err := s.here.store.Contains(s.t.Context(), head); err != nil {
		s.t.Error(err)
	}
	held := 0
	err = whole.View(s.t.Context(), func(tx *store.Tx) error {
		holds, err := tx.Outlines(store.HoldFilter{Limit: 1 << 20})
		held = len(holds)
		return err
	})
	if err != nil || int64(held) != head.Seq { // one entry each
		s.t.Errorf("%d holds of %d entries: %v", held, head.Seq, err)
	}
}
