package credential

import (
	"context"
	"encoding/json"
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

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/dpop"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi/reach"
)

// within bounds all requests to an authorization server for one credential.
const within = 10 * time.Second

// direct uses no proxy from the environment.
var direct = NewClient(reach.Way{})

// NewClient is a client for the servers that give out credentials, which are reached
// in a way. It follows no redirects, and no error repeats what they write.
func NewClient(way reach.Way) *http.Client {
	return &http.Client{
		Transport: reach.Quiet(&http.Transport{
			DialContext:            way.Dialer(),
			DialTLSContext:         way.TLSDialer(),
			TLSHandshakeTimeout:    within,
			ResponseHeaderTimeout:  within,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConnsPerHost:    64, // there is one host
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
		}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Server is an authorization server and what exeat is to it.
type Server struct {
	TokenURL  string // https, or http on a loopback address
	RevokeURL string // RFC 7009; empty: nothing is revoked
	// IntrospectURL is where the server says what an opaque token is (RFC 7662).
	IntrospectURL string
	Auth          ClientAuth
	Client        *http.Client // nil means one that follows no redirects and uses no proxy
	// Certified says that Client shows a certificate, to which tokens may be bound
	// (RFC 8705 §3). They are of use to an API that is shown the same.
	Certified bool

	given dpop.Given // by the server, for proofs
}

// Check reports what cannot work, so that a wrong configuration does not start.
func (s *Server) Check() error {
	for what, location := range map[string]string{"token endpoint": s.TokenURL, "revocation endpoint": s.RevokeURL, "introspection endpoint": s.IntrospectURL} {
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
func (s *Server) Host() string { return hostOf(s.TokenURL) }

func (s *Server) client() *http.Client {
	if s.Client != nil {
		return s.Client
	}
	return direct
}

// Ask asks for a token with a grant type (RFC 6749 §4.5), once. form has the other
// parameters of the request. The error holds nothing that the server wrote.
func (s *Server) Ask(ctx context.Context, grant string, form url.Values, scopes []string) (*oauth2.Token, error) {
	return s.ask(ctx, s.client(), grant, form, scopes)
}

func (s *Server) ask(ctx context.Context, client *http.Client, grant string, form url.Values, scopes []string) (*oauth2.Token, error) {
	params := url.Values{"grant_type": {grant}}
	for name, values := range form {
		params[name] = values
	}
	who, err := s.Auth.prove(params)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for a token: %w", err)
	}
	config := clientcredentials.Config{TokenURL: s.TokenURL, ClientID: who.id, ClientSecret: who.secret, AuthStyle: who.style, Scopes: scopes, EndpointParams: params}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, client), within)
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
	return func(ctx context.Context) error { return s.revoke(ctx, t, "access_token") }
}

// RevokeRefresh ends a refresh token, and what was made of it (RFC 7009).
func (s *Server) RevokeRefresh(ctx context.Context, t string) error {
	if s.RevokeURL == "" {
		return errors.New("no revocation endpoint is configured (revoke_url)")
	}
	return s.revoke(ctx, t, "refresh_token")
}

func (s *Server) revoke(ctx context.Context, t, hint string) error {
	if _, err := s.post(ctx, s.RevokeURL, url.Values{"token": {t}, "token_type_hint": {hint}}); err != nil {
		return fmt.Errorf("cannot revoke the token: %w", err)
	}
	return nil
}

// Introspect asks the server what a token is that only it can read (RFC 7662). One
// that is not active is an error.
func (s *Server) Introspect(ctx context.Context, t string) (claims.Set, error) {
	body, err := s.post(ctx, s.IntrospectURL, url.Values{"token": {t}, "token_type_hint": {"access_token"}})
	if err != nil {
		return nil, fmt.Errorf("cannot ask the authorization server what its token is: %w", err)
	}
	set, err := claims.Parse(body)
	switch {
	case err != nil:
		return nil, errors.New("what the authorization server says of its token is not one JSON object")
	case string(set["active"]) != "true":
		return nil, errors.New("the authorization server says that its own token is not active: the client may have to be allowed to ask")
	}
	return set, nil
}

// maxAnswer is how much of an answer is read.
const maxAnswer = 64 << 10

// post sends a form to an endpoint, with the proof of who asks, and returns the
// answer. The error holds nothing that the server wrote.
func (s *Server) post(ctx context.Context, endpoint string, form url.Values) ([]byte, error) {
	who, err := s.Auth.prove(form)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if who.style == oauth2.AuthStyleInParams {
		form.Set("client_id", who.id)
		if who.secret != "" {
			form.Set("client_secret", who.secret)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("the endpoint is not a URL")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if who.style == oauth2.AuthStyleInHeader {
		r.SetBasicAuth(url.QueryEscape(who.id), url.QueryEscape(who.secret))
	}
	res, err := s.client().Do(r)
	if err != nil {
		return nil, safeError(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1)) // whole, so that the connection can be used again
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the authorization server answered %d", res.StatusCode)
	case err != nil:
		return nil, errors.New("the answer of the authorization server ended early")
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer of the authorization server is longer than %d bytes", maxAnswer)
	}
	return body, nil
}

// discard ends a token that was made and is not used, and returns why.
func (s *Server) discard(ctx context.Context, t *oauth2.Token, why error) error {
	err := fmt.Errorf("cannot use the token of the authorization server: %w", why)
	if revoke := s.Revoke(t.AccessToken); revoke != nil {
		err = errors.Join(err, revoke(context.WithoutCancel(ctx)))
	}
	return err
}

// timeOf is the time by a clock; nil is that of this machine.
func timeOf(now func() time.Time) time.Time {
	if now == nil {
		return time.Now()
	}
	return now()
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
	granted, _, err := GrantedScopes(t)
	if err != nil {
		return err
	}
	for _, scope := range granted {
		if len(asked) > 0 && !slices.Contains(asked, scope) && !slices.Contains(also, scope) && !slices.Contains(also, "*") {
			return fmt.Errorf("it has the scope %s, which was not asked for (also_granted allows it)", brief(scope))
		}
	}
	return nil
}

// GrantedScopes are those that a server says its token has, and whether it says any:
// else they are those asked for (RFC 6749 §5.1). Some servers write a list. What cannot
// be read is an error, since it may be more than was asked for.
func GrantedScopes(t *oauth2.Token) (scopes []string, said bool, err error) {
	switch granted := t.Extra("scope").(type) {
	case nil:
		return nil, false, nil
	case string:
		return strings.Fields(granted), granted != "", nil
	case []any:
		scopes = []string{}
		for _, one := range granted {
			text, ok := one.(string)
			if !ok {
				return nil, true, errScope
			}
			scopes = append(scopes, strings.Fields(text)...)
		}
		return scopes, true, nil
	}
	return nil, true, errScope
}

var errScope = errors.New("its scope is no text, so nobody knows what it is for")

// grantedScope is what a token allows: as its server says, or else as asked for. The
// caller has used checkIssued.
func grantedScope(t *oauth2.Token, asked []string) string {
	if granted, said, err := GrantedScopes(t); said && err == nil {
		return strings.Join(granted, " ")
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
	"invalid_grant":                 " (it does not take the token that it is given: whose it is, whom it is for, or that it ended)",
	"invalid_client":                " (check client_id and the secret or key, and whether auth is what the server wants)",
	"invalid_scope":                 " (scopes says what is asked for)",
	"invalid_target":                " (resource says what the token is for; empty sends none)",
	"invalid_request":               " (a server that knows no resource parameter wants resource: ''; others want an audience)",
	"invalid_authorization_details": " (the server has to know the type " + token.DetailsType + ", and let this client ask for it)",
	"access_denied":                 " (some servers want an audience)",

	"interaction_required": " (the user has to consent, or to log in in another way, at the authorization server)",
	"unauthorized_client":  " (the server does not let this client ask in this way)",
}

// maxSkew is how far clocks may differ before that may be why somebody refuses.
const maxSkew = 20 * time.Second

// clockHint says that the clocks differ, where what is signed here may look too old
// or not yet good to the server.
func clockHint(answer *http.Response) string {
	if answer == nil {
		return ""
	}
	at, err := http.ParseTime(answer.Header.Get("Date"))
	if off := time.Since(at).Round(time.Second); err == nil && off.Abs() > maxSkew {
		return fmt.Sprintf("; its clock and the one of this machine differ by %s", off.Abs())
	}
	return ""
}

// claimsOf are the claims that an authorization server wants of the caller's login
// before it makes a token of theirs.
func claimsOf(answer *oauth2.RetrieveError) json.RawMessage {
	var body struct {
		Claims string `json:"claims"`
	}
	if answer.ErrorCode != "interaction_required" && answer.ErrorCode != "invalid_grant" || json.Unmarshal(answer.Body, &body) != nil || body.Claims == "" {
		return nil
	}
	claims, err := token.ParseClaims([]byte(body.Claims))
	if err != nil {
		return nil
	}
	return claims
}

// ErrGrant is that a server does not take what a token is to be made of: a code, a
// refresh token, somebody else's token.
var ErrGrant = errors.New("the authorization server refuses: invalid_grant")

// safeError keeps of an error what holds neither secrets nor a server's text.
func safeError(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) {
		if claims := claimsOf(answer); claims != nil {
			return &token.ClaimsError{Claims: claims}
		}
		if answer.ErrorCode == "invalid_grant" {
			return fmt.Errorf("%w%s%s", ErrGrant, hints[answer.ErrorCode], clockHint(answer.Response))
		}
		if errorCode.MatchString(answer.ErrorCode) {
			return fmt.Errorf("the authorization server refuses: %s%s%s", answer.ErrorCode, hints[answer.ErrorCode], clockHint(answer.Response))
		}
		if answer.Response != nil {
			return fmt.Errorf("the authorization server answered %d", answer.Response.StatusCode)
		}
		return errors.New("the authorization server refuses")
	}
	var kind *notJSON
	if errors.As(err, &kind) {
		return kind
	}
	var network *url.Error
	if errors.As(err, &network) {
		return fmt.Errorf("the authorization server cannot be reached: %w", network.Err)
	}
	return errors.New("the authorization server's answer is not a token")
}
