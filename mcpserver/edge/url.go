package edge

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// PublicURL is what clients call: an origin, and a path prefix where a proxy has
// other things beside it. Its zero value is nobody's.
type PublicURL struct {
	scheme, host, path string // host without the scheme's own port; path is "" or like /agents
}

// prefixPath is what a path prefix may be: nothing that is written in two ways.
var prefixPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// ParsePublicURL reads the URL of a server. Plain http is for loopback only.
func ParsePublicURL(s string) (PublicURL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" {
		return PublicURL{}, errors.New("is no URL: write it like https://exeat.example.com")
	}
	p := PublicURL{scheme: strings.ToLower(u.Scheme), path: strings.TrimSuffix(u.EscapedPath(), "/")}
	p.host = canonicalHost(u.Host, p.scheme)
	switch {
	case p.scheme != "http" && p.scheme != "https":
		return PublicURL{}, errors.New("must begin with https://")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return PublicURL{}, errors.New("must be an address alone, without a user, a query or a fragment")
	case p.scheme == "http" && !isLoopbackName(u.Hostname()):
		return PublicURL{}, errors.New("is http, which shows every token to who is on the way: it must begin with https://")
	case !prefixPath.MatchString(p.path):
		return PublicURL{}, errors.New("has a path that can be written in several ways: use letters, digits, - and _ between single slashes")
	}
	return p, nil
}

// String is the URL without a slash at its end.
func (p PublicURL) String() string { return p.Origin() + p.path }

// Origin is scheme and host, as browsers send it.
func (p PublicURL) Origin() string { return p.scheme + "://" + p.host }

// Host is the value of the Host header, without the scheme's own port.
func (p PublicURL) Host() string { return p.host }

// Path is the path prefix: "", or like /agents.
func (p PublicURL) Path() string { return p.path }

// Join is the URL of a path of the server, such as /mcp.
func (p PublicURL) Join(path string) string { return p.String() + path }

// WellKnown is the URL of what is well known of a path of the server (RFC 8615,
// and RFC 9728 §3.1 for the order): its name stands before the path prefix.
func (p PublicURL) WellKnown(name, path string) string {
	return p.Origin() + "/.well-known/" + name + p.path + path
}

// Secure reports whether it is https.
func (p PublicURL) Secure() bool { return p.scheme == "https" }

// canonicalHost is a Host in small letters, without the port that its scheme has
// anyway.
func canonicalHost(host, scheme string) string {
	host = strings.ToLower(host)
	switch {
	case scheme == "https":
		return strings.TrimSuffix(host, ":443")
	case scheme == "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// isLoopbackName reports whether a host leads to this machine only.
func isLoopbackName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// isLoopback reports whether only this machine reaches what listens at addr.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && isLoopbackName(host)
}
