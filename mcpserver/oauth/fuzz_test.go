package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fixedKey is the same in each process that fuzzes, so that what one made is good
// in all.
func fixedKey(t testing.TB, seed string) *ecdsa.PrivateKey {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), new(big.Int).SetBytes([]byte(seed)).FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// local is a resource server whose one issuer is in this process.
func local(t testing.TB, i Issuer, public any) *Server {
	i.URL = "https://issuer.example"
	i.Local = func(context.Context) ([]byte, error) {
		return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "k1"}}})
	}
	s, err := New(Config{Resource: resource, Issuers: []Issuer{i}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func localClaims(more map[string]any) map[string]any {
	out := map[string]any{"iss": "https://issuer.example", "aud": resource, "sub": "alice", "client_id": "claude", "exp": time.Now().Unix() + 86400, "scope": "api.read"}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// Whatever comes as a token, only what the issuer signed is taken.
func FuzzTokens(f *testing.F) {
	key := fixedKey(f, "an issuer")
	s := local(f, Issuer{AnyType: true, Groups: []string{"/a/b"}}, &key.PublicKey)
	for _, header := range []map[string]any{{"typ": "at+jwt", "kid": "k1"}, {}} {
		f.Add(sign(f, jose.ES256, key, header, localClaims(nil)))
		f.Add(sign(f, jose.ES256, key, header, localClaims(map[string]any{"a": map[string]any{"b": "c"}, "act": map[string]any{"sub": "x"}})))
	}
	for _, token := range []string{handmade(`{"alg":"none"}`, `{"iss":"https://issuer.example","sub":"spiffe://example.org/x"}`, nil), "opaque", "..", "a.b.c.d.e", handmade(`{"alg":"ES256","crit":[]}`, `[]`, []byte("x"))} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		g, err := s.open(t.Context(), token)
		if err != nil {
			return
		}
		signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatalf("%q: %v", token, err)
		}
		if _, err := signed.Verify(&key.PublicKey); err != nil {
			t.Errorf("%q: %v", token, err)
		}
		if caller, err := s.callerOf(g); err != nil || caller.Principal.ID != "alice" {
			t.Errorf("%q is %+v, %v", token, caller, err)
		}
	})
}
