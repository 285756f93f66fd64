package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Config says how a server is reached.
type Config struct {
	now func() time.Time // nil means time.Now

	Listen    string // the address, as far as it is known
	PublicURL string // what clients call; "" means the address
	TLS       Files
	Proxies   []string // addresses and prefixes whose X-Forwarded-* count
	Hosts     []string // further values of Host, with a port or for any
	Origins   []string // of web pages that may call
	// Prefix says that the public URL may have a path, which is taken off.
	Prefix bool
	// OwnNames says that what is served judges Host and Origin by itself.
	OwnNames bool
	// Foreign says that what is served is somebody else's API. It may have /healthz
	// and /readyz itself: they are asked for with Authorization. And the headers of
	// proxies may be its parameters, so they stay.
	Foreign bool
	// HTTP2 says that clients which speak TLS may speak HTTP/2.
	HTTP2 bool
	// Name is what the configuration calls a key of this one, such as tls.cert,
	// public_url or proxies; nil means so.
	Name func(key string) string
	// Trouble, if not nil, is told of what strangers are not.
	Trouble func(error)
}

// Edge is how a server is reached.
type Edge struct {
	c       Config
	url     PublicURL
	named   bool // the public URL was given
	certs   *certificates
	proxies proxies
	names   names
	origins []string
	open    bool // plain HTTP beyond loopback: for proxies only
}

// New checks a configuration and reads its files. No port is taken.
func New(c Config) (*Edge, error) {
	if c.Name == nil {
		c.Name = func(key string) string { return key }
	}
	if c.Trouble == nil {
		c.Trouble = func(error) {}
	}
	e := &Edge{c: c, named: c.PublicURL != ""}
	said := func(key string, err error) error { return fmt.Errorf("%s: %w", c.Name(key), err) }
	var err error
	if e.named {
		if e.url, err = ParsePublicURL(c.PublicURL); err != nil {
			return nil, fmt.Errorf("%s %q %w", c.Name("public_url"), c.PublicURL, err)
		}
		if err := e.checkURL(); err != nil {
			return nil, err
		}
	}
	if e.proxies, err = parseProxies(c.Proxies); err != nil {
		return nil, said("proxies", err)
	}
	if e.names, err = parseHosts(c.Hosts); err != nil {
		return nil, said("hosts", err)
	}
	if e.origins, err = parseOrigins(c.Origins); err != nil {
		return nil, said("origins", err)
	}
	switch {
	case c.TLS == Files{}:
	case c.TLS.Cert == "" || c.TLS.Key == "":
		return nil, fmt.Errorf("TLS needs both %s and %s", c.Name("tls.cert"), c.Name("tls.key"))
	default:
		if e.certs, err = newCertificates(c); err != nil {
			return nil, err
		}
	}
	return e, e.checkAddr(c.Listen)
}

// checkURL refuses a public URL that clients could not use.
func (e *Edge) checkURL() error {
	key := e.c.Name("public_url")
	switch {
	case e.c.TLS != Files{} && !e.url.Secure():
		return fmt.Errorf("%s is %s, but with TLS it begins with https://", key, e.url)
	case e.url.path != "" && !e.c.Prefix:
		return fmt.Errorf("%s %s has a path, and what it names needs a host of its own, since cookies and passkeys belong to a whole host: leave the path %s out", key, e.url, e.url.path)
	case e.c.Prefix && strings.HasSuffix(e.url.path, "/mcp"):
		return fmt.Errorf("%s %s ends in /mcp, which comes after it: write %s", key, e.url, strings.TrimSuffix(e.url.String(), "/mcp"))
	}
	return nil
}

// checkAddr refuses plain HTTP where others than this machine hear it, unless
// proxies with TLS are named that stand before it.
func (e *Edge) checkAddr(addr string) error {
	e.open = false
	host, _, err := net.SplitHostPort(addr)
	if err != nil || isLoopback(addr) {
		return nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && host != "" {
		return nil // listening refuses names
	}
	if e.certs == nil {
		if e.open = e.url.Secure() && len(e.proxies) > 0; !e.open {
			return fmt.Errorf("%s is not a loopback address, and without TLS whoever is on the way reads every token: give %s and %s, or put a proxy with TLS before it and name that in %s and, as https, in %s, or listen on 127.0.0.1 or [::1]",
				addr, e.c.Name("tls.cert"), e.c.Name("tls.key"), e.c.Name("proxies"), e.c.Name("public_url"))
		}
		return nil
	}
	if !e.named && (host == "" || ip.IsUnspecified()) {
		return fmt.Errorf("%s is every address of this machine, so nobody knows what clients call: say it in %s", addr, e.c.Name("public_url"))
	}
	return nil
}

// Bind takes the listener that it is reached at, and returns the one to serve.
// local are the names of its address, as Host has them. A listener that cannot be
// served is closed.
func (e *Edge) Bind(l net.Listener, local []string) (net.Listener, error) {
	addr := l.Addr().String()
	if err := e.checkAddr(addr); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	scheme := "http"
	if e.certs != nil {
		scheme = "https"
		l = tls.NewListener(l, e.certs.server())
	}
	if !e.named {
		e.url = PublicURL{scheme: scheme, host: canonicalHost(addr, scheme)}
	}
	e.names.add(e.url.host, e.url.scheme)
	for _, host := range local {
		e.names.add(host, scheme)
	}
	return l, nil
}

// URL is what clients call. Before [Edge.Bind] it is known only if it was
// configured.
func (e *Edge) URL() PublicURL { return e.url }

// Handler serves next to those who may reach it, and says to everybody whether
// the process lives and whether all checks pass. Requests reach next without
// their path prefix and forwarded headers; RemoteAddr and Host are those of the
// client, and [ArrivalOf] tells more.
func (e *Edge) Handler(next http.Handler, checks ...Check) http.Handler {
	h := &health{checks: checks, trouble: e.c.Trouble}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.cutPrefix(r)
		if (!e.c.Foreign || len(r.Header["Authorization"]) == 0) && h.serve(w, r) {
			return
		}
		arrived, hosts, err := e.arrive(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		arrived.note(r)
		if e.c.OwnNames || e.allowHosts(w, hosts) && e.allowPage(w, r, arrived.Origin) {
			next.ServeHTTP(w, r)
		}
	})
}

// cutPrefix takes the path prefix off. A request without it has lost it at a proxy
// on the way, or is for a path of the host, such as /.well-known.
func (e *Edge) cutPrefix(r *http.Request) {
	prefix := e.url.path
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
	if prefix == "" || !ok || rest != "" && rest[0] != '/' {
		return
	}
	r.URL.Path, r.URL.RawPath = strings.TrimPrefix(r.URL.Path, prefix), strings.TrimPrefix(r.URL.RawPath, prefix)
	if rest == "" {
		r.URL.Path = "/"
	}
}

// arrive finds out who made r and by which names of this server, refuses who may
// not, and notes the client in r.
func (e *Edge) arrive(r *http.Request) (Arrival, []string, error) {
	hop, err := e.proxies.read(r)
	if !e.c.Foreign {
		dropForwarded(r.Header)
	}
	switch {
	case err != nil:
		return Arrival{}, nil, err
	case e.open && !hop.proxied:
		return Arrival{}, nil, fmt.Errorf("only the proxies of this server may call it here: call %s", e.url)
	case hop.proto == "http" && e.url.Secure():
		return Arrival{}, nil, fmt.Errorf("this was called by http, which shows tokens on the way: call %s", e.url)
	case hop.proto != "" && hop.proto != "http" && hop.proto != "https":
		return Arrival{}, nil, errors.New("X-Forwarded-Proto is neither http nor https")
	}
	hosts := append([]string{r.Host}, hop.hosts...)
	if hop.proxied {
		r.Host = hosts[len(hosts)-1]
	}
	r.RemoteAddr = netip.AddrPortFrom(hop.client, 0).String()
	scheme := "http"
	if r.TLS != nil || hop.proto == "https" {
		scheme = "https"
	}
	host := canonicalHost(r.Host, scheme)
	if host == e.url.host || canonicalHost(r.Host, e.url.scheme) == e.url.host {
		scheme, host = e.url.scheme, e.url.host
	}
	return Arrival{Client: hop.client, Proxied: hop.proxied, Origin: scheme + "://" + host, Path: e.url.path + r.URL.EscapedPath()}, hosts, nil
}
