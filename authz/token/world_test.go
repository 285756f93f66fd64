package token

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	testIssuer   = "https://exeat.example"
	testAudience = "https://petstore.example/"
)

// testStart is the time in tests that do not say another.
var testStart = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is a gateway, a guard and an API that talk over loopback.
type world struct {
	t         testing.TB
	clock     atomic.Int64 // Unix nanoseconds
	keys      *Keys
	signed    *Signed
	verifier  *Verifier
	spent     *spentIDs
	pins      memoryPins
	jwksReads atomic.Int64
	api       *httptest.Server
	guard     *httptest.Server

	mu   sync.Mutex
	seen []seen   // by the API
	told *Refusal // to the operator, of the last request
}

// seen is a request that reached the API.
type seen struct {
	Method, Target, Host, Body string
	Header                     http.Header
}

func newWorld(t testing.TB, alg string, configure ...func(*Guard)) *world {
	t.Helper()
	w := &world{t: t, spent: &spentIDs{until: map[string]time.Time{}}}
	w.clock.Store(testStart.UnixNano())
	var err error
	if w.keys, err = OpenKeys(filepath.Join(t.TempDir(), "keys"), alg); err != nil {
		t.Fatal(err)
	}
	jwks := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.jwksReads.Add(1)
		set, err := w.keys.JWKS(w.now())
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
		}
		rw.Write(set)
	}))
	t.Cleanup(jwks.Close)
	w.enroll(false)
	source, err := NewPinnedSource(t.Context(), jwks.URL, w.pins.pins())
	if err != nil {
		t.Fatal(err)
	}
	source.now = w.now
	w.signed = &Signed{Issuer: testIssuer, Keys: w.keys, Now: w.now}
	w.verifier = &Verifier{Issuer: testIssuer, Audience: testAudience, Keys: source, Spend: w.spent.spend, BodyLimit: 64 << 10, Now: w.now}
	w.api = httptest.NewServer(http.HandlerFunc(w.serveAPI))
	t.Cleanup(w.api.Close)
	g := &Guard{Verifier: w.verifier, Upstream: w.api.URL, OnDecision: w.tell, OnFailure: w.tell}
	for _, f := range configure {
		f(g)
	}
	h, err := g.Handler()
	if err != nil {
		t.Fatal(err)
	}
	w.guard = httptest.NewServer(h)
	t.Cleanup(w.guard.Close)
	return w
}

// memoryPins keeps enrolled keys.
type memoryPins struct {
	mu   sync.Mutex
	kept []byte
}

func (m *memoryPins) pins() Pins {
	return Pins{
		Load: func(context.Context) ([]byte, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return bytes.Clone(m.kept), nil
		},
		Replace: func(_ context.Context, last, next []byte) (bool, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if !bytes.Equal(m.kept, last) {
				return false, nil
			}
			m.kept = bytes.Clone(next)
			return true, nil
		},
	}
}

// enroll pins the keys that the issuer has now.
func (w *world) enroll(replace bool) {
	w.t.Helper()
	set, err := w.keys.JWKS(w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := Enroll(context.Background(), w.pins.pins(), set, replace, w.now()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) now() time.Time { return time.Unix(0, w.clock.Load()).UTC() }

func (w *world) pass(d time.Duration) { w.clock.Add(int64(d)) }

func (w *world) serveAPI(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, seen{r.Method, r.RequestURI, r.Host, string(body), r.Header.Clone()})
	rw.Header().Set("X-Api", "yes")
	rw.WriteHeader(http.StatusTeapot)
	io.WriteString(rw, "short and stout")
}

// tell is told of what the guard decides, and of what the API does then.
func (w *world) tell(_ *http.Request, _ *Claims, refused *Refusal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = refused
}

// taken returns what reached the API, and forgets it.
func (w *world) taken() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.seen
	w.seen = nil
	return s
}

// testCall is the call that most tests start from.
func testCall(change ...func(*testRequest)) Call {
	q := newTestRequest()
	for _, f := range change {
		f(q)
	}
	return q.call()
}

// testRequest is a request as bytes on a connection.
type testRequest struct {
	method, target string
	lines          []string // header lines, without Content-Type and Content-Length
	contentType    string
	body           string
}

func newTestRequest() *testRequest {
	return &testRequest{
		method: "PUT", target: "/pets/42?force=true&tag=a", contentType: "application/json", body: `{"name":"Rex"}`,
		lines: []string{`If-Match: "v1"`},
	}
}

func (q *testRequest) header() http.Header {
	h := http.Header{}
	for _, line := range q.lines {
		for i := range line {
			if line[i] == ':' {
				h.Add(line[:i], line[i+2:])
				break
			}
		}
	}
	return h
}

func (q *testRequest) call() Call {
	effect := "write"
	switch q.method {
	case "GET", "HEAD", "OPTIONS":
		effect = "read"
	case "DELETE":
		effect = "delete"
	}
	return Call{
		Txn: "txn_1", Subject: "user:alice", Agent: "agent:claude/7", Audience: testAudience,
		Details:    Bind(testAudience, q.method, q.target, q.contentType, q.header(), []byte(q.body), "updatePet", "sha-256=:doc:"),
		DecisionID: "txn_1", PolicySet: "sha-256=:policies:", Effect: effect,
	}
}

// send writes q to the guard with the given further header lines.
func (w *world) send(q *testRequest, lines ...string) *http.Response {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.guard.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: petstore.example\r\n", q.method, q.target)
	for _, line := range append(q.lines, lines...) {
		fmt.Fprintf(conn, "%s\r\n", line)
	}
	if q.contentType != "" {
		fmt.Fprintf(conn, "Content-Type: %s\r\n", q.contentType)
	}
	fmt.Fprintf(conn, "Content-Length: %d\r\n\r\n%s", len(q.body), q.body)
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: q.method})
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res
}

// problem is the body of a refusal.
type problem struct {
	Type, Title, Detail string
	Status              int
}

func readProblem(t testing.TB, res *http.Response) problem {
	t.Helper()
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("status %d has content type %q, not problem+json", res.StatusCode, got)
	}
	var p problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

// mint mints a token for c.
func (w *world) mint(c Call) string {
	w.t.Helper()
	compact, _, err := w.signed.Mint(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return compact
}

// spentIDs is a SpendFunc in memory.
type spentIDs struct {
	mu    sync.Mutex
	until map[string]time.Time
	err   error
}

func (s *spentIDs) spend(_ context.Context, iss, jti string, exp time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false, s.err
	}
	key := iss + "\x00" + jti
	_, there := s.until[key]
	s.until[key] = exp
	return !there, nil
}

// b64 is base64url without padding.
func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// forge signs any header and payload with a private key of ours, by hand.
func forge(t testing.TB, private any, header, payload string) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	switch key := private.(type) {
	case ed25519.PrivateKey:
		return input + "." + b64(ed25519.Sign(key, []byte(input)))
	case *ecdsa.PrivateKey:
		sum := sha256.Sum256([]byte(input))
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		sig := make([]byte, 64)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		return input + "." + b64(sig)
	}
	t.Fatalf("cannot sign with a %T", private)
	return ""
}

// activeKey is the private half of the active key, and its kid.
func activeKey(t testing.TB, k *Keys) (private crypto.Signer, kid string) {
	t.Helper()
	r, err := k.load()
	if err != nil {
		t.Fatal(err)
	}
	return r.keys[0].JWK.Key.(crypto.Signer), r.keys[0].JWK.KeyID
}

// segments decodes the header and payload of a token.
func segments(t testing.TB, compact string) (header, payload string, signature []byte) {
	t.Helper()
	var parts [3][]byte
	n := 0
	for start, i := 0, 0; i <= len(compact); i++ {
		if i == len(compact) || compact[i] == '.' {
			b, err := base64.RawURLEncoding.DecodeString(compact[start:i])
			if err != nil || n == 3 {
				t.Fatalf("not a compact JWS: %s", compact)
			}
			parts[n] = b
			n, start = n+1, i+1
		}
	}
	return string(parts[0]), string(parts[1]), parts[2]
}
