package tools

import (
	"context"
	"errors"
	"fmt"

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
	return approval.Shape{Principal: c.caller.Principal, Agent: c.caller.Agent, API: c.tool.api.Document.Name,
		Tool: c.tool.op.Name, Path: c.request.Path, Args: c.args.Canonical()}
}

// standing reads what people have said of the agent's calls to come. It is an
// error if nothing of the agent may go.
func (r *Runner) standing(ctx context.Context, c *call) ([]approval.Rule, error) {
	rules, err := r.Holds.Standing(ctx, c.caller.Subject(), c.caller.Agent.ID)
	for _, rule := range rules {
		switch {
		case rule.Damaged:
			return nil, errDamaged
		case rule.Kind == approval.KindStop:
			return nil, errStopped
		}
	}
	return rules, err
}

// stopped records and answers a call of an agent that may do nothing.
func (r *Runner) stopped(c *call, why error) Result {
	c.decision = authz.Decision{Outcome: authz.Deny, Remediation: authz.RemedyNone}
	if !errors.Is(why, errStopped) && !errors.Is(why, errDamaged) {
		c.err = why
		return fail(Internal, "it could not be read whether a person has stopped this agent; nothing was executed")
	}
	c.note = join(c.note, why.Error())
	c.decision.Reason = why.Error()
	return r.denied(c)
}

// decidedBefore answers a call that needs a person by what a person has said before:
// no to calls like it, or yes. A yes is put to the policies as the approval that
// it is, and counted right before the send. Not ok if a person must be asked.
func (r *Runner) decidedBefore(ctx context.Context, c *call, rules []approval.Rule) (res Result, ok bool) {
	shape := c.shape()
	for _, rule := range rules {
		if rule.Kind == approval.KindDenial && rule.Matches(shape) {
			return r.refusedBefore(c, rule), true
		}
	}
	held := c.decision
	for _, rule := range rules {
		if rule.Kind != approval.KindGrant || !held.Choices.Grant || !rule.Matches(shape) {
			continue
		}
		c.approval, c.grant = rule.Approval(), rule.ID
		// The policies may have become stricter since it was given.
		if r.decide(ctx, c); c.decision.Outcome == authz.Allow && rule.Ends.Sub(rule.Created) <= approval.LongestGrant(c.decision.Obligations) {
			if res = r.allowed(ctx, c); !c.lapsed {
				return res, true
			}
		}
		c.lapsed, c.err = false, nil
	}
	c.approval, c.grant, c.decision = nil, "", held
	return Result{}, false
}

// refusedBefore answers a call that a person does not want to be asked about.
func (r *Runner) refusedBefore(c *call, rule approval.Rule) Result {
	c.decision.Outcome, c.grant = authz.Deny, rule.ID
	if err := r.Store.Log(c.entry("denied", string(ApprovalDenied)))(); err != nil {
		c.err = errors.Join(c.err, err)
	}
	reason := fmt.Sprintf("a person denied calls like this one until %s and does not want to be asked again", stamp(rule.Ends))
	if rule.Reason != "" {
		reason += ", saying: " + rule.Reason
	}
	return deny(ApprovalDenied, reason, nil, authz.RemedyNone)
}

// record puts the entry of a send on disk. A grant is checked again and counted
// with it; if it does not hold any more the call has lapsed, and must not leave.
func (r *Runner) record(ctx context.Context, c *call, e store.Entry) (wait func() error) {
	if c.grant == "" {
		return r.Store.Log(e)
	}
	e.Time = r.Now()
	if c.approval != nil {
		e.By = c.approval.By.Type + "::" + c.approval.By.ID
	}
	err := r.Holds.Use(ctx, c.grant, c.shape(), e)
	c.lapsed = errors.Is(err, approval.ErrNoGrant)
	return func() error { return err }
}
