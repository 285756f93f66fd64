package mcpserver

import (
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

	"github.com/mark3labs/mcp-go/server"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools"
)

// tokens authenticate several principals.
type tokens map[string]authz.Principal

func (t tokens) Authenticate(r *http.Request) (tools.Caller, error) {
	p, ok := t[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok {
		return tools.Caller{}, errors.New("unknown")
	}
	return tools.Caller{Principal: p}, nil
}

// shared serves alice and mallory.
func shared(t testing.TB, ctx context.Context, s *Server) *httptest.Server {
	t.Helper()
	return sharedBy(t, ctx, s, nil)
}

// sharedBy is shared with a key for sessions.
func sharedBy(t testing.TB, ctx context.Context, s *Server, key []byte) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.Handler = s.Handler(ctx, HTTPConfig{Auth: tokens{"alice": alice, "mallory": {Type: "User", ID: "mallory"}}, SessionKey: key})
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
	return exchangeBody(t, srv, method, as, strings.NewReader(body), header...)
}

// post is send with a body whose length may not be known.
func post(t testing.TB, srv *httptest.Server, as string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	return exchangeBody(t, srv, http.MethodPost, as, body, header...)
}

func exchangeBody(t testing.TB, srv *httptest.Server, method, as string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+"/mcp", body)
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

// begin begins a session of the old era.
func begin(t testing.TB, srv *httptest.Server, as string) string {
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
	own := "Mcp-Session-Id: " + begin(t, srv, "alice")
	for _, tt := range []struct {
		name, method, as, body string
		header                 string
		want                   int
	}{
		{"own", "POST", "alice", legacyList, own, 200},
		{"another principal's", "POST", "mallory", legacyList, own, 404},
		{"another principal's stream", "GET", "mallory", "", own, 405},
		{"another principal's end", "DELETE", "mallory", "", own, 404},
		{"invented", "POST", "alice", legacyList, "Mcp-Session-Id: mcp-session-3e4e4b4a-0000-4000-8000-000000000000", 404},
		{"cut", "POST", "alice", legacyList, own[:len(own)-1], 404},
		{"another's part", "POST", "alice", legacyList, own + ".x", 404},
		{"none", "POST", "alice", legacyList, "X: y", 400},
		{"no stream without one", "GET", "alice", "", "X: y", 405},
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

// Whatever is changed of an id, and whoever else uses it, it opens nothing.
func TestSessionIDs(t *testing.T) {
	s := newSessions([]byte("key"))
	v := newSession("2025-06-18", "an agent. with dots, and \u00e9")
	id := s.seal(v, "User::alice")
	if strings.Trim(id, "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~") != "" {
		t.Errorf("%q does not go into a header", id)
	}
	for _, again := range []*sessions{s, newSessions([]byte("key"))} { // and after a restart
		if got, ok := again.open(id, "User::alice"); !ok || got != v {
			t.Errorf("%+v, %v", got, ok)
		}
	}
	if _, ok := newSessions(nil).open(id, "User::alice"); ok {
		t.Error("another key opens it")
	}
	for i := range id {
		for _, c := range []byte("A.b") {
			if b := []byte(id); b[i] != c {
				b[i] = c
				if _, ok := s.open(string(b), "User::alice"); ok {
					t.Errorf("%q is taken for %q", b, id)
				}
			}
		}
	}
	for _, subject := range []string{"", "User::alic", "User::alice1", "User::mallory"} {
		if _, ok := s.open(id, subject); ok {
			t.Errorf("%q has alice's session", subject)
		}
	}
	for range endedMost {
		s.end(newSession("x", ""))
	}
	s.end(v)
	s.end(v)
	if _, ok := s.open(id, "User::alice"); ok || len(s.ended) != endedMost || len(s.queue) != endedMost {
		t.Errorf("ended, and open: %v; %d and %d ends are remembered", ok, len(s.ended), len(s.queue))
	}
}

// No name of a session that a client makes up is taken for one.
func FuzzSessionOpen(f *testing.F) {
	s := newSessions([]byte("key"))
	good := s.seal(session{id: "mcp_A", version: "2025-06-18", agent: "agent"}, "User::alice")
	for _, seed := range []string{good, good + ".", "mcp_a.b.c", "..", strings.Replace(good, ".", "..", 1), strings.ToLower(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if v, ok := s.open(name, "User::alice"); ok != (name == good) {
			t.Errorf("%q opens %+v", name, v)
		}
	})
}

// A client that has begun a session goes on with it after a restart, and is the
// same agent.
func TestSessionsOutliveARestart(t *testing.T) {
	key := []byte("the same key")
	srv := sharedBy(t, t.Context(), newServer(t, ""), key)
	own := "Mcp-Session-Id: " + begin(t, srv, "alice")
	srv.Close()
	s := newServer(t, "")
	var seen tools.Event
	s.Runner.Observe = func(e tools.Event) { seen = e }
	srv = sharedBy(t, t.Context(), s, key)
	e := envelope(t, send(t, srv, "alice", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_pet","arguments":{"petId":1}}}`, own))
	if e.Status != tools.Done || seen.Agent != "old" {
		t.Errorf("%+v, by %q", e, seen.Agent)
	}
	if resp := send(t, srv, "mallory", legacyList, own); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another principal's: %s", resp.Status)
	}
}

// mcp-go keeps nothing of a session, or clients that come and go would fill the
// memory.
func TestNothingIsKeptOfSessions(t *testing.T) {
	s := newServer(t, "")
	srv := shared(t, t.Context(), s)
	for range 3 {
		id := begin(t, srv, "alice")
		text(t, send(t, srv, "alice", legacyList, "Mcp-Session-Id: "+id))
		until(t, func() bool {
			err := s.mcp.SendNotificationToSpecificClient(id, "notifications/progress", nil)
			return errors.Is(err, server.ErrSessionNotFound)
		})
	}
}

// A client that cancels a request gets no answer to it, and the next one is
// answered as JSON even if this was a stream.
func TestCancelledOverHTTP(t *testing.T) {
	s := newServer(t, "")
	srv := shared(t, t.Context(), s)
	own := "Mcp-Session-Id: " + begin(t, srv, "alice")
	ask := func(tool, args, meta string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":%q,"arguments":%s%s}}`, tool, args, meta)
	}
	held := envelope(t, send(t, srv, "alice", ask("delete_pet", `{"petId":1}`, ""), own))
	for _, meta := range []string{"", `,"_meta":{"progressToken":1}`} {
		answers := make(chan *http.Response, 1)
		go func() {
			answers <- send(t, srv, "alice", ask("exeat_resume", `{"handle":"`+held.Handle+`","wait_seconds":50}`, meta), own)
		}()
		until(t, s.aliceIsServed)
		if resp := send(t, srv, "alice", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`, own); resp.StatusCode != http.StatusAccepted {
			t.Error(resp.Status)
		}
		resp := <-answers
		if body := text(t, resp); resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" || strings.Contains(body, "result") || strings.Contains(body, "error") {
			t.Errorf("%s %s %q", resp.Status, resp.Header, body)
		}
		if resp := send(t, srv, "alice", ask("get_pet", `{"petId":1}`, ""), own); resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("a stream once, streams for ever: %s", resp.Header)
		}
	}
}

// In mcp-go, a notification of the new era cancels any client's call that has the
// same JSON-RPC id.
func TestNobodyCancelsAnothersCall(t *testing.T) {
	s := newServer(t, "")
	srv := shared(t, t.Context(), s)
	held, waits := waiting(t, s, srv)
	mine := begin(t, srv, "mallory")
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
func (s *Server) aliceIsServed() bool { return s.aliceHas(1) }

func (s *Server) aliceHas(calls int) bool {
	s.limits.mu.Lock()
	defer s.limits.mu.Unlock()
	return s.limits.by[whose{kind: "User", id: "alice", all: true}].calls == calls
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

// aliceAgent is alice by the client of the new era in these tests.
var aliceAgent = tools.Caller{Principal: alice, Agent: authz.Agent{ID: "modern"}}

func TestLimits(t *testing.T) {
	s := newServer(t, "")
	s.limits = newLimiter(Limits{PerSecond: 1})
	hour := time.Now().Add(time.Hour) // full buckets, which do not refill meanwhile
	mallory := tools.Caller{Principal: authz.Principal{Type: "User", ID: "mallory"}, Agent: aliceAgent.Agent}
	for _, c := range []tools.Caller{aliceAgent, mallory} {
		s.limits.request(c, hour)
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
	done := s.limits.call(aliceAgent, time.Now())
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
	s.limits.request(aliceAgent, time.Now().Add(time.Hour)) // a full bucket, which does not refill meanwhile
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
		l.request(tools.Caller{Agent: authz.Agent{ID: fmt.Sprint(i % 100)}, Principal: authz.Principal{ID: fmt.Sprint(i / 100)}}, now)
	}
	l.request(aliceAgent, now.Add(2*time.Minute))
	if len(l.by) != 2 { // she and her agent
		t.Errorf("%d are remembered", len(l.by))
	}
}

// What one agent has under way or asks for leaves room for the same principal's
// other agents, and names without end get no more than the principal has.
func TestAgentsShare(t *testing.T) {
	now, other := time.Now(), tools.Caller{Principal: alice, Agent: authz.Agent{ID: "other"}}
	l := newLimiter(Limits{PerSecond: 2, Concurrent: 3})
	for range 3 {
		if l.call(aliceAgent, now) == nil {
			t.Fatal("an agent has less than it may")
		}
	}
	if l.call(aliceAgent, now) != nil || l.call(other, now) == nil {
		t.Error("one agent's calls count as another's")
	}
	for range 10 {
		l.request(aliceAgent, now)
	}
	if l.request(aliceAgent, now) || !l.request(other, now) {
		t.Error("one agent's requests count as another's")
	}
	calls, requests := 4, 11
	for i := range 1000 {
		c := tools.Caller{Principal: alice, Agent: authz.Agent{ID: fmt.Sprint(i)}}
		if l.call(c, now) != nil {
			calls++
		}
		if l.request(c, now) {
			requests++
		}
	}
	if calls != 12 || requests != 40 {
		t.Errorf("%d calls and %d requests", calls, requests)
	}
}

// An agent that waits as often as it may keeps no other agent of its principal
// from being answered.
func TestWaitingAgentLeavesRoom(t *testing.T) {
	s := newServer(t, "")
	s.limits = newLimiter(Limits{Concurrent: 3})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	srv := shared(t, ctx, s)
	held, first := waiting(t, s, srv)
	wait := calls(9, "exeat_resume", `{"handle":"`+held.Handle+`","wait_seconds":50}`)
	more := make(chan tools.Envelope, 2)
	for range 2 {
		go func() { more <- envelope(t, send(t, srv, "alice", wait, modern("tools/call", "exeat_resume")...)) }()
	}
	until(t, func() bool { return s.aliceHas(3) })
	get := calls(1, "get_pet", `{"petId":1}`)
	if e := envelope(t, send(t, srv, "alice", get, modern("tools/call", "get_pet")...)); e.Code != tools.RateLimited {
		t.Errorf("a fourth call of one agent: %+v", e)
	}
	if e := envelope(t, send(t, srv, "alice", strings.Replace(get, `"name":"modern"`, `"name":"other"`, 1), modern("tools/call", "get_pet")...)); e.Status != tools.Done {
		t.Errorf("another agent: %+v", e)
	}
	stop()
	for _, waits := range []<-chan tools.Envelope{first, more, more} {
		if e := <-waits; e.Status != tools.Pending {
			t.Errorf("%+v", e)
		}
	}
}

// A server that stops answers who waits for a person.
func TestStopEndsWaiting(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s := newServer(t, "")
	_, waits := waiting(t, s, shared(t, ctx, s))
	stop()
	if e := <-waits; e.Status != tools.Pending {
		t.Errorf("%+v", e)
	}
}

// A body counts for what has arrived of it, whether or not its length is said:
// more calls than would fit if each were as large as it may be wait at once.
func TestBodiesCountAsTheyArrive(t *testing.T) {
	s := newServer(t, "")
	srv := shared(t, t.Context(), s)
	held, first := waiting(t, s, srv)
	const more = maxBodies/maxBody + 2
	waits := make(chan tools.Envelope, more)
	for i := range more {
		go func() {
			body := io.MultiReader(strings.NewReader(calls(100+i, "exeat_resume", `{"handle":"`+held.Handle+`","wait_seconds":50}`))) // of no known length
			waits <- envelope(t, post(t, srv, "alice", body, modern("tools/call", "exeat_resume")...))
		}()
	}
	until(t, func() bool { return s.aliceHas(more + 1) })
	if e := envelope(t, send(t, srv, "alice", calls(1, "exeat_cancel", `{"handle":"`+held.Handle+`"}`), modern("tools/call", "exeat_cancel")...)); e.Status != tools.Cancelled {
		t.Errorf("%+v", e)
	}
	for range more {
		if e := <-waits; e.Status != tools.Cancelled {
			t.Errorf("%+v", e)
		}
	}
	<-first
}

// A message that does not arrive is not waited for, and a panic says nothing.
func TestFrontRefuses(t *testing.T) {
	s := newServer(t, "")
	f := newFront(t.Context(), s, HTTPConfig{})
	f.bodyTime = time.Millisecond
	srv := httptest.NewServer(authenticate(tokens{"alice": alice}, f))
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
	s.OnPanic = func(name string, v any) { told = fmt.Sprint(name, v) }
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
	r = httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	f.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
