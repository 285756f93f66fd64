package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

// releases bounds how many approved calls one process sends to one API at a time.
// If that many get no answer, the next one of that API waits for a time-out, a
// look at what became of the call, and the disk: no longer than a lease.
const releases = 8

// sweep is how often holds whose time is over are looked for.
const sweep = 5 * time.Second

// slots are what is being sent to each API, so that one which hangs keeps no
// call of another waiting.
type slots struct {
	mu    sync.Mutex
	busy  map[string]int // guarded by mu
	freed chan struct{}  // receives after a slot was given back
}

// free names the APIs to which something can be sent.
func (s *slots) free(apis []*API) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, a := range apis {
		if s.busy[a.Document.Name] < releases {
			names = append(names, a.Document.Name)
		}
	}
	return names
}

// add takes a slot, or with -1 gives it back.
func (s *slots) add(api string, n int) {
	s.mu.Lock()
	s.busy[api] += n
	s.mu.Unlock()
	if n < 0 {
		select {
		case s.freed <- struct{}{}:
		default:
		}
	}
}

// Run releases approved calls of the runner's APIs until ctx ends, then waits
// for those being sent. Whichever process claims a hold first sends it.
func (r *Runner) Run(ctx context.Context) error {
	changed, stop := r.Store.Watch()
	defer stop()
	tick := time.NewTicker(sweep)
	defer tick.Stop()
	var sending sync.WaitGroup
	defer sending.Wait()
	slots := &slots{busy: map[string]int{}, freed: make(chan struct{}, 1)}
	for {
		for ctx.Err() == nil {
			h, err := r.Holds.Claim(ctx, slots.free(r.APIs), r.serves, r.owner, r.lease())
			if errors.Is(err, approval.ErrTampered) || errors.Is(err, approval.ErrForbidden) {
				r.trouble(fmt.Errorf("refused an approved call: %w", err))
				continue // refused and recorded; there may be others
			}
			if err != nil {
				if !errors.Is(err, approval.ErrNotFound) && ctx.Err() == nil {
					r.trouble(fmt.Errorf("look for approved calls: %w", err))
				}
				break
			}
			slots.add(h.API, 1)
			sending.Go(func() {
				defer slots.add(h.API, -1)
				r.release(context.WithoutCancel(ctx), h)
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-slots.freed:
		case <-tick.C:
			if err := r.Holds.Sweep(ctx); err != nil && ctx.Err() == nil {
				r.trouble(fmt.Errorf("expire holds: %w", err))
			}
		}
	}
}

// serves reports whether a hold is for this process: the same document, sent to
// the same place, for a principal that it knows. Another process may serve the
// same API elsewhere on the same database.
func (r *Runner) serves(h store.Hold) bool {
	t, ok := r.byOp[[2]string{h.API, h.Tool}]
	var d token.Details
	var p authz.Principal
	if !ok || json.Unmarshal(h.Details, &d) != nil || json.Unmarshal(h.Principal, &p) != nil {
		return false
	}
	_, known := r.Current(p)
	return known && d.Document == t.api.Document.Digest && len(d.Locations) == 1 && d.Locations[0] == t.api.Audience
}

// lease is how long a claim holds: the whole time that a send and the looks before
// and after it may take, and some for the disk.
func (r *Runner) lease() time.Duration {
	return r.Timeout + lookWithin + 2*beforeWithin + 30*time.Second
}

// trouble tells the operator of something that belongs to no call.
func (r *Runner) trouble(err error) {
	if r.Observe != nil {
		r.Observe(Event{Time: r.Now(), Status: Failed, Code: Internal, Err: err})
	}
}

// release sends a claimed hold, if it still is what was approved and the
// policies still allow it, and records what came of it.
func (r *Runner) release(ctx context.Context, h store.Hold) {
	entry := store.Entry{Txn: h.Txn, Principal: h.Subject, API: h.API, Tool: h.Tool, Hold: h.ID, Digest: h.Digest}
	defer func() {
		if v := recover(); v != nil {
			entry.Kind, entry.Code = "unknown", string(OutcomeUnknown)
			r.finish(ctx, h, approval.Lose{}, entry)
			r.trouble(fmt.Errorf("release %s: panic: %v", h.ID, v))
		}
	}()
	c, err := r.revive(h)
	if err != nil {
		entry.Kind, entry.Code, entry.Note = "refuse", string(PolicyChanged), err.Error()
		r.finish(ctx, h, approval.Refuse{}, entry)
		r.trouble(fmt.Errorf("release %s: %w", h.ID, err))
		return
	}
	defer r.end(c)
	res := r.released(ctx, c, h)
	r.observe(c, res)
}

// revive rebuilds a call from its hold. The request is the stored one; encoding
// the stored arguments again only proves that the two still belong together.
func (r *Runner) revive(h store.Hold) (*call, error) {
	t, ok := r.byOp[[2]string{h.API, h.Tool}]
	if !ok {
		return nil, fmt.Errorf("the operation %s of %s is not served any more", h.Tool, h.API)
	}
	c := &call{tool: t, txn: h.Txn, policies: r.Engine.Digest(), start: r.Now(), request: h.Request, handle: h.ID, before: h.Before}
	for _, f := range []struct {
		from json.RawMessage
		to   any
	}{{h.Principal, &c.caller.Principal}, {h.Agent, &c.caller.Agent}, {h.Session, &c.caller.Session}} {
		if err := json.Unmarshal(f.from, f.to); err != nil {
			return nil, fmt.Errorf("read who asked: %v", err)
		}
	}
	if c.caller.Subject() != h.Subject {
		return nil, errors.New("the stored principal is not the one who asked")
	}
	if p, known := r.Current(c.caller.Principal); known {
		c.caller.Principal = p
	} else {
		return nil, errors.New("the principal is not known any more")
	}
	var err error
	if c.args, err = t.op.Parse(h.Args); err != nil {
		return nil, fmt.Errorf("the stored arguments do not fit any more: %v", err)
	}
	again, err := t.op.Encode(c.args)
	if err != nil {
		return nil, fmt.Errorf("the stored arguments do not encode any more: %v", err)
	}
	if !sameRequest(conditioned(kept(again), h.Before), h.Request) {
		return nil, errors.New("the stored request is not what its arguments stand for")
	}
	c.details = c.bind()
	if c.digest = c.details.Digest(); c.digest != h.Digest {
		return nil, errors.New("the stored request does not have the digest that was approved")
	}
	if c.approval, err = approval.ApprovalOf(h); err != nil {
		return nil, fmt.Errorf("read the approval: %v", err)
	}
	c.grant = h.Approval.Grant
	return c, nil
}

// sameRequest compares requests byte for byte, taking nil and empty as equal.
func sameRequest(a, b store.Request) bool {
	if len(a.Header) == 0 && len(b.Header) == 0 {
		a.Header, b.Header = nil, nil
	}
	if len(a.Body) == 0 && len(b.Body) == 0 {
		a.Body, b.Body = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

// released takes a revived call from the second decision to its answer.
func (r *Runner) released(ctx context.Context, c *call, h store.Hold) Result {
	if _, err := r.standing(ctx, c); err != nil {
		return r.unsent(ctx, c, h, r.stopped(c, err), DeniedNotExecuted)
	}
	if r.decide(ctx, c); c.decision.Outcome != authz.Allow {
		d := c.decision
		res := deny(PolicyChanged, "approved, but refused when it was to be sent: "+d.Reason+"; nothing was executed", d.Policies, d.Remediation)
		return r.unsent(ctx, c, h, res, DeniedNotExecuted)
	}
	if c.after = r.moved(ctx, c); c.after != nil {
		return r.unsent(ctx, c, h, stateChanged(c.after), DeniedNotExecuted)
	}
	req, receipt, err := r.mint(ctx, c)
	if err != nil {
		c.err = err
		return r.unsent(ctx, c, h, fail(CredentialFailed, "approved, but no credential could be had; nothing was executed"), ExecutionError)
	}
	e := c.entry("send", "")
	e.By = c.approval.By.Type + "::" + c.approval.By.ID
	receipted(&e, receipt)
	if err := r.record(ctx, c, e)(); err != nil {
		c.err = err
		if c.lapsed {
			return r.unsent(ctx, c, h, deny(PolicyChanged, "approved for a time, but a person took that back before it was sent; nothing was executed", nil, authz.RemedyApproval), DeniedNotExecuted)
		}
		return r.unsent(ctx, c, h, fail(Internal, "approved, but the send could not be recorded; nothing was executed"), ExecutionError)
	}
	res, sure := r.send(c, req)
	switch sure {
	case notSent:
		return r.unsent(ctx, c, h, res, ExecutionError)
	case lost:
		res.Envelope.Lookup = r.lookUp(ctx, c)
		res = final(h, res, UnknownOutcome)
		r.finish(ctx, h, approval.Lose{Result: mustJSON(res)}, c.outcome("unknown", res))
		return res
	}
	if res.Envelope.HTTPStatus == http.StatusPreconditionFailed && c.matched() {
		c.after = r.readState(ctx, c)
		res = stateChanged(nil)
		res.Envelope.HTTPStatus = http.StatusPreconditionFailed
		return r.unsent(ctx, c, h, res, DeniedNotExecuted)
	}
	res = final(h, res, ApprovedExecuted)
	if res.IsError() {
		res.Disposition = ExecutionError
	}
	r.finish(ctx, h, approval.Finish{Result: mustJSON(res)}, c.outcome("outcome", res))
	return res
}

// unsent records that an approved call was not sent, or that the API did not take
// it for what had changed.
func (r *Runner) unsent(ctx context.Context, c *call, h store.Hold, res Result, disposition string) Result {
	res = final(h, res, disposition)
	r.finish(ctx, h, approval.Refuse{Result: mustJSON(res), After: c.after}, c.outcome("refuse", res))
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
