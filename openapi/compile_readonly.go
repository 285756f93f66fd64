package openapi

import (
	"errors"
	"fmt"
	"slices"
)

func (t *translator) readOnly(p place, v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	if m["readOnly"] == true {
		return true
	}
	if _, target, err := t.c.loader.follow(p, v); err == nil {
		return target["readOnly"] == true
	}
	return false
}

// answersOnly lists the readOnly properties of a schema and of its allOf parts:
// one part may require what another says only answers hold.
func (t *translator) answersOnly(p place, v any, seen map[place]bool, depth int) ([]string, error) {
	p, m, err := t.c.loader.follow(p, v)
	if err != nil || seen[p] {
		return nil, nil
	}
	if depth > 100 {
		return nil, errors.New("allOf is nested too deeply")
	}
	seen[p] = true
	var names []string
	props, _ := m["properties"].(map[string]any)
	if err := t.c.spend(1 + len(props) + len(p.pointer)/64); err != nil {
		return nil, err
	}
	for name, x := range props {
		if t.readOnly(p.to("properties", name), x) {
			names = append(names, name)
		}
	}
	parts, _ := m["allOf"].([]any)
	for i, part := range parts {
		more, err := t.answersOnly(p.to("allOf", fmt.Sprint(i)), part, seen, depth+1)
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	return names, nil
}

// demandsHidden reports whether a shared schema requires a property that only
// answers hold, as the schema that refers to it says. Such a one cannot be shared.
func (t *translator) demandsHidden(p place, m map[string]any) bool {
	required, _ := m["required"].([]any)
	hidden := slices.ContainsFunc(required, func(name any) bool { return slices.Contains(t.hidden, str(name)) })
	return hidden && !slices.Contains(t.inline, p) && t.placed < 100
}

// mayHoldWithheld reports whether a shared schema can have a property that is kept
// from the agent here. Such a one cannot be shared.
func (t *translator) mayHoldWithheld(p place, m map[string]any) bool {
	if len(t.withheld) == 0 || t.turned > 0 || slices.Contains(t.inline, p) || t.placed >= 100 {
		return false
	}
	props, _ := m["properties"].(map[string]any)
	return m["$ref"] != nil || m["allOf"] != nil || m["anyOf"] != nil || m["oneOf"] != nil ||
		slices.ContainsFunc(t.withheld, func(name string) bool { return props[name] != nil || slices.Contains(stringsOf(m["required"]), name) })
}

// inPlace writes a shared schema where it is referred to.
func (t *translator) inPlace(p place, m map[string]any, depth int) (any, error) {
	t.placed++
	t.inline = append(t.inline, p)
	defer func() { t.inline = t.inline[:len(t.inline)-1] }()
	return t.object(p, m, depth+1)
}

// inner translates the schema of another value, which hides other properties.
func (t *translator) inner(p place, v any, depth int) (any, error) {
	before, opened, withheld := t.hidden, t.opened, t.withheld
	defer func() { t.hidden, t.opened, t.withheld = before, opened, withheld }()
	t.hidden, t.opened, t.withheld = nil, false, nil
	return t.schema(p, v, depth+1)
}
