package openapi

import (
	"errors"
	"fmt"
)

// carry finds values that a parameter can have and its style cannot carry, such as a
// list of objects in a query, and chooses what vendors mean by them: brackets in a
// query, JSON in a header or cookie. Nothing can be meant of them in a path.
func (b *builder) carry(x *param, p parameter, at place, schema any) error {
	if x.ContentType != "" || x.Style == "deepObject" || !b.deep(at, schema, false, map[place]bool{}) {
		return nil
	}
	form := "as JSON"
	switch x.In {
	case "path":
		return errors.New("it has values within values, which cannot be written into a path")
	case "query":
		x.Nested, form = true, "with brackets, as in "+shorten(p.name, 40)+"[0][name]=value"
	default:
		x.ContentType = "application/json"
	}
	b.c.finding(p.at, b.name, false, fmt.Sprintf("the style %s cannot carry all values of the parameter %s: lists and objects within it are written %s", x.Style, shorten(p.name, 100), form))
	return nil
}

// deep reports whether a value can have lists or objects within lists or objects.
func (b *builder) deep(at place, schema any, within bool, seen map[place]bool) bool {
	at, m, err := b.c.loader.follow(at, schema)
	if err != nil || seen[at] || len(seen) > 1000 || b.c.spend(1) != nil {
		return false
	}
	kind := b.typeOf(at, m)
	props, _ := m["properties"].(map[string]any)
	if within && (kind == "object" || kind == "array") {
		return true
	}
	seen[at] = true
	for name, x := range props {
		if mapOf(x)["readOnly"] != true && b.deep(at.to("properties", name), x, true, seen) {
			return true
		}
	}
	for _, k := range []string{"items", "additionalProperties"} {
		if _, ok := m[k].(map[string]any); ok && b.deep(at.to(k), m[k], true, seen) {
			return true
		}
	}
	for _, k := range []string{"allOf", "anyOf", "oneOf"} {
		parts, _ := m[k].([]any)
		for i, part := range parts {
			if b.deep(at.to(k, fmt.Sprint(i)), part, within, seen) {
				return true
			}
		}
	}
	return false
}

// sendable finds path parameters none of whose values can go into a path.
func (b *builder) sendable(x param, p parameter, schema any) {
	m, _ := schema.(map[string]any)
	values, _ := m["enum"].([]any)
	if c, ok := m["const"]; ok {
		values = []any{c}
	}
	if x.In != "path" || len(values) == 0 {
		return
	}
	reason := ""
	for _, v := range values {
		text, ok := plainText(v)
		if !ok {
			return
		}
		if reason = x.unsafe(text); reason == "" {
			return
		}
	}
	b.c.finding(p.at, b.name, false, fmt.Sprintf("no value of the parameter %s can go into a path: it %s", shorten(p.name, 100), reason))
}
