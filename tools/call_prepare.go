package tools

import (
	"errors"
	"fmt"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// maxTarget bounds a request-target: servers take no longer ones.
const maxTarget = 8 << 10

// offered is the tool of that name, if the caller could ever use it.
func (r *Runner) offered(caller Caller, name string) (*Tool, bool) {
	t, ok := r.byName[name]
	if ok && !r.Visible(caller, t) {
		r.Hidden(caller, t)
		return nil, false
	}
	return t, ok
}

func noTool(name string) Result {
	return fail(InvalidArguments, fmt.Sprintf("there is no tool %q", name))
}

// prepare checks the arguments and encodes the request. With an error, which is
// for refuseArguments, it is a call without a request.
func (r *Runner) prepare(caller Caller, t *Tool, raw []byte, why purpose) (*call, error) {
	c := r.newCall(caller, t, why)
	args, beside, err := t.op.ParseBeside(raw, selectArg, reasonArg)
	if err != nil {
		return c, err
	}
	program, err := parseSelect(beside[selectArg])
	if err != nil {
		return c, err
	}
	says, err := parseReason(beside[reasonArg])
	if err != nil {
		return c, err
	}
	req, err := t.op.Encode(args)
	if err != nil {
		return c, err
	}
	if len(req.Target) > maxTarget {
		return c, &openapi.ArgumentError{Problems: []openapi.Problem{{Message: "together make a URL that is too long"}}}
	}
	c.program, c.says, c.args, c.request = program, says, args, storeRequest(req)
	c.details = c.bind()
	c.digest = c.details.Digest()
	return c, nil
}

// storeRequest is a request as holds keep it.
func storeRequest(q *openapi.Request) store.Request {
	return store.Request{Method: q.Method, Origin: q.Origin, Target: q.Target, Path: q.Path,
		ContentType: q.ContentType, Header: q.Header, Body: q.Body}
}

// bind names the request exactly. Made anew from stored bytes, it must come out
// the same.
func (c *call) bind() token.Details {
	q := c.request
	return token.Bind(c.tool.api.Audience, q.Method, q.Target, q.ContentType, q.Header, q.Body, c.tool.op.Name, c.tool.api.Document.Digest)
}

// refuseArguments records and answers a call that could not be prepared.
func (r *Runner) refuseArguments(c *course, err error) Result {
	res := c.invalid(err)
	r.logNothing(c, store.KindDenied, string(res.Envelope.Code))
	return res
}

// invalid is the answer to arguments that do not fit.
func (c *course) invalid(err error) Result {
	c.fail(err)
	var args *openapi.ArgumentError
	if !errors.As(err, &args) {
		return fail(Internal, "the request could not be made from these arguments; the operator's log says why")
	}
	reason := "the arguments do not fit the tool's input schema"
	if args.Fits {
		reason = "the arguments fit the tool's input schema, and cannot be sent as they are"
	}
	res := fail(InvalidArguments, reason)
	res.Envelope.Remediation = authz.RemedyArgs
	for _, p := range args.Problems {
		res.Envelope.Problems = append(res.Envelope.Problems, Problem(p))
	}
	return res
}
