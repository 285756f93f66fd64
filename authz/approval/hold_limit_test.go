package approval

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// Holds that are made and withdrawn again are bounded too: each of them stays in
// the database.
func TestFloodOfWithdrawn(t *testing.T) {
	w := newWorld(t)
	w.c.MaxOpen = 10
	made := 0
	for i := range 200 {
		h, err := w.Open(t.Context(), call(alice, fmt.Sprint(i)))
		if errors.Is(err, ErrTooMany) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		made++
		if _, err := w.Cancel(t.Context(), asker("User::alice"), h.ID); err != nil {
			t.Fatal(err)
		}
	}
	if made != madeFactor*10 {
		t.Errorf("%d were made", made)
	}
	w.open(call(bob, "b"))
	w.Pass(time.Hour)
	w.open(call(alice, "k"))
}

// A handle of somebody else is answered as one that never was, and both are
// recorded, ten times a minute.
func TestMissedHandles(t *testing.T) {
	w := newWorld(t)
	theirs := w.open(call(bob, "b"))
	never := newID("hold")
	for _, ask := range []func(id string) error{
		func(id string) error { _, err := w.Get(t.Context(), asker("User::alice"), id); return err },
		func(id string) error { _, err := w.Wait(t.Context(), asker("User::alice"), id, nil); return err },
		func(id string) error { _, err := w.Cancel(t.Context(), asker("User::alice"), id); return err },
	} {
		stolen, guessed := ask(theirs.ID), ask(never)
		if !errors.Is(stolen, ErrNotFound) || stolen.Error() != guessed.Error() {
			t.Errorf("stolen: %v, guessed: %v", stolen, guessed)
		}
	}
	for range 200 {
		if _, err := w.Get(t.Context(), asker("User::alice"), newID("hold")); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	if list, err := w.List(t.Context(), asker("User::alice")); err != nil || len(list) != 0 {
		t.Errorf("listed %d, %v", len(list), err)
	}
	var got []string
	if err := w.c.Store.Entries(t.Context(), 0, func(e store.Entry) error {
		if e.Kind == store.KindDenied {
			got = append(got, strings.TrimPrefix(e.Principal+" "+e.Code+" "+e.Hold, "User::alice handle_not_found "))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{theirs.ID, "", theirs.ID, "", theirs.ID, "", "", "", "", ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	if got := w.Stored(theirs.ID); got.State != store.Pending || got.Version != 1 {
		t.Errorf("it is %s", got.State)
	}
}

// Withdrawn calls of a megabyte do not stay for a month, however many are made.
func TestWithdrawnHoldsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.restart(func(c *Config) { c.MaxOpen = 1000 })
	for i := range 50 {
		h := call(alice, fmt.Sprint("k", i))
		h.Request.Body = make([]byte, 1<<20)
		rand.Read(h.Request.Body) // what is alike is packed
		h = w.open(h)
		if _, err := w.Cancel(t.Context(), asker("User::alice"), h.ID); err != nil {
			t.Fatal(err)
		}
	}
	kept, forgotten := 0, false
	if err := w.DB.View(t.Context(), func(tx *store.Tx) (err error) {
		kept, err = tx.Count(store.HoldFilter{Subject: "User::alice"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, e := range w.Entries() {
		forgotten = forgotten || strings.HasPrefix(e, "forget")
	}
	if kept > withdrawnKept>>20+2 || kept < 10 || !forgotten {
		t.Errorf("%d are kept, and an entry says so: %t", kept, forgotten)
	}
	storetest.Check(t, w.DB)
}
