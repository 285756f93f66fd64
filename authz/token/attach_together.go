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
			return Receipt{}, err
		}
		if !slices.Contains(strategies, one.Strategy) {
			strategies = append(strategies, one.Strategy)
		}
		all.Strategy = strings.Join(strategies, "+")
		all.JTI += one.JTI
		all.Standing = all.Standing || one.Standing
		if !one.Expires.IsZero() && (all.Expires.IsZero() || one.Expires.Before(all.Expires)) {
			all.Expires = one.Expires
		}
	}
	return all, nil
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
