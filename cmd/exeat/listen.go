package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/openapi/reach"
)

// defaultInbox is the inbox's address where none is given; if it is taken, a
// free port serves as well.
const defaultInbox = "127.0.0.1:8421"

func listenInbox(c inboxConfig) (net.Listener, error) {
	addr := c.Listen
	if addr == "" {
		addr = defaultInbox
	}
	// People who are sent to localhost have to find this inbox there, at either address.
	if u, err := url.Parse(c.URL); err == nil && u.Scheme == "http" && reach.IsLocalhost(u.Hostname()) && strings.HasSuffix(addr, ":"+u.Port()) {
		return listen("localhost:"+u.Port(), false)
	}
	l, err := listen(addr, strings.HasPrefix(c.URL, "https://"))
	if err != nil && c.Listen == "" {
		return listen("127.0.0.1:0", false)
	}
	return l, err
}

// listen opens a TCP listener, on loopback addresses only unless a proxy that
// speaks TLS stands before it. Names can lead to several addresses, of which it
// would take one, so none is taken but localhost, with both of its own.
func listen(addr string, proxied bool) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%q is no address to listen on: write it as 127.0.0.1:8420", addr)
	}
	named, ip := strings.EqualFold(host, "localhost"), net.ParseIP(host)
	switch {
	case !named && ip == nil && host != "":
		return nil, fmt.Errorf("%s is a name, which can lead to several addresses: write the address itself", addr)
	case !named && (ip == nil || !ip.IsLoopback()) && !proxied:
		return nil, fmt.Errorf("%s is not a loopback address: without TLS exeat listens on 127.0.0.1 or [::1] only", addr)
	case named:
		host = localhostIPs[0]
	}
	var l net.Listener
	if slices.Contains(localhostIPs, host) {
		l, err = listenLocalhost(host, port, named)
	} else {
		l, err = net.Listen("tcp", addr)
	}
	if err != nil {
		if op, ok := err.(*net.OpError); ok {
			err = op.Err
		}
		return nil, fmt.Errorf("listen on %s: %v; stop what uses the port or choose another (port 0 takes any)", addr, err)
	}
	return l, nil
}

// inboxURL is the inbox's origin for people.
func inboxURL(c inboxConfig, l net.Listener) string {
	switch {
	case c.URL != "":
		return strings.TrimSuffix(c.URL, "/")
	case l != nil:
		return "http://" + l.Addr().String()
	case c.Listen != "":
		return "http://" + c.Listen
	}
	return "http://" + defaultInbox
}

// serveHTTP serves h on l until ctx ends, then lets requests finish for a while.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return base },
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog:          nil,
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		// Streams that never end by themselves end with their context.
		time.AfterFunc(5*time.Second, cancel)
		err := srv.Shutdown(grace)
		if err != nil {
			err = srv.Close()
		}
		stopped <- err
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// hostNames are the names that a client may use for what listens here: localhost
// only if all of it does.
func hostNames(addr string, l net.Listener) []string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || !isWhole(l) {
		return []string{addr}
	}
	return []string{addr, "127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port}
}
