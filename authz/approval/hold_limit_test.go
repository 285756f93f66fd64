package approval

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
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
		func(id string) error { _, err := w.Wait(t.Context(), asker("User::alice"), id); return err },
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
