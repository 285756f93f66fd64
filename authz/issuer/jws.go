package issuer

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/claims"
)

// JWS is a JWS in compact form as it was read, before anything of it is
// believed. Of its header alg, typ and kid are there to be honoured: where keys are
// to be found, and which they are, only the issuer says.
type JWS struct {
	Alg, Typ, Kid string
	Header        claims.Set
	Payload       claims.Set

	Raw string // as it came
}

// ErrNoJWS says that something does not look like a JWS at all.
var ErrNoJWS = errors.New("it is not a JWT")

// ParseJWS reads a JWS that can be read in only one way. ErrNoJWS says that it
// does not look like one; most is how long it may be, in bytes.
func ParseJWS(raw string, most int) (*JWS, error) {
	if len(raw) > most {
		return nil, errors.New("it is too long")
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, ErrNoJWS
	}
	var decoded [3][]byte
	for i, part := range parts {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || base64.RawURLEncoding.EncodeToString(b) != part {
			return nil, ErrNoJWS
		}
		decoded[i] = b
	}
	c := &JWS{Raw: raw}
	var err error
	if c.Header, err = claims.Parse(decoded[0]); err != nil || !c.Header.Has("alg") {
		return nil, ErrNoJWS
	}
	var errs [3]error
	c.Alg, errs[0] = c.Header.Text("alg")
	c.Typ, errs[1] = c.Header.Text("typ")
	c.Kid, errs[2] = c.Header.Text("kid")
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.New("its header cannot be read")
	}
	for _, name := range []string{"crit", "b64", "zip"} {
		if _, there := c.Header[name]; there {
			return nil, errors.New("its header has a member that changes what it means")
		}
	}
	if c.Payload, err = claims.Parse(decoded[1]); err != nil {
		return nil, errors.New("its claims cannot be read: " + err.Error())
	}
	return c, nil
}

// IsType reports whether typ is a media type, which can be written without
// "application/" and in any case (RFC 7515, section 4.1.9).
func (c *JWS) IsType(name string) bool {
	typ := strings.ToLower(c.Typ)
	return strings.TrimPrefix(typ, "application/") == name
}

// Verify checks the signature with any of some keys.
func (c *JWS) Verify(keys ...any) bool {
	signed, err := jose.ParseSignedCompact(c.Raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.Alg)})
	if err != nil {
		return false
	}
	return slices.ContainsFunc(keys, func(key any) bool {
		if !Fits(key, jose.SignatureAlgorithm(c.Alg)) {
			return false
		}
		_, err := signed.Verify(key)
		return err == nil
	})
}

// SignedBy is Verify with published keys.
func (c *JWS) SignedBy(published []jose.JSONWebKey) bool {
	return slices.ContainsFunc(published, func(key jose.JSONWebKey) bool { return c.Verify(key.Key) })
}
