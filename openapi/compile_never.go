package openapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Some contradictions cannot be read as anything. A tool whose arguments can never fit
// would cost its place in every list and answer each call with an error, so it is left
// out; where only an argument that may be left out can never fit, the schema says so.

// maxFitting bounds the schemas that are looked at for one tool.
const maxFitting = 20_000

// fitting looks for schemas that no value fits. In doubt one does.
type fitting struct {
	defs map[string]any
	left int
	// Shared schemas that are being looked at: what the value is within has to fit
	// them, and what it has to fit itself.
	outer, here []string
}

// sayNever leaves out a tool whose arguments can never fit, and marks in a schema what
// never does.
func (b *builder) sayNever(schema json.RawMessage) (json.RawMessage, error) {
	root, err := decodeSchema(schema)
	if err != nil {
		return nil, err
	}
	f := fitting{defs: mapOf(root["$defs"]), left: maxFitting}
	if why := f.never(root); why != "" {
		return nil, fmt.Errorf("no arguments can fit its schema: %s", why)
	}
	var whys []string
	each(root, func(m map[string]any) {
		if why := f.never(m); why != "" {
			if !slices.Contains(whys, why) {
				whys = append(whys, why)
			}
			said := str(m["description"])
			m["description"] = joinWords(said, "(No value fits what the API's document says of this. Leave it out.)")
		}
	})
	if len(whys) == 0 {
		return schema, nil
	}
	slices.Sort(whys)
	b.c.finding(b.at, b.name, false, "parts of its schema that no value fits: "+strings.Join(whys[:min(len(whys), 3)], "; "))
	return json.Marshal(root)
}

// never says why no value fits a schema, or nothing if one may.
func (f *fitting) never(v any) string {
	if v == false {
		return "it may not be given"
	}
	m, ok := v.(map[string]any)
	if f.left--; !ok || f.left < 0 || len(f.outer) > 50 {
		return ""
	}
	here := f.here
	defer func() { f.here = here }()
	parts, why := f.parts(m, nil)
	if why != "" {
		return why
	}
	types, why := commonTypes(parts)
	if why == "" {
		why = commonValues(parts, types)
	}
	if why == "" {
		why = commonBounds(parts, types)
	}
	if why == "" {
		why = f.within(parts, types)
	}
	return why
}

// parts are a schema, what it refers to and the parts of its allOf: a value has to fit
// them all. A schema that has to have itself within itself fits nothing that ends.
func (f *fitting) parts(m map[string]any, parts []map[string]any) ([]map[string]any, string) {
	parts = append(parts, m)
	if f.left--; f.left < 0 || len(parts) > 100 {
		return parts, ""
	}
	next, _ := m["allOf"].([]any)
	if name, ok := refName(m); ok && slices.Contains(f.outer, name) {
		return parts, "it would have to be within itself without end"
	} else if ok && !slices.Contains(f.here, name) {
		f.here = append(slices.Clone(f.here), name)
		next = append(slices.Clone(next), f.defs[name])
	}
	why := ""
	for _, x := range next {
		if x == false {
			return parts, "it may not be given"
		}
		part, ok := x.(map[string]any)
		if !ok {
			continue
		}
		if parts, why = f.parts(part, parts); why != "" {
			return parts, why
		}
	}
	return parts, ""
}

// commonTypes are the types that all parts allow; nil are all.
func commonTypes(parts []map[string]any) ([]any, string) {
	var common []any
	for _, m := range parts {
		list, ok := m["type"].([]any)
		if !ok && m["type"] != nil {
			list = []any{m["type"]}
		}
		if len(list) == 0 {
			continue
		}
		if slices.Contains(list, any("number")) {
			list = append(slices.Clone(list), "integer")
		}
		if common == nil {
			common = list
			continue
		}
		common = slices.DeleteFunc(slices.Clone(common), func(x any) bool { return !slices.Contains(list, x) })
		if len(common) == 0 {
			return nil, "allOf has parts of different types"
		}
	}
	return common, ""
}

// commonValues says so if the enums of the parts have no value of the types in common.
func commonValues(parts []map[string]any, types []any) string {
	var common []any
	listed := false
	for _, m := range parts {
		values, ok := m["enum"].([]any)
		if c, has := m["const"]; has {
			values, ok = []any{c}, true
		}
		if !ok {
			continue
		}
		if !listed {
			common, listed = values, true
			continue
		}
		texts := map[string]bool{}
		for _, v := range values {
			texts[valueText(v)] = true
		}
		common = slices.DeleteFunc(slices.Clone(common), func(v any) bool { return !texts[valueText(v)] })
	}
	if !listed {
		return ""
	}
	fits := func(v any) bool {
		fit, ok := asType(v, types, false)
		return ok && valueText(fit) == valueText(v)
	}
	if !slices.ContainsFunc(common, fits) {
		return "the parts of allOf have no value in common"
	}
	return ""
}

func valueText(v any) string {
	b, _ := json.Marshal(v) // of what was decoded
	return string(b)
}

// commonBounds says so if no value of the types lies between the bounds of all parts.
func commonBounds(parts []map[string]any, types []any) string {
	for _, pair := range []struct {
		low, high string
		of        []any
	}{{"minimum", "maximum", []any{"number", "integer"}}, {"minLength", "maxLength", []any{"string"}}, {"minItems", "maxItems", []any{"array"}}, {"minProperties", "maxProperties", []any{"object"}}} {
		if types == nil || slices.ContainsFunc(types, func(t any) bool { return !slices.Contains(pair.of, t) }) {
			continue // what is none of these may fit
		}
		var low, high *float64
		for _, m := range parts {
			if n, ok := numberOf(m[pair.low]); ok && (low == nil || n > *low) {
				low = &n
			}
			if n, ok := numberOf(m[pair.high]); ok && (high == nil || n < *high) {
				high = &n
			}
		}
		if low != nil && high != nil && *low > *high {
			return fmt.Sprintf("the parts of allOf have a %s above their %s", pair.low, pair.high)
		}
	}
	return ""
}

// within looks at what a value must have in it, and at its alternatives.
func (f *fitting) within(parts []map[string]any, types []any) string {
	only := func(t string) bool { return len(types) == 1 && types[0] == t }
	for _, m := range parts {
		for _, k := range []string{"anyOf", "oneOf"} {
			list, _ := m[k].([]any)
			why := ""
			for _, x := range list {
				if types != nil {
					x = map[string]any{"allOf": []any{map[string]any{"type": types}, x}}
				}
				if why = f.never(x); why == "" {
					break
				}
			}
			if why != "" {
				return "of its alternatives: " + why
			}
		}
		least, _ := numberOf(m["minItems"])
		if items := f.firstOf(parts, "items"); only("array") && least > 0 && items != "" {
			return "of its items: " + items
		}
		required, _ := m["required"].([]any)
		for _, name := range required {
			if why := f.property(parts, str(name)); only("object") && why != "" {
				return fmt.Sprintf("%s is required, and of it: %s", shorten(str(name), 100), why)
			}
		}
	}
	return ""
}

// firstOf is why nothing fits what one of the parts says under a keyword.
func (f *fitting) firstOf(parts []map[string]any, keyword string) string {
	for _, m := range parts {
		if v, ok := m[keyword]; ok {
			if why := f.inner(v); why != "" {
				return why
			}
		}
	}
	return ""
}

// inner is never for what is within the value.
func (f *fitting) inner(v any) string {
	outer, here := f.outer, f.here
	defer func() { f.outer, f.here = outer, here }()
	f.outer, f.here = slices.Concat(outer, here), nil
	return f.never(v)
}

// property is why nothing fits what the parts say together of a property.
func (f *fitting) property(parts []map[string]any, name string) string {
	var all []any
	for _, m := range parts {
		if v, ok := mapOf(m["properties"])[name]; ok {
			all = append(all, v)
		}
	}
	switch len(all) {
	case 0:
		return ""
	case 1:
		return f.inner(all[0])
	}
	return f.inner(map[string]any{"allOf": all})
}
