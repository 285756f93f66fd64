package main

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// listenSix takes a free port of [::1], as another user of the machine can.
func listenSix(t *testing.T) (l net.Listener, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return l, port
}

// TestListenOnLocalhost has somebody else at one of localhost's addresses: what
// is to be found by that name does not start, and nothing is called by it.
func TestListenOnLocalhost(t *testing.T) {
	_, port := listenSix(t)
	for what, open := range map[string]func() (net.Listener, error){
		"MCP or the guard": func() (net.Listener, error) { return listen("localhost:" + port) },
		"the inbox":        func() (net.Listener, error) { return listenInbox(inboxConfig{Listen: "localhost:" + port}) },
		"the inbox, by its links": func() (net.Listener, error) {
			return listenInbox(inboxConfig{Listen: "127.0.0.1:" + port, URL: "http://localhost:" + port})
		},
		"the inbox, by a name of its own": func() (net.Listener, error) {
			return listenInbox(inboxConfig{Listen: "127.0.0.1:" + port, URL: "http://Inbox.localhost.:" + port + "/"})
		},
	} {
		l, err := open()
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "[::1]:"+port) {
			t.Errorf("%s: %v", what, err)
		}
	}
	l, err := listen("127.0.0.1:" + port)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if names := hostNames(l.Addr().String(), l); slices.ContainsFunc(names, func(n string) bool { return n != "127.0.0.1:"+port }) {
		t.Errorf("what listens at 127.0.0.1 alone is called %v", names)
	}
	for _, addr := range []string{"exeat.example:0", "ip6-localhost:0", "localhost.example:0"} {
		if l, err := listen(addr); err == nil {
			l.Close()
			t.Errorf("%s: one of a name's addresses was taken", addr)
		}
	}
}

// TestListenOnBoth serves at both addresses of localhost, and frees both.
func TestListenOnBoth(t *testing.T) {
	six, _ := listenSix(t)
	six.Close()
	for _, addr := range []string{"localhost:0", "127.0.0.1:0", "[::1]:0"} {
		l, err := listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		if !isWhole(l) {
			l.Close()
			continue // somebody has the other port
		}
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ours") }))
		names := hostNames(l.Addr().String(), l)
		for _, host := range names {
			res, err := http.Get("http://" + host)
			if err != nil {
				t.Errorf("%s at %s: %v", addr, host, err)
				continue
			}
			if b, _ := io.ReadAll(res.Body); string(b) != "ours" {
				t.Errorf("%s at %s: %q", addr, host, b)
			}
			res.Body.Close()
		}
		l.Close()
		if _, err := l.Accept(); err == nil {
			t.Error("a closed listener accepts")
		}
		for _, host := range []string{names[1], names[3]} {
			again, err := net.Listen("tcp", host)
			if err != nil {
				t.Errorf("%s is not free after Close: %v", host, err)
				continue
			}
			again.Close()
		}
	}
}
