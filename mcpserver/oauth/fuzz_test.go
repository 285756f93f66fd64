package oauth

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// local is a resource server whose one issuer is in this process.
func local(t testing.TB, i Issuer) (*Server, *as) {
	a := newAS(t)
	i.URL = a.URL
	i.Local = func(context.Context) ([]byte, error) { return json.Marshal(a.jwks()) }
	s, err := New(Config{Resource: resource, Issuers: []Issuer{i}})
	if err != nil {
		t.Fatal(err)
	}
	return s, a
}

// Whatever comes as a token, only what the issuer made is taken.
func FuzzTokens(f *testing.F) {
	s, a := local(f, Issuer{AnyType: true, Groups: []string{"/a/b"}})
	made := map[string]bool{}
	for _, token := range []string{a.token(nil), a.token(map[string]any{"a": map[string]any{"b": "c"}, "act": map[string]any{"sub": "x"}}),
		sign(f, jose.ES256, a.key, map[string]any{}, a.about(nil))} {
		made[token] = true
		f.Add(token)
	}
	for _, token := range []string{handmade(`{"alg":"none"}`, `{"iss":"`+a.URL+`","sub":"spiffe://example.org/x"}`, nil), "opaque", "..", "a.b.c.d.e", handmade(`{"alg":"ES256","crit":[]}`, `[]`, []byte("x"))} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		g, err := s.open(t.Context(), token)
		if err != nil {
			return
		}
		if caller, err := s.callerOf(g); !made[token] || err != nil || caller.Principal.ID != "alice" {
			t.Errorf("%q is %+v, %v", token, caller, err)
		}
	})
}

// Whatever comes as a proof, only what a key signed is one, with all that a proof
// has.
func FuzzProofs(f *testing.F) {
	c := newClient(f)
	made := map[string]bool{}
	for _, proof := range []string{c.proof(f, "token", nil), c.proof(f, "token", map[string]any{"nonce": "n", "htu": "HTTPS://exeat.example.com:443/agents/mcp?x#y"})} {
		made[proof] = true
		f.Add(proof)
	}
	f.Add(handmade(`{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`, `{}`, []byte("x")))
	f.Add(handmade(`{"alg":"HS256","typ":"dpop+jwt","jwk":{"kty":"oct","k":"AA"}}`, `{}`, []byte("x")))
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parseProof(raw)
		if err != nil {
			return
		}
		if !made[raw] || p.id == "" || p.thumbprint == "" {
			t.Errorf("%q is %+v", raw, p)
		}
		if url, ok := normalURL(p.url); ok && strings.ContainsAny(url, "?#") {
			t.Errorf("%q is %q", p.url, url)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	s, a := local(b, Issuer{})
	token := a.token(map[string]any{"groups": []string{"staff", "keepers"}})
	for b.Loop() {
		g, err := s.open(b.Context(), token)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.callerOf(g); err != nil {
			b.Fatal(err)
		}
	}
}
