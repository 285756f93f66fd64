package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/examples/petstore"
)

// newCertificate writes cert.pem and cert.key for the addresses of loopback, good
// until end.
func newCertificate(t *testing.T, dir string, end time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, NotBefore: end.Add(-100 * 24 * time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"exeat.localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "cert.key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// trusting believes all certificates in PEM files, and calls from one address.
func trusting(t *testing.T, ip string, certs ...*x509.Certificate) *http.Transport {
	t.Helper()
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DialContext: dialer.DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func readCertificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// freePort is one that nothing listens at just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// startConfig runs `exeat http` on the pet shop's document with more of a
// configuration, which is in dir. It returns the login link, too.
func startConfig(t *testing.T, dir, more string) (*serving, string) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", dir)
	file := filepath.Join(dir, "exeat.yaml")
	for name, text := range map[string]string{"petstore.yaml": string(petstore.Document), "exeat.yaml": "apis: [{spec: petstore.yaml, base_url: 'http://127.0.0.1:1'}]\nuser: alice\n" + more} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	printed := &watched{want: regexp.MustCompile(`(?s)log in once, as alice, with (\S+).*MCP at (\S+) with a bearer token, kept in (\S+)/bearer\.secret`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"http", "--config", file}, strings.NewReader(""), printed, printed)
	}()
	end := sync.OnceValue(func() int { cancel(); return <-ended })
	select {
	case m := <-printed.found:
		t.Cleanup(func() { end() })
		return &serving{printed: printed, end: end, url: m[2], auth: bearerIn(t, m[3])}, m[1]
	case code := <-ended:
		cancel()
		t.Fatalf("ended with %d: %s", code, printed.text.String())
		return nil, ""
	}
}

// listTools is what an MCP client sees who calls over a transport.
func (s *serving) listTools(t *testing.T, over http.RoundTripper) (int, error) {
	t.Helper()
	c, err := client.NewStreamableHttpClient(s.url, transport.WithHTTPBasicClient(&http.Client{Transport: over}), transport.WithHTTPHeaders(map[string]string{"Authorization": s.auth}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = "2025-11-25"
	hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	if err := c.Start(t.Context()); err != nil {
		return 0, err
	}
	if _, err := c.Initialize(t.Context(), hello); err != nil {
		return 0, err
	}
	list, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil {
		return 0, err
	}
	return len(list.Tools), nil
}

// fetch is one request, and what came of it.
func fetch(t *testing.T, over http.RoundTripper, method, target string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if r.Header.Add(name, value); name == "Host" {
			r.Host = value
		}
	}
	res, err := over.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// loginTo logs in to an inbox as a browser does, and returns the cookie.
func loginTo(t *testing.T, over http.RoundTripper, link string) *http.Cookie {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var set *http.Cookie
	c := &http.Client{Transport: over, Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Scheme != u.Scheme || r.URL.Host != u.Host {
			t.Errorf("a redirect leads to %s", r.URL)
		}
		for _, cookie := range r.Response.Cookies() {
			set = cookie
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(t.Context(), "POST", u.Scheme+"://"+u.Host+"/login", strings.NewReader(url.Values{"code": {u.Query().Get("code")}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", u.Scheme+"://"+u.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || res.Request.URL.Path != "/" || !strings.Contains(string(page), "alice") {
		t.Fatalf("%s %s: %v", res.Status, res.Request.URL, err)
	}
	return set
}

// newProxy is a reverse proxy with TLS that sends on from 127.0.0.2, as proxies do.
func newProxy(t *testing.T, to string) *httptest.Server {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: to}
	srv := httptest.NewTLSServer(&httputil.ReverseProxy{Transport: trusting(t, "127.0.0.2"), Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host
		p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
		p.SetXForwarded()
	}})
	t.Cleanup(srv.Close)
	return srv
}

// TestBehindAProxy has MCP, under a path prefix, and the inbox behind proxies that
// speak TLS, and somebody who is none. Both listen beyond loopback, without TLS.
func TestBehindAProxy(t *testing.T) {
	mcpPort, inboxPort := freePort(t), freePort(t)
	mcpProxy, inboxProxy := newProxy(t, "127.0.0.1:"+mcpPort), newProxy(t, "127.0.0.1:"+inboxPort)
	s, link := startConfig(t, t.TempDir(), fmt.Sprintf(`
listen: 0.0.0.0:%s
public_url: %s/agents/
proxies: [127.0.0.2]
inbox: {listen: '0.0.0.0:%s', url: '%s/', proxies: [127.0.0.2]}
`, mcpPort, mcpProxy.URL, inboxPort, inboxProxy.URL))
	if s.url != mcpProxy.URL+"/agents/mcp" {
		t.Error(s.url)
	}
	people := trusting(t, "127.0.0.1", mcpProxy.Certificate(), inboxProxy.Certificate())
	if n, err := s.listTools(t, people); n == 0 || err != nil {
		t.Errorf("%d tools: %v", n, err)
	}
	cookie := loginTo(t, people, link)
	if cookie == nil || cookie.Name != "__Host-exeat_inbox" || !cookie.Secure || cookie.Path != "/" || cookie.Domain != "" {
		t.Errorf("%+v", cookie)
	}
	impostor := trusting(t, "127.0.0.3")
	for _, at := range []struct{ what, target, host string }{
		{"MCP", "http://127.0.0.1:" + mcpPort + "/mcp", strings.TrimPrefix(mcpProxy.URL, "https://")},
		{"the inbox", "http://127.0.0.1:" + inboxPort + "/login", strings.TrimPrefix(inboxProxy.URL, "https://")},
	} {
		status, body := fetch(t, impostor, "GET", at.target, "Host: "+at.host, "Authorization: "+s.auth, "X-Forwarded-For: 127.0.0.2", "X-Forwarded-Proto: https")
		if status != 403 || !strings.Contains(body, "only the proxies") {
			t.Errorf("%s: %d %s", at.what, status, body)
		}
	}
	for _, target := range []string{"http://127.0.0.1:" + mcpPort, "http://127.0.0.1:" + inboxPort, mcpProxy.URL + "/agents", inboxProxy.URL} {
		for _, path := range []string{"/healthz", "/readyz"} {
			if status, body := fetch(t, people, "GET", target+path, "Host: 10.0.0.7:1"); status != 200 {
				t.Errorf("%s: %d %s", target+path, status, body)
			}
		}
	}
	if status, body := fetch(t, people, "GET", mcpProxy.URL+"/agents/.well-known/jwks.json"); status != 200 || !strings.Contains(body, `"keys"`) {
		t.Errorf("%d %s", status, body)
	}
	if code := s.end(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	if text := s.printed.text.String(); strings.Contains(text, "healthz") || strings.Contains(text, "readyz") {
		t.Errorf("probes are logged: %s", text)
	}
}

// TestTLSOfItsOwn has real files, a client of mcp-go, a browser at the inbox, and a
// certificate that is renewed meanwhile.
func TestTLSOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	newCertificate(t, dir, time.Now().Add(90*24*time.Hour))
	s, link := startConfig(t, dir, `
listen: 127.0.0.1:0
tls: {cert: cert.pem, key: cert.key}
inbox: {listen: '127.0.0.1:0', tls: {cert: cert.pem, key: cert.key}}
`)
	first := readCertificate(t, filepath.Join(dir, "cert.pem"))
	if !strings.HasPrefix(s.url, "https://127.0.0.1:") || !strings.HasPrefix(link, "https://127.0.0.1:") {
		t.Fatalf("%s %s", s.url, link)
	}
	if n, err := s.listTools(t, trusting(t, "127.0.0.1", first)); n == 0 || err != nil {
		t.Errorf("%d tools: %v", n, err)
	}
	if cookie := loginTo(t, trusting(t, "127.0.0.1", first), link); cookie == nil || !strings.HasPrefix(cookie.Name, "__Host-") {
		t.Errorf("%+v", cookie)
	}
	if status, body := fetch(t, trusting(t, "127.0.0.1"), "GET", strings.Replace(s.url, "https", "http", 1)); status != 400 {
		t.Errorf("plain HTTP: %d %s", status, body)
	}
	newCertificate(t, dir, time.Now().Add(90*24*time.Hour))
	second := readCertificate(t, filepath.Join(dir, "cert.pem"))
	host := strings.TrimSuffix(strings.TrimPrefix(s.url, "https://"), "/mcp")
	for end := time.Now().Add(time.Minute); ; {
		conn, err := tls.Dial("tcp", host, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		seen := conn.ConnectionState().PeerCertificates[0]
		conn.Close()
		if seen.Equal(second) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the new certificate is not used")
		}
	}
	if n, err := s.listTools(t, trusting(t, "127.0.0.1", second)); n == 0 || err != nil {
		t.Errorf("with the new certificate: %d tools: %v", n, err)
	}
}

// TestReadiness takes the database away under a running exeat.
func TestReadiness(t *testing.T) {
	dir := t.TempDir()
	s, _ := startConfig(t, dir, "listen: 127.0.0.1:0\ninbox: {listen: '127.0.0.1:0'}\n")
	origin := strings.TrimSuffix(s.url, "/mcp")
	over := trusting(t, "127.0.0.1")
	if status, body := fetch(t, over, "GET", origin+"/readyz"); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	for _, ending := range []string{"", "-wal", "-shm"} {
		os.Remove(filepath.Join(dir, "exeat", "exeat.db"+ending))
	}
	for end := time.Now().Add(time.Minute); ; {
		status, body := fetch(t, over, "GET", origin+"/readyz")
		if status == 503 {
			if body != `{"not_ready":["database"],"status":"not ready"}`+"\n" {
				t.Error(body)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is ready without a database")
		}
	}
	if status, _ := fetch(t, over, "GET", origin+"/healthz"); status != 200 {
		t.Error("it does not live")
	}
	s.end()
	if text := s.printed.text.String(); !strings.Contains(text, "not ready: database: ") {
		t.Errorf("the operator was not told: %s", text)
	}
}

// TestPlainBeyondLoopback is refused before anything is made, with the ways out.
func TestPlainBeyondLoopback(t *testing.T) {
	spec := petstoreFile(t)
	for _, args := range [][]string{{"http", spec, "--base-url", "http://127.0.0.1:1", "--listen", "0.0.0.0:0"},
		{"http", spec, "--base-url", "http://127.0.0.1:1", "--inbox-listen", "0.0.0.0:0"},
		{"stdio", spec, "--base-url", "http://127.0.0.1:1", "--inbox-listen", "0.0.0.0:0"},
		{"guard", "--upstream", "http://127.0.0.1:1", "--jwks", "https://127.0.0.1:1/.well-known/jwks.json", "--listen", "0.0.0.0:0"}} {
		var out strings.Builder
		code := execute(t.Context(), args, strings.NewReader(""), &out, &out)
		if code != 2 || !strings.Contains(out.String(), "is not a loopback address, and without TLS whoever is on the way reads every token: give ") || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%q: %d %s", args, code, &out)
		}
		if _, err := os.Stat(filepath.Join(os.Getenv("XDG_STATE_HOME"), "exeat", "keys")); err == nil {
			t.Errorf("%q made keys", args)
		}
	}
}

// TestGuardWithTLS has the guard's flags, its health, and an API with the same path.
func TestGuardWithTLS(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	newCertificate(t, dir, time.Now().Add(90*24*time.Hour))
	jwks := filepath.Join(dir, "jwks.json")
	var out strings.Builder
	if code := execute(t.Context(), []string{"keys", "jwks"}, strings.NewReader(""), &out, &out); code != 0 {
		t.Fatal(out.String())
	}
	if err := os.WriteFile(jwks, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	printed := &watched{want: regexp.MustCompile(`guard for \S+ at (https://127\.0\.0\.1:\d+); tokens of https://exeat\.example for (https://\S+)`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"guard", "--upstream", "http://127.0.0.1:1", "--jwks", jwks, "--issuer", "https://exeat.example", "--listen", "127.0.0.1:0",
			"--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "cert.key"), "--proxy", "127.0.0.2"}, strings.NewReader(""), printed, printed)
	}()
	var m []string
	select {
	case m = <-printed.found:
	case code := <-ended:
		t.Fatalf("ended with %d: %s", code, printed.text.String())
	}
	if m[1] != m[2] {
		t.Errorf("the audience is %s", m[2])
	}
	cert := readCertificate(t, filepath.Join(dir, "cert.pem"))
	over := trusting(t, "127.0.0.1", cert)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/pets": 401} {
		if status, body := fetch(t, over, "GET", m[1]+path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _ := fetch(t, over, "GET", m[1]+"/healthz", "Authorization: Bearer x"); status != 401 {
		t.Errorf("the API's own /healthz: %d", status)
	}
	fetch(t, trusting(t, "127.0.0.2", cert), "GET", m[1]+"/proxied", "X-Forwarded-For: 203.0.113.9")
	fetch(t, trusting(t, "127.0.0.3", cert), "GET", m[1]+"/spoofed", "X-Forwarded-For: 203.0.113.9")
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("ended with %d", code)
	}
	for _, line := range []string{`client=203.0.113.9 .*path=/proxied`, `client=127.0.0.3 .*path=/spoofed`} {
		if !regexp.MustCompile(line).MatchString(printed.text.String()) {
			t.Errorf("the log lacks %s: %s", line, printed.text.String())
		}
	}
}

// TestSystemd starts the program as a service manager does, with open sockets.
func TestSystemd(t *testing.T) {
	spec := petstoreFile(t)
	sockets := map[string]*net.TCPListener{}
	var files []*os.File
	for _, name := range []string{"inbox", "mcp"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		sockets[name] = l.(*net.TCPListener)
		f, err := sockets[name].File()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `LISTEN_PID=$$ exec exeat http "$1" --base-url http://127.0.0.1:1`, "sh", spec)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=inbox:mcp")
	cmd.ExtraFiles = files
	printed := &watched{want: regexp.MustCompile(`MCP at (\S+) with`), found: make(chan []string, 1)}
	cmd.Stdout, cmd.Stderr = printed, printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		f.Close()
	}
	for _, l := range sockets {
		l.Close()
	}
	var m []string
	select {
	case m = <-printed.found:
	case <-time.After(time.Minute):
		t.Fatal(printed.text.String())
	}
	if want := "http://" + sockets["mcp"].Addr().String() + "/mcp"; m[1] != want {
		t.Errorf("MCP is at %s, not at %s", m[1], want)
	}
	over := trusting(t, "127.0.0.1")
	for _, l := range sockets {
		if status, body := fetch(t, over, "GET", "http://"+l.Addr().String()+"/readyz"); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, printed.text.String())
	}
}

// TestDoctorOfEdges has what doctor says of certificates and proxies.
func TestDoctorOfEdges(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		end          time.Duration
		mode         os.FileMode
		want         []string
		wrong        bool
	}{
		{"good", "listen: 0.0.0.0:0\npublic_url: https://exeat.localhost\ntls: {cert: cert.pem, key: cert.key}", 90 * 24 * time.Hour, 0o600, []string{"ok    listen: .*cert.pem fits", "note  listen: the bearer token of the key folder is good from everywhere"}, false},
		{"ends soon", "listen: 0.0.0.0:0\npublic_url: https://exeat.localhost\ntls: {cert: cert.pem, key: cert.key}", 3*24*time.Hour + time.Hour, 0o600, []string{"WRONG listen: .*cert.pem: it ends in 3 days, on "}, true},
		{"another's", "inbox: {listen: '0.0.0.0:0', url: 'https://other.example', tls: {cert: cert.pem, key: cert.key}}", 90 * 24 * time.Hour, 0o600, []string{"WRONG inbox: .*valid for exeat.localhost, not other.example"}, true},
		{"a key for all", "tls: {cert: cert.pem, key: cert.key}", 90 * 24 * time.Hour, 0o644, []string{"WRONG listen: .*cert.key can be read by others"}, true},
		{"no file", "tls: {cert: none.pem, key: cert.key}", 90 * 24 * time.Hour, 0o600, []string{"WRONG listen: tls.cert, tls.key: .*none.pem"}, true},
		{"plain", "inbox: {listen: '0.0.0.0:0'}", 0, 0o600, []string{"WRONG inbox: 0.0.0.0:0 is not a loopback address"}, true},
		{"a plain url", "inbox: {url: 'http://inbox.example'}", 0, 0o600, []string{`WRONG inbox: inbox.url "http://inbox.example" is http, which shows every token`}, true},
		{"no proxies", "public_url: https://exeat.example", 0, 0o600, []string{"note  listen: public_url is https and there is no tls.cert: .*name it in proxies"}, false},
		{"many proxies", "public_url: https://exeat.example\nproxies: [10.0.0.0/8, 10.1.0.0/16]", 0, 0o600, []string{"note  listen: 10.0.0.0/8 are more than 65536 addresses"}, false},
		{"proxies of nothing", "proxies: [10.0.0.1]", 0, 0o600, []string{"WRONG listen: proxies names proxies, and no public_url"}, true},
		{"a page on a port", "origins: ['http://localhost:6274']", 0, 0o600, []string{"note  listen: pages at http://localhost:6274 may call MCP"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("XDG_STATE_HOME", dir)
			newCertificate(t, dir, time.Now().Add(tt.end))
			if err := os.Chmod(filepath.Join(dir, "cert.key"), tt.mode); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"petstore.yaml": string(petstore.Document), "exeat.yaml": "apis: [{spec: petstore.yaml, base_url: 'http://127.0.0.1:1'}]\nuser: alice\n" + tt.config} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			code := execute(t.Context(), []string{"doctor", "--config", filepath.Join(dir, "exeat.yaml")}, strings.NewReader(""), &out, &out)
			if (code == 1) != tt.wrong {
				t.Errorf("ended with %d", code)
			}
			for _, want := range tt.want {
				if !regexp.MustCompile(want).MatchString(out.String()) {
					t.Errorf("no %q: %s", want, &out)
				}
			}
			if strings.Contains(out.String(), "10.1.0.0/16 are") {
				t.Errorf("%s", &out)
			}
		})
	}
}
