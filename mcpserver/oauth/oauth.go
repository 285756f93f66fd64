package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/issuer"
	secret "github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/mcpserver"
	"github.com/exeat/exeat/tools"
)

const schemeDPoP = "DPoP"

// Authenticate finds out who makes a request, from the access token in it. The
// error is a *mcpserver.Challenge.
func (s *Server) Authenticate(r *http.Request) (tools.Caller, error) {
	caller, err := s.authenticate(r)
	if err == nil {
		return caller, nil
	}
	challenge := new(mcpserver.Challenge)
	if !errors.As(err, &challenge) {
		s.c.Report(err)
		challenge = unavailable() // what could not be checked is not good
	}
	return tools.Caller{}, s.Complete(challenge)
}

func (s *Server) authenticate(r *http.Request) (tools.Caller, error) {
	scheme, token, err := s.credential(r)
	if err != nil {
		return tools.Caller{}, err
	}
	g, err := s.open(r.Context(), token)
	if err != nil {
		return tools.Caller{}, withScheme(err, scheme)
	}
	if err := s.checkBinding(r, g, scheme, token); err != nil {
		return tools.Caller{}, err
	}
	caller, err := s.callerOf(g)
	if err != nil {
		return tools.Caller{}, withScheme(err, scheme)
	}
	caller.Issued, caller.Token, caller.TokenBound = issued(g), secret.NewSecret(token), g.claims.Has("cnf")
	caller.Could = authz.Could{Scopes: s.c.Scopes, ACR: g.from.ACR}
	s.remember(caller.Principal, caller.Issued)
	return caller, nil
}

// withScheme has a challenge speak of the scheme that a token came by.
func withScheme(err error, scheme string) error {
	if c := new(mcpserver.Challenge); scheme == schemeDPoP && errors.As(err, &c) {
		c.Scheme = schemeDPoP
	}
	return err
}

// credential takes the token out of a request: from the one place where it may
// be. A token in a URL would be in logs and histories.
func (s *Server) credential(r *http.Request) (scheme, token string, err error) {
	lines := r.Header.Values("Authorization")
	switch {
	case r.URL.Query().Has("access_token"):
		return "", "", malformed("the token is in the URL, where others can read it: send it in the header Authorization, and no longer use this one")
	case len(lines) == 0:
		return "", "", &mcpserver.Challenge{Help: "no token came: log in with the authorization server that resource_metadata names, and send the access token in the header Authorization: " + s.scheme() + " TOKEN"}
	case len(lines) > 1:
		return "", "", malformed("the header Authorization came twice: send it once")
	case len(lines[0]) > maxToken+len("Bearer "):
		return "", "", invalid("the token is longer than %d bytes", maxToken)
	}
	scheme, token, _ = strings.Cut(lines[0], " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		scheme = "Bearer"
	case strings.EqualFold(scheme, schemeDPoP):
		scheme = schemeDPoP
	default:
		return "", "", &mcpserver.Challenge{Help: "the header Authorization has no access token: send " + s.scheme() + " TOKEN"}
	}
	if !tokenSyntax(token) {
		return "", "", withScheme(invalid("what the header Authorization has is not a token"), scheme)
	}
	return scheme, token, nil
}

// scheme is the one that a client is told to use.
func (s *Server) scheme() string {
	if bearer, _ := s.schemes(); !bearer {
		return schemeDPoP
	}
	return "Bearer"
}

// tokenSyntax is b64token (RFC 6750, section 2.1).
func tokenSyntax(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~+/", r))
	}) < 0
}

// open finds out what a token gives. A JWT is read here; of any other the issuer
// is asked.
func (s *Server) open(ctx context.Context, token string) (*grant, error) {
	c, err := issuer.ParseJWS(token, maxToken)
	switch {
	case err == nil && s.isSVID(c):
		return s.openSVID(ctx, c)
	case err == nil:
		return s.openJWT(ctx, c)
	case errors.Is(err, issuer.ErrNoJWS) && s.opaque != nil:
		return s.introspect(ctx, token)
	}
	return nil, invalid("the token cannot be used: %v", err)
}
