package mcpserver

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the answers into testdata/wire")

// TestWire plays the transcripts of testdata/wire: what exeat answers to messages
// and requests that it does not pass on, byte for byte. A request is sent over
// its own connection as it stands, with Host, Content-Length and {session} filled in;
// of the answer, the headers that matter are shown.
func TestWire(t *testing.T) {
	files, err := filepath.Glob("testdata/wire/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(filepath.Base(file), "stdio") {
				playStdio(t, a)
			} else {
				playHTTP(t, a)
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// wireServer lists tools, or searches them in transcripts that say so.
func wireServer(t *testing.T) *Server {
	if strings.HasSuffix(t.Name(), "_search") {
		return offering(t, "", Config{Mode: Search, Pinned: []string{"list_pets"}})
	}
	return newServer(t, "")
}

func playStdio(t *testing.T, a *txtar.Archive) {
	c := converse(t, t.Context(), wireServer(t))
	for i := 0; i+1 < len(a.Files); i += 2 {
		c.say(strings.TrimSpace(string(a.Files[i].Data)))
		got, err := c.out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		check(t, a, i, []byte(got))
	}
}

func playHTTP(t *testing.T, a *txtar.Archive) {
	srv := serve(t, wireServer(t))
	addr := srv.Listener.Addr().String()
	var id string
	for i := 0; i+1 < len(a.Files); i += 2 {
		head, body, _ := bytes.Cut(a.Files[i].Data, []byte("\n\n"))
		body = bytes.TrimSuffix(body, []byte("\n"))
		raw := strings.ReplaceAll(strings.ReplaceAll(string(head), "{session}", id), "\n", "\r\n")
		if !strings.Contains(raw, "\r\nHost:") {
			raw += "\r\nHost: " + addr
		}
		raw += fmt.Sprintf("\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		resp := exchange(t, addr, raw)
		if v := resp.Header.Get("Mcp-Session-Id"); v != "" {
			id = v
		}
		check(t, a, i, shown(t, resp))
	}
}

func exchange(t *testing.T, addr, raw string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func shown(t *testing.T, resp *http.Response) []byte {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintln(&b, resp.Status)
	for _, name := range []string{"Allow", "Content-Type", "Mcp-Session-Id", "Retry-After", "Www-Authenticate"} {
		if v := resp.Header.Get(name); v != "" {
			if name == "Mcp-Session-Id" {
				v = "{session}"
			}
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintln(&b)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(body)
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

func check(t *testing.T, a *txtar.Archive, i int, got []byte) {
	t.Helper()
	if *update {
		a.Files[i+1].Data = slices.Clone(got)
	} else if diff := cmp.Diff(string(a.Files[i+1].Data), string(got)); diff != "" {
		t.Errorf("%s: %s", a.Files[i].Name, diff)
	}
}
