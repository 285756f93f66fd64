package mcpserver

import (
	"context"
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
	limited rate.Sometimes  // not every refusal is worth a line in the log
	hidden  map[string]bool // tools that are found by search and not listed
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
		server.WithMethodCacheHints(mcp.MethodToolsList, 60_000, mcp.CacheScopePrivate),
	)
	own, listed, err := s.offer(cfg.Runner.Tools())
	if err != nil {
		return nil, err
	}
	var list []server.ServerTool
	for _, t := range own {
		list = append(list, server.ServerTool{Tool: t.tool, Handler: s.guard(t.tool.Name, t.handle)})
	}
	for _, t := range listed {
		list = append(list, server.ServerTool{Tool: Describe(t), Handler: s.guard(t.Name, s.call)})
	}
	if cfg.Mode.Searches(len(cfg.Runner.Tools())) {
		cfg.Runner.Searchable()
		list = append(list, s.unlisted(list)...)
	}
	s.mcp.AddTools(list...)
	return s, nil
}

// call hands a tool call to the runner: the raw bytes of the arguments, never
// their decoded form, which has lost digits and duplicate keys.
func (s *Server) call(ctx context.Context, req mcp.CallToolRequest) tools.Result {
	return s.Runner.Call(ctx, callerOf(ctx), req.Params.Name, req.Params.RawArguments)
}

// guard keeps a call within the limits, and turns its result into MCP's and a
// panic into a safe sentence. It never returns a Go error: mcp-go would show its
// text to the agent.
func (s *Server) guard(name string, f func(context.Context, mcp.CallToolRequest) tools.Result) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (out *mcp.CallToolResult, _ error) {
		defer func() {
			if v := recover(); v != nil {
				s.reportPanic(name, v)
				out = newResult(tools.Result{Envelope: tools.Envelope{Status: tools.Failed, Code: tools.Internal,
					Reason: "something went wrong inside exeat; if the call was a write, it may have been executed"}})
			}
		}()
		done, refused := s.admit(callerOf(ctx), name)
		if done == nil {
			return newResult(refused), nil
		}
		defer done()
		res := f(ctx, req)
		if tell, ok := ctx.Value(needsKey{}).(func(authz.Stronger)); ok && !res.Needs.IsZero() {
			tell(res.Needs)
		}
		return newResult(res), nil
	}
}

// request takes a message from its caller's allowance and reports whether it
// was within. A call of a tool that there is takes itself from it later, when it
// can be answered in the tool's own form.
func (s *Server) request(caller tools.Caller, m message) bool {
	if m.method == "tools/call" && s.mcp.GetTool(textOf(m.params["name"])) != nil {
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
