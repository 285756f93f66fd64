package issuer

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of keys. What verifies a signature costs with the size of the key, and
// that is chosen by the issuer.
const (
	minRSA    = 2048 // bits
	maxRSA    = 8192
	maxKeys   = 200
	maxTried  = 8 // keys for a token that does not say which one signed it
	edwards   = jose.EdDSA
	edwardsTo = "Ed25519" // its name since RFC 9864
)

// Algorithms are those that a token can be signed with: asymmetric ones, so that
// no public key is ever taken for a secret.
var Algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

// KeySet are public keys that verify signatures.
type KeySet []jose.JSONWebKey

// ParseKeys reads a JWK Set. Keys that cannot verify a signature are passed over
// (RFC 7517, section 5).
func ParseKeys(b []byte) (KeySet, error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &document); err != nil || document.Keys == nil {
		return nil, errors.New("it is not a JWK Set")
	}
	if len(document.Keys) > maxKeys {
		return nil, fmt.Errorf("it has more than %d keys", maxKeys)
	}
	var set KeySet
	for _, raw := range document.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && usable(key) {
			set = append(set, key)
		}
	}
	return set, nil
}

func usable(key jose.JSONWebKey) bool {
	if !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
		return false
	}
	for _, alg := range Algorithms {
		if Fits(key.Key, alg) {
			return true
		}
	}
	return false
}

// For returns the keys that may have signed a token: those with its key id, or,
// if it has none, the few that fit its algorithm. A key id is a name to compare,
// nothing else.
func (s KeySet) For(kid string, alg jose.SignatureAlgorithm) []jose.JSONWebKey {
	var out []jose.JSONWebKey
	for _, key := range s {
		named := key.Algorithm == "" || key.Algorithm == string(alg) || key.Algorithm == edwardsTo && alg == edwards
		if named && Fits(key.Key, alg) && (kid == "" || key.KeyID == kid) {
			out = append(out, key)
		}
	}
	if len(out) > maxTried {
		return nil
	}
	return out
}

// Fits reports whether a public key is of the kind and size that an algorithm is
// defined for.
func Fits(key any, alg jose.SignatureAlgorithm) bool {
	curve := func(c elliptic.Curve) bool { k, ok := key.(*ecdsa.PublicKey); return ok && k.Curve == c }
	switch alg {
	case jose.ES256:
		return curve(elliptic.P256())
	case jose.ES384:
		return curve(elliptic.P384())
	case jose.ES512:
		return curve(elliptic.P521())
	case jose.EdDSA:
		_, ok := key.(ed25519.PublicKey)
		return ok
	}
	k, ok := key.(*rsa.PublicKey)
	return ok && strings.ContainsAny(string(alg[:1]), "RP") && k.N.BitLen() >= minRSA && k.N.BitLen() <= maxRSA
}
