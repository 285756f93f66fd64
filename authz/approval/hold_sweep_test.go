package approval

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// Many holds whose time is not over, or that cannot be read, do not hide one
// whose time is.
func TestSweepFindsWhatIsDue(t *testing.T) {
	w := newWorld(t)
	w.c.MaxOpen = 1000
	for i := range sweepMost + 10 {
		w.open(call(alice, fmt.Sprint("first", i)))
	}
	w.approve(w.open(call(alice, "sent")))
	sent := w.claim() // its lease is a minute
	broken := w.open(call(alice, "broken"))
	w.SQL("UPDATE holds SET fixed = 'damage', expires = 1 WHERE id = $1", broken.ID)
	w.Pass(time.Minute)
	if err := w.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), broken.ID+" is damaged") {
		t.Errorf("sweep: %v", err)
	}
	if got := w.Stored(sent.ID); got.State != store.Unknown {
		t.Errorf("it is still %s", got.State)
	}
}

// Who resumes a call whose sender has died is told so as soon as the lease is
// over, whether or not anybody has swept.
func TestDeadLeaseIsUnknownAtOnce(t *testing.T) {
	w := newWorld(t)
	w.approve(w.open(call(alice, "k1")))
	h := w.claim()
	got := make(chan store.Hold, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w.Pass(time.Minute - 50*time.Millisecond)
	go func() {
		h, err := w.Wait(ctx, asker(h.Subject), h.ID, nil)
		if err != nil {
			t.Error(err)
		}
		got <- h
	}()
	// Nothing in the database changes from now on, so only the lease wakes it.
	w.Pass(50 * time.Millisecond)
	if h := <-got; h.State != store.Unknown || ctx.Err() != nil {
		t.Errorf("it is %s", h.State)
	}
	if got := w.Stored(h.ID); got.State != store.Sending {
		t.Errorf("reading it has made it %s", got.State)
	}
}

func TestForgetsWhatEndedLongAgo(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	w := newWorld(t)
	w.c.MaxOpen = 1000
	old := w.open(call(alice, "old"))
	if _, err := w.Cancel(t.Context(), asker(old.Subject), old.ID); err != nil {
		t.Fatal(err)
	}
	for i := range sweepMost {
		h := w.open(call(alice, fmt.Sprint(i)))
		if _, err := w.Cancel(t.Context(), asker(h.Subject), h.ID); err != nil {
			t.Fatal(err)
		}
	}
	sweep := func(want int) {
		t.Helper()
		if err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := w.c.Store.View(t.Context(), func(tx *store.Tx) (err error) {
			n, err = tx.Count(store.HoldFilter{})
			return err
		}); err != nil || n != want {
			t.Errorf("%d holds are kept, want %d: %v", n, want, err)
		}
	}
	w.Pass(KeptFor)
	open := w.open(call(alice, "open"))
	sweep(sweepMost + 2) // not a moment too early
	w.Pass(time.Microsecond)
	sweep(2) // no more than sweepMost at a time
	sweep(1)
	sweep(1)
	if _, err := w.Get(t.Context(), asker(old.Subject), old.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("the old one: %v", err)
	}
	if h, err := w.Get(t.Context(), asker(open.Subject), open.ID); err != nil || h.State != store.Pending {
		t.Errorf("the open one: %s %v", h.State, err)
	}
	var told []string
	if err := w.c.Store.Entries(t.Context(), 0, func(e store.Entry) error {
		if e.Kind == store.KindForget {
			told = append(told, e.Note)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || !strings.HasPrefix(told[0], "100 held calls that ended before 2026-11-23T12:00:00Z") || !strings.HasPrefix(told[1], "1 held calls") {
		t.Errorf("entries %q", told)
	}
	storetest.Check(t, w.c.Store)
}

// A clock that steps neither loses a hold nor makes one last, be decided or be
// sent twice.
func TestClockSteps(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, 24 * time.Hour} {
		for _, stage := range stages {
			t.Run(fmt.Sprint(stage.name, " ", step), func(t *testing.T) {
				w := newWorld(t)
				h := stage.to(w, w.open(rich("k1")))
				before := w.Stored(h.ID)
				w.Pass(step)
				if err := w.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				claimed, err := w.Claim(t.Context(), apis, anyHold, "another", time.Minute)
				after := w.Stored(h.ID)
				switch {
				case before.State == store.Approved && step < 0:
					if err != nil || claimed.ID != h.ID {
						t.Errorf("claim: %v", err)
					}
					w.finish(claimed, Finish{})
				case !errors.Is(err, ErrNotFound):
					t.Errorf("claimed %+v, %v", claimed, err)
				case step > 0 && open(before) && open(after), step < 0 && after.State != before.State, !open(before) && after.State != before.State:
					t.Errorf("it was %s and is %s", before.State, after.State)
				}
				w.Pass(-step)
				if _, err := w.Get(t.Context(), asker(h.Subject), h.ID); err != nil {
					t.Error(err)
				}
				if _, err := w.Claim(t.Context(), apis, anyHold, "another", time.Minute); !errors.Is(err, ErrNotFound) {
					t.Errorf("claimed after the clock was put right: %v", err)
				}
				if h := w.Stored(h.ID); h.Changed.Before(before.Changed) {
					t.Errorf("it was changed at %s, and then at %s", before.Changed, h.Changed)
				}
			})
		}
	}
}
