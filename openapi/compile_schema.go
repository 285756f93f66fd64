package openapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Bounds on a description, in bytes: what is offered of it, and what is kept for who
// asks to see it whole.
const (
	maxDescription = 1024
	maxText        = 8 << 10
)

// translator turns OpenAPI schemas of any version into JSON Schema 2020-12 for
// inputs: without what only answers hold, and without what hosts trip over.
type translator struct {
	c        *compiler
	refs     []place
	hidden   []string // properties that a schema around this one says are readOnly
	withheld []string // properties of the value itself that are credentials
	inline   []place  // shared schemas being written in place, for what is hidden in them
	placed   int      // how many were
	opened   bool     // whether this is a part of a schema beside others, whose properties it must allow
	exact    int      // within how many conditions this is, where a type that is added would mean something else
	turned   int      // within how many not and if, where what is left out would refuse more
}

// schema translates one schema at p.
func (t *translator) schema(p place, v any, depth int) (any, error) {
	if depth > 100 {
		return nil, errors.New("the schema is nested too deeply")
	}
	if err := t.c.spend(1 + len(p.pointer)/64); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case bool:
		return v, nil
	case map[string]any:
		return t.object(p, v, depth)
	case nil:
		return map[string]any{}, nil
	}
	return nil, fmt.Errorf("a schema is an object or a boolean (%s)", p.pointer)
}

func (t *translator) object(p place, v map[string]any, depth int) (any, error) {
	v = t.modern(p, v)
	if ref, ok := v["$ref"].(string); ok {
		return t.reference(p, v, ref, depth)
	}
	out := map[string]any{}
	t.types(v, out)
	t.describe(v, out)
	if err := enumSize(v["enum"]); err != nil {
		return nil, &placedError{p, err}
	}
	for k, legal := range kept {
		if x, ok := v[k]; ok && legal(x) {
			out[k] = x
			t.c.remarks.unseen += unseen(x)
		} else if ok {
			t.c.remarks.dropped++
		}
	}
	for _, k := range lost {
		if _, ok := v[k]; ok {
			t.c.remarks.dropped++
		}
	}
	t.bounds(v, out)
	if err := t.translateNested(p, v, out, depth); err != nil {
		return nil, err
	}
	t.mend(p, v, out)
	if isArray(out["type"]) && out["items"] == nil && out["prefixItems"] == nil {
		out["items"] = map[string]any{} // hosts refuse arrays without items
	}
	if v["nullable"] == true {
		return nullable(out), nil
	}
	return out, nil
}

func isArray(typ any) bool {
	list, _ := typ.([]any)
	return typ == "array" || slices.Contains(list, any("array"))
}

// describe takes a schema's description over.
func (t *translator) describe(v, out map[string]any) {
	if d := joinWords(str(v["description"]), wordsOf(v)); d != "" {
		text := clean(d, maxText)
		if t.c.look(text, d); text != "" {
			out["description"] = text
		}
		if len(text) > maxDescription {
			t.c.remarks.long++
		}
	}
}

// reference keeps a reference, now into $defs.
func (t *translator) reference(p place, v map[string]any, ref string, depth int) (any, error) {
	target, at, err := t.c.loader.resolve(p, ref)
	if err != nil {
		return nil, err
	}
	if _, _, err := t.c.loader.follow(target, at); err != nil {
		if _, isBool := at.(bool); !isBool {
			return nil, err // it leads nowhere, or in a circle
		}
	}
	if m, ok := at.(map[string]any); ok && (t.demandsHidden(target, m) || t.demandsOpen(target, m) || t.mayHoldWithheld(target, m)) {
		return t.inPlace(target, m, depth)
	}
	if m, ok := at.(map[string]any); ok && t.turned > 0 && !slices.Contains(t.inline, target) && t.placed < 100 {
		// Shared schemas are translated for other places than this. One within itself
		// stays shared: a translation that changes it then refuses more, not less.
		return t.inPlace(target, m, depth)
	}
	if m, ok := at.(map[string]any); ok && t.hasKinds(p, target, m) {
		target.pointer += kindsOf
	}
	t.refs = append(t.refs, target)
	out := map[string]any{}
	if t.c.siblings && len(v) > 1 {
		// Since 3.1 a reference may have other keywords beside it.
		rest := maps.Clone(v)
		delete(rest, "$ref")
		beside, err := t.object(p, rest, 1)
		if err != nil {
			return nil, err
		}
		out, _ = beside.(map[string]any)
	}
	out["$ref"] = "#/$defs/" + escape(t.c.defName(target))
	t.describe(v, out)
	if v["nullable"] == true {
		return nullable(out), nil
	}
	return out, nil
}

// types translates type, which was "file" and could be wrong in many ways.
func (t *translator) types(v, out map[string]any) {
	switch typ := v["type"].(type) {
	case string:
		if typ == "file" {
			out["type"], out["contentEncoding"] = "string", "base64"
		} else if slices.Contains(jsonTypes, typ) {
			out["type"] = typ
		} else {
			t.c.remarks.dropped++
		}
	case nil:
	case []any:
		var list []any
		for _, x := range typ {
			if s, ok := x.(string); ok && slices.Contains(jsonTypes, s) && !slices.Contains(list, x) {
				list = append(list, x)
			} else if !slices.Contains(list, x) {
				t.c.remarks.dropped++
			}
		}
		if len(list) == 1 {
			out["type"] = list[0]
		} else if len(list) > 1 {
			out["type"] = list
		}
	default:
		t.c.remarks.dropped++
	}
	if _, ok := out["type"]; !ok && t.exact == 0 && v["properties"] != nil && v["allOf"] == nil && v["oneOf"] == nil && v["anyOf"] == nil {
		out["type"] = "object"
	}
	if v["format"] == "binary" {
		out["contentEncoding"] = "base64"
	}
}

// bounds translates what changed between versions: exclusive bounds that were
// booleans, required that was one, patterns that are not RE2.
func (t *translator) bounds(v, out map[string]any) {
	for exclusive, bound := range map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} {
		switch x := v[exclusive].(type) {
		case bool:
			if b, ok := v[bound]; ok && x {
				out[exclusive] = b
				delete(out, bound)
			}
		case nil:
		default:
			if isNumber(x) {
				out[exclusive] = x
			} else {
				t.c.remarks.dropped++
			}
		}
	}
	if s, ok := v["pattern"].(string); ok {
		if _, ok := patternWeight(s); ok {
			out["pattern"] = s
			t.c.remarks.unseen += unseen(s)
		} else {
			t.c.remarks.patterns++
		}
	} else if v["pattern"] != nil {
		t.c.remarks.dropped++
	}
	if out["format"] == "binary" {
		delete(out, "format")
	}
}

// nullable adds null to what a schema admits.
func nullable(s map[string]any) map[string]any {
	typ, ok := s["type"].(string)
	if !ok || s["const"] != nil {
		if _, listed := s["type"].([]any); listed && slices.Contains(s["type"].([]any), any("null")) {
			return s
		}
		if isUntyped(s) {
			return s
		}
		return map[string]any{"anyOf": []any{s, map[string]any{"type": "null"}}}
	}
	s["type"] = []any{typ, "null"}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, nil) {
		s["enum"] = append(slices.Clone(enum), nil)
	}
	return s
}

// withKey is m with another value for one key.
func withKey(m map[string]any, key string, v any) map[string]any {
	m = maps.Clone(m)
	m[key] = v
	return m
}
