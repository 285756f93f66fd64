package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/issuer"
)

// maxToken is how long a token or a proof may be, in bytes.
const maxToken = 16 << 10

// grant is what a token gives, once the issuer is known to have said so.
type grant struct {
	from   *source
	claims claims.Set
}

// openJWT checks that an issuer made a token, for this server and for now. Which
// issuer, the token says itself; that only chooses the keys.
func (s *Server) openJWT(ctx context.Context, c *issuer.JWS) (*grant, error) {
	iss, err := c.Payload.Text("iss")
	from := s.issuers[iss]
	if err != nil || from == nil {
		return nil, invalid("the token is of an issuer that this server does not know")
	}
	if !slices.Contains(from.algorithms, jose.SignatureAlgorithm(c.Alg)) {
		return nil, invalid("the token is signed with an algorithm that is not taken from its issuer: %s are", joinAlgorithms(from.algorithms))
	}
	if err := from.checkKind(c); err != nil {
		return nil, err
	}
	published, err := from.Keys(ctx, c.Kid, jose.SignatureAlgorithm(c.Alg))
	switch {
	case errors.Is(err, issuer.ErrUnknownKey):
		return nil, invalid("the issuer of the token publishes no key that could have signed it: get a new token")
	case err != nil:
		return nil, unavailable()
	}
	if !c.SignedBy(published) {
		return nil, invalid("the signature of the token is not its issuer's")
	}
	g := &grant{from, c.Payload}
	return g, s.checkClaims(g)
}

// checkKind refuses what an issuer signs that is no access token. Where the header
// need not say so, the claims have to: an ID token is for a client, and whoever
// gets one there must not be able to come here with it.
func (i *source) checkKind(c *issuer.JWS) error {
	switch {
	case c.IsType("at+jwt"):
		return nil
	case !i.AnyType:
		return invalid("the token does not say that it is an access token (its typ is not at+jwt): if its issuer cannot say so, set types: any for it")
	case c.Typ != "" && !c.IsType("jwt"):
		return invalid("the token is of another kind: its typ is neither at+jwt nor JWT")
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events", "sid_hash"} {
		if c.Payload.Has(name) {
			return invalid("the token is no access token: it has the claim %s", name)
		}
	}
	if kind, err := c.Payload.Text("typ"); err != nil || kind != "" {
		if strings.EqualFold(kind, "Bearer") || strings.EqualFold(kind, "DPoP") {
			return nil // Keycloak's word for an access token, beside ID, Refresh, Logout and others
		}
		return invalid("the token is no access token: its claim typ says so")
	}
	if !slices.ContainsFunc([]string{"scope", "scp", "client_id", "cid", "appid", "azpacr", "appidacr", "gty"}, c.Payload.Has) {
		return invalid("nothing in the token says that it is an access token and no ID token: have its issuer set typ at+jwt, or put scope or client_id in")
	}
	return i.checkAddressee(c)
}

// checkAddressee refuses a token that is addressed to the client that has it, as
// each ID token is (OpenID Connect Core, section 2).
func (i *source) checkAddressee(c *issuer.JWS) error {
	audience, err := c.Payload.Texts("aud")
	if err != nil {
		return invalid("%v", err)
	}
	for _, name := range []string{"azp", "client_id", "cid", "appid"} {
		if client, err := c.Payload.Text(name); err != nil || client != "" && slices.Contains(audience, client) {
			return invalid("the token is addressed to its client, as ID tokens are: get an access token for this server, with a client of its own")
		}
	}
	return nil
}
