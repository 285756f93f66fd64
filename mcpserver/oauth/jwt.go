package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/issuer"
)

// maxToken is how long a token or a proof may be, in bytes.
const maxToken = 16 << 10

// compact is a JWS in compact form as it was read, before anything of it is
// believed. Of its header alg, typ and kid are there to be honoured: where keys are
// to be found, and which they are, only the issuer says.
type compact struct {
	raw           string
	alg, typ, kid string
	header        claims.Set
	payload       claims.Set
}

var errNoJWT = errors.New("it is not a JWT")

// parseCompact reads a JWS that can be read in only one way. errNoJWT says that it
// does not look like one.
func parseCompact(raw string) (*compact, error) {
	if len(raw) > maxToken {
		return nil, errors.New("it is too long")
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, errNoJWT
	}
	var decoded [3][]byte
	for i, part := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || base64.RawURLEncoding.EncodeToString(b) != part {
			return nil, errNoJWT
		}
		decoded[i] = b
	}
	c := &compact{raw: raw}
	var err error
	if c.header, err = claims.Parse(decoded[0]); err != nil || !c.header.Has("alg") {
		return nil, errNoJWT
	}
	var errs [3]error
	c.alg, errs[0] = c.header.Text("alg")
	c.typ, errs[1] = c.header.Text("typ")
	c.kid, errs[2] = c.header.Text("kid")
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.New("its header cannot be read")
	}
	for _, name := range []string{"crit", "b64", "zip"} {
		if _, there := c.header[name]; there {
			return nil, errors.New("its header has a member that changes what it means")
		}
	}
	if c.payload, err = claims.Parse(decoded[1]); err != nil {
		return nil, errors.New("its claims cannot be read: " + err.Error())
	}
	return c, nil
}

// isType reports whether typ is a media type, which can be written without
// "application/" and in any case (RFC 7515, section 4.1.9).
func (c *compact) isType(name string) bool {
	typ := strings.ToLower(c.typ)
	return strings.TrimPrefix(typ, "application/") == name
}

// verify checks the signature with any of some keys.
func (c *compact) verify(keys ...any) bool {
	signed, err := jose.ParseSignedCompact(c.raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.alg)})
	if err != nil {
		return false
	}
	return slices.ContainsFunc(keys, func(key any) bool {
		if !issuer.Fits(key, jose.SignatureAlgorithm(c.alg)) {
			return false
		}
		_, err := signed.Verify(key)
		return err == nil
	})
}

// grant is what a token gives, once the issuer is known to have said so.
type grant struct {
	from   *source
	claims claims.Set
}

// openJWT checks that an issuer made a token, for this server and for now. Which
// issuer, the token says itself; that only chooses the keys.
func (s *Server) openJWT(ctx context.Context, c *compact) (*grant, error) {
	iss, err := c.payload.Text("iss")
	from := s.issuers[iss]
	if err != nil || from == nil {
		return nil, invalid("the token is of an issuer that this server does not know")
	}
	if !slices.Contains(from.algorithms, jose.SignatureAlgorithm(c.alg)) {
		return nil, invalid("the token is signed with an algorithm that is not taken from its issuer: %s are", joinAlgorithms(from.algorithms))
	}
	if err := from.checkKind(c); err != nil {
		return nil, err
	}
	published, err := from.Keys(ctx, c.kid, jose.SignatureAlgorithm(c.alg))
	switch {
	case errors.Is(err, issuer.ErrUnknownKey):
		return nil, invalid("the issuer of the token publishes no key that could have signed it: get a new token")
	case err != nil:
		return nil, unavailable()
	}
	keys := make([]any, len(published))
	for i, key := range published {
		keys[i] = key.Key
	}
	if !c.verify(keys...) {
		return nil, invalid("the signature of the token is not its issuer's")
	}
	g := &grant{from, c.payload}
	return g, s.checkClaims(g)
}

// checkKind refuses what an issuer signs that is no access token. Where the header
// need not say so, the claims have to: an ID token is for a client, and whoever
// gets one there must not be able to come here with it.
func (i *source) checkKind(c *compact) error {
	switch {
	case c.isType("at+jwt"):
		return nil
	case !i.AnyType:
		return invalid("the token does not say that it is an access token (its typ is not at+jwt): if its issuer cannot say so, set typ: any for it")
	case c.typ != "" && !c.isType("jwt"):
		return invalid("the token is of another kind: its typ is neither at+jwt nor JWT")
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events", "sid_hash"} {
		if c.payload.Has(name) {
			return invalid("the token is no access token: it has the claim %s", name)
		}
	}
	if kind, err := c.payload.Text("typ"); err != nil || kind != "" {
		if strings.EqualFold(kind, "Bearer") || strings.EqualFold(kind, "DPoP") {
			return nil // Keycloak's word for an access token, beside ID, Refresh, Logout and others
		}
		return invalid("the token is no access token: its claim typ says so")
	}
	if !slices.ContainsFunc([]string{"scope", "scp", "client_id", "cid", "appid", "azpacr", "appidacr", "gty"}, c.payload.Has) {
		return invalid("nothing in the token says that it is an access token and no ID token: have its issuer set typ at+jwt, or put scope or client_id in")
	}
	return i.checkAddressee(c)
}

// checkAddressee refuses a token that is addressed to the client that has it, as
// each ID token is (OpenID Connect Core, section 2).
func (i *source) checkAddressee(c *compact) error {
	audience, err := c.payload.Texts("aud")
	if err != nil {
		return invalid("%v", err)
	}
	for _, name := range []string{"azp", "client_id", "cid", "appid"} {
		if client, err := c.payload.Text(name); err != nil || client != "" && slices.Contains(audience, client) {
			return invalid("the token is addressed to its client, as ID tokens are: get an access token for this server, with a client of its own")
		}
	}
	return nil
}
