package authz

import (
	"maps"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// unknown stands for a value that is not known yet.
func unknown(name types.String) types.Value { return eval.Variable(name) }

func unknownUID(name types.String) types.EntityUID {
	uid, _ := eval.Variable(name).(types.EntityUID)
	return uid
}

// with is a context with one entry set.
func with(context types.RecordMap, key types.String, v types.Value) types.RecordMap {
	c := maps.Clone(context)
	c[key] = v
	return c
}

// residue is what is left of an action's policies when part of the request is
// unknown.
type residue struct {
	kept      []string // permits that could still apply
	forbidden bool     // a forbid applies whatever the unknown part is
}

// possible reports whether some value of the unknown part could allow the call.
// It errs on the side of yes: two conditions that exclude each other both stay.
func (r residue) possible() bool { return len(r.kept) > 0 && !r.forbidden }

func (r residue) permits() []string { return sorted(r.kept) }

// partial evaluates the action's policies as far as the request is known. A
// permit that would end in an error cannot allow anything; a forbid that would
// is taken to apply, since any error refuses the call.
func (a *action) partial(req cedar.Request, context types.RecordMap, ents types.EntityGetter) residue {
	env := eval.Env{Entities: ents, Principal: req.Principal, Action: req.Action, Resource: req.Resource, Context: types.NewRecord(context)}
	var r residue
	for _, p := range a.candidates {
		left, keep := eval.PartialPolicy(env, p.ast)
		if !keep {
			continue
		}
		broken := fails(left)
		switch {
		case p.permit && !broken:
			r.kept = append(r.kept, p.id)
		case !p.permit && (broken || unconditional(left)):
			r.forbidden = true
		}
	}
	return r
}

// fails reports whether a condition has already ended in an error.
func fails(p *ast.Policy) bool {
	for _, c := range p.Conditions {
		if _, bad := eval.ToPartialError(c.Body); bad {
			return true
		}
	}
	return false
}

// unconditional reports whether nothing is left to be known of a policy.
func unconditional(p *ast.Policy) bool {
	for _, scope := range []any{p.Principal, p.Action, p.Resource} {
		if _, all := scope.(ast.ScopeTypeAll); !all {
			return false
		}
	}
	return len(p.Conditions) == 0
}

// freshLogin is e with a principal whose login could be any.
func (e entities) freshLogin(principal types.EntityUID) entities {
	x, ok := e.own[principal]
	if !ok {
		return e
	}
	attrs := types.RecordMap{}
	for k, v := range x.Attributes.All() {
		attrs[k] = v
	}
	attrs["acr"], attrs["auth_time"] = unknown("acr"), unknown("auth_time")
	own := maps.Clone(e.own)
	x.Attributes = types.NewRecord(attrs)
	own[principal] = x
	return entities{own: own, shared: e.shared}
}

// Visible reports whether some arguments (and some approval) could make the
// action allowed or held for this principal.
func (e *Engine) Visible(api, name string, p Principal, ag Agent, s Session, now time.Time) bool {
	a := e.byUID[actionUID(api, name)]
	if a == nil {
		return false
	}
	ents := entities{own: types.EntityMap{}, shared: e.entities}
	principal, err := ents.principal(p)
	if err != nil {
		return false
	}
	context := types.RecordMap{
		"input": unknown("input"), "usage": unknown("usage"), "approval": unknown("approval"),
		// A tool that is closed for the night stays on the list.
		"now":   unknown("now"),
		"agent": ents.agent(ag), "session": sessionRecord(s),
	}
	req := cedar.Request{Principal: principal, Action: a.uid, Resource: unknownUID("resource")}
	return a.partial(req, context, ents).possible()
}
