package mcpserver

import (
	"context"
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/tools"
)

// served is a tool as it is served.
type served struct {
	tool      mcp.Tool
	operation *tools.Tool // nil for a tool of exeat itself
	handle    func(context.Context, toolCall) tools.Result
	hidden    bool // it is found by search and not listed
	bound     bool // arguments of it may have to be repeated in headers, which mcp-go checks
}

// toolCall is what a message says of a call. The arguments are the bytes that came,
// never their decoded form, which has lost digits and duplicate keys.
type toolCall struct {
	name     string
	args     json.RawMessage
	progress mcp.ProgressToken // nil if the client does not want to be told
}

// serve answers a request in mcp-go's place, with the bytes that mcp-go would
// write. It reports false of what mcp-go has to refuse, or to tell the client of
// while it waits; then nothing has been done.
func (s *Server) serve(ctx context.Context, m *message) (reply, bool) {
	switch {
	case methods[m.method].by != byServer:
		return nil, false
	case m.modern && (m.told[metaCapabilities] == nil || !mcp.IsValidProtocolVersion(m.version)):
		return nil, false
	}
	switch m.method {
	case "ping":
		return newReply(appendEnd(append(appendHead(nil, m.id), "{}"...))), !m.modern
	case "tools/list":
		return s.list.answer(m, callerOf(ctx)), true
	}
	t := s.tools[m.tool]
	if t == nil || t.bound || m.told[metaProgress] != nil && m.tool == "exeat_resume" || !s.visible(callerOf(ctx), t) {
		return nil, false
	}
	res := s.run(ctx, t, toolCall{name: m.tool, args: m.param("arguments")})
	return newReply(s.appendAnswer(m, res)), true
}

// handlerOf is the tool as mcp-go calls it. It never returns a Go error: mcp-go
// would show its text to the agent.
func (s *Server) handlerOf(t *served) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		c := toolCall{name: req.Params.Name, args: req.Params.RawArguments}
		if req.Params.Meta != nil {
			c.progress = req.Params.Meta.ProgressToken
		}
		return newResult(s.run(ctx, t, c)), nil
	}
}

// run keeps a call within the limits, and turns a panic into a safe sentence.
func (s *Server) run(ctx context.Context, t *served, c toolCall) (res tools.Result) {
	defer func() {
		if v := recover(); v != nil {
			s.reportPanic(c.name, v)
			res = tools.Result{Envelope: tools.Envelope{Status: tools.Failed, Code: tools.Internal,
				Reason: "something went wrong inside exeat; if the call was a write, it may have been executed"}}
		}
	}()
	done, refused := s.admit(callerOf(ctx), c.name)
	if done == nil {
		return refused
	}
	defer done()
	res = t.handle(ctx, c)
	if tell, ok := ctx.Value(needsKey{}).(func(authz.Stronger)); ok && !res.Needs.IsZero() {
		tell(res.Needs)
	}
	return res
}

// call hands a tool call to the runner.
func (s *Server) call(ctx context.Context, c toolCall) tools.Result {
	return s.Runner.Call(ctx, callerOf(ctx), c.name, c.args)
}
