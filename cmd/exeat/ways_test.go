package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/exeat/exeat/authz/refresh"
)

// proxyServer is a proxy that leads every name to one server, and wants a password.
type proxyServer struct {
	target, auth string

	mu    sync.Mutex
	asked []string
}

func (p *proxyServer) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.RequestURI)
	p.mu.Unlock()
	if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != p.auth {
		fmt.Fprint(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		return
	}
	up, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer up.Close()
	fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { io.Copy(up, in); up.Close() }()
	io.Copy(conn, up)
}

// startProxied serves, by TLS that far-ca.pem vouches for, what only the proxy at
// $PROXY, and at $TLS_PROXY by TLS, knows: the API h as api.far.test, and an authorization server as id.far.test.
func startProxied(e *testscript.Env, h http.Handler) {
	fatal := func(err error) {
		if err != nil {
			e.T().Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), DNSNames: []string{"api.far.test", "id.far.test", "other.far.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	fatal(err)
	fatal(os.WriteFile(filepath.Join(e.WorkDir, "far-ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "id.") {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token":"token-of-far","token_type":"Bearer","expires_in":60}`)
			return
		}
		h.ServeHTTP(w, r)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	e.Defer(srv.Close)
	p := &proxyServer{target: srv.Listener.Addr().String(), auth: "Basic " + base64.StdEncoding.EncodeToString([]byte("me:proxy-s3cret"))}
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"PROXY":     func(l net.Listener) net.Listener { return l },
		"TLS_PROXY": func(l net.Listener) net.Listener { return tls.NewListener(l, srv.TLS) },
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		fatal(err)
		e.Setenv(name, l.Addr().String())
		l = wrap(l)
		e.Defer(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go p.serve(conn)
			}
		}()
	}
	e.Values["proxy"] = p
}

// asked PATTERN...: the proxy was asked just this since the last look.
func asked(ts *testscript.TestScript, neg bool, args []string) {
	p := ts.Value("proxy").(*proxyServer)
	p.mu.Lock()
	defer p.mu.Unlock()
	got := strings.Join(p.asked, ", ")
	p.asked = nil
	if (got == strings.Join(args, ", ")) == neg {
		ts.Fatalf("the proxy was asked %q", got)
	}
}

// newAuthority writes the certificate of a server at 127.0.0.1 to a file, and returns
// what serves with it.
func newAuthority(t *testing.T, file string, until time.Time) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// A file of authorities is read again when it changes, and one that is broken leaves
// those from before.
func TestAuthoritiesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	first, second := newAuthority(t, ca, time.Now().Add(time.Hour)), newAuthority(t, filepath.Join(dir, "next.pem"), time.Now().Add(time.Hour))
	var told []error
	now := time.Now()
	kept, err := refresh.NewFiles([]string{ca}, func() time.Time { return now }, func(err error) { told = append(told, err) }, tlsFiles{ca: ca}.read)
	if err != nil {
		t.Fatal(err)
	}
	believes := func(c *tls.Config) bool {
		leaf, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		_, err = leaf.Verify(x509.VerifyOptions{Roots: kept.Get().RootCAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err == nil
	}
	if !believes(first) || believes(second) {
		t.Error("the first file is not believed alone")
	}
	change := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(ca, text, 0o600); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	change([]byte("-----BEGIN CERTIFICATE-----\nhalf"))
	if !believes(first) || len(told) != 1 || !strings.Contains(told[0].Error(), "holds no certificate in PEM") {
		t.Errorf("a half written file: %v", told)
	}
	next, err := os.ReadFile(filepath.Join(dir, "next.pem"))
	if err != nil {
		t.Fatal(err)
	}
	change(next)
	if !believes(second) || believes(first) {
		t.Error("the new file is not believed, or the first is still")
	}
}

// What is wrong with files of TLS is told with the key that names them.
func TestTLSFilesRefused(t *testing.T) {
	dir := t.TempDir()
	empty, key := filepath.Join(dir, "empty.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		files tlsFiles
		want  string
	}{
		{tlsFiles{ca: empty}, "ca: " + empty + " holds no certificate in PEM"},
		{tlsFiles{ca: key}, "holds a private key; only certificates belong there"},
		{tlsFiles{ca: filepath.Join(dir, "none")}, "ca: open"},
		{tlsFiles{cert: empty}, "client_certificate: give both files"},
		{tlsFiles{cert: empty, key: key}, "client_certificate: "},
	} {
		if _, err := tt.files.watch(nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.files, err)
		}
	}
}

// The end of a certificate stops all calls, so doctor speaks of it before.
func TestDoctorOfCertificates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	for left, want := range map[time.Duration]string{-time.Hour: "WRONG", 48 * time.Hour: "note ", 60 * 24 * time.Hour: "ok "} {
		newAuthority(t, file, time.Now().Add(left))
		var out strings.Builder
		d := doctor{w: &out}
		d.tlsFiles("shop.yaml", tlsFiles{ca: file})
		if !strings.HasPrefix(out.String(), want) || !strings.Contains(out.String(), "credentials: shop.yaml: "+file) {
			t.Errorf("%s left: %s", left, out.String())
		}
	}
}
