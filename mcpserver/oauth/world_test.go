package oauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/mcpserver"
	"github.com/exeat/exeat/tools"
)

const resource = "https://exeat.example.com/agents/mcp"

// as is an authorization server on loopback: metadata, keys, introspection, and
// whatever signs its tokens. A test takes the part of it that lies.
type as struct {
	*httptest.Server
	t      testing.TB
	key    *ecdsa.PrivateKey
	kid    string
	openID bool // its metadata is only where OpenID has it

	mu       sync.Mutex
	answer   map[string]http.HandlerFunc // instead of its own, by path
	active   map[string]any              // what introspection says of any token
	fetches  atomic.Int64                // of the keys
	asked    atomic.Int64                // of introspection
	released chan struct{}               // closed when the test ends, for who hangs
}

func newAS(t testing.TB) *as {
	a := unstartedAS(t)
	a.Start()
	return a
}

func unstartedAS(t testing.TB) *as {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &as{t: t, key: key, kid: "k1", answer: map[string]http.HandlerFunc{}, released: make(chan struct{})}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	t.Cleanup(func() { close(a.released); a.Close() })
	return a
}

// instead has the server answer a path in another way.
func (a *as) instead(path string, h http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer[path] = h
}

func (a *as) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	h, active := a.answer[r.URL.Path], a.active
	a.mu.Unlock()
	switch {
	case h != nil:
		h(w, r)
	case r.URL.Path == "/.well-known/oauth-authorization-server" && !a.openID, r.URL.Path == "/.well-known/openid-configuration":
		writeJSON(w, map[string]any{"issuer": a.URL, "jwks_uri": a.URL + "/jwks", "introspection_endpoint": a.URL + "/introspect"})
	case r.URL.Path == "/jwks":
		a.fetches.Add(1)
		writeJSON(w, a.jwks())
	case r.URL.Path == "/introspect":
		a.asked.Add(1)
		name, secret, _ := r.BasicAuth()
		if name != "exeat" || secret != "s%3Acret" || r.FormValue("token") == "" || r.Method != http.MethodPost {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		writeJSON(w, active)
	default:
		http.NotFound(w, r)
	}
}

func (a *as) jwks() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &a.key.PublicKey, KeyID: a.kid, Use: "sig", Algorithm: "ES256"}}}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// hang never answers, until the test ends.
func (a *as) hang(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-a.released:
	}
}

// about is the claims of a good token: of alice, for the client claude.
func (a *as) about(more map[string]any) map[string]any {
	now := time.Now().Unix()
	out := map[string]any{"iss": a.URL, "aud": resource, "sub": "alice", "client_id": "claude", "iat": now, "exp": now + 300, "jti": rand.Text(), "scope": "api.read"}
	maps.Copy(out, more)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}

// token signs the claims of a good token, with more or other ones.
func (a *as) token(more map[string]any) string {
	return sign(a.t, jose.ES256, a.key, map[string]any{"typ": "at+jwt", "kid": a.kid}, a.about(more))
}

// sign makes a JWS with any header.
func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, header, claims map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return signBytes(t, s, b)
}

func signBytes(t testing.TB, s jose.Signer, b []byte) string {
	t.Helper()
	signed, err := s.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// world is a resource server behind HTTP, and what it was told to report.
type world struct {
	*Server
	t    testing.TB
	http *httptest.Server

	mu       sync.Mutex
	later    time.Duration // how far its clock is ahead
	reported []error
}

// newWorld starts a resource server for issuers.
func newWorld(t testing.TB, c Config) *world {
	w := &world{t: t}
	if c.Resource == "" {
		c.Resource = resource
	}
	c.Scopes, c.Now, c.Report = []string{"api.read"}, w.now, w.report
	var err error
	if w.Server, err = New(c); err != nil {
		t.Fatal(err)
	}
	w.http = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.http.Close)
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.later)
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.later += d
}

func (w *world) report(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reported = append(w.reported, err)
}

// serve answers with the caller, as an MCP server would go on with it.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	caller, err := w.Authenticate(r)
	if c := (*mcpserver.Challenge)(nil); errors.As(err, &c) {
		c.Answer(rw)
		return
	}
	if err != nil {
		w.t.Errorf("not a challenge: %v", err)
	}
	writeJSON(rw, caller)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	caller tools.Caller
	code   string // error, of the body
	help   string
}

// call makes a request with these headers, in pairs.
func (w *world) call(headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.http.URL+"/agents/mcp", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return w.do(r)
}

func (w *world) bearer(token string) answer {
	w.t.Helper()
	return w.call("Authorization", "Bearer "+token)
}

func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	return w.through(w.http.Client(), r)
}

// through sends a request by a client.
func (w *world) through(client *http.Client, r *http.Request) answer {
	w.t.Helper()
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(b)}
	var said struct {
		Code string `json:"error"`
		Help string `json:"error_description"`
	}
	to := any(&said)
	if a.status == http.StatusOK {
		to = &a.caller
	}
	if err := json.Unmarshal(b, to); err != nil {
		w.t.Errorf("%d %s: %v", a.status, b, err)
	}
	a.code, a.help = said.Code, said.Help
	return a
}

// refused fails unless an answer is this refusal, with a sentence in it.
func refused(t testing.TB, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.code != code || !strings.Contains(a.help, " ") {
		t.Errorf("%d %s; want %d %s", a.status, a.body, status, code)
	}
	if ask := a.header.Get("WWW-Authenticate"); (ask != "") != (status == 401 || status == 403) {
		t.Errorf("WWW-Authenticate is %q", ask)
	}
}

// client is one with a key of its own, for DPoP.
type client struct {
	key   *ecdsa.PrivateKey
	nonce string
}

func newClient(t testing.TB) *client {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &client{key: key}
}

func (c *client) jwk() jose.JSONWebKey { return jose.JSONWebKey{Key: &c.key.PublicKey} }

// bound are the claims of a token that is bound to the client's key.
func (c *client) bound() map[string]any {
	jwk := c.jwk()
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		panic(err)
	}
	return map[string]any{"cnf": map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(sum)}}
}

// proof makes a proof for a token, with other or more claims.
func (c *client) proof(t testing.TB, token string, more map[string]any) string {
	sum := sha256.Sum256([]byte(token))
	claims := map[string]any{"jti": rand.Text(), "htm": "POST", "htu": resource, "iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:])}
	if c.nonce != "" {
		claims["nonce"] = c.nonce
	}
	maps.Copy(claims, more)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return sign(t, jose.ES256, c.key, map[string]any{"typ": "dpop+jwt", "jwk": c.jwk()}, claims)
}

func opaque(i Issuer) Issuer {
	i.Introspection = &Introspection{ClientID: "exeat", Secret: func() string { return "s:cret" }}
	return i
}

// contextThatEnds ends by itself: what waits for it ends too, or the test hangs.
func contextThatEnds(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 50*time.Millisecond)
}
