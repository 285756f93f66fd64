package token

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/dpop"
)

// tokenType is the JOSE typ of an RFC 9068 access token.
const tokenType = "at+jwt"

// maxAuthorization bounds the Authorization header: servers refuse longer ones.
const maxAuthorization = 8 << 10

// Signed mints a token for each call and puts it into Authorization. Nothing of it
// changes after its first use.
type Signed struct {
	Issuer string
	Keys   *Keys
	// SignRequests has the key that signs tokens sign each request, too (RFC 9421),
	// and the token ask for that.
	SignRequests bool
	// DPoP is a key that tokens are bound to; each request has a proof of it (RFC 9449).
	DPoP *dpop.Key
	Now  func() time.Time // nil means time.Now

	given dpop.Given // by the API, for proofs
}

// actor is the claim act: who acts for the subject (RFC 8693 §4.1).
type actor struct {
	Subject string `json:"sub"`
	Profile string `json:"sub_profile"`
}

// decisionClaim is the claim urn:exeat:decision: which decision the token was
// minted after, and of which effect the call was decided to be. The method does
// not tell: a search can be a POST, and a GET can delete.
type decisionClaim struct {
	ID       string `json:"id"`
	Policies string `json:"policies"`
	Effect   string `json:"effect,omitempty"` // read, write or delete; tokens of earlier versions do not say
}

// effects are what a call can be decided to be.
var effects = []string{EffectRead, EffectWrite, EffectDelete}

// What a call can be decided to be. A read needs no approval at a guard that asks for
// one.
const (
	EffectRead   = "read"
	EffectWrite  = "write"
	EffectDelete = "delete"
)

// minted are the claims of a token, in the order that a person reads them.
type minted struct {
	Issuer   string         `json:"iss"`
	Audience string         `json:"aud"`
	Subject  string         `json:"sub"`
	ClientID string         `json:"client_id"`
	Actor    actor          `json:"act"`
	IssuedAt int64          `json:"iat"`
	Expires  int64          `json:"exp"`
	ID       string         `json:"jti"`
	Txn      string         `json:"txn"`
	Scope    string         `json:"scope,omitempty"`
	AuthTime int64          `json:"auth_time,omitempty"`
	ACR      string         `json:"acr,omitempty"`
	AMR      []string       `json:"amr,omitempty"`
	Details  []Details      `json:"authorization_details"`
	Confirm  Confirm        `json:"cnf,omitzero"`
	Approval *ApprovalClaim `json:"urn:exeat:approval,omitempty"`
	Decision decisionClaim  `json:"urn:exeat:decision"`
}

// made is a token with what it was made of.
type made struct {
	compact string
	claims  *minted
	ring    *ring // whose active key signed it
}

// Mint returns the compact token for c. It ends after the TTL, or with the
// approval if that is sooner.
func (s *Signed) Mint(c Call) (string, Receipt, error) {
	m, err := s.mint(c)
	if err != nil {
		return "", Receipt{}, fmt.Errorf("cannot mint a token: %w", err)
	}
	return m.compact, s.receipt(m), nil
}

func (s *Signed) mint(c Call) (*made, error) {
	claims, err := s.claims(c)
	if err != nil {
		return nil, err
	}
	ring, err := s.Keys.load()
	if err != nil {
		return nil, err
	}
	claims.Confirm = s.confirm(ring)
	compact, err := ring.sign(claims.appendTo(make([]byte, 0, 1<<10)))
	if err != nil {
		return nil, err
	}
	if n := len("Bearer ") + len(compact); n > maxAuthorization {
		return nil, fmt.Errorf("it would take %d bytes of the %d that a header may have; shorten the request-target (%d bytes)",
			n, maxAuthorization, len(c.Details.Request.Target))
	}
	return &made{compact, claims, ring}, nil
}

func (s *Signed) receipt(m *made) Receipt {
	r := Receipt{Strategy: "signed", JTI: m.claims.ID, Expires: time.Unix(m.claims.Expires, 0).UTC(),
		Audience: m.claims.Audience, Scope: m.claims.Scope, Narrowed: "this one request"}
	if s.SignRequests {
		r.Narrowed += "; the request is signed with exeat's key (RFC 9421)"
	}
	if s.DPoP != nil {
		r.Narrowed += "; bound to a key of exeat's process (DPoP)"
		r.Answered = s.given.Answered
	}
	return r
}

// claims checks c and fills in the claims of its token.
func (s *Signed) claims(c Call) (*minted, error) {
	now := time.Now()
	if s.Now != nil {
		now = s.Now()
	}
	ttl := c.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < time.Second || ttl > MaxTTL {
		return nil, fmt.Errorf("a life of %s is not between %s and %s", ttl, time.Second, MaxTTL)
	}
	for _, required := range []struct{ what, value string }{
		{"issuer", s.Issuer}, {"audience", c.Audience}, {"subject", c.Subject}, {"agent", c.Agent}, {"txn", c.Txn},
	} {
		if required.value == "" {
			return nil, fmt.Errorf("the call has no %s", required.what)
		}
	}
	if err := c.Details.check(c.Audience); err != nil {
		return nil, err
	}
	if !slices.Contains(effects, c.Effect) {
		return nil, fmt.Errorf("the call has the effect %q; it can be one of %s", c.Effect, strings.Join(effects, ", "))
	}
	client := c.Client
	if client == "" {
		client = c.Agent
	}
	claims := &minted{
		Issuer:   s.Issuer,
		Audience: c.Audience,
		Subject:  c.Subject,
		ClientID: client,
		Actor:    actor{Subject: c.Agent, Profile: "ai_agent"},
		IssuedAt: now.Unix(),
		Expires:  now.Unix() + int64(ttl/time.Second),
		ID:       rand.Text(),
		Txn:      c.Txn,
		Scope:    strings.Join(c.Scopes, " "),
		ACR:      c.ACR,
		AMR:      c.AMR,
		Details:  []Details{c.Details},
		Approval: c.Approval,
		Decision: decisionClaim{ID: c.DecisionID, Policies: c.PolicySet, Effect: c.Effect},
	}
	if !c.AuthTime.IsZero() {
		claims.AuthTime = c.AuthTime.Unix()
	}
	if a := c.Approval; a != nil {
		if a.Details != c.Details.Digest() {
			return nil, errors.New("the approval is for another request")
		}
		claims.Expires = min(claims.Expires, a.Until)
		if claims.Expires <= claims.IssuedAt {
			return nil, errors.New("the approval has ended")
		}
	}
	return claims, nil
}

// Attach mints a token for c and sets it on r. It refuses a request that
// already has an Authorization header, or that is not the one that c's details
// name: a token must not leave with another request than its own.
func (s *Signed) Attach(_ context.Context, c Call, r *http.Request) (Receipt, error) {
	if err := c.Details.check(c.Audience); err != nil {
		return Receipt{}, err
	}
	digest, err := bodyDigest(r)
	if err != nil {
		return Receipt{}, err
	}
	got := bind(c.Audience, r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), c.Details.boundOf(r.Header), digest, c.Details.Identifier, c.Details.Document)
	if ref := c.Details.differs(got); ref != nil {
		return Receipt{}, fmt.Errorf("the request is not the one that was decided: %s", ref.Detail)
	}
	m, err := s.mint(c)
	if err != nil {
		return Receipt{}, fmt.Errorf("cannot mint a token: %w", err)
	}
	if err := s.prove(m, r); err != nil {
		return Receipt{}, err
	}
	return s.receipt(m), nil
}

// bodyDigest is the content digest of a request that has yet to be sent.
func bodyDigest(r *http.Request) (string, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return emptyDigest, nil
	}
	if r.GetBody == nil {
		return "", errors.New("the body of the request can be read only once, so it cannot be checked")
	}
	body, err := r.GetBody()
	if err != nil {
		return "", fmt.Errorf("cannot read the body of the request: %w", err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		return "", fmt.Errorf("cannot read the body of the request: %w", err)
	}
	return contentDigest(b), nil
}
