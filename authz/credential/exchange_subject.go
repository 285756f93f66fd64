package credential

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/exeat/exeat/authz/token"
)

// Assertion is what exeat itself says of a principal or an agent, signed, to an
// authorization server that relies on exeat for that.
type Assertion struct {
	// Issuer is what exeat calls itself; Audience what the server calls itself, and
	// nothing else (RFC 10070).
	Issuer, Audience string
	Keys             *token.Keys
	Now              func() time.Time // nil means time.Now
}

func (a *Assertion) check() error {
	switch {
	case a == nil:
		return nil
	case a.Audience == "":
		return errors.New("what exeat signs needs an audience: give what the server calls itself (issuer)")
	case a.Issuer == "":
		return errors.New("what exeat signs needs a name of exeat's own (issuer or public_url)")
	}
	return nil
}

// sign says that somebody is subject, for a minute.
func (a *Assertion) sign(subject string, more map[string]any) (string, error) {
	if a.Keys == nil {
		return "", errors.New("exeat has no key of its own here to sign with")
	}
	now := timeOf(a.Now)
	claims := map[string]any{"iss": a.Issuer, "sub": subject, "aud": a.Audience, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(assertionTTL).Unix()}
	maps.Copy(claims, more)
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := a.Keys.SignType("JWT", payload)
	if err != nil {
		return "", fmt.Errorf("cannot sign who it is: %w", err)
	}
	return signed, nil
}

// subjectToken is what says who the principal of a call is, with its type: what exeat
// says, or else the caller's token. A token that is bound to the caller's key is only
// exchanged for one that is bound, too: RFC 8693 says nothing of it, and a bearer token
// in its place would be less than the caller's issuer gave out.
func subjectToken(a *Assertion, c token.Call, bound bool) (text, kind string, err error) {
	switch {
	case a != nil:
		text, err = a.sign(c.Subject, loginClaims(c))
		return text, typeJWT, err
	case c.Caller.IsZero():
		return "", "", errors.New("this call came without an access token that could be exchanged: exeat was reached by stdio, with a token that exeat gave out itself, or goes on without its caller. " +
			"Serve it with exeat http and oauth, or let exeat say who it is (exchange.subject: assertion), or give these tools another credential (credential_for)")
	case c.CallerBound && !bound:
		return "", "", errors.New("the caller's access token is bound to a key that only the caller has, and what it is exchanged for would not be: " +
			"have that bound as well (exchange.dpop), if the authorization server takes such a token, or let exeat say who it is (exchange.subject: assertion)")
	}
	return c.Caller.Reveal(), typeAccessToken, nil
}

// loginClaims say what is known of how the principal logged in.
func loginClaims(c token.Call) map[string]any {
	claims := map[string]any{"txn": c.Txn}
	if !c.AuthTime.IsZero() {
		claims["auth_time"] = c.AuthTime.Unix()
	}
	if c.ACR != "" {
		claims["acr"] = c.ACR
	}
	if len(c.AMR) > 0 {
		claims["amr"] = c.AMR
	}
	return claims
}
