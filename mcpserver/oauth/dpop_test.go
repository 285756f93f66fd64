package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/dpop"
)

// sent sends a token with proofs.
func (w *world) sent(token string, proofs ...string) answer {
	w.t.Helper()
	headers := []string{"Authorization", "DPoP " + token}
	for _, p := range proofs {
		headers = append(headers, "DPoP", p)
	}
	return w.call(headers...)
}

// learn asks for a nonce, as a client does: by a proof without one.
func (w *world) learn(c *client, token string) {
	w.t.Helper()
	got := w.sent(token, c.proof(w.t, token, nil))
	refused(w.t, got, 401, "use_dpop_nonce")
	if c.nonce = got.header.Get("DPoP-Nonce"); c.nonce == "" {
		w.t.Fatal("no nonce")
	}
}

// TestDPoP takes a bound token with a new proof for each request.
func TestDPoP(t *testing.T) {
	a, c := newAS(t), newClient(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	bound := c.bound()
	bound["exp"] = time.Now().Unix() + 3600
	token := a.token(bound)
	w.learn(c, token)
	for range 3 {
		if got := w.sent(token, c.proof(t, token, nil)); got.status != 200 || got.caller.Principal.ID != "alice" {
			t.Fatal(got.body)
		}
	}
	for _, htu := range []string{"HTTPS://EXEAT.example.com:443/agents/mcp", resource + "?x=1#y", "https://exeat.example.com/%61gents/mcp"} {
		if got := w.sent(token, c.proof(t, token, map[string]any{"htu": htu})); got.status != 200 {
			t.Errorf("%s: %s", htu, got.body)
		}
	}
	w.wait(6 * time.Minute)
	refused(t, w.sent(token, c.proof(t, token, map[string]any{"iat": w.now().Unix()})), 401, "use_dpop_nonce")
}

// TestProofsAreRefused takes no proof that is of another request, another token,
// another key or another time.
func TestProofsAreRefused(t *testing.T) {
	a, c, thief := newAS(t), newClient(t), newClient(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	bound := c.bound()
	bound["exp"] = time.Now().Unix() + 86400
	token := a.token(bound)
	w.learn(c, token)
	thief.nonce = c.nonce
	now := time.Now().Unix()
	other := a.token(c.bound())
	good := c.proof(t, token, nil)
	sum := sha256.Sum256([]byte(token))
	claims := map[string]any{"jti": "x", "htm": "POST", "htu": resource, "iat": now, "ath": base64.RawURLEncoding.EncodeToString(sum[:]), "nonce": c.nonce}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string][]string{
		"none":                           {},
		"two":                            {c.proof(t, token, nil), c.proof(t, token, nil)},
		"an empty one":                   {""},
		"no JWT":                         {"x"},
		"another method":                 {c.proof(t, token, map[string]any{"htm": "GET"})},
		"a method in small letters":      {c.proof(t, token, map[string]any{"htm": "post"})},
		"another host":                   {c.proof(t, token, map[string]any{"htu": "https://evil.example/agents/mcp"})},
		"another path":                   {c.proof(t, token, map[string]any{"htu": "https://exeat.example.com/mcp"})},
		"another scheme":                 {c.proof(t, token, map[string]any{"htu": "http://exeat.example.com/agents/mcp"})},
		"another port":                   {c.proof(t, token, map[string]any{"htu": "https://exeat.example.com:8443/agents/mcp"})},
		"a path that is hidden":          {c.proof(t, token, map[string]any{"htu": "https://exeat.example.com/agents%2Fmcp"})},
		"a user in the URL":              {c.proof(t, token, map[string]any{"htu": "https://u@exeat.example.com/agents/mcp"})},
		"the address that was dialled":   {c.proof(t, token, map[string]any{"htu": w.http.URL + "/agents/mcp"})},
		"another token":                  {c.proof(t, other, nil)},
		"no token":                       {c.proof(t, token, map[string]any{"ath": nil})},
		"too old":                        {c.proof(t, token, map[string]any{"iat": now - 90})},
		"in the future":                  {c.proof(t, token, map[string]any{"iat": now + 90})},
		"no time":                        {c.proof(t, token, map[string]any{"iat": nil})},
		"no id":                          {c.proof(t, token, map[string]any{"jti": nil})},
		"an endless id":                  {c.proof(t, token, map[string]any{"jti": strings.Repeat("x", 300)})},
		"another typ":                    {sign(t, jose.ES256, c.key, map[string]any{"typ": "JWT", "jwk": c.jwk()}, claims)},
		"an access token":                {token},
		"an algorithm that is not taken": {sign(t, jose.ES384, p384, map[string]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: &p384.PublicKey}}, claims)},
		"a weak key":                     {sign(t, jose.RS256, weak, map[string]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: &weak.PublicKey}}, claims)},
		"an endless proof":               {c.proof(t, token, map[string]any{"x": strings.Repeat("x", maxToken)})},
		"a key that is secret":           {handmade(`{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}}`, `{}`, []byte("x"))},
		"a shared key":                   {sign(t, jose.HS256, []byte("0123456789abcdef0123456789abcdef"), map[string]any{"typ": "dpop+jwt", "jwk": map[string]any{"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}}, map[string]any{})},
		"no key":                         {sign(t, jose.ES256, c.key, map[string]any{"typ": "dpop+jwt"}, map[string]any{})},
		"alg none":                       {handmade(`{"alg":"none","typ":"dpop+jwt"}`, `{}`, nil)},
		"another bit":                    {malleable(good)},
	} {
		t.Run(name, func(t *testing.T) { refused(t, w.sent(token, p...), 401, "invalid_dpop_proof") })
	}
	// A proof by another key is about the token.
	refused(t, w.sent(token, thief.proof(t, token, nil)), 401, "invalid_token")
	for name, nonce := range map[string]any{"no nonce": nil, "a nonce of another server": (&dpop.Nonces{Key: []byte("another")}).New(time.Now()),
		"a nonce with another time": base64.RawURLEncoding.EncodeToString(make([]byte, 48)), "a text": "nonce"} {
		t.Run(name, func(t *testing.T) {
			refused(t, w.sent(token, c.proof(t, token, map[string]any{"nonce": nonce})), 401, "use_dpop_nonce")
		})
	}
	if got := w.sent(token, good); got.status != 200 {
		t.Fatalf("what was refused spent it: %s", got.body)
	}
	for _, d := range []time.Duration{0, 30 * time.Second, 29 * time.Second} {
		w.wait(d)
		refused(t, w.sent(token, good), 401, "invalid_dpop_proof")
	}
}

// TestReplayedProofs lets one of many through.
func TestReplayedProofs(t *testing.T) {
	a, c := newAS(t), newClient(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	token := a.token(c.bound())
	w.learn(c, token)
	proof := c.proof(t, token, nil)
	var all sync.WaitGroup
	let := make(chan bool, 32)
	for range cap(let) {
		all.Go(func() { let <- w.sent(token, proof).status == 200 })
	}
	all.Wait()
	close(let)
	n := 0
	for ok := range let {
		if ok {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d were let through", n)
	}
	// A restart forgets which were used, so what it takes has another nonce.
	again := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}, NonceKey: w.c.NonceKey})
	refused(t, again.sent(token, proof), 401, "use_dpop_nonce")
	again.learn(&client{key: c.key}, token)
	again.learn(c, token)
	for _, one := range []*world{w, again} { // which share the key
		if got := one.sent(token, c.proof(t, token, nil)); got.status != 200 {
			t.Error(got.body)
		}
	}
}

// TestStrippedBinding does not take a bound token without what it is bound to, nor
// one that is not bound as if it were.
func TestStrippedBinding(t *testing.T) {
	a, c := newAS(t), newClient(t)
	accept := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	require := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL, DPoP: Require}}})
	off := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL, DPoP: Off}}})
	bound, open := a.token(c.bound()), a.token(nil)
	for name, got := range map[string]answer{
		"bound, as Bearer":                   accept.bearer(bound),
		"bound, as Bearer with a proof":      accept.call("Authorization", "Bearer "+bound, "DPoP", c.proof(t, bound, nil)),
		"bound, as Bearer where DPoP is off": off.bearer(bound),
		"bound, where DPoP is off":           off.sent(bound, c.proof(t, bound, nil)),
		"open, as DPoP":                      accept.sent(open, c.proof(t, open, nil)),
		"open, where DPoP is required":       require.bearer(open),
		"open, as DPoP, where required":      require.sent(open, c.proof(t, open, nil)),
	} {
		t.Run(name, func(t *testing.T) { refused(t, got, 401, "invalid_token") })
	}
	require.learn(c, bound)
	if got := require.sent(bound, c.proof(t, bound, nil)); got.status != 200 {
		t.Error(got.body)
	}
}

// TestCertificateBinding asks for the certificate of the connection, and believes
// no header of one.
func TestCertificateBinding(t *testing.T) {
	a := newAS(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate := func(serial int64) tls.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(serial)}, &x509.Certificate{SerialNumber: big.NewInt(serial)}, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	its, other := certificate(1), certificate(2)
	sum := sha256.Sum256(its.Certificate[0])
	thumbprint := base64.RawURLEncoding.EncodeToString(sum[:])
	token := a.token(map[string]any{"cnf": map[string]any{"x5t#S256": thumbprint}})
	server := httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	call := func(with ...tls.Certificate) answer {
		transport := server.Client().Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.Certificates = with
		defer transport.CloseIdleConnections()
		r, err := http.NewRequest(http.MethodPost, server.URL+"/agents/mcp", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("X-Forwarded-Client-Cert", "Hash="+thumbprint)
		r.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(its.Certificate[0])+":")
		return w.through(&http.Client{Transport: transport}, r)
	}
	if got := call(its); got.status != 200 {
		t.Error(got.body)
	}
	refused(t, call(other), 401, "invalid_token")
	refused(t, call(), 401, "invalid_token")
	plain := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	refused(t, plain.call("Authorization", "Bearer "+token, "Client-Cert", ":"+base64.StdEncoding.EncodeToString(its.Certificate[0])+":"), 401, "invalid_token")
	// Both bindings of one token count.
	c := newClient(t)
	cnf := c.bound()["cnf"].(map[string]any)
	cnf["x5t#S256"] = thumbprint
	token = a.token(map[string]any{"cnf": cnf})
	refused(t, call(its), 401, "invalid_token")
}
