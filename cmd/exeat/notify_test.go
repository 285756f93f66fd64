package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/examples/petstore"
)

// From a tool call to a chat and a machine: what they get holds no argument, and
// what exeat prints and stores holds no URL of theirs.
func TestHeldCallIsTold(t *testing.T) {
	type post struct{ path, body string }
	told := make(chan post, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		told <- post{r.URL.Path, string(body)}
		if r.URL.Path == "/s3cr3t-down" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer srv.Close()
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	t.Setenv("CHAT", "generic+"+srv.URL+"/s3cr3t-chat?template=json")
	t.Setenv("DOWN", "generic+"+srv.URL+"/s3cr3t-down?template=json")
	t.Setenv("HOOK", srv.URL+"/s3cr3t-hook")
	t.Setenv("HOOK_KEY", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	file := filepath.Join(dir, "exeat.yaml")
	for name, text := range map[string]string{"petstore.yaml": string(petstore.Document), "exeat.yaml": `
apis: [{spec: petstore.yaml, base_url: 'http://127.0.0.1:1'}]
listen: 127.0.0.1:0
inbox: {listen: '127.0.0.1:0', push: alice@example.com}
notify:
  - {name: chat, url_env: CHAT}
  - {name: siem, url_env: HOOK, secret_env: HOOK_KEY}
  - {name: down, url_env: DOWN}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	printed := &watched{want: regexp.MustCompile(`MCP at (\S+) with a bearer token, kept in (\S+)/bearer\.secret`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"http", "--config", file}, strings.NewReader(""), printed, printed)
	}()
	var m []string
	select {
	case m = <-printed.found:
	case code := <-ended:
		t.Fatalf("ended with %d: %s", code, printed.text.String())
	}
	c, err := client.NewStreamableHttpClient(m[1], transport.WithHTTPHeaders(map[string]string{"Authorization": bearerIn(t, m[2])}))
	if err != nil {
		t.Fatal(err)
	}
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = "2025-11-25"
	hello.Params.ClientInfo = mcp.Implementation{Name: "evil <!channel> [x](http://evil.example)", Version: "1"}
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Initialize(ctx, hello); err != nil {
		t.Fatal(err)
	}
	var call mcp.CallToolRequest
	call.Params.Name, call.Params.Arguments = "delete_pet", map[string]any{"petId": 424242}
	if _, err := c.CallTool(ctx, call); err != nil {
		t.Fatal(err)
	}
	printed.mu.Lock()
	printed.want, printed.found = regexp.MustCompile(`the channel down answered with status 500`), make(chan []string, 1)
	warned := printed.found
	printed.mu.Unlock()
	for range 3 {
		p := <-told
		for _, bad := range []string{"424242", "<!", "evil.example"} {
			if strings.Contains(p.body, bad) {
				t.Errorf("%s got %q in %s", p.path, bad, p.body)
			}
		}
		var v struct{ Message string }
		if err := json.Unmarshal([]byte(p.body), &v); err != nil {
			t.Error(err)
		}
		if p.path != "/s3cr3t-hook" && !regexp.MustCompile(`^Delete pet \(petstore\)\nAsked by evil channel .*\n\d+ min left to decide.\nhttp://127.0.0.1:\d+/h/hold_\w+$`).MatchString(v.Message) {
			t.Errorf("%s got %q", p.path, v.Message)
		}
	}
	fmt.Fprintln(printed) // looks again at what is printed
	<-warned
	c.Close()
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("ended with %d", code)
	}
	if text := printed.text.String(); strings.Contains(text, "s3cr3t") {
		t.Error(text)
	}
	for _, name := range []string{"exeat.db", "exeat.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, "exeat", name))
		if err == nil && strings.Contains(string(b), "s3cr3t") {
			t.Errorf("%s holds the secret", name)
		}
	}
}
