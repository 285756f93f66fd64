// Package storetest helps tests that keep state: a store on a temporary file,
// and a check of everything that must hold of it at any time.
package storetest

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/exeat/exeat/store"
)

// Open opens a store on a temporary file that is closed with the test.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return OpenAt(t, filepath.Join(t.TempDir(), "exeat.db"))
}

// OpenAt opens a store that other tests or processes may share.
func OpenAt(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var states = []store.State{store.Pending, store.Approved, store.Sending, store.Done, store.Refused, store.Unknown,
	store.Denied, store.Expired, store.Cancelled}

// Check reports what must never be:
//   - an audit log whose chain is broken
//   - a hold in a state that does not exist
//   - a hold that is approved, being sent or done, without an approval
//   - a hold that is being sent without an owner and a lease, or has a lease
//     though nobody sends it
//   - a hold that was sent twice, or done without having been sent
func Check(t testing.TB, s *store.Store) {
	t.Helper()
	ctx := context.Background()
	if _, err := s.Verify(ctx); err != nil {
		t.Errorf("the chain does not hold: %v", err)
	}
	sent := map[string]int{}
	if err := s.Entries(ctx, 0, func(e store.Entry) error {
		if e.Kind == "send" {
			sent[e.Hold]++
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	var holds []store.Hold
	if err := s.View(ctx, func(tx *store.Tx) (err error) {
		holds, err = tx.Holds(store.HoldFilter{Limit: 1 << 20})
		return err
	}); err != nil {
		t.Error(err)
	}
	for _, h := range holds {
		approved := h.State == store.Approved || h.State == store.Sending || h.State == store.Done
		switch {
		case !slices.Contains(states, h.State):
			t.Errorf("hold %s is in the state %q, which does not exist", h.ID, h.State)
		case approved && h.Approval == nil:
			t.Errorf("hold %s is %s without an approval", h.ID, h.State)
		case h.State == store.Sending && (h.Owner == "" || h.Lease.IsZero()):
			t.Errorf("hold %s is being sent by nobody", h.ID)
		case h.State != store.Sending && !h.Lease.IsZero():
			t.Errorf("hold %s is %s and still has a lease", h.ID, h.State)
		case sent[h.ID] > 1:
			t.Errorf("hold %s was sent %d times", h.ID, sent[h.ID])
		case h.State == store.Done && sent[h.ID] != 1:
			t.Errorf("hold %s is done and was sent %d times", h.ID, sent[h.ID])
		}
	}
}
