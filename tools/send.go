package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// allowed sends a call that the policies allow.
func (r *Runner) allowed(ctx context.Context, c *call) Result {
	if c.writes() {
		// The agent may hang up; a write that has begun must be seen through.
		return r.write(context.WithoutCancel(ctx), c)
	}
	return r.read(ctx, c)
}

// write sends once. The entry is on disk before the request leaves.
func (r *Runner) write(ctx context.Context, c *call) Result {
	req, receipt, err := r.mint(ctx, c)
	if err != nil {
		return r.uncredited(c, err)
	}
	e := c.entry("call", "")
	receipted(&e, receipt)
	if err := r.record(ctx, c, e)(); err != nil {
		c.err = err
		return fail(Internal, "the call could not be recorded and was not executed")
	}
	res, sure := r.send(c, req)
	if err := r.Store.Log(c.outcome("outcome", res))(); err != nil {
		c.err = errors.Join(c.err, err)
	}
	if sure == lost {
		res.Envelope.Lookup = r.lookUp(ctx, c)
	}
	return res
}

// read sends, and sends again where that may help and cannot harm: each time
// with a token and an entry of its own, all within the time-out of one request.
// The entries are on disk before the answer leaves.
func (r *Runner) read(ctx context.Context, c *call) Result {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	var res Result
	var entries []func() error
	kind, note := "call", ""
	for n := 1; ; n++ {
		req, receipt, err := r.mint(ctx, c)
		if err != nil && n == 1 {
			return r.uncredited(c, err)
		}
		if err != nil {
			c.err = errors.Join(c.err, err)
			break // the answer to the request before stands
		}
		e := c.entry(kind, "")
		e.Note = join(e.Note, note)
		receipted(&e, receipt)
		onDisk := r.record(ctx, c, e)
		if c.grant != "" {
			if err := onDisk(); err != nil && n == 1 {
				c.err = err
				return fail(Internal, "the call could not be recorded and was not executed")
			} else if err != nil {
				c.err, c.lapsed = errors.Join(c.err, err), false
				break // the answer to the request before stands
			}
		}
		entries = append(entries, onDisk)
		var sure certainty
		res, sure = r.send(c, req)
		wait, again := c.again(res, sure, n)
		if !again || r.sleep(ctx, wait) != nil {
			break
		}
		kind, note = "retry", fmt.Sprintf("request %d of this call, since %s", n+1, why(res))
	}
	for _, onDisk := range entries {
		if err := onDisk(); err != nil {
			c.err = errors.Join(c.err, err)
			return fail(Internal, "the call could not be recorded; its answer is withheld")
		}
	}
	onDisk := r.Store.Log(c.outcome("outcome", res))
	if c.state != nil { // in the log before what is made of it
		if err := onDisk(); err != nil {
			c.err = errors.Join(c.err, err)
		}
	}
	return res
}

// uncredited is the answer to a call for which there is no credential.
func (r *Runner) uncredited(c *call, err error) Result {
	c.err = err
	r.Store.Log(c.entry("denied", string(CredentialFailed)))
	return fail(CredentialFailed, "no credential could be had for this call; it was not executed")
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
	req.Header.Set("Accept-Encoding", openapi.AcceptEncoding)
	if c.state != nil {
		req.Header.Set("Accept-Encoding", "identity") // some servers give what is packed an ETag of its own
	}
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
	id := c.handle
	if id == "" {
		id = c.grant
	}
	return &token.Approval{ID: id, By: a.By.ID, At: a.At.Unix(), Until: a.Expires.Unix(), Once: a.Once, AMR: a.AMR, Details: c.digest}
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

// send sends once and reads the answer within the time-out. Redirects are not
// followed: they are answers.
func (r *Runner) send(c *call, req *http.Request) (Result, certainty) {
	ctx, cancel := context.WithTimeout(req.Context(), r.Timeout)
	defer cancel()
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	sender := r.reader
	if c.writes() {
		sender = r.writer
	}
	resp, err := sender.RoundTrip(unrepeated(req).WithContext(ctx))
	if err == nil && resp.StatusCode < 200 {
		// The connection is the caller's now, and no time-out ends what is read of it.
		resp.Body.Close()
		err = fmt.Errorf("the API changed to another protocol (%d), which nobody asked for", resp.StatusCode)
	}
	if err != nil {
		c.err = errors.Join(c.err, plain(err))
		return c.unanswered(err, connected.Load())
	}
	limit := r.ResponseLimit
	if c.selected != nil {
		limit = max(limit, maxSelected)
	}
	if c.state != nil {
		limit = maxState
	}
	answer, err := c.tool.op.Decode(resp, limit)
	if err != nil {
		c.err = errors.Join(c.err, plain(err))
		if answer = c.broken(resp); answer == nil {
			return c.brokenOff(resp.StatusCode, err)
		}
	}
	whole := answer.Note == "" && !answer.TooLarge
	c.remark(answer, resp)
	secrets := credentials(req, c.request)
	if scrub(answer, secrets) { // of the whole note, before it is cut
		c.err = errors.Join(c.err, errors.New("the API sent the credential of this call back; it was cut from the answer"))
	}
	res := c.respond(answer)
	if c.state != nil {
		c.keep(answer, resp.Header, whole, res)
	}
	res.Envelope.Headers = c.headers(resp, secrets)
	res.Envelope.Page = c.page(resp.Header, res.Envelope.Response)
	r.project(ctx, c.selected, &res)
	res.Envelope.RetryAfter = retryAfter(resp, r.Now())
	return res, answered
}

// unrepeated keeps net/http from sending a request a second time by itself,
// with the token of the first, when a connection that it used before breaks. It
// does not repeat what has a body that cannot be read again. Requests with an
// https URL are left as they are: HTTP/2 would announce a body that never comes,
// and itself repeats only what the server says it has not looked at.
func unrepeated(req *http.Request) *http.Request {
	if req.URL.Scheme == "http" && safe(req.Method) && req.Body == http.NoBody {
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("")), nil
	}
	return req
}

// unanswered is the truth about a request without an answer.
func (c *call) unanswered(err error, connected bool) (Result, certainty) {
	timeout := errors.Is(err, context.DeadlineExceeded)
	switch {
	case !connected && timeout:
		return fail(UpstreamTimeout, "the API could not be reached in time; nothing was executed"), notSent
	case !connected && unverified(err):
		return fail(UpstreamUnreachable, "the API could not prove who it is (TLS); nothing was sent and nothing was executed"), notSent
	case !connected:
		return fail(UpstreamUnreachable, "the API could not be reached; nothing was executed"), notSent
	case c.writes():
		return fail(OutcomeUnknown, "the request was sent but no answer came; it may have been executed. Do not repeat it blindly: look first"), lost
	case timeout:
		return fail(UpstreamTimeout, "the API did not answer in time"), lost
	case tooManyHeaders(err):
		return fail(ResponseTooLarge, "the headers of the API's answer are too large; the answer is left out"), lost
	}
	return fail(UpstreamUnreachable, "the connection to the API broke before it answered"), lost
}

// broken is an answer whose body could not be read to its end, if the status
// says enough without it: that the API refused a write, or failed at it.
func (c *call) broken(resp *http.Response) *openapi.Response {
	if !c.writes() || resp.StatusCode < 400 {
		return nil
	}
	return &openapi.Response{Status: resp.StatusCode, Note: "the body of the answer could not be read to its end and is left out"}
}

// brokenOff is the truth about any other answer that began and did not end.
func (c *call) brokenOff(status int, err error) (Result, certainty) {
	var res Result
	switch {
	case c.writes():
		res = fail(OutcomeUnknown, "the API began to answer and then broke off; the call may have been executed. Do not repeat it blindly: look first")
	case errors.Is(err, context.DeadlineExceeded):
		res = fail(UpstreamTimeout, "the API began to answer and did not end in time")
	default:
		res = fail(UpstreamUnreachable, "the API began to answer and then broke off")
	}
	res.Envelope.HTTPStatus = status
	return res, lost
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
		Grant:     c.grant,
		Code:      code,
		Note:      c.note,
	}
}

// outcome is how the call came out as a line of the audit log.
func (c *call) outcome(kind string, res Result) store.Entry {
	e := c.entry(kind, string(res.Envelope.Code))
	e.Status = res.Envelope.HTTPStatus
	if l := res.Envelope.Lookup; l != nil {
		e.Note = join(e.Note, "looked up: "+l.Found)
	}
	return e
}

// receipted notes which credential a request left with.
func receipted(e *store.Entry, t token.Receipt) {
	e.Strategy, e.JTI, e.Standing = t.Strategy, t.JTI, t.Standing
}
