package reach

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
)

// pair listens at both addresses of localhost with one port, or skips the test.
func pair(t *testing.T) (four, six net.Listener, port string) {
	t.Helper()
	for range 10 {
		four, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(four.Addr().String())
		six, err := net.Listen("tcp", "[::1]:"+port)
		if err == nil {
			t.Cleanup(func() { four.Close(); six.Close() })
			return four, six, port
		}
		four.Close()
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Skip("no IPv6 here")
		}
	}
	t.Skip("no free pair of ports")
	return nil, nil, ""
}

// TestDialLocalhost reaches whoever is there alone, and of two who are one user's
// either; not two who may be different users'.
func TestDialLocalhost(t *testing.T) {
	four, six, port := pair(t)
	dial := func(host string) (string, error) {
		conn, err := Dial(t.Context(), net.Dialer{}, "tcp", net.JoinHostPort(host, port))
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return conn.RemoteAddr().String(), nil
	}
	if _, err := dial("localhost"); err != nil && sameOwner(port) {
		t.Errorf("both are ours: %v", err)
	}
	six.Close()
	for _, host := range []string{"localhost", "LOCALHOST.", "api.localhost"} {
		if got, err := dial(host); got != four.Addr().String() {
			t.Errorf("%s: %q, %v; only 127.0.0.1 listens", host, got, err)
		}
	}
	four.Close()
	if _, err := dial("localhost"); !nobody(err) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestListeners(t *testing.T) {
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(address, state, uid string) string {
		return "   0: " + address + " 00000000:0000 " + state + " 00000000:00000000 00:00000000 00000000  " + uid + "        0 1 1\n"
	}
	for name, c := range map[string]struct {
		table string
		want  int
	}{
		"one":             {line("0100007F:20E6", "0A", "1000"), 1},
		"two of one user": {line("0100007F:20E6", "0A", "1000") + line("00000000000000000000000001000000:20E6", "0A", "1000"), 1},
		"two users":       {line("0100007F:20E6", "0A", "1000") + line("00000000000000000000000001000000:20E6", "0A", "1001"), 2},
		"everywhere":      {line("00000000000000000000000000000000:20E6", "0A", "1000") + line("0100007F:20E6", "0A", "0"), 2},
		"another port":    {line("0100007F:20E7", "0A", "1000"), 0},
		"a connection":    {line("0100007F:20E6", "01", "1000"), 0},
		"another address": {line("0101A8C0:20E6", "0A", "1000"), 0},
		"nonsense":        {"x\n: : :\n", 0},
	} {
		owners := map[string]bool{}
		addListeners(owners, io.MultiReader(strings.NewReader(header), strings.NewReader(c.table)), "8422")
		if len(owners) != c.want {
			t.Errorf("%s: %d owners, want %d", name, len(owners), c.want)
		}
	}
}
