package token

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
// audience only (RFC 8707), unless it is told otherwise. Nothing is kept for the
// next call.
type ClientCredentials struct {
	TokenURL string // https, or http on a loopback address
	ClientID string
	Secret   Secret
	// SecretInBody puts the id and secret into the body, not into the Authorization
	// header (RFC 6749 §2.3.1). Finding out by trying would send every request that
	// fails twice.
	SecretInBody bool
	// Scopes, if not nil, are asked for in place of the call's.
	Scopes []string
	// AlsoGranted are scopes that the server may add to those asked for; "*" is any.
	AlsoGranted []string
	// Resource is the resource parameter of RFC 8707: nil means the call's audience,
	// empty that there is none.
	Resource *string
	// Params are further parameters of the token request, such as audience.
	Params url.Values
	Client *http.Client // nil means one that follows no redirects
}

// ownParams are those that ClientCredentials sets itself.
var ownParams = []string{"grant_type", "client_id", "client_secret", "scope", "resource"}

// Check reports what cannot work, so that a wrong configuration does not start.
func (cc *ClientCredentials) Check() error {
	if _, err := parseLocation(cc.TokenURL); err != nil {
		return fmt.Errorf("the token endpoint: %w", err)
	}
	for name := range cc.Params {
		if name == "" || slices.Contains(ownParams, name) {
			return fmt.Errorf("the parameter %q of the token request is set already, and cannot be given among others", name)
		}
	}
	for _, scope := range cc.Scopes {
		if !scopeToken.MatchString(scope) {
			return fmt.Errorf("%s is not a scope: write each as an item of its own", brief(scope))
		}
	}
	return nil
}

// scopeToken is the syntax of one scope (RFC 6749 §3.3).
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)

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
	if err := cc.Check(); err != nil {
		return Receipt{}, fmt.Errorf("cannot get a token: %w", err)
	}
	config := cc.config(c)
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
	if err := checkIssued(t, config.Scopes, cc.AlsoGranted); err != nil {
		return Receipt{}, fmt.Errorf("cannot use the token of the authorization server: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+t.AccessToken)
	return Receipt{Strategy: "client_credentials", Expires: t.Expiry}, nil
}

// config is the token request for c.
func (cc *ClientCredentials) config(c Call) clientcredentials.Config {
	config := clientcredentials.Config{
		ClientID:       cc.ClientID,
		ClientSecret:   cc.Secret.Reveal(),
		TokenURL:       cc.TokenURL,
		Scopes:         c.Scopes,
		AuthStyle:      oauth2.AuthStyleInHeader,
		EndpointParams: url.Values{},
	}
	if cc.Scopes != nil {
		config.Scopes = cc.Scopes
	}
	if cc.SecretInBody {
		config.AuthStyle = oauth2.AuthStyleInParams
	}
	maps.Copy(config.EndpointParams, cc.Params)
	resource := c.Audience
	if cc.Resource != nil {
		resource = *cc.Resource
	}
	if resource != "" {
		config.EndpointParams.Set("resource", resource)
	}
	return config
}

// checkIssued refuses a token that says it is other or more than what was
// asked for.
func checkIssued(t *oauth2.Token, asked, also []string) error {
	if !strings.EqualFold(t.TokenType, "Bearer") {
		return fmt.Errorf("it is of type %s, not Bearer", brief(t.TokenType))
	}
	if !accessToken.MatchString(t.AccessToken) {
		return errors.New("it holds characters that a header cannot carry")
	}
	granted, _ := t.Extra("scope").(string)
	for scope := range strings.FieldsSeq(granted) {
		if len(asked) > 0 && !slices.Contains(asked, scope) && !slices.Contains(also, scope) && !slices.Contains(also, "*") {
			return fmt.Errorf("it has the scope %s, which was not asked for (also_granted allows it)", brief(scope))
		}
	}
	return nil
}

// hints say which key of the configuration an error code is often about.
var hints = map[string]string{
	"invalid_client":  " (check client_id and the secret, and whether auth is header or body)",
	"invalid_scope":   " (scopes says what is asked for)",
	"invalid_target":  " (resource says what the token is for; empty sends none)",
	"invalid_request": " (a server that knows no resource parameter wants resource: ''; others want an audience)",
	"access_denied":   " (some servers want an audience)",
}

// safeError keeps of an error what holds neither secrets nor a server's text.
func safeError(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) {
		if errorCode.MatchString(answer.ErrorCode) {
			return fmt.Errorf("the authorization server refuses: %s%s", answer.ErrorCode, hints[answer.ErrorCode])
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
