package openapi

import (
	"maps"
	"strings"
)

// condition translates a schema that is no demand of its own: what is added to it
// or left out of it changes when others apply. It says whether the schema still
// means the same; strict is for those that would refuse more if they were looser,
// and which are better left out.
func (t *translator) condition(p place, key string, v any, depth int, strict bool) (out any, same bool, err error) {
	opened := t.opened
	t.opened = false
	t.exact++
	defer func() { t.opened = opened; t.exact-- }()
	if !strict {
		if key == "then" || key == "else" {
			out, err = t.schema(p, v, depth+1)
		} else {
			out, err = t.inner(p, v, depth)
		}
		return out, true, err
	}
	hidden, refs := t.hidden, len(t.refs)
	t.turned++
	t.hidden = nil
	before := t.c.remarks.dropped + t.c.remarks.patterns
	out, err = t.schema(p, v, depth+1)
	same = t.c.remarks.dropped+t.c.remarks.patterns == before
	t.turned--
	t.hidden = hidden
	if !same {
		t.refs = t.refs[:refs]
		t.c.remarks.dropped++ // which a not around this one sees, too
	}
	return out, same, err
}

// modern is a schema whose keywords of earlier drafts are written as those that
// took their place.
func (t *translator) modern(p place, v map[string]any) map[string]any {
	if deps, ok := v["dependencies"].(map[string]any); ok {
		required, schemas := map[string]any{}, map[string]any{}
		addMissing(required, mapOf(v["dependentRequired"]))
		addMissing(schemas, mapOf(v["dependentSchemas"]))
		for name, x := range deps {
			if _, list := x.([]any); list {
				addMissing(required, map[string]any{name: x})
			} else {
				addMissing(schemas, map[string]any{name: x})
			}
		}
		v = maps.Clone(v)
		delete(v, "dependencies")
		if len(required) > 0 {
			v["dependentRequired"] = required
		}
		if len(schemas) > 0 {
			v["dependentSchemas"] = schemas
		}
	}
	for key, anchor := range map[string]string{"$recursiveRef": "$recursiveAnchor", "$dynamicRef": "$dynamicAnchor"} {
		ref, ok := v[key].(string)
		if !ok || v["$ref"] != nil {
			continue
		}
		if !strings.HasPrefix(ref, "#/") {
			ref = findAnchor(p, anchor, strings.TrimPrefix(ref, "#"))
		}
		if ref != "" {
			v = withKey(v, "$ref", ref)
			delete(v, key)
		}
	}
	return v
}

func mapOf(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// findAnchor gives a reference to the schema around p that has an anchor: true, or a name. It
// is empty if there is none.
func findAnchor(p place, key, name string) string {
	found := ""
	for at := p.pointer; at != ""; at = at[:strings.LastIndex(at, "/")] {
		v, _ := p.doc.at(at)
		m := mapOf(v)
		if key == "$recursiveAnchor" && m[key] == true || name != "" && m[key] == name {
			found = at // the outermost: that is what makes it dynamic
		}
	}
	if found == "" {
		return ""
	}
	return "#" + strings.ReplaceAll(found, "%", "%25")
}
