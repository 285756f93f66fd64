package inbox

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/claims"
)

// Why a provider's answer lets nobody in.
var (
	errOIDCAnswer   = errors.New("the OpenID provider's answer is refused")
	errOIDCWeak     = errors.New("the OpenID provider did not recognise the person as it was asked to")
	errOIDCStranger = errors.New("this person may not log in here")
)

const oidcClockSkew = time.Minute

// redeem exchanges a code for who has logged in, and checks what the provider
// says of them.
func (o *OIDC) redeem(ctx context.Context, p *provider, f flow, code string) (approval.Person, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, o.client), 3*oidcTimeout)
	defer cancel()
	t, err := p.oauth.Exchange(ctx, code, oauth2.VerifierOption(f.verifier))
	if err != nil {
		return approval.Person{}, refusedAnswer("the code is not taken: %s", exchangeError(err))
	}
	raw, ok := t.Extra("id_token").(string)
	if !ok {
		return approval.Person{}, refusedAnswer("it has no ID token")
	}
	id, err := p.verifier.Verify(ctx, raw)
	if err != nil {
		return approval.Person{}, refusedAnswer("%s", brief(err))
	}
	c, err := parseClaims(id)
	if err != nil {
		return approval.Person{}, refusedAnswer("%s", brief(err))
	}
	if err := o.checkToken(id, c, f.nonce); err != nil {
		return approval.Person{}, err
	}
	if err := o.fill(ctx, p, t, id, c); err != nil {
		return approval.Person{}, err
	}
	person, err := o.person(c)
	if err == nil {
		err = o.checkStrength(person, f)
	}
	return person, err
}

// parseClaims reads the claims of an ID token or of user info once more, strictly:
// go-oidc reads them as encoding/json does.
func parseClaims(of interface{ Claims(v any) error }) (claims.Set, error) {
	var raw json.RawMessage
	if err := of.Claims(&raw); err != nil {
		return nil, err
	}
	return claims.Parse(raw)
}

func refusedAnswer(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errOIDCAnswer, fmt.Sprintf(format, args...))
}

// exchangeError is what a token endpoint said, without what it may repeat.
func exchangeError(err error) string {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		return brief(fmt.Errorf("status %d %s", refused.Response.StatusCode, refused.ErrorCode))
	}
	return brief(err)
}

// checkToken checks what go-oidc leaves to its caller: that the ID token answers this
// flow and was issued to this client, and to nobody besides (OpenID Connect Core
// §3.1.3.7).
func (o *OIDC) checkToken(id *oidc.IDToken, c claims.Set, nonce string) error {
	azp, err := c.Text("azp")
	switch {
	case err != nil:
		return refusedAnswer("%v", err)
	case id.Subject == "":
		return refusedAnswer("the ID token has no sub")
	case nonce == "" || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1:
		return refusedAnswer("the nonce of the ID token is that of another login")
	case azp != "" && azp != o.c.ClientID, azp == "" && len(id.Audience) > 1:
		return refusedAnswer("the ID token was issued to another client")
	case id.IssuedAt.After(o.now().Add(oidcClockSkew)):
		return refusedAnswer("the ID token is issued in the future: compare the clocks of the provider and of this machine")
	}
	return nil
}

// fill takes claims that are asked for and not in the ID token from the user
// info endpoint, which must speak of the same person.
func (o *OIDC) fill(ctx context.Context, p *provider, t *oauth2.Token, id *oidc.IDToken, c claims.Set) error {
	need := []string{claims.Top(o.c.Subject)}
	if o.c.Groups != "" {
		need = append(need, claims.Top(o.c.Groups))
	}
	if slices.Contains(o.c.Scopes, oidc.ScopeEmail) || len(o.c.Allowed.Emails) > 0 {
		need = append(need, "email")
	}
	need = slices.DeleteFunc(need, func(name string) bool { return c[name] != nil })
	if len(need) == 0 || p.UserInfoEndpoint() == "" {
		return nil
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(t.AccessToken); err != nil {
			return refusedAnswer("%s", brief(err))
		}
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(t))
	if err != nil {
		return refusedAnswer("user info: %s", brief(err))
	}
	if info.Subject != id.Subject {
		return refusedAnswer("the user info is of another person")
	}
	more, err := parseClaims(info)
	if err != nil {
		return refusedAnswer("user info: %s", brief(err))
	}
	for _, name := range need {
		c[name] = more[name]
		if name == "email" {
			c["email_verified"] = more["email_verified"] // of this address, not of another
		}
	}
	return nil
}

// person is whom claims describe, in the terms of policies.
func (o *OIDC) person(c claims.Set) (approval.Person, error) {
	var p approval.Person
	var errs [5]error
	who := authz.Principal{Type: "User"}
	who.ID, errs[0] = c.Text(o.c.Subject)
	who.ACR, errs[1] = c.Text("acr")
	who.AuthTime, errs[2] = c.Time("auth_time")
	p.AMR, errs[3] = c.Texts("amr")
	if o.c.Groups != "" {
		who.Groups, errs[4] = c.Texts(o.c.Groups)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return p, refusedAnswer("%v", err)
	}
	if who.ID == "" {
		return p, refusedAnswer("it has no claim %q, which was to name the person", o.c.Subject)
	}
	email, err := c.Text("email")
	if err != nil {
		return p, refusedAnswer("%v", err)
	}
	if c.True("email_verified") {
		who.Email = email
	} else if o.c.Subject == "email" {
		return p, refusedAnswer("the mail address, which was to name the person, is not verified")
	}
	p.Principal = who
	if !o.c.Allowed.admits(who) {
		return p, fmt.Errorf("%w: %s", errOIDCStranger, p.Name())
	}
	return p, nil
}

func (a Allowed) admits(p authz.Principal) bool {
	return a.Everyone || slices.Contains(a.Subjects, p.ID) || p.Email != "" && slices.Contains(a.Emails, p.Email) ||
		slices.ContainsFunc(p.Groups, func(g string) bool { return slices.Contains(a.Groups, g) })
}

// checkStrength checks that the provider did as it was asked: that a request names acr
// values or an age obliges it to nothing.
func (o *OIDC) checkStrength(p approval.Person, f flow) error {
	acr, now, at := o.c.ACR, o.now(), p.Principal.AuthTime
	if f.again {
		acr = o.c.StepUp
	}
	switch {
	case len(acr) > 0 && !slices.Contains(acr, p.Principal.ACR):
		return fmt.Errorf("%w: the acr is %q", errOIDCWeak, p.Principal.ACR)
	case at.After(now.Add(oidcClockSkew)):
		return refusedAnswer("auth_time lies in the future: compare the clocks of the provider and of this machine")
	case at.IsZero() && (f.again || o.c.MaxAge > 0):
		return fmt.Errorf("%w: there is no auth_time", errOIDCWeak)
	case f.again && at.Before(f.begun.Add(-oidcClockSkew)):
		return fmt.Errorf("%w: the login is older than the wish to log in again", errOIDCWeak)
	case o.c.MaxAge > 0 && now.Sub(at) > o.c.MaxAge+oidcClockSkew:
		return fmt.Errorf("%w: the login is older than max_age", errOIDCWeak)
	}
	return nil
}
