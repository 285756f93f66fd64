package reach

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestReach(t *testing.T) {
	none, err := New(net.Dialer{})
	if err != nil {
		t.Fatal(err)
	}
	some, err := New(net.Dialer{}, "10.1.0.0/16", "fd00:1::/32")
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string][2]bool{
		"8.8.8.8": {true, true}, "2606:4700::1111": {true, true}, "127.0.0.1": {}, "::1": {}, "10.1.2.3": {false, true}, "10.2.0.1": {}, "192.168.1.1": {}, "172.16.0.1": {},
		"169.254.169.254": {}, "fe80::1": {}, "fd00:1::5": {false, true}, "fc00::1": {}, "100.64.0.1": {}, "0.0.0.0": {}, "::": {}, "224.0.0.1": {}, "ff02::1": {}, "255.255.255.255": {},
		"::ffff:10.2.0.1": {}, "::ffff:8.8.8.8": {true, true}, "::ffff:10.1.2.3": {false, true}, "64:ff9b::a02:1": {}, "2002:a00:1::": {}, "198.18.0.1": {}, "240.0.0.1": {}, "2001::1": {},
	} {
		a := netip.MustParseAddr(ip)
		if got := [2]bool{none.open(a), some.open(a)}; got != want {
			t.Errorf("%s: %v, want %v", ip, got, want)
		}
	}
	for _, bad := range []string{"", "a b", "a/b", "https://", "10.0.0.0/99"} {
		if _, err := New(net.Dialer{}, bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// names is a DNS server that knows every name as 127.0.0.1.
func names(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			// The header, then one question: labels, type and class (RFC 1035 §4.1).
			end := 12
			for end < n && buf[end] != 0 {
				end += 1 + int(buf[end])
			}
			if end += 5; end > n {
				continue
			}
			out := append([]byte{buf[0], buf[1], 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}, buf[12:end]...)
			if buf[end-3] == 1 { // type A
				out[7] = 1
				out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1)
			}
			conn.WriteTo(out, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// A public name that leads to this machine is not dialled, unless it was named.
func TestReachDials(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	dialer := net.Dialer{Timeout: 30 * time.Second, Resolver: names(t)}
	for _, tt := range []struct {
		named []string
		host  string
		good  bool
	}{
		{nil, "api.example.com", false},
		{nil, "127.0.0.1", false},
		{nil, "localhost", false},
		{[]string{"api.example.com"}, "api.example.com", true},
		{[]string{"https://API.example.com/v1"}, "api.example.com", true},
		{[]string{"api.example.com"}, "evil.example.com", false},
		{[]string{"127.0.0.0/8"}, "api.example.com", true},
		{[]string{"http://127.0.0.1:" + port}, "127.0.0.1", true},
		{[]string{"http://127.0.0.1:" + port}, "api.example.com", false},
	} {
		r, err := New(dialer, tt.named...)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := r.DialContext(t.Context(), "tcp", net.JoinHostPort(tt.host, port))
		if err == nil {
			conn.Close()
		}
		var unreached *UnreachedError
		if (err == nil) != tt.good || err != nil && !errors.As(err, &unreached) {
			t.Errorf("%v, %s: %v", tt.named, tt.host, err)
		}
	}
}
