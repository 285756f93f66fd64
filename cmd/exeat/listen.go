package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/exeat/exeat/authz/tally"
	"github.com/exeat/exeat/mcpserver/edge"
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
		return listen("localhost:" + u.Port())
	}
	l, err := listen(addr)
	if err != nil && c.Listen == "" {
		return listen("127.0.0.1:0")
	}
	return l, err
}

// listen opens a TCP listener. Names can lead to several addresses, of which it
// would take one, so none is taken but localhost, with both of its own. Where plain
// HTTP is too little, edge.Edge says.
func listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%q is no address to listen on: write it as 127.0.0.1:8420", addr)
	}
	named, ip := strings.EqualFold(host, "localhost"), net.ParseIP(host)
	switch {
	case !named && ip == nil && host != "":
		return nil, fmt.Errorf("%s is a name, which can lead to several addresses: write the address itself", addr)
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
		if u, err := edge.ParsePublicURL(c.URL); err == nil {
			return u.String() // as browsers write it
		}
		return strings.TrimSuffix(c.URL, "/")
	case l != nil:
		return c.TLS.scheme() + "://" + l.Addr().String()
	case c.Listen != "":
		return c.TLS.scheme() + "://" + c.Listen
	}
	return c.TLS.scheme() + "://" + defaultInbox
}

// serveHTTP serves h on l until ctx ends, then lets requests finish for a while.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log zerolog.Logger) error {
	srv := newHTTPServer(h, log)
	srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){} // HTTP/1.1 only
	return serveWith(ctx, l, srv)
}

// newHTTPServer bounds what strangers can take.
func newHTTPServer(h http.Handler, log zerolog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100},
		ErrorLog:          newServerLog(log),
	}
}

// serveWith serves on l until ctx ends.
func serveWith(ctx context.Context, l net.Listener, srv *http.Server) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv.BaseContext = func(net.Listener) context.Context { return base }
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

// serverLog takes what net/http has to say, most of it of strangers who cannot
// speak TLS: so many lines of a minute, each short.
type serverLog struct {
	log   zerolog.Logger
	lines tally.Counter
}

func newServerLog(log zerolog.Logger) *stdlog.Logger { return stdlog.New(&serverLog{log: log}, "", 0) }

func (s *serverLog) Write(b []byte) (int, error) {
	switch n := s.lines.Add("", time.Now(), time.Minute); {
	case n < refusalsLogged:
		s.log.Warn().Str("detail", cutText(strings.TrimSpace(string(b)))).Msg("http")
	case n == refusalsLogged:
		s.log.Warn().Msg("http: more lines of this minute are left out")
	}
	return len(b), nil
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
