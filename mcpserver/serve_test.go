package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/tools"
)

// tester is the same agent by any session.
var tester = tools.Caller{Principal: alice, Agent: authz.Agent{ID: "oauth:test", Verified: true}, Session: authz.Session{Transport: "http"}}

// twin serves each message twice: as exeat does, and by mcp-go alone.
type twin struct{ front *front }

func newTwin(t testing.TB, s *Server) twin {
	return twin{newFront(t.Context(), s, HTTPConfig{})}
}

// play compares what a client gets.
func (w twin) play(t testing.TB, body string, header http.Header) (status int, text string) {
	t.Helper()
	m, bad := parseMessage([]byte(body))
	if bad != nil || m.id == nil || m.method == "" {
		return 0, ""
	}
	ctx := withCaller(context.Background(), tester)
	ask := func(h http.Handler, body []byte) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/mcp", bytes.NewReader(body)).WithContext(ctx)
		r.Header = header.Clone()
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	got, want := ask(w.front, []byte(body)), ask(w.front.endpoint, m.wire())
	if strings.Contains(want.Body.String(), `"message":"unparsable `) {
		return 0, "" // mcp-go's decoder on numbers beyond a double, which the runner refuses in the tool's own form
	}
	if diff := cmp.Diff(want.Body.String(), got.Body.String()); diff != "" || got.Code != want.Code || got.Header().Get("Content-Type") != want.Header().Get("Content-Type") {
		t.Errorf("%s %v\n%d, not %d as from mcp-go: %s", body, header, got.Code, want.Code, diff)
	}
	if n := got.Header().Get("Content-Length"); n != "" && n != fmt.Sprint(got.Body.Len()) {
		t.Errorf("%s: Content-Length is %s of %d", body, n, got.Body.Len())
	}
	return got.Code, got.Body.String()
}

// session is the header of a session.
func (w twin) headers(version string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	if version != "" {
		h["Mcp-Protocol-Version"] = []string{version}
	}
	if version != "2026-07-28" {
		h[sessionName] = []string{w.front.sessions.seal(newSession("2025-11-25", "test"), ownerOf(tester))}
	}
	return h
}

// odd answers with what is hard to write.
func odd(s *Server) {
	s.tools["get_pet"].handle = func(_ context.Context, c toolCall) tools.Result {
		res := tools.Result{Envelope: tools.Envelope{Status: tools.Done, HTTPStatus: 200, Response: json.RawMessage(c.args),
			Note: "<b> & \"q\" \\ \t \b \u2028 \u2029 \u00e9 \U0001F600 \x7f"}}
		switch {
		case bytes.Contains(c.args, []byte("blocks")):
			res.Blocks = []tools.Block{{MediaType: "image/png", Data: []byte{0, 255}}, {MediaType: "audio/ogg", Data: []byte("a")}, {MediaType: "a/<b>", Data: nil}}
		case bytes.Contains(c.args, []byte("final")):
			res.Disposition = "approved"
		case bytes.Contains(c.args, []byte("failed")):
			res.Envelope.HTTPStatus = 404
		}
		return res
	}
}

// hidden is a policy that hides update_pet, and holds what deletes.
const hidden = `
@id("yes") permit (principal, action, resource) unless { action == Petstore::Action::"delete_pet" && !(context has approval) };
@id("no") forbid (principal, action == Petstore::Action::"update_pet", resource);`

// TestServe: nobody can tell an answer of exeat from one of mcp-go.
func TestServe(t *testing.T) {
	for _, mode := range []Mode{All, Search} {
		s := offering(t, hidden, Config{Limits: unlimited, Mode: mode, Pinned: []string{"get_pet"}})
		w := newTwin(t, s)
		for _, id := range []string{`1`, `-7`, `"a"`, `"<\u0061\"\\&é"`, `"\ud800"`, `""`} {
			for _, version := range []string{"2025-11-25", "2025-06-18", "", "1999-01-01", "2026-07-28", "2099-01-01"} {
				for _, params := range []string{
					`"name":"list_pets","arguments":{"limit":2}`, `"name":"list_pets"`, `"name":"delete_pet","arguments":{"petId":1}`,
					`"name":"list_pets","arguments":"{\"limit\":1}"`, `"name":"list_pets","arguments":{"limit":1,"limit":2}`,
					`"name":"update_pet","arguments":{}`, `"name":"none<"`, `"name":"exeat_holds","arguments":{}`, `"name":"exeat_resume","arguments":{"handle":"x"}`,
					`"name":"find_tools","arguments":{"query":"pet"}`, `"name":"get_photo","arguments":{"petId":1}`, `"name":"get_pet","arguments":{"petId":99}`,
				} {
					for _, method := range []string{"tools/call", "tools/list", "ping"} {
						h := w.headers(version)
						meta := ""
						if version >= "2026" {
							meta = strings.ReplaceAll(modernMeta, "2026-07-28", version) + ","
							h["Mcp-Method"] = []string{method}
							if method == "tools/call" {
								name, _, _ := strings.Cut(strings.TrimPrefix(params, `"name":"`), `"`)
								h["Mcp-Name"] = []string{name}
							}
						}
						w.play(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{%s%s}}`, id, method, meta, params), h)
					}
				}
			}
		}
		odd(s)
		for _, args := range []string{`{"a":"<>&\u2028\\\""}`, `{"a":[9007199254740993,-9007199254740993,1e300,0.00000000000000001],"9007199254740993":"12345678901234567890"}`,
			`{"blocks":1}`, `{"final":{}}`, `{"failed":null}`, "{\"a\":\"\u2028\u2029\u007f\U0010FFFF é\"}"} {
			for _, version := range []string{"2025-11-25", "2026-07-28"} {
				h, meta := w.headers(version), ""
				if version >= "2026" {
					meta = modernMeta + ","
					h["Mcp-Method"], h["Mcp-Name"] = []string{"tools/call"}, []string{"get_pet"}
				}
				status, text := w.play(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{%s"name":"get_pet","arguments":%s}}`, meta, args), h)
				if status != http.StatusOK || !strings.Contains(text, `"structuredContent":{"status":"done"`) {
					t.Errorf("%d %s", status, text)
				}
			}
		}
	}
}

// TestServeHeaders: what exeat does not take for right, mcp-go judges.
func TestServeHeaders(t *testing.T) {
	w := newTwin(t, newServer(t, ""))
	call := calls(1, "list_pets", `{}`)
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + modernMeta + `}}`
	for _, tt := range []struct {
		body   string
		header map[string]string
		status int
	}{
		{call, map[string]string{"Mcp-Method": "tools/call", "Mcp-Name": "list_pets"}, 200},
		{call, map[string]string{"Mcp-Method": "tools/call", "Mcp-Name": "=?base64?bGlzdF9wZXRz?="}, 200},
		{call, map[string]string{"Mcp-Method": "tools/call", "Mcp-Name": "get_pet"}, 400},
		{call, map[string]string{"Mcp-Method": "tools/call"}, 400},
		{call, map[string]string{"Mcp-Name": "list_pets"}, 400},
		{call, map[string]string{"Mcp-Method": "tools/call", "Mcp-Name": "list_pets", "Last-Event-Id": "1"}, 400},
		{call, map[string]string{"Mcp-Method": "tools/call", "Mcp-Name": "list_pets", "Mcp-Protocol-Version": "2025-11-25"}, 400},
		{list, map[string]string{"Mcp-Method": "tools/list"}, 200},
		{list, nil, 400},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, map[string]string{"Mcp-Method": "tools/list"}, 400},
		{strings.Replace(list, `"io.modelcontextprotocol/clientCapabilities":{},`, "", 1), map[string]string{"Mcp-Method": "tools/list"}, 400},
	} {
		h := w.headers("2026-07-28")
		for name, value := range tt.header {
			h[name] = []string{value}
		}
		if status, text := w.play(t, tt.body, h); status != tt.status {
			t.Errorf("%s %v: %d %s", tt.body, tt.header, status, text)
		}
	}
}

// FuzzServe: the same for any message.
func FuzzServe(f *testing.F) {
	w := newTwin(f, offering(f, "", Config{Limits: unlimited}))
	f.Add(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_pets","arguments":{"limit":1}}}`, "2025-11-25", "", "")
	f.Add(calls(7, "get_pet", `{"petId":9007199254740993}`), "2026-07-28", "tools/call", "get_pet")
	f.Add(`{"jsonrpc":"2.0","id":"\u003c","method":"tools/list","params":{`+modernMeta+`}}`, "2026-07-28", "tools/list", "")
	f.Add(`{"jsonrpc":"2.0","id":"a","method":"ping"}`, "", "", "")
	f.Fuzz(func(t *testing.T, body, version, method, name string) {
		h := w.headers(version)
		for key, value := range map[string]string{"Mcp-Method": method, "Mcp-Name": name} {
			if value != "" {
				h[key] = []string{value}
			}
		}
		m, _ := parseMessage([]byte(body))
		if m.method == "initialize" || strings.Contains(body, "wait_seconds") {
			return // an id of its own, and time
		}
		if m.modern || version == "2026-07-28" {
			delete(h, sessionName)
		} else if version == "" {
			h["Mcp-Protocol-Version"] = []string{"2025-11-25"} // as the front fills it in
		}
		if m.method != "" && method != "" && method != m.method {
			return // the front's own refusal
		}
		w.play(t, body, h)
	})
}

// TestListOfEach: what one caller is shown, no other is, however often and in
// whichever order they ask; and what is remembered has a bound.
func TestListOfEach(t *testing.T) {
	s := newServer(t, `
@id("alice") permit (principal == User::"alice", action, resource);
@id("agent") permit (principal, action == Petstore::Action::"list_pets", resource) when { context.agent == Agent::"reader" };
@id("session") permit (principal, action == Petstore::Action::"get_pet", resource) when { context.session.id == "s7" };`)
	shows := func(user, agent, session string) string {
		m := &message{id: json.RawMessage("1"), method: "tools/list"}
		c := tools.Caller{Principal: authz.Principal{Type: "User", ID: user}, Agent: authz.Agent{ID: agent}, Session: authz.Session{ID: session, Transport: "http"}}
		out, ok := s.serve(withCaller(t.Context(), c), m)
		if !ok {
			t.Fatal("mcp-go was asked")
		}
		var got struct {
			Result struct{ Tools []struct{ Name string } }
		}
		if err := json.Unmarshal(bytes.Join(out, nil), &got); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, one := range got.Result.Tools {
			if !strings.HasPrefix(one.Name, "exeat_") {
				names = append(names, one.Name)
			}
		}
		return strings.Join(names, " ")
	}
	for i := range 3 * mostViews {
		session := fmt.Sprintf("s%d", i%mostViews)
		for _, tt := range []struct{ user, agent, session, want string }{
			{"bob", "reader", "", "list_pets"}, {"bob", "writer", "", ""}, {"bob", "writer", "s7", "get_pet"}, {"bob", "reader", "s7", "get_pet list_pets"},
			{"alice", "writer", session, "create_pet delete_pet get_pet get_photo list_pets patch_pet search_pets update_pet upload_photo"},
		} {
			if got := shows(tt.user, tt.agent, tt.session); got != tt.want {
				t.Fatalf("%+v is shown %s", tt, got)
			}
		}
	}
	if len(s.list.views) > mostViews || len(s.list.bodies) > mostBodies {
		t.Errorf("%d views and %d bodies are kept", len(s.list.views), len(s.list.bodies))
	}
}
