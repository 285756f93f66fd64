package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// ClientCredentials asks an authorization server for an access token for each
// call (RFC 6749 §4.4), with the scopes of its operation only and for its
// audience only (RFC 8707). Nothing is kept for the next call.
type ClientCredentials struct {
	TokenURL string // https, or http on a loopback address
	ClientID string
	Secret   Secret
	// AuthStyle is oauth2.AuthStyleInHeader (also for zero) or
	// oauth2.AuthStyleInParams. Finding out by trying would send every
	// request that fails twice.
	AuthStyle oauth2.AuthStyle
	Client    *http.Client // nil means one that follows no redirects
}

// errorCode is what an error code of RFC 6749 §5.2 looks like; anything else
// that a server says may hold anything.
var errorCode = regexp.MustCompile(`^[a-z_]{1,64}$`)

// accessToken is the syntax of RFC 6750 §2.1.
var accessToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// Attach gets a token for c and sets it on r.
func (cc *ClientCredentials) Attach(ctx context.Context, c Call, r *http.Request) (Receipt, error) {
	if removeField(r.Header, "Authorization") {
		return Receipt{}, errors.New("the request already has an Authorization header, where the token goes")
	}
	if err := checkURL(cc.TokenURL); err != nil {
		return Receipt{}, fmt.Errorf("cannot get a token: the token endpoint: %w", err)
	}
	config := clientcredentials.Config{
		ClientID:       cc.ClientID,
		ClientSecret:   cc.Secret.Reveal(),
		TokenURL:       cc.TokenURL,
		Scopes:         c.Scopes,
		AuthStyle:      cc.AuthStyle,
		EndpointParams: url.Values{"resource": {c.Audience}},
	}
	if config.AuthStyle == oauth2.AuthStyleAutoDetect {
		config.AuthStyle = oauth2.AuthStyleInHeader
	}
	client := cc.Client
	if client == nil {
		client = directClient
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, client), 2*fetchTimeout)
	defer cancel()
	t, err := config.Token(ctx)
	if err != nil {
		return Receipt{}, fmt.Errorf("cannot get a token: %w", safeError(err))
	}
	if err := checkIssued(t, c.Scopes); err != nil {
		return Receipt{}, fmt.Errorf("cannot use the token of the authorization server: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+t.AccessToken)
	return Receipt{Strategy: "client_credentials", Expires: t.Expiry}, nil
}

// checkIssued refuses a token that says it is other or more than what was
// asked for.
func checkIssued(t *oauth2.Token, asked []string) error {
	if !strings.EqualFold(t.TokenType, "Bearer") {
		return fmt.Errorf("it is of type %s, not Bearer", brief(t.TokenType))
	}
	if !accessToken.MatchString(t.AccessToken) {
		return errors.New("it holds characters that a header cannot carry")
	}
	granted, _ := t.Extra("scope").(string)
	for scope := range strings.FieldsSeq(granted) {
		if len(asked) > 0 && !slices.Contains(asked, scope) {
			return fmt.Errorf("it has the scope %s, which was not asked for", brief(scope))
		}
	}
	return nil
}

// safeError keeps of an error what holds neither secrets nor a server's text.
func safeError(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) {
		if errorCode.MatchString(answer.ErrorCode) {
			return fmt.Errorf("the authorization server refuses: %s", answer.ErrorCode)
		}
		if answer.Response != nil {
			return fmt.Errorf("the authorization server answered %d", answer.Response.StatusCode)
		}
		return errors.New("the authorization server refuses")
	}
	var network *url.Error
	if errors.As(err, &network) {
		return fmt.Errorf("the authorization server cannot be reached: %w", network.Err)
	}
	return errors.New("the authorization server's answer is not a token")
}
