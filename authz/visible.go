package authz

import (
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// Visible reports whether some arguments (and some approval) could make the
// action allowed or held for this principal. In doubt it says yes: a tool that
// is not visible is not there for its callers.
//
// The hour does not count, so that a tool closed for the night stays on the
// list, and neither does what was used up.
func (e *Engine) Visible(api, name string, p Principal, ag Agent, s Session, now time.Time) bool {
	a := e.byName[[2]string{api, name}]
	if a == nil {
		return false
	}
	c, err := e.callerOf(p, ag, s)
	return err == nil && c.sees(a)
}

// What a caller remembers of an action, in two bits.
const (
	known   = 1
	visible = 2
)

// sees is Visible for one caller, found out once.
func (c *caller) sees(a *action) bool {
	at, shift := &c.visible[a.at/16], a.at%16*2
	if bits := at.Load() >> shift; bits&known != 0 {
		return bits&visible != 0
	}
	l := c.list()
	req := cedar.Request{Principal: c.principal, Action: a.uid, Resource: unknownUID("resource")}
	n := c.narrowed(a)
	// One look at any approval instead of one at each choice: this runs for every
	// tool of a list, and may show a tool too many.
	bits := uint32(known)
	if n.partial(req, l.plain, l.ents).possible() || n.partial(req, l.approved, l.ents).possible() {
		bits |= visible
	}
	at.Or(bits << shift)
	return bits&visible != 0
}

// listing is how all tools of a list are asked about.
type listing struct {
	ents            entities
	plain, approved types.Record // contexts without and with any approval
}

// newListing leaves open what another token, which the caller could get, may have.
func (e *Engine) newListing(c *caller, exact, other bool) *listing {
	ents := entities{own: c.own, shared: e.entities}
	if other {
		ents = ents.unknowing(c.principal, "acr", "auth_time", "scopes")
	}
	context := types.RecordMap{
		"input": unknown("input"), "rounded": unknown("rounded"), "usage": unknown("usage"), "now": unknown("now"), "exact": types.False,
		"agent": c.agent, "session": c.session,
	}
	if exact {
		context["exact"] = unknown("exact")
	}
	return &listing{ents: ents, plain: types.NewRecord(context),
		approved: types.NewRecord(with(with(context, "approval", unknown("approval")), "approvals", unknown("approvals")))}
}
