package token

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// claimsKey is where a handler finds the claims.
type claimsKey struct{}

// ClaimsOf are the claims of a request that Handler let through: who asks
// (Subject), by which agent (Agent), in which scope, for what (Details), and what
// a person said of it (Approval). It is nil for any other context.
func ClaimsOf(ctx context.Context) *Claims {
	c, _ := ctx.Value(claimsKey{}).(*Claims)
	return c
}

// Handler is next behind v: it gets only requests with a token for exactly them,
// once. Of their headers it gets those that the token binds and the few that the
// guard lets through (docs/token.md), and the content as it was checked. All else
// is refused with RFC 9457 problem details and, on 401, the challenge of RFC 6750.
//
// Without v.Spend the ids of spent tokens are kept in memory: 65536 of them, and
// when all of these could still be used again, requests are refused. They are lost
// with the process, so tokens from before it began are refused as well. Several
// processes need a Spend that they share. Wrap an API in one Handler: each keeps
// ids of its own. A verifier that lacks anything else is an error.
func (v *Verifier) Handler(next http.Handler) (http.Handler, error) {
	own := *v
	if own.Spend == nil {
		// A token from before could have been spent by the process before. Whole
		// seconds are all that iat says.
		own.since = own.now().Add(time.Second - 1).Truncate(time.Second)
		own.Spend = newMemory(maxSpent, own.now).spend
	}
	if own.Issuer == "" || own.Audience == "" || own.Keys == nil || next == nil {
		return nil, errors.New("the verifier needs an issuer, an audience and keys, and a handler behind it")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		checked := r.Clone(r.Context())
		_, ref := admit(checked, &url.URL{Scheme: "http", Host: "api"}, false)
		var c *Claims
		if ref == nil {
			c, ref = own.Check(checked)
		}
		if ref != nil {
			if own.OnRefusal != nil {
				own.OnRefusal(r, ref)
			}
			ref.ServeHTTP(w, r)
			return
		}
		bound := c.Details.boundNames()
		for name := range checked.Header {
			if name == "Authorization" || !slices.Contains(bound, name) && !slices.Contains(unbound, name) {
				delete(checked.Header, name)
			}
		}
		next.ServeHTTP(w, checked.WithContext(context.WithValue(checked.Context(), claimsKey{}, c)))
	}), nil
}
