package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// alias is the name that stands for one that hosts refuse. It depends on nothing
// but that name, and no honest API has a name like it.
func alias(name string) string {
	sum := sha256.Sum256([]byte(name))
	s := cut(strings.Trim(propertyChars.ReplaceAllString(name, "_"), "_"), 50)
	return strings.TrimLeft(s+"_"+hex.EncodeToString(sum[:3]), "_")
}

// rename notes names that hosts refuse.
func (op *Operation) rename(odd []string) {
	for _, name := range odd {
		if op.aliases == nil {
			op.aliases, op.originals = map[string]string{}, map[string]string{}
		}
		a := alias(name)
		op.aliases[name], op.originals[a] = a, name
	}
}

// agentNames puts into the pointers of problems the names that agents see.
func (op *Operation) agentNames(bad *ArgumentError) {
	if len(op.aliases) == 0 || bad == nil {
		return
	}
	for i, p := range bad.Problems {
		path := tokens(p.Pointer)
		for j, t := range path {
			if a, ok := op.aliases[t]; ok {
				path[j] = a
			}
		}
		bad.Problems[i].Pointer = join(path...)
	}
}

// rename puts names that agents see in the place of those that hosts refuse.
func rename(v any, names map[string]string) {
	each(v, func(m map[string]any) {
		for _, key := range []string{"properties", "dependentSchemas", "dependentRequired"} {
			props, _ := m[key].(map[string]any)
			for _, name := range slices.Collect(maps.Keys(props)) {
				if to, ok := names[name]; ok {
					props[to] = props[name]
					delete(props, name)
					loosen(m)
				}
				if list, ok := props[name].([]any); ok {
					renameList(list, names)
				}
			}
		}
		if list, ok := m["required"].([]any); ok {
			renameList(list, names)
		}
	})
}

// loosen takes out what an object demands of its properties' names, which are
// others now. The whole schema demands it still.
func loosen(m map[string]any) {
	delete(m, "propertyNames")
	if m["patternProperties"] != nil {
		delete(m, "patternProperties")
		delete(m, "additionalProperties")
	}
}

func renameList(list []any, names map[string]string) {
	for i, x := range list {
		if to, ok := names[str(x)]; ok {
			list[i] = to
		}
	}
}

// original puts the API's names in the place of those that agents see, wherever
// they stand in arguments.
func original(v any, names map[string]string) *ArgumentError {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if bad := original(x, names); bad != nil {
				return bad
			}
		}
	case map[string]any:
		for from, to := range names {
			if x, ok := v[from]; ok {
				if _, both := v[to]; both {
					return refuse("/"+escape(from), "stands for %q, which is given too", to)
				}
				v[to] = x
				delete(v, from)
			}
		}
		for _, x := range v {
			if bad := original(x, names); bad != nil {
				return bad
			}
		}
	}
	return nil
}
