package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// certainty says what is known of a request that was to be sent.
type certainty int

const (
	answered certainty = iota // the API answered
	notSent                   // it certainly never left
	lost                      // it may have arrived; there is no answer
)

// allowed sends a call that the policies allow. The entry of a write is on disk
// before the request leaves; that of a read before its answer does.
func (r *Runner) allowed(ctx context.Context, c *call) Result {
	if c.writes() {
		// The agent may hang up; a write that has begun must be seen through.
		ctx = context.WithoutCancel(ctx)
	}
	req, receipt, err := r.mint(ctx, c)
	if err != nil {
		c.err = err
		r.Store.Log(c.entry("denied", string(CredentialFailed)))
		return fail(CredentialFailed, "no credential could be had for this call; it was not executed")
	}
	e := c.entry("call", "")
	receipted(&e, receipt)
	onDisk := r.Store.Log(e)
	if c.writes() {
		if err := onDisk(); err != nil {
			c.err = err
			return fail(Internal, "the call could not be recorded and was not executed")
		}
	}
	res, _ := r.send(c, req)
	if err := onDisk(); err != nil {
		c.err = errors.Join(c.err, err)
		return fail(Internal, "the call could not be recorded; its answer is withheld")
	}
	outcome := r.Store.Log(c.outcome("outcome", res))
	if c.writes() {
		if err := outcome(); err != nil {
			c.err = errors.Join(c.err, err)
		}
	}
	return res
}

// writes reports whether the call changes something, as far as is known.
func (c *call) writes() bool { return c.tool.op.Effect != openapi.Read }

// mint makes the HTTP request from the stored bytes and attaches a credential
// made for exactly them.
func (r *Runner) mint(ctx context.Context, c *call) (*http.Request, token.Receipt, error) {
	q := c.request
	if base := c.tool.api.Document.BaseURL; q.Origin != origin(base) {
		return nil, token.Receipt{}, fmt.Errorf("the operation's own server is %s, and the API's credential is for %s: pass --base-url", q.Origin, base)
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, q.Origin+q.Target, bytes.NewReader(q.Body))
	if err != nil {
		return nil, token.Receipt{}, plain(err)
	}
	if got := req.URL.RequestURI(); got != q.Target {
		return nil, token.Receipt{}, fmt.Errorf("the request-target %q would be sent as %q", q.Target, got)
	}
	for k, v := range q.Header {
		req.Header[k] = v
	}
	if q.ContentType != "" {
		req.Header.Set("Content-Type", q.ContentType)
	}
	req.Header.Set("User-Agent", "exeat")
	p := c.caller.Principal
	agent, client := c.caller.Agent.ID, c.caller.Agent.ID
	if !c.caller.Agent.Verified {
		// What a program calls itself must not pass for a client that somebody knows.
		agent, client = "unverified:"+agent, "exeat"
	}
	receipt, err := c.tool.api.Credentials.Attach(ctx, token.Call{
		Txn:        c.txn,
		Subject:    p.ID,
		Agent:      agent,
		Client:     client,
		Audience:   c.tool.api.Audience,
		Scopes:     scopes(c.tool.op),
		AuthTime:   p.AuthTime,
		ACR:        p.ACR,
		Details:    c.details,
		TTL:        c.decision.Obligations.TokenTTL,
		Approval:   c.claim(),
		DecisionID: c.txn,
		PolicySet:  c.policies,
	}, req)
	return req, receipt, err
}

// origin is the scheme and host of a base URL, as requests name them.
func origin(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	return u.Scheme + "://" + strings.TrimSuffix(strings.ToLower(u.Host), port)
}

// claim is what a token says of the approval.
func (c *call) claim() *token.Approval {
	a := c.approval
	if a == nil {
		return nil
	}
	return &token.Approval{ID: c.handle, By: a.By.ID, At: a.At.Unix(), Until: a.Expires.Unix(), Once: a.Once, AMR: a.AMR, Details: c.digest}
}

// scopes are what the operation names in the first way of satisfying it.
func scopes(op *openapi.Operation) []string {
	var out []string
	if len(op.Security) > 0 {
		for _, need := range op.Security[0] {
			out = append(out, need.Scopes...)
		}
	}
	return out
}

// send sends once and reads the answer within the time-out.
func (r *Runner) send(c *call, req *http.Request) (Result, certainty) {
	ctx, cancel := context.WithTimeout(req.Context(), r.Timeout)
	defer cancel()
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	client := r.client
	if c.writes() {
		client = r.writer
	}
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		c.err = errors.Join(c.err, plain(err))
		return c.unanswered(err, connected.Load())
	}
	answer, err := c.tool.op.Decode(resp, r.ResponseLimit)
	if err != nil {
		c.err = errors.Join(c.err, plain(err))
		if c.writes() && resp.StatusCode < 400 {
			res := fail(OutcomeUnknown, "the API began to answer and then broke off; the call may have been executed")
			res.Envelope.HTTPStatus = resp.StatusCode
			return res, lost
		}
		return c.unanswered(err, true)
	}
	return c.respond(answer), answered
}

// unanswered is the truth about a request without an answer.
func (c *call) unanswered(err error, connected bool) (Result, certainty) {
	timeout := errors.Is(err, context.DeadlineExceeded)
	switch {
	case !connected && timeout:
		return fail(UpstreamTimeout, "the API could not be reached in time; nothing was executed"), notSent
	case !connected:
		return fail(UpstreamUnreachable, "the API could not be reached; nothing was executed"), notSent
	case c.writes():
		return fail(OutcomeUnknown, "the request was sent but no answer came; it may have been executed. Do not repeat it blindly: look first"), lost
	case timeout:
		return fail(UpstreamTimeout, "the API did not answer in time"), lost
	}
	return fail(UpstreamUnreachable, "the connection to the API broke before it answered"), lost
}

// plain drops what url.Error adds: the URL, whose query may hold a key.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// entry is the call as a line of the audit log.
func (c *call) entry(kind, code string) store.Entry {
	return store.Entry{
		Kind:      kind,
		Txn:       c.txn,
		Principal: c.caller.Subject(),
		Agent:     c.caller.Agent.ID,
		Session:   c.caller.Session.ID,
		API:       c.tool.api.Document.Name,
		Tool:      c.tool.op.Name,
		Method:    c.tool.op.Method,
		Path:      c.request.Path,
		Digest:    c.digest,
		Decision:  string(c.decision.Outcome),
		Policies:  c.decision.Policies,
		PolicySet: c.policies,
		Hold:      c.handle,
		Code:      code,
	}
}

// outcome is how the call came out as a line of the audit log.
func (c *call) outcome(kind string, res Result) store.Entry {
	e := c.entry(kind, string(res.Envelope.Code))
	e.Status = res.Envelope.HTTPStatus
	return e
}

// receipted notes which credential a request left with.
func receipted(e *store.Entry, t token.Receipt) {
	e.Strategy, e.JTI, e.Standing = t.Strategy, t.JTI, t.Standing
}
