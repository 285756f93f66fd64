package openapi

import (
	"maps"
	"slices"
)

// anyTypes are all types that a JSON value can have.
var anyTypes = []any{"object", "array", "string", "number", "boolean", "null"}

// withTypes gives a schema that says nothing of the type of its value the list of
// types: a host that is shown none writes an object as its text. It refuses nothing
// more if they are all.
func withTypes(schema any, types []any) any {
	m, ok := schema.(map[string]any)
	if !ok && schema != true || ok && !isUntyped(m) {
		return schema
	}
	if m = maps.Clone(m); m == nil {
		m = map[string]any{}
	}
	m["type"] = types
	if m["items"] == nil && m["prefixItems"] == nil {
		m["items"] = map[string]any{} // hosts refuse arrays without items
	}
	return m
}

// isUntyped reports whether a schema says nothing of the type of its value.
func isUntyped(schema map[string]any) bool {
	telling := []string{"type", "$ref", "enum", "const", "allOf", "anyOf", "oneOf", "not", "properties", "if"}
	return !slices.ContainsFunc(slices.Collect(maps.Keys(schema)), func(k string) bool { return slices.Contains(telling, k) })
}
