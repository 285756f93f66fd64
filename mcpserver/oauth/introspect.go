package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/issuer"
)

// Bounds of introspection.
const (
	maxAnswers   = 10_000 // that are remembered
	maxAsking    = 16     // requests under way
	answerLife   = time.Minute
	noAnswerLife = 10 * time.Second // of the answer that a token is none
)

// introspected is what the issuer said of a token, and until when that holds. No
// claims mean that the token is not active.
type introspected struct {
	claims claims.Set
	until  time.Time
}

// introspect asks the issuer about a token that only it can read (RFC 7662). Its
// answer is checked as the claims of a JWT are.
func (s *Server) introspect(ctx context.Context, token string) (*grant, error) {
	sum := sha256.Sum256([]byte(token))
	now := s.c.Now()
	answer, known := s.answers.get(string(sum[:]))
	if !known || !now.Before(answer.until) {
		var err error
		if answer, err = s.ask(ctx, token); err != nil {
			s.c.Report(fmt.Errorf("cannot ask the issuer %s about a token: %w", s.opaque.URL, err))
			return nil, unavailable()
		}
		s.answers.put(string(sum[:]), answer, nil)
	}
	if answer.claims == nil {
		return nil, invalid("the issuer says that the token is not active: get a new one")
	}
	g := &grant{s.opaque, answer.claims}
	if iss, err := g.claims.Text("iss"); err != nil || iss != "" && iss != s.opaque.URL {
		return nil, invalid("the token is of an issuer that this server does not know")
	}
	return g, s.checkClaims(g)
}

// ask sends the one request, unless too many are under way.
func (s *Server) ask(ctx context.Context, token string) (introspected, error) {
	ctx, cancel := context.WithTimeout(ctx, issuer.Timeout)
	defer cancel()
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return introspected{}, errors.New("too many requests to it are under way")
	}
	r, err := s.question(ctx, token)
	if err != nil {
		return introspected{}, err
	}
	header, b, err := issuer.Do(s.opaque.Client(), r)
	if err != nil {
		return introspected{}, err
	}
	if kind, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || kind != "application/json" {
		return introspected{}, errors.New("its answer is not JSON")
	}
	if len(b) > maxToken {
		return introspected{}, fmt.Errorf("its answer is longer than the %d bytes that a token may have", maxToken)
	}
	return parseAnswer(b, s.c.Now())
}

func (s *Server) question(ctx context.Context, token string) (*http.Request, error) {
	c := s.opaque.Introspection
	endpoint, methods := c.Endpoint, []string(nil)
	if endpoint == "" {
		m, err := s.opaque.Metadata(ctx)
		if err != nil {
			return nil, err
		}
		if endpoint, methods = m.Introspection, m.IntrospectionMethods; endpoint == "" {
			return nil, errors.New("its metadata names no introspection_endpoint: name it in the configuration")
		}
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	inForm := !slices.Contains(methods, "client_secret_basic") && slices.Contains(methods, "client_secret_post")
	if inForm {
		form.Set("client_id", c.ClientID)
		form.Set("client_secret", c.Secret())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if !inForm { // each part is encoded first (RFC 6749, section 2.3.1)
		r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.Secret()))
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	return r, nil
}

// parseAnswer reads an answer of introspection. One that does not say whether the
// token is active is none.
func parseAnswer(b []byte, now time.Time) (introspected, error) {
	set, err := claims.Parse(b)
	if err != nil {
		return introspected{}, fmt.Errorf("its answer cannot be read: %w", err)
	}
	switch active := string(set["active"]); active {
	case "false":
		return introspected{until: now.Add(noAnswerLife)}, nil
	case "true":
	default:
		return introspected{}, errors.New("its answer does not say whether the token is active")
	}
	until := now.Add(answerLife)
	if expires, err := set.Time("exp"); err == nil && expires.Before(until) {
		until = expires
	}
	return introspected{set, until}, nil
}
