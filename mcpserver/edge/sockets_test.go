package edge

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestMain is also the child that was started with sockets.
func TestMain(m *testing.M) {
	if os.Getenv("EDGE_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("LISTEN_PID") == "self" { // as systemd sets it, after the fork
		os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
	}
	sockets, err := Sockets("mcp", "inbox")
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	if again, err := Sockets("mcp", "inbox"); len(again) != 0 || err != nil {
		fmt.Println("error: sockets are there twice")
		os.Exit(1)
	}
	if sockets["mcp"] == nil {
		fmt.Println("none:", len(sockets))
		os.Exit(0)
	}
	fmt.Println("serving", sockets["mcp"].Addr(), len(sockets), os.Getenv("LISTEN_FDS"))
	http.Serve(sockets["mcp"], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "from a socket") }))
}

// child starts this program with sockets.
func child(t *testing.T, env string, listeners ...net.Listener) (*exec.Cmd, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append([]string{"EDGE_TEST_CHILD=1"}, strings.Fields(env)...)
	for _, l := range listeners {
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line := make([]byte, 4096)
	n, _ := out.Read(line)
	return cmd, strings.TrimSpace(string(line[:n]))
}

func TestSockets(t *testing.T) {
	tcp := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	a, b := tcp(), tcp()
	_, said := child(t, "LISTEN_PID=self LISTEN_FDS=2 LISTEN_FDNAMES=mcp:inbox", a, b)
	if said != "serving "+a.Addr().String()+" 2" {
		t.Fatal(said)
	}
	a.Close() // the child has it
	c := &http.Client{Timeout: time.Minute}
	if status, body, _ := send(t, c, "GET", "http://"+a.Addr().String()); status != 200 || body != "from a socket" {
		t.Errorf("%d %s", status, body)
	}
	unix, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	for _, tt := range []struct {
		env  string
		ls   []net.Listener
		want string
	}{
		{"", nil, "none: 0"},
		{"LISTEN_PID=1 LISTEN_FDS=1 LISTEN_FDNAMES=mcp", []net.Listener{b}, "none: 0"},
		{"LISTEN_PID=self LISTEN_FDS=0", nil, "none: 0"},
		{"LISTEN_PID=self LISTEN_FDS=x", nil, "error: LISTEN_FDS is"},
		{"LISTEN_PID=self LISTEN_FDS=1000", nil, "error: LISTEN_FDS is"},
		{"LISTEN_PID=self LISTEN_FDS=1", []net.Listener{b}, "FileDescriptorName= in its unit to mcp or inbox"},
		{"LISTEN_PID=self LISTEN_FDS=1 LISTEN_FDNAMES=exeat.socket", []net.Listener{b}, `the socket "exeat.socket" is for nothing here`},
		{"LISTEN_PID=self LISTEN_FDS=2 LISTEN_FDNAMES=mcp:mcp", []net.Listener{b, b}, "two sockets with the name mcp"},
		{"LISTEN_PID=self LISTEN_FDS=1 LISTEN_FDNAMES=mcp", []net.Listener{unix}, "is not TCP"},
		{"LISTEN_PID=self LISTEN_FDS=9 LISTEN_FDNAMES=mcp:a:b:c:d:e:f:g:h", []net.Listener{b}, "error: the socket"},
	} {
		if _, said := child(t, tt.env, tt.ls...); !strings.Contains(said, tt.want) {
			t.Errorf("%s: %s", tt.env, said)
		}
	}
}
