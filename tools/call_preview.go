package tools

import (
	"context"
	"encoding/base64"
	"fmt"
	"unicode/utf8"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Preview is what a call would send and how it would be decided.
type Preview struct {
	Method      string              `json:"method"`
	URL         string              `json:"url"`
	ContentType string              `json:"content_type,omitempty"`
	Header      map[string][]string `json:"header,omitempty"`
	Body        string              `json:"body,omitempty"`
	BodyBase64  string              `json:"body_base64,omitempty"` // if it is not text
	Digest      string              `json:"digest"`                // what a hold of this call would show without an If-Match of exeat's
	Resource    string              `json:"resource"`              // the path that policies see
	Decision    authz.Decision      `json:"decision"`

	size int // of the body in bytes
}

// maxShown bounds how much of a body an agent is shown, in bytes.
const maxShown = 16 << 10

// ShowPreview answers an agent that asks what a call would send and how it would
// be decided. Nothing is sent or held, and nothing counts towards a budget, but
// there is an entry of kind preview: who tries out the policies can be seen.
func (r *Runner) ShowPreview(ctx context.Context, caller Caller, name string, raw []byte) Result {
	if res, refused := r.refuseAgent(ctx, caller); refused {
		return res
	}
	p, res := r.Preview(caller, name, raw)
	if p == nil {
		return res
	}
	e := Envelope{Status: Done, Note: "nothing was executed, and nothing waits for a person"}
	if p.size > maxShown {
		p.Body, p.BodyBase64 = "", ""
		e.Note += fmt.Sprintf("; the body of %d bytes is left out", p.size)
	}
	p.Decision.Errors = nil // for the operator
	e.Response = mustJSON(p)
	return Result{Envelope: e}
}

// Preview makes the request of a call and asks the policies, and sends nothing.
// It records nothing but, if there is a store, an entry. Usage is taken as none.
// If the arguments are refused, the preview is nil and the result says why.
func (r *Runner) Preview(caller Caller, name string, raw []byte) (*Preview, Result) {
	t, ok := r.offered(caller, name)
	if !ok {
		return nil, noTool(name)
	}
	prepared, err := r.prepare(caller, t, raw, purpose{})
	c := &course{call: prepared}
	if err != nil {
		return nil, c.invalid(err)
	}
	r.ask(c, r.Now(), authz.Usage{})
	if r.Store != nil {
		if err := r.logNothing(c, store.KindPreview, "")(); err != nil {
			c.err = err
			return nil, fail(Internal, "the preview could not be recorded")
		}
	}
	q := c.request
	p := &Preview{Method: q.Method, URL: q.Origin + q.Target, ContentType: q.ContentType, Header: q.Header,
		Digest: c.digest, Resource: q.Path, Decision: c.decision, size: len(q.Body)}
	if utf8.Valid(q.Body) {
		p.Body = string(q.Body)
	} else {
		p.BodyBase64 = base64.StdEncoding.EncodeToString(q.Body)
	}
	return p, Result{}
}
