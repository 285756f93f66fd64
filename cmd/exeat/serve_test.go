package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/examples/petstore"
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

// The README's second command, from its start to a client's call and its end.
func TestHTTPCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	spec := filepath.Join(dir, "petstore.yaml")
	if err := os.WriteFile(spec, petstore.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	printed := &watched{want: regexp.MustCompile(`MCP at (\S+) with the header  Authorization: (Bearer \S+)`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"http", spec, "--base-url", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--inbox-listen", "127.0.0.1:0"},
			strings.NewReader(""), printed, printed)
	}()
	var m []string
	select {
	case m = <-printed.found:
	case code := <-ended:
		t.Fatalf("ended with %d: %s", code, printed.text.String())
	}
	c, err := client.NewStreamableHttpClient(m[1], transport.WithHTTPHeaders(map[string]string{"Authorization": m[2]}))
	if err != nil {
		t.Fatal(err)
	}
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = "2025-11-25"
	hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Initialize(ctx, hello); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil || len(list.Tools) != 13 {
		t.Errorf("%d tools: %v", len(list.Tools), err)
	}
	c.Close()
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("ended with %d", code)
	}
	for _, line := range []string{"9 tools (4 read, 5 write)", "the built-in default", "log in once", "search_pets counts as a read"} {
		if !strings.Contains(printed.text.String(), line) {
			t.Errorf("the start does not say %q: %s", line, printed.text.String())
		}
	}
}
