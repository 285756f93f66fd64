package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/exeat/exeat/tools"
)

// ownTool is a tool of exeat itself. None of them can approve anything.
type ownTool struct {
	tool   mcp.Tool
	handle func(context.Context, mcp.CallToolRequest) tools.Result
}

func ownTools(s *Server) []ownTool {
	handle := `"handle":{"type":"string","description":"the handle from an approval_pending answer"}`
	return []ownTool{
		{own("exeat_resume", "Result of a held call",
			"Gives the result of a call that waited for a person: the API's answer once it is approved and sent, or why not. Waits up to wait_seconds (at most 50) for the decision. A handle keeps its result; asking again gives it again.",
			`{"type":"object","properties":{`+handle+`,"wait_seconds":{"type":"integer","minimum":0,"maximum":50,"description":"how long to wait for a decision"}},"required":["handle"],"additionalProperties":false}`, true, true), s.resume},
		{own("exeat_cancel", "Withdraw a held call",
			"Withdraws a call that still waits for a person. Nothing is executed.",
			`{"type":"object","properties":{`+handle+`},"required":["handle"],"additionalProperties":false}`, false, true), s.cancel},
		{own("exeat_holds", "Calls that wait for a person",
			"Lists your calls that wait for a person or are being sent, with their handles: the way back after a lost conversation.",
			`{"type":"object","properties":{},"additionalProperties":false}`, true, true), s.holds},
	}
}

func own(name, title, description, schema string, readOnly, idempotent bool) mcp.Tool {
	no := false
	t := mcp.NewToolWithRawSchema(name, description, json.RawMessage(schema))
	t.Title = title
	t.RawOutputSchema = tools.OutputSchema()
	t.Annotations = mcp.ToolAnnotation{Title: title, ReadOnlyHint: &readOnly, DestructiveHint: &no, IdempotentHint: &idempotent, OpenWorldHint: &no}
	return t
}

// handleArgs are the arguments of exeat's own tools.
type handleArgs struct {
	Handle      string `json:"handle"`
	WaitSeconds int    `json:"wait_seconds"`
}

func parseHandle(raw json.RawMessage) (handleArgs, *tools.Result) {
	var a handleArgs
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil || a.Handle == "" || a.WaitSeconds < 0 {
		return a, &tools.Result{Envelope: tools.Envelope{Status: tools.Failed, Code: tools.InvalidArguments,
			Reason:   "the arguments do not fit the tool's input schema",
			Problems: []tools.Problem{{Pointer: "/handle", Message: "must be the handle of a held call, as a string"}}}}
	}
	return a, nil
}

func (s *Server) resume(ctx context.Context, req mcp.CallToolRequest) tools.Result {
	a, bad := parseHandle(req.Params.RawArguments)
	if bad != nil {
		return *bad
	}
	if a.WaitSeconds > 0 && req.Params.Meta != nil && req.Params.Meta.ProgressToken != nil {
		stop := s.progress(ctx, req.Params.Meta.ProgressToken)
		defer stop()
	}
	return s.Runner.Resume(ctx, s.caller(ctx), a.Handle, time.Duration(a.WaitSeconds)*time.Second)
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
			_ = server.ServerFromContext(ctx).SendNotificationToClient(ctx, "notifications/progress", map[string]any{
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

func (s *Server) cancel(ctx context.Context, req mcp.CallToolRequest) tools.Result {
	a, bad := parseHandle(req.Params.RawArguments)
	if bad != nil {
		return *bad
	}
	return s.Runner.Cancel(ctx, s.caller(ctx), a.Handle)
}

func (s *Server) holds(ctx context.Context, _ mcp.CallToolRequest) tools.Result {
	return s.Runner.Open(ctx, s.caller(ctx))
}
