package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// watched is what a command prints, with a signal when a pattern has come.
type watched struct {
	mu    sync.Mutex
	text  strings.Builder
	want  *regexp.Regexp
	found chan []string
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(b)
	if m := w.want.FindStringSubmatch(w.text.String()); m != nil {
		select {
		case w.found <- m:
		default:
		}
	}
	return len(b), nil
}

// serving is an `exeat http` that runs.
type serving struct {
	printed *watched
	end     func() int // stops it and gives its exit code
	url     string
	auth    string
}

// bearerIn is the header that clients send to an exeat with that key folder.
func bearerIn(t *testing.T, keys string) string {
	t.Helper()
	var out strings.Builder
	if code := execute(t.Context(), []string{"keys", "bearer", "--keys", keys}, strings.NewReader(""), &out, &out); code != 0 {
		t.Fatalf("exeat keys bearer ended with %d: %s", code, &out)
	}
	return "Bearer " + strings.TrimSpace(out.String())
}

// startHTTP runs `exeat http` on the pet shop's document and waits until it serves.
func startHTTP(t *testing.T, spec, listen string, more ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	printed := &watched{want: regexp.MustCompile(`MCP at (\S+) with a bearer token, kept in (\S+)/bearer\.secret`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, append([]string{"http", spec, "--base-url", "http://127.0.0.1:1", "--listen", listen, "--inbox-listen", "127.0.0.1:0"}, more...),
			strings.NewReader(""), printed, printed)
	}()
	end := sync.OnceValue(func() int { cancel(); return <-ended })
	select {
	case m := <-printed.found:
		t.Cleanup(func() { end() })
		return &serving{printed: printed, end: end, url: m[1], auth: bearerIn(t, m[2])}
	case code := <-ended:
		cancel()
		t.Fatalf("ended with %d: %s", code, printed.text.String())
		return nil
	}
}

// startConfigured runs `exeat http` as a file says, and waits until it serves.
func startConfigured(t *testing.T, file string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	printed := &watched{want: regexp.MustCompile(`MCP at (\S+) with`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"http", "--config", file}, strings.NewReader(""), printed, printed)
	}()
	end := sync.OnceValue(func() int { cancel(); return <-ended })
	select {
	case m := <-printed.found:
		t.Cleanup(func() { end() })
		return &serving{printed: printed, end: end, url: m[1]}
	case code := <-ended:
		cancel()
		t.Fatalf("ended with %d: %s", code, printed.text.String())
		return nil
	}
}

// connect is mcp-go's own client, with a session of the old era.
func (s *serving) connect(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.NewStreamableHttpClient(s.url, transport.WithHTTPHeaders(map[string]string{"Authorization": s.auth}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = "2025-11-25"
	hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Initialize(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	return c
}

// petstoreFile writes the pet shop's document into a folder of the test's own,
// where exeat's files go, too.
func petstoreFile(t *testing.T) (spec string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	spec = filepath.Join(dir, "petstore.yaml")
	if err := os.WriteFile(spec, petstore.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	return spec
}

// The README's second command, from its start to a client's call and its end.
func TestHTTPCommand(t *testing.T) {
	s := startHTTP(t, petstoreFile(t), "127.0.0.1:0")
	list, err := s.connect(t).ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil || len(list.Tools) != 13 {
		t.Errorf("%d tools: %v", len(list.Tools), err)
	}
	if code := s.end(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	for _, line := range []string{"9 tools (4 read, 5 write)", "the built-in default", "log in once", "search_pets counts as a read"} {
		if !strings.Contains(s.printed.text.String(), line) {
			t.Errorf("the start does not say %q: %s", line, s.printed.text.String())
		}
	}
}

// A client that exeat was restarted under goes on: most clients never send
// initialize again.
func TestClientsOutliveARestart(t *testing.T) {
	spec := petstoreFile(t)
	first := startHTTP(t, spec, "127.0.0.1:0")
	c := first.connect(t)
	if code := first.end(); code != 0 {
		t.Fatalf("ended with %d", code)
	}
	u, err := url.Parse(first.url)
	if err != nil {
		t.Fatal(err)
	}
	startHTTP(t, spec, u.Host)
	list, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil || len(list.Tools) != 13 {
		t.Errorf("%+v: %v", list, err)
	}
}

// What is wrong with the input is said before what is wrong with the machine.
func TestMissingDocumentBeforeBusyPort(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	addr := busy.Addr().String()
	for _, args := range [][]string{{"http", "--listen", addr}, {"http", "--listen", "127.0.0.1:0", "--inbox-listen", addr}, {"stdio", "--inbox-listen", addr}, {"inbox", "--inbox-listen", addr}} {
		var out, errOut bytes.Buffer
		code := execute(t.Context(), append(args, "missing.yaml"), strings.NewReader(""), &out, &errOut)
		if code != 2 || !strings.Contains(errOut.String(), "missing.yaml") {
			t.Errorf("%q: %d %s", args, code, &errOut)
		}
	}
	var out, errOut bytes.Buffer
	code := execute(t.Context(), []string{"http", petstoreFile(t), "--base-url", "http://127.0.0.1:1", "--listen", addr, "--api-key-env", "NOT_SET"}, strings.NewReader(""), &out, &errOut)
	if code != 2 || !strings.Contains(errOut.String(), "NOT_SET") {
		t.Errorf("%d %s", code, &errOut)
	}
	errOut.Reset()
	code = execute(t.Context(), []string{"http", petstoreFile(t), "--base-url", "http://127.0.0.1:1", "--listen", addr}, strings.NewReader(""), &out, &errOut)
	if code != 2 || !strings.Contains(errOut.String(), "address already in use; stop what uses the port") {
		t.Errorf("%d %s", code, &errOut)
	}
}

// Who waits for a database that another program keeps locked is told so.
func TestLockedDatabaseIsNotSilent(t *testing.T) {
	patience = 0
	defer func() { patience = 2 * time.Second }()
	path := filepath.Join(t.TempDir(), "exeat.db")
	s := storetest.OpenAt(t, path)
	printed := &watched{want: regexp.MustCompile(`waiting for the database \S+: another program may keep it locked`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	if err := s.Update(t.Context(), func(*store.Tx) error {
		go func() {
			ended <- execute(t.Context(), []string{"audit", "tail", "--db", path}, strings.NewReader(""), printed, printed)
		}()
		<-printed.found
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != 0 {
		t.Errorf("%d: %s", code, printed.text.String())
	}
}

// A terminal that closes does not end a server, and one that was told to read its
// configuration again says that it does not.
func TestHangup(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := newStage(t)
	printed := &watched{want: regexp.MustCompile(`SIGHUP: exeat goes on`), found: make(chan []string, 1)}
	cmd := s.exeat("inbox", printed)
	ready := &watched{want: regexp.MustCompile(`people decide at`), found: make(chan []string, 1)}
	cmd.Stderr = io.MultiWriter(printed, ready)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	<-ready.found
	for range 2 {
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		<-printed.found
	}
	if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
		t.Error(err)
	}
}

// TestBearerRotates makes a new bearer token while exeat serves: no start prints
// one, the old one is refused at once and the new one is taken.
func TestBearerRotates(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_STATE_HOME", home)
	spec := filepath.Join(t.TempDir(), "petstore.yaml")
	if err := os.WriteFile(spec, petstore.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	s := startHTTP(t, spec, "127.0.0.1:0")
	keys := filepath.Join(home, "exeat", "keys")
	old := bearerIn(t, keys)
	var out strings.Builder
	if code := execute(t.Context(), []string{"keys", "bearer", "--rotate"}, strings.NewReader(""), &out, &out); code != 0 {
		t.Fatalf("exit %d: %s", code, &out)
	}
	fresh := bearerIn(t, keys)
	if fresh == old || "Bearer "+out.String() != fresh+"\n" {
		t.Errorf("rotated from %q to %q, and printed %q", old, fresh, &out)
	}
	for bearer, want := range map[string]int{old: http.StatusUnauthorized, fresh: http.StatusOK} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", bearer)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%q was answered with %d, want %d", bearer, res.StatusCode, want)
		}
	}
	s.end()
	for _, secret := range []string{old, fresh} {
		if strings.Contains(s.printed.text.String(), strings.TrimPrefix(secret, "Bearer ")) {
			t.Error("the start printed the bearer token")
		}
	}
}
