package openapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// discriminator is which property of an object says of which kind it is, and what it
// says of some kinds.
type discriminator struct {
	property string
	values   map[place][]any // by the schema that they stand for
}

// discriminator reads the discriminator of a schema: an object since 3.0, a name
// before. It is nil if there is none.
func (c *compiler) discriminator(p place, v map[string]any) *discriminator {
	d := &discriminator{property: str(v["discriminator"]), values: map[place][]any{}}
	if m, ok := v["discriminator"].(map[string]any); ok {
		d.property = str(m["propertyName"])
		mapping, _ := m["mapping"].(map[string]any)
		for _, value := range sortedKeys(mapping) {
			ref := str(mapping[value])
			if !strings.ContainsAny(ref, "#/.") {
				ref = "#/components/schemas/" + escape(ref)
			}
			if at, _, err := c.loader.resolve(p, ref); err == nil {
				d.values[at] = append(d.values[at], value)
			}
		}
	}
	if d.property == "" {
		return nil
	}
	return d
}

// valuesOf are what the property says of a kind: what the discriminator maps to it,
// what the kind itself demands (then there is nothing to add), or its name. Allowed,
// if there are any, are the values that the property can have.
func (d *discriminator) valuesOf(c *compiler, kind place, v map[string]any, allowed []any) []any {
	values := d.values[kind]
	if len(values) == 0 {
		for _, k := range []string{"x-ms-discriminator-value", "x-discriminator-value"} {
			if s := str(v[k]); s != "" {
				values = []any{s}
			}
		}
	}
	own := c.enumOf(kind, v, d.property, map[place]bool{})
	if len(values) == 0 && len(own) > 0 && len(allowed) == 0 {
		return nil
	}
	if len(values) == 0 {
		values = []any{unescape(kind.pointer[strings.LastIndexByte(kind.pointer, '/')+1:])}
	}
	for _, list := range [][]any{own, allowed} {
		if len(list) == 0 {
			continue
		}
		var fit []any
		for _, x := range list {
			if slices.ContainsFunc(values, func(v any) bool { return strings.EqualFold(str(v), str(x)) && str(x) != "" }) {
				fit = append(fit, x)
			}
		}
		if values = fit; len(values) == 0 {
			return nil // it means something else than the document says
		}
	}
	return values
}

// enumOf are the values that a schema and its parts allow a property to have.
func (c *compiler) enumOf(p place, v map[string]any, property string, seen map[place]bool) []any {
	props, _ := v["properties"].(map[string]any)
	if x, ok := props[property]; ok {
		if _, m, err := c.loader.follow(p.to("properties", property), x); err == nil {
			if value, ok := m["const"]; ok {
				return []any{value}
			}
			if list, _ := m["enum"].([]any); len(list) > 0 {
				return list
			}
		}
	}
	parts, _ := v["allOf"].([]any)
	for i, part := range parts {
		at, m, err := c.loader.follow(p.to("allOf", fmt.Sprint(i)), part)
		if err != nil || seen[at] || len(seen) > 200 {
			continue
		}
		seen[at] = true
		if list := c.enumOf(at, m, property, seen); len(list) > 0 {
			return list
		}
	}
	return nil
}

// tellApart gives each alternative of a schema with a discriminator its values, so
// that a wrong one is refused. Out are the alternatives as they are translated.
func (t *translator) tellApart(p place, v map[string]any, key string, out []any) {
	d := t.c.discriminator(p, v)
	list, _ := v[key].([]any)
	if d == nil || len(list) != len(out) || len(list) < 2 {
		return
	}
	for i, x := range list {
		ref, _ := x.(map[string]any)
		alternative, ok := out[i].(map[string]any)
		if ref["$ref"] == nil || !ok {
			continue
		}
		at, v, err := t.c.loader.resolve(p.to(key, fmt.Sprint(i)), str(ref["$ref"]))
		if err != nil {
			continue
		}
		if _, target, err := t.c.loader.follow(at, v); err == nil {
			out[i] = withKind(alternative, d.property, d.valuesOf(t.c, at, target, nil))
		}
	}
}

// withKind is a schema whose property has one of the values.
func withKind(schema map[string]any, property string, values []any) map[string]any {
	if len(values) == 0 {
		return schema
	}
	says := map[string]any{"enum": values}
	if len(values) == 1 {
		says = map[string]any{"const": values[0]}
	}
	kind := map[string]any{"properties": map[string]any{property: says}}
	if _, ok := schema["$ref"]; ok && schema["properties"] == nil {
		out := maps.Clone(schema)
		out["properties"] = kind["properties"]
		return out
	}
	return map[string]any{"allOf": []any{kind, schema}}
}

// kindsOf is the end of a pointer to the kinds of a schema that has a discriminator and
// none of its alternatives: they are the schemas that have it in their allOf.
const kindsOf = "\x00kinds"

// family finds the schemas that have others in their allOf, by those.
func (c *compiler) family() map[place][]place {
	if c.children != nil {
		return c.children
	}
	c.children = map[place][]place{}
	parent := place{doc: c.root, pointer: "/components/schemas"}
	if c.swagger2 {
		parent.pointer = "/definitions"
	}
	v, _ := parent.doc.at(parent.pointer)
	schemas := mapOf(v)
	for _, name := range sortedKeys(schemas) {
		parts, _ := mapOf(schemas[name])["allOf"].([]any)
		for i, part := range parts {
			ref, ok := mapOf(part)["$ref"].(string)
			if !ok {
				continue
			}
			if at, _, err := c.loader.resolve(parent.to(name, "allOf", fmt.Sprint(i)), ref); err == nil {
				c.children[at] = append(c.children[at], parent.to(name))
			}
		}
	}
	return c.children
}

// hasKinds reports whether a reference at p means any of the kinds of its target, and
// not what they have in common.
func (t *translator) hasKinds(p, target place, v map[string]any) bool {
	if v["discriminator"] == nil || v["oneOf"] != nil || v["anyOf"] != nil || t.turned > 0 || len(t.c.family()[target]) == 0 {
		return false
	}
	holder, _, within := cutLast(p.pointer, "/allOf/")
	return !within || !slices.Contains(t.c.family()[target], place{p.doc, holder})
}

// kinds translates a schema to the alternatives of its kinds.
func (t *translator) kinds(p place, v map[string]any) any {
	d := t.c.discriminator(p, v)
	if d == nil {
		return t.refer(p)
	}
	allowed := t.c.enumOf(p, v, d.property, map[place]bool{})
	seen := map[place]bool{p: true}
	var out []any
	all := true
	for next := slices.Clone(t.c.family()[p]); len(next) > 0 && len(out) < 500; next = next[1:] {
		kind := next[0]
		if seen[kind] {
			continue
		}
		seen[kind] = true
		next = append(next, t.c.family()[kind]...)
		m, _ := kind.doc.at(kind.pointer)
		values := d.valuesOf(t.c, kind, withoutParent(mapOf(m)), allowed)
		all = all && len(values) > 0
		out = append(out, withKind(t.refer(kind), d.property, values))
	}
	// The schema itself can be meant, too.
	own := t.refer(p)
	if all {
		if own = withKind(own, d.property, d.valuesOf(t.c, p, map[string]any{}, allowed)); own["properties"] == nil {
			return map[string]any{"anyOf": out} // its values are all those of others
		}
	}
	return map[string]any{"anyOf": append(out, own)}
}

// withoutParent is a schema with what it says itself only.
func withoutParent(m map[string]any) map[string]any {
	parts, _ := m["allOf"].([]any)
	m = maps.Clone(m)
	m["allOf"] = slices.DeleteFunc(slices.Clone(parts), func(x any) bool { return mapOf(x)["$ref"] != nil })
	return m
}

// refer is a reference to a shared schema.
func (t *translator) refer(p place) map[string]any {
	t.refs = append(t.refs, p)
	return map[string]any{"$ref": "#/$defs/" + escape(t.c.defName(p))}
}
