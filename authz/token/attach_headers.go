package token

import (
	"context"
	"net/http"
	"slices"
)

// WithHeaders attaches what the API wants beside the credential of every call, each in
// a header of its own: secrets, which are standing keys, and a transaction token. No
// token is bound to them.
type WithHeaders struct {
	Attacher
	Headers []Attacher
}

// Attach attaches the credential, and then the headers.
func (w WithHeaders) Attach(ctx context.Context, c Call, r *http.Request) (Receipt, error) {
	all := make(Together, 0, len(w.Headers)+1)
	all = append(all, Part{Attacher: w.Attacher, Scopes: c.Scopes})
	for _, h := range w.Headers {
		all = append(all, Part{Attacher: h, Scopes: c.Scopes})
	}
	receipt, err := all.Attach(ctx, c, r)
	return receipt, err
}

// NeedsCaller reports whether the operation of that name needs the caller's token.
func (w WithHeaders) NeedsCaller(operation string) bool {
	by, ok := w.Attacher.(interface{ NeedsCaller(string) bool })
	return ok && by.NeedsCaller(operation) || slices.ContainsFunc(w.Headers, NeedsCaller)
}

// Lacks says what a person has to do before the operation of c has a credential.
func (w WithHeaders) Lacks(ctx context.Context, c Call) (string, error) {
	return Lacks(ctx, w.Attacher, c)
}
