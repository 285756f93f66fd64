package storetest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// recorder keeps what Check reports.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// in is a hold as it legally is in a state.
func in(state store.State) store.Hold {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	h := store.Hold{ID: "h", State: state, Dedupe: "d", Created: at, Expires: at.Add(time.Hour), Changed: at}
	switch state {
	case store.Sending, store.Done, store.Unknown:
		h.Owner, h.Lease = "me", at.Add(time.Minute)
		fallthrough
	case store.Approved:
		h.Approval = &store.Approval{Proof: []byte{1}}
	}
	return h
}

// Check is silent about what may be and speaks of everything that must not.
func TestCheck(t *testing.T) {
	with := func(s store.State, change func(*store.Hold)) store.Hold {
		h := in(s)
		change(&h)
		return h
	}
	tests := []struct {
		name  string
		hold  store.Hold
		kinds string // of its entries
		want  []string
	}{
		{"pending", in(store.Pending), "hold", nil},
		{"approved", in(store.Approved), "hold approve", nil},
		{"sending", in(store.Sending), "hold approve send", nil},
		{"done", in(store.Done), "hold approve send outcome", nil},
		{"unknown", in(store.Unknown), "hold approve unknown", nil},
		{"refused", in(store.Refused), "hold approve refuse", nil},
		{"denied", in(store.Denied), "hold deny", nil},
		{"expired", in(store.Expired), "hold expire", nil},
		{"cancelled", in(store.Cancelled), "hold cancel", nil},

		{"no state", in("lost"), "", []string{"hold h is lost and no hold can be that"}},
		{"approved by nobody", with(store.Approved, func(h *store.Hold) { h.Approval = nil }), "", []string{"hold h is approved and has no approval"}},
		{"without proof", with(store.Approved, func(h *store.Hold) { h.Approval.Proof = nil }), "", []string{"hold h is approved and has no proof of its approval"}},
		{"sent by nobody", with(store.Sending, func(h *store.Hold) { h.Owner, h.Lease = "", time.Time{} }), "", []string{"hold h is sending and has no owner", "hold h is sending and has no lease"}},
		{"claimed before the yes", with(store.Pending, func(h *store.Hold) { h.Owner = "me" }), "", []string{"hold h is pending and has owner"}},
		{"a result too early", with(store.Approved, func(h *store.Hold) { h.Result = []byte("r") }), "", []string{"hold h is approved and has result"}},
		{"never alive", with(store.Pending, func(h *store.Hold) { h.Expires = h.Created }), "", []string{"hold h is pending and has no time between its creation and its expiry"}},
		{"sent without a yes", in(store.Denied), "send deny", []string{"hold h is denied and was sent 1 times"}},
		{"done without a send", in(store.Done), "outcome", []string{"hold h is done and was sent 0 times"}},
		{"sent twice", in(store.Done), "send send outcome", []string{"hold h is done and was sent 2 times"}},
		{"sent after its end", in(store.Unknown), "unknown send", []string{"entry 2 sends the hold h after its end (unknown)"}},
		{"lost", with(store.Pending, func(h *store.Hold) { h.ID = "other" }), "hold", []string{"hold h is lost"}},
		{"ended twice", in(store.Refused), "refuse refuse", []string{"entry 2 (refuse) ends the hold h a second time, after refuse"}},
	}
	ctx := context.Background()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := storetest.OpenAt(t, filepath.Join(t.TempDir(), "db"))
			if err := s.Update(ctx, func(tx *store.Tx) error {
				for _, kind := range strings.Fields(tt.kinds) {
					if err := tx.Append(store.Entry{Kind: store.Kind(kind), Hold: "h"}); err != nil {
						return err
					}
				}
				return tx.Insert(tt.hold)
			}); err != nil {
				t.Fatal(err)
			}
			r := &recorder{TB: t}
			storetest.Check(r, s)
			if diff := cmp.Diff(tt.want, r.errors); diff != "" {
				t.Error(diff)
			}
		})
	}
}
