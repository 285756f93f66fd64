package credential

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/exeat/exeat/authz/token"
)

// ClientCredentials asks an authorization server for an access token for each
// call (RFC 6749 §4.4), with the scopes of its operation only and for its
// audience only (RFC 8707), unless it is told otherwise. Nothing is kept for the
// next call.
type ClientCredentials struct {
	Server *Server
	Wants
}

// Wants says what a token is asked for, where that is not what the call says.
type Wants struct {
	// Scopes, if not nil, are asked for in place of the call's.
	Scopes []string
	// AlsoGranted are scopes that the server may add to those asked for; "*" is any.
	AlsoGranted []string
	// Resource is the resource parameter of RFC 8707: nil means the call's audience,
	// empty that there is none.
	Resource *string
	// Params are further parameters of the token request, such as audience.
	Params url.Values
}

// ownParams are those that a strategy sets itself.
var ownParams = []string{"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "resource",
	"subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type", "assertion", "authorization_details"}

// Check reports what cannot work, so that a wrong configuration does not start.
func (w Wants) Check() error {
	for name := range w.Params {
		if name == "" || slices.Contains(ownParams, name) {
			return fmt.Errorf("the parameter %q of the token request is set already, and cannot be given among others", name)
		}
	}
	for _, scope := range w.Scopes {
		if !scopeToken.MatchString(scope) {
			return fmt.Errorf("%s is not a scope: write each as an item of its own", brief(scope))
		}
	}
	return nil
}

// form are the parameters of the token request for c, and its scopes.
func (w Wants) form(c token.Call) (url.Values, []string) {
	form, scopes := maps.Clone(w.Params), c.Scopes
	if form == nil {
		form = url.Values{}
	}
	if w.Scopes != nil {
		scopes = w.Scopes
	}
	if resource := w.resource(c); resource != "" {
		form.Set("resource", resource)
	}
	return form, scopes
}

func (w Wants) resource(c token.Call) string {
	if w.Resource != nil {
		return *w.Resource
	}
	return c.Audience
}

// Check reports what cannot work, so that a wrong configuration does not start.
func (cc *ClientCredentials) Check() error { return errors.Join(cc.Server.Check(), cc.Wants.Check()) }

// Attach gets a token for c and sets it on r.
func (cc *ClientCredentials) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if err := token.FreeAuthorization(r); err != nil {
		return token.Receipt{}, err
	}
	form, scopes := cc.form(c)
	t, err := cc.Server.Ask(ctx, "client_credentials", form, scopes)
	if err != nil {
		return token.Receipt{}, err
	}
	if err := checkIssued(t, scopes, cc.AlsoGranted); err != nil {
		return token.Receipt{}, cc.Server.discard(ctx, t, err)
	}
	r.Header.Set("Authorization", "Bearer "+t.AccessToken)
	return token.Receipt{Strategy: "client_credentials", Expires: t.Expiry, Issuer: cc.Server.Host(), Audience: cc.resource(c),
		Scope: grantedScope(t, scopes), Revoke: cc.Server.Revoke(t.AccessToken)}, nil
}
