package credential

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// BenchmarkExchange is a call's overhead with an authorization server on loopback,
// which signs a token for each. Requests and connections per call are reported: no
// more than the protocol needs, on connections that are used again.
func BenchmarkExchange(b *testing.B) {
	for _, way := range []struct {
		name string
		set  func(*exchanger, *Exchange)
	}{
		{"caller", func(*exchanger, *Exchange) {}},
		{"assertion", func(as *exchanger, x *Exchange) { x.Subject = as.assertion() }},
		{"agent+details", func(as *exchanger, x *Exchange) { x.Actor, x.Details = as.assertion(), true }},
	} {
		b.Run(way.name, func(b *testing.B) {
			as := newExchanger(b)
			var requests, connections atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests.Add(1); as.ServeHTTP(w, r) }))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections.Add(1)
				}
			}
			server.Start()
			defer server.Close()
			x := as.asker()
			x.Server.TokenURL, x.Server.RevokeURL = server.URL, ""
			way.set(as, x)
			c := as.call()
			b.ResetTimer()
			for b.Loop() {
				r := outgoing(b)
				if _, err := x.Attach(b.Context(), c, r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(requests.Load())/float64(b.N), "requests/op")
			b.ReportMetric(float64(connections.Load()), "connections")
		})
	}
}
