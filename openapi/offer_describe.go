package openapi

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// describeBudget bounds one part of a schema as it is described, in bytes.
const describeBudget = 2 * DefaultBudget

// pageOf is the end of a pointer that asks for the members of a schema from a
// number on. No JSON Pointer has it: ~ stands before 0 or 1 in them.
var pageOf = regexp.MustCompile(`~from=([0-9]{1,6})$`)

var errNothing = errors.New("the schema has nothing at this pointer")

// Describe is the part of the offered schema, before anything was cut from it,
// that a JSON Pointer (RFC 6901) leads to. With ~from=N at the pointer's end it has
// the members of that part from the N-th on, what is required first. If it is large,
// parts of it are cut in turn. The error says that there is nothing at the pointer.
func (op *Operation) Describe(p Profile, pointer string) (json.RawMessage, error) {
	at, from := pointer, 0
	if m := pageOf.FindStringSubmatchIndex(pointer); m != nil {
		at = pointer[:m[0]]
		from, _ = strconv.Atoi(pointer[m[2]:m[3]]) // six digits
	}
	if at != "" && at[0] != '/' || len(pointer) > 2000 {
		return nil, errors.New("the pointer is not a JSON Pointer; one looks like /properties/body")
	}
	root, rest, err := op.adaptAt(p, at)
	if err == errNothing {
		return nil, err
	} else if err != nil {
		return nil, errors.New("the tool has no schema")
	}
	shared := strings.TrimSuffix(at, rest)
	part, at, ok := lookUp(root, rest)
	at = shared + at
	if !ok {
		return nil, errNothing
	}
	schema, ok := part.(map[string]any)
	if !ok {
		b, err := json.Marshal(part)
		if len(b) > describeBudget {
			return nil, errors.New("what is at this pointer is too long to give; describe what is around it")
		}
		return b, err
	}
	if n := widest(schema); from > 0 && from >= n {
		return nil, errors.New("the part at this pointer has no more than " + strconv.Itoa(n) + " members")
	}
	schema = maps.Clone(schema)
	if defs := reachable(schema, mapOf(root["$defs"])); len(defs) > 0 {
		schema["$defs"] = defs
	}
	out, _ := excerpt{profile: p, pointer: at, from: from, budget: describeBudget, text: maxText}.write(schema)
	return out, nil
}

// lookUp finds what a pointer leads to: a schema, or a value within one. What leads
// to a list of schemas, or to their names, is answered by the schema around it; so
// is a list of values, which can be too long to give at once.
func lookUp(root map[string]any, pointer string) (part any, at string, ok bool) {
	d := document{root: root}
	if part, ok = d.at(pointer); !ok || pointer == "" {
		return part, pointer, ok
	}
	path := tokens(pointer)
	last := path[len(path)-1]
	if !endsInKeyword(path) {
		return part, pointer, true
	}
	around, _ := d.at(join(path[:len(path)-1]...))
	m, _ := around.(map[string]any)
	if slices.Contains(mapSchemas, last) || slices.Contains(listSchemas, last) || last == "enum" {
		out := map[string]any{last: part}
		for _, k := range []string{"type", "required"} {
			if m[k] != nil {
				out[k] = m[k]
			}
		}
		return out, join(path[:len(path)-1]...), true
	}
	if _, isValue := part.(map[string]any); isValue && !slices.Contains(oneSchema, last) {
		b, err := json.Marshal(part)
		return json.RawMessage(b), pointer, err == nil && len(b) <= describeBudget
	}
	return part, pointer, true
}

// endsInKeyword reports whether the last step of a path is a keyword of a schema, and
// not the name or the number of a schema.
func endsInKeyword(path []string) bool {
	name := false
	for i, step := range path {
		if i == len(path)-1 {
			return !name
		}
		name = !name && (slices.Contains(mapSchemas, step) || slices.Contains(listSchemas, step))
	}
	return false
}

// widest is how many members a schema has at most under one keyword.
func widest(m map[string]any) int {
	n := 0
	for _, k := range slices.Concat(mapSchemas[:3], listSchemas, []string{"enum"}) {
		list, _ := m[k].([]any)
		n = max(n, len(list), len(mapOf(m[k])))
	}
	return n
}

// reachable are the shared schemas that a schema refers to, and those that they do.
func reachable(schema map[string]any, defs map[string]any) map[string]any {
	found := map[string]any{}
	for next := namesOf(schema); len(next) > 0; next = next[1:] {
		name := next[0]
		if v, there := defs[name]; there && found[name] == nil {
			found[name] = v
			next = append(next, namesOf(v)...)
		}
	}
	return found
}

// schema is all that the document says of the arguments.
func (op *Operation) schema() json.RawMessage {
	if op.whole != nil {
		return op.whole
	}
	return op.Input
}

// Brief is what an agent reads of the operation before it chooses a tool: its
// summary and description, at most 1 KiB of it. Cut is true if there is more.
func (op *Operation) Brief() (text string, cut bool) {
	brief := cutText(op.Description, maxDescription)
	return withSummary(op.Summary, brief), brief != op.Description
}

// WholeText is the operation's summary and all of its description.
func (op *Operation) WholeText() string { return withSummary(op.Summary, op.Description) }

func withSummary(summary, text string) string {
	switch {
	case text == "":
		return summary
	case summary == "" || strings.HasPrefix(text, summary):
		return text
	}
	return summary + "\n\n" + text
}
