package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Attacher attaches a credential to a request.
type Attacher interface {
	Attach(ctx context.Context, c Call, r *http.Request) (Receipt, error)
}

// Part is one of the credentials that a request needs together.
type Part struct {
	Attacher
	Scopes []string // what it is asked for, where scopes are asked for
}

// Together attaches several credentials to one request, or fails.
type Together []Part

// Attach attaches each part in order. Without parts, nothing is attached.
func (t Together) Attach(ctx context.Context, c Call, r *http.Request) (Receipt, error) {
	all := Receipt{Strategy: "none"}
	var strategies []string
	for _, p := range t {
		c.Scopes = p.Scopes
		one, err := p.Attach(ctx, c, r)
		if err != nil {
			if all.Revoke != nil { // nothing is sent, so nothing else ends it
				err = errors.Join(err, all.Revoke(context.WithoutCancel(ctx)))
			}
			return Receipt{}, err
		}
		if !slices.Contains(strategies, one.Strategy) {
			strategies = append(strategies, one.Strategy)
		}
		all.add(one)
		all.Strategy = strings.Join(strategies, "+")
	}
	return all, nil
}

// add makes r the receipt of one more credential.
func (r *Receipt) add(one Receipt) {
	r.JTI += one.JTI
	r.Standing = r.Standing || one.Standing
	r.Renewable = r.Renewable || one.Renewable || !one.Standing && one.Strategy != "none"
	if !one.Expires.IsZero() && (r.Expires.IsZero() || one.Expires.Before(r.Expires)) {
		r.Expires = one.Expires
	}
	for text, more := range map[*string]string{&r.Issuer: one.Issuer, &r.Audience: one.Audience, &r.Scope: one.Scope, &r.Narrowed: one.Narrowed, &r.Wider: one.Wider} {
		*text = strings.TrimPrefix(strings.TrimSuffix(*text+"; "+more, "; "), "; ")
	}
	switch before := r.Answered; {
	case before == nil:
		r.Answered = one.Answered
	case one.Answered != nil:
		r.Answered = func(res *http.Response) bool {
			again := before(res)
			return one.Answered(res) || again
		}
	}
	if r.Challenged == nil {
		r.Challenged = one.Challenged
	}
	switch before := r.Revoke; {
	case before == nil:
		r.Revoke = one.Revoke
	case one.Revoke != nil:
		r.Revoke = func(ctx context.Context) error { return errors.Join(before(ctx), one.Revoke(ctx)) }
	}
}

// NeedsCaller reports whether an attacher makes the credential out of the token of
// the caller (Call.Caller), so that it can do nothing without one.
func NeedsCaller(a Attacher) bool {
	switch a := a.(type) {
	case interface{ NeedsCaller() bool }:
		return a.NeedsCaller()
	case Together:
		return slices.ContainsFunc(a, func(p Part) bool { return NeedsCaller(p.Attacher) })
	}
	return false
}

// Lacks says what a person has to do before an attacher can give c a credential, in
// words for the agent and for them. It is empty if there is nothing.
func Lacks(ctx context.Context, a Attacher, c Call) (string, error) {
	switch a := a.(type) {
	case interface {
		Lacks(context.Context, Call) (string, error)
	}:
		return a.Lacks(ctx, c)
	case Together:
		for _, p := range a {
			c.Scopes = p.Scopes
			if why, err := Lacks(ctx, p.Attacher, c); why != "" || err != nil {
				return why, err
			}
		}
	}
	return "", nil
}

// Missing stands for a credential that there is not: a request that needs it
// does not leave.
type Missing struct{ Why string }

// Attach fails.
func (m Missing) Attach(context.Context, Call, *http.Request) (Receipt, error) {
	return Receipt{}, errors.New(m.Why)
}

// ByOperation attaches what the operation of a call needs, by its name.
type ByOperation map[string]Attacher

// Attach fails for an operation that it does not know.
func (b ByOperation) Attach(ctx context.Context, c Call, r *http.Request) (Receipt, error) {
	a, ok := b[c.Details.Identifier]
	if !ok {
		return Receipt{}, fmt.Errorf("nothing is known of the credential of the operation %s", brief(c.Details.Identifier))
	}
	return a.Attach(ctx, c, r)
}

// NeedsCaller reports whether the operation of that name needs the caller's token.
func (b ByOperation) NeedsCaller(operation string) bool { return NeedsCaller(b[operation]) }

// Lacks says what a person has to do before the operation of c has a credential.
func (b ByOperation) Lacks(ctx context.Context, c Call) (string, error) {
	return Lacks(ctx, b[c.Details.Identifier], c)
}
