package reach

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// localhost are the addresses that the name leads to, whatever a resolver says
// (RFC 6761 §6.3).
var localhost = []string{"127.0.0.1", "::1"}

// IsLocalhost reports whether a host is the name of this machine, which is two
// addresses: two users of the machine can have one each.
func IsLocalhost(host string) bool {
	host = hostName(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// ErrTwoUsers is that two users of this machine may each have one half of localhost.
var ErrTwoUsers = errors.New("localhost is two addresses, and different users may listen at each")

// Dial dials as d does, except for localhost: if both of its addresses answer, and
// they are not known to be one user's, it dials neither.
func Dial(ctx context.Context, d net.Dialer, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !IsLocalhost(host) {
		return d.DialContext(ctx, network, address)
	}
	var open []net.Conn
	var failed []error
	for _, ip := range localhost {
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(ip, port))
		switch {
		case err == nil:
			open = append(open, conn)
		case nobody(err):
			failed = append(failed, err)
		default: // somebody may be there, and may be who was meant
			failed = append(failed, err)
			for _, c := range open {
				c.Close()
			}
			return nil, errors.Join(failed...)
		}
	}
	switch {
	case len(open) == 0:
		return nil, errors.Join(failed...)
	case len(open) == 1 || sameOwner(port):
		for _, c := range open[1:] {
			c.Close()
		}
		return open[0], nil
	}
	for _, c := range open {
		c.Close()
	}
	return nil, fmt.Errorf("%w of 127.0.0.1:%s and [::1]:%[2]s: write the address that is meant", ErrTwoUsers, port)
}

// Within is Dial with a time-out for a connection, as transports want it.
func Within(timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return Dial(ctx, net.Dialer{Timeout: timeout}, network, address)
	}
}

// nobody reports an error that says that no program listens at an address.
func nobody(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EADDRNOTAVAIL) ||
		errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH)
}

// sameOwner reports whether all that listens at a port of localhost is known to
// be one user's. Only Linux tells.
func sameOwner(port string) bool {
	owners := map[string]bool{}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if err != nil {
			return false
		}
		addListeners(owners, f, port)
		f.Close()
	}
	return len(owners) == 1
}

// local are the addresses of localhost as Linux writes them, and those that take
// every address.
var local = map[string]bool{
	"0100007F": true, "00000000": true,
	"00000000000000000000000001000000": true, "00000000000000000000000000000000": true,
	"0000000000000000FFFF00000100007F": true, "0000000000000000FFFF000000000000": true,
}

// addListeners adds the users who listen at a port of localhost, of a table in the
// form of /proc/net/tcp.
func addListeners(owners map[string]bool, table io.Reader, port string) {
	want, err := net.LookupPort("tcp", port)
	if err != nil {
		return
	}
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		// sl local_address rem_address st tx:rx tr:when retrnsmt uid …; 0A is LISTEN
		f := strings.Fields(lines.Text())
		if len(f) < 8 || f[3] != "0A" {
			continue
		}
		if ip, hex, ok := strings.Cut(f[1], ":"); ok && local[ip] && hex == fmt.Sprintf("%04X", want) {
			owners[f[7]] = true
		}
	}
}
