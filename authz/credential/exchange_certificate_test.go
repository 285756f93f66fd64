package credential

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/exeat/exeat/openapi/reach"
)

// The client is known by its certificate, in all that the server is asked (RFC 8705),
// and a token may be bound to that and to no other.
func TestExchangeShowsACertificate(t *testing.T) {
	as := newExchanger(t)
	var shown, ids []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 {
			jsonAnswer(401, `{"error":"invalid_client"}`)(w)
			return
		}
		sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		shown, ids = append(shown, base64.RawURLEncoding.EncodeToString(sum[:])), append(ids, r.FormValue("client_id"))
		r.SetBasicAuth("exeat", "s3") // as what stands in front of a server may do
		as.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	pair := newCertificate(t)
	sum := sha256.Sum256(pair.Leaf.Raw)
	own := base64.RawURLEncoding.EncodeToString(sum[:])
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	x := as.asker()
	x.Server.TokenURL, x.Server.RevokeURL, x.Server.Auth = server.URL+"/token", server.URL+"/revoke", SecretAuth{ID: "exeat"}
	x.Server.Client = NewClient(reach.Way{TLS: func() *tls.Config { return &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{pair}} }})
	defer x.Server.Client.CloseIdleConnections()

	as.change = func(claims, _ map[string]any) { claims["cnf"] = map[string]any{"x5t#S256": own} }
	if _, err := x.Attach(t.Context(), as.call(), outgoing(t)); err == nil || !strings.Contains(err.Error(), "cnf") {
		t.Errorf("bound to a certificate that nothing is known of: %v", err)
	}
	x.Server.Certified, shown, ids = true, nil, nil
	receipt, err := x.Attach(t.Context(), as.call(), outgoing(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := receipt.Revoke(t.Context()); err != nil {
		t.Error(err)
	}
	if len(shown) != 2 || shown[0] != own || shown[1] != own || ids[0] != "exeat" || ids[1] != "exeat" {
		t.Errorf("shown %v by %v, want %s", shown, ids, own)
	}
	bare := as.asker()
	bare.Server.TokenURL, bare.Server.Auth = server.URL, SecretAuth{ID: "exeat"}
	bare.Server.Client = server.Client()
	if _, err := bare.Attach(t.Context(), as.call(), outgoing(t)); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("without a certificate: %v", err)
	}
}
