package tools

import (
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

// newWires makes what sends to each API. APIs share connections, but for those that
// have a way of their own.
func (cfg Config) newWires() map[*API]wires {
	shared := wires{cfg.Transport, cfg.Transport}
	if cfg.Transport == nil {
		shared = newWires(reach.Way{Dial: cfg.Dial})
	}
	out := map[*API]wires{}
	for _, api := range cfg.APIs {
		out[api] = shared
		if own := api.Way; cfg.Transport == nil && !own.IsZero() {
			if own.Dial == nil {
				own.Dial = cfg.Dial
			}
			out[api] = newWires(own)
		}
	}
	return out
}

func newWires(way reach.Way) wires {
	return wires{newTransport(way, true), newTransport(way, false)}
}

// newTransport bounds every phase of a request. It asks no proxy but that of its way:
// what was decided for an API goes to that API.
func newTransport(way reach.Way, keepAlive bool) *http.Transport {
	return &http.Transport{
		DialContext:            way.Dialer(),
		DialTLSContext:         way.TLSDialer(),
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    256, // as many callers as may come at the same time
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      !keepAlive,
		DisableCompression:     true, // the request says itself what it takes
	}
}
