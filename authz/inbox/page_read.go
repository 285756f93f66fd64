package inbox

import (
	"errors"
	"net/http"
	"slices"

	"github.com/exeat/exeat/authz/approval"
)

// Errors of approvals that come before what they need.
var (
	errUnread = errors.New("something on the page of this call has not been looked at")
	errSure   = errors.New("this approval needs a second motion")
)

// What a page shows of arguments before the others are folded.
const (
	shownRows = 8
	shownText = 500 // bytes of one
)

// What has to be looked at before a call is approved, as pages ask for it and entries
// tell it. Hidden values are no part of it: a look at them is recorded for itself.
const (
	readWarning = "warning" // characters that deceive
	readChanged = "changed" // another call on the same thing was sent
	readFields  = "fields"  // more than are shown at once
)

// Musts are what has to be looked at before this call is approved.
func (p holdPage) Musts() (list []string) {
	if p.Deceives || p.Escaped {
		list = append(list, readWarning)
	}
	if p.Overtaken() {
		list = append(list, readChanged)
	}
	if !p.Told() && len(p.Rest()) > 0 {
		list = append(list, readFields)
	}
	return append(list, p.MustSee...)
}

// Told says that lines tell what the call changes and sends, so that the arguments are
// folded.
func (v HoldView) Told() bool {
	b := v.Before
	return b != nil && (len(b.Changes)+len(b.Sent) > 0 || b.Nothing)
}

// First are the arguments that are shown at once: so many as fit, without the long ones.
// Rest are those that are folded.
func (p holdPage) First() (list []arg) { list, _ = p.split(); return list }
func (p holdPage) Rest() (list []arg)  { _, list = p.split(); return list }

func (p holdPage) split() (first, rest []arg) {
	for _, a := range p.Arguments {
		if len(first) < shownRows && len(a.Value) <= shownText {
			first = append(first, a)
		} else {
			rest = append(rest, a)
		}
	}
	return first, rest
}

// Risky says that an approval needs a motion that no other has.
func (v HoldView) Risky() bool { return v.Effect == "delete" || v.Marked() }

// readBefore names what was looked at before the approval of a call that a form holds.
// It is errUnread if that is not all that has to be, and errSure for a risky call without
// its second motion, for which a passkey's signature does. What is no call to approve is
// left to who decides.
func (in *Inbox) readBefore(r *http.Request, s session, signed bool) ([]string, error) {
	_, v, err := in.look(r, s)
	if err != nil || !v.MayDecide {
		return nil, nil
	}
	musts := in.holdPage(v, s).Musts()
	for _, m := range musts {
		if !slices.Contains(r.PostForm["seen"], m) {
			return nil, errUnread
		}
	}
	if v.Risky() && !signed && r.PostForm.Get("sure") != "yes" {
		return nil, errSure
	}
	return musts, nil
}

// readTogether is readBefore for calls that are approved together: what was looked at of
// one was looked at of all, since one page shows them.
func (in *Inbox) readTogether(r *http.Request, s session, list []approval.Shown, signed bool) (all []string, err error) {
	if len(list) > approval.MaxSeveral {
		return nil, approval.ErrSeveral
	}
	for _, x := range list {
		r.SetPathValue("id", x.ID)
		seen, err := in.readBefore(r, s, signed)
		if err != nil {
			return nil, err
		}
		all = append(all, seen...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Musts are what has to be looked at before these calls are approved.
func (p severalPage) Musts() (all []string) {
	for _, c := range p.Calls {
		all = append(all, c.Musts()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// question is what a tired person is asked about a call.
func question(v HoldView) approval.Question {
	return approval.Question{Field: v.ToAsk, Answer: v.ToType}
}
