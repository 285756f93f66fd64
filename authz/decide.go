package authz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// newDenial is a deny that no policy was asked about.
func newDenial(reason string, remedy Remediation, err error) Decision {
	d := Decision{Outcome: Deny, Policies: []string{}, Reason: reason, Remediation: remedy}
	if err != nil {
		d.Errors = []string{err.Error()}
	}
	return d
}

// Decide decides a call. Any doubt (unknown action, arguments that do not
// convert, an error in any policy) is a deny.
func (e *Engine) Decide(r Query) Decision { return e.decide(r, e.callerOf) }

// decide decides a call of who find finds.
func (e *Engine) decide(r Query, find findCaller) Decision {
	a := e.byName[[2]string{r.API, r.Action}]
	if a == nil {
		return newDenial("the policies do not know this tool", RemedyNone, fmt.Errorf("unknown action %s of %s", r.Action, r.API))
	}
	q, err := e.ask(a, r, find)
	if err != nil {
		if bad := (*convertError)(nil); errors.As(err, &bad) {
			return newDenial("the policies cannot judge the argument "+bad.Error(), RemedyArgs, err)
		}
		return newDenial("the call could not be put to the policies", RemedyNone, err)
	}
	a = q.by.narrowed(a)
	given, err := q.approve(r)
	switch {
	case errors.Is(err, errExpired):
		return newDenial("the approval has expired", RemedyApproval, nil)
	case err != nil:
		return newDenial("the approval could not be put to the policies", RemedyNone, err)
	}
	if d, refused := a.refuseUnheld(q, q.context); refused {
		return d
	}
	q.Context = types.NewRecord(q.context)
	d, final := evaluate(a.candidates, q.ents, q.Request)
	if final {
		return d
	}
	if r.Approval != nil {
		return a.withMore(q, given, d)
	}
	for _, once := range []bool{true, false} {
		for c := range a.supposed(q.context, nil, once) {
			if d, refused := a.refuseUnheld(q, c); refused {
				return d
			}
		}
	}
	return a.withoutApproval(q.Request, q.context, q.ents, d)
}

// evaluate asks Cedar. It is final unless the answer is a deny that something
// else, such as an approval, might turn.
func evaluate(c candidates, ents entities, req cedar.Request) (d Decision, final bool) {
	outcome, diag := cedar.Authorize(c, ents, req)
	d = Decision{Policies: []string{}, Remediation: RemedyNone}
	if len(diag.Errors) > 0 {
		d.Outcome = Deny
		for _, x := range diag.Errors {
			d.Policies = append(d.Policies, string(x.PolicyID))
			d.Errors = append(d.Errors, fmt.Sprintf("policy %s: %s", x.PolicyID, x.Message))
		}
		d.Policies = sortUnique(d.Policies)
		slices.Sort(d.Errors)
		d.Reason = "a policy could not be evaluated, so the call is refused (" + list(d.Policies) + ")"
		return d, true
	}
	for _, x := range diag.Reasons {
		d.Policies = append(d.Policies, string(x.PolicyID))
	}
	d.Policies = sortUnique(d.Policies)
	if outcome == cedar.Allow {
		d.Outcome = Allow
		d.Reason = "allowed by " + list(d.Policies)
		d.Obligations = c.obligations(d.Policies)
		return d, true
	}
	d.Outcome = Deny
	d.Reason = "no policy permits this call"
	if len(d.Policies) > 0 {
		d.Reason = "forbidden by " + list(d.Policies)
	}
	return d, false
}

// withoutApproval decides what a plain evaluation did not allow: hold, if an
// approval could turn it, else deny with a word on what else could.
func (a *action) withoutApproval(req cedar.Request, context types.RecordMap, ents entities, d Decision) Decision {
	if permits, choices, people := a.withApproval(req, context, ents); len(permits) > 0 {
		causes := a.causes(req, ents, d.Policies, permits)
		hold := Decision{Outcome: Hold, Policies: causes, Remediation: RemedyApproval, Choices: choices,
			Reason:      "a person has to approve this call (" + list(causes) + ")",
			Obligations: a.candidates.obligations(permits)}
		if people > 1 {
			hold.People = people
			hold.Reason = fmt.Sprintf("%d people have to approve this call (%s)", people, list(causes))
		}
		return hold
	}
	otherCall := req
	if strings.Contains(a.Path, "{") {
		otherCall.Resource = unknownUID("resource")
	}
	switch {
	case a.could(req, context, ents.freshLogin(req.Principal)):
		d.Remediation = RemedyStepUp
		d.Reason += "; a fresh or stronger login could change that"
	case a.takesArgs && a.could(otherCall, with(with(context, "input", unknown("input")), "rounded", unknown("rounded")), ents):
		d.Remediation = RemedyArgs
		d.Reason += "; other arguments could be permitted"
	}
	return d
}

// causes are the policies because of which a call waits: those that forbid it
// for as long as nobody approved it, and, if none permits it yet, those that
// permit it then. One that permits it anyway is no cause.
func (a *action) causes(req cedar.Request, ents entities, forbids, permits []string) []string {
	causes := slices.Clone(forbids)
	permitted := slices.ContainsFunc(a.candidates, func(p *policy) bool {
		outcome, _ := cedar.Authorize(candidates{p}, ents, req)
		return outcome == cedar.Allow
	})
	if !permitted {
		causes = append(causes, permits...)
	}
	return sortUnique(causes)
}

// obligations joins those of the policies that decided: the strictest wins.
func (c candidates) obligations(ids []string) Obligations {
	var o Obligations
	for _, p := range c {
		if !p.permit || !slices.Contains(ids, p.id) {
			continue
		}
		o.TokenTTL = shortest(o.TokenTTL, p.obligations.TokenTTL)
		o.GrantMax = shortest(o.GrantMax, p.obligations.GrantMax)
		o.Redact = append(o.Redact, p.obligations.Redact...)
	}
	o.Redact = sortUnique(o.Redact)
	return o
}

func shortest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// sortUnique orders a list and drops repetitions.
func sortUnique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// list names policies in a sentence.
func list(ids []string) string {
	switch len(ids) {
	case 0:
		return "no policy"
	case 1:
		return "policy " + ids[0]
	}
	return "policies " + strings.Join(ids, ", ")
}

// MayApprove decides whether a person may decide a hold: the action approve,
// principal h.Approval.By, resource the Hold.
func (e *Engine) MayApprove(h HoldFacts) Decision {
	return e.decideHold(approveAction, e.approve, h)
}

// MaySee decides whether a person who may not decide a hold may see it: the action
// see. Who made the call and who may decide it see it anyway.
func (e *Engine) MaySee(h HoldFacts) Decision {
	if len(e.see) == 0 { // as in most sets; it is asked of every hold in a list
		return newDenial("no policy lets people see others' calls", RemedyNone, nil)
	}
	return e.decideHold(seeAction, e.see, h)
}

// MayResume decides whether an agent may see, resume and withdraw a hold that another
// agent of the same principal made: the action resume, principal h.Approval.By, which
// is for the caller to have compared with the requester. Only a permit that names the
// action counts.
func (e *Engine) MayResume(h HoldFacts) Decision {
	if len(e.resume) == 0 {
		return newDenial("no policy lets other agents go on with a call", RemedyNone, nil)
	}
	return e.decideHold(resumeAction, e.resume, h)
}

func (e *Engine) decideHold(of types.EntityUID, policies candidates, h HoldFacts) Decision {
	req, ents, err := e.holdRequest(of, h)
	if err != nil {
		return newDenial("the policies cannot judge this person", RemedyNone, err)
	}
	d, _ := evaluate(policies, ents, req)
	return d
}
