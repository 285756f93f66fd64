package approval

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
)

var (
	tableNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	inTime   = tableNow.Add(time.Microsecond)
	tooLate  = tableNow // a time is over when it is reached
)

// held is a hold in a state, with an end in time or too late.
func held(state store.State, end time.Time) store.Hold {
	h := store.Hold{ID: "hold_x", Version: 3, State: state, Expires: end}
	switch state {
	case store.Pending, store.Denied, store.Cancelled:
	default:
		h.Approval = &store.Approval{ByName: "User::alice", Expires: end}
		// The hold's own time no longer matters after an approval.
		h.Expires = tooLate
	}
	return h
}

// TestApply is the whole machine: every state, in time and too late, with every
// event. An empty next means that the event is not legal.
func TestApply(t *testing.T) {
	events := map[string]Event{
		"approve": Approve{Approval: store.Approval{ByName: "User::bob", Expires: tableNow.Add(time.Hour)}},
		"deny":    Deny{By: "User::bob", Reason: "no"}, "cancel": Cancel{}, "expire": Expire{},
		"claim":  Claim{Owner: "me", Lease: tableNow.Add(time.Minute)},
		"finish": Finish{Result: []byte("r")}, "refuse": Refuse{Result: []byte("r")}, "lose": Lose{Result: []byte("r")},
	}
	order := []string{"approve", "deny", "cancel", "expire", "claim", "finish", "refuse", "lose"}
	const (
		no      = "illegal"
		decided = "decided"
		expired = "expired!"
	)
	all := func(what string) []string {
		return []string{what, what, what, what, what, what, what, what}
	}
	table := []struct {
		state store.State
		end   time.Time
		want  []string // in the order of events
	}{
		//                         approve     deny      cancel       expire     claim      finish  refuse     lose
		{store.Pending, inTime, []string{"approved", "denied", "cancelled", no, no, no, no, no}},
		{store.Pending, tooLate, []string{expired, expired, expired, "expired", no, no, no, no}},
		{store.Approved, inTime, []string{decided, decided, decided, no, "sending", no, "refused", no}},
		{store.Approved, tooLate, []string{decided, decided, decided, "expired", expired, no, "refused", no}},
		{store.Sending, inTime, []string{decided, decided, decided, no, decided, "done", "refused", "unknown"}},
		{store.Sending, tooLate, []string{decided, decided, decided, no, decided, "done", "refused", "unknown"}},
		{store.Done, inTime, all(decided)},
		{store.Done, tooLate, all(decided)},
		{store.Refused, inTime, all(decided)},
		{store.Refused, tooLate, all(decided)},
		{store.Unknown, inTime, all(decided)},
		{store.Unknown, tooLate, all(decided)},
		{store.Denied, inTime, all(decided)},
		{store.Denied, tooLate, all(decided)},
		{store.Expired, inTime, all(expired)},
		{store.Expired, tooLate, all(expired)},
		{store.Cancelled, inTime, all(decided)},
		{store.Cancelled, tooLate, all(decided)},
		{"", inTime, all(no)},
		{"odd", tooLate, all(no)},
	}
	for _, row := range table {
		for i, name := range order {
			t.Run(fmt.Sprintf("%s/%v/%s", row.state, row.end == inTime, name), func(t *testing.T) {
				before := held(row.state, row.end)
				got, err := Apply(before, events[name], tableNow)
				outcome := string(got.State)
				switch {
				case errors.Is(err, ErrDecided):
					outcome = decided
				case errors.Is(err, ErrExpired):
					outcome = expired
				case err != nil:
					outcome = no
				}
				if outcome != row.want[i] {
					t.Fatalf("got %s (%v), want %s", outcome, err, row.want[i])
				}
				want := before
				if err == nil {
					want = after(before, events[name])
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("the hold (-want +got):\n%s", d)
				}
				if d := cmp.Diff(held(row.state, row.end), before); d != "" {
					t.Errorf("Apply changed its argument:\n%s", d)
				}
			})
		}
	}
}

// after is what a legal event changes, and all it changes.
func after(h store.Hold, e Event) store.Hold {
	h.Changed = tableNow
	switch e := e.(type) {
	case Approve:
		h.State, h.Approval = store.Approved, &e.Approval
	case Deny:
		h.State, h.DeniedBy, h.Denial = store.Denied, e.By, e.Reason
	case Cancel:
		h.State = store.Cancelled
	case Expire:
		h.State = store.Expired
	case Claim:
		h.State, h.Owner, h.Lease = store.Sending, e.Owner, e.Lease
	case Finish:
		h.State, h.Result = store.Done, e.Result
	case Refuse:
		h.State, h.Result = store.Refused, e.Result
	case Lose:
		h.State, h.Result = store.Unknown, e.Result
	}
	return h
}

func TestApplyNothing(t *testing.T) {
	if _, err := Apply(held(store.Pending, inTime), nil, tableNow); err == nil {
		t.Error("no event is legal")
	}
}

// A row whose state was changed to approved by hand has no approval.
func TestApplyApprovedWithoutApproval(t *testing.T) {
	h := store.Hold{State: store.Approved, Expires: inTime}
	if _, err := Apply(h, Claim{Owner: "me"}, tableNow); !errors.Is(err, ErrExpired) {
		t.Errorf("claimed without an approval: %v", err)
	}
	if got := asOf(h, tableNow).State; got != store.Expired {
		t.Errorf("it is %s", got)
	}
}
