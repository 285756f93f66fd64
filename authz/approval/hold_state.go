package approval

import (
	"fmt"
	"slices"
	"time"

	"github.com/exeat/exeat/store"
)

// Event is something that happens to a hold: Approve, Deny, Cancel, Expire,
// Claim, Keep, Finish, Refuse or Lose.
type Event interface{ event() string }

// The events of a hold.
type (
	// Approve is a person's yes. Waits says that it is not enough: others have to
	// approve, too.
	Approve struct {
		Approval store.Approval
		Waits    bool
	}
	// Deny is a person's no.
	Deny struct{ By, Reason string }
	// Cancel is the requester's withdrawal.
	Cancel struct{}
	// Expire is the end of the hold's or the approval's time.
	Expire struct{}
	// Claim is a process that takes the hold for sending.
	Claim struct {
		Owner string
		Lease time.Time
	}
	// Keep is a claim given back: nothing was done, and it can be tried again. Refused
	// says that it was sent, and that the API refused it and did nothing.
	Keep struct{ Refused bool }
	// Finish is an answer of the API.
	Finish struct{ Result []byte }
	// Refuse is a send that was not made, or that the API did not take; After says what had changed, if that was
	// why.
	Refuse struct {
		Result []byte
		After  *store.Snapshot
	}
	// Lose is a send whose answer was lost.
	Lose struct{ Result []byte }
)

func (Approve) event() string { return "approved" }
func (Deny) event() string    { return "denied" }
func (Cancel) event() string  { return "cancelled" }
func (Expire) event() string  { return "expired" }
func (Claim) event() string   { return "claimed" }
func (Keep) event() string    { return "kept" }
func (Finish) event() string  { return "finished" }
func (Refuse) event() string  { return "refused" }
func (Lose) event() string    { return "lost" }

// Apply returns the hold after the event, or an error if the event is not legal
// in the hold's state. It is pure and total. A late event never flips a
// decision: it is ErrExpired on a hold whose time is over and ErrDecided on
// one that was decided.
func Apply(h store.Hold, e Event, now time.Time) (store.Hold, error) {
	if e == nil {
		return h, fmt.Errorf("no event for a hold that is %s", h.State)
	}
	next, err := h, error(nil)
	switch h.State {
	case store.Pending:
		err = applyPending(&next, e, now)
	case store.Approved:
		err = applyApproved(&next, e, now)
	case store.Sending:
		err = applySending(&next, e)
	case store.Expired:
		err = ErrExpired
	case store.Done, store.Refused, store.Unknown, store.Denied, store.Cancelled:
		err = ErrDecided
	default:
		err = fmt.Errorf("a hold in the unknown state %q cannot be %s", h.State, e.event())
	}
	if err != nil {
		return h, err
	}
	if next.Changed.Before(now) { // a clock may step back
		next.Changed = now
	}
	return next, nil
}

func applyPending(h *store.Hold, e Event, now time.Time) error {
	late := over(*h, now)
	switch e := e.(type) {
	case Approve, Deny, Cancel:
		if late {
			return ErrExpired
		}
	case Expire:
		if !late {
			return illegal(h.State, e)
		}
	}
	switch e := e.(type) {
	case Approve:
		a := e.Approval
		if e.Waits {
			h.Earlier = append(slices.Clone(h.Earlier), a)
			break
		}
		h.State, h.Approval = store.Approved, &a
	case Deny:
		h.State, h.DeniedBy, h.Denial = store.Denied, e.By, e.Reason
	case Cancel:
		h.State = store.Cancelled
	case Expire:
		h.State = store.Expired
	default:
		return illegal(h.State, e)
	}
	return nil
}

func applyApproved(h *store.Hold, e Event, now time.Time) error {
	late := over(*h, now)
	switch e := e.(type) {
	case Approve, Deny, Cancel:
		return ErrDecided
	case Claim:
		if late {
			return ErrExpired
		}
		h.State, h.Owner, h.Lease = store.Sending, e.Owner, e.Lease
	case Expire:
		if !late {
			return illegal(h.State, e)
		}
		h.State = store.Expired
	case Refuse:
		h.State, h.Result, h.After = store.Refused, e.Result, e.After
	default:
		return illegal(h.State, e)
	}
	return nil
}

func applySending(h *store.Hold, e Event) error {
	switch e := e.(type) {
	case Approve, Deny, Cancel, Claim:
		return ErrDecided
	case Keep:
		h.State, h.Owner, h.Lease = store.Approved, "", time.Time{}
		if e.Refused {
			again := *h.Approval
			again.Refused++
			h.Approval = &again
		}
	case Finish:
		h.State, h.Result = store.Done, e.Result
	case Refuse:
		h.State, h.Result, h.After = store.Refused, e.Result, e.After
	case Lose:
		h.State, h.Result = store.Unknown, e.Result
	default:
		return illegal(h.State, e)
	}
	return nil
}

func illegal(s store.State, e Event) error {
	return fmt.Errorf("a hold that is %s cannot be %s", s, e.event())
}

// over reports whether the time of a pending or approved hold, or the lease of one
// that is being sent, has ended. A hold that claims to be approved without an
// approval has no time.
func over(h store.Hold, now time.Time) bool {
	end, ok := ends(h)
	return ok && !now.Before(end)
}

// ends is when an open hold ends by itself.
func ends(h store.Hold) (time.Time, bool) {
	switch h.State {
	case store.Pending:
		return h.Expires, true
	case store.Approved:
		if h.Approval == nil {
			return time.Time{}, true
		}
		return h.Approval.Expires, true
	case store.Sending:
		return h.Lease, true
	}
	return time.Time{}, false
}

// asOf is the hold as it stands now, whether or not what time alone has done to
// it is stored yet.
func asOf(h store.Hold, now time.Time) store.Hold {
	if e := ending(h, now); e != nil {
		if x, err := Apply(h, e, now); err == nil {
			return x
		}
	}
	return h
}

// open reports whether something can still happen to the hold.
func open(h store.Hold) bool {
	return h.State == store.Pending || h.State == store.Approved || h.State == store.Sending
}
