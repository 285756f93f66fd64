package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// What TLS is spoken with goes by the tunnel; what has none does not, and is direct.
func TestWay(t *testing.T) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.Proto)) })
	plain, secure := httptest.NewServer(hello), httptest.NewUnstartedServer(hello)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer plain.Close()
	defer secure.Close()
	tunnelled := 0
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	way := Way{Tunnel: func(ctx context.Context, network, address string) (net.Conn, error) {
		tunnelled++
		return Within(time.Minute)(ctx, network, address)
	}}
	get := func(url string) (string, error) {
		t.Helper()
		transport := &http.Transport{DialContext: way.Dialer(), DialTLSContext: way.TLSDialer(), ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get(url)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		return resp.Proto, nil
	}
	if got, err := get(plain.URL); got != "HTTP/1.1" || tunnelled != 0 {
		t.Errorf("%s, %v, %d tunnels", got, err, tunnelled)
	}
	var unknown *tls.CertificateVerificationError
	if _, err := get(secure.URL); !errors.As(err, &unknown) || tunnelled != 1 {
		t.Errorf("%v, %d tunnels", err, tunnelled)
	}
	way.TLS = func() *tls.Config { return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12} }
	if got, err := get(secure.URL); got != "HTTP/2.0" || tunnelled != 2 {
		t.Errorf("%s, %v, %d tunnels", got, err, tunnelled)
	}
	if (Way{}).TLSDialer() != nil || !(Way{}).IsZero() || way.IsZero() {
		t.Error("a way without anything is one")
	}
}
