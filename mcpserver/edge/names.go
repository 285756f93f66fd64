package edge

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// names are the values that Host may have.
type names struct {
	exact   map[string]bool
	anyPort map[string]bool // without a port
}

// parseHosts reads host names, with a port or for all ports.
func parseHosts(list []string) (names, error) {
	n := names{exact: map[string]bool{}, anyPort: map[string]bool{}}
	for _, s := range list {
		u, err := url.Parse("//" + s)
		switch {
		case err != nil || u.Host != s || u.Hostname() == "" || strings.ContainsAny(s, "*/@ "):
			return n, fmt.Errorf("%q is no host: write each as host.docker.internal:8420, or without a port for any", s)
		case u.Port() == "":
			n.anyPort[strings.ToLower(u.Hostname())] = true
		default:
			n.exact[strings.ToLower(s)] = true
		}
	}
	return n, nil
}

// allow reports whether host is a name of this server.
func (n names) allow(host string) bool {
	host = strings.ToLower(host)
	if n.exact[host] {
		return true
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return n.anyPort[name]
}

// add takes a host, with and without the port of its scheme.
func (n names) add(host, scheme string) {
	host = canonicalHost(host, scheme)
	n.exact[host] = true
	if _, _, err := net.SplitHostPort(host); err != nil {
		n.exact[host+map[string]string{"https": ":443", "http": ":80"}[scheme]] = true
	}
}

// parseOrigins reads origins of web pages.
func parseOrigins(list []string) ([]string, error) {
	var all []string
	for _, s := range list {
		u, err := url.Parse(s)
		switch {
		case s == "*" || s == "null":
			return nil, fmt.Errorf("%q is every page: name each origin, like https://app.example.com", s)
		case err != nil || u.Host == "" || u.Scheme == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || strings.Contains(s, "*"):
			return nil, fmt.Errorf("%q is no origin: write each as https://app.example.com, without a path", s)
		case u.Scheme == "http" && !isLoopbackName(u.Hostname()):
			return nil, fmt.Errorf("%s is http: whoever is on the way can be that page; use https", s)
		}
		all = append(all, strings.ToLower(u.Scheme)+"://"+canonicalHost(u.Host, u.Scheme))
	}
	return all, nil
}

// What a browser client of another origin may send and see. Credentials, which
// are cookies, are none of it: a token is in a header that the page sets.
const (
	corsMethods = "GET, POST, DELETE, OPTIONS"
	corsExposed = "Mcp-Session-Id, WWW-Authenticate, DPoP-Nonce, Retry-After"
	corsMaxAge  = "600" // seconds
)

var corsHeaders = []string{"accept", "authorization", "content-type", "dpop", "last-event-id"}

// allowHosts answers a request by a name that is not ours: of a page, say, whose
// name was rebound to this server. Of several, which proxies tell of, each counts.
func (e *Edge) allowHosts(w http.ResponseWriter, hosts []string) bool {
	for _, host := range hosts {
		if !e.names.allow(host) {
			http.Error(w, "this server does not answer to that host name; the operator names it in public_url, or in hosts", http.StatusForbidden)
			return false
		}
	}
	return true
}

// allowPage answers a request of a web page that may not call, and a preflight.
// It reports whether the request goes on.
func (e *Edge) allowPage(w http.ResponseWriter, r *http.Request, own string) bool {
	for _, origin := range r.Header.Values("Origin") {
		if origin != own && !slices.Contains(e.origins, origin) {
			http.Error(w, "web pages of that origin may not call this server; the operator names those that may in origins", http.StatusForbidden)
			return false
		}
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	if !slices.Contains(e.origins, origin) {
		return true
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", corsExposed)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return true
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", allowedHeaders(listed(r, "Access-Control-Request-Headers")))
	h.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
	return false
}

// allowedHeaders are those of the headers which a page wants to send that it may.
func allowedHeaders(wanted []string) string {
	var all []string
	for _, name := range wanted {
		name = strings.ToLower(name)
		if slices.Contains(corsHeaders, name) || strings.HasPrefix(name, "mcp-") {
			all = append(all, name)
		}
	}
	return strings.Join(all, ", ")
}
