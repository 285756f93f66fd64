package tools

import (
	"context"
	"encoding/base64"
	"unicode/utf8"

	"github.com/exeat/exeat/authz"
)

// Preview is what a call would send and how it would be decided.
type Preview struct {
	Method      string              `json:"method"`
	URL         string              `json:"url"`
	ContentType string              `json:"content_type,omitempty"`
	Header      map[string][]string `json:"header,omitempty"`
	Body        string              `json:"body,omitempty"`
	BodyBase64  string              `json:"body_base64,omitempty"` // if it is not text
	Digest      string              `json:"digest"`                // what a hold of this call would show
	Resource    string              `json:"resource"`              // the path that policies see
	Decision    authz.Decision      `json:"decision"`
}

// Preview makes the request of a call and asks the policies, and sends and
// records nothing. Usage is taken as none. If the arguments are refused, the
// preview is nil and the result says why.
func (r *Runner) Preview(caller Caller, name string, raw []byte) (*Preview, Result) {
	c, res := r.prepare(caller, name, raw)
	if c == nil || c.digest == "" {
		return nil, res
	}
	r.decide(context.Background(), c)
	q := c.request
	p := &Preview{Method: q.Method, URL: q.Origin + q.Target, ContentType: q.ContentType, Header: q.Header,
		Digest: c.digest, Resource: q.Path, Decision: c.decision}
	if utf8.Valid(q.Body) {
		p.Body = string(q.Body)
	} else {
		p.BodyBase64 = base64.StdEncoding.EncodeToString(q.Body)
	}
	return p, Result{}
}
