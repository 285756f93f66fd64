package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// newImitated is a guard that a stand-in of a proxy asks, which is not here to run:
// ask makes the proxy's check of a request, to be sent to addr.
func newImitated(t *testing.T, ask func(r *http.Request, body []byte, addr string) *http.Request) *fronted {
	t.Helper()
	t.Setenv("GUARD_CHECK_SECRET", proxySecret)
	f := &fronted{guarded: newGuarded(t, "--check", "127.0.0.1:0", "--check-secret-env", "GUARD_CHECK_SECRET")}
	addr := regexp.MustCompile(`guard answers checks at (\S+);`).FindStringSubmatch(f.text())[1]
	api := f.args[2]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		asked, err := http.DefaultTransport.RoundTrip(ask(r, body, addr))
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer asked.Body.Close()
		if asked.StatusCode == http.StatusOK {
			out, err := http.NewRequest(r.Method, api, bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			out.URL.Path, out.URL.RawPath, out.URL.RawQuery = r.URL.Path, r.URL.RawPath, r.URL.RawQuery
			out.Header = r.Header.Clone()
			out.Header["Authorization"] = asked.Header["Authorization"]
			if asked, err = http.DefaultTransport.RoundTrip(out); err != nil {
				t.Error(err)
				return
			}
			defer asked.Body.Close()
		}
		w.Header().Set("Content-Type", asked.Header.Get("Content-Type"))
		w.WriteHeader(asked.StatusCode)
		io.Copy(w, asked.Body)
	}))
	t.Cleanup(proxy.Close)
	f.front = proxy.Listener.Addr().String()
	return f
}

// newCheck is a check with what the client sent, header by header as join makes one
// value of several.
func newCheck(t *testing.T, method, addr, target string, h http.Header, body []byte, join bool) *http.Request {
	q, err := http.NewRequest(method, "http://"+addr, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.URL.Opaque = target
	for name, values := range h {
		if name == "Content-Length" || name == "Connection" {
			continue
		}
		if join {
			values = []string{strings.Join(values, ",")}
		}
		q.Header[name] = values
	}
	q.Header.Set("X-Exeat-Check", proxySecret)
	return q
}

// TestEnvoyAsks sends what Envoy sends with examples/guard/envoy.yaml, as its source
// has it (ext_authz_http_impl.cc, check_request_utils.cc).
func TestEnvoyAsks(t *testing.T) {
	f := newImitated(t, func(r *http.Request, body []byte, addr string) *http.Request {
		q := newCheck(t, r.Method, addr, "/ext-authz"+r.RequestURI, r.Header, body, true)
		q.Header.Set("X-Envoy-Internal", "true")
		q.Header.Set("X-Forwarded-For", "127.0.0.1")
		q.Header.Set("X-Forwarded-Proto", "http")
		q.Header.Set("X-Envoy-Expected-Rq-Timeout-Ms", "10000")
		if len(body) > 0 {
			q.Header.Set("X-Envoy-Auth-Partial-Body", "false")
		}
		return q
	})
	f.targets()
	f.attacks("with the check")
	f.once()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "guard", "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, needed := range []string{"failure_mode_allow: false", "allow_partial_message: false", "path_prefix: /ext-authz", "x-exeat-check", "regex: '.*'", "normalize_path: false"} {
		if !strings.Contains(string(text), needed) {
			t.Errorf("envoy.yaml does not say %s", needed)
		}
	}
}

// TestTraefikAsks sends what Traefik's ForwardAuth sends with forwardBody.
func TestTraefikAsks(t *testing.T) {
	f := newImitated(t, func(r *http.Request, body []byte, addr string) *http.Request {
		q := newCheck(t, http.MethodGet, addr, "/forward-auth", r.Header, body, false)
		q.Header.Set("X-Forwarded-Method", r.Method)
		q.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
		q.Header.Set("X-Forwarded-Proto", "http")
		q.Header.Set("X-Forwarded-Host", r.Host)
		q.Header.Set("X-Forwarded-For", "127.0.0.1")
		return q
	})
	f.targets()
	f.attacks("with the check")
	f.once()
}

// TestCheckSocket asks through a socket, which a killed guard may have left behind.
func TestCheckSocket(t *testing.T) {
	t.Setenv("GUARD_CHECK_SECRET", proxySecret)
	dir, err := os.MkdirTemp("", "g") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "check.sock")
	g := newGuarded(t, "--check", "unix:"+path, "--check-secret-env", "GUARD_CHECK_SECRET")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	ask := func() string {
		r, err := http.NewRequest("GET", "http://guard/check", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Exeat-Check", proxySecret+" GET  /pets")
		r.Header.Set("Authorization", "Bearer "+g.token("GET", "/pets", "", ""))
		res, err := client.Do(r)
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		return fmt.Sprint(res.StatusCode)
	}
	if got := ask(); got != "200" {
		t.Errorf("through the socket: %s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket: %v %v", info, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("the folder holds %v", left)
	}
	if _, err := listenUnix(path); err == nil || !strings.Contains(err.Error(), "another program answers") {
		t.Errorf("a second guard: %v", err)
	}
	g.stop()
	g.start() // over what was left
	if got := ask(); got != "200" {
		t.Errorf("after a new start: %s", got)
	}
	plain := filepath.Join(dir, "file")
	if err := os.WriteFile(plain, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(plain); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("over a file: %v", err)
	}
}
