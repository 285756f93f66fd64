package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/issuer"
)

// Errors of answers that connect nothing.
var (
	// ErrAnswer is an answer of the server that cannot be relied on.
	ErrAnswer = errors.New("what the API's authorization server answered cannot be relied on")
	// ErrDenied is that the server, or the person there, said no.
	ErrDenied = errors.New("the API's authorization server connected nothing")
	// ErrNoRefresh is that the server gave nothing to make tokens of later.
	ErrNoRefresh = errors.New("the API's authorization server gave no refresh token: it may want scopes for that (connected.always: [openid, offline_access]) or a parameter (connected.params: {prompt: consent}, or what its manual says)")
)

// maxSecret bounds a refresh token, in bytes.
const maxSecret = 16 << 10

// Got is what a person came back with, before they say that it is the right account.
type Got struct {
	Ask
	Account string   // what the server calls it; empty if it does not say
	Scopes  []string // of the chosen and kept ones, those that were granted
	Missing []string // of the chosen ones, those that were not
	refresh string
}

// Redeem exchanges the code of an answer, which is for a.
func (p *Provider) Redeem(ctx context.Context, a Ask, answer url.Values) (Got, error) {
	iss := answer.Get("iss")
	switch {
	case p.Issuer != "" && iss != p.Issuer:
		return Got{}, fmt.Errorf("%w: it does not name the issuer of the configuration (RFC 9207)", ErrAnswer)
	case answer.Has("error"):
		return Got{}, fmt.Errorf("%w: %s", ErrDenied, cut(answer.Get("error")))
	case answer.Get("code") == "":
		return Got{}, fmt.Errorf("%w: it has no code", ErrAnswer)
	}
	form := url.Values{"code": {answer.Get("code")}, "redirect_uri": {a.Redirect}, "code_verifier": {a.Verifier}}
	if p.Resource != "" {
		form.Set("resource", p.Resource)
	}
	t, err := p.Server.Ask(ctx, "authorization_code", form, nil)
	if err != nil {
		return Got{}, fmt.Errorf("%w: the code is not taken: %w", ErrAnswer, err)
	}
	if t.RefreshToken == "" {
		return Got{}, ErrNoRefresh
	}
	got := Got{Ask: a, Account: accountName(t), refresh: t.RefreshToken}
	granted, err := grantedScopes(t, a.all(p.Always))
	if err != nil {
		return Got{}, errors.Join(fmt.Errorf("%w: %w", ErrAnswer, err), p.drop(ctx, got))
	}
	for _, s := range a.Chosen {
		if !slices.Contains(granted, s) {
			got.Missing = append(got.Missing, s)
		}
	}
	for _, s := range slices.Concat(a.Chosen, a.Kept) {
		if slices.Contains(granted, s) {
			got.Scopes = append(got.Scopes, s)
		}
	}
	switch {
	case len(t.RefreshToken) > maxSecret:
		err = fmt.Errorf("%w: the refresh token is longer than %d bytes", ErrAnswer, maxSecret)
	case len(got.Scopes) == 0 && len(a.Chosen) > 0:
		err = fmt.Errorf("%w: none of the scopes that were asked for was granted", ErrDenied)
	}
	if err != nil {
		return Got{}, errors.Join(err, p.drop(ctx, got))
	}
	return got, nil
}

// drop gives back what nobody will use.
func (p *Provider) drop(ctx context.Context, g Got) error {
	if p.Server.RevokeURL == "" || g.refresh == "" {
		return nil
	}
	return p.Server.RevokeRefresh(context.WithoutCancel(ctx), g.refresh)
}

// Drop gives back what a person does not want to connect after all.
func (p *Provider) Drop(ctx context.Context, g Got) error { return p.drop(ctx, g) }

// grantedScopes are what a token is for: as its server says, or else as asked. What
// cannot be read is an error: it may be anything.
func grantedScopes(t *oauth2.Token, asked []string) ([]string, error) {
	granted, said, err := credential.GrantedScopes(t)
	if err == nil && !said {
		return asked, nil
	}
	return granted, err
}

// accountName is what an ID token that came with the code calls the account. It came
// from the server itself, so its signature would say nothing new (OpenID Connect Core
// §3.1.3.7); people are shown it, and nothing else depends on it.
// A name that the account's owner may have chosen themselves is not shown alone.
func accountName(t *oauth2.Token) string {
	raw, _ := t.Extra("id_token").(string)
	jws, err := issuer.ParseJWS(raw, maxSecret)
	if err != nil {
		return ""
	}
	text := func(claim string) string {
		s, _ := jws.Payload.Text(claim) // what is no text names nobody
		return cut(s)
	}
	unverified := strings.Trim(string(jws.Payload["email_verified"]), `"`) == "false"
	if email := text("email"); email != "" && !unverified {
		return email
	}
	sub, name := text("sub"), cmp.Or(text("preferred_username"), text("name"))
	if name != "" && sub != "" {
		return name + " (" + sub + ")"
	}
	return cmp.Or(name, sub)
}

// cut bounds a foreign text.
func cut(s string) string {
	if r := []rune(strings.ToValidUTF8(s, "\uFFFD")); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// ForeignText is what a server wrote in an answer that refuses, for people.
func ForeignText(answer url.Values) string {
	text := cut(answer.Get("error"))
	if more := answer.Get("error_description"); more != "" {
		text += ": " + cut(more)
	}
	return text
}
