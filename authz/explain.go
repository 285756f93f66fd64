package authz

import (
	"encoding/json"
	"fmt"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// Explain decides a call and says why.
func (e *Engine) Explain(r Query) Explanation {
	x := Explanation{Decision: e.Decide(r), Considered: []PolicyOutcome{}, Changes: []string{}}
	a := e.byName[[2]string{r.API, r.Action}]
	if a == nil {
		return x
	}
	q, err := e.ask(a, r, e.callerOf)
	if err != nil {
		x.Changes = append(x.Changes, "arguments that Cedar can hold: "+err.Error())
		return x
	}
	if _, err := q.approve(r); err != nil {
		return x // the decision says why
	}
	q.Context = types.NewRecord(q.context)
	x.Request = requestJSON(q.Request)
	for _, p := range a.candidates {
		x.Considered = append(x.Considered, PolicyOutcome{ID: p.id, Effect: effectName(p), File: p.file, Line: p.line,
			Outcome: a.outcomeOf(p, q, r.Approval == nil)})
	}
	x.Changes = append(x.Changes, x.changes(a)...)
	return x
}

func effectName(p *policy) string {
	if p.permit {
		return "permit"
	}
	return "forbid"
}

// outcomeOf is how one policy alone comes out.
func (a *action) outcomeOf(p *policy, q *question, open bool) string {
	alone := &action{api: a.api, uid: a.uid, candidates: candidates{p}, counts: a.counts}
	if _, refused := alone.refuseUnheld(q, q.context); refused {
		return "cannot judge an argument"
	}
	_, diag := cedar.Authorize(alone.candidates, q.ents, q.Request)
	switch {
	case len(diag.Errors) > 0:
		return "error" // its text is in the decision
	case len(diag.Reasons) > 0:
		return "satisfied"
	}
	if permits, _, _ := alone.withApproval(q.Request, q.context, q.ents); open && len(permits) > 0 {
		return "needs approval"
	}
	return "not satisfied"
}

// changes says what would change the decision.
func (x Explanation) changes(a *action) []string {
	var out []string
	d := x.Decision
	switch d.Outcome {
	case Allow:
		for _, id := range d.Policies {
			out = append(out, fmt.Sprintf("without policy %s it might not be allowed", id))
		}
	case Hold:
		switch {
		case d.People > 1:
			out = append(out, fmt.Sprintf("approvals by %d people, each for this call only", d.People))
		case d.Choices.Once && d.Choices.Grant:
			out = append(out, "an approval, for this call only or for a time")
		case d.Choices.Once:
			out = append(out, "an approval for this call only; the policies take no grant")
		case d.Choices.Grant:
			out = append(out, "a grant for a time; the policies take no single approval")
		}
	case Deny:
		for _, p := range x.Considered {
			if p.Effect == "forbid" && p.Outcome == "satisfied" {
				out = append(out, fmt.Sprintf("a call that policy %s (%s:%d) does not forbid", p.ID, p.File, p.Line))
			}
		}
		switch d.Remediation {
		case RemedyArgs:
			out = append(out, "other arguments")
		case RemedyStepUp:
			out = append(out, "a fresh or stronger login")
		case RemedyNone:
			if len(out) == 0 {
				out = append(out, fmt.Sprintf("a policy that permits %s", a.uid))
			}
		}
	}
	return out
}

// requestJSON is the Cedar request in Cedar's JSON form.
func requestJSON(r cedar.Request) json.RawMessage {
	b, err := json.Marshal(map[string]any{
		"principal": r.Principal.String(), "action": r.Action.String(), "resource": r.Resource.String(), "context": r.Context,
	})
	if err != nil {
		return nil
	}
	return b
}
