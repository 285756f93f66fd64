package reach

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// DialFunc makes a connection, as transports want it.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Proxy names the HTTP proxy for an https URL, or nil where there is none. What is on
// this machine goes to none, whatever it says.
type Proxy func(target *url.URL) (*url.URL, error)

// EnvironmentProxy is what HTTPS_PROXY and NO_PROXY say. Where net/http goes without a
// proxy that it cannot read, this is an error.
func EnvironmentProxy(target *url.URL) (*url.URL, error) {
	if named := cmp.Or(os.Getenv("HTTPS_PROXY"), os.Getenv("https_proxy")); named != "" {
		_, whole := url.Parse(named)
		_, short := url.Parse("http://" + named)
		if whole != nil && short != nil {
			return nil, whole
		}
	}
	return http.ProxyFromEnvironment(&http.Request{URL: target})
}

// FixedProxy is one proxy for everything.
func FixedProxy(proxy *url.URL) Proxy {
	return func(*url.URL) (*url.URL, error) { return proxy, nil }
}

// ParseProxy reads the URL of a proxy, which may have a user and a password. The error
// does not repeat it.
func ParseProxy(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL; write it like http://proxy.example:3128")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("its URL begins with neither http:// nor https://; other kinds of proxies are not used")
	case u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("its URL is a host and a port, like http://proxy.example:3128, and nothing behind it")
	}
	return u, nil
}

// Of returns the proxy for an address host:port that is called by https.
func (p Proxy) Of(address string) (*url.URL, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if p == nil || onThisMachine(host) {
		return nil, nil
	}
	u, err := p(&url.URL{Scheme: "https", Host: address})
	if err != nil {
		return nil, errors.New("the environment names a proxy that is not a URL (HTTPS_PROXY)") // the error would quote it
	}
	if u != nil && u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the environment names a proxy of the kind %q (HTTPS_PROXY); only http:// and https:// are used", u.Scheme)
	}
	return u, nil
}

func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(hostName(host))
	return IsLocalhost(host) || err == nil && ip.Unmap().IsLoopback()
}

// proxyTimeout bounds how long a proxy may take to make a connection.
const proxyTimeout = 20 * time.Second

// Through dials by a proxy, where it names one: the proxy is asked for a tunnel
// (CONNECT), and what is said in it is TLS. Before the proxy is told of a host, check
// is asked; nil checks nothing. Other addresses are dialled as direct does.
func Through(proxy Proxy, check func(ctx context.Context, host string) error, direct DialFunc) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		via, err := proxy.Of(address)
		if err != nil {
			return nil, err
		}
		if via == nil {
			return direct(ctx, network, address)
		}
		ctx, cancel := context.WithTimeout(ctx, proxyTimeout)
		defer cancel()
		if check != nil {
			host, _, _ := net.SplitHostPort(address)
			if err := check(ctx, host); err != nil {
				return nil, err
			}
		}
		return tunnel(ctx, via, address)
	}
}

// tunnel has a proxy connect to an address.
func tunnel(ctx context.Context, via *url.URL, address string) (net.Conn, error) {
	port := via.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[via.Scheme]
	}
	conn, err := Dial(ctx, net.Dialer{Timeout: proxyTimeout}, "tcp", net.JoinHostPort(via.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("the proxy %s cannot be reached: %w", via.Host, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	whole := conn
	if via.Scheme == "https" {
		secured := tls.Client(conn, &tls.Config{ServerName: via.Hostname(), MinVersion: tls.VersionTLS12})
		if whole, err = secured, secured.HandshakeContext(ctx); err != nil {
			err = &ProxyError{Proxy: via.Host, Address: address, TLS: err.Error()}
		}
	}
	if err == nil {
		err = connect(whole, via, address)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return whole, nil
}

// ProxyError is a proxy that made no connection.
type ProxyError struct {
	Proxy, Address string
	Status         int    // that it answered with; 0 if it was not asked
	TLS            string // why: it could not be spoken to
}

func (e *ProxyError) Error() string {
	if e.TLS != "" {
		return fmt.Sprintf("the proxy %s cannot be spoken to, so it was not asked for a connection to %s: %s", e.Proxy, e.Address, e.TLS)
	}
	hint := ""
	switch e.Status {
	case http.StatusProxyAuthRequired:
		hint = ": it wants a user and a password, or others (docs/configuration.md#proxies)"
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		hint = ": it does not let exeat go there; whoever runs it has to"
	}
	return fmt.Sprintf("the proxy %s answered %d when it was asked for a connection to %s%s", e.Proxy, e.Status, e.Address, hint)
}

// connect asks for a tunnel on a connection to a proxy (RFC 9110 §9.3.6).
func connect(conn net.Conn, via *url.URL, address string) error {
	if strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("the address %q cannot be said to a proxy", address)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\nUser-Agent: exeat\r\n", address)
	if via.User != nil {
		password, _ := via.User.Password()
		fmt.Fprintf(&b, "Proxy-Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(via.User.Username()+":"+password)))
	}
	if _, err := io.WriteString(conn, b.String()+"\r\n"); err != nil {
		return fmt.Errorf("the proxy %s breaks the connection: %w", via.Host, err)
	}
	in := bufio.NewReader(io.LimitReader(conn, 64<<10))
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	switch {
	case err != nil && errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the proxy %s gave no answer that is HTTP", via.Host)
	case err != nil:
		var network net.Error
		if errors.As(err, &network) {
			return fmt.Errorf("the proxy %s does not answer: %w", via.Host, err)
		}
		return fmt.Errorf("the proxy %s gave no answer that is HTTP", via.Host) // the error would quote it
	case resp.StatusCode != http.StatusOK:
		return &ProxyError{Proxy: via.Host, Address: address, Status: resp.StatusCode}
	case in.Buffered() > 0:
		return fmt.Errorf("the proxy %s sends something before it was asked", via.Host)
	}
	return nil
}

// Check reports as an *UnreachedError what was not named and leads into a private
// network by any of its addresses, for who has somebody else dial it. A name that
// cannot be resolved here is an error, too: nobody knows where it leads.
func (r *Dialer) Check(ctx context.Context, host string) error {
	if r.hosts[hostName(host)] {
		return nil
	}
	addresses := []netip.Addr{}
	if ip, err := netip.ParseAddr(hostName(host)); err == nil {
		addresses = append(addresses, ip)
	} else {
		resolver := r.dialer.Resolver
		if resolver == nil {
			resolver = net.DefaultResolver
		}
		if addresses, err = resolver.LookupNetIP(ctx, "ip", host); err != nil {
			return fmt.Errorf("a proxy is told only of hosts that are not inside a private network, and %s cannot be resolved here; if it is meant, name it with --base-url or allow_private: %w", host, err)
		}
	}
	for _, ip := range addresses {
		if !r.open(ip) {
			return &UnreachedError{Host: host, Address: ip.String()}
		}
	}
	return nil
}
