package credential

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/authz/token"
)

// What an identity assertion is called (draft-ietf-oauth-identity-assertion-authz-grant).
const (
	typeIDJAG      = "urn:ietf:params:oauth:token-type:id-jag"
	joseIDJAG      = "oauth-id-jag+jwt"
	grantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// longestIDJAG is how long an identity assertion may live: it is redeemed at once.
const longestIDJAG = 10 * time.Minute

// IDJAG gets tokens for an API of another company, in the name of a person whom the own
// company's identity provider knows: that makes an identity assertion of the caller's
// token (RFC 8693), which the other company's authorization server takes for an access
// token (RFC 7523 §2.1). Both requests are made for each call, and nothing is kept.
type IDJAG struct {
	Provider *Server // the identity provider
	Issuer   string  // what it calls itself
	// Subject, if not nil, says who the principal is, in place of the caller's token;
	// SubjectType is what the identity provider takes that token for, empty for an
	// access token.
	Subject     *Assertion
	SubjectType string
	Server      *Server // the other company's authorization server
	Audience    string  // what that calls itself
	Client      string  // what exeat is called there
	Wants
	MaxTTL time.Duration // of the access token; 0 means DefaultExchangeTTL
}

// NeedsCaller reports whether the assertion is made of the caller's token.
func (j *IDJAG) NeedsCaller() bool { return j.Subject == nil }

// Check reports what cannot work, so that a wrong configuration does not start.
func (j *IDJAG) Check() error {
	if j.Issuer == "" || j.Audience == "" {
		return errors.New("id_jag needs issuer, which is what the identity provider calls itself, and audience, which is what the API's authorization server calls itself")
	}
	if err := j.Provider.Check(); err != nil {
		return fmt.Errorf("the identity provider: %w", err)
	}
	return errors.Join(j.Server.Check(), j.Wants.Check(), j.Subject.check())
}

// Attach gets a token for c and sets it on r.
func (j *IDJAG) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if err := token.FreeAuthorization(r); err != nil {
		return token.Receipt{}, err
	}
	form, scopes := j.form(c)
	assertion, err := j.assert(ctx, c, form, scopes)
	if err != nil {
		return token.Receipt{}, fmt.Errorf("no identity assertion: %w", err)
	}
	form.Set("assertion", assertion)
	t, err := j.Server.ask(ctx, j.Server.strictClient(nil), grantJWTBearer, form, scopes)
	if err != nil {
		return token.Receipt{}, err
	}
	receipt, err := j.examine(ctx, c, form, scopes, t)
	if err != nil {
		return token.Receipt{}, j.Server.discard(ctx, t, err)
	}
	r.Header.Set("Authorization", "Bearer "+t.AccessToken)
	return receipt, nil
}

// assert has the identity provider say who the principal is, to the other company's
// server and nobody else.
func (j *IDJAG) assert(ctx context.Context, c token.Call, form url.Values, scopes []string) (string, error) {
	subject, kind, err := subjectToken(j.Subject, c, false)
	if err != nil {
		return "", err
	}
	if j.SubjectType != "" && j.Subject == nil {
		kind = j.SubjectType
	}
	ask := url.Values{"requested_token_type": {typeIDJAG}, "audience": {j.Audience}, "subject_token": {subject}, "subject_token_type": {kind}}
	if resource := form["resource"]; len(resource) > 0 {
		ask["resource"] = resource
	}
	t, err := j.Provider.ask(ctx, j.Provider.strictClient(nil), grantExchange, ask, scopes)
	if err != nil {
		return "", err
	}
	return t.AccessToken, j.checkAssertion(t, scopes)
}

// checkAssertion refuses what is no assertion for this client at that server. Its
// signature is for the one who redeems it.
func (j *IDJAG) checkAssertion(t *oauth2.Token, scopes []string) error {
	if kind, _ := t.Extra("issued_token_type").(string); kind != typeIDJAG || !strings.EqualFold(t.TokenType, "N_A") {
		return fmt.Errorf("the identity provider gave a token of the type %s (%s), and not %s (N_A)", brief(kind), brief(t.TokenType), typeIDJAG)
	}
	jws, err := issuer.ParseJWS(t.AccessToken, 2*maxToken)
	if err != nil {
		return fmt.Errorf("it cannot be read: %w", err)
	}
	got := &issued{}
	if err := got.add(jws.Payload); err != nil {
		return err
	}
	client, err := jws.Payload.Text("client_id")
	switch {
	case err != nil:
		return fmt.Errorf("it cannot be read: %w", err)
	case !strings.EqualFold(jws.Typ, joseIDJAG):
		return fmt.Errorf("its typ is %s, and not %s", brief(jws.Typ), joseIDJAG)
	case got.issuer != j.Issuer:
		return fmt.Errorf("its issuer is %s, and not %s (id_jag.issuer)", brief(got.issuer), brief(j.Issuer))
	case !slices.Equal(got.audience, []string{j.Audience}):
		return fmt.Errorf("it is not for %s alone (id_jag.audience)", brief(j.Audience))
	case client != j.Client:
		return fmt.Errorf("it is for the client %s, and exeat is called %s there (client_id)", brief(client), brief(j.Client))
	case got.subject == "":
		return errors.New("it does not say who it is (sub)")
	case got.life <= 0 || got.life > longestIDJAG:
		return fmt.Errorf("it lives %s; more than %s is too long for what is redeemed at once", got.life, longestIDJAG)
	}
	if wider := got.moreScopes(scopes, j.AlsoGranted); len(wider) > 0 {
		return errors.New(wider[0])
	}
	return nil
}

// examine compares what came back with what was asked for.
func (j *IDJAG) examine(ctx context.Context, c token.Call, form url.Values, scopes []string, t *oauth2.Token) (token.Receipt, error) {
	if err := checkIssued(t, scopes, j.AlsoGranted); err != nil {
		return token.Receipt{}, err
	}
	if t.AccessToken == form.Get("assertion") || t.AccessToken == c.Caller.Reveal() {
		return token.Receipt{}, errors.New("it is the very token that was to be exchanged, which no API may get")
	}
	got, err := j.Server.read(ctx, t)
	if err != nil {
		return token.Receipt{}, err
	}
	wider := append(got.moreScopes(scopes, j.AlsoGranted), got.longer(cmp.Or(j.MaxTTL, DefaultExchangeTTL))...)
	if got.known { // an opaque one is the other company's own matter
		wider = append(wider, got.otherAudience(form["audience"], form["resource"], []string{c.Audience})...)
	}
	if len(wider) > 0 {
		return token.Receipt{}, fmt.Errorf("it is for more than was asked for: %s", strings.Join(wider, "; "))
	}
	audience := strings.Join(got.audience, " ")
	if audience == "" {
		audience = j.resource(c)
	}
	return token.Receipt{Strategy: "id_jag", Expires: got.expires, Issuer: j.Server.Host(), Audience: audience, Scope: strings.Join(got.scopes, " "), Revoke: j.Server.Revoke(t.AccessToken)}, nil
}
