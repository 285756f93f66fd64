package dpop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fixedKey is the same in each process that fuzzes, so that what one made is good
// in all.
func fixedKey(t testing.TB) *Key {
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), new(big.Int).SetBytes([]byte("a client")).FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := newKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const api = "https://api.example.com/v1/things/a%2Fb"

// TestProof makes proofs that are taken once, and for nothing but their request.
func TestProof(t *testing.T) {
	key, now := fixedKey(t), time.Now()
	other, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	nonces := &Nonces{Key: []byte("shared"), Since: now.Add(-time.Hour)}
	nonce := nonces.New(now)
	want := Request{Method: "PUT", URL: api, Token: "t", Thumbprint: key.Thumbprint()}
	type made struct {
		key                       *Key
		method, url, token, nonce string
		at                        time.Time
	}
	good := made{key, "PUT", api + "?q=1#f", "t", nonce, now}
	for name, tt := range map[string]struct {
		change func(*made)
		want   string
	}{
		"as it is":                     {func(*made) {}, ""},
		"another spelling of the URL":  {func(m *made) { m.url = "HTTPS://API.example.com:443/%761/things/a%2fb" }, ""},
		"another key":                  {func(m *made) { m.key = other }, "invalid_token"},
		"another method":               {func(m *made) { m.method = "POST" }, "invalid_dpop_proof"},
		"another path":                 {func(m *made) { m.url = api + "c" }, "invalid_dpop_proof"},
		"a slash that is not hidden":   {func(m *made) { m.url = strings.ReplaceAll(api, "%2F", "/") }, "invalid_dpop_proof"},
		"a slash that is hidden twice": {func(m *made) { m.url = strings.ReplaceAll(api, "%2F", "%252F") }, "invalid_dpop_proof"},
		"another host":                 {func(m *made) { m.url = strings.ReplaceAll(api, "api.", "evil.") }, "invalid_dpop_proof"},
		"another port":                 {func(m *made) { m.url = strings.ReplaceAll(api, ".com", ".com:444") }, "invalid_dpop_proof"},
		"no URL":                       {func(m *made) { m.url = "%zz" }, "invalid_dpop_proof"},
		"another token":                {func(m *made) { m.token = "u" }, "invalid_dpop_proof"},
		"no token":                     {func(m *made) { m.token = "" }, "invalid_dpop_proof"},
		"no nonce":                     {func(m *made) { m.nonce = "" }, "use_dpop_nonce"},
		"a nonce of another server":    {func(m *made) { m.nonce = (&Nonces{Key: []byte("other")}).New(now) }, "use_dpop_nonce"},
		"a nonce of another time":      {func(m *made) { m.nonce = nonces.New(now.Add(-6 * time.Minute)) }, "use_dpop_nonce"},
		"too old":                      {func(m *made) { m.at = now.Add(-time.Minute) }, "invalid_dpop_proof"},
		"of the future":                {func(m *made) { m.at = now.Add(time.Minute) }, "invalid_dpop_proof"},
	} {
		t.Run(name, func(t *testing.T) {
			m := good
			tt.change(&m)
			raw, err := m.key.proof(m.method, m.url, m.token, m.nonce, m.at)
			if err != nil {
				t.Fatal(err)
			}
			c := Checker{Skew: 10 * time.Second, Nonces: nonces, Spend: NewSpent(func() time.Time { return now }).Spend}
			check := func() string {
				err := c.Check(t.Context(), http.Header{"Dpop": {raw}}, want, now)
				problem := new(Problem)
				if err != nil && !errors.As(err, &problem) {
					t.Fatal(err)
				}
				if (problem.Nonce != "") != (problem.Code == "use_dpop_nonce") {
					t.Errorf("the nonce is %q with %v", problem.Nonce, err)
				}
				return problem.Code
			}
			if got := check(); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if got := check(); tt.want == "" && got != "invalid_dpop_proof" {
				t.Errorf("used again: %q", got)
			}
		})
	}
}

// TestUnsaved refuses a proof of which it cannot be remembered that it was used.
func TestUnsaved(t *testing.T) {
	key, now := fixedKey(t), time.Now()
	raw, err := key.Proof("GET", api, "t", "")
	if err != nil {
		t.Fatal(err)
	}
	spent := NewSpent(func() time.Time { return now })
	for i := range maxSpentOfOne {
		if fresh, err := spent.Spend(t.Context(), key.Thumbprint(), fmt.Sprint(i), now.Add(time.Minute)); !fresh || err != nil {
			t.Fatal(i, err)
		}
	}
	c := Checker{Skew: 10 * time.Second, Spend: spent.Spend}
	want := Request{Method: "GET", URL: api, Token: "t", Thumbprint: key.Thumbprint()}
	if err := c.Check(t.Context(), http.Header{"Dpop": {raw}}, want, now); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}

// TestProofsAreBounded refuses for the moment, rather than forget a proof that
// could come again.
func TestProofsAreBounded(t *testing.T) {
	now := time.Now()
	p := NewSpent(func() time.Time { return now })
	spend := func(jkt, id string) string {
		fresh, err := p.Spend(t.Context(), jkt, id, now.Add(time.Minute))
		return fmt.Sprint(fresh, err)
	}
	const fresh, spent, full = "true <nil>", "false <nil>", "false too many proofs are remembered"
	for i := range maxSpentOfOne {
		if got := spend("greedy", fmt.Sprint(i)); got != fresh {
			t.Fatal(i, got)
		}
	}
	if spend("greedy", "more") != full || spend("other", "1") != fresh || spend("greedy", "0") != spent {
		t.Error("one key takes the room of all, or is forgotten")
	}
	now = now.Add(time.Minute + time.Second)
	if spend("greedy", "more") != fresh || len(p.queue) != 1 || len(p.spent) != 1 || len(p.of) != 1 {
		t.Errorf("%d are kept", len(p.queue))
	}
	for i := range maxSpent {
		spend(fmt.Sprint(i%100), fmt.Sprint(i))
	}
	if spend("new", "1") != full {
		t.Error("without end")
	}
}

// TestThumbprints compares with the example of RFC 7638, section 3.1.
func TestThumbprints(t *testing.T) {
	raw := []byte(`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`)
	if _, thumbprint, ok := proofKey(raw); !ok || thumbprint != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("%q %v", thumbprint, ok)
	}
	for _, secret := range []string{"d", "p", "k"} {
		if _, _, ok := proofKey(bytes.Replace(raw, []byte(`"e":`), []byte(`"`+secret+`":"AA","e":`), 1)); ok {
			t.Errorf("a key with %s", secret)
		}
	}
}

// TestTokenRequest makes a proof that comes without a token, as to a token endpoint.
func TestTokenRequest(t *testing.T) {
	raw, err := fixedKey(t).Proof("POST", "https://as.example.com/token?x", "", "n")
	if err != nil {
		t.Fatal(err)
	}
	part, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil || !bytes.Contains(part, []byte(`"htm":"POST","htu":"https://as.example.com/token","iat":`)) || bytes.Contains(part, []byte("ath")) {
		t.Error(string(part), err)
	}
}

// Whatever comes as a proof, only what the key in it signed is one, with all that a
// proof has.
func FuzzProofs(f *testing.F) {
	e := base64.RawURLEncoding.EncodeToString
	for _, url := range []string{api, "HTTPS://api.example.com:443/x?y#z", "http://[::1]:80/%zz"} {
		raw, err := fixedKey(f).Proof("GET", url, "token", "n")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add(e([]byte(`{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`)) + "." + e([]byte(`{}`)) + ".eA")
	f.Add(e([]byte(`{"alg":"HS256","typ":"dpop+jwt","jwk":{"kty":"oct","k":"AA"}}`)) + "." + e([]byte(`{}`)) + ".eA")
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parseProof(raw)
		if err != nil {
			return
		}
		signed, err := jose.ParseSignedCompact(raw, algorithms)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		key := signed.Signatures[0].Header.JSONWebKey
		switch key.Key.(type) {
		case *ecdsa.PublicKey, ed25519.PublicKey, *rsa.PublicKey:
		default:
			t.Errorf("%q holds a %T", raw, key.Key)
		}
		if payload, err := signed.Verify(key); err != nil || !bytes.Contains(payload, []byte("jti")) || p.id == "" || len(p.thumbprint) != 43 {
			t.Errorf("%q is %+v, %v", raw, p, err)
		}
		if url, ok := normalURL(p.url); ok && strings.ContainsAny(url, "?#") {
			t.Errorf("%q is %q", p.url, url)
		}
	})
}

// Whatever comes as a URL has one normal form.
func FuzzURLs(f *testing.F) {
	for _, url := range []string{api, "http://[::1]:80", "https://h/%7e%2f%00%zz", "https://h:/", "h://h/%", "https://h/ü", "//0"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once, ok := normalURL(raw)
		if !ok {
			return
		}
		if twice, ok := normalURL(once); !ok || twice != once {
			t.Errorf("%q is %q is %q", raw, once, twice)
		}
	})
}

// BenchmarkProof is what DPoP adds to a call at either side.
func BenchmarkProof(b *testing.B) {
	key := fixedKey(b)
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			if _, err := key.Proof("GET", api, "token", "nonce"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		raw, err := key.Proof("GET", api, "token", "")
		if err != nil {
			b.Fatal(err)
		}
		c, h := Checker{Skew: time.Hour}, http.Header{"Dpop": {raw}}
		want := Request{Method: "GET", URL: api, Token: "token", Thumbprint: key.Thumbprint()}
		for b.Loop() {
			if _, err := c.weigh(h, want, time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestForeignNonces keeps nothing of an answer but a nonce that a header can carry.
func TestForeignNonces(t *testing.T) {
	g := new(Given)
	ask := `DPoP error="use_dpop_nonce"`
	for _, tt := range []struct {
		status    int
		ask, give string
		again     bool
	}{
		{401, ask, "n1", true}, {401, `Bearer, ` + ask, "n2", true}, {401, ask, "", false}, {401, ask, strings.Repeat("x", 1000), false},
		{401, `DPoP error="invalid_token"`, "n3", false}, {403, ask, "n4", false}, {200, "", "n5", false}, {200, ask, "n6", false},
	} {
		res := &http.Response{StatusCode: tt.status, Header: http.Header{"Www-Authenticate": {tt.ask}, "Dpop-Nonce": {tt.give}}}
		if again := g.Answered(res); again != tt.again {
			t.Errorf("%d %s %q: %v", tt.status, tt.ask, tt.give, again)
		}
		if kept := g.Nonce(); kept != tt.give && tt.give != "" && len(tt.give) < 1000 {
			t.Errorf("%q is kept as %q", tt.give, kept)
		}
	}
}
