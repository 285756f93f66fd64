package tools

import (
	"crypto/tls"
	"net/http"
	"time"

	"github.com/exeat/exeat/openapi/reach"
)

// wires are what sends to an API. They follow no redirect: what was decided for
// one place goes to no other.
type wires struct {
	reads  http.RoundTripper
	writes http.RoundTripper // net/http repeats some requests on reused connections; this one has none
}

// newWires makes what sends to each API. APIs share connections, but for those
// that are shown a certificate.
func (cfg Config) newWires() map[*API]wires {
	shared := wires{cfg.Transport, cfg.Transport}
	if cfg.Transport == nil {
		shared = wires{cfg.newTransport(nil, true), cfg.newTransport(nil, false)}
	}
	out := map[*API]wires{}
	for _, api := range cfg.APIs {
		out[api] = shared
		if api.Certificate != nil && cfg.Transport == nil {
			out[api] = wires{cfg.newTransport(api.Certificate, true), cfg.newTransport(api.Certificate, false)}
		}
	}
	return out
}

// newTransport bounds every phase of a request. It asks no proxy: what was
// decided for an API goes to that API.
func (cfg Config) newTransport(certificate *tls.Certificate, keepAlive bool) *http.Transport {
	dial := cfg.Dial
	if dial == nil {
		dial = reach.Within(10 * time.Second)
	}
	t := &http.Transport{
		DialContext:            dial,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      !keepAlive,
	}
	if certificate != nil {
		t.TLSClientConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12}
	}
	return t
}
