package credential

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/token"
)

// A cloud that does not answer ends with the caller's patience, and nothing is sent.
func TestCloudsWaitNoLonger(t *testing.T) {
	arrived, over := make(chan struct{}, 1), make(chan struct{})
	hang := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-over })
	plain, secure := httptest.NewServer(hang), httptest.NewTLSServer(hang)
	defer plain.Close()
	defer secure.Close()
	defer close(over)
	client := secure.Client()
	client.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com"
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, secure.Listener.Addr().String())
	}
	google := newGCPWorld(t).strategy(t)
	if _, err := google.Source.Token(); err != nil { // which is kept
		t.Fatal(err)
	}
	google.Client = client
	stopped := newAWSWorld(t).strategy()
	stopped.Endpoint = plain.URL
	entra := newEntraWorld(t).strategy(nil)
	entra.Server.TokenURL = plain.URL
	order, _ := s3Call(t, plain.URL, "PUT", "write", "42", "/orders/42.json", "{}")
	object, _ := gcsCall(t, "PUT", "write", "orders", "42")
	user, _ := oboCall(t, "PUT", "user.token.1")
	for name, c := range map[string]struct {
		token.Attacher
		call token.Call
	}{"aws_sts": {stopped, order}, "gcp_downscope": {google, object}, "entra_obo": {entra, user}} {
		ctx, cancel := contextUntil(t, arrived)
		r := outgoing(t)
		_, err := c.Attach(ctx, c.call, r)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "context canceled") || r.Header.Get("Authorization") != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
