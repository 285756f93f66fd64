package signals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/issuer"
)

// Bounds of a security event token.
const (
	maxSET    = 64 << 10           // bytes
	maxEvents = 8                  // in one token
	maxAge    = 7 * 24 * time.Hour // since iat: transmitters try again for days
	skew      = 2 * time.Minute    // of clocks
)

// algorithms are those that a token may be signed with: asymmetric ones.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// set is a security event token that is its issuer's.
type set struct {
	from   *Issuer
	jti    string
	issued time.Time
	at     time.Time // of what it tells, as far as the token says
	claims claims.Set
	events claims.Set // by URI
}

// refusal says why a token is not taken, in the words of RFC 8935, section 2.4: a
// code, and a sentence that quotes nothing of the token.
type refusal struct{ code, text string }

func (r *refusal) Error() string { return r.code + ": " + r.text }

// The codes of refusals.
const (
	badRequest  = "invalid_request"
	badKey      = "invalid_key"
	badIssuer   = "invalid_issuer"
	badAudience = "invalid_audience"
	notYou      = "authentication_failed"
	notAllowed  = "access_denied"
)

func refuse(code, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// open reads a token and checks that a known issuer made it for this receiver, not
// long ago. A *refusal says that it is not so; any other error, that this cannot be
// told now. No claim is believed before the signature but iss, which chooses the keys.
func (r *Receiver) open(ctx context.Context, raw string) (*set, error) {
	c, err := issuer.ParseJWS(raw, maxSET)
	if err != nil {
		return nil, refuse(badRequest, "it is no security event token: %v", err)
	}
	iss, err := c.Payload.Text("iss")
	from := r.issuers[iss]
	switch {
	case !c.IsType("secevent+jwt"):
		return nil, refuse(badRequest, "it is a token of another kind: its typ is not secevent+jwt")
	case err != nil || from == nil:
		return nil, refuse(badIssuer, "signals of its issuer are not heard here")
	case !slices.Contains(algorithms, jose.SignatureAlgorithm(c.Alg)):
		return nil, refuse(badKey, "it is not signed with one of %v", algorithms)
	}
	keys, err := from.Keys.Keys(ctx, c.Kid, jose.SignatureAlgorithm(c.Alg))
	if errors.Is(err, issuer.ErrUnknownKey) {
		return nil, refuse(badKey, "its issuer publishes no key that could have signed it")
	}
	if err != nil {
		return nil, fmt.Errorf("the keys of %s cannot be read: %w", from.URL, err)
	}
	if !c.SignedBy(keys) {
		return nil, refuse(badKey, "the signature is not its issuer's")
	}
	return readSET(from, c.Payload, r.c.Now())
}

// readSET reads the claims of a token that its issuer has signed.
func readSET(from *Issuer, c claims.Set, now time.Time) (*set, error) {
	s := &set{from: from, claims: c}
	audience, err := c.Texts("aud")
	if err != nil || !slices.Contains(audience, from.Audience) {
		return nil, refuse(badAudience, "it is for another receiver: aud does not name this one")
	}
	var errs [5]error
	var expires, before, told time.Time
	s.jti, errs[0] = c.Text("jti")
	s.issued, errs[1] = c.Time("iat")
	told, errs[2] = c.Time("toe")
	expires, errs[3] = c.Time("exp")
	before, errs[4] = c.Time("nbf")
	switch {
	case errors.Join(errs[:]...) != nil:
		return nil, refuse(badRequest, "%v", errors.Join(errs[:]...))
	case s.jti == "" || s.issued.IsZero():
		return nil, refuse(badRequest, "it has no jti, or no iat")
	case s.issued.After(now.Add(skew)) || before.After(now.Add(skew)):
		return nil, refuse(badRequest, "it is of a time to come: compare the clocks")
	case s.issued.Before(now.Add(-maxAge)):
		return nil, refuse(badRequest, "it was issued more than %d days ago", maxAge/(24*time.Hour))
	case !expires.IsZero() && !now.Before(expires.Add(skew)):
		return nil, refuse(badRequest, "it has expired")
	}
	if s.at = told; told.IsZero() {
		s.at = s.issued
	}
	if s.events, err = claims.Parse(c["events"]); err != nil || len(s.events) == 0 || len(s.events) > maxEvents {
		return nil, refuse(badRequest, "its events are not an object with 1 to %d members", maxEvents)
	}
	return s, nil
}
