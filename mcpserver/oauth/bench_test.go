package oauth

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// BenchmarkAuthenticate checks a JWT whose issuer's keys are known, and reads the
// caller.
func BenchmarkAuthenticate(b *testing.B) {
	ec := fixedKey(b, "an issuer")
	edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		alg         jose.SignatureAlgorithm
		key, public any
	}{{jose.ES256, ec, &ec.PublicKey}, {jose.RS256, rs, &rs.PublicKey}, {jose.EdDSA, ed, edPublic}} {
		s := local(b, Issuer{Groups: []string{"groups"}}, c.public)
		token := sign(b, c.alg, c.key, map[string]any{"typ": "at+jwt", "kid": "k1"}, localClaims(map[string]any{"groups": []string{"staff", "keepers"}}))
		b.Run(string(c.alg), func(b *testing.B) {
			for b.Loop() {
				g, err := s.open(b.Context(), token)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.callerOf(g); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
