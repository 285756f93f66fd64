package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/token"
)

// decide asks the policies. Usage that cannot be counted is a deny.
func (r *Runner) decide(ctx context.Context, c *course) {
	now := r.Now()
	own, all := r.Engine.ReadsUsage(c.tool.api.Document.Name, c.tool.op.Name)
	if r.Store == nil || !own && !all {
		r.ask(c, now, authz.Usage{})
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock() // no other call may be counted between this count and its decision
	usage, err := r.usage(ctx, c, now, all)
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
	q := authz.Query{
		API:       c.tool.api.Document.Name,
		Action:    c.tool.op.Name,
		Principal: c.caller.Principal,
		Agent:     c.caller.Agent,
		Session:   c.caller.Session,
		Usage:     usage,
		Now:       now,
		Path:      c.request.Path,
		Exact:     c.named(),
		Input:     c.args.Value(),
		Approval:  c.approval,
		Earlier:   c.earlier,
	}
	c.decision, c.needs = r.Engine.Decide(q), authz.Stronger{}
	if c.decision.Outcome == authz.Deny && c.approval == nil && c.caller.Agent.Issuer != "" {
		c.needs = r.Engine.Strengthen(q, authz.Could{Scopes: slices.Concat(anyScopes(c.tool.op), c.caller.Could.Scopes), ACR: c.caller.Could.ACR})
		if c.needs.Exact {
			details, err := json.Marshal([]token.Details{c.details})
			c.err = errors.Join(c.err, err)
			c.needs.Details = details
		}
	}
	for _, e := range c.decision.Errors {
		c.err = errors.Join(c.err, errors.New(e))
	}
}

// named reports whether the caller's token names exactly this call: its
// authorization_details have those of the call, with nothing missing and nothing
// besides.
func (c *course) named() bool {
	for _, raw := range c.caller.Details {
		var d token.Details
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if dec.Decode(&d) == nil && d.Equal(c.details) {
			return true
		}
	}
	return false
}
