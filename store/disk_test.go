package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// filled is a store at path with n holds and an entry for each.
func filled(t *testing.T, path string, n int) *store.Store {
	t.Helper()
	s := storetest.OpenAt(t, path)
	for i := range n {
		h := hold(fmt.Sprintf("hold_%03d", i))
		h.Request.Body = []byte(strings.Repeat("x", 3000))
		update(t, s, func(tx *store.Tx) error {
			return errors.Join(tx.Insert(h), tx.Append(store.Entry{Kind: store.KindHold, Hold: h.ID}))
		})
	}
	return s
}

// wantError wants an error that says what is wrong with which database and what
// to do.
func wantError(t *testing.T, what string, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want it to say %q", what, err, text)
		}
	}
}

// A disk that is full refuses what is new, says so, and keeps what there is.
func TestDiskFullKeepsHolds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := filled(t, path, 3)
	before := get(t, s, "hold_001")
	store.LimitPages(t, s, 1)
	var err error
	for i := 0; i < 100 && err == nil; i++ {
		h := hold(fmt.Sprint("more", i))
		h.Request.Body = make([]byte, 10_000)
		err = s.Update(ctx, func(tx *store.Tx) error {
			return errors.Join(tx.Insert(h), tx.Append(store.Entry{Kind: store.KindHold, Hold: h.ID}))
		})
	}
	wantError(t, "written", err, path, "the disk is full: make room on it")
	if diff := cmp.Diff(before, get(t, s, "hold_001")); diff != "" {
		t.Error(diff)
	}
	storetest.Check(t, s)
	store.LimitPages(t, s, 1000)
	if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
		t.Error("with room again:", err)
	}
	storetest.Check(t, s)
}

// Who keeps the database locked for longer than a call can wait makes calls
// fail, in words that help, and does no other harm.
func TestLockedTooLong(t *testing.T) {
	store.BusyTimeout(t, 20*time.Millisecond)
	path := filepath.Join(t.TempDir(), "db")
	s := filled(t, path, 1)
	unlock := store.Lock(t, storetest.OpenAt(t, path))
	ok, spend := s.Spend(ctx, "iss", "jti", time.Now().Add(time.Minute))
	if ok {
		t.Error("a token passed without being spent")
	}
	for what, err := range map[string]error{
		"written":  s.Update(ctx, func(tx *store.Tx) error { return tx.Insert(hold("2")) }),
		"recorded": s.Log(store.Entry{Kind: store.KindCall})(),
		"spent":    spend,
	} {
		wantError(t, what, err, path, "another program keeps it locked: let that program finish, or stop it")
	}
	get(t, s, "hold_000") // can be read all the time
	unlock()
	if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
		t.Error("unlocked:", err)
	}
	storetest.Check(t, s)
}

// Pages in the middle of the file that were overwritten are noticed, in words
// that help. (Single bytes within a value are for the chain and for the seals of
// package approval to find.)
func TestCorruptedPages(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	for seed := range 8 {
		path := filepath.Join(t.TempDir(), "db")
		s := filled(t, path, 40)
		s.Close()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		const page = 4096
		for at := (2 + seed) * page; at+page <= len(data); at += 8 * page {
			for i := range page {
				data[at+i] = byte(i*7 + seed*31)
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err = store.Open(ctx, path)
		if err != nil {
			wantError(t, "opened", err, path, "put a copy of it back")
			continue
		}
		_, verify := s.Verify(ctx)
		list := s.View(ctx, func(tx *store.Tx) error { _, err := tx.Holds(store.HoldFilter{}); return err })
		if verify == nil && list == nil {
			t.Errorf("seed %d: nobody has noticed", seed)
		}
		for _, err := range []error{verify, list} {
			var chain *store.ChainError
			if err != nil && !errors.As(err, &chain) && !strings.Contains(err.Error(), "is damaged in the database") {
				wantError(t, fmt.Sprint("seed ", seed), err, path, "it is damaged: stop every exeat that uses it and put a copy of it back, or move it away")
			}
		}
		s.Close()
	}
}

// A write-ahead log that was cut off, as by a disk that lies about flushing,
// loses whole transactions from its end, and nothing else.
func TestTruncatedWAL(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	s := filled(t, path, 20)
	var files [2][]byte
	for i, suffix := range []string{"", "-wal"} {
		var err error
		if files[i], err = os.ReadFile(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[int]bool{}
	for cut := range 12 {
		copied := filepath.Join(dir, fmt.Sprint("copy", cut))
		wal := files[1][:len(files[1])*cut/11]
		for suffix, b := range map[string][]byte{"": files[0], "-wal": wal} {
			if err := os.WriteFile(copied+suffix, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c := storetest.OpenAt(t, copied)
		head, err := c.Verify(ctx)
		n := 0
		if err == nil {
			err = c.View(ctx, func(tx *store.Tx) (err error) { n, err = tx.Count(store.HoldFilter{}); return err })
		}
		if err != nil || int(head.Seq) != n {
			t.Errorf("cut %d: %d holds and %d entries: %v", cut, n, head.Seq, err)
		}
		storetest.Check(t, c)
		seen[n] = true
	}
	if !seen[20] || len(seen) < 5 {
		t.Errorf("the cuts left %v holds", seen)
	}
	storetest.Check(t, s)
}
