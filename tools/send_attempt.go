package tools

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

// stage is how far an attempt came.
type stage int

const (
	answered   stage = iota // the API answered
	notSent                 // the request certainly never left
	lost                    // it may have arrived; there is no answer
	changed                 // the API did not take it: what it changes is not as the person saw it
	unclaimed               // the API did nothing, since it wants other claims of the caller's login
	uncredited              // there was no credential; nothing was sent
	gone                    // the caller went away; nothing was sent
	unrecorded              // its entry is not on disk; nothing was sent
	lapsed                  // the rule that allowed it did not hold until the send; nothing was sent
	stopped                 // the agent or its user was stopped before the send; nothing was sent
	withheld                // its entry is not on disk, and the answer is not given
)

// sent reports whether a request was tried to be sent.
func (s stage) sent() bool { return s <= unclaimed }

// manner is how a call is sent: all that distinguishes a read, a write and a
// call that a person approved.
type manner struct {
	entry    store.Kind // the kind of the entry of its first request
	first    bool       // entries are on disk before a request leaves, and not only before the answer does
	tries    int        // how often a request may be sent at most, each time with a token and entry of its own
	detached bool       // the caller may hang up; what has begun is seen through
	hold     bool       // what becomes of it is the end of its hold, which keeps the whole answer
	ends     map[stage]ending
}

// ending is what a stage leaves behind.
type ending struct {
	entry       store.Kind // the kind of the last entry; none if empty
	answer      *Result    // in place of what the API answered
	disposition string
}

var (
	reading = manner{entry: store.KindCall, tries: 3, ends: map[stage]ending{
		answered:   {entry: store.KindOutcome},
		notSent:    {entry: store.KindOutcome},
		lost:       {entry: store.KindOutcome},
		unclaimed:  {entry: store.KindOutcome},
		uncredited: {entry: store.KindDenied, answer: noCredential},
		gone:       {entry: store.KindDenied},
		unrecorded: {answer: noEntry},
		stopped:    {}, // answerStop has told it
		withheld:   {answer: failure(Internal, "the call could not be recorded; its answer is withheld")},
	}}
	writing   = manner{entry: store.KindCall, first: true, tries: 1, detached: true, ends: reading.ends}
	releasing = manner{entry: store.KindSend, first: true, tries: 1, detached: true, hold: true, ends: map[stage]ending{
		answered:   {entry: store.KindOutcome, disposition: ApprovedExecuted},
		notSent:    {entry: store.KindRefuse, disposition: ExecutionError},
		lost:       {entry: store.KindUnknown, disposition: UnknownOutcome},
		changed:    {entry: store.KindRefuse, disposition: DeniedNotExecuted, answer: notTaken()},
		unclaimed:  {entry: store.KindKept},
		uncredited: {entry: store.KindKept, answer: noCredential},
		unrecorded: {entry: store.KindRefuse, disposition: ExecutionError, answer: failure(Internal, "approved, but the send could not be recorded; nothing was executed")},
		lapsed:     {entry: store.KindRefuse, disposition: DeniedNotExecuted, answer: takenBack},
		stopped:    refused,
	}}

	noCredential = failure(CredentialFailed, "no credential could be had for this call; it was not executed")
	noEntry      = failure(Internal, "the call could not be recorded and was not executed")
	takenBack    = refusal(PolicyChanged, "approved for a time, but a person took that back before it was sent; nothing was executed", authz.RemedyApproval)
	refused      = ending{entry: store.KindRefuse, disposition: DeniedNotExecuted}
)

// notTaken is the answer to an approved call that the API itself found to be for
// another state.
func notTaken() *Result {
	res := stateChanged(nil)
	res.Envelope.HTTPStatus = http.StatusPreconditionFailed
	return &res
}

// failure and refusal are answers of a table.
func failure(code Code, reason string) *Result {
	res := fail(code, reason)
	return &res
}

func refusal(code Code, reason string, remedy authz.Remediation) *Result {
	res := deny(code, reason, nil, remedy)
	return &res
}

// mannerOf is how a call that is allowed at once is sent.
func mannerOf(c *course) *manner {
	if c.writes() {
		return &writing
	}
	return &reading
}

// attempt takes a call that may go from its credential to what became of it. No
// request leaves from anywhere else.
func (r *Runner) attempt(ctx context.Context, c *course, m *manner) (Result, stage) {
	if m.detached {
		ctx = context.WithoutCancel(ctx)
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout) // of all tries together
		defer cancel()
	}
	var res Result
	var at stage
	var entries []func() error
	since := ""
	for n := 1; ; n++ {
		next, reached, onDisk := r.try(ctx, c, m, since)
		if n > 1 && !reached.sent() {
			break // the answer to the request before stands
		}
		res, at = next, reached
		if onDisk != nil {
			entries = append(entries, onDisk)
		}
		wait, again := c.again(res, at, n, m.tries)
		if !again || r.sleep(ctx, wait) != nil {
			break
		}
		since = fmt.Sprintf("request %d of this call, since %s", n+1, why(res))
	}
	for _, onDisk := range entries {
		if err := onDisk(); err != nil {
			c.fail(err)
			at = withheld
		}
	}
	return r.conclude(ctx, c, m, at, res), at
}

// try sends once: the credential, the entry, the request. since says why it is
// not the first time. The entry of a request that was sent may still be on its
// way to the disk; onDisk waits for it.
func (r *Runner) try(ctx context.Context, c *course, m *manner, since string) (res Result, at stage, onDisk func() error) {
	req, receipt, err := r.mint(ctx, c)
	if err != nil && hungUp(ctx) {
		return cancelled(), gone, nil
	}
	if err != nil {
		c.lack(err)
		return res, uncredited, nil
	}
	if c.stale && c.knows(req) {
		c.fail(errSameCredential)
		return res, uncredited, nil
	}
	c.learn(req)
	defer r.spend(ctx, c, receipt)
	if m.first {
		if res, at, late := r.late(ctx, c); late {
			return res, at, nil
		}
	}
	onDisk = r.record(ctx, c, c.sending(m, since, receipt))
	if m.first || c.grant != "" {
		switch err := onDisk(); {
		case errors.Is(err, approval.ErrNoGrant):
			return res, lapsed, nil
		case err != nil:
			c.fail(err)
			return res, unrecorded, nil
		}
	}
	c.tell, c.wants, c.asks = receipt.Answered, false, nil
	res, at = r.send(c, req)
	res.remarkRefused(receipt.Strategy)
	c.refused = at == answered && !c.renewed && stales(res.Envelope.HTTPStatus, c.asks, receipt)
	if at == answered && res.Envelope.HTTPStatus == http.StatusPreconditionFailed && c.matched() {
		at = changed
	}
	if at == answered && r.wantsClaims(c, res.Envelope.HTTPStatus, receipt) {
		at = unclaimed
	}
	return res, at, onDisk
}

// late reports whether a write must not leave any more: its credential may have taken a
// while, and meanwhile somebody can be stopped, and an approval or a claim can end.
func (r *Runner) late(ctx context.Context, c *course) (Result, stage, bool) {
	if h := c.hold; h != nil && (!r.Now().Before(h.Approval.Expires) || !r.Now().Before(h.Lease)) {
		c.lack(errors.New("its credential came after the approval, or the time to send it, had ended"))
		return Result{}, uncredited, true
	}
	if _, err := r.rulesFor(ctx, c.caller); err != nil {
		return r.answerStop(c, err), stopped, true
	}
	return Result{}, 0, false
}

// sending is the entry of one request of a call.
func (c *course) sending(m *manner, since string, t token.Receipt) store.Entry {
	e := c.entry(m.entry, "")
	if since != "" {
		e.Kind, e.Note = store.KindRetry, join(e.Note, since)
	}
	if c.approval != nil {
		e.By = c.approval.By.Name()
	}
	e.Strategy, e.JTI, e.Standing, e.Credential = t.Strategy, t.JTI, t.Standing, credentialOf(t)
	return e
}

// record puts the entry of a send on disk. A grant is checked again and counted
// with it, and is ErrNoGrant if it does not hold any more: the call must not leave.
// What the API asked for a moment ago, having done nothing, is no other use of it.
func (r *Runner) record(ctx context.Context, c *course, e store.Entry) (wait func() error) {
	if c.entered = nil; c.grant == "" || c.wants {
		c.entered = r.Store.LogCall(e)
		return c.entered.Wait
	}
	e.Time = r.Now()
	err := r.Holds.Use(ctx, c.grant, c.shape(), e)
	return func() error { return err }
}

// conclude records what became of an attempt, and is its answer.
func (r *Runner) conclude(ctx context.Context, c *course, m *manner, at stage, res Result) Result {
	end := m.ends[at]
	if end.answer != nil {
		res = *end.answer
	}
	switch {
	case at == changed:
		c.found, _ = r.readState(ctx, c.call)
	case at == lost && c.writes() && m.hold:
		res.Envelope.Lookup = r.lookUp(ctx, c.call)
	}
	res = c.scrubResult(res)
	if at == uncredited || at == unclaimed {
		res = c.tellNeeds(res)
	}
	if m.hold {
		return r.endHold(ctx, c, end, res)
	}
	if end.entry == "" {
		return res
	}
	last := c.outcome(end.entry, res)
	if at == answered && !m.first && c.wentWell(last) {
		c.entered.End(last.Status)
		return res
	}
	onDisk := r.Store.Log(last)
	if m.first || c.purpose.peek { // in the log before what is made of it
		if err := onDisk(); err != nil {
			c.fail(err)
		}
	}
	if at == lost && c.writes() {
		res.Envelope.Lookup = r.lookUp(ctx, c.call)
		res = c.scrubResult(res)
	}
	return res
}
