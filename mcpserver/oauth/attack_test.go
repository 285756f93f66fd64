package oauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// handmade makes a JWT that no library would, with any signature.
func handmade(header, claims string, signature []byte) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(header)) + "." + e([]byte(claims)) + "." + e(signature)
}

// signedAsIs signs a header and claims as they are written.
func signedAsIs(t *testing.T, a *as, header, claims string) string {
	input := strings.TrimSuffix(handmade(header, claims, nil), ".")
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, a.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// TestForgedTokens refuses what an attacker makes of what they have: the public
// keys, tokens for others, tokens of others.
func TestForgedTokens(t *testing.T) {
	a, b := newAS(t), newAS(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL, Groups: []string{"groups", "teams"}}, {URL: b.URL, Prefix: "b:"}}})
	good := a.token(nil)
	if got := w.bearer(good); got.status != 200 {
		t.Fatal(got.body)
	}
	claims := func(more map[string]any) string {
		raw, err := json.Marshal(a.about(more))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	public := publicBytes(t, a)
	mac := func(key []byte) string {
		return sign(t, jose.HS256, key, map[string]any{"typ": "at+jwt", "kid": a.kid}, a.about(nil))
	}
	own := newAS(t) // the attacker's, whom nobody named
	header := func(more map[string]any) string {
		h := map[string]any{"typ": "at+jwt", "kid": a.kid}
		for k, v := range more {
			h[k] = v
		}
		return sign(t, jose.ES256, own.key, h, a.about(nil))
	}
	now := time.Now().Unix()
	groups := make([]string, 10_000)
	for i := range groups {
		groups[i] = fmt.Sprint("g", i)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: a.key}, (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", a.kid))
	if err != nil {
		t.Fatal(err)
	}
	raw := func(claims string) string { return signBytes(t, signer, []byte(claims)) }
	last := strings.LastIndexByte(good, '.')
	for name, token := range map[string]string{
		"for another server":                 a.token(map[string]any{"aud": "https://other.example/mcp"}),
		"for a server below this one":        a.token(map[string]any{"aud": resource + "/x"}),
		"for the origin":                     a.token(map[string]any{"aud": "https://exeat.example.com"}),
		"for nobody":                         a.token(map[string]any{"aud": nil}),
		"for a list of nobody":               a.token(map[string]any{"aud": []string{}}),
		"of an issuer that nobody named":     own.token(nil),
		"of no issuer":                       a.token(map[string]any{"iss": nil}),
		"mixed up: signed by b, says a":      b.token(map[string]any{"iss": a.URL}),
		"mixed up: signed by a, says b":      a.token(map[string]any{"iss": b.URL}),
		"an issuer but for a slash":          a.token(map[string]any{"iss": a.URL + "/"}),
		"alg none":                           handmade(`{"alg":"none","typ":"at+jwt"}`, claims(nil), nil),
		"alg none, in other letters":         handmade(`{"alg":"nOnE","typ":"at+jwt"}`, claims(nil), []byte("x")),
		"HS256 with the public key, PEM":     mac(public[0]),
		"HS256 with the public key, DER":     mac(public[1]),
		"HS256 with the public key, JWK":     mac(public[2]),
		"expired":                            a.token(map[string]any{"exp": now - 61}),
		"no end":                             a.token(map[string]any{"exp": nil}),
		"an end in words":                    a.token(map[string]any{"exp": "tomorrow"}),
		"not yet valid":                      a.token(map[string]any{"nbf": now + 120}),
		"issued in the future":               a.token(map[string]any{"iat": now + 120}),
		"kid that leads through folders":     sign(t, jose.ES256, own.key, map[string]any{"typ": "at+jwt", "kid": "../../../../dev/null"}, a.about(nil)),
		"kid that is a URL":                  sign(t, jose.ES256, own.key, map[string]any{"typ": "at+jwt", "kid": own.URL + "/jwks"}, a.about(nil)),
		"kid that is SQL":                    sign(t, jose.ES256, own.key, map[string]any{"typ": "at+jwt", "kid": "x' UNION SELECT 'key"}, a.about(nil)),
		"kid that is no text":                sign(t, jose.ES256, own.key, map[string]any{"typ": "at+jwt", "kid": []string{a.kid}}, a.about(nil)),
		"the attacker's key in jwk":          header(map[string]any{"jwk": jose.JSONWebKey{Key: &own.key.PublicKey}}),
		"the attacker's key at jku":          header(map[string]any{"jku": own.URL + "/jwks"}),
		"the attacker's key at x5u":          header(map[string]any{"x5u": own.URL + "/jwks"}),
		"crit":                               signedAsIs(t, a, `{"alg":"ES256","typ":"at+jwt","kid":"k1","crit":["exp"]}`, claims(nil)),
		"b64":                                signedAsIs(t, a, `{"alg":"ES256","typ":"at+jwt","kid":"k1","b64":false}`, claims(nil)),
		"zip":                                signedAsIs(t, a, `{"alg":"ES256","typ":"at+jwt","kid":"k1","zip":"DEF"}`, claims(nil)),
		"alg twice":                          signedAsIs(t, a, `{"alg":"none","typ":"at+jwt","kid":"k1","alg":"ES256"}`, claims(nil)),
		"an audience twice":                  raw(strings.Replace(claims(nil), `"aud":`, `"aud":"https://other.example","aud":`, 1)),
		"a subject twice":                    raw(strings.Replace(claims(nil), `"sub":`, `"sub":"bob","sub":`, 1)),
		"an audience in other letters only":  raw(strings.Replace(claims(nil), `"aud":`, `"AUD":`, 1)),
		"no subject":                         a.token(map[string]any{"sub": nil}),
		"an empty subject":                   a.token(map[string]any{"sub": ""}),
		"a subject that hides something":     a.token(map[string]any{"sub": "alice\u200b"}),
		"an endless subject":                 a.token(map[string]any{"sub": strings.Repeat("a", 256)}),
		"a subject that is no text":          a.token(map[string]any{"sub": 7}),
		"b's alice, from a":                  a.token(map[string]any{"sub": "b:alice"}),
		"b's client, from a":                 a.token(map[string]any{"client_id": "b:claude"}),
		"a workload of SPIFFE, from a":       a.token(map[string]any{"sub": "spiffe://example.org/x"}),
		"no client":                          a.token(map[string]any{"client_id": nil}),
		"a client that hides something":      a.token(map[string]any{"client_id": "clau\u202ede"}),
		"10,000 groups":                      a.token(map[string]any{"groups": groups[:1500]}),
		"501 groups":                         a.token(map[string]any{"groups": groups[:501]}),
		"groups of two claims, together":     a.token(map[string]any{"groups": groups[:300], "teams": groups[300:600]}),
		"an endless group":                   a.token(map[string]any{"groups": []string{strings.Repeat("g", 256)}}),
		"a group that hides something":       a.token(map[string]any{"groups": []string{"keepers\u2066"}}),
		"groups that are left out":           a.token(map[string]any{"_claim_names": map[string]any{"groups": "src1"}}),
		"groups that are left out, shorter":  a.token(map[string]any{"hasgroups": true}),
		"a chain of nine":                    a.token(map[string]any{"act": nested(9)}),
		"a chain without a name":             a.token(map[string]any{"act": map[string]any{"act": map[string]any{"sub": "x"}}}),
		"a chain of another issuer":          a.token(map[string]any{"act": map[string]any{"sub": "x", "iss": own.URL}}),
		"a key that is bound in another way": a.token(map[string]any{"cnf": map[string]any{"kid": "x"}}),
		"a binding that is nothing":          a.token(map[string]any{"cnf": map[string]any{}}),
		"another bit":                        good[:last+1] + flip(good[last+1:]),
		"a last character of the same bits":  malleable(good),
		"padding":                            good + "==",
		"one part too many":                  good + ".x",
		"two tokens":                         good + good,
		"an encrypted one":                   "a.b.c.d.e",
		"no JWT":                             "opaque-token",
	} {
		t.Run(name, func(t *testing.T) { refused(t, w.bearer(token), 401, "invalid_token") })
	}
	if got := w.bearer(signedAsIs(t, a, `{"alg":"ES256","typ":"at+jwt","kid":"k1"}`, claims(nil))); got.status != 200 {
		t.Errorf("what is signed as it is written is refused for that: %s", got.body)
	}
	// That the same subject of another issuer is somebody else.
	if got := w.bearer(b.token(nil)); got.caller.Principal.ID != "b:alice" || got.caller.Agent.ID != "oauth:b:claude" {
		t.Errorf("b's alice is %+v", got.caller)
	}
	// 10,000 groups do not fit into a token at all.
	refused(t, w.bearer(a.token(map[string]any{"groups": groups})), 401, "invalid_token")
	if n := own.fetches.Load(); n != 0 {
		t.Errorf("the attacker's keys were fetched %d times", n)
	}
}

func nested(n int) map[string]any {
	out := map[string]any{"sub": "actor"}
	if n > 1 {
		out["act"] = nested(n - 1)
	}
	return out
}

func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// malleable changes the bits of the last character that a lenient decoder drops.
func malleable(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return token[:len(token)-1] + string(alphabet[strings.IndexByte(alphabet, token[len(token)-1])^1])
}

func publicBytes(t *testing.T, a *as) [][]byte {
	der, err := x509.MarshalPKIXPublicKey(&a.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(a.jwks().Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), der, jwk}
}

// TestKeysAndAlgorithms has an algorithm work only with keys of its own kind, and
// only if the configuration takes it.
func TestKeysAndAlgorithms(t *testing.T) {
	a := newAS(t)
	edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: &a.key.PublicKey, KeyID: "ec"}, {Key: edPublic, KeyID: "ed", Algorithm: "EdDSA"}, {Key: &strong.PublicKey, KeyID: "rsa"},
		{Key: &strong.PublicKey, KeyID: "ps only", Algorithm: "PS256"}, {Key: &strong.PublicKey, KeyID: "enc", Use: "enc"}, {Key: &p384.PublicKey, KeyID: "p384"},
		{Key: []byte("shared with everybody, and long enough"), KeyID: "oct"},
	}}
	a.instead("/jwks", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, set) })
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	for _, c := range []struct {
		alg  jose.SignatureAlgorithm
		key  any
		kid  string
		want int
	}{
		{jose.ES256, a.key, "ec", 200}, {jose.EdDSA, ed, "ed", 200}, {jose.RS256, strong, "rsa", 200}, {jose.PS256, strong, "rsa", 200}, {jose.PS256, strong, "ps only", 200},
		{jose.ES256, a.key, "", 200}, // the one key that fits
		{jose.RS256, strong, "ps only", 401}, {jose.RS256, strong, "enc", 401}, {jose.RS512, strong, "rsa", 401}, {jose.ES384, p384, "p384", 401}, {jose.ES256, a.key, "ed", 401},
		{jose.ES256, a.key, "rsa", 401}, {jose.HS256, []byte("shared with everybody, and long enough"), "oct", 401},
	} {
		header := map[string]any{"typ": "at+jwt"}
		if c.kid != "" {
			header["kid"] = c.kid
		}
		if got := w.bearer(sign(t, c.alg, c.key, header, a.about(nil))); got.status != c.want {
			t.Errorf("%s with %q: %d %s", c.alg, c.kid, got.status, got.body)
		}
	}
}

// TestHostileIssuers lets nobody in, and hangs for nobody, whatever is where the
// metadata and the keys should be.
func TestHostileIssuers(t *testing.T) {
	inside := newAS(t) // what an attacker would like to reach: another loopback address stands for it
	var reached atomic.Int64
	inside.instead("/jwks", func(w http.ResponseWriter, _ *http.Request) { reached.Add(1); writeJSON(w, inside.jwks()) })
	elsewhere := strings.Replace(inside.URL, "127.0.0.1", "127.0.0.2", 1)
	metadata := func(a *as, issuer, jwks string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, map[string]any{"issuer": issuer, "jwks_uri": jwks})
		}
	}
	for name, prepare := range map[string]func(a *as){
		"keys of 100 MB": func(a *as) {
			a.instead("/jwks", func(w http.ResponseWriter, _ *http.Request) { io.CopyN(w, endless{}, 100<<20) })
		},
		"keys that are HTML": func(a *as) {
			a.instead("/jwks", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>log in</html>") })
		},
		"keys without keys": func(a *as) {
			a.instead("/jwks", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{}`) })
		},
		"keys that redirect": func(a *as) { a.instead("/jwks", http.RedirectHandler(elsewhere+"/jwks", http.StatusFound).ServeHTTP) },
		"keys that break off": func(a *as) {
			a.instead("/jwks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		},
		"metadata that redirects": func(a *as) {
			a.instead("/.well-known/oauth-authorization-server", http.RedirectHandler(inside.URL+"/.well-known/oauth-authorization-server", http.StatusTemporaryRedirect).ServeHTTP)
			a.openID = true
			a.instead("/.well-known/openid-configuration", http.NotFound)
		},
		"metadata of another issuer": func(a *as) {
			a.instead("/.well-known/oauth-authorization-server", metadata(a, inside.URL, a.URL+"/jwks"))
			a.instead("/.well-known/openid-configuration", metadata(a, inside.URL, a.URL+"/jwks"))
		},
		"keys inside this network": func(a *as) {
			a.instead("/.well-known/oauth-authorization-server", metadata(a, a.URL, elsewhere+"/jwks"))
			a.instead("/.well-known/openid-configuration", http.NotFound)
		},
		"keys in a file": func(a *as) {
			a.instead("/.well-known/oauth-authorization-server", metadata(a, a.URL, "file:///etc/passwd"))
			a.instead("/.well-known/openid-configuration", http.NotFound)
		},
		"keys without TLS": func(a *as) {
			a.instead("/.well-known/oauth-authorization-server", metadata(a, a.URL, "http://keys.example/jwks"))
			a.instead("/.well-known/openid-configuration", http.NotFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAS(t)
			prepare(a)
			w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
			refused(t, w.bearer(a.token(nil)), 503, "temporarily_unavailable")
			refused(t, w.bearer(sign(t, jose.ES256, inside.key, map[string]any{"typ": "at+jwt", "kid": "k1"}, a.about(nil))), 503, "temporarily_unavailable")
			if len(w.reported) == 0 {
				t.Error("nobody is told")
			}
		})
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d requests went inside", n)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestRefreshesOfHostileIssuers keeps good keys when an issuer goes bad.
func TestRefreshesOfHostileIssuers(t *testing.T) {
	a := newAS(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	good := a.token(map[string]any{"exp": time.Now().Unix() + 86400})
	if got := w.bearer(good); got.status != 200 {
		t.Fatal(got.body)
	}
	a.instead("/jwks", a.hang)
	w.wait(10 * time.Minute)
	if got := w.bearer(good); got.status != 200 { // and does not wait for who hangs
		t.Errorf("the keys hang: %s", got.body)
	}
}

// TestHangingIssuer waits for no longer than the caller does.
func TestHangingIssuer(t *testing.T) {
	a := newAS(t)
	a.instead("/jwks", a.hang)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.Header.Set("Authorization", "Bearer "+a.token(nil))
	ctx, cancel := contextThatEnds(t)
	defer cancel()
	if _, err := w.Authenticate(r.WithContext(ctx)); err == nil || !strings.Contains(err.Error(), "cannot be asked") {
		t.Error(err)
	}
}

// TestPlaces takes a token from one place only.
func TestPlaces(t *testing.T) {
	a := newAS(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	good := a.token(nil)
	in := func(query string, headers ...string) answer {
		r, err := http.NewRequest(http.MethodPost, w.http.URL+"/agents/mcp"+query, strings.NewReader("access_token="+good))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		return w.do(r)
	}
	refused(t, in("?access_token="+good), 400, "invalid_request")
	refused(t, in("?access_token=", "Authorization", "Bearer "+good), 400, "invalid_request")
	refused(t, in(""), 401, "unauthorized") // the form is not read
	refused(t, in("", "Cookie", "access_token="+good), 401, "unauthorized")
	refused(t, in("", "Authorization", "Bearer "+good, "Authorization", "Bearer "+good), 400, "invalid_request")
	refused(t, in("", "Authorization", "Basic "+good), 401, "unauthorized")
	refused(t, in("", "Authorization", good), 401, "unauthorized")
	refused(t, in("", "Authorization", "Bearer"), 401, "invalid_token")
	refused(t, in("", "Authorization", "Bearer  "+good), 401, "invalid_token")
	refused(t, in("", "Authorization", "Bearer "+good+" "+good), 401, "invalid_token")
	refused(t, in("", "Authorization", "Bearer "+strings.Repeat("a", 17<<10)), 401, "invalid_token")
	if got := in("", "Authorization", "bEARER "+good); got.status != 200 {
		t.Error(got.body)
	}
}
