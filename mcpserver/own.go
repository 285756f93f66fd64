package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/exeat/exeat/tools"
)

// ownTool is a tool of exeat itself. None of them can approve anything.
type ownTool struct {
	tool   mcp.Tool
	handle func(context.Context, toolCall) tools.Result
}

func ownTools(s *Server) []ownTool {
	handle := `"handle":{"type":"string","description":"the handle from an approval_pending answer"}`
	return []ownTool{
		{newOwnTool("exeat_resume", "Result of a held call",
			"Gives the result of a call that waited for a person: the API's answer once it is approved and sent, or why not. Waits up to wait_seconds (at most 50) for the decision. A handle keeps its result; asking again gives it again.",
			`{"type":"object","properties":{`+handle+`,"wait_seconds":{"type":"integer","minimum":0,"maximum":50,"description":"how long to wait for a decision"},"_select":{"type":"string","description":"jq program over the answer, to get less of it"}},"required":["handle"],"additionalProperties":false}`, true, true), s.resume},
		{newOwnTool("exeat_cancel", "Withdraw a held call",
			"Withdraws a call that still waits for a person. Nothing is executed.",
			`{"type":"object","properties":{`+handle+`},"required":["handle"],"additionalProperties":false}`, false, true), s.cancel},
		{newOwnTool("exeat_holds", "Calls that wait for a person",
			"Lists your calls that wait for a person or are being sent, with their handles: the way back after a lost conversation.",
			`{"type":"object","properties":{},"additionalProperties":false}`, true, true), s.holds},
		{newOwnTool("exeat_preview", "Try out a call",
			"Shows the exact request that a call would send, its digest, and whether it would be allowed, held for a person or denied. Nothing is executed.",
			`{"type":"object","properties":{"tool":{"type":"string"},"arguments":{"type":"object","description":"as for the tool"}},"required":["tool"],"additionalProperties":false}`, true, true), s.preview},
	}
}

func newOwnTool(name, title, description, schema string, readOnly, idempotent bool) mcp.Tool {
	no := false
	t := mcp.NewToolWithRawSchema(name, description, json.RawMessage(schema))
	t.Title = title
	t.RawOutputSchema = tools.OutputSchema()
	t.Annotations = mcp.ToolAnnotation{Title: title, ReadOnlyHint: &readOnly, DestructiveHint: &no, IdempotentHint: &idempotent, OpenWorldHint: &no}
	return t
}

// handleArgs are the arguments of exeat's own tools.
type handleArgs struct {
	handle  string
	wait    time.Duration
	program string
}

func parseHandle(raw json.RawMessage) (a handleArgs, bad *tools.Result) {
	seconds := 0
	if _, bad := ownArgs(raw, map[string]any{"handle": &a.handle, "wait_seconds": &seconds, "_select": &a.program}); bad != nil {
		return a, bad
	}
	if a.handle == "" {
		res := invalid("/handle", "must be the handle of a held call, as a string")
		return a, &res
	}
	if seconds < 0 || seconds > int(tools.MaxWait.Seconds()) {
		res := invalid("/wait_seconds", "must be an integer from 0 to 50")
		return a, &res
	}
	a.wait = time.Duration(seconds) * time.Second
	return a, nil
}

func (s *Server) resume(ctx context.Context, c toolCall) tools.Result {
	a, bad := parseHandle(c.args)
	if bad != nil {
		return *bad
	}
	if a.wait > 0 && c.progress != nil {
		stop := s.progress(ctx, c.progress)
		defer stop()
	}
	// A server that stops answers what it knows instead of waiting.
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	if serving, ok := ctx.Value(servingKey{}).(context.Context); ok {
		defer context.AfterFunc(serving, cancel)()
	}
	return s.Runner.Resume(wait, callerOf(ctx), a.handle, a.wait, a.program)
}

// progress tells the client now and then that a call is still waiting, so that
// it does not give up, until the returned function is called.
func (s *Server) progress(ctx context.Context, token mcp.ProgressToken) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for n := 1; ; n++ {
			// A client that cannot be told will ask again; nothing is lost.
			_ = notify(ctx, "notifications/progress", map[string]any{
				"progressToken": token, "progress": n, "message": "waiting for a person to decide"})
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() { cancel(); <-done }
}

// notify tells the client of a call something that has a line in the table.
func notify(ctx context.Context, name string, params map[string]any) error {
	if methods[name].way != told {
		return fmt.Errorf("%s is not a method that exeat sends", name)
	}
	return server.ServerFromContext(ctx).SendNotificationToClient(ctx, name, params)
}

func (s *Server) cancel(ctx context.Context, c toolCall) tools.Result {
	a, bad := parseHandle(c.args)
	if bad != nil {
		return *bad
	}
	return s.Runner.Cancel(ctx, callerOf(ctx), a.handle)
}

func (s *Server) preview(ctx context.Context, c toolCall) tools.Result {
	name, args, bad := toolArgs(c, "tool")
	if bad != nil {
		return *bad
	}
	return s.Runner.ShowPreview(ctx, callerOf(ctx), name, args)
}

func (s *Server) holds(ctx context.Context, _ toolCall) tools.Result {
	return s.Runner.Open(ctx, callerOf(ctx))
}
