package authz

import (
	"reflect"
	"slices"
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
	a := e.byUID[actionUID(api, name)]
	if a == nil {
		return false
	}
	v := e.viewer(p, ag, s)
	if v == nil {
		return false
	}
	req := cedar.Request{Principal: v.principal, Action: a.uid, Resource: unknownUID("resource")}
	// One look at any approval instead of one at each choice: this runs for every
	// tool of a list, and may show a tool too many.
	return a.partial(req, v.plain, v.ents).possible() || a.partial(req, v.approved, v.ents).possible()
}

// viewer is what all tools of a list have in common.
type viewer struct {
	who             caller
	principal       types.EntityUID
	ents            entities
	plain, approved types.Record // contexts without and with any approval
}

type caller struct {
	principal Principal
	agent     Agent
	session   Session
}

// viewer remembers the last caller, since a list asks for a thousand tools in a
// row. It returns nil if the principal is none.
func (e *Engine) viewer(p Principal, ag Agent, s Session) *viewer {
	who := caller{p, ag, s}
	if v := e.last.Load(); v != nil && reflect.DeepEqual(v.who, who) {
		return v
	}
	p.Groups, p.Roles, p.Scopes = slices.Clone(p.Groups), slices.Clone(p.Roles), slices.Clone(p.Scopes)
	s.Labels = slices.Clone(s.Labels)
	ents := entities{own: types.EntityMap{}, shared: e.entities}
	principal, err := ents.principal(p)
	if err != nil {
		return nil
	}
	if ag.Issuer != "" { // which can give another token
		ents = ents.unknowing(principal, "acr", "auth_time", "scopes")
	}
	context := types.RecordMap{
		"input": unknown("input"), "rounded": unknown("rounded"), "usage": unknown("usage"), "now": unknown("now"), "exact": types.False,
		"agent": ents.agent(ag), "session": sessionRecord(s),
	}
	if p.Issuer != "" {
		context["exact"] = unknown("exact")
	}
	v := &viewer{who: caller{p, ag, s}, principal: principal, ents: ents, plain: types.NewRecord(context),
		approved: types.NewRecord(with(with(context, "approval", unknown("approval")), "approvals", unknown("approvals")))}
	e.last.Store(v)
	return v
}
