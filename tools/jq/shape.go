package jq

import (
	"fmt"
	"maps"
	"slices"
)

// Bounds of a shape: how deep it goes, how many members of one object it names,
// and of all.
const (
	shapeDepth   = 3
	shapeMembers = 30
	shapeNames   = 300
)

// Shape describes a value by its types, to a small depth and size.
func Shape(v any) any {
	names := shapeNames
	return shape(v, 0, &names)
}

func shape(v any, depth int, names *int) any {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		if len(v) == 0 || depth == shapeDepth {
			return fmt.Sprintf("array of %d", len(v))
		}
		return map[string]any{fmt.Sprintf("array of %d, the first is", len(v)): shape(v[0], depth+1, names)}
	case map[string]any:
		if depth == shapeDepth || len(v) > 0 && *names <= 0 {
			return fmt.Sprintf("object of %d", len(v))
		}
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if len(out) == shapeMembers || *names <= 0 {
				out["…"] = fmt.Sprintf("%d more", len(v)-len(out))
				break
			}
			*names--
			out[shorten(k, 100)] = shape(v[k], depth+1, names)
		}
		return out
	}
	return "number"
}
