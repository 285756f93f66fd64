package openapi

import (
	"slices"
	"strings"
)

// maxInlined bounds the schemas that are written in place of references.
const maxInlined = 3000

// inliner writes shared schemas in place, for hosts that refuse references. A
// schema within itself, and what is beyond the bound, becomes any value.
type inliner struct {
	defs map[string]any
	path []string
	left int
}

func (in *inliner) schema(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	if in.left--; in.left < 0 {
		return placeholder(m, "too large to describe")
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
	ref, ok := m["$ref"].(string)
	if !ok {
		return out
	}
	delete(out, "$ref")
	name := unescape(strings.TrimPrefix(ref, "#/$defs/"))
	if slices.Contains(in.path, name) || len(in.path) > 8 {
		again, _ := in.defs[name].(map[string]any)
		return placeholder(again, "a "+name+" again")
	}
	in.path = append(in.path, name)
	target, _ := in.schema(in.defs[name]).(map[string]any)
	in.path = in.path[:len(in.path)-1]
	for k, x := range target {
		if _, own := out[k]; !own {
			out[k] = x
		}
	}
	return out
}

// notOpenAI are keywords that OpenAI's function schemas do not know; oneOf, which
// they do not know either, becomes anyOf.
var notOpenAI = []string{"not", "if", "then", "else", "dependentSchemas", "dependentRequired", "unevaluatedProperties", "unevaluatedItems", "propertyNames", "contains", "minContains", "maxContains", "contentEncoding", "contentMediaType"}

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
