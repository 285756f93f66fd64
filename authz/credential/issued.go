package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/authz/token"
)

// maxToken is how long a token may be: longer ones do not fit the header that
// servers take.
const maxToken = 8<<10 - len("Bearer ")

// issued is what a token is, as its server says. It came from the server itself,
// over TLS, so its signature would say nothing new.
type issued struct {
	known    bool // audience and what follows could be read
	claims   claims.Set
	issuer   string
	audience []string
	subject  string
	actor    string // the outermost: those within are history (RFC 8693 §4.1)
	key      string // cnf.jkt
	cert     string // cnf.x5t#S256
	scopes   []string
	details  []json.RawMessage
	expires  time.Time
	life     time.Duration
}

// read reads a token: itself if it is a JWT, or else what its server says of it.
func (s *Server) read(ctx context.Context, t *oauth2.Token) (*issued, error) {
	got := &issued{expires: t.Expiry}
	if !t.Expiry.IsZero() {
		got.life = time.Until(t.Expiry).Round(time.Second)
	}
	granted, said, err := GrantedScopes(t)
	if err != nil {
		return nil, err
	}
	if said {
		got.scopes = granted
	}
	if raw := t.Extra("authorization_details"); raw != nil {
		text, err := json.Marshal(raw)
		if err == nil {
			err = json.Unmarshal(text, &got.details)
		}
		if err != nil {
			return nil, errors.New("its authorization_details are no list")
		}
	}
	jws, err := issuer.ParseJWS(t.AccessToken, maxToken)
	switch {
	case err == nil:
		return got, got.add(jws.Payload)
	case !errors.Is(err, issuer.ErrNoJWS):
		return nil, fmt.Errorf("it cannot be read: %w", err)
	case s.IntrospectURL == "":
		return got, nil
	}
	set, err := s.Introspect(ctx, t.AccessToken)
	if err != nil {
		return nil, err
	}
	return got, got.add(set)
}

// add takes in what claims say.
func (i *issued) add(set claims.Set) error {
	var errs [10]error
	i.known, i.claims = true, set
	i.issuer, errs[0] = set.Text("iss")
	i.subject, errs[1] = set.Text("sub")
	i.audience, errs[2] = set.Texts("aud")
	i.actor, errs[3] = set.Text("/act/sub")
	i.key, errs[4] = set.Text("/cnf/jkt")
	i.cert, errs[5] = set.Text("/cnf/x5t#S256")
	var from, until time.Time
	from, errs[6] = set.Time("iat")
	until, errs[7] = set.Time("exp")
	for _, name := range []string{"scope", "scp"} { // some servers call it so
		if set.Has(name) {
			more, err := set.Words(name)
			errs[8] = errors.Join(errs[8], err)
			i.scopes = append(i.scopes, more...)
		}
	}
	if set.Has("authorization_details") {
		var more []json.RawMessage
		if json.Unmarshal(set["authorization_details"], &more) != nil {
			errs[9] = errors.New(`the claim "authorization_details" is no list`)
		}
		i.details = append(i.details, more...)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("it cannot be read: %w", err)
	}
	slices.Sort(i.scopes)
	i.scopes = slices.Compact(i.scopes)
	if until.IsZero() {
		return nil
	}
	if from.IsZero() {
		from = time.Now()
	}
	i.life = max(i.life, until.Sub(from)) // by one clock, which need not be this machine's
	i.expires = until
	return nil
}

// actsAs refuses a token that does not name the agent as the one who acts, where its
// server was told so.
func (i *issued) actsAs(a *Assertion, agent string) error {
	switch {
	case a == nil || i.actor == agent:
		return nil
	case !i.known:
		return errors.New("it does not show whether it names the agent as its actor: it is opaque, and there is no introspect_url")
	case i.actor == "":
		return errors.New("it does not name the agent as its actor (act): the server ignores who acts, so leave exchange.actor out, or have the server take it")
	}
	return fmt.Errorf("its actor (act) is %s, and not the agent of this call", brief(i.actor))
}

// isFor refuses a token in the name of another than the one that was exchanged for
// it. Two issuers can call one person differently, so a foreign token's sub is
// compared where one issuer made both. Who it is that exeat said, asserted, is the
// value of a claim of the token.
func (i *issued) isFor(exchanged, asserted, claim string) error {
	other := errors.New("it is in the name of another than the token that it was exchanged for")
	if asserted != "" {
		name, err := i.claims.Text(claim)
		switch {
		case !i.known || err == nil && name == asserted:
			return nil
		case err != nil || name == "":
			return fmt.Errorf("it does not say in whose name it is (%s): exchange.same_subject names the claim that does", claim)
		}
		return fmt.Errorf("%w: exchange.same_subject names the claim that has what exeat calls the principal, and is %s", other, claim)
	}
	was, err := issuer.ParseJWS(exchanged, 2*maxToken)
	if err != nil || !i.known {
		return nil
	}
	from, err := was.Payload.Text("iss")
	subject, err2 := was.Payload.Text("sub")
	switch {
	case err != nil || err2 != nil || from != i.issuer || subject == "" || subject == i.subject:
		return nil
	case i.subject == "":
		return errors.New("it does not say in whose name it is (sub), as the token does that it was exchanged for")
	}
	return other
}

// boundTo refuses a token that is bound to a key which exeat would not show, and one
// that is not bound to the key for which it was asked.
func (i *issued) boundTo(key string, certified bool) error {
	switch {
	case i.key != "" && i.key != key, i.cert != "" && !certified:
		return errors.New("it is bound to a key (cnf) that exeat does not have")
	case i.known && key != i.key:
		return errors.New("it is not bound to the key that it was asked for with (cnf.jkt), though its type says so")
	}
	return nil
}

// otherAudience says whom a token is for beside those who were asked for.
func (i *issued) otherAudience(asked ...[]string) []string {
	if len(i.audience) == 0 {
		return []string{"it does not show whom it is for (a JWT says so in aud, or introspect_url what the server knows of it)"}
	}
	for _, one := range i.audience {
		if !slices.Contains(slices.Concat(asked...), one) {
			return []string{"it is for " + brief(one)}
		}
	}
	return nil
}

// moreScopes says which scopes a token has that were not asked for.
func (i *issued) moreScopes(asked, also []string) (wider []string) {
	if i.scopes == nil {
		i.scopes = asked // RFC 8693 §2.2.1: they are those asked for
	}
	for _, one := range i.scopes {
		if !slices.Contains(asked, one) && !slices.Contains(also, one) && !slices.Contains(also, "*") {
			wider = append(wider, fmt.Sprintf("it has the scope %s (also_granted allows it)", brief(one)))
		}
	}
	return wider[:min(len(wider), 3)]
}

// longer says that a token lives longer than it may.
func (i *issued) longer(most time.Duration) []string {
	switch {
	case i.life <= 0:
		return []string{"it does not show how long it lives"}
	case i.life > most:
		return []string{fmt.Sprintf("it lives %s, and max_ttl is %s", i.life, most)}
	}
	return nil
}

// otherDetails says that what a token is for is not exactly one request.
func (i *issued) otherDetails(asked token.Details) []string {
	if len(i.details) == 0 {
		return []string{"it does not show its authorization_details, so the server may have ignored them"}
	}
	for _, raw := range i.details {
		var got token.Details
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if dec.Decode(&got) != nil || got.Digest() != asked.Digest() {
			return []string{"it has other authorization_details"}
		}
	}
	return nil
}
