package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// newPair writes a certificate of its own for a host, and its key.
func newPair(t testing.TB, dir, host string) Files {
	t.Helper()
	return newPairUntil(t, dir, host, time.Now().Add(90*24*time.Hour))
}

func newPairUntil(t testing.TB, dir, host string, end time.Time) Files {
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
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f := Files{Cert: filepath.Join(dir, host+".pem"), Key: filepath.Join(dir, host+".key")}
	for name, block := range map[string]*pem.Block{f.Cert: {Type: "CERTIFICATE", Bytes: der}, f.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// leaf is the certificate of a configuration.
func leaf(t *testing.T, c *tls.Config) string {
	t.Helper()
	cert, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return cert.DNSNames[0] + cert.SerialNumber.String()
}

// TestReload replaces files under a clock of the test's own.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	files := newPair(t, dir, "a.example")
	var told []string
	now := time.Unix(1e9, 0)
	certs, err := newCertificates(Config{TLS: files, Name: func(s string) string { return s }, Trouble: func(err error) { told = append(told, err.Error()) }, now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	first := leaf(t, certs.kept.Get())
	second := newPair(t, t.TempDir(), "a.example")
	replace := func(to, from string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace(files.Cert, second.Cert)
	if got := leaf(t, certs.kept.Get()); got != first || len(told) != 0 {
		t.Errorf("the files were looked at again within a second: %q", told)
	}
	for range 3 { // the new certificate is there, its key is not yet
		now = now.Add(time.Second)
		if got := leaf(t, certs.kept.Get()); got != first || len(told) != 1 || !strings.Contains(told[0], "the certificate from before goes on") {
			t.Errorf("half of a pair: %q", told)
		}
	}
	replace(files.Key, second.Key)
	now = now.Add(time.Second)
	if got := leaf(t, certs.kept.Get()); got == first || len(told) != 1 {
		t.Errorf("the new pair is not used: %q", told)
	}
	kept := leaf(t, certs.kept.Get())
	if err := os.Remove(files.Cert); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if got := leaf(t, certs.kept.Get()); got != kept || len(told) != 2 {
		t.Errorf("a certificate that is gone: %q", told)
	}
}

// TestReloadWhileServing shakes hands before and after, on one listener.
func TestReloadWhileServing(t *testing.T) {
	dir := t.TempDir()
	files := newPair(t, dir, "127.0.0.1")
	var later atomic.Int64
	_, addr := reach(t, Config{TLS: files, now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
	serial := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	newPair(t, dir, "127.0.0.1")
	later.Store(int64(time.Minute))
	if second := serial(); second == first {
		t.Error("the certificate is still the first one")
	}
}

// TestTLS has what speaks TLS, and what does not.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	files := newPair(t, dir, "127.0.0.1")
	known, stranger := newPair(t, dir, "client.example"), newPair(t, dir, "stranger.example")
	files.ClientCA = known.Cert
	e, addr := reach(t, Config{TLS: files})
	if e.URL().String() != "https://"+addr {
		t.Error(e.URL())
	}
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(files.Cert)
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(pem)
	for _, tt := range []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"TLS 1.3", &tls.Config{}, true},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"a client's certificate", &tls.Config{Certificates: []tls.Certificate{load(t, known)}}, true},
		{"a stranger's certificate", &tls.Config{Certificates: []tls.Certificate{load(t, stranger)}}, false},
	} {
		tt.config.RootCAs = pool
		if len(tt.config.Certificates) > 0 { // whatever the server asks for
			pair := tt.config.Certificates[0]
			tt.config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: tt.config, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
		res, err := c.Get("https://" + addr + "/mcp")
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil {
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != 200 || res.ProtoMajor != 1 || strings.Contains(string(body), "certificate=client.example") != (len(tt.config.Certificates) > 0) {
				t.Errorf("%s: %s %s %s", tt.name, res.Proto, res.Status, body)
			}
		}
	}
	if status, body, _ := send(t, http.DefaultClient, "GET", "http://"+addr+"/mcp"); status != 400 {
		t.Errorf("plain HTTP: %d %s", status, body)
	}
}

// TestResumption shakes hands twice with a client that remembers: where clients'
// certificates are taken, each handshake looks at them anew.
func TestResumption(t *testing.T) {
	for _, withCA := range []bool{false, true} {
		dir := t.TempDir()
		files := newPair(t, dir, "127.0.0.1")
		if withCA {
			files.ClientCA = newPair(t, dir, "client.example").Cert
		}
		_, addr := reach(t, Config{TLS: files})
		remembers := tls.NewLRUClientSessionCache(1)
		var resumed bool
		for range 2 {
			c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ClientSessionCache: remembers}}}
			res, err := c.Get("https://" + addr + "/mcp")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			resumed = res.TLS.DidResume
		}
		if resumed == withCA {
			t.Errorf("with a client CA %t, resumed %t", withCA, resumed)
		}
	}
}

func load(t *testing.T, f Files) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestCheckCertificate(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for _, tt := range []struct {
		name, host string
		end        time.Duration
		want       string
	}{
		{"good", "a.example", 90 * 24 * time.Hour, ""},
		{"another's", "b.example", 90 * 24 * time.Hour, "b.example"},
		{"soon", "a.example", 13*24*time.Hour + time.Hour, "it ends in 13 days"},
		{"over", "a.example", -time.Hour, "it ended on"},
		{"not yet", "a.example", 101 * 24 * time.Hour, "it begins on"},
		{"both", "b.example", -time.Hour, "it ended on"},
		{"no name asked for", "", 90 * 24 * time.Hour, ""},
	} {
		err := CheckCertificate(newPairUntil(t, dir, "a.example", now.Add(tt.end)), tt.host, now)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if err := CheckCertificate(Files{Cert: "none.pem"}, "", now); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
