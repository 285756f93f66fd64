package token

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestKeyFlood sends tokens with random key ids: the issuer must not be asked
// for each, and must be asked again later.
func TestKeyFlood(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.accepted(t, newTestRequest(), w.mint(testCall()))
	if got := w.jwksReads.Load(); got != 1 {
		t.Fatalf("the first token read the keys %d times", got)
	}
	private, kid := activeKey(t, w.keys)
	header, payload, _ := segments(t, w.mint(testCall()))
	unknown := func(id string) string {
		return "Bearer " + forge(t, private, strings.Replace(header, kid, id, 1), payload)
	}
	w.pass(refreshEvery)
	for range 50 {
		w.refused(t, newTestRequest(), http.StatusUnauthorized, "unknown_kid", unknown(rand.Text()))
	}
	if got := w.jwksReads.Load(); got != 2 {
		t.Errorf("50 unknown keys read the keys %d times more, want 1", got-1)
	}
	w.pass(refreshEvery)
	w.refused(t, newTestRequest(), http.StatusUnauthorized, "unknown_kid", unknown("nobody"))
	w.pass(refreshEvery)
	w.refused(t, newTestRequest(), http.StatusUnauthorized, "unknown_kid", unknown("nobody"))
	if got := w.jwksReads.Load(); got != 3 {
		t.Errorf("a key id that was not found is asked for again: %d reads, want 3", got)
	}
}

func TestKeyFloodInParallel(t *testing.T) {
	w := newWorld(t, "EdDSA")
	compact := make([]string, 16)
	for i := range compact {
		compact[i] = w.mint(testCall())
	}
	var wg sync.WaitGroup
	for _, c := range compact {
		wg.Go(func() {
			if res := w.send(newTestRequest(), "Authorization: Bearer "+c); res.StatusCode != http.StatusTeapot {
				t.Errorf("status %d", res.StatusCode)
			}
		})
	}
	wg.Wait()
	if got := w.jwksReads.Load(); got != 1 {
		t.Errorf("the first tokens read the keys %d times, want 1", got)
	}
}

// TestRotationAtTheGuard follows a token through the rotation of its key.
func TestRotationAtTheGuard(t *testing.T) {
	w := newWorld(t, "EdDSA")
	first := w.mint(testCall())
	w.accepted(t, newTestRequest(), w.mint(testCall())) // the guard reads active and next
	if err := w.keys.Rotate(w.now()); err != nil {
		t.Fatal(err)
	}
	w.accepted(t, newTestRequest(), w.mint(testCall())) // signed by what was next
	w.accepted(t, newTestRequest(), first)              // signed by the retired key
	if got := w.jwksReads.Load(); got != 1 {
		t.Errorf("a rotation cost the guard %d reads", got-1)
	}
	// After a second rotation the guard does not know the active key: one read,
	// as soon as ten seconds have gone since the last.
	if err := w.keys.Rotate(w.now()); err != nil {
		t.Fatal(err)
	}
	early := w.mint(testCall())
	w.refused(t, newTestRequest(), http.StatusUnauthorized, "unknown_kid", "Bearer "+early)
	w.pass(refreshEvery)
	w.accepted(t, newTestRequest(), early)
	if got := w.jwksReads.Load(); got != 2 {
		t.Errorf("an unknown active key took %d reads, want 1", got-1)
	}
}

// TestRemovedKey takes a key out of the set: after five minutes the guard must
// have noticed.
func TestRemovedKey(t *testing.T) {
	w := newWorld(t, "EdDSA")
	old, kid := activeKey(t, w.keys)
	w.accepted(t, newTestRequest(), w.mint(testCall()))
	if err := w.keys.Rotate(w.now()); err != nil {
		t.Fatal(err)
	}
	w.pass(refreshAfter + time.Second)
	header, payload, _ := segments(t, w.mint(testCall()))
	h := strings.Replace(header, kidOf(t, header), kid, 1)
	w.refused(t, newTestRequest(), http.StatusUnauthorized, "unknown_kid", "Bearer "+forge(t, old, h, payload))
}

func kidOf(t testing.TB, header string) string {
	t.Helper()
	var h struct{ Kid string }
	if err := json.Unmarshal([]byte(header), &h); err != nil {
		t.Fatal(err)
	}
	return h.Kid
}

// TestIssuerDown lets the JWKS fail: known keys hold for fifteen minutes, and
// then nothing does.
func TestIssuerDown(t *testing.T) {
	w := newWorld(t, "EdDSA")
	down := errors.New("down")
	works := w.verifier.Keys.read
	fails := func(context.Context) ([]byte, error) { return nil, down }

	w.verifier.Keys.read = fails
	w.refused(t, newTestRequest(), http.StatusServiceUnavailable, "keys_unavailable", "Bearer "+w.mint(testCall()))
	w.verifier.Keys.read = works
	w.refused(t, newTestRequest(), http.StatusServiceUnavailable, "keys_unavailable", "Bearer "+w.mint(testCall())) // too soon
	w.pass(firstEvery)
	w.accepted(t, newTestRequest(), w.mint(testCall()))

	w.verifier.Keys.read = fails
	w.pass(refreshAfter + time.Second)
	w.accepted(t, newTestRequest(), w.mint(testCall()))
	private, kid := activeKey(t, w.keys)
	header, payload, _ := segments(t, w.mint(testCall()))
	for range 2 { // the second time without asking: what is not known stays so
		w.refused(t, newTestRequest(), http.StatusServiceUnavailable, "keys_unavailable", "Bearer "+forge(t, private, strings.Replace(header, kid, "new", 1), payload))
		if !errors.Is(w.told.Cause, down) {
			t.Errorf("the operator is told that the keys cannot be read because of %v", w.told.Cause)
		}
	}
	if len(w.verifier.Keys.unknown) != 0 {
		t.Error("a key id is remembered as unknown although the keys could not be read")
	}
	w.pass(refuseAfter - refreshAfter)
	w.refused(t, newTestRequest(), http.StatusServiceUnavailable, "keys_unavailable", "Bearer "+w.mint(testCall()))
	w.verifier.Keys.read = works
	w.pass(refreshEvery)
	w.accepted(t, newTestRequest(), w.mint(testCall()))
}

// TestIssuerMisbehaves puts a server of keys behind the guard that does not
// answer, never ends, or talks nonsense, and then mends it.
func TestIssuerMisbehaves(t *testing.T) {
	endless := func(rw http.ResponseWriter, r *http.Request) {
		for {
			if _, err := rw.Write(bytes.Repeat([]byte(" "), 1<<16)); err != nil {
				return
			}
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"silent":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"endless":  endless,
		"garbage":  func(rw http.ResponseWriter, _ *http.Request) { rw.Write([]byte("\x00\xff{")) },
		"HTML":     func(rw http.ResponseWriter, _ *http.Request) { rw.Write([]byte("<html>")) },
		"500":      func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) },
		"redirect": func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/", http.StatusFound) },
		"cut short": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "9")
			rw.Write([]byte("{"))
		},
		"another type": func(rw http.ResponseWriter, _ *http.Request) { rw.Write([]byte(`{"keys":{}}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "EdDSA")
			works := w.verifier.Keys.read
			bad := httptest.NewServer(h)
			defer bad.Close()
			source, err := NewPinnedSource(t.Context(), bad.URL, w.pins.pins())
			if err != nil {
				t.Fatal(err)
			}
			w.verifier.Keys.read = source.read
			if name == "silent" {
				w.verifier.Keys.timeout = 50 * time.Millisecond
			}
			w.refused(t, newTestRequest(), http.StatusServiceUnavailable, "keys_unavailable", "Bearer "+w.mint(testCall()))
			if w.told.Cause == nil {
				t.Error("the operator is not told why")
			}
			w.verifier.Keys.read = works
			w.pass(firstEvery)
			w.accepted(t, newTestRequest(), w.mint(testCall()))
		})
	}
}

func TestKeySourceContext(t *testing.T) {
	w := newWorld(t, "EdDSA")
	release := make(chan struct{})
	defer close(release)
	w.verifier.Keys.read = func(context.Context) ([]byte, error) { <-release; return nil, errors.New("late") }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.verifier.Keys.key(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("a request that was given up waits for keys: %v", err)
	}
}

func TestUnknownIsBounded(t *testing.T) {
	s := &KeySource{now: time.Now, unknown: map[string]time.Time{}}
	for i := range 5 * maxUnknown {
		s.remember(fmt.Sprint(i))
	}
	if len(s.unknown) > maxUnknown {
		t.Errorf("%d unknown key ids are remembered", len(s.unknown))
	}
}

func TestKeySourceFile(t *testing.T) {
	w := newWorld(t, "ES256")
	path := filepath.Join(t.TempDir(), "jwks.json")
	set, err := w.keys.JWKS(w.now())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, set, 0o644); err != nil {
		t.Fatal(err)
	}
	source, err := NewKeySource(path)
	if err != nil {
		t.Fatal(err)
	}
	_, kid := activeKey(t, w.keys)
	if _, err := source.key(t.Context(), kid); err != nil {
		t.Error(err)
	}
	if _, err := source.key(t.Context(), "nobody"); !errors.Is(err, errUnknownKey) {
		t.Errorf("an unknown key: %v", err)
	}
}

func TestNewKeySourceRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"empty": "", "array": "[]", "no keys": "{}", "large": `{"keys":[]}` + strings.Repeat(" ", maxKeyFile),
		"twice": `{"keys":[` + strings.Repeat(`{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},`, 2) + `{"kty":"x"}]}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := NewKeySource(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, location := range []string{
		filepath.Join(dir, "missing"), "http://exeat.example/jwks", "http://10.0.0.1/", "http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:80/", "ftp://127.0.0.1/", "https://user:pw@x/", "https://x/#y", "https://", "://", "http://localhost.example/",
	} {
		if _, err := NewKeySource(location); err == nil {
			t.Errorf("%s is taken as a place of keys", location)
		}
	}
	if _, err := NewKeySource("https://exeat.example/jwks"); err != nil {
		t.Error(err)
	}
	pins := newWorld(t, "EdDSA").pins.pins()
	for _, location := range []string{"https://exeat.example/jwks", "http://localhost:1/", "http://127.0.0.9/", "http://[::1]:80/x?y=z"} {
		if _, err := NewPinnedSource(t.Context(), location, pins); err != nil {
			t.Errorf("%s: %v", location, err)
		}
	}
}

func TestKeySourceURLAnswers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"404":      http.NotFound,
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"large":    func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, maxKeyFile+1)) },
		"HTML":     func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) },
		"hangs up": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(h)
			defer srv.Close()
			s, err := NewPinnedSource(t.Context(), srv.URL, newWorld(t, "EdDSA").pins.pins())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.key(t.Context(), "a"); err == nil || errors.Is(err, errUnknownKey) {
				t.Errorf("got %v, want an error that says the keys cannot be read", err)
			}
		})
	}
}

// TestUsable holds keys of the wrong kind against the set.
func TestUsable(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: &p256.PublicKey, KeyID: "good", Algorithm: "ES256", Use: "sig"},
		{Key: &p256.PublicKey, KeyID: "other-alg", Algorithm: "EdDSA", Use: "sig"},
		{Key: &p256.PublicKey, KeyID: "no-alg", Use: "sig"},
		{Key: &p256.PublicKey, KeyID: "no-use", Algorithm: "ES256"},
		{Key: &p256.PublicKey, KeyID: "enc", Algorithm: "ES256", Use: "enc"},
		{Key: &p256.PublicKey, KeyID: "bad/kid", Algorithm: "ES256", Use: "sig"},
		{Key: &p256.PublicKey, KeyID: "", Algorithm: "ES256", Use: "sig"},
		{Key: &p384.PublicKey, KeyID: "p384", Algorithm: "ES256", Use: "sig"},
		{Key: &rsaKey.PublicKey, KeyID: "rsa", Algorithm: "RS256", Use: "sig"},
		{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "oct", Algorithm: "HS256", Use: "sig"},
		{Key: p256, KeyID: "private", Algorithm: "ES256", Use: "sig"},
	}}
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	_, keys, err := parseKeyDocument(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, good := keys["good"]; len(keys) != 1 || !good {
		t.Errorf("usable keys are %v, want good alone", keys)
	}
	if err := usable(jose.JSONWebKey{KeyID: "x", Use: "sig"}); err == nil {
		t.Error("a key without a key is usable")
	}
}
