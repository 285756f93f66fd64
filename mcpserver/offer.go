package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

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

// addUnlisted adds the tools that are found by search. Models call them by their
// own names, too, which is the same call as one through call_tool.
func (s *Server) addUnlisted() {
	for _, t := range s.Runner.Tools() {
		if s.tools[t.Name] == nil {
			s.tools[t.Name] = &served{tool: mcp.NewTool(t.Name), operation: t, handle: s.call, hidden: true}
		}
	}
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

// keepVisible keeps the tools that the caller could ever use. mcp-go asks for a
// list that exeat did not answer itself, and before it refuses a call.
func (s *Server) keepVisible(ctx context.Context, list []mcp.Tool) []mcp.Tool {
	caller := callerOf(ctx)
	kept := make([]mcp.Tool, 0, len(list))
	for _, m := range list {
		t := s.tools[m.Name]
		switch {
		case len(list) > 1 && t.hidden:
		case s.visible(caller, t):
			kept = append(kept, m)
		case len(list) == 1 && s.limits.request(caller, time.Now()):
			// The list always has exeat's own tools too, so this is a call. What is
			// beyond the limits is not recorded.
			s.Runner.Hidden(caller, t.operation)
		}
	}
	return kept
}

// visible reports whether the caller could ever use a tool.
func (s *Server) visible(caller tools.Caller, t *served) bool {
	return t.operation == nil || s.Runner.Visible(caller, t.operation)
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
