package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Arrival is how a request came.
type Arrival struct {
	// Client is who made it: the last hop before the trusted proxies. It is no
	// proof of anything but who can be answered.
	Client netip.Addr
	// Proxied says that a trusted proxy sent it on.
	Proxied bool
	// Origin and Path are what the client called; Path has its prefix, and no query.
	Origin, Path string
}

// URL is what the client called, without a query.
func (a Arrival) URL() string { return a.Origin + a.Path }

type arrivalKey struct{}

// ArrivalOf is how a request came that went through [Edge.Handler].
func ArrivalOf(r *http.Request) (Arrival, bool) {
	a, ok := r.Context().Value(arrivalKey{}).(Arrival)
	return a, ok
}

// note keeps a in r itself: a copy of the request would not get its trailers, which
// the guard looks at.
func (a Arrival) note(r *http.Request) {
	*r = *r.WithContext(context.WithValue(r.Context(), arrivalKey{}, a))
}

// forwarded are the headers by which proxies tell of the hop before. After the
// edge nobody sees them, since what counts is in the request itself, except where
// they may be parameters of somebody else's API.
var forwarded = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip"}

// proxies are whose X-Forwarded-* count.
type proxies []netip.Prefix

// parseProxies reads addresses and prefixes.
func parseProxies(list []string) (proxies, error) {
	var p proxies
	for _, s := range list {
		prefix, err := netip.ParsePrefix(s)
		if addr, addrErr := netip.ParseAddr(s); addrErr == nil {
			prefix, err = netip.PrefixFrom(addr.Unmap().WithZone(""), addr.Unmap().BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is no address: write each proxy as 10.0.0.5, or all of a network as 10.1.0.0/16", s)
		case prefix.Bits() == 0:
			return nil, fmt.Errorf("%s is everybody: name the proxies, since whoever is one can say who calls", s)
		case prefix != prefix.Masked():
			return nil, fmt.Errorf("%s is an address within a network: write %s for all of it, or %s for the one", s, prefix.Masked(), prefix.Addr())
		}
		p = append(p, prefix)
	}
	return p, nil
}

func (p proxies) contain(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// hops is what proxies say of the hops before them.
type hops struct {
	client  netip.Addr
	proxied bool
	proto   string   // by which the client called the outermost trusted proxy; "" if none says
	hosts   []string // by which names
}

// read reads the headers of r, if a trusted proxy sent it.
func (p proxies) read(r *http.Request) (hops, error) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return hops{}, errors.New("the other end has no address")
	}
	h := hops{client: peer.Addr().Unmap().WithZone("")}
	if h.proxied = p.contain(h.client); h.proxied {
		said := listed(r, "X-Forwarded-For")
		at := len(said)
		for at > 0 && p.contain(h.client) {
			addr, ok := parseHop(said[at-1])
			if !ok {
				break // then the proxy that said so is the last that is known
			}
			h.client, at = addr, at-1
		}
		h.proto = hopOf(listed(r, "X-Forwarded-Proto"), at, len(said))
		h.hosts = listed(r, "X-Forwarded-Host")
	}
	return h, nil
}

// dropForwarded takes off what proxies say, and who is none.
func dropForwarded(h http.Header) {
	for name := range h {
		if slices.Contains(forwarded, http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))) {
			delete(h, name)
		}
	}
}

// hopOf is the value for the hop at a place of count, if there is one for each
// hop, and otherwise the last: that of the nearest proxy.
func hopOf(values []string, at, count int) string {
	switch {
	case len(values) == 0:
		return ""
	case len(values) == count && at < count:
		return strings.ToLower(values[at])
	}
	return strings.ToLower(values[len(values)-1])
}

// listed are the values of a header that is a list, or is there several times.
func listed(r *http.Request, name string) (all []string) {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values(name), ","), ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// parseHop reads one address of X-Forwarded-For, which some write with a port.
func parseHop(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		var both netip.AddrPort
		both, err = netip.ParseAddrPort(s)
		addr = both.Addr()
	}
	return addr.Unmap().WithZone(""), err == nil
}
