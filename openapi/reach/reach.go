// Package reach says which network addresses calls may go to, for everything that
// dials: the calls to APIs as well as the documents that are fetched.
package reach

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// Dialer dials only where calls may go: of a private network, to no addresses
// but those that the operator named. A document's server can be any name, and a
// name can be made to lead anywhere, so the address that it leads to is looked
// at when it is dialled.
type Dialer struct {
	hosts    map[string]bool
	prefixes []netip.Prefix
	dialer   net.Dialer
}

// New allows what is named: hosts, addresses, prefixes such as 10.1.0.0/16,
// and the hosts of URLs. The error names what is none of these.
func New(d net.Dialer, named ...string) (*Dialer, error) {
	r := &Dialer{hosts: map[string]bool{}, dialer: d}
	for _, n := range named {
		if strings.Contains(n, "://") {
			u, err := url.Parse(n)
			if err != nil || u.Hostname() == "" {
				return nil, fmt.Errorf("%q is not a URL with a host", n)
			}
			n = u.Hostname()
		}
		if p, err := netip.ParsePrefix(n); err == nil {
			r.prefixes = append(r.prefixes, p.Masked())
			continue
		}
		if strings.ContainsAny(n, "/ ") || n == "" {
			return nil, fmt.Errorf("%q is neither a host nor an address nor a prefix such as 10.1.0.0/16", n)
		}
		r.hosts[hostName(n)] = true
	}
	return r, nil
}

func hostName(s string) string {
	return strings.ToLower(strings.TrimSuffix(strings.Trim(s, "[]"), "."))
}

// DialContext dials as [net.Dialer] does. A name that was not named and leads
// into a private network is an *UnreachedError, and nothing is sent there.
func (r *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := r.dialer
	if !r.hosts[hostName(host)] {
		d.ControlContext = func(_ context.Context, _, to string, _ syscall.RawConn) error {
			ip, err := netip.ParseAddrPort(to)
			if err != nil || !r.open(ip.Addr()) {
				return &UnreachedError{Host: host, Address: to}
			}
			return nil
		}
	}
	return Dial(ctx, d, network, address)
}

// UnreachedError is a connection that was not made.
type UnreachedError struct{ Host, Address string }

func (e *UnreachedError) Error() string {
	return fmt.Sprintf("%s leads to %s, inside this network; if that is meant, name it with --base-url or allow_private", e.Host, e.Address)
}

// closed are the ranges that net/netip does not know as private: shared address
// space, IETF and benchmark use, documentation, reserved, translated and tunnelled
// addresses (RFC 6890 and the registries behind it).
var closed = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// open reports whether an address may be dialled under any name.
func (r *Dialer) open(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range r.prefixes {
		if p.Contains(ip) {
			return true
		}
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range closed {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// Inside reports a URL whose host is this machine or an address of a private
// network, as written.
func Inside(location string) bool {
	u, err := url.Parse(location)
	if err != nil {
		return true
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") ||
		ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast())
}
