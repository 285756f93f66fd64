package account

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/exeat/exeat/authz/token"
)

// bearer is the syntax of RFC 6750 §2.1.
var bearer = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// Connected makes the credential of each call of the account that the principal of
// the call has connected: of nobody else's.
type Connected struct {
	Book     *Book
	Provider *Provider
}

// Lacks says what a person has to do before c can have a credential.
func (a *Connected) Lacks(ctx context.Context, c token.Call) (string, error) {
	return a.Book.lacking(ctx, a.Provider, c.Person, scopesOf(c))
}

func scopesOf(c token.Call) []string {
	scopes := slices.Clone(c.Scopes)
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// Attach makes a token for c and sets it on r. It is not kept: what the next call may
// is decided then. Nor is it revoked, since for many servers that ends the account's
// connection with it (RFC 7009 §2.1).
func (a *Connected) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if err := token.FreeAuthorization(r); err != nil {
		return token.Receipt{}, err
	}
	scopes := scopesOf(c)
	t, err := a.Book.renew(ctx, a.Provider, c.Person, scopes)
	if err != nil {
		return token.Receipt{}, err
	}
	scope, wider, err := t.check(scopes, a.Provider.Always, a.Provider.AlsoGranted)
	if err != nil {
		return token.Receipt{}, fmt.Errorf("cannot use the token of the authorization server: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+t.AccessToken)
	return token.Receipt{Strategy: "connected", Expires: t.Expiry, Issuer: a.Provider.Server.Host(), Audience: a.Provider.Resource, Scope: scope, Wider: wider}, nil
}
