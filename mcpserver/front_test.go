package mcpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools"
)

// tokens authenticate several principals.
type tokens map[string]authz.Principal

func (t tokens) Authenticate(r *http.Request) (authz.Principal, error) {
	p, ok := t[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok {
		return p, errors.New("unknown")
	}
	return p, nil
}

// shared serves alice and mallory.
func shared(t testing.TB, ctx context.Context, s *Server) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.Handler = s.Handler(ctx, HTTPConfig{Auth: tokens{"alice": alice, "mallory": {Type: "User", ID: "mallory"}},
		Hosts: []string{srv.Listener.Addr().String()}})
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

// send posts one message as a principal. A header is given as "Name: value".
func send(t testing.TB, srv *httptest.Server, as, body string, header ...string) *http.Response {
	t.Helper()
	return do(t, srv, http.MethodPost, as, body, header...)
}

func do(t testing.TB, srv *httptest.Server, method, as, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+as)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func text(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// modern are the headers that a request of the new era has.
func modern(method, name string) []string {
	h := []string{"MCP-Protocol-Version: 2026-07-28", "Mcp-Method: " + method}
	if name != "" {
		h = append(h, "Mcp-Name: "+name)
	}
	return h
}

func calls(id int, tool, args string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{%s,"name":%q,"arguments":%s}}`, id, modernMeta, tool, args)
}

// envelope is the answer of a tool call over HTTP, as JSON or as the last event.
func envelope(t testing.TB, resp *http.Response) tools.Envelope {
	t.Helper()
	var m struct {
		Result struct{ StructuredContent tools.Envelope }
	}
	body := text(t, resp)
	if i := strings.LastIndex(body, "data: "); i >= 0 {
		body = body[i+len("data: "):]
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return m.Result.StructuredContent
}

// session begins a session of the old era.
func session(t testing.TB, srv *httptest.Server, as string) string {
	t.Helper()
	resp := send(t, srv, as, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"old","version":"1"}}}`)
	id := resp.Header.Get("Mcp-Session-Id")
	if text(t, resp); resp.StatusCode != http.StatusOK || id == "" {
		t.Fatalf("%s, session %q", resp.Status, id)
	}
	return id
}

const legacyList = `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`

func TestSessionsBelongToTheirPrincipal(t *testing.T) {
	srv := shared(t, t.Context(), newServer(t, ""))
	own := "Mcp-Session-Id: " + session(t, srv, "alice")
	for _, tt := range []struct {
		name, method, as, body string
		header                 string
		want                   int
	}{
		{"own", "POST", "alice", legacyList, own, 200},
		{"another principal's", "POST", "mallory", legacyList, own, 404},
		{"another principal's stream", "GET", "mallory", "", own, 404},
		{"another principal's end", "DELETE", "mallory", "", own, 404},
		{"invented", "POST", "alice", legacyList, "Mcp-Session-Id: mcp-session-3e4e4b4a-0000-4000-8000-000000000000", 404},
		{"none", "POST", "alice", legacyList, "X: y", 400},
		{"no stream without one", "GET", "alice", "", "X: y", 400},
		{"still there", "POST", "alice", legacyList, own, 200},
		{"ended by its owner", "DELETE", "alice", "", own, 200},
		{"gone", "POST", "alice", legacyList, own, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if resp := do(t, srv, tt.method, tt.as, tt.body, tt.header); resp.StatusCode != tt.want {
				t.Errorf("%s: %s", resp.Status, text(t, resp))
			}
		})
	}
}

func TestSessionBounds(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var ended []string
	s := &sessions{now: func() time.Time { return now }, end: func(id string) { ended = append(ended, id) }, byID: map[string]*httpSession{}}
	first := s.begin("alice")
	for range sessionMost - 1 {
		now = now.Add(time.Second)
		s.begin("alice")
	}
	other := s.begin("bob")
	if len(ended) != 0 || !s.use(first, "alice") {
		t.Fatalf("%d ended", len(ended))
	}
	now = now.Add(time.Second)
	s.use(other, "bob")
	last := s.begin("alice") // the first was used just now: the second goes
	if len(ended) != 1 || ended[0] == first || !s.use(first, "alice") || !s.use(last, "alice") || !s.use(other, "bob") {
		t.Errorf("ended %q", ended)
	}
	for range 23 {
		if now = now.Add(sessionIdle); !s.use(first, "alice") {
			t.Fatal("a session in use ended")
		}
	}
	if s.use(last, "alice") {
		t.Error("a session that was quiet for too long goes on")
	}
	now = now.Add(sessionIdle)
	if s.use(first, "alice") {
		t.Error("a session outlived its life")
	}
	s.begin("alice")
	if len(s.byID) != 1 {
		t.Errorf("%d sessions are remembered", len(s.byID))
	}
}

// In mcp-go, a notification of the new era cancels any client's call that has the
// same JSON-RPC id.
func TestNobodyCancelsAnothersCall(t *testing.T) {
	s := newServer(t, "")
	srv := shared(t, t.Context(), s)
	held, waits := waiting(t, s, srv)
	mine := session(t, srv, "mallory")
	cancelled := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7%s}}`
	for _, header := range [][]string{
		nil, modern("notifications/cancelled", ""), {"Mcp-Session-Id: " + mine}, {"Mcp-Session-Id: "},
		append(modern("notifications/cancelled", ""), "Mcp-Session-Id: "+mine),
	} {
		for _, meta := range []string{"", "," + modernMeta} {
			if resp := send(t, srv, "mallory", fmt.Sprintf(cancelled, meta), header...); resp.StatusCode != http.StatusAccepted {
				t.Errorf("%q: %s", header, resp.Status)
			}
		}
	}
	select {
	case e := <-waits:
		t.Fatalf("the call ended: %+v", e)
	default:
	}
	if h := envelope(t, send(t, srv, "alice", calls(8, "exeat_cancel", `{"handle":"`+held.Handle+`"}`), modern("tools/call", "exeat_cancel")...)); h.Status != tools.Cancelled {
		t.Fatalf("%+v", h)
	}
	if e := <-waits; e.Status != tools.Cancelled {
		t.Errorf("%+v", e)
	}
}

// waiting has alice hold a call and wait for it, under the JSON-RPC id 7.
func waiting(t testing.TB, s *Server, srv *httptest.Server) (held tools.Envelope, answer <-chan tools.Envelope) {
	t.Helper()
	held = envelope(t, send(t, srv, "alice", calls(1, "delete_pet", `{"petId":1}`), modern("tools/call", "delete_pet")...))
	waits := make(chan tools.Envelope, 1)
	go func() {
		waits <- envelope(t, send(t, srv, "alice", calls(7, "exeat_resume", `{"handle":"`+held.Handle+`","wait_seconds":50}`), modern("tools/call", "exeat_resume")...))
	}()
	until(t, s.aliceIsServed)
	return held, waits
}

// aliceIsServed reports whether one call of alice's is under way.
func (s *Server) aliceIsServed() bool {
	s.limits.mu.Lock()
	defer s.limits.mu.Unlock()
	return s.limits.by["User::alice"].calls == 1
}

// until waits for a condition that is about to come true.
func until(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("it did not come true")
		}
	}
}

func TestLimits(t *testing.T) {
	s := newServer(t, "")
	s.limits = newLimiter(Limits{PerSecond: 1})
	hour := time.Now().Add(time.Hour) // full buckets, which do not refill meanwhile
	for _, subject := range []string{"User::alice", "User::mallory"} {
		s.limits.request(subject, hour)
	}
	srv := shared(t, t.Context(), s)
	get := func(as string) tools.Envelope {
		return envelope(t, send(t, srv, as, calls(1, "get_pet", `{"petId":1}`), modern("tools/call", "get_pet")...))
	}
	for range 4 {
		if e := get("alice"); e.Status != tools.Done {
			t.Fatalf("%+v", e)
		}
	}
	if e := get("alice"); e.Code != tools.RateLimited {
		t.Errorf("%+v", e)
	}
	resp := send(t, srv, "alice", `{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{`+modernMeta+`}}`, modern("tools/list", "")...)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if e := get("mallory"); e.Status != tools.Done {
		t.Errorf("another principal: %+v", e)
	}

	// Names of tools are not tried faster, whether there are such tools or not.
	for range 2 {
		resp = send(t, srv, "alice", calls(3, "no_such_tool", `{}`), modern("tools/call", "no_such_tool")...)
		if resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%s: %s", resp.Status, text(t, resp))
		}
	}

	s.limits = newLimiter(Limits{Concurrent: 1})
	done := s.limits.call("User::alice", time.Now())
	if e := get("alice"); e.Code != tools.RateLimited || !strings.Contains(e.Reason, "under way") {
		t.Errorf("%+v", e)
	}
	done()
	if e := get("alice"); e.Status != tools.Done {
		t.Errorf("%+v", e)
	}
}

// A flood of calls of a tool that is hidden from the caller is no flood of
// entries.
func TestHiddenToolsAreLimited(t *testing.T) {
	s := newServer(t, `permit (principal, action == Petstore::Action::"get_pet", resource);`)
	s.limits = newLimiter(Limits{PerSecond: 1})
	s.limits.request("User::alice", time.Now().Add(time.Hour)) // a full bucket, which does not refill meanwhile
	srv := shared(t, t.Context(), s)
	for range 20 {
		if resp := send(t, srv, "alice", calls(1, "delete_pet", `{"petId":1}`), modern("tools/call", "delete_pet")...); resp.StatusCode != http.StatusBadRequest {
			t.Fatalf("%s: %s", resp.Status, text(t, resp))
		}
	}
	if err := s.Runner.Store.Log(store.Entry{Kind: "login"})(); err != nil { // after all that were written before
		t.Fatal(err)
	}
	n := -1
	if err := s.Runner.Store.Entries(t.Context(), 0, func(store.Entry) error { n++; return nil }); err != nil || n != 4 {
		t.Errorf("%d entries, %v", n, err)
	}
}

// A principal that has been quiet is not remembered.
func TestLimiterForgets(t *testing.T) {
	l := newLimiter(Limits{})
	now := time.Now()
	for i := range 1000 {
		l.request(fmt.Sprint(i), now)
	}
	l.request("alice", now.Add(2*time.Minute))
	if len(l.by) != 1 {
		t.Errorf("%d are remembered", len(l.by))
	}
}

// A server that stops ends its streams, and answers who waits for a person.
func TestStopEndsStreams(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s := newServer(t, "")
	srv := shared(t, ctx, s)
	id := session(t, srv, "alice")
	stream := do(t, srv, http.MethodGet, "alice", "", "Mcp-Session-Id: "+id)
	if stream.StatusCode != http.StatusOK {
		t.Fatal(stream.Status)
	}
	_, waits := waiting(t, s, srv)
	stop()
	if e := <-waits; e.Status != tools.Pending {
		t.Errorf("%+v", e)
	}
	if _, err := bufio.NewReader(stream.Body).ReadString(0); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
}

// A message that does not arrive is not waited for, and a panic says nothing.
func TestFrontRefuses(t *testing.T) {
	s := newServer(t, "")
	f := newFront(t.Context(), s)
	f.bodyTime = time.Millisecond
	srv := httptest.NewServer(authenticated(tokens{"alice": alice}, f))
	defer srv.Close()
	half, end := io.Pipe()
	defer end.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, half)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer alice")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b := text(t, resp); resp.StatusCode != http.StatusBadRequest || !strings.Contains(b, "did not arrive whole") {
		t.Errorf("%s: %s", resp.Status, b)
	}

	var told string
	s.Panicked = func(name string, v any) { told = fmt.Sprint(name, v) }
	f.endpoint = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret inside") })
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`))
	r.Header.Set("Content-Type", "application/json")
	f.ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") || told != "POSTsecret inside" {
		t.Errorf("%d %s, told %q", w.Code, w.Body, told)
	}

	f.bodies.TryAcquire(maxBodies)
	w = httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader("{}")))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
