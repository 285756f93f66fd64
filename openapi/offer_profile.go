package openapi

import (
	"slices"
)

// Bounds on what is written in place of references: schemas in all, and references
// within each other.
const (
	maxInlined     = 3000
	maxInlinedDeep = 8
)

// inliner writes shared schemas in place, for hosts that refuse references. A schema
// within itself becomes any value; what is beyond the bounds does too, and says by which
// pointer [Operation.Describe] gives it.
type inliner struct {
	defs map[string]any
	path []string
	own  int // how much of the path is what is asked for itself, and is written whole
	deep int
	left int
}

// inline writes the shared schemas that a schema refers to in place, to the depth that
// the bound allows, so that no part is whole at the cost of the others. name is that of
// the schema, if it is a shared one.
func inline(schema any, defs map[string]any, name string) map[string]any {
	for deep := maxInlinedDeep; ; deep-- {
		in := inliner{defs: defs, deep: deep, left: maxInlined}
		if name != "" {
			in.path, in.own = []string{name}, 1
		}
		out, _ := in.schema(schema).(map[string]any)
		if in.left >= 0 || deep == 1 {
			return out
		}
	}
}

func (in *inliner) schema(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	if len(in.path) > in.own {
		if in.left--; in.left < 0 {
			return elsewhere(m, in.path[len(in.path)-1])
		}
	}
	out := make(map[string]any, len(m))
	for k, x := range m {
		switch {
		case slices.Contains(oneSchema, k):
			out[k] = in.schema(x)
		case slices.Contains(listSchemas, k):
			list, _ := x.([]any)
			next := make([]any, len(list))
			for i := range list {
				next[i] = in.schema(list[i])
			}
			out[k] = next
		case slices.Contains(mapSchemas, k):
			props, _ := x.(map[string]any)
			next := make(map[string]any, len(props))
			for _, name := range sortedKeys(props) {
				next[name] = in.schema(props[name])
			}
			out[k] = next
		default:
			out[k] = x
		}
	}
	if name, ok := refName(m); ok {
		delete(out, "$ref")
		in.place(out, name)
	}
	return out
}

// place writes a shared schema into what refers to it.
func (in *inliner) place(out map[string]any, name string) {
	var target map[string]any
	def, _ := in.defs[name].(map[string]any)
	switch {
	case slices.Contains(in.path, name):
		target = placeholder(def, "a "+name+" again")
	case len(in.path)-in.own >= in.deep && (len(namesOf(def)) > 0 || size(def, maxText) > maxNote):
		target = elsewhere(def, name)
	default:
		in.path = append(in.path, name)
		target, _ = in.schema(in.defs[name]).(map[string]any)
		in.path = in.path[:len(in.path)-1]
	}
	for k, x := range target {
		if _, own := out[k]; !own {
			out[k] = x
		}
	}
	t, cut := target["description"].(text)
	if said, ok := out["description"].(string); cut && ok {
		out["description"] = text{said: said, note: t.note}
	}
}

// notOpenAI are keywords that OpenAI's function schemas do not know; oneOf, which
// they do not know either, becomes anyOf.
var notOpenAI = []string{"not", "if", "then", "else", "dependentSchemas", "dependentRequired", "unevaluatedProperties", "unevaluatedItems", "propertyNames", "contains", "minContains", "maxContains", "contentEncoding", "contentMediaType"}

// elsewhere stands for a part of a shared schema that is not written in place.
func elsewhere(m map[string]any, name string) map[string]any {
	out := placeholder(m, "")
	out["description"] = text{note: describeAt + "/$defs/" + escape(name)}
	return out
}

// placeholder stands for a schema that is not written in place.
func placeholder(m map[string]any, why string) map[string]any {
	out := map[string]any{"description": why}
	if m["type"] != nil {
		out["type"] = m["type"]
	}
	return out
}

// toOpenAI leaves in a schema what OpenAI's functions take. The outcome admits
// more than it did, never less.
func toOpenAI(m map[string]any) {
	if list, ok := m["oneOf"].([]any); ok {
		delete(m, "oneOf")
		if m["anyOf"] == nil {
			m["anyOf"] = list
		}
	}
	for _, k := range notOpenAI {
		delete(m, k)
	}
}
