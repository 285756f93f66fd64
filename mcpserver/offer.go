package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/exeat/exeat/tools"
)

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

// Searches reports whether a server in this mode lists the tools of search
// instead of n others.
func (m Mode) Searches(n int) bool { return m == Search || m != All && n > autoMost }

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
	if !s.Mode.Searches(len(all)) && slices.ContainsFunc(all, func(t *tools.Tool) bool { return t.Cut }) {
		own = append(own, describeTool(s, "exeat_describe"))
	}
	if s.Mode.Searches(len(all)) {
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

// List is what tools/list gives of these tools in a mode.
func List(all []*tools.Tool, mode Mode, pinned []string) ([]mcp.Tool, error) {
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

// ListJSON is tools as tools/list would give them to a caller who may see all
// of them: {"tools": […]}.
func ListJSON(list []*tools.Tool) ([]byte, error) {
	out := []mcp.Tool{}
	for _, t := range list {
		out = append(out, Describe(t))
	}
	return json.MarshalIndent(map[string]any{"tools": out}, "", "  ")
}
