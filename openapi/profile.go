package openapi

import (
	"encoding/json"
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
		return map[string]any{"type": "object", "description": "too large to describe"}
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
		return map[string]any{"type": "object", "description": "a " + name + " again"}
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

// narrowing is what a host takes of a schema.
type narrowingTo struct {
	keywords []string // nil takes all
	drop     []string
	strings  bool // enums hold nothing but strings
	single   bool // type is one name, with nullable beside it
}

// openAI drops what its function schemas do not know (not, conditions) and
// turns oneOf into anyOf.
var openAI = narrowingTo{drop: []string{"not", "if", "then", "else", "dependentSchemas", "dependentRequired", "unevaluatedProperties", "unevaluatedItems", "propertyNames", "contains", "minContains", "maxContains", "contentEncoding", "contentMediaType"}}

// gemini keeps the fields of its Schema object.
var gemini = narrowingTo{keywords: []string{"type", "format", "description", "nullable", "enum", "items", "minItems", "maxItems", "properties", "required", "minLength", "maxLength", "minimum", "maximum", "anyOf"},
	strings: true, single: true}

// narrow leaves in a schema what a host takes. The outcome admits more than it
// did, never less.
func narrow(root map[string]any, to narrowingTo) {
	each(root, func(m map[string]any) {
		if to.keywords != nil {
			parts, _ := m["allOf"].([]any)
			delete(m, "allOf")
			for _, p := range parts {
				merge(m, p)
			}
		}
		if list, ok := m["oneOf"].([]any); ok {
			delete(m, "oneOf")
			if m["anyOf"] == nil {
				m["anyOf"] = list
			}
		}
		for _, k := range to.drop {
			delete(m, k)
		}
		if to.keywords == nil {
			return
		}
		if c, ok := m["const"]; ok {
			delete(m, "const")
			if m["enum"] == nil {
				m["enum"] = []any{c}
			}
		}
		if props, ok := m["properties"].(map[string]any); ok {
			for name, x := range props {
				if _, isMap := x.(map[string]any); !isMap {
					props[name] = map[string]any{"type": "string", "description": "any value"}
				}
			}
		}
		if _, ok := m["items"].(bool); ok || m["type"] == "array" && m["items"] == nil {
			m["items"] = map[string]any{"type": "string"}
		}
		for k := range m {
			if !slices.Contains(to.keywords, k) {
				delete(m, k)
			}
		}
		typed(m, to)
	})
}

// typed makes a schema's type one name and its enum strings.
func typed(m map[string]any, to narrowingTo) {
	if list, ok := m["type"].([]any); ok && to.single {
		rest := slices.DeleteFunc(slices.Clone(list), func(x any) bool { return x == "null" })
		if len(rest) < len(list) {
			m["nullable"] = true
		}
		delete(m, "type")
		if len(rest) == 1 {
			m["type"] = rest[0]
		} else if len(rest) > 1 && m["anyOf"] == nil {
			var any []any
			for _, x := range rest {
				any = append(any, map[string]interface{}{"type": x})
			}
			m["anyOf"] = any
		}
	}
	enum, ok := m["enum"].([]any)
	if !ok || !to.strings {
		return
	}
	if m["type"] != nil && m["type"] != "string" || slices.ContainsFunc(enum, func(x any) bool { _, text := x.(string); return !text && x != nil }) {
		b, err := json.Marshal(enum)
		delete(m, "enum")
		if err == nil && len(b) < 300 {
			m["description"] = strings.TrimSpace(str(m["description"]) + " one of " + string(b))
		}
		return
	}
	m["enum"] = slices.DeleteFunc(slices.Clone(enum), func(x any) bool { return x == nil })
}

// merge adds what one part of an allOf says.
func merge(m map[string]any, part any) {
	p, _ := part.(map[string]any)
	if parts, ok := p["allOf"].([]any); ok {
		for _, x := range parts {
			merge(m, x)
		}
	}
	for k, x := range p {
		switch k {
		case "allOf":
		case "properties":
			props, _ := x.(map[string]any)
			own, _ := m[k].(map[string]any)
			if own == nil {
				own = map[string]any{}
			}
			addMissing(own, props)
			m[k] = own
		case "required":
			more, _ := x.([]any)
			own, _ := m[k].([]any)
			own = slices.Clone(own)
			for _, name := range more {
				if !slices.Contains(own, name) {
					own = append(own, name)
				}
			}
			m[k] = own
		default:
			if _, ok := m[k]; !ok {
				m[k] = x
			}
		}
	}
}
