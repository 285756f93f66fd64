package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/dpop"
)

// Confirm is the claim cnf (RFC 7800): which key the sender of a request proves to
// have. A token without it is good for whoever sends its request.
type Confirm struct {
	KeyID      string `json:"kid,omitempty"` // of the issuer: it signs the request (RFC 9421)
	Thumbprint string `json:"jkt,omitempty"` // of a key of the sender's (RFC 9449)
}

// Bindings of a token to the sender of its request.
const (
	BindSignature = "signature" // RFC 9421
	BindDPoP      = "dpop"      // RFC 9449
)

// headers are those that prove it.
func (c Confirm) headers() (names []string) {
	if c.KeyID != "" {
		names = append(names, "Content-Digest", "Signature-Input", "Signature")
	}
	if c.Thumbprint != "" {
		names = append(names, "Dpop")
	}
	return names
}

// confirm is what a token that is made now says of its sender.
func (s *Signed) confirm(r *ring) (c Confirm) {
	if s.SignRequests {
		c.KeyID = r.keys[0].JWK.KeyID
	}
	if s.DPoP != nil {
		c.Thumbprint = s.DPoP.Thumbprint()
	}
	return c
}

// prove adds the token to a request, and what proves who sends it.
func (s *Signed) prove(m *made, r *http.Request) error {
	own := append(m.claims.Confirm.headers(), "Authorization")
	for name := range r.Header {
		if name = http.CanonicalHeaderKey(name); slices.Contains(own, name) {
			return fmt.Errorf("the request already has the header %s, which the credential sets", name)
		}
	}
	scheme := "Bearer"
	if s.DPoP != nil {
		scheme = "DPoP"
		proof, err := s.DPoP.Proof(r.Method, r.URL.String(), m.compact, s.given.Nonce())
		if err != nil {
			return err
		}
		r.Header.Set("DPoP", proof)
	}
	r.Header.Set("Authorization", scheme+" "+m.compact)
	if s.SignRequests {
		return m.signRequest(r)
	}
	return nil
}

// authorityOf is the host of a URL as RFC 9421 §2.2.3 has it: in lower case, without
// the port that its scheme implies.
func authorityOf(u *url.URL) string {
	port := map[string]string{"http": ":80", "https": ":443"}[strings.ToLower(u.Scheme)]
	return strings.TrimSuffix(strings.ToLower(u.Host), port)
}

// origin is where requests are sent, as the configuration has it: a request's own
// Host and the headers of proxies are not asked.
func (v *Verifier) origin() (*url.URL, error) {
	at := v.Origin
	if at == "" {
		at = v.Audience
	}
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("the verifier does not know at which URL it is: %s is none", brief(at))
	}
	return u, nil
}

func misconfigured(err error) *Refusal {
	return refuse(http.StatusInternalServerError, "not_configured", "the verifier cannot check who sends a request").because(err)
}

// checkSender checks that a request comes from who has the key that its token is
// bound to.
func (v *Verifier) checkSender(r *http.Request, c *Claims) *Refusal {
	scheme, compact, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	proven := strings.EqualFold(scheme, "DPoP")
	switch {
	case v.RequireBinding == BindSignature && c.Confirm.KeyID == "":
		return unauthorized("not_bound", "the token has to be one for a signed request, and is not")
	case v.RequireBinding == BindDPoP && c.Confirm.Thumbprint == "":
		return unauthorized("not_bound", "the token has to be bound to a key by DPoP, and is not")
	case proven && c.Confirm.Thumbprint == "":
		return unauthorized("not_bound", "the token is not bound to a key, so it does not belong into the scheme DPoP")
	case !proven && c.Confirm.Thumbprint != "":
		return unauthorized("not_dpop", "the token is bound to a key: send it as Authorization: DPoP, with a proof in the header DPoP")
	}
	if c.Confirm.KeyID != "" {
		if ref := v.checkSignature(r, c); ref != nil {
			return ref
		}
	}
	if proven {
		return v.checkProof(r, c, compact)
	}
	return nil
}

// proofSkew is how old a proof may be: its request's token lives no longer.
const proofSkew = MaxTTL

// checkProof checks the DPoP proof of a request, and spends it.
func (v *Verifier) checkProof(r *http.Request, c *Claims, compact string) *Refusal {
	origin, err := v.origin()
	if err != nil {
		return misconfigured(err)
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	check := dpop.Checker{Skew: proofSkew, Nonces: v.Nonces, Spend: func(ctx context.Context, thumbprint, id string, until time.Time) (bool, error) {
		return v.Spend(ctx, "dpop:"+thumbprint, id, until)
	}}
	want := dpop.Request{Method: r.Method, URL: origin.Scheme + "://" + origin.Host + path, Token: compact, Thumbprint: c.Confirm.Thumbprint}
	err = check.Check(r.Context(), r.Header, want, v.now())
	var problem *dpop.Problem
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &problem):
		return refuse(http.StatusServiceUnavailable, "spend_unavailable", "whether the proof was used before cannot be found out").because(err)
	}
	code := problem.Code
	if code == "invalid_token" {
		code = "wrong_dpop_key"
	}
	ref := unauthorized(code, "%s", problem.Help)
	ref.Nonce = problem.Nonce
	return ref
}

// giveNonce adds to the answer of a request what the next proof has to hold.
func (v *Verifier) giveNonce(answer http.Header, c *Claims) {
	if v.Nonces != nil && c.Confirm.Thumbprint != "" {
		answer.Set("DPoP-Nonce", v.Nonces.New(v.now()))
	}
}
