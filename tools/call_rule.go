package tools

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// errStopped is a call of an agent that a person has stopped; errDamaged one of
// an agent about which something was changed behind exeat's back.
var (
	errStopped = errors.New("a person stopped this agent: none of its calls is executed until the person starts it again")
	errDamaged = errors.New("what a person allowed or denied this agent was changed in the database: none of its calls is executed until the person removes that on the permissions page")
)

func (c *call) shape() approval.Shape {
	place := approval.Place{Audience: c.tool.api.Audience, Origin: c.request.Origin, Method: c.request.Method, Document: c.details.Document}
	return approval.Shape{Principal: c.caller.Principal, Agent: c.caller.Agent, Place: place, API: c.tool.api.Document.Name,
		Tool: c.tool.op.Name, Effect: string(c.tool.op.Effect), Path: c.request.Path, Args: c.args.Canonical()}
}

// rulesFor reads what people have said of the agent's calls to come. It is an
// error if nothing of the agent may go.
func (r *Runner) rulesFor(ctx context.Context, caller Caller) ([]approval.Rule, error) {
	rules, err := r.Holds.RulesInForce(ctx, caller.Subject(), caller.Agent.ID)
	for _, rule := range rules {
		switch {
		case rule.Damaged:
			return nil, errDamaged
		case rule.Kind == approval.KindStop && rule.Agent == "":
			return nil, approval.ErrUserStopped
		case rule.Kind == approval.KindStop:
			return nil, errStopped
		}
	}
	return rules, err
}

// stops reports whether an error of rulesFor is an answer: somebody was stopped.
func stops(err error) bool {
	return errors.Is(err, errStopped) || errors.Is(err, approval.ErrUserStopped) || errors.Is(err, errDamaged)
}

// refuseAgent answers a call of one of exeat's own tools by an agent that a person
// has stopped, or of a user who was stopped: it gets nothing, the results of its earlier calls neither.
func (r *Runner) refuseAgent(ctx context.Context, caller Caller) (Result, bool) {
	if r.Store == nil {
		return Result{}, false
	}
	// A call that is cancelled still learns what is known.
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := r.rulesFor(look, caller)
	switch {
	case err == nil:
		return Result{}, false
	case stops(err):
		return deny(PolicyDenied, err.Error(), nil, authz.RemedyNone), true
	}
	return fail(Internal, "it could not be read whether a person has stopped this agent"), true
}

// answerStop records and answers a call of an agent that may do nothing.
func (r *Runner) answerStop(c *course, why error) Result {
	c.decision = authz.Decision{Outcome: authz.Deny, Remediation: authz.RemedyNone}
	if errors.Is(why, context.Canceled) {
		return cancelled()
	}
	if !stops(why) {
		c.fail(why)
		return fail(Internal, "it could not be read whether a person has stopped this agent; nothing was executed")
	}
	c.note = join(c.note, why.Error())
	c.decision.Reason = why.Error()
	return r.answerDeny(c)
}

// blockOf is the rule by which a person does not want to be asked about a call.
func blockOf(rules []approval.Rule, c *course) *approval.Rule {
	shape := c.shape()
	for i, rule := range rules {
		if rule.Kind == approval.KindBlock && rule.Matches(shape) {
			return &rules[i]
		}
	}
	return nil
}

// answerBlock records and answers a call that a person does not want to be asked about.
func (r *Runner) answerBlock(c *course, rule approval.Rule) Result {
	c.decision.Outcome, c.grant = authz.Deny, rule.ID
	if err := r.logNothing(c, store.KindDenied, string(ApprovalDenied))(); err != nil {
		c.fail(err)
	}
	reason := fmt.Sprintf("a person denied calls like this one until %s and does not want to be asked again", stamp(rule.Ends))
	if rule.Reason != "" {
		reason += ", saying: " + rule.Reason
	}
	return deny(ApprovalDenied, reason, nil, authz.RemedyNone)
}

// allowedBy reports whether a grant lets a call go that otherwise is held: it is
// put to the policies, which may have become stricter since it was given, as the
// approval that it is. It is counted right before the send.
func (r *Runner) allowedBy(ctx context.Context, c *course, rule approval.Rule, held authz.Decision) bool {
	if rule.Kind != approval.KindGrant || !held.Choices.Grant || !rule.Matches(c.shape()) {
		return false
	}
	before := c.err
	c.approval, c.grant = rule.Approval(), rule.ID
	r.decide(ctx, c)
	if c.decision.Outcome == authz.Allow && rule.Ends.Sub(rule.Created) <= approval.LongestGrant(c.decision.Obligations) {
		return true
	}
	c.err = before // that this rule does not help is no trouble
	return false
}
