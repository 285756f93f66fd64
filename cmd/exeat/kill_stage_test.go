package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
	"github.com/exeat/exeat/tools"
)

// stage is what several exeat processes have in common: the API, the
// configuration, the database, a person, and what agents were told.
type stage struct {
	t      *testing.T
	config string
	here   *gateway     // on the same database, sends nothing
	ahead  atomic.Int64 // how far its clock is, in ns

	mu      sync.Mutex
	made    map[string]int            // pets by name, as the API has seen them
	pets    map[string]string         // names by handle
	answers map[string][]tools.Result // by handle
	raw     []string                  // all that agents have read
	longest time.Duration             // from a call to its answer
	first   chan struct{}             // receives when an agent has got an answer
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, made: map[string]int{}, pets: map[string]string{}, answers: map[string][]tools.Result{}, first: make(chan struct{}, 1)}
	shop := petstore.New()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			var pet struct{ Name string }
			body, _ := io.ReadAll(r.Body)
			if err := json.Unmarshal(body, &pet); err != nil {
				t.Errorf("the API got %q", body)
			}
			s.mu.Lock()
			s.made[pet.Name]++
			s.mu.Unlock()
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		shop.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	s.config = filepath.Join(dir, "exeat.yaml")
	text := fmt.Sprintf("apis: [{spec: petstore.yaml, base_url: '%s'}]\ndb: exeat.db\nkeys: keys\nuser: alice\nlisten: 127.0.0.1:0\ninbox: {listen: '127.0.0.1:0', fatigue: {off: true}}\n"+
		"holds: {max_open: 100000}\nlimits: {per_second: 10000, concurrent: 1000}\ntimeout: 10s\n", srv.URL)
	for name, text := range map[string]string{"petstore.yaml": string(petstore.Document), "exeat.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := loadConfig(s.config)
	if err == nil {
		cfg, err = cfg.withDefaults()
	}
	if err == nil {
		cfg.now = func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
		s.here, err = openGateway(t.Context(), cfg, io.Discard, doors{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.here.close() })
	return s
}

// exeat starts the real program.
func (s *stage) exeat(command string, stderr io.Writer) *exec.Cmd {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: self, Args: []string{"exeat", command, "--config", s.config}, Stderr: stderr} // TestMain sees the name
	return cmd
}

// http starts an HTTP process and connects agents to it.
func (s *stage) http(agents int) (*exec.Cmd, []*client.Client) {
	s.t.Helper()
	printed := &watched{want: regexp.MustCompile(`MCP at (\S+) with a bearer token, kept in (\S+)/bearer\.secret`), found: make(chan []string, 1)}
	cmd := s.exeat("http", printed)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var m []string
	select {
	case m = <-printed.found:
	case <-time.After(time.Minute):
		cmd.Process.Kill()
		s.t.Fatalf("it did not start: %s", printed.text.String())
	}
	var clients []*client.Client
	for range agents {
		c, err := client.NewStreamableHttpClient(m[1], transport.WithHTTPHeaders(map[string]string{"Authorization": bearerIn(s.t, m[2])}))
		if err != nil {
			s.t.Fatal(err)
		}
		clients = append(clients, s.hello(c))
	}
	return cmd, clients
}

// stdio starts a stdio process with its one agent.
func (s *stage) stdio() (*exec.Cmd, *client.Client) {
	s.t.Helper()
	cmd := s.exeat("stdio", io.Discard)
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd, s.hello(client.NewClient(transport.NewIO(out, in, io.NopCloser(strings.NewReader("")))))
}

func (s *stage) hello(c *client.Client) *client.Client {
	s.t.Helper()
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = "2025-11-25"
	hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	if err := c.Start(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	if _, err := c.Initialize(s.t.Context(), hello); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// call is one tool call of an agent, or false if there is no answer.
func (s *stage) call(ctx context.Context, c *client.Client, tool string, args map[string]any) (tools.Envelope, bool) {
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, args
	res, err := c.CallTool(ctx, req)
	var e tools.Envelope
	if err != nil || len(res.Content) == 0 {
		return e, false
	}
	text, ok := res.Content[0].(mcp.TextContent)
	if !ok || json.Unmarshal([]byte(text.Text), &e) != nil {
		s.t.Errorf("%s answers %v", tool, res.Content)
		return e, false
	}
	select {
	case s.first <- struct{}{}:
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = append(s.raw, text.Text)
	if name, ok := args["body"].(map[string]any); ok && e.Handle != "" {
		s.pets[e.Handle] = name["name"].(string)
	}
	if e.Handle != "" {
		s.answers[e.Handle] = append(s.answers[e.Handle], tools.Result{Envelope: e})
	}
	return e, true
}

// agent makes pets until its process or ctx ends, and waits for each.
func (s *stage) agent(ctx context.Context, c *client.Client, who string) {
	for i := 0; ctx.Err() == nil; i++ {
		e, ok := s.call(ctx, c, "create_pet", map[string]any{"body": map[string]any{"name": fmt.Sprint(who, "-", i), "species": "cat"}})
		for ok && e.Status == tools.Pending && ctx.Err() == nil {
			e, ok = s.call(ctx, c, "exeat_resume", map[string]any{"handle": e.Handle, "wait_seconds": 20})
		}
		if !ok {
			return
		}
	}
}

// person decides all that waits until ctx ends: one in five is denied.
func (s *stage) person(ctx context.Context) {
	changed, stop := s.here.store.Watch()
	defer stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		var holds []store.Hold
		err := s.here.store.View(ctx, func(tx *store.Tx) (err error) {
			holds, err = tx.Outlines(store.HoldFilter{Subject: "User::alice", States: []store.State{store.Pending}})
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.t.Errorf("the person's list: %v", err)
		}
		for _, h := range holds {
			if h.State != store.Pending {
				continue
			}
			n++
			who := s.here.door.Admit(approval.Person{Principal: principal(s.here.cfg), AMR: []string{"otp"}}, time.Now().Add(time.Hour))
			if _, err := approval.One(s.here.holds.Decide(ctx, who, approval.Verdict{Approve: n%5 != 0, Hold: h.ID, Digest: h.Digest})); err != nil && ctx.Err() == nil {
				s.t.Errorf("the person decides: %v", err)
			}
		}
	}
}

// check compares everything that was told with everything that was done.
func (s *stage) check() (done, unknown int) {
	t := s.t
	t.Helper()
	storetest.Check(t, s.here.store)
	holds := map[string]store.Hold{}
	if err := s.here.store.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Holds(store.HoldFilter{Limit: 1 << 20})
		for _, h := range all {
			holds[h.ID] = h
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, n := range s.made {
		if n > 1 {
			t.Errorf("%s was made %d times", name, n)
		}
	}
	for id, h := range holds {
		var args struct{ Body struct{ Name string } }
		if err := json.Unmarshal(h.Args, &args); err != nil {
			t.Fatal(err)
		}
		n := s.made[args.Body.Name]
		switch h.State {
		case store.Done:
			done++
			if n != 1 {
				t.Errorf("%s is done, and %s was made %d times", id, args.Body.Name, n)
			}
		case store.Unknown:
			unknown++
		case store.Sending:
		default:
			if n != 0 {
				t.Errorf("%s is %s, and %s was made %d times", id, h.State, args.Body.Name, n)
			}
		}
	}
	for id, answers := range s.answers {
		h, ok := holds[id]
		if !ok {
			t.Errorf("the hold %s, which an agent knows, is lost", id)
			continue
		}
		for _, a := range answers {
			if a.Envelope.Status == tools.Done && h.State != store.Done || a.Envelope.Code == tools.ApprovalDenied && h.State != store.Denied {
				t.Errorf("%s was %s for its agent, and is %s", id, a.JSON(), h.State)
			}
		}
	}
	for _, text := range s.raw {
		if inside.MatchString(text) {
			t.Errorf("an agent reads %s", text)
		}
	}
	return done, unknown
}

// inside is what no agent may read of what happens inside.
var inside = regexp.MustCompile(`(?i)sqlite|database|\bbusy\b|locked|panic|goroutine|context (canceled|deadline)|"code":"internal"`)
