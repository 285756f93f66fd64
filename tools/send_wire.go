package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/exeat/exeat/openapi"
)

// send sends once and reads the answer within the time-out. Redirects are not
// followed: they are answers.
func (r *Runner) send(c *course, req *http.Request) (Result, stage) {
	ctx := req.Context()
	if _, bounded := ctx.Deadline(); !bounded { // that of a read ends with all of its tries
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	sender := r.wires[c.tool.api].reads
	if c.writes() {
		sender = r.wires[c.tool.api].writes
	}
	resp, err := sender.RoundTrip(onlyOnce(req).WithContext(ctx))
	if err == nil && resp.StatusCode < 200 {
		// The connection is the caller's now, and no time-out ends what is read of it.
		resp.Body.Close()
		err = fmt.Errorf("the API changed to another protocol (%d), which nobody asked for", resp.StatusCode)
	}
	if err != nil && hungUp(req.Context()) {
		return cancelled(), map[bool]stage{true: lost, false: notSent}[connected.Load()]
	}
	if err != nil {
		c.fail(c.scrubError(dropURL(err)))
		return c.explainSilence(err, connected.Load())
	}
	c.wants = c.tell != nil && c.tell(resp)
	answer, err := c.tool.op.Decode(resp, r.limitOf(c))
	if err != nil && hungUp(req.Context()) {
		return cancelled(), lost
	}
	if err != nil {
		c.fail(c.scrubError(dropURL(err)))
		if answer = c.salvage(resp); answer == nil {
			return c.explainBreak(resp.StatusCode, err)
		}
	}
	return r.answer(ctx, c, resp, answer), answered
}

// hungUp reports whether the caller went away, or exeat is stopping: no fault of
// the API. A write goes on all the same, and its context never says so.
func hungUp(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// cancelled is the answer to a call whose caller went away. Nobody may read it;
// the log does.
func cancelled() Result {
	res := fail(CallCancelled, "the call was cancelled before it had an answer")
	res.Envelope.Status = Cancelled
	return res
}

// limitOf is how much is read of the answer to a call, in bytes.
func (r *Runner) limitOf(c *course) int64 {
	switch {
	case c.purpose.peek:
		return maxState
	case c.program != nil:
		return max(r.ResponseLimit, maxSelected)
	}
	return r.ResponseLimit
}

// answer turns what the API answered into what the agent gets.
func (r *Runner) answer(ctx context.Context, c *course, resp *http.Response, a *openapi.Response) Result {
	whole := a.Note == "" && !a.TooLarge
	c.scrubSource(resp, a)
	c.remark(a, resp)
	cut := newRedactor(c.decision.Obligations.Redact)
	res := c.respond(a, cut)
	if c.purpose.peek {
		c.keep(a, resp.Header, whole, res)
	}
	res.Envelope.Headers = c.headers(resp)
	c.asks = challengeOf(resp)
	if !c.redacts() {
		res.Envelope.Challenge = c.asks
	}
	if c.redacts() { // what was cut may stand in a header
		res.Envelope.Page = c.page(nil, res.Envelope.Response)
		res.Envelope.hideCut(cut)
	} else {
		res.Envelope.Page = c.page(resp.Header, res.Envelope.Response)
	}
	r.project(ctx, c.program, &res)
	res.Envelope.RetryAfter = retryAfter(resp, r.Now())
	return res
}

// onlyOnce keeps net/http from sending a request a second time by itself,
// with the token of the first, when a connection that it used before breaks. It
// does not repeat what has a body that cannot be read again. Requests with an
// https URL are left as they are: HTTP/2 would announce a body that never comes,
// and itself repeats only what the server says it has not looked at.
func onlyOnce(req *http.Request) *http.Request {
	if req.URL.Scheme == "http" && safe(req.Method) && req.Body == http.NoBody {
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("")), nil
	}
	return req
}

// explainSilence is the truth about a request without an answer.
func (c *course) explainSilence(err error, connected bool) (Result, stage) {
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

// salvage is an answer whose body could not be read to its end, if the status
// says enough without it: that the API refused a write, or failed at it.
func (c *course) salvage(resp *http.Response) *openapi.Response {
	if !c.writes() || resp.StatusCode < 400 {
		return nil
	}
	return &openapi.Response{Status: resp.StatusCode, Note: "the body of the answer could not be read to its end and is left out"}
}

// explainBreak is the truth about any other answer that began and did not end.
func (c *course) explainBreak(status int, err error) (Result, stage) {
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

// dropURL drops what url.Error adds: the URL, whose query may hold a key.
func dropURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
