package mcpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"golang.org/x/time/rate"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/tools"
)

// listTTL is for how long a client may keep a list, in milliseconds.
const listTTL = 60_000

const instructions = `Every call is checked by policy. Some calls wait for a person: the answer then has status "approval_pending" and a handle, and NOTHING has been executed. Tell the user to decide at approval_url, then call exeat_resume with the handle. Making the same call again returns the same handle. You cannot approve a call yourself. If the status is "denied" or "failed", read code, reason and remediation before you try anything else. Integers beyond 2^53 come as decimal text; give them so, too.`

// Config is what a Server works with.
type Config struct {
	Runner  *tools.Runner
	Version string
	// Local is the principal of stdio, where the operating system says who
	// calls.
	Local authz.Principal
	// Limits bound each agent of each principal.
	Limits Limits
	// Mode says which tools are listed; the default is Auto.
	Mode Mode
	// Pinned are the names of tools that are listed in any mode.
	Pinned []string
	// OnPanic, if not nil, is told of a panic while a call or, by the name of
	// its method, another request was answered.
	OnPanic func(name string, value any)
}

// Server serves one runner's tools.
type Server struct {
	Config
	mcp     *server.MCPServer
	limits  *limiter
	limited rate.Sometimes // not every refusal is worth a line in the log
	tools   map[string]*served
	list    *list
	info    json.RawMessage // what exeat says of itself in every result of the new era
}

// New returns a server with all tools registered. It fails if a pinned tool does
// not exist or has the name of one of exeat's own.
func New(cfg Config) (*Server, error) {
	s := &Server{Config: cfg, limits: newLimiter(cfg.Limits), limited: rate.Sometimes{Interval: time.Second}}
	s.mcp = server.NewMCPServer("exeat", cfg.Version,
		server.WithToolCapabilities(false),
		server.WithInstructions(instructions),
		server.WithToolFilter(s.keepVisible),
		// What a principal may see can change with the policies.
		server.WithMethodCacheHints(mcp.MethodToolsList, listTTL, mcp.CacheScopePrivate),
	)
	if err := s.register(); err != nil {
		return nil, err
	}
	return s, nil
}

// register makes the tools known to mcp-go and to exeat's own dispatch.
func (s *Server) register() error {
	own, listed, err := s.offer(s.Runner.Tools())
	if err != nil {
		return err
	}
	s.tools = map[string]*served{}
	for _, t := range own {
		s.tools[t.tool.Name] = &served{tool: t.tool, handle: t.handle}
	}
	for _, t := range listed {
		s.tools[t.Name] = &served{tool: Describe(t), operation: t, handle: s.call}
	}
	if s.Mode.Searches(len(s.Runner.Tools())) {
		s.Runner.Searchable()
		s.addUnlisted()
	}
	var all []server.ServerTool
	for _, t := range s.tools {
		t.bound = bytes.Contains(t.tool.RawInputSchema, []byte("x-mcp-header"))
		all = append(all, server.ServerTool{Tool: t.tool, Handler: s.handlerOf(t)})
	}
	s.mcp.AddTools(all...)
	s.info, err = json.Marshal(mcp.Implementation{Name: "exeat", Version: s.Version})
	if err != nil {
		return err
	}
	s.list, err = newList(s)
	return err
}

// request takes a message from its caller's allowance and reports whether it
// was within. A call of a tool that there is takes itself from it later, when it
// can be answered in the tool's own form.
func (s *Server) request(caller tools.Caller, m message) bool {
	if m.method == "tools/call" && s.tools[m.tool] != nil {
		return true
	}
	return s.limits.request(caller, time.Now())
}

// admit takes a call from its caller's allowance. What is refused leaves no
// entry, or a flood of calls would be a flood of entries; the log gets a line
// now and then.
func (s *Server) admit(caller tools.Caller, name string) (done func(), refused tools.Result) {
	now, reason := time.Now(), ""
	if !s.limits.request(caller, now) {
		reason = fmt.Sprintf("more than %d requests a second; nothing was executed, wait a second", s.limits.PerSecond)
	} else if done = s.limits.call(caller, now); done == nil {
		reason = fmt.Sprintf("%d calls are under way already; nothing was executed, wait for their answers", s.limits.Concurrent)
	}
	if done == nil {
		s.limited.Do(func() {
			if s.Runner.Observe != nil {
				s.Runner.Observe(tools.Event{Time: now, Subject: caller.Subject(), Agent: caller.Agent.ID, Tool: name,
					Status: tools.Failed, Code: tools.RateLimited, Err: errors.New(reason)})
			}
		})
		refused.Envelope = tools.Envelope{Status: tools.Failed, Code: tools.RateLimited, Reason: reason}
	}
	return done, refused
}

func (s *Server) reportPanic(name string, value any) {
	if s.OnPanic != nil {
		s.OnPanic(name, value)
	}
}

// agentName bounds what a client calls itself.
func agentName(s string) string {
	const most = 100
	if s == "" {
		return "unknown"
	}
	if r := []rune(s); len(r) > most {
		s = string(r[:most])
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// needsKey is a function that tells the client, in the way of HTTP, what access
// token a call needs.
type needsKey struct{}

// servingKey is a context that ends when the server begins to stop.
type servingKey struct{}
