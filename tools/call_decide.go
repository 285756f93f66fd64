package tools

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/exeat/exeat/authz"
)

// budget names what the usage of a call is counted for.
func (c *call) budget() [3]string {
	return [3]string{c.caller.Subject(), c.tool.api.Document.Name, c.tool.op.Name}
}

// decide asks the policies. Usage that cannot be counted is a deny.
func (r *Runner) decide(ctx context.Context, c *course) {
	now := r.Now()
	if r.Store == nil || !r.Engine.UsesUsage(c.tool.api.Document.Name, c.tool.op.Name) {
		r.ask(c, now, authz.Usage{})
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock() // no other call may be counted between this count and its decision
	usage, err := r.usage(ctx, c, now)
	if err != nil {
		c.err = err
		c.decision = authz.Decision{Outcome: authz.Deny, Reason: "the call could not be checked", Remediation: authz.RemedyNone}
		return
	}
	if r.ask(c, now, usage); c.decision.Outcome == authz.Allow {
		r.begin(c)
	}
}

func (r *Runner) ask(c *course, now time.Time, usage authz.Usage) {
	c.decision = r.Engine.Decide(authz.Request{
		API:       c.tool.api.Document.Name,
		Action:    c.tool.op.Name,
		Principal: c.caller.Principal,
		Agent:     c.caller.Agent,
		Session:   c.caller.Session,
		Usage:     usage,
		Now:       now,
		Path:      c.request.Path,
		Input:     c.args.Value(),
		Approval:  c.approval,
	})
	for _, e := range c.decision.Errors {
		c.err = errors.Join(c.err, errors.New(e))
	}
}

// usage counts what the policies of the action want counted: the entries of
// earlier calls, and the calls of this process that were allowed and may have no
// entry yet, so that many at the same moment do not all pass for the first. The
// caller holds mu.
func (r *Runner) usage(ctx context.Context, c *course, now time.Time) (authz.Usage, error) {
	under := slices.Collect(maps.Keys(r.active[c.budget()]))
	n, err := r.Store.Usage(ctx, c.caller.Subject(), c.tool.api.Document.Name, c.tool.op.Name, under,
		now.Add(-time.Minute), now.Add(-time.Hour), now.Add(-24*time.Hour))
	if err != nil {
		return authz.Usage{}, fmt.Errorf("count earlier calls: %v", err)
	}
	if len(n) != 3 {
		return authz.Usage{}, errors.New("count earlier calls: incomplete answer")
	}
	more := int64(len(under))
	return authz.Usage{Minute: n[0] + more, Hour: n[1] + more, Day: n[2] + more}, nil
}

// begin counts a call as under way until end.
func (r *Runner) begin(c *course) {
	calls := r.active[c.budget()]
	if calls == nil {
		calls = map[string]bool{}
		r.active[c.budget()] = calls
	}
	calls[c.txn] = true
}

// end takes a call out of those under way: only its entry counts from now.
func (r *Runner) end(c *course) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := c.budget()
	delete(r.active[key], c.txn)
	if len(r.active[key]) == 0 {
		delete(r.active, key)
	}
}
