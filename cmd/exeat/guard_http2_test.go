package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// encrypted is a guard that speaks TLS on both sides, each with HTTP/2.
type encrypted struct {
	*guarded
	client *http.Transport
	dir    string

	mu   sync.Mutex
	came []string // to the API: protocol, method, target, key, bytes, and what was wrong with them
	done chan struct{}
}

func newEncrypted(t *testing.T, flags ...string) *encrypted {
	t.Helper()
	s := &encrypted{dir: t.TempDir(), done: make(chan struct{}, 64)}
	newCertificate(t, s.dir, time.Now().Add(90*24*time.Hour))
	pair, err := tls.LoadX509KeyPair(filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "cert.key"))
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		wrong := ""
		if err != nil {
			wrong = " broken off"
		}
		if len(r.TLS.PeerCertificates) > 0 {
			wrong += " with a certificate"
		}
		s.mu.Lock()
		s.came = append(s.came, fmt.Sprintf("%s %s %s %s %d%s", r.Proto, r.Method, r.RequestURI, r.Header.Get("Authorization"), n, wrong))
		s.mu.Unlock()
		s.done <- struct{}{}
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "short")
		w.Header().Set("X-Sum", "5")
	}))
	api.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	api.EnableHTTP2 = true
	api.StartTLS()
	t.Cleanup(api.Close)
	cert := filepath.Join(s.dir, "cert.pem")
	for i := range flags {
		if flags[i] == "ca.pem" { // that of the API
			flags[i] = cert
		}
	}
	s.guarded = newGuarded(t, append([]string{"--tls-cert", cert, "--tls-key", filepath.Join(s.dir, "cert.key"), "--upstream", api.URL}, flags...)...)
	s.client = trusting(t, "127.0.0.1", readCertificate(t, cert))
	s.client.ForceAttemptHTTP2 = true
	return s
}

// post sends a body by HTTP/2, and returns the status and the code of a refusal.
func (s *encrypted) post(target, compact, body string, change ...func(*http.Request)) string {
	s.t.Helper()
	r, err := http.NewRequest("POST", "https://"+s.addr, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Authorization", "Bearer "+compact)
	for _, f := range change {
		f(r)
	}
	res, err := s.client.RoundTrip(r)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.Proto != "HTTP/2.0" {
		s.t.Errorf("the guard answers by %s: %v", res.Proto, err)
	}
	var p struct{ Type string }
	if json.Unmarshal(b, &p) == nil && p.Type != "" {
		return fmt.Sprint(res.StatusCode, " ", strings.TrimPrefix(p.Type, "urn:exeat:guard:"))
	}
	return fmt.Sprint(res.StatusCode, " ", string(b), " ", res.Trailer.Get("X-Sum"))
}

// arrived is what came to the API since the last time.
func (s *encrypted) arrived() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	came := s.came
	s.came = nil
	return came
}

// TestGuardHTTP2 speaks HTTP/2 with the guard, and the guard with the API.
func TestGuardHTTP2(t *testing.T) {
	dir := t.TempDir()
	newCertificate(t, dir, time.Now().Add(90*24*time.Hour))
	s := newEncrypted(t, "--upstream-ca", "ca.pem", "--upstream-cert", filepath.Join(dir, "cert.pem"), "--upstream-key", filepath.Join(dir, "cert.key"), "--bodies", "stream", "--body-limit", "4194304")
	mint := func(body string) string { return s.token("POST", "/pets?a=1", "text/plain", body) }
	if got := s.post("/pets?a=1", mint("hello"), "hello"); got != "418 short 5" {
		t.Errorf("a request: %s", got)
	}
	if diff := cmp.Diff([]string{"HTTP/2.0 POST /pets?a=1 Bearer real-key 5 with a certificate"}, s.arrived()); diff != "" {
		t.Errorf("what the API saw (-want +got):\n%s", diff)
	}
	for name, c := range map[string]struct {
		target, body string
		change       func(*http.Request)
		want         string
	}{
		"another path":    {"/pets/1", "hello", nil, "403 wrong_target"},
		"two slashes":     {"//pets?a=1", "hello", nil, "403 wrong_target"},
		"a line's end":    {"/pets?a=1 HTTP/1.1", "hello", nil, "400 bad_target"},
		"another body":    {"/pets?a=1", "world", nil, "403 wrong_digest"},
		"two tokens":      {"/pets?a=1", "hello", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, "401 many_tokens"},
		"trailers":        {"/pets?a=1", "hello", func(r *http.Request) { r.Trailer = http.Header{"X-Sum": {"1"}}; r.ContentLength = -1 }, "400 trailers"},
		"an override":     {"/pets?a=1", "hello", func(r *http.Request) { r.Header.Set("X-HTTP-Method-Override", "DELETE") }, "400 override_header"},
		"TRACE":           {"/pets?a=1", "", func(r *http.Request) { r.Method = "TRACE" }, "400 bad_method"},
		"a smaller limit": {"/pets?a=1", strings.Repeat("x", 4<<20+1), nil, "413 body_too_large"},
	} {
		change := c.change
		if change == nil {
			change = func(*http.Request) {}
		}
		if got := s.post(c.target, mint("hello"), c.body, change); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if came := s.arrived(); len(came) != 0 {
		t.Errorf("the API saw %q", came)
	}
	// A stream that is another body is reset before its end.
	for len(s.done) > 0 {
		<-s.done
	}
	big := strings.Repeat("x", 2<<20)
	if got := s.post("/pets?a=1", mint(big), big[1:]+"y"); got != "403 wrong_digest" {
		t.Errorf("another large body: %s", got)
	}
	<-s.done
	if came := s.arrived(); len(came) != 1 || !strings.HasSuffix(came[0], " broken off with a certificate") {
		t.Errorf("another large body: the API saw %q", came)
	}
	if got := s.post("/pets?a=1", mint(big), big); got != "418 short 5" {
		t.Errorf("a large body: %s", got)
	}
	s.arrived()
	// One token over one connection, 32 times at once.
	compact := mint("hello")
	passed := make(chan string, 32)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() { passed <- s.post("/pets?a=1", compact, "hello") })
	}
	all.Wait()
	close(passed)
	count := map[string]int{}
	for got := range passed {
		count[got]++
	}
	if diff := cmp.Diff(map[string]int{"418 short 5": 1, "401 spent": 31}, count); diff != "" || len(s.arrived()) != 1 {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// TestGuardUpstreamTLS does not believe an API by the authorities of somebody else.
func TestGuardUpstreamTLS(t *testing.T) {
	s := newEncrypted(t)
	if got := s.post("/pets", s.token("POST", "/pets", "text/plain", "hello"), "hello"); got != "502 upstream_failed" || len(s.arrived()) != 0 {
		t.Errorf("an API that nobody vouches for: %s", got)
	}
	if !strings.Contains(s.text(), "certificate signed by unknown authority") {
		t.Errorf("the log does not say why: %s", s.text())
	}
	other := t.TempDir()
	newCertificate(t, other, time.Now().Add(90*24*time.Hour))
	text, err := os.ReadFile(filepath.Join(other, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	ca := filepath.Join(s.dir, "ca.pem")
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = append(s.args, "--upstream-ca", ca)
	s.start()
	if got := s.post("/pets", s.token("POST", "/pets", "text/plain", "hello"), "hello"); got != "502 upstream_failed" || len(s.arrived()) != 0 {
		t.Errorf("another authority's API: %s", got)
	}
}
