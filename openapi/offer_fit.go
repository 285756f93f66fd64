package openapi

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// conditions are the keywords whose schemas stand whole or not at all: something
// looser in their place would make the schema refuse more.
var conditions = []string{"not", "if", "then", "else", "propertyNames", "contains", "unevaluatedProperties", "unevaluatedItems"}

// maxNote is room for what is said of a cut, beside its pointer.
const maxNote = 110

// describeAt begins the note on what is cut and can be described.
const describeAt = "cut for length: describe it with the pointer "

// fitter cuts a schema to a number of bytes. Descriptions do not count; they get
// the room that is left.
type fitter struct {
	typed bool // with a type in every schema
	// What schemas take without descriptions: those around them ask again at each level.
	sizes map[uintptr]sized
}

// sized is how many bytes a schema takes. It keeps the schema, so that no other one comes
// to stand at its address.
type sized struct {
	schema map[string]any
	bytes  int
}

// size is how many bytes what is not changed any more takes without descriptions.
func (f fitter) size(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		at := reflect.ValueOf(v).Pointer()
		if s, ok := f.sizes[at]; ok {
			return s.bytes
		}
		for k, x := range v {
			if t, ok := x.(text); ok {
				n += t.size(0)
			} else {
				n += 2 + textSize(k) + f.size(x)
			}
		}
		f.sizes[at] = sized{v, max(n, 2)}
	case []any:
		for _, x := range v {
			n += 1 + f.size(x)
		}
	default:
		return size(v, 0)
	}
	return max(n, 2)
}

// subschema is a schema within a schema, or at the root a value of its enum.
type subschema struct {
	key, name    string // the keyword, and the name or index under it
	index        int    // in the order in which members go; -1 for those that always stay
	schema       any
	at           string
	head         int // bytes of its name
	whole, least int // bytes as it is, and cut as far as it can be
}

// fit is m in at most budget bytes: what is small stays, the largest parts are cut,
// level by level. From says from which subschema on the root is wanted; -1 is for
// what is within the root.
func (f fitter) fit(m map[string]any, at string, budget, from int) map[string]any {
	if from <= 0 && f.size(m) <= budget {
		return m
	}
	root := from >= 0
	out, less := f.own(m, budget, root)
	all := f.members(m, at, root)
	left := budget - size(out, 0) - maxNote - len(at)
	if f.typed {
		left -= size(f.anything(), 0)
	}
	count := countFitting(all, left, from)
	if !root && (count == 0 && len(all) > 0 || left < 0) {
		return f.stub(m, at)
	}
	from = max(from, 0)
	count = max(count, 1)
	omitted := map[string]int{}
	var stay []subschema
	for _, x := range all {
		if x.index < 0 || x.index >= from && x.index < from+count {
			stay = append(stay, x)
		} else {
			omitted[x.key]++
		}
	}
	f.share(out, stay, left)
	for _, k := range conditions {
		if v, ok := m[k]; ok && f.size(v) <= left/4 {
			out[k] = v
		} else if ok {
			less = true
		}
	}
	f.tidy(m, out, omitted)
	f.note(m, out, omitted, less, at, from+count)
	return out
}

// own is what a schema says without schemas of its own. What is too long is left
// out, which is told.
func (f fitter) own(m map[string]any, budget int, root bool) (out map[string]any, less bool) {
	out = maps.Clone(m)
	for _, k := range slices.Concat(conditions, []string{"items", "additionalProperties", "required"}, listSchemas, mapSchemas) {
		delete(out, k)
	}
	if root {
		delete(out, "enum") // its values are members
	}
	for _, k := range []string{"default", "examples", "dependentRequired", "enum", "const", "pattern"} {
		if v, ok := out[k]; ok && size(out, 0) > budget/2 {
			if list, isList := v.([]any); k == "enum" && isList {
				note(out, fmt.Sprintf("one of %d values, such as %s", len(list), someOf(list)))
			}
			delete(out, k)
			less = true
		}
	}
	return out, less
}

// someOf shows the first few values of an enum.
func someOf(list []any) string {
	var words []string
	for _, v := range list[:min(len(list), 3)] {
		s, _ := plainText(v)
		words = append(words, cutText(s, 30))
	}
	return strings.Join(words, ", ")
}

// members lists the schemas within a schema: what is required first, then by name.
func (f fitter) members(m map[string]any, at string, root bool) []subschema {
	var all []subschema
	add := func(x subschema) {
		x.whole = f.size(x.schema)
		x.least = x.whole
		if sub, ok := x.schema.(map[string]any); ok && x.whole > maxNote/2 {
			x.least = min(x.whole, size(f.stub(sub, x.at), 0))
		}
		all = append(all, x)
	}
	for _, k := range []string{"items", "additionalProperties"} {
		if v, ok := m[k]; ok {
			add(subschema{key: k, index: -1, schema: v, at: at + "/" + k, head: len(k) + 4})
		}
	}
	for _, k := range listSchemas {
		list, _ := m[k].([]any)
		for i, v := range list {
			add(subschema{key: k, name: strconv.Itoa(i), index: i, schema: v, at: at + "/" + k + "/" + strconv.Itoa(i), head: 1})
		}
	}
	required := requiredOf(m)
	for _, k := range mapSchemas[:3] {
		props, _ := m[k].(map[string]any)
		for i, name := range requiredFirst(sortedKeys(props), required) {
			head := textSize(name) + 2
			if required[name] {
				head *= 2
			}
			add(subschema{key: k, name: name, index: i, schema: props[name], at: at + "/" + k + "/" + escape(name), head: head})
		}
	}
	if list, _ := m["enum"].([]any); root {
		for i, v := range list {
			add(subschema{key: "enum", name: strconv.Itoa(i), index: i, schema: v, head: 1})
		}
	}
	return all
}

// requiredOf are the names that a schema requires.
func requiredOf(m map[string]any) map[string]bool {
	list, _ := m["required"].([]any)
	names := make(map[string]bool, len(list))
	for _, name := range list {
		if s, ok := name.(string); ok {
			names[s] = true
		}
	}
	return names
}

// requiredFirst puts the names that are required before the others.
func requiredFirst(names []string, required map[string]bool) []string {
	if len(required) == 0 {
		return names
	}
	var first, rest []string
	for _, name := range names {
		if required[name] {
			first = append(first, name)
		} else {
			rest = append(rest, name)
		}
	}
	return append(first, rest...)
}

// countFitting is how many members of each keyword have room, each cut as far as it
// can be.
func countFitting(all []subschema, left, from int) int {
	at := map[int]int{}
	last := 0
	for _, x := range all {
		if x.index < 0 {
			left -= x.head + x.least
		} else if x.index >= max(from, 0) {
			at[x.index] += x.head + x.least
			last = max(last, x.index+1)
		}
	}
	count := 0
	for i := max(from, 0); i < last; i++ {
		if left -= at[i]; left < 0 {
			return count
		}
		count++
	}
	return count
}

// share gives each subschema what it needs, and of what is left the large ones equal
// parts.
func (f fitter) share(out map[string]any, list []subschema, left int) {
	least := 0
	for _, x := range list {
		left -= x.head
		least += x.least
	}
	slices.SortStableFunc(list, func(a, b subschema) int { return a.whole - b.whole })
	parts := make([]any, len(list))
	for i, x := range list {
		least -= x.least
		room := max(x.least, min(left/(len(list)-i), left-least))
		parts[i] = x.schema
		if m, ok := x.schema.(map[string]any); ok && x.key != "enum" {
			parts[i] = f.fit(m, x.at, room, -1)
		}
		left -= f.size(parts[i])
	}
	for i := range list {
		list[i].schema = parts[i]
	}
	slices.SortStableFunc(list, func(a, b subschema) int { return a.index - b.index })
	for _, x := range list {
		put(out, x)
	}
}

// put puts a subschema where it belongs, after those before it.
func put(out map[string]any, x subschema) {
	switch {
	case slices.Contains(mapSchemas, x.key):
		if out[x.key] == nil {
			out[x.key] = map[string]any{}
		}
		out[x.key].(map[string]any)[x.name] = x.schema
	case x.index >= 0:
		before, _ := out[x.key].([]any)
		out[x.key] = append(before, x.schema)
	default:
		out[x.key] = x.schema
	}
}

// tidy takes out what would refuse more, now that members are left out.
func (f fitter) tidy(m, out map[string]any, omitted map[string]int) {
	if omitted["properties"]+omitted["patternProperties"] > 0 {
		delete(out, "additionalProperties")
	}
	if omitted["prefixItems"] > 0 {
		out["items"] = f.anything()
	}
	props, _ := out["properties"].(map[string]any)
	whole, _ := m["properties"].(map[string]any)
	required, _ := m["required"].([]any)
	required = slices.DeleteFunc(slices.Clone(required), func(name any) bool {
		_, shown := props[str(name)]
		_, known := whole[str(name)]
		return known && !shown
	})
	if len(required) > 0 {
		out["required"] = required
	}
}

// anything is the schema of any value.
func (f fitter) anything() map[string]any {
	if f.typed {
		return map[string]any{"anyOf": anyValue()}
	}
	return map[string]any{}
}

// note says what is left out of a schema, and where it is.
func (f fitter) note(m, out map[string]any, omitted map[string]int, less bool, at string, next int) {
	more := 0
	for key, n := range omitted {
		whole, _ := m[key].([]any)
		props, _ := m[key].(map[string]any)
		after := max(len(whole), len(props)) - next
		if more = max(more, after); key == "anyOf" && after > 0 && n > 0 {
			list, _ := out[key].([]any)
			rest := f.anything()
			note(rest, fmt.Sprintf("cut for length: %d more forms; describe them with the pointer %s~from=%d", after, at, next))
			if alts, ok := rest["anyOf"].([]any); ok {
				alone(rest, alts)
			}
			out[key] = append(list, rest)
			less, more = false, 0
			delete(omitted, key)
			f.note(m, out, omitted, false, at, next)
			return
		}
	}
	switch {
	case more > 0:
		note(out, fmt.Sprintf("cut for length: %d more; describe them with the pointer %s~from=%d", more, at, next))
	case less:
		note(out, describeAt+at)
	}
	if alts, ok := out["anyOf"].([]any); ok && f.typed {
		alone(out, alts)
	}
}

// note adds to what is said of a cut.
func note(m map[string]any, what string) {
	t, _ := m["description"].(text)
	if t.note != "" {
		t.note += "; "
	}
	t.note += what
	m["description"] = t
}

// stub stands for a schema that is cut: its type, and where the rest is.
func (f fitter) stub(m map[string]any, at string) map[string]any {
	if ref, ok := m["$ref"].(string); ok {
		return map[string]any{"$ref": ref} // to what is written elsewhere
	}
	out := map[string]any{}
	if typ, ok := m["type"]; ok {
		out["type"] = typ
	}
	if isArray(out["type"]) {
		out["items"] = f.anything()
	}
	if f.typed && out["type"] == nil {
		out["anyOf"] = anyValue()
	}
	if m["nullable"] == true {
		out["nullable"] = true
	}
	t, _ := m["description"].(text)
	if !strings.HasPrefix(t.note, "cut for length") {
		t.note = describeAt + at
	}
	out["description"] = t
	if list, ok := out["anyOf"].([]any); ok {
		alone(out, list)
	}
	return out
}
