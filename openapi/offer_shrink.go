package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shrink writes a schema in at most budget bytes, if it can be done: as many
// levels as fit, then without descriptions, at last without what is optional at
// the root.
func shrink(root map[string]any, pointer string, budget int, p Profile) (schema json.RawMessage, cut bool) {
	write := func(s shrinker) json.RawMessage {
		s.pointer, s.defs, s.typed = pointer, root["$defs"], p == Gemini
		b, err := json.Marshal(s.whole(root))
		if err != nil {
			return json.RawMessage(`{"type":"object"}`) // a tree that was decoded can be encoded
		}
		return b
	}
	const deepest = 40
	if whole := write(shrinker{levels: deepest}); len(whole) <= budget {
		return whole, false
	}
	for _, bare := range []bool{false, true} {
		// The most levels that fit, found by halving.
		low, high := 0, deepest
		for low+1 < high {
			if mid := (low + high) / 2; len(write(shrinker{levels: mid, bare: bare})) <= budget {
				low = mid
			} else {
				high = mid
			}
		}
		if low > 0 {
			return write(shrinker{levels: low, bare: bare}), true
		}
	}
	return write(shrinker{levels: 1, bare: true, needed: true}), true
}

// shrinker copies a schema down to a number of levels.
type shrinker struct {
	levels  int
	bare    bool // without descriptions
	needed  bool // without properties that are not required
	typed   bool // with a type in every schema
	pointer string
	defs    any
	reached map[string]int // shared schemas, and the least level they are met at
}

func (s *shrinker) whole(root map[string]any) map[string]any {
	s.reached = map[string]int{}
	rest := maps.Clone(root)
	delete(rest, "$defs")
	out := s.schema(rest, s.pointer, 0)
	all, _ := s.defs.(map[string]any)
	kept := map[string]any{}
	// A shared schema that is met again nearer to the root is written anew, with
	// more of it.
	for changed := true; changed; {
		changed = false
		for _, name := range slices.Sorted(maps.Keys(s.reached)) {
			level := s.reached[name]
			m, ok := all[name].(map[string]any)
			if !ok {
				if _, has := kept[name]; !has {
					kept[name] = all[name]
				}
				continue
			}
			if old, done := kept[name].(leveled); done && old.level <= level {
				continue
			}
			kept[name] = leveled{s.schema(m, "/$defs/"+escape(name), level), level}
			changed = true
		}
	}
	if len(kept) > 0 {
		out["$defs"] = kept
	}
	return out
}

// leveled is a shared schema as it was written for a level.
type leveled struct {
	schema map[string]any
	level  int
}

// MarshalJSON implements json.Marshaler.
func (l leveled) MarshalJSON() ([]byte, error) { return json.Marshal(l.schema) }

func (s *shrinker) schema(m map[string]any, at string, level int) map[string]any {
	if level >= s.levels {
		return s.stub(m, at)
	}
	out := maps.Clone(m)
	if s.bare {
		delete(out, "description")
	}
	if ref, ok := m["$ref"].(string); ok {
		name := unescape(strings.TrimPrefix(ref, "#/$defs/"))
		if old, met := s.reached[name]; !met || level < old {
			s.reached[name] = level
		}
	}
	child := func(v any, at string) any {
		if sub, ok := v.(map[string]any); ok {
			return s.schema(sub, at, level+1)
		}
		return v
	}
	last := level+1 >= s.levels
	for _, k := range oneSchema {
		v, ok := m[k]
		if !ok {
			continue
		}
		if _, isMap := v.(map[string]any); last && isMap && slices.Contains([]string{"not", "if", "then", "else", "propertyNames", "unevaluatedProperties", "unevaluatedItems", "contains"}, k) {
			delete(out, k) // a stub in its place would mean something else
			continue
		}
		out[k] = child(v, at+"/"+k)
	}
	for _, k := range listSchemas {
		list, ok := m[k].([]any)
		if !ok {
			continue
		}
		next := make([]any, len(list))
		for i, x := range list {
			next[i] = child(x, fmt.Sprintf("%s/%s/%d", at, k, i))
		}
		out[k] = next
		if k == "oneOf" {
			// Of alternatives that are cut more than one may fit.
			delete(out, k)
			out["anyOf"] = next
			if other, both := m["anyOf"].([]any); both {
				out["allOf"] = []any{map[string]any{"anyOf": next}}
				out["anyOf"] = other
			}
		}
	}
	for _, k := range mapSchemas {
		props, ok := m[k].(map[string]any)
		if !ok {
			continue
		}
		next := map[string]any{}
		for name, x := range props {
			if s.needed && level == 0 && k == "properties" && !requires(m, name) {
				delete(out, "additionalProperties")
				continue
			}
			next[name] = child(x, at+"/"+k+"/"+escape(name))
		}
		out[k] = next
	}
	return out
}

func requires(m map[string]any, name string) bool {
	list, _ := m["required"].([]any)
	return slices.Contains(list, any(name))
}

// stub stands for a schema that is cut: its type, if it is a scalar all of it,
// and where the rest is.
func (s *shrinker) stub(m map[string]any, at string) map[string]any {
	out := map[string]any{}
	if ref, ok := m["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#")
	} else if typ, ok := m["type"].(string); ok {
		out["type"] = typ
		if typ != "object" && typ != "array" {
			for _, k := range []string{"enum", "format", "contentEncoding"} {
				if list, isList := m[k].([]any); m[k] != nil && (!isList || len(list) <= 20) {
					out[k] = m[k]
				}
			}
			return out
		}
		if typ == "array" {
			out["items"] = map[string]any{}
		}
	}
	if s.typed && out["type"] == nil {
		out["anyOf"] = anyValue()
	} else if s.typed && out["items"] != nil {
		out["items"] = map[string]any{"anyOf": anyValue()}
	}
	out["description"] = "cut for length: describe it with the pointer " + at
	if list, ok := out["anyOf"].([]any); ok {
		alone(out, list)
	}
	return out
}
