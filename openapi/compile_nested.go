package openapi

import (
	"fmt"
	"slices"
)

// translateNested translates the schemas within a schema.
func (t *translator) translateNested(p place, v, out map[string]any, depth int) error {
	if _, ok := v["allOf"]; ok {
		hidden, opened := t.hidden, t.opened
		defer func() { t.hidden, t.opened = hidden, opened }()
		if err := t.together(p, v, out); err != nil {
			return err
		}
	}
	for _, key := range []string{"not", "if", "then", "else", "contains", "propertyNames"} {
		if x, ok := v[key]; ok {
			y, same, err := t.condition(p.to(key), key, x, depth, key == "not" || key == "if" || key == "contains" && v["maxContains"] != nil)
			if err != nil {
				return err
			}
			if same {
				out[key] = y
			}
		}
	}
	for _, key := range []string{"additionalProperties", "unevaluatedProperties", "unevaluatedItems"} {
		if x, ok := v[key]; ok && (key != "additionalProperties" || x != false || !t.opened) {
			y, err := t.inner(p.to(key), x, depth)
			if err != nil {
				return err
			}
			out[key] = y
		}
	}
	if err := t.lists(p, v, out, depth); err != nil {
		return err
	}
	if err := t.items(p, v, out, depth); err != nil {
		return err
	}
	return t.properties(p, v, out, depth)
}

// together reads the parts of allOf as what they are together: one may require what
// another says only answers hold, or be closed to the properties of another.
func (t *translator) together(p place, v, out map[string]any) error {
	hidden, err := t.answersOnly(p, v, map[place]bool{}, 0)
	if err != nil {
		return err
	}
	t.hidden = append(slices.Clone(t.hidden), hidden...)
	if t.opened || t.exact > 0 {
		return nil
	}
	if t.opened, err = t.closedToOthers(p, v); t.opened {
		out["unevaluatedProperties"] = false
		t.c.remarks.clashes = append(t.c.remarks.clashes, "parts of allOf allow no properties of each other, and are read as one object, at "+shorten(p.pointer, 200))
	}
	return err
}

// lists translates the keywords that hold lists of schemas.
func (t *translator) lists(p place, v, out map[string]any, depth int) error {
	for _, key := range []string{"allOf", "anyOf", "oneOf", "prefixItems"} {
		list, ok := v[key].([]any)
		if !ok || len(list) == 0 {
			if v[key] != nil {
				t.c.remarks.dropped++
			}
			continue
		}
		translated, err := t.list(p.to(key), list, depth)
		if err != nil {
			return err
		}
		if key == "oneOf" || key == "anyOf" {
			t.tellApart(p, v, key, translated)
		}
		if key == "oneOf" && t.exact == 0 && out["anyOf"] == nil {
			// People write oneOf for alternatives that overlap, such as any object
			// or a certain one; to insist on just one would refuse every call.
			key = "anyOf"
		}
		out[key] = translated
	}
	return nil
}

func (t *translator) list(p place, list []any, depth int) ([]any, error) {
	var out []any
	for i, x := range list {
		y, err := t.schema(p.to(fmt.Sprint(i)), x, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, y)
	}
	return out, nil
}

// items translates the schema of a list's items.
func (t *translator) items(p place, v, out map[string]any, depth int) error {
	switch items := v["items"].(type) {
	case nil:
	case []any: // tuples, as drafts before 2020-12 wrote them
		list, err := t.list(p.to("items"), items, depth)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			out["prefixItems"] = list
		}
		if rest, ok := v["additionalItems"]; ok {
			if out["items"], err = t.inner(p.to("additionalItems"), rest, depth); err != nil {
				return err
			}
		}
	default:
		y, err := t.inner(p.to("items"), items, depth)
		if err != nil {
			return err
		}
		if out["items"] = y; t.exact == 0 {
			out["items"] = withTypes(y, anyTypes)
		}
	}
	return nil
}
