package tools

import (
	"context"
	"fmt"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// usage counts what policies want counted: the entries of earlier calls, and the
// calls of this process that were allowed and may have no entry yet, so that many
// at the same moment do not all pass for the first. The caller holds mu.
func (r *Runner) usage(ctx context.Context, c *course, now time.Time, all bool) (authz.Usage, error) {
	of := store.UsageOf{
		Principal: c.caller.Subject(), API: c.tool.api.Document.Name, Tool: c.tool.op.Name, Agent: c.caller.Agent.ID,
		Since: [3]time.Time{now.Add(-time.Minute), now.Add(-time.Hour), now.Add(-24 * time.Hour)},
	}
	var groups []store.Tally
	for txn, other := range r.active {
		if t := other.tally(of); other.caller.Subject() == of.Principal && (all || t.SameTool) {
			of.Except = append(of.Except, txn)
			groups = append(groups, t)
		}
	}
	earlier, err := r.earlier(ctx, of, all)
	if err != nil {
		return authz.Usage{}, fmt.Errorf("count earlier calls: %v", err)
	}
	return approval.SumUsage(append(groups, earlier...)), nil
}

// earlier are the calls that have entries.
func (r *Runner) earlier(ctx context.Context, of store.UsageOf, all bool) ([]store.Tally, error) {
	if all {
		return r.Store.UsageOfAll(ctx, of)
	}
	n, err := r.Store.Usage(ctx, of)
	return []store.Tally{{SameAPI: true, SameTool: true, Calls: n}}, err
}

// tally is a call under way as it will be counted.
func (c *call) tally(of store.UsageOf) store.Tally {
	api := c.tool.api.Document.Name == of.API
	return store.Tally{Effect: string(c.tool.op.Effect), SameAPI: api, SameTool: api && c.tool.op.Name == of.Tool,
		SameAgent: c.caller.Agent.ID == of.Agent, Calls: [3]int64{1, 1, 1}}
}

// begin counts a call as under way until end.
func (r *Runner) begin(c *course) { r.active[c.txn] = c.call }

// end takes a call out of those under way: only its entry counts from now.
func (r *Runner) end(c *course) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.active, c.txn)
}
