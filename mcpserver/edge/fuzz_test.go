package edge

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// FuzzForwarded has any headers from a proxy and from somebody who is none. Who is
// no proxy is who they are, and of a proxy's word the client is one of its entries
// that is no proxy, or the last that is known; what stands left of the client
// changes nothing.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"203.0.113.9", "1.2.3.4, 203.0.113.9", "203.0.113.9, 10.0.0.5", "unknown", "[2001:db8::1]:4", "::ffff:10.0.0.5", ",,", "fe80::1%eth0", "10.0.0.5\x00"} {
		f.Add(s, "https", "exeat.example.com")
	}
	trusted, err := parseProxies([]string{"10.0.0.5", "10.1.0.0/16"})
	if err != nil {
		f.Fatal(err)
	}
	read := func(t *testing.T, peer, xff, proto, host string) hops {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {xff}, "X-Forwarded-Proto": {proto}, "X-Forwarded-Host": {host}, "Forwarded": {xff}, "X-Real-Ip": {xff}}}
		h, err := trusted.read(r)
		dropForwarded(r.Header)
		if err != nil || len(r.Header) != 0 {
			t.Fatalf("%v, and %v is left", err, r.Header)
		}
		return h
	}
	f.Fuzz(func(t *testing.T, xff, proto, host string) {
		h := read(t, "10.0.0.6:1", xff, proto, host)
		if h.client != netip.MustParseAddr("10.0.0.6") || h.proxied || h.proto != "" || len(h.hosts) > 0 {
			t.Errorf("an impostor: %+v", h)
		}
		h = read(t, "10.0.0.5:1", xff, proto, host)
		if !h.proxied || !h.client.IsValid() || h.client.Zone() != "" || h.client.Is4In6() {
			t.Errorf("a proxy: %+v", h)
		}
		if longer := read(t, "10.0.0.5:1", "198.51.100.1, "+xff, proto, host); !trusted.contain(h.client) && longer.client != h.client {
			t.Errorf("what a client says of itself counts: %s becomes %s", h.client, longer.client)
		}
		if fixed := read(t, "10.0.0.5:1", xff+", 203.0.113.9", proto, host); !strings.Contains(xff, "\x00") && fixed.client != netip.MustParseAddr("203.0.113.9") {
			t.Errorf("not the rightmost: %s", fixed.client)
		}
	})
}
