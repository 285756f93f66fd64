package token

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/exeat/exeat/authz/dpop"
)

// SpendFunc spends a token id once, atomically: it returns false if (iss, jti)
// was spent before, and remembers it until exp. An error refuses the request.
type SpendFunc func(ctx context.Context, iss, jti string, exp time.Time) (fresh bool, err error)

// Verifier checks requests that carry a signed token.
type Verifier struct {
	Issuer   string
	Audience string
	Keys     *KeySource
	Spend    SpendFunc // nil in front of Handler only: in memory
	// RequireApproval refuses a call whose token does not say that it was decided
	// to be a read, unless it has an approval claim for exactly this request.
	RequireApproval bool
	// Effects are those that a call may have, of read, write and delete, by what it was
	// decided to be; empty means any. A token that does not say is one for a delete.
	Effects []string
	// RequireBinding refuses tokens that are good for whoever sends their request:
	// it has to be BindSignature or BindDPoP. Without it, tokens say what they need.
	RequireBinding string
	// Origin is the URL at which clients call, such as https://api.example.com; empty
	// means that of Audience. Signatures and proofs are for it.
	Origin string
	// Nonces are asked for in DPoP proofs; nil means none are.
	Nonces    *dpop.Nonces
	BodyLimit int64            // 0 means 1 MiB
	MaxTTL    time.Duration    // 0 means MaxTTL
	Now       func() time.Time // nil means time.Now
	// OnRefusal, if not nil, is told of every request that Handler refuses.
	OnRefusal func(r *http.Request, refused *Refusal)

	since time.Time // earlier tokens may have been spent where Spend does not know of it
}

// Check verifies r in the order of docs/token.md and spends its token last. On
// success r.Body is replaced with the bytes that were checked.
//
// It needs r as the server received it: RequestURI in origin form, and nothing
// read of the body.
func (v *Verifier) Check(r *http.Request) (*Claims, *Refusal) {
	return v.check(r, func(*Claims) (string, *Refusal) {
		body, ref := v.readBody(r)
		if ref != nil {
			return "", ref
		}
		replaceBody(r, body)
		return contentDigest(body), nil
	})
}

// contentOf finds out the digest of a request's content. It is asked when all else
// about the request and its token is known to be right.
type contentOf func(*Claims) (digest string, ref *Refusal)

// check verifies r and its content, and spends its token last.
func (v *Verifier) check(r *http.Request, content contentOf) (*Claims, *Refusal) {
	if v.Issuer == "" || v.Audience == "" || v.Keys == nil || v.Spend == nil {
		return nil, refuse(http.StatusInternalServerError, "not_configured", "the verifier lacks an issuer, an audience, keys or a place to spend tokens")
	}
	compact, ref := bearer(r.Header)
	if ref != nil {
		return nil, ref
	}
	payload, ref := v.open(r.Context(), compact)
	if ref != nil {
		return nil, ref
	}
	c, ref := v.believe(payload)
	if ref != nil {
		return nil, ref
	}
	if ref := v.redeem(r, c, content); ref != nil {
		ref.Txn = c.Txn
		return nil, ref
	}
	return c, nil
}

// redeem holds a token that is believed against the request that it came with. The
// content comes late: it may be long, and a client that waits for 100 (Continue)
// then sends none that is refused anyway.
func (v *Verifier) redeem(r *http.Request, c *Claims, content contentOf) *Refusal {
	bound, ref := v.bound(r, c)
	if ref != nil {
		return ref
	}
	if ref := c.Details.differs(bound); ref != nil {
		return ref
	}
	if ref := v.permitted(c); ref != nil {
		return ref
	}
	if ref := v.approved(c, bound); ref != nil {
		return ref
	}
	if ref := v.checkSender(r, c); ref != nil {
		return ref
	}
	if bound.Request.ContentDigest, ref = content(c); ref != nil {
		return ref
	}
	// The content may have taken its time: a token that is spent later than it may be
	// used could be forgotten before another use of it comes to this point.
	if !v.now().Before(c.Expires.Add(leeway)) {
		return expired()
	}
	if ref := c.Details.differs(bound); ref != nil {
		return ref
	}
	return v.spend(r.Context(), c)
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

// isCompact tells whether s has three parts of base64url characters.
func isCompact(s string) bool {
	parts, length := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			length++
		case c == '.' && length > 0:
			parts, length = parts+1, 0
		default:
			return false
		}
	}
	return parts == 2 && length > 0
}

// bearer takes the token out of the one Authorization header.
func bearer(h http.Header) (string, *Refusal) {
	lines := h["Authorization"]
	switch {
	case len(lines) == 0:
		return "", unauthorized("no_token", "the request has no Authorization header")
	case len(lines) > 1:
		return "", unauthorized("many_tokens", "the request has %d Authorization headers", len(lines))
	case len(lines[0]) > maxAuthorization:
		return "", unauthorized("token_too_long", "the Authorization header is longer than %d bytes", maxAuthorization)
	}
	scheme, compact, _ := strings.Cut(lines[0], " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "DPoP") {
		return "", unauthorized("not_bearer", "the Authorization header is not of the scheme Bearer, or DPoP")
	}
	if !isCompact(compact) {
		return "", unauthorized("malformed_token", "the token is not a JWS in compact form")
	}
	return compact, nil
}

// open checks the signature of a token, and what leads to it, and returns its
// payload. Of the JOSE header only alg, typ and kid are there to be honoured.
func (v *Verifier) open(ctx context.Context, compact string) ([]byte, *Refusal) {
	alg, kid, ref := joseHeader(compact, tokenType)
	if ref != nil {
		return nil, ref
	}
	key, ref := v.key(ctx, kid)
	switch {
	case ref != nil:
		return nil, ref
	case key.Algorithm != alg:
		return nil, unauthorized("wrong_alg", "the key %q is not for alg %s", kid, alg)
	}
	signed, err := jwt.ParseSigned(compact, algorithms)
	if err != nil {
		return nil, unauthorized("malformed_token", "the token cannot be parsed")
	}
	var payload json.RawMessage
	if err := signed.Claims(key.Key, &payload); err != nil {
		return nil, unauthorized("bad_signature", "the signature does not verify, or what it signs is not JSON")
	}
	// Base64 has spellings of the same bytes that differ in the last
	// character; only the one that encodes to itself is the token.
	for segment := range strings.SplitSeq(compact, ".") {
		b, err := base64.RawURLEncoding.DecodeString(segment)
		if err != nil || base64.RawURLEncoding.EncodeToString(b) != segment {
			return nil, unauthorized("not_canonical", "the token is not in its one canonical encoding")
		}
	}
	return payload, nil
}

// key is a key of the issuer.
func (v *Verifier) key(ctx context.Context, kid string) (jose.JSONWebKey, *Refusal) {
	key, err := v.Keys.key(ctx, kid)
	switch {
	case errors.Is(err, errUnknownKey):
		return key, unauthorized("unknown_kid", "no published key has the kid %q", kid)
	case err != nil:
		return key, refuse(http.StatusServiceUnavailable, "keys_unavailable", "the issuer's keys cannot be read").because(err)
	}
	return key, nil
}

// joseHeader reads the header strictly: {alg, kid, typ}, each once, a string.
func joseHeader(compact, wantTyp string) (alg, kid string, ref *Refusal) {
	segment, _, _ := strings.Cut(compact, ".")
	b, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return "", "", unauthorized("malformed_token", "the header is not base64url")
	}
	header, err := parseClaims(b)
	if err != nil {
		return "", "", unauthorized("bad_header", "the JOSE header is not one JSON object with distinct names")
	}
	for name := range header {
		if name != "alg" && name != "kid" && name != "typ" {
			return "", "", unauthorized("bad_header", "the JOSE header has the member %s; only alg, kid and typ are allowed", brief(name))
		}
	}
	if alg, _ = header.text("alg"); !slices.Contains(algorithms, jose.SignatureAlgorithm(alg)) {
		return "", "", unauthorized("wrong_alg", "alg is not one of %v", algorithms)
	}
	if typ, _ := header.text("typ"); typ != wantTyp {
		return "", "", unauthorized("wrong_typ", "typ is not %s", wantTyp)
	}
	if kid, _ = header.text("kid"); !kidSyntax.MatchString(kid) {
		return "", "", unauthorized("bad_kid", "kid is missing or not a plain name")
	}
	return alg, kid, nil
}

// believe checks the claims that say who made the token, for whom, for when and
// for what.
func (v *Verifier) believe(payload []byte) (*Claims, *Refusal) {
	set, err := parseClaims(payload)
	if err != nil {
		return nil, unauthorized("ambiguous_claims", "%v", err)
	}
	c := new(Claims)
	var ok bool
	if c.Issuer, ok = set.text("iss"); !ok || c.Issuer != v.Issuer {
		return nil, unauthorized("wrong_issuer", "iss is not %q", v.Issuer)
	}
	if c.Audience, ok = set.text("aud"); !ok || c.Audience != v.Audience {
		return nil, unauthorized("wrong_audience", "aud is not the one string %q", v.Audience)
	}
	if ref := v.times(set, c); ref != nil {
		return nil, ref
	}
	for _, required := range []struct {
		name string
		to   *string
	}{{"sub", &c.Subject}, {"client_id", &c.ClientID}, {"jti", &c.ID}, {"txn", &c.Txn}} {
		if *required.to, ok = set.text(required.name); !ok {
			return nil, unauthorized("bad_claims", "%s is missing or not a plain string", required.name)
		}
	}
	if _, there := set["scope"]; there {
		if c.Scope, ok = set.text("scope"); !ok {
			return nil, unauthorized("bad_claims", "scope is not a plain string")
		}
	}
	if c.Agent, err = set.agent(); err != nil {
		return nil, unauthorized("bad_claims", "%v", err)
	}
	if c.Details, err = set.details(v.Audience); err != nil {
		return nil, unauthorized("bad_details", "%v", err)
	}
	if c.Confirm, err = set.confirm(); err != nil {
		return nil, unauthorized("bad_claims", "%v", err)
	}
	if c.Approval, err = set.approval(); err != nil {
		return nil, unauthorized("bad_claims", "%v", err)
	}
	if c.Effect, err = set.effect(); err != nil {
		return nil, unauthorized("bad_claims", "%v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	if err := dec.Decode(&c.Raw); err != nil {
		return nil, unauthorized("bad_claims", "the claims cannot be read")
	}
	return c, nil
}

// times checks when the token may be used. The leeway is for clocks that
// differ; it does not lengthen what exp-iat may be.
func (v *Verifier) times(set claimSet, c *Claims) *Refusal {
	var iat, exp bool
	c.IssuedAt, iat = set.seconds("iat")
	c.Expires, exp = set.seconds("exp")
	notBefore, nbf := set.seconds("nbf")
	if _, there := set["nbf"]; there && !nbf || !iat || !exp || !c.Expires.After(c.IssuedAt) {
		return unauthorized("bad_times", "iat and exp are not two whole numbers of seconds in that order")
	}
	now, longest := v.now(), v.MaxTTL
	if longest == 0 {
		longest = MaxTTL
	}
	switch {
	case c.IssuedAt.After(now.Add(leeway)) || notBefore.After(now.Add(leeway)):
		return unauthorized("issued_in_future", "the token is not valid yet; compare the clocks")
	case !now.Before(c.Expires.Add(leeway)):
		return expired()
	case c.Expires.Sub(c.IssuedAt) > longest:
		return unauthorized("lives_too_long", "the token lives for %s, more than %s", c.Expires.Sub(c.IssuedAt), longest)
	}
	return nil
}

func expired() *Refusal { return unauthorized("expired", "the token has expired") }

// bound makes the details of the request that arrived, as the gateway made
// those of the one that it sent. Of the content they have what the token says.
func (v *Verifier) bound(r *http.Request, c *Claims) (Details, *Refusal) {
	if !strings.HasPrefix(r.RequestURI, "/") {
		return Details{}, refuse(http.StatusBadRequest, "bad_target", "the request-target %s is not a path with an optional query", brief(r.RequestURI))
	}
	for _, name := range append(c.Details.boundNames(), "Content-Type") {
		if n := len(r.Header[name]); n > 1 {
			return Details{}, refuse(http.StatusBadRequest, "repeated_header", "the request has %d %s headers", n, name)
		}
	}
	if contentType, there := r.Header["Content-Type"]; there && contentType[0] == "" {
		return Details{}, refuse(http.StatusForbidden, "wrong_content_type", "the request has a Content-Type that says nothing")
	}
	d := c.Details
	return bind(v.Audience, r.Method, r.RequestURI, r.Header.Get("Content-Type"), d.boundOf(r.Header), d.Request.ContentDigest, d.Identifier, d.Document), nil
}

// permitted checks that calls of this effect may come here.
func (v *Verifier) permitted(c *Claims) *Refusal {
	effect := c.Effect
	if effect == "" {
		effect = EffectDelete
	}
	if len(v.Effects) == 0 || slices.Contains(v.Effects, effect) {
		return nil
	}
	return refuse(http.StatusForbidden, "wrong_effect", "the call was decided to be a %s, and here only these pass: %s", effect, strings.Join(v.Effects, ", "))
}

// approved checks the approval, if there is one or must be one.
func (v *Verifier) approved(c *Claims, bound Details) *Refusal {
	if c.Approval == nil {
		if !v.RequireApproval || c.Effect == EffectRead {
			return nil
		}
		return refuse(http.StatusForbidden, "approval_required", "the token does not say that this call only reads, so it needs an approval")
	}
	if c.Approval.Until < v.now().Unix() {
		return refuse(http.StatusForbidden, "approval_expired", "the approval in the token has ended")
	}
	if c.Approval.Details != bound.Digest() {
		return refuse(http.StatusForbidden, "approval_mismatch", "the approval in the token is for another request")
	}
	return nil
}
