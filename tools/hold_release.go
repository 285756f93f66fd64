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

// release sends a claimed hold, if it still is what was approved and the
// policies still allow it, and records what came of it. with is the caller who
// resumes it, if that is who releases it.
func (r *Runner) release(ctx context.Context, h store.Hold, with Caller) {
	entry := store.Entry{Txn: h.Txn, Principal: h.Subject, API: h.API, Tool: h.Tool, Hold: h.ID, Digest: h.Digest}
	defer func() {
		if v := recover(); v != nil {
			entry.Kind, entry.Code = store.KindUnknown, string(OutcomeUnknown)
			r.finish(ctx, h, approval.Lose{}, entry)
			r.trouble(fmt.Errorf("release %s: panic: %v", h.ID, v))
		}
	}()
	c, err := r.revive(h)
	if err != nil {
		entry.Kind, entry.Code, entry.Note = store.KindRefuse, string(PolicyChanged), err.Error()
		r.finish(ctx, h, approval.Refuse{}, entry)
		r.trouble(fmt.Errorf("release %s: %w", h.ID, err))
		return
	}
	defer r.end(c)
	c.caller.Token, c.caller.TokenBound = with.Token, with.TokenBound
	res := r.sendApproved(ctx, c)
	r.observe(c, res)
}

// sendApproved takes a revived call from the second decision to its answer.
func (r *Runner) sendApproved(ctx context.Context, c *course) Result {
	if _, err := r.rulesFor(ctx, c.caller); err != nil {
		return r.endHold(ctx, c, refused, r.answerStop(c, err))
	}
	if r.decide(ctx, c); c.decision.Outcome != authz.Allow {
		d := c.decision
		return r.endHold(ctx, c, refused, deny(PolicyChanged, "approved, but refused when it was to be sent: "+d.Reason+"; nothing was executed", d.Policies, d.Remediation))
	}
	switch c.found = r.moved(ctx, c); {
	case c.found != nil:
		return r.endHold(ctx, c, refused, stateChanged(c.found))
	case c.lacked:
		return r.conclude(ctx, c, &releasing, uncredited, Result{})
	}
	res, _ := r.attempt(ctx, c, &releasing)
	return res
}

// endHold records what became of a released call, for its handle.
func (r *Runner) endHold(ctx context.Context, c *course, end ending, res Result) Result {
	res = final(*c.hold, res, end.disposition)
	if res.Disposition == ApprovedExecuted && res.IsError() {
		res.Disposition = ExecutionError
	}
	var ev approval.Event
	switch end.entry {
	case store.KindKept:
		r.keep(c)
		ev = approval.Keep{Refused: c.asks != nil}
	case store.KindOutcome:
		ev = approval.Finish{Result: mustJSON(res)}
	case store.KindUnknown:
		ev = approval.Lose{Result: mustJSON(res)}
	default:
		ev = approval.Refuse{Result: mustJSON(res), After: c.found}
	}
	if end.entry != store.KindKept {
		r.kept.forget(c.handle)
	}
	r.finish(ctx, *c.hold, ev, c.outcome(end.entry, res))
	return res
}

// finishTries bounds how often the end of a hold is tried to be recorded.
const finishTries = 3

var finishWait = 200 * time.Millisecond // between the first two tries

// finish records the end of a claimed hold, and tries again if the disk fails. If
// even that does not help, the claim's lease runs out and the hold becomes
// unknown: never sent again.
func (r *Runner) finish(ctx context.Context, h store.Hold, ev approval.Event, e store.Entry) {
	for n := 1; ; n++ {
		_, err := r.Holds.Finish(ctx, h, ev, e)
		if err == nil || n > 1 && errors.Is(err, approval.ErrDecided) {
			return // the second: a try that failed was kept all the same
		}
		r.trouble(fmt.Errorf("record the end of %s: %w", h.ID, err))
		if n == finishTries || errors.Is(err, approval.ErrDecided) {
			return
		}
		time.Sleep(time.Duration(n) * finishWait)
	}
}
