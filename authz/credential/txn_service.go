package credential

import (
	"context"
	"encoding/json"
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

// longestTxnToken is how long a transaction token may live: it is for one call and
// those that follow from it.
const longestTxnToken = 5 * time.Minute

// TxnService asks the transaction token service of a trust domain for what [TxnToken]
// signs itself: a token exchange (RFC 8693) with what the call is about.
type TxnService struct {
	Domain string
	Server *Server
	// Subject, if not nil, says who the principal is, in place of the caller's token.
	Subject *Assertion
}

// NeedsCaller reports whether the transaction token is made of the caller's.
func (t *TxnService) NeedsCaller() bool { return t.Subject == nil }

// Check reports what cannot work, so that a wrong configuration does not start.
func (t *TxnService) Check() error {
	if t.Domain == "" {
		return errors.New("a transaction token needs the name of the trust domain (trust_domain)")
	}
	return errors.Join(t.Server.Check(), t.Subject.check())
}

// Attach gets a transaction token for c and sets it on r.
func (t *TxnService) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	form, err := t.request(c)
	if err != nil {
		return token.Receipt{}, err
	}
	got, err := t.Server.ask(ctx, t.Server.strictClient(nil), grantExchange, form, txnScopes(c))
	if err != nil {
		return token.Receipt{}, fmt.Errorf("the transaction token service: %w", err)
	}
	expires, err := t.examine(c, form, got)
	if err != nil {
		return token.Receipt{}, fmt.Errorf("cannot use the token of the transaction token service: %w", err)
	}
	return token.Receipt{Strategy: "txn_token", Issuer: t.Server.Host(), Audience: t.Domain, Expires: expires}, setTxnToken(r, got.AccessToken)
}

func (t *TxnService) request(c token.Call) (url.Values, error) {
	subject, kind, err := subjectToken(t.Subject, c, false)
	if err != nil {
		return nil, err
	}
	if t.Subject != nil {
		kind = typeSelfSigned
	}
	about := describeTxn(c)
	about.Agent = c.Agent
	details, err := json.Marshal(about)
	if err != nil {
		return nil, err
	}
	form := url.Values{"requested_token_type": {typeTxnToken}, "audience": {t.Domain}, "subject_token": {subject}, "subject_token_type": {kind}, "request_details": {string(details)}}
	if came := (txnContext{unix(c.AuthTime), c.ACR, c.AMR}); came.AuthTime != 0 || came.ACR != "" || came.AMR != nil {
		text, err := json.Marshal(came)
		if err != nil {
			return nil, err
		}
		form.Set("request_context", string(text))
	}
	return form, nil
}

// examine refuses what is no transaction token, or one for something else.
func (t *TxnService) examine(c token.Call, form url.Values, got *oauth2.Token) (time.Time, error) {
	kind, _ := got.Extra("issued_token_type").(string)
	jws, err := issuer.ParseJWS(got.AccessToken, maxToken)
	switch {
	case kind != typeTxnToken || !strings.EqualFold(got.TokenType, "N_A"):
		return time.Time{}, fmt.Errorf("its issued_token_type is %s and its token_type %s, and not %s and N_A", brief(kind), brief(got.TokenType), typeTxnToken)
	case err != nil:
		return time.Time{}, fmt.Errorf("it cannot be read: %w", err)
	case !jws.IsType(joseTxnToken):
		return time.Time{}, fmt.Errorf("its typ is %s, and not %s", brief(jws.Typ), joseTxnToken)
	}
	var is issued
	if err := is.add(jws.Payload); err != nil {
		return time.Time{}, err
	}
	for _, name := range []string{"txn", "sub", "scope", "req_wl"} {
		if text, err := jws.Payload.Text(name); err != nil || text == "" {
			return time.Time{}, fmt.Errorf("it has no %s", name)
		}
	}
	subject := ""
	if t.Subject != nil {
		subject = c.Subject
	}
	more := func(scope string) bool { return !slices.Contains(txnScopes(c), scope) }
	switch {
	case !slices.Equal(is.audience, []string{t.Domain}):
		return time.Time{}, errors.New("it is not for the trust domain, or not for that alone (aud)")
	case is.expires.IsZero() || is.life > longestTxnToken:
		return time.Time{}, fmt.Errorf("it lives longer than %s", longestTxnToken)
	case slices.ContainsFunc(is.scopes, more):
		return time.Time{}, errors.New("it has a scope that was not asked for")
	case is.actor != "" && is.actor != c.Agent:
		return time.Time{}, fmt.Errorf("its actor (act) is %s, and not the agent of this call", brief(is.actor))
	case t.holdsToken(jws, form.Get("subject_token")):
		return time.Time{}, errors.New("it holds the token that it was made of, which no API may get")
	}
	return is.expires, is.isFor(form.Get("subject_token"), subject, "sub")
}

// holdsToken reports whether the claims of a token hold another, as a whole.
func (t *TxnService) holdsToken(jws *issuer.JWS, other string) bool {
	for _, value := range jws.Payload {
		if strings.Contains(string(value), other) {
			return true
		}
	}
	return false
}
