package tools

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
)

// mint makes the HTTP request from the stored bytes and attaches a credential
// made for exactly them.
func (r *Runner) mint(ctx context.Context, c *course) (*http.Request, token.Receipt, error) {
	req, err := c.newRequest(ctx)
	if err != nil {
		return nil, token.Receipt{}, err
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
		Person:     p.Name(),
		Agent:      agent,
		Client:     client,
		Audience:   c.tool.api.Audience,
		Scopes:     c.tool.scopes,
		AuthTime:   p.AuthTime,
		ACR:        p.ACR,
		Details:    c.details,
		TTL:        c.decision.Obligations.TokenTTL,
		Approval:   c.claim(),
		DecisionID: c.txn,
		PolicySet:  c.policies,
		Effect:     string(c.tool.op.Effect),

		Template:    c.tool.op.Path,
		Path:        c.tool.op.PathValues(c.args),
		Caller:      c.caller.Token,
		CallerBound: c.caller.TokenBound,
		Fresh:       c.stale,
	}, req)
	return req, receipt, err
}

// newRequest is the HTTP request of a call, but for its credential.
func (c *call) newRequest(ctx context.Context) (*http.Request, error) {
	q := c.request
	if q.Origin != c.tool.origin {
		return nil, fmt.Errorf("the operation's own server is %s, and the API's credential is for %s: pass --base-url", q.Origin, c.tool.api.Document.BaseURL)
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, q.Origin+q.Target, bytes.NewReader(q.Body))
	if err != nil {
		return nil, dropURL(err)
	}
	if got := req.URL.RequestURI(); got != q.Target {
		return nil, fmt.Errorf("the request-target %q would be sent as %q", q.Target, got)
	}
	for k, v := range q.Header {
		req.Header[k] = v
	}
	if q.ContentType != "" {
		req.Header.Set("Content-Type", q.ContentType)
	}
	req.Header.Set("User-Agent", "exeat")
	req.Header.Set("Accept-Encoding", openapi.AcceptEncoding)
	if c.purpose.peek {
		req.Header.Set("Accept-Encoding", "identity") // some servers give what is packed an ETag of its own
	}
	return req, nil
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
func (c *course) claim() *token.ApprovalClaim {
	a := c.approval
	if a == nil {
		return nil
	}
	id := c.handle
	if id == "" {
		id = c.grant
	}
	return &token.ApprovalClaim{ID: id, By: a.By.ID, At: a.At.Unix(), Until: a.Expires.Unix(), Once: a.Once, AMR: a.AMR, Details: c.digest}
}

// scopes are what the operation names for a bearer token, which exeat's own is: in
// the first of its alternatives that takes one, and else in the first. Those of two
// alternatives are never put together, since either is enough.
func scopes(op *openapi.Operation) []string {
	bearer := func(need openapi.SecurityNeed) bool { return op.API.Security[need.Scheme].TakesBearer() }
	var out []string
	for _, alternative := range op.Security {
		if slices.ContainsFunc(alternative, bearer) {
			for _, need := range alternative {
				if bearer(need) {
					out = append(out, need.Scopes...)
				}
			}
			return out
		}
	}
	if len(op.Security) > 0 {
		for _, need := range op.Security[0] {
			out = append(out, need.Scopes...)
		}
	}
	return out
}

// anyScopes are what the operation names in all of its alternatives: a token with
// those of one may be what a caller can get.
func anyScopes(op *openapi.Operation) (out []string) {
	for _, alternative := range op.Security {
		for _, need := range alternative {
			out = append(out, need.Scopes...)
		}
	}
	return out
}
