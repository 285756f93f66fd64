package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// Of two that change the same rule one wins, and a rule that is over or revoked
// is not listed.
func TestRules(t *testing.T) {
	s := storetest.Open(t)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rule := store.Rule{ID: "r1", Version: 1, Kind: "grant", Subject: "User::alice", Agent: "a", Created: at, Ends: at.Add(time.Hour), Fixed: []byte("{}"), State: []byte("{}"), Mark: []byte("m")}
	update(t, s, func(tx *store.Tx) error { return tx.InsertRule(rule) })
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertRule(rule) }); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second one of its id: %v", err)
	}
	count := func(now time.Time) (n int) {
		t.Helper()
		if err := s.View(t.Context(), func(tx *store.Tx) error {
			list, err := tx.LiveRules("User::alice", "a", now, 10)
			n = len(list)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if before, after := count(at.Add(time.Hour-time.Microsecond)), count(at.Add(time.Hour)); before != 1 || after != 0 {
		t.Errorf("%d before its end and %d at it", before, after)
	}
	rule.Revoked = at.Add(time.Minute)
	update(t, s, func(tx *store.Tx) error { return tx.SwapRule(rule) })
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.SwapRule(rule) }); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the one that was late: %v", err)
	}
	if n := count(at.Add(2 * time.Minute)); n != 0 {
		t.Errorf("%d are in force", n)
	}
	var forgotten int64
	update(t, s, func(tx *store.Tx) (err error) {
		forgotten, err = tx.ForgetRules(at.Add(time.Hour), 10)
		return err
	})
	if forgotten != 1 {
		t.Errorf("%d were forgotten", forgotten)
	}
}

// Time as the store has seen it never goes back.
func TestAdvance(t *testing.T) {
	s := storetest.Open(t)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ now, want time.Duration }{{0, 0}, {5, 5}, {-5, 5}, {6, 6}} {
		update(t, s, func(tx *store.Tx) error {
			got, err := tx.Advance(at.Add(tt.now * time.Second))
			if want := at.Add(tt.want * time.Second); !got.Equal(want) {
				t.Errorf("it is %v, want %v", got, want)
			}
			return err
		})
	}
}
