package credential

import (
	"cmp"
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

	"github.com/exeat/exeat/authz/dpop"
	"github.com/exeat/exeat/authz/token"
)

// DefaultExchangeTTL is how long a token may live that was exchanged, if nothing else
// is configured.
const DefaultExchangeTTL = 15 * time.Minute

// The token types of RFC 8693 §3.
const (
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"
)

// grantExchange is the grant type of RFC 8693.
const grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

// Exchange has an authorization server make, of a token that says who the principal
// is, one for this call: for its API, with the scopes of its operation (RFC 8693).
// What comes back is read and compared with what was asked for. The principal's own
// token never reaches the API.
type Exchange struct {
	Server *Server
	Wants
	// Subject, if not nil, says who the principal is, in place of the caller's token.
	Subject *Assertion
	// SameSubject is the claim of a token that has to be what exeat calls the
	// principal, where exeat says who it is; empty means sub.
	SameSubject string
	// Actor, if not nil, says which agent acts. A token that does not name it as its
	// actor (act) is then refused: many servers ignore who acts.
	Actor *Assertion
	// Details asks for a token for this one request (RFC 9396), of the type
	// token.DetailsType. What is granted is compared.
	Details bool
	// DPoP has the token be bound to a key that is made for this call and kept nowhere
	// (RFC 9449).
	DPoP bool
	// MaxTTL is how long the token may live; 0 means DefaultExchangeTTL.
	MaxTTL time.Duration
	// NoteWider has a token that is for more than was asked for used all the same,
	// and noted in the entry of its call.
	NoteWider bool

	given dpop.Given // by the API, for proofs
}

// NeedsCaller reports whether the token is made of the caller's.
func (x *Exchange) NeedsCaller() bool { return x.Subject == nil }

// Check reports what cannot work, so that a wrong configuration does not start.
func (x *Exchange) Check() error {
	if err := errors.Join(x.Server.Check(), x.Wants.Check()); err != nil {
		return err
	}
	if x.Resource != nil && *x.Resource == "" && !x.Params.Has("audience") {
		return errors.New("it is not said whom the token is for: give audience, or a resource")
	}
	if x.MaxTTL < 0 {
		return fmt.Errorf("a life of %s is none", x.MaxTTL)
	}
	return errors.Join(x.Subject.check(), x.Actor.check())
}

// Attach exchanges a token for c and sets what it gets on r.
func (x *Exchange) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if token.RemoveField(r.Header, "Authorization") || token.RemoveField(r.Header, "DPoP") {
		return token.Receipt{}, errors.New("the request already has an Authorization or DPoP header, where the token goes")
	}
	form, scopes, err := x.request(c)
	if err != nil {
		return token.Receipt{}, err
	}
	var key *dpop.Key
	if x.DPoP {
		if key, err = dpop.NewKey(); err != nil {
			return token.Receipt{}, err
		}
	}
	t, err := x.Server.ask(ctx, x.Server.strictClient(key), grantExchange, form, scopes)
	if err != nil {
		return token.Receipt{}, err
	}
	receipt, err := x.examine(ctx, c, form, scopes, t, key)
	if err == nil {
		err = x.setToken(r, t.AccessToken, key)
	}
	if key != nil {
		receipt.Answered = x.given.Answered
	}
	if err != nil {
		return token.Receipt{}, x.Server.discard(ctx, t, err)
	}
	return receipt, nil
}

// setToken puts a token into a request, with the proof of its key if it has one.
func (x *Exchange) setToken(r *http.Request, t string, key *dpop.Key) error {
	scheme := "Bearer "
	if key != nil {
		scheme = "DPoP "
		proof, err := key.Proof(r.Method, r.URL.String(), t, x.given.Nonce())
		if err != nil {
			return err
		}
		r.Header.Set("DPoP", proof)
	}
	r.Header.Set("Authorization", scheme+t)
	return nil
}

// request are the parameters of the token request for c, and its scopes.
func (x *Exchange) request(c token.Call) (url.Values, []string, error) {
	form, scopes := x.form(c)
	subject, kind, err := subjectToken(x.Subject, c, x.DPoP)
	if err != nil {
		return nil, nil, err
	}
	form.Set("requested_token_type", typeAccessToken)
	form.Set("subject_token", subject)
	form.Set("subject_token_type", kind)
	if x.Actor != nil {
		actor, err := x.Actor.sign(c.Agent, map[string]any{"sub_profile": "ai_agent", "txn": c.Txn})
		if err != nil {
			return nil, nil, err
		}
		form.Set("actor_token", actor)
		form.Set("actor_token_type", typeJWT)
	}
	if x.Details {
		details, err := json.Marshal([]token.Details{c.Details})
		if err != nil {
			return nil, nil, err
		}
		form.Set("authorization_details", string(details))
	}
	return form, scopes, nil
}

// examine compares what came back with what was asked for.
func (x *Exchange) examine(ctx context.Context, c token.Call, form url.Values, scopes []string, t *oauth2.Token, key *dpop.Key) (token.Receipt, error) {
	kind, _ := t.Extra("issued_token_type").(string)
	scheme, thumbprint := "Bearer", ""
	if key != nil {
		scheme, thumbprint = "DPoP", key.Thumbprint()
	}
	switch {
	case kind != typeAccessToken:
		return token.Receipt{}, fmt.Errorf("its issued_token_type is %s, and not %s", brief(kind), typeAccessToken)
	case !strings.EqualFold(t.TokenType, scheme):
		return token.Receipt{}, fmt.Errorf("it is of type %s, not %s", brief(t.TokenType), scheme)
	case !accessToken.MatchString(t.AccessToken) || len(t.AccessToken) > maxToken:
		return token.Receipt{}, errors.New("it holds characters that a header cannot carry, or too many")
	case t.AccessToken == form.Get("subject_token") || t.AccessToken == c.Caller.Reveal():
		return token.Receipt{}, errors.New("it is the very token that was to be exchanged, which no API may get")
	}
	got, err := x.Server.read(ctx, t)
	if err != nil {
		return token.Receipt{}, err
	}
	if err := x.refuse(c, form, got, thumbprint); err != nil {
		return token.Receipt{}, err
	}
	wider := slices.Concat(got.otherAudience(form["audience"], form["resource"]), got.moreScopes(scopes, x.AlsoGranted), got.longer(cmp.Or(x.MaxTTL, DefaultExchangeTTL)))
	if x.Details {
		wider = append(wider, got.otherDetails(c.Details)...)
	}
	if len(wider) > 0 && !x.NoteWider {
		return token.Receipt{}, fmt.Errorf("it is for more than was asked for: %s (exchange.wider: note takes it all the same)", strings.Join(wider, "; "))
	}
	return token.Receipt{Strategy: "exchange", Expires: got.expires, Issuer: x.Server.Host(), Audience: strings.Join(got.audience, " "),
		Scope: strings.Join(got.scopes, " "), Narrowed: strings.Join(x.narrowed(), "; "), Wider: strings.Join(wider, "; "), Revoke: x.Server.Revoke(t.AccessToken)}, nil
}

// refuse says what a token can never be, whatever is configured.
func (x *Exchange) refuse(c token.Call, form url.Values, got *issued, thumbprint string) error {
	asserted := ""
	if x.Subject != nil {
		asserted = c.Subject
	}
	return errors.Join(got.actsAs(x.Actor, c.Agent), got.isFor(form.Get("subject_token"), asserted, cmp.Or(x.SameSubject, "sub")), got.boundTo(thumbprint, x.Server.Certified))
}

// narrowed says what keeps a token to its call, beside audience and scope.
func (x *Exchange) narrowed() (how []string) {
	if x.Details && !x.NoteWider {
		how = append(how, "authorization_details name this request")
	}
	if x.Actor != nil {
		how = append(how, "it names the agent")
	}
	if x.DPoP {
		how = append(how, "it is bound to a key of this call")
	}
	return how
}
