package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/openapi/strictjson"
	"github.com/exeat/exeat/tools"
)

// searchTools stand for tools that are too many to list. A call through them is
// the call itself: the same decision, hold, token and entry.
func searchTools(s *Server, n int) []ownTool {
	name := `"name":{"type":"string","description":"the tool's name, as find_tools gave it"}`
	call := newOwnTool("call_tool", "Call a tool",
		"Calls a tool that find_tools found. The answer is the tool's own: if its status is approval_pending, nothing was executed; tell the user, then call exeat_resume with the handle.",
		`{"type":"object","properties":{`+name+`,"arguments":{"type":"object","description":"arguments that fit the inputSchema of describe_tool"}},"required":["name"],"additionalProperties":false}`, false, false)
	yes := true
	call.Annotations.DestructiveHint, call.Annotations.OpenWorldHint = &yes, &yes
	return []ownTool{
		{newOwnTool("find_tools", "Find tools",
			fmt.Sprintf("Finds tools by words: there are %d, too many to list. Say what is to be done and with what, in the API's words, e.g. \"create issue comment\". Gives names, summaries and arguments (* is required), best first.", n),
			fmt.Sprintf(`{"type":"object","properties":{"query":{"type":"string","description":"a few words"},"limit":{"type":"integer","minimum":1,"maximum":%d,"description":"how many to give; default 10"}},"required":["query"],"additionalProperties":false}`, tools.MaxFound), true, true), s.find},
		describeTool(s, "describe_tool"),
		{call, s.callFound},
	}
}

// describeTool gives schemas, and the parts of them that were cut.
func describeTool(s *Server, name string) ownTool {
	return ownTool{newOwnTool(name, "Describe a tool", "Gives a tool's description and the schema of its arguments, or with a pointer a part of it, such as one that was cut for length. Read it before you call the tool.",
		`{"type":"object","properties":{"name":{"type":"string","description":"the tool's name"},"pointer":{"type":"string","description":"a JSON Pointer: only that part of the schema"}},"required":["name"],"additionalProperties":false}`, true, true), s.describe}
}

func (s *Server) find(ctx context.Context, c toolCall) tools.Result {
	var query string
	limit := 10
	given, bad := ownArgs(c.args, map[string]any{"query": &query, "limit": &limit})
	if bad != nil {
		return *bad
	}
	if _, ok := given["query"]; !ok || len(query) > 1000 {
		return invalid("/query", "must be a few words")
	}
	if limit < 1 || limit > tools.MaxFound {
		return invalid("/limit", fmt.Sprintf("must be an integer from 1 to %d", tools.MaxFound))
	}
	return s.Runner.Find(ctx, callerOf(ctx), query, limit)
}

func (s *Server) describe(ctx context.Context, c toolCall) tools.Result {
	var name, pointer string
	if _, bad := ownArgs(c.args, map[string]any{"name": &name, "pointer": &pointer}); bad != nil {
		return *bad
	}
	return s.Runner.Description(ctx, callerOf(ctx), name, pointer)
}

func (s *Server) callFound(ctx context.Context, c toolCall) tools.Result {
	name, args, bad := toolArgs(c, "name")
	if bad != nil {
		return *bad
	}
	return s.Runner.Call(ctx, callerOf(ctx), name, args)
}

// toolArgs reads a tool's name, which has the given key, and its arguments as the
// agent wrote them: the runner reads those, as strictly as in a call of the tool
// itself.
func toolArgs(c toolCall, key string) (name string, args json.RawMessage, bad *tools.Result) {
	if _, bad := ownArgs(c.args, map[string]any{key: &name, "arguments": &args}); bad != nil {
		return "", nil, bad
	}
	if len(args) == 0 {
		return name, nil, nil
	}
	if args = readObject(args); args == nil {
		res := invalid("/arguments", "must be an object")
		return "", nil, &res
	}
	return name, args, nil
}

// ownArgs reads the arguments of a tool of exeat's own into the targets, and
// nothing that has no target.
func ownArgs(raw json.RawMessage, targets map[string]any) (map[string]json.RawMessage, *tools.Result) {
	if raw == nil {
		raw = json.RawMessage("{}")
	}
	var known []param
	for name := range targets {
		known = append(known, param{name: name})
	}
	values := make([]json.RawMessage, len(known))
	if err := readMembers(raw, "the arguments", known, values); err != nil {
		res := invalid("", err.text)
		return nil, &res
	}
	given, err := strictjson.Members(raw)
	if err != nil {
		res := invalid("", "the arguments cannot be read")
		return nil, &res
	}
	for name, v := range given {
		target, ok := targets[name]
		if !ok {
			res := invalid("", "there is an argument that the tool does not have")
			return nil, &res
		}
		if isAbsent(v) {
			delete(given, name)
			continue
		}
		if kind, err := typeOf(target), json.Unmarshal(v, target); err != nil {
			res := invalid("/"+name, "must be "+kind)
			return nil, &res
		}
	}
	return given, nil
}

// typeOf says what an argument must be that is read into the target.
func typeOf(target any) string {
	switch target.(type) {
	case *int:
		return "an integer"
	case *string:
		return string(aText)
	}
	return string(anObject)
}

func invalid(pointer, message string) tools.Result {
	return tools.Result{Envelope: tools.Envelope{Status: tools.Failed, Code: tools.InvalidArguments,
		Reason: "the arguments do not fit the tool's input schema", Remediation: authz.RemedyArgs,
		Problems: []tools.Problem{{Pointer: pointer, Message: message}}}}
}
