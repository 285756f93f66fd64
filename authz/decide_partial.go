package authz

import (
	"maps"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
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

// partial evaluates the action's policies as far as the request is known. A
// permit that must fail or end in an error cannot allow anything; a forbid that
// must apply or end in an error refuses the call, since any error does.
func (a *action) partial(req cedar.Request, context types.Record, ents types.EntityGetter) residue {
	env := eval.Env{Entities: ents, Principal: req.Principal, Action: req.Action, Resource: req.Resource, Context: context}
	var r residue
	for _, p := range a.candidates {
		left, keep := eval.PartialPolicy(env, p.ast)
		if !keep {
			continue
		}
		switch t := a.remains(left); {
		case p.permit && t&mayHold != 0:
			r.kept = append(r.kept, p.id)
		case !p.permit && t&mayNot == 0:
			r.forbidden = true
		}
	}
	return r
}

// could reports whether the call could be allowed, at once or by some approval.
// A policy may also ask that there is none.
func (a *action) could(req cedar.Request, context types.RecordMap, ents entities) bool {
	permits, _, _ := a.withApproval(req, context, ents)
	return len(permits) > 0 || a.partial(req, types.NewRecord(context), ents).possible()
}

// freshLogin is e with a principal whose login could be any.
func (e entities) freshLogin(principal types.EntityUID) entities {
	return e.unknowing(principal, "acr", "auth_time")
}

// unknowing leaves attributes of a principal open.
func (e entities) unknowing(principal types.EntityUID, names ...types.String) entities {
	x, ok := e.Get(principal)
	if !ok {
		return e
	}
	attrs := types.RecordMap{}
	for k, v := range x.Attributes.All() {
		attrs[k] = v
	}
	for _, name := range names {
		attrs[name] = unknown(name)
	}
	x.Attributes = types.NewRecord(attrs)
	e.own = maps.Clone(e.own)
	e.own[principal] = x
	return e
}
