package mcpserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools"
)

var alice = authz.Principal{Type: "User", ID: "alice"}

// newServer serves the pet shop, all of it real.
func newServer(t testing.TB, policy string) *Server {
	t.Helper()
	return offering(t, policy, Config{})
}

// offering is newServer in a mode of its own.
func offering(t testing.TB, policy string, cfg Config) *Server {
	t.Helper()
	shop := httptest.NewServer(petstore.New())
	t.Cleanup(shop.Close)
	return serving(t, "petstore.yaml", petstore.Document, shop.URL, policy, cfg)
}

// serving serves the operations of a document.
func serving(t testing.TB, name string, document []byte, url, policy string, cfg Config) *Server {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	spec := filepath.Join(dir, name)
	if err := os.WriteFile(spec, document, 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Load(ctx, spec, openapi.Options{BaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	var files []authz.PolicyFile
	if policy != "" {
		files = []authz.PolicyFile{{Name: "test.cedar", Text: []byte(policy)}}
	}
	engine, err := authz.New([]authz.API{tools.PolicyAPI(doc)}, files)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.OpenKeys(filepath.Join(dir, "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.Secret("approvals")
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(ctx, filepath.Join(dir, "exeat.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	holds, err := approval.New(approval.Config{Store: st, Engine: engine, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	runner, err := tools.New(tools.Config{
		APIs:   []*tools.API{{Document: doc, Audience: url, Credentials: &token.Signed{Issuer: "http://exeat.test", Keys: keys}}},
		Engine: engine, Store: st, Holds: holds,
		HoldURL: func(id string) string { return "http://inbox.test/h/" + id },
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Runner, cfg.Version, cfg.Local = runner, "test", alice
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve serves MCP over HTTP with the bearer token "secret".
func serve(t testing.TB, s *Server) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.Handler = s.Handler(context.Background(), HTTPConfig{Auth: NewBearer("secret", alice, "it is in the test"),
		JWKS: func() ([]byte, error) { return []byte(`{"keys":[]}`), nil }})
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func TestHTTPClient(t *testing.T) {
	ctx := context.Background()
	srv := serve(t, newServer(t, ""))
	c, err := client.NewStreamableHttpClient(srv.URL+"/mcp", transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer secret"}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = "2025-11-25"
	hello.Params.ClientInfo = mcp.Implementation{Name: "tester", Version: "1"}
	if _, err := c.Initialize(ctx, hello); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	want := "create_pet delete_pet exeat_cancel exeat_holds exeat_preview exeat_resume get_pet get_photo list_pets patch_pet search_pets update_pet upload_photo"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("tools are %s", got)
	}
	call := func(name string, args map[string]any) (map[string]any, *mcp.CallToolResult) {
		t.Helper()
		var req mcp.CallToolRequest
		req.Params.Name, req.Params.Arguments = name, args
		res, err := c.CallTool(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		m, ok := res.StructuredContent.(map[string]any)
		if !ok {
			t.Fatalf("%s gave no structured content: %+v", name, res)
		}
		return m, res
	}
	if m, res := call("get_pet", map[string]any{"petId": 1}); m["status"] != "done" || res.IsError {
		t.Errorf("%v", m)
	}
	if m, res := call("get_pet", map[string]any{"petId": 99}); m["http_status"] != 404.0 || !res.IsError {
		t.Errorf("%v", m)
	}
	m, res := call("delete_pet", map[string]any{"petId": 1})
	if m["status"] != "approval_pending" || res.IsError {
		t.Errorf("%v", m)
	}
	told := make(chan mcp.JSONRPCNotification, 10)
	c.OnNotification(func(n mcp.JSONRPCNotification) {
		select {
		case told <- n:
		default:
		}
	})
	var waiting mcp.CallToolRequest
	waiting.Params.Name, waiting.Params.Arguments = "exeat_resume", map[string]any{"handle": m["handle"], "wait_seconds": 1}
	waiting.Params.Meta = &mcp.Meta{ProgressToken: "p1"}
	if _, err := c.CallTool(ctx, waiting); err != nil {
		t.Fatal(err)
	}
	select {
	case n := <-told:
		if n.Method != "notifications/progress" {
			t.Errorf("told %+v", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("a client that waits was not told")
	}
	if again, _ := call("exeat_resume", map[string]any{"handle": m["handle"]}); again["status"] != "approval_pending" {
		t.Errorf("%v", again)
	}
	if holds, _ := call("exeat_holds", nil); len(holds["holds"].([]any)) != 1 {
		t.Errorf("%v", holds)
	}
	if gone, _ := call("exeat_cancel", map[string]any{"handle": m["handle"]}); gone["status"] != "cancelled" {
		t.Errorf("%v", gone)
	}
	if bad, _ := call("exeat_resume", map[string]any{"handel": 1}); bad["code"] != "invalid_arguments" {
		t.Errorf("%v", bad)
	}
	if none, _ := call("exeat_resume", map[string]any{"handle": "hold_aaaaaaaaaaaaaaaaaaaaaaaaaa"}); none["code"] != "handle_not_found" {
		t.Errorf("%v", none)
	}
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"modern","version":"1"}}`

func TestHTTPRefusals(t *testing.T) {
	srv := serve(t, newServer(t, ""))
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + modernMeta + `}}`
	auth := map[string]string{"Authorization": "Bearer secret", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
	with := func(k, v string) map[string]string {
		m := map[string]string{}
		for a, b := range auth {
			m[a] = b
		}
		m[k] = v
		return m
	}
	tests := []struct {
		name, method, path, body string
		header                   map[string]string
		want                     int
	}{
		{"modern list", "POST", "/mcp", list, auth, 200},
		{"no token", "POST", "/mcp", list, with("Authorization", ""), 401},
		{"wrong token", "POST", "/mcp", list, with("Authorization", "Bearer secreT"), 401},
		{"token in another scheme", "POST", "/mcp", list, with("Authorization", "Basic secret"), 401},
		{"the inbox's cookie", "POST", "/mcp", list, with("Authorization", ""), 401},
		{"a name that a proxy on this machine kept", "POST", "/mcp", list, with("Host", "exeat.example"), 200},
		{"too large", "POST", "/mcp", `{"x":"` + strings.Repeat("a", maxBody) + `"}`, auth, 413},
		{"sessionless notification is dropped", "POST", "/mcp", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, with("Mcp-Method", "notifications/cancelled"), 202},
		{"keys", "GET", "/.well-known/jwks.json", "", nil, 200},
		{"no metadata of endpoints that are not there", "GET", "/.well-known/oauth-authorization-server", "", nil, 404},
		{"nor of a resource", "GET", "/.well-known/oauth-protected-resource/mcp", "", nil, 404},
		{"nor a registration", "POST", "/register", "{}", nil, 404},
		{"a slash at the end", "POST", "/mcp/", list, auth, 200},
		{"the transport of 2024-11-05", "GET", "/sse", "", auth, 405},
		{"the same without an address of its own", "GET", "/mcp", "", auth, 405},
		{"nothing else", "GET", "/", "", auth, 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, srv.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Accept", "application/json, text/event-stream")
			for k, v := range tt.header {
				if k == "Host" {
					req.Host = v
				} else if v != "" {
					req.Header.Set(k, v)
				}
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.want {
				t.Errorf("got %s: %s", resp.Status, body)
			}
			if tt.want == 401 && resp.Header.Get("WWW-Authenticate") == "" {
				t.Error("a 401 without challenge")
			}
		})
	}
}

// pipe serves stdio on a script of lines and returns the answers by id.
func pipe(t *testing.T, s *Server, lines ...string) map[string]map[string]any {
	t.Helper()
	var out bytes.Buffer
	if err := s.ServeStdio(context.Background(), strings.NewReader(strings.Join(lines, "\n")), &out); err != nil {
		t.Fatal(err)
	}
	answers := map[string]map[string]any{}
	scan := bufio.NewScanner(&out)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		var m map[string]any
		if err := json.Unmarshal(scan.Bytes(), &m); err != nil {
			t.Fatalf("stdout has %q: %v", scan.Text(), err)
		}
		answers[fmt.Sprint(m["id"])] = m
	}
	return answers
}

func TestStdioBothEras(t *testing.T) {
	s := newServer(t, "")
	call := func(id int, meta, tool, args string) string {
		if meta != "" {
			meta += ","
		}
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{%s"name":%q,"arguments":%s}}`, id, meta, tool, args)
	}
	legacy := pipe(t, s,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"old","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		call(2, "", "get_pet", `{"petId":1}`),
		call(3, "", "delete_pet", `{"petId":1}`),
		call(4, "", "get_pet", `{"petId":1,"petId":2}`))
	modern := pipe(t, s,
		`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{`+modernMeta+`}}`,
		call(2, modernMeta, "get_pet", `{"petId":1}`),
		call(3, modernMeta, "delete_pet", `{"petId":2}`),
		call(4, modernMeta, "get_pet", `{"petId":9007199254740993}`))
	for era, answers := range map[string]map[string]map[string]any{"legacy": legacy, "modern": modern} {
		want := map[string]string{"2": "done", "3": "approval_pending", "4": "done"}
		if era == "legacy" {
			want["4"] = "failed"
		}
		for id, status := range want {
			result, _ := answers[id]["result"].(map[string]any)
			content, _ := result["structuredContent"].(map[string]any)
			if content["status"] != status {
				t.Errorf("%s %s: %v", era, id, answers[id])
			}
		}
		if answers["1"]["result"] == nil {
			t.Errorf("%s: no greeting: %v", era, answers["1"])
		}
	}
	// Every digit of a large integer reaches the API.
	if b, _ := json.Marshal(modern["4"]); !strings.Contains(string(b), `"http_status":404`) {
		t.Errorf("%s", b)
	}
}

// Arguments as the text of an object are that object: what is parsed is what is
// decided, digested and held, with the strictness of arguments that come as they should.
func TestArgumentsAsText(t *testing.T) {
	s := offering(t, "", Config{Mode: Search, Pinned: []string{"delete_pet"}})
	call := func(id int, tool, args string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{%s,"name":%q,"arguments":%s}}`, id, modernMeta, tool, args)
	}
	got := pipe(t, s,
		call(1, "delete_pet", `{"petId":1}`),
		call(2, "delete_pet", `"{\"petId\":1}"`),
		call(3, "call_tool", `{"name":"delete_pet","arguments":"{\"petId\":1}"}`),
		call(4, "call_tool", `"{\"name\":\"delete_pet\",\"arguments\":{\"petId\":1}}"`),
		call(5, "exeat_preview", `{"tool":"delete_pet","arguments":{"petId":1}}`),
		call(6, "exeat_preview", `{"tool":"delete_pet","arguments":"{\"petId\":1}"}`),
		call(7, "delete_pet", `"{\"petId\":1,\"petId\":2}"`),
		call(8, "call_tool", `{"name":"delete_pet","arguments":"{\"petId\":1,\"PetId\":2}"}`),
		call(9, "exeat_preview", `{"tool":"delete_pet","arguments":"[1]"}`),
		call(10, "call_tool", `{"name":"delete_pet","arguments":"{\"petId\":1} {}"}`),
		call(11, "call_tool", `{"name":"delete_pet","arguments":"\"{}\""}`))
	content := func(id int) map[string]any {
		result, _ := got[fmt.Sprint(id)]["result"].(map[string]any)
		content, _ := result["structuredContent"].(map[string]any)
		return content
	}
	for _, id := range []int{2, 3, 4} {
		if content(1)["handle"] == nil || content(id)["handle"] != content(1)["handle"] {
			t.Errorf("%d is another call: %v, want %v", id, content(id), content(1))
		}
	}
	if diff := cmp.Diff(content(5)["response"], content(6)["response"]); diff != "" || content(5)["response"] == nil {
		t.Errorf("%s %v", diff, content(5))
	}
	for _, id := range []int{7, 8, 9, 10, 11} {
		if content(id)["code"] != "invalid_arguments" {
			t.Errorf("%d: %v", id, content(id))
		}
	}
}

func TestListIsPerPrincipal(t *testing.T) {
	s := newServer(t, `permit (principal, action == Petstore::Action::"get_pet", resource); permit (principal == User::"bob", action, resource);`)
	got := pipe(t, s,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+modernMeta+`}}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{`+modernMeta+`,"name":"delete_pet","arguments":{"petId":1}}}`)
	b, err := json.Marshal(got["1"])
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b); !strings.Contains(text, `"get_pet"`) || strings.Contains(text, `"delete_pet"`) {
		t.Errorf("%s", text)
	}
	if got["2"]["error"] == nil {
		t.Errorf("a tool that is not listed was called: %v", got["2"])
	}
}

func TestPanicIsASentence(t *testing.T) {
	s := newServer(t, "")
	var seen string
	s.OnPanic = func(tool string, v any) { seen = fmt.Sprint(tool, v) }
	boom := &served{handle: func(context.Context, toolCall) tools.Result { panic("secret inside") }}
	res := s.run(context.Background(), boom, toolCall{name: "boom"})
	if b := res.JSON(); !res.IsError() || strings.Contains(string(b), "secret") || seen != "boomsecret inside" {
		t.Errorf("%s %q", b, seen)
	}
}
