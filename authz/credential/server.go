package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi/reach"
)

// within bounds all requests to an authorization server for one credential.
const within = 10 * time.Second

// direct uses no proxy from the environment.
var direct = NewClient(reach.Way{})

// NewClient is a client for the servers that give out credentials, which are reached
// in a way. It follows no redirects.
func NewClient(way reach.Way) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            way.Dialer(),
			DialTLSContext:         way.TLSDialer(),
			TLSHandshakeTimeout:    within,
			ResponseHeaderTimeout:  within,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConnsPerHost:    64, // there is one host
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Server is an authorization server and what exeat is to it.
type Server struct {
	TokenURL  string // https, or http on a loopback address
	RevokeURL string // RFC 7009; empty: nothing is revoked
	Auth      ClientAuth
	Client    *http.Client // nil means one that follows no redirects and uses no proxy
}

// Check reports what cannot work, so that a wrong configuration does not start.
func (s *Server) Check() error {
	for what, location := range map[string]string{"token endpoint": s.TokenURL, "revocation endpoint": s.RevokeURL} {
		if _, err := token.ParseLocation(location); err != nil && !(location == "" && what != "token endpoint") {
			return fmt.Errorf("the %s: %w", what, err)
		}
	}
	if s.Auth == nil {
		return errors.New("it is not said how exeat authenticates to the authorization server")
	}
	return nil
}

// Host names the server in entries.
func (s *Server) Host() string {
	u, err := url.Parse(s.TokenURL)
	if err != nil {
		return ""
	}
	return u.Host
}

func (s *Server) client() *http.Client {
	if s.Client != nil {
		return s.Client
	}
	return direct
}

// Ask asks for a token with a grant type (RFC 6749 §4.5), once. form has the other
// parameters of the request. The error holds nothing that the server wrote.
func (s *Server) Ask(ctx context.Context, grant string, form url.Values, scopes []string) (*oauth2.Token, error) {
	params := url.Values{"grant_type": {grant}}
	for name, values := range form {
		params[name] = values
	}
	who, err := s.Auth.prove(params)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for a token: %w", err)
	}
	config := clientcredentials.Config{TokenURL: s.TokenURL, ClientID: who.id, ClientSecret: who.secret, AuthStyle: who.style, Scopes: scopes, EndpointParams: params}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, s.client()), within)
	defer cancel()
	t, err := config.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot get a token: %w", safeError(err))
	}
	return t, nil
}

// Revoke ends a token (RFC 7009). It is nil where the server has no endpoint for that.
func (s *Server) Revoke(t string) func(context.Context) error {
	if s.RevokeURL == "" {
		return nil
	}
	return func(ctx context.Context) error {
		form := url.Values{"token": {t}, "token_type_hint": {"access_token"}}
		who, err := s.Auth.prove(form)
		if err != nil {
			return fmt.Errorf("cannot revoke the token: %w", err)
		}
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		if who.style == oauth2.AuthStyleInParams {
			form.Set("client_id", who.id)
			if who.secret != "" {
				form.Set("client_secret", who.secret)
			}
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.RevokeURL, strings.NewReader(form.Encode()))
		if err != nil {
			return errors.New("cannot revoke the token: the revocation endpoint is not a URL")
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if who.style == oauth2.AuthStyleInHeader {
			r.SetBasicAuth(url.QueryEscape(who.id), url.QueryEscape(who.secret))
		}
		res, err := s.client().Do(r)
		if err != nil {
			return fmt.Errorf("cannot revoke the token: %w", safeError(err))
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("cannot revoke the token: the authorization server answered %d", res.StatusCode)
		}
		return nil
	}
}

// scopeToken is the syntax of one scope (RFC 6749 §3.3).
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)

// errorCode is what an error code of RFC 6749 §5.2 looks like; anything else
// that a server says may hold anything.
var errorCode = regexp.MustCompile(`^[a-z_]{1,64}$`)

// accessToken is the syntax of RFC 6750 §2.1.
var accessToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

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

// grantedScope is what a token allows: as its server says, or else as asked for.
func grantedScope(t *oauth2.Token, asked []string) string {
	if granted, _ := t.Extra("scope").(string); granted != "" {
		return granted
	}
	return strings.Join(asked, " ")
}

// brief is a foreign text as a short quoted one.
func brief(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// hints say which key of the configuration an error code is often about.
var hints = map[string]string{
	"invalid_client":  " (check client_id and the secret or key, and whether auth is what the server wants)",
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
