package openapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// properties translates an object's properties and leaves out those that only
// answers have.
func (t *translator) properties(p place, v, out map[string]any, depth int) error {
	for _, key := range []string{"properties", "patternProperties", "dependentSchemas"} {
		props, ok := v[key].(map[string]any)
		if !ok {
			if v[key] != nil {
				t.c.remarks.dropped++
			}
			continue
		}
		if _, isRef := props["$ref"].(string); isRef && len(props) == 1 {
			// No version allows it, but people keep properties in a file.
			at, m, err := t.c.loader.follow(p.to(key), props)
			if err != nil {
				return err
			}
			parent := place{at.doc, strings.TrimSuffix(at.pointer, "/"+key)}
			return t.properties(parent, withKey(v, key, m), out, depth)
		}
		list, err := t.translateNamed(p.to(key), key, props, depth)
		if err != nil {
			return err
		}
		out[key] = list
	}
	return t.takeRequired(p, v, out)
}

// translateNamed translates schemas that are listed by names, or by patterns for names.
func (t *translator) translateNamed(p place, key string, props map[string]any, depth int) (map[string]any, error) {
	list := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		at := p.to(name)
		if key == "properties" && t.turned == 0 && (t.readOnly(at, props[name]) || slices.Contains(t.withheld, name)) {
			continue
		}
		if key == "patternProperties" {
			if _, ok := patternWeight(name); !ok {
				t.c.remarks.patterns++
				continue
			}
		} else if strings.ContainsFunc(name, invisible) {
			return nil, &placedError{at, fmt.Errorf("the name %q holds characters that cannot be seen", name)}
		}
		y, err := t.inner(at, props[name], depth)
		if err != nil {
			return nil, err
		}
		if key == "properties" && t.exact == 0 {
			y = withTypes(y, anyTypes)
		}
		list[name] = y
		if key == "properties" && !legalName(name) {
			t.c.remarks.odd = append(t.c.remarks.odd, name)
		}
	}
	return list, nil
}

// takeRequired takes over which properties an object must have, each once, and none that
// only answers have.
func (t *translator) takeRequired(p place, v, out map[string]any) error {
	required, isList := v["required"].([]any)
	if v["required"] != nil && !isList {
		t.c.remarks.dropped++
	}
	props, _ := v["properties"].(map[string]any)
	if err := t.c.spend(len(required) * (1 + len(t.hidden)/16)); err != nil {
		return err
	}
	var names []any
	seen := map[string]bool{}
	for _, r := range required {
		name, ok := r.(string)
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		if x, has := props[name]; t.turned == 0 && (has && t.readOnly(p.to("properties", name), x) || slices.Contains(t.hidden, name) || slices.Contains(t.withheld, name)) {
			continue
		}
		names = append(names, r)
	}
	if len(names) > 0 {
		out["required"] = names
	}
	return nil
}
