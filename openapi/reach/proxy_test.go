package reach

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxyOf is a proxy that writes down what it is asked and answers with a text, or
// connects to target if there is none.
func proxyOf(t *testing.T, answer, target string) (at *url.URL, asked func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	var lines []string
	serve := func(conn net.Conn) {
		defer conn.Close()
		in := bufio.NewReader(conn)
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		mu.Lock()
		lines = append(lines, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization")))
		mu.Unlock()
		if answer != "" {
			io.WriteString(conn, answer)
			io.Copy(io.Discard, in)
			return
		}
		up, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		defer up.Close()
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n")
		go io.Copy(up, in)
		io.Copy(conn, up)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return lines
	}
}

// echo greets whoever says something.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				line, _ := bufio.NewReader(conn).ReadString('\n')
				fmt.Fprint(conn, "hello "+line)
			}()
		}
	}()
	return l.Addr().String()
}

// A proxy makes the connection, for hosts that calls may go to.
func TestThrough(t *testing.T) {
	at, asked := proxyOf(t, "", echo(t))
	at.User = url.UserPassword("me", "s3cret")
	r, err := New(net.Dialer{Timeout: 30 * time.Second, Resolver: names(t)}, "named.example.com")
	if err != nil {
		t.Fatal(err)
	}
	dial := Through(FixedProxy(at), r.Check, r.DialContext)
	conn, err := dial(t.Context(), "tcp", "named.example.com:443")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, "you")
	if got, err := bufio.NewReader(conn).ReadString('\n'); got != "hello you\n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, private := range []string{"api.example.com:443", "10.0.0.1:443", "[fd00::1]:443", "169.254.169.254:80", "[::ffff:10.0.0.1]:443"} {
		var unreached *UnreachedError
		if _, err := dial(t.Context(), "tcp", private); !errors.As(err, &unreached) {
			t.Errorf("%s: %v", private, err)
		}
	}
	for _, own := range []string{"127.0.0.1:1", "localhost:1", "[::1]:1", "api.localhost:1", "127.8.8.8:1", "[::ffff:127.0.0.1]:1"} {
		if via, err := FixedProxy(at).Of(own); via != nil || err != nil {
			t.Errorf("%s goes by %v, %v", own, via, err)
		}
	}
	if got := asked(); len(got) != 1 || got[0] != "CONNECT named.example.com:443 Basic bWU6czNjcmV0" {
		t.Errorf("the proxy was asked %q", got)
	}
}

// What cannot be resolved here may lead anywhere there.
func TestThroughUnknown(t *testing.T) {
	at, asked := proxyOf(t, "", "127.0.0.1:1")
	broken := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }}
	r, err := New(net.Dialer{Resolver: broken})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Through(FixedProxy(at), r.Check, r.DialContext)(t.Context(), "tcp", "api.example.com:443")
	if err == nil || !strings.Contains(err.Error(), "api.example.com cannot be resolved here; if it is meant, name it with --base-url or allow_private") || len(asked()) != 0 {
		t.Errorf("%v, %v", err, asked())
	}
}

// What a proxy does wrong is told, without what it said and without the password.
func TestProxyFails(t *testing.T) {
	for name, tt := range map[string]struct{ answer, want string }{
		"wants a password": {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "answered 407 when it was asked for a connection to api.example.com:443: it wants a user"},
		"does not let":     {"HTTP/1.1 403 canary\r\nContent-Length: 6\r\n\r\ncanary", "answered 403"},
		"is none":          {"SSH-2.0-canary\r\n", "gave no answer that is HTTP"},
		"breaks off":       {"HTTP/1.1 200", "does not answer"},
		"speaks too early": {"HTTP/1.1 200 OK\r\n\r\ncanary", "sends something before it was asked"},
		"never ends":       {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("canary", 20000), "gave no answer that is HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			at, _ := proxyOf(t, tt.answer, "")
			at.User = url.UserPassword("me", "s3cret")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := Through(FixedProxy(at), nil, Within(time.Second))(ctx, "tcp", "api.example.com:443")
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), at.Host) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseProxy(t *testing.T) {
	for text, good := range map[string]bool{
		"http://proxy.example:3128": true, "https://me:s3cret@proxy.example": true, "http://10.0.0.1:8080/": true,
		"proxy.example:3128": false, "socks5://me:s3cret@proxy.example": false, "http://": false, "http://me:s3cret@proxy.example/path": false, "http://me:s3cret@proxy.example/?q": false, "http://me:s3cret@%zz": false,
	} {
		_, err := ParseProxy(text)
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
