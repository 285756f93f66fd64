package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// postCall makes a tool call of the new era and returns what came.
func (s *serving) postCall(t *testing.T, auth, tool, args string) (int, string) {
	t.Helper()
	resp, body := s.post(t, auth, tool, args)
	return resp.StatusCode, body
}

func (s *serving) post(t *testing.T, auth, tool, args string) (*http.Response, string) {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + args + `,` +
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"token:bob","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"Authorization": auth, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool} {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// old sends a message of the old era.
func (s *serving) old(t *testing.T, auth, session, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"Authorization": auth, "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Session-Id": session} {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// begin begins a session of the old era.
func (s *serving) begin(t *testing.T, auth string) string {
	t.Helper()
	return s.old(t, auth, "", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`).Header.Get("Mcp-Session-Id")
}

// Two people with a token each are two principals with an agent each that nobody
// can pretend to be, beside the one whose exeat it is; and a token that is taken
// back while exeat runs is refused at once.
func TestTokensOverHTTP(t *testing.T) {
	spec := petstoreFile(t)
	policy := filepath.Join(filepath.Dir(spec), "p.cedar")
	if err := os.WriteFile(policy, []byte(`
@id("bob-by-his-own-agent") permit (principal == User::"bob", action == Petstore::Action::"get_pet", resource)
  when { context.agent == Agent::"token:bob" && context.agent.verified };
@id("reports") permit (principal == Workload::"report", action == Petstore::Action::"list_pets", resource);
`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startHTTP(t, spec, "127.0.0.1:0", "--policy", policy)
	tokens := func(args ...string) string {
		var out, errOut strings.Builder
		if code := execute(t.Context(), append([]string{"tokens"}, args...), strings.NewReader(""), &out, &errOut); code != 0 {
			t.Fatalf("%v: %s", args, &errOut)
		}
		return "Bearer " + strings.TrimSpace(out.String())
	}
	bob, report := tokens("add", "bob", "--user", "bob"), tokens("add", "report", "--workload", "report")
	other := tokens("add", "bob-other", "--user", "bob")
	get, list := `{"petId":1}`, `{}`
	// Nothing serves the API: what may go is "upstream_unreachable".
	for _, c := range []struct{ name, auth, tool, args, want string }{
		{"bob reads", bob, "get_pet", get, "upstream_unreachable"},
		{"bob by another agent", other, "get_pet", get, "tool not found"},
		{"the owner's agent that calls itself token:bob", s.auth, "get_pet", get, "tool not found"},
		{"the report lists", report, "list_pets", list, "upstream_unreachable"},
		{"the report reads", report, "get_pet", get, "tool not found"},
		{"bob lists", bob, "list_pets", list, "tool not found"},
	} {
		if status, got := s.postCall(t, c.auth, c.tool, c.args); !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s, want %s", c.name, status, got, c.want)
		}
	}
	// A session of one agent is none for another agent of the same person.
	own := s.begin(t, bob)
	for auth, want := range map[string]int{bob: http.StatusOK, other: http.StatusNotFound, s.auth: http.StatusNotFound, report: http.StatusNotFound} {
		if resp := s.old(t, auth, own, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`); resp.StatusCode != want {
			t.Errorf("bob's agent's session by %.12s…: %s, want %d", auth, resp.Status, want)
		}
	}
	// A list that cannot be read lets nobody in, and both sides learn that.
	file := filepath.Join(filepath.Dir(spec), "exeat", "keys", "tokens.json")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if resp, got := s.post(t, bob, "get_pet", get); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got, "cannot be checked now") ||
		resp.Header.Get("WWW-Authenticate") != "" || !strings.Contains(s.log(), "tokens.json: unexpected EOF") {
		t.Errorf("half a list: %s %s\n%s", resp.Status, got, s.log())
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	tokens("revoke", "bob")
	if status, got := s.postCall(t, bob, "get_pet", get); status != http.StatusUnauthorized || !strings.Contains(got, "invalid_token") {
		t.Errorf("revoked: %d %s", status, got)
	}
}
