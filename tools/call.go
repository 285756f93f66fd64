package tools

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// call is one use of a tool on its way.
type call struct {
	caller   Caller
	tool     *Tool
	txn      string
	policies string // digest of the policy set
	start    time.Time
	args     *openapi.Args
	request  store.Request
	details  token.Details
	digest   string
	decision authz.Decision
	approval *authz.Approval // what a person said, on release
	handle   string          // on release
	grant    string          // that stands for the approval
	lapsed   bool            // the grant did not hold until the send
	selected *projection     // what the agent wants of the answer; nil is all
	says     string          // the agent's reason, for whoever decides; it is part of nothing else
	note     string          // for its entries
	asked    string          // equal for equal calls: what a person is asked about once
	state    *store.Before   // what it reads goes here, for a person
	before   *store.Before   // what it changes, as a person saw it
	after    *store.Before   // the same when it was to be sent, if that is another
	err      error           // for the operator
}

// budget names what the usage of a call is counted for.
func (c *call) budget() [3]string {
	return [3]string{c.caller.Subject(), c.tool.api.Document.Name, c.tool.op.Name}
}

// Call answers one use of a tool. raw are the arguments as the agent sent them.
// The answer is never an error: what the agent must not see goes to Observe.
func (r *Runner) Call(ctx context.Context, caller Caller, name string, raw []byte) Result {
	c, res := r.prepare(caller, name, raw)
	if c == nil {
		return res
	}
	defer func() { r.observe(c, res) }()
	defer r.end(c)
	if c.args == nil || c.digest == "" {
		r.Store.Log(c.entry("denied", string(res.Envelope.Code)))
		return res
	}
	rules, err := r.standing(ctx, c)
	if err != nil {
		return r.stopped(c, err)
	}
	r.decide(ctx, c)
	if c.decision.Outcome == authz.Hold {
		if answer, ok := r.decidedBefore(ctx, c, rules); ok {
			res = answer
			return res
		}
	}
	switch c.decision.Outcome {
	case authz.Allow:
		res = r.allowed(ctx, c)
	case authz.Hold:
		res = r.hold(ctx, c)
	default:
		res = r.denied(c)
	}
	return res
}

// prepare checks the arguments and encodes the request. It returns no call if
// there is no such tool, and a call without digest if the arguments are refused.
func (r *Runner) prepare(caller Caller, name string, raw []byte) (*call, Result) {
	t, ok := r.byName[name]
	if ok && !r.Visible(caller, t) {
		r.Hidden(caller, t)
		ok = false
	}
	if !ok {
		return nil, fail(InvalidArguments, fmt.Sprintf("there is no tool %q", name))
	}
	c := &call{caller: caller, tool: t, txn: newTxn(), policies: r.Engine.Digest(), start: r.Now()}
	var err error
	var beside map[string]any
	if c.args, beside, err = t.op.ParseBeside(raw, selectArg, reasonArg); err != nil {
		return c, c.invalid(err)
	}
	if c.selected, err = chosen(beside[selectArg]); err == nil {
		c.says, err = said(beside[reasonArg])
	}
	if err != nil {
		c.args = nil
		return c, c.invalid(err)
	}
	req, err := t.op.Encode(c.args)
	if err != nil {
		return c, c.invalid(err)
	}
	c.request = kept(req)
	if len(c.request.Target) > maxTarget {
		err := &openapi.ArgumentError{Problems: []openapi.Problem{{Message: "together make a URL that is too long"}}}
		return c, c.invalid(err)
	}
	c.details = c.bind()
	c.digest = c.details.Digest()
	return c, Result{}
}

// kept is a request as holds keep it.
func kept(q *openapi.Request) store.Request {
	return store.Request{Method: q.Method, Origin: q.Origin, Target: q.Target, Path: q.Path,
		ContentType: q.ContentType, Header: q.Header, Body: q.Body}
}

// maxTarget bounds a request-target: servers take no longer ones. maxHeld bounds
// the body of a call that waits, since all that waits is kept and shown.
const (
	maxTarget = 8 << 10
	maxHeld   = 1 << 20
)

// bind names the request exactly. Made anew from stored bytes, it must come out
// the same.
func (c *call) bind() token.Details {
	q := c.request
	return token.Bind(c.tool.api.Audience, q.Method, q.Target, q.ContentType, q.Header, q.Body, c.tool.op.Name, c.tool.api.Document.Digest)
}

// invalid is the answer to arguments that do not fit.
func (c *call) invalid(err error) Result {
	c.err = err
	var args *openapi.ArgumentError
	if !errors.As(err, &args) {
		return fail(Internal, "the request could not be made from these arguments; the operator's log says why")
	}
	res := fail(InvalidArguments, "the arguments do not fit the tool's input schema")
	res.Envelope.Remediation = authz.RemedyArgs
	for _, p := range args.Problems {
		res.Envelope.Problems = append(res.Envelope.Problems, Problem(p))
	}
	return res
}

// decide asks the policies. Usage that cannot be counted is a deny.
func (r *Runner) decide(ctx context.Context, c *call) {
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

func (r *Runner) ask(c *call, now time.Time, usage authz.Usage) {
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

// denied records and answers a deny. An entry that cannot be written changes
// nothing: the answer stays no.
func (r *Runner) denied(c *call) Result {
	if err := r.Store.Log(c.entry("denied", string(PolicyDenied)))(); err != nil {
		c.err = errors.Join(c.err, err)
	}
	d := c.decision
	return deny(PolicyDenied, d.Reason, d.Policies, d.Remediation)
}

// hold keeps the call until a person decides.
func (r *Runner) hold(ctx context.Context, c *call) Result {
	if len(c.request.Body) > maxHeld {
		res := fail(InvalidArguments, "a call that needs a person can have a body of at most 1 MiB")
		res.Envelope.Remediation = authz.RemedyArgs
		return res
	}
	c.asked = dedupe(c.caller.Subject(), c.caller.Agent.ID, c.digest, string(c.args.Canonical()))
	h, waits, err := r.waits(ctx, c)
	if err == nil && !waits {
		if h, err = c.held(); err == nil {
			h, err = r.Holds.Open(ctx, h)
		}
	}
	switch {
	case errors.Is(err, approval.ErrTooMany):
		c.err = err
		return fail(RateLimited, "too many of your calls wait for a person, or waited within the last hour: wait for decisions before you make more")
	case err != nil:
		c.err = err
		return fail(Internal, "the call was not executed, and it is not sure that it waits for a person: make the same call again, which asks only once")
	}
	c.handle = h.ID
	return r.pending(h)
}

// held is the call as a hold.
func (c *call) held() (store.Hold, error) {
	parts := [...]any{c.caller.Principal, c.caller.Agent, c.caller.Session, c.details, c.decision.Choices}
	var blobs [len(parts)]json.RawMessage
	for i, v := range parts {
		b, err := json.Marshal(v)
		if err != nil {
			return store.Hold{}, err
		}
		blobs[i] = b
	}
	return store.Hold{
		API:       c.tool.api.Document.Name,
		Tool:      c.tool.op.Name,
		Effect:    string(c.tool.op.Effect),
		Summary:   c.summary(),
		Principal: blobs[0],
		Subject:   c.caller.Subject(),
		Agent:     blobs[1],
		Session:   blobs[2],
		Args:      c.args.Canonical(),
		Request:   c.request,
		Details:   blobs[3],
		Digest:    c.digest,
		Dedupe:    c.asked,
		Policies:  c.decision.Policies,
		Reason:    c.decision.Reason,
		PolicySet: c.policies,
		Choices:   blobs[4],
		Txn:       c.txn,
		Before:    c.before,
		Says:      c.says,
		Masked:    c.tool.op.Secrets(c.args, c.tool.api.Mask...),
	}, nil
}

// summary says what the call does in words of the document and the request.
func (c *call) summary() string {
	s := c.request.Method + " " + c.request.Path
	if c.tool.op.Summary != "" {
		s += ": " + c.tool.op.Summary
	}
	return s
}

// dedupe is equal for equal calls of one agent of one principal.
func dedupe(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// newTxn names a call: the same in its entries, its hold, its token and logs.
func newTxn() string { return "txn_" + rand.Text() }

// observe tells of a call that has its answer.
func (r *Runner) observe(c *call, res Result) {
	if r.Observe == nil {
		return
	}
	now := r.Now()
	r.Observe(Event{
		Time: now, Duration: now.Sub(c.start), Txn: c.txn,
		Subject: c.caller.Subject(), Agent: c.caller.Agent.ID,
		API: c.tool.api.Document.Name, Tool: c.tool.Name,
		Decision: c.decision.Outcome, Policies: c.decision.Policies,
		Status: res.Envelope.Status, Code: res.Envelope.Code, HTTP: res.Envelope.HTTPStatus,
		Handle: c.handle, Err: c.err,
	})
}
