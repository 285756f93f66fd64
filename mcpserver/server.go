package mcpserver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"golang.org/x/time/rate"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/tools"
)

// dispositionMeta is where SEP-2848 puts what became of a held call.
const dispositionMeta = "io.modelcontextprotocol/tool-approval-disposition"

const instructions = `Every call is checked by policy. Some calls wait for a person: the answer then has status "approval_pending" and a handle, and NOTHING has been executed. Tell the user to decide at approval_url, then call exeat_resume with the handle. Making the same call again returns the same handle. You cannot approve a call yourself. If the status is "denied" or "failed", read code, reason and remediation before you try anything else.`

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
	// Panicked, if not nil, is told of a panic while a call or, by the name of
	// its method, another request was answered.
	Panicked func(name string, value any)
}

// Mode says how tools are offered.
type Mode string

// The modes. A host that gets a thousand tools shows its model a part of them, or
// none.
const (
	Auto   Mode = "auto"   // All up to 40 tools, Search beyond
	All    Mode = "all"    // every tool is listed
	Search Mode = "search" // find_tools, describe_tool and call_tool stand for them
)

const autoMost = 40

// Searched reports whether a server in this mode lists the tools of search
// instead of n others.
func (m Mode) Searched(n int) bool { return m == Search || m != All && n > autoMost }

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
	if cfg.Mode.Searched(len(cfg.Runner.Tools())) {
		cfg.Runner.Searchable()
		list = append(list, s.unlisted(list)...)
	}
	s.mcp.AddTools(list...)
	return s, nil
}

// unlisted are the tools that are found by search. Models call them by their own
// names, too, which is the same call as one through call_tool.
func (s *Server) unlisted(listed []server.ServerTool) (more []server.ServerTool) {
	s.hidden = map[string]bool{}
	for _, t := range s.Runner.Tools() {
		if !slices.ContainsFunc(listed, func(l server.ServerTool) bool { return l.Tool.Name == t.Name }) {
			s.hidden[t.Name] = true
			more = append(more, server.ServerTool{Tool: mcp.NewTool(t.Name), Handler: s.guard(t.Name, s.call)})
		}
	}
	return more
}

// offer is what a host gets listed in the server's mode: tools of exeat itself,
// and operations.
func (s *Server) offer(all []*tools.Tool) (own []ownTool, listed []*tools.Tool, err error) {
	own, listed = ownTools(s), all
	if !s.Mode.Searched(len(all)) && slices.ContainsFunc(all, func(t *tools.Tool) bool { return t.Cut }) {
		own = append(own, describeTool(s, "exeat_describe"))
	}
	if s.Mode.Searched(len(all)) {
		own, listed = append(own, searchTools(s, len(all))...), nil
		for _, name := range s.Pinned {
			i := slices.IndexFunc(all, func(t *tools.Tool) bool { return t.Name == name })
			if i < 0 {
				return nil, nil, fmt.Errorf("the pinned tool %q does not exist; exeat tools lists them", name)
			}
			listed = append(listed, all[i])
		}
	}
	names := map[string]bool{}
	for _, t := range own {
		names[t.tool.Name] = true
	}
	for _, t := range listed {
		if names[t.Name] {
			return nil, nil, fmt.Errorf("the tool %q is pinned twice or has the name of one of exeat's own", t.Name)
		}
		names[t.Name] = true
	}
	return own, listed, nil
}

// Offered is the list that hosts get of these tools in a mode.
func Offered(all []*tools.Tool, mode Mode, pinned []string) ([]mcp.Tool, error) {
	s := &Server{Config: Config{Mode: mode, Pinned: pinned}}
	own, listed, err := s.offer(all)
	var list []mcp.Tool
	for _, t := range own {
		list = append(list, t.tool)
	}
	for _, t := range listed {
		list = append(list, Describe(t))
	}
	return list, err
}

// Describe is a tool as tools/list gives it.
func Describe(t *tools.Tool) mcp.Tool {
	m := mcp.NewToolWithRawSchema(t.Name, t.Description, t.InputSchema)
	m.Title = t.Title
	m.RawOutputSchema = t.OutputSchema
	a := t.Annotations
	m.Annotations = mcp.ToolAnnotation{Title: a.Title, ReadOnlyHint: &a.ReadOnlyHint, DestructiveHint: &a.DestructiveHint,
		IdempotentHint: &a.IdempotentHint, OpenWorldHint: &a.OpenWorldHint}
	return m
}

// keepVisible keeps the tools that the caller could ever use.
func (s *Server) keepVisible(ctx context.Context, list []mcp.Tool) []mcp.Tool {
	caller := callerOf(ctx)
	kept := make([]mcp.Tool, 0, len(list))
	for _, m := range list {
		t, ok := s.Runner.Tool(m.Name)
		switch {
		case len(list) > 1 && s.hidden[m.Name]:
		case !ok || s.Runner.Visible(caller, t):
			kept = append(kept, m)
		case len(list) == 1 && s.limits.request(caller, time.Now()):
			// The list always has exeat's own tools too, so this is a call. What is
			// beyond the limits is not recorded.
			s.Runner.Hidden(caller, t)
		}
	}
	return kept
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
				out = result(tools.Result{Envelope: tools.Envelope{Status: tools.Failed, Code: tools.Internal,
					Reason: "something went wrong inside exeat; if the call was a write, it may have been executed"}})
			}
		}()
		done, refused := s.admit(callerOf(ctx), name)
		if done == nil {
			return result(refused), nil
		}
		defer done()
		return result(f(ctx, req)), nil
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
	if s.Panicked != nil {
		s.Panicked(name, value)
	}
}

// result is an answer in MCP's form.
func result(r tools.Result) *mcp.CallToolResult {
	envelope := r.JSON()
	out := &mcp.CallToolResult{
		Content:           []mcp.Content{mcp.NewTextContent(string(envelope))},
		StructuredContent: envelope,
		IsError:           r.IsError(),
	}
	for _, b := range r.Blocks {
		out.Content = append(out.Content, block(b))
	}
	if r.Disposition != "" {
		out.Meta = mcp.NewMetaFromMap(map[string]any{dispositionMeta: r.Disposition})
	}
	return out
}

func block(b tools.Block) mcp.Content {
	data := base64.StdEncoding.EncodeToString(b.Data)
	switch {
	case strings.HasPrefix(b.MediaType, "image/"):
		return mcp.NewImageContent(data, b.MediaType)
	case strings.HasPrefix(b.MediaType, "audio/"):
		return mcp.NewAudioContent(data, b.MediaType)
	}
	return mcp.NewEmbeddedResource(mcp.BlobResourceContents{URI: "exeat:response", MIMEType: b.MediaType, Blob: data})
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

// servingKey is a context that ends when the server begins to stop.
type servingKey struct{}

// ListJSON is tools as tools/list would give them to a caller who may see all
// of them: {"tools": […]}.
func ListJSON(list []*tools.Tool) ([]byte, error) {
	out := []mcp.Tool{}
	for _, t := range list {
		out = append(out, Describe(t))
	}
	return json.MarshalIndent(map[string]any{"tools": out}, "", "  ")
}
