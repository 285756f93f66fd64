package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// mend makes a schema that no value can satisfy mean what people mean by it, and notes
// that. Under conditions schemas stay as they are.
func (t *translator) mend(p place, v, out map[string]any) {
	if t.exact > 0 {
		return
	}
	for _, problem := range []string{mendEnum(out, v["nullable"] == true), mendLimits(out), mendBounds(out), mendRequired(out)} {
		if problem != "" {
			t.c.remarks.clashes = append(t.c.remarks.clashes, problem+" at "+shorten(p.pointer, 200))
		}
	}
}

// mendEnum leaves in an enum the values that its type has, each once, and writes as
// text what is meant as one. An enum of a list is one of its items.
func mendEnum(out map[string]any, canBeNull bool) string {
	problem := ""
	if value, ok := out["const"]; ok {
		if fit, ok := asType(value, out["type"], canBeNull); ok {
			out["const"] = fit
		} else {
			delete(out, "const")
			problem = "a const is not of the type, and is left out,"
		}
	}
	list, ok := out["enum"].([]any)
	if !ok {
		return problem
	}
	if items, ok := out["items"].(map[string]any); out["type"] == "array" && (!ok || items["enum"] == nil) && !slices.ContainsFunc(list, isList) {
		items = maps.Clone(items)
		if items == nil {
			items = map[string]any{}
		}
		items["enum"] = list
		delete(out, "enum")
		out["items"] = items
		return "an enum of a list is read as that of its items,"
	}
	scalars := !slices.ContainsFunc(list, func(x any) bool { _, ok := plainText(x); return !ok && x != nil })
	if out["type"] == "object" && out["properties"] == nil && scalars {
		delete(out, "type")
		problem = "an object has an enum of plain values, and is read as one of them,"
	}
	var fit []any
	seen := map[string]bool{}
	for _, x := range list {
		x, ok := asType(x, out["type"], canBeNull)
		b, err := json.Marshal(x)
		if key := fmt.Sprintf("%T%s", x, b); ok && err == nil && !seen[key] {
			seen[key] = true
			fit = append(fit, x)
		}
	}
	if out["enum"] = fit; len(fit) == 0 {
		delete(out, "enum")
		return "no value of an enum is of the type, and it is left out,"
	}
	return problem
}

// mendLimits drops what no value of an enum keeps to: the values are what is meant.
func mendLimits(out map[string]any) string {
	values, ok := out["enum"].([]any)
	if c, has := out["const"]; has {
		values, ok = []any{c}, true
	}
	if !ok {
		return ""
	}
	problem := ""
	for _, k := range []string{"pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"} {
		if limit, has := out[k]; has && !slices.ContainsFunc(values, keeper(k, limit)) {
			delete(out, k)
			problem = fmt.Sprintf("no value of an enum keeps to its %s, which is left out,", k)
		}
	}
	return problem
}

// keeper reports whether a value keeps to a limit, which speaks of texts or of numbers.
func keeper(keyword string, limit any) func(v any) bool {
	most, _ := numberOf(limit)
	ofText := func(keeps func(s string) bool) func(v any) bool {
		return func(v any) bool { s, is := v.(string); return !is || keeps(s) }
	}
	ofNumber := func(keeps func(n float64) bool) func(v any) bool {
		return func(v any) bool { n, is := numberOf(v); return !is || keeps(n) }
	}
	switch keyword {
	case "pattern":
		re, err := regexp.Compile(str(limit))
		return ofText(func(s string) bool { return err != nil || re.MatchString(s) })
	case "minLength":
		return ofText(func(s string) bool { return utf8.RuneCountInString(s) >= int(most) })
	case "maxLength":
		return ofText(func(s string) bool { return utf8.RuneCountInString(s) <= int(most) })
	case "minimum":
		return ofNumber(func(n float64) bool { return n >= most })
	case "maximum":
		return ofNumber(func(n float64) bool { return n <= most })
	case "exclusiveMinimum":
		return ofNumber(func(n float64) bool { return n > most })
	}
	return ofNumber(func(n float64) bool { return n < most }) // exclusiveMaximum
}

func isList(v any) bool { _, ok := v.([]any); return ok }

// asType is a value as one of the types that a schema names, as it is or by its text.
func asType(v, types any, canBeNull bool) (any, bool) {
	list, ok := types.([]any)
	if !ok && types != nil {
		list = []any{types}
	}
	has := func(name string) bool { return slices.Contains(list, any(name)) }
	text, scalar := plainText(v)
	switch v := v.(type) {
	case nil:
		if len(list) == 0 || has("null") || canBeNull {
			return nil, true
		}
		return "null", has("string") // YAML's word for nothing, where a text is wanted
	case json.Number:
		if len(list) == 0 || has("number") || has("integer") && isWhole(v) {
			return v, true
		}
	case string:
		n := json.Number(v)
		switch {
		case len(list) == 0 || has("string"):
			return v, true
		case jsonNumber.MatchString(v) && isNumber(n) && (has("number") || has("integer") && isWhole(n)):
			return n, true
		case has("boolean") && (v == "true" || v == "false"):
			return v == "true", true
		}
		return nil, false
	case bool:
		if len(list) == 0 || has("boolean") {
			return v, true
		}
	case []any:
		return v, len(list) == 0 || has("array")
	case map[string]any:
		return v, len(list) == 0 || has("object")
	}
	return text, scalar && has("string")
}

// isWhole reports an integer, also one that is written as 1.0.
func isWhole(n json.Number) bool {
	f, ok := numberOf(n)
	return ok && f == float64(int64(f))
}

// mendBounds drops bounds that no value lies between.
func mendBounds(out map[string]any) string {
	problem := ""
	for _, pair := range [][2]string{{"minimum", "maximum"}, {"exclusiveMinimum", "maximum"}, {"minimum", "exclusiveMaximum"}, {"exclusiveMinimum", "exclusiveMaximum"},
		{"minLength", "maxLength"}, {"minItems", "maxItems"}, {"minProperties", "maxProperties"}, {"minContains", "maxContains"}} {
		low, ok := numberOf(out[pair[0]])
		high, both := numberOf(out[pair[1]])
		open := strings.HasPrefix(pair[0], "exclusive") || strings.HasPrefix(pair[1], "exclusive")
		if ok && both && (low > high || open && low >= high) {
			delete(out, pair[0])
			delete(out, pair[1])
			problem = fmt.Sprintf("%s is above %s, and both are left out,", pair[0], pair[1])
		}
	}
	return problem
}

// mendRequired lets an object have what it requires.
func mendRequired(out map[string]any) string {
	required, _ := out["required"].([]any)
	props, _ := out["properties"].(map[string]any)
	if out["additionalProperties"] != false || out["patternProperties"] != nil {
		return ""
	}
	problem := ""
	for _, name := range required {
		if _, ok := props[str(name)]; ok {
			continue
		}
		if props == nil {
			props = map[string]any{}
			out["properties"] = props
		}
		props[str(name)] = withTypes(true, anyTypes)
		problem = fmt.Sprintf("%q is required and not described, and may be anything,", shorten(str(name), 100))
	}
	if least, ok := numberOf(out["minProperties"]); ok && int(least) > len(props) {
		delete(out, "minProperties")
		problem = "minProperties asks for more than there are, and is left out,"
	}
	return problem
}

// closedToOthers reports whether a schema with allOf has a part that allows only its own
// properties, beside others that have more: then nothing fits, if it is read as it is
// written. People mean that all of them are allowed, and no others.
func (t *translator) closedToOthers(p place, v map[string]any) (bool, error) {
	all := map[string]bool{}
	var closed []map[string]any
	seen := map[place]bool{}
	var walk func(p place, v map[string]any, depth int) error
	walk = func(p place, v map[string]any, depth int) error {
		if seen[p] {
			return nil
		}
		seen[p] = true
		props, _ := v["properties"].(map[string]any)
		if err := t.c.spend(1 + len(props)); err != nil || depth > 20 {
			return err
		}
		for name := range props {
			all[name] = true
		}
		if v["additionalProperties"] == false && v["patternProperties"] == nil {
			closed = append(closed, props)
		}
		for _, key := range []string{"allOf", "anyOf", "oneOf"} {
			parts, _ := v[key].([]any)
			if key != "allOf" && depth == 0 && v["allOf"] == nil {
				continue
			}
			for i, part := range parts {
				at, m, err := t.c.loader.follow(p.to(key, fmt.Sprint(i)), part)
				if err != nil {
					continue // refused where it is translated
				}
				if err := walk(at, m, depth+1); err != nil {
					return err
				}
			}
		}
		return nil
	}
	err := walk(p, v, 0)
	return slices.ContainsFunc(closed, func(own map[string]any) bool { return len(own) < len(all) }), err
}

// demandsOpen reports whether a reference is to be written in place, because what it
// leads to is closed, and must not be for others beside it.
func (t *translator) demandsOpen(p place, m map[string]any) bool {
	if !t.opened || slices.Contains(t.inline, p) || t.placed >= 100 {
		return false
	}
	closed := false
	seen := map[place]bool{}
	var walk func(p place, v map[string]any, depth int)
	walk = func(p place, v map[string]any, depth int) {
		if seen[p] {
			return
		}
		seen[p] = true
		closed = closed || v["additionalProperties"] == false
		for _, key := range []string{"allOf", "anyOf", "oneOf"} {
			parts, _ := v[key].([]any)
			for i, part := range parts {
				if at, m, err := t.c.loader.follow(p.to(key, fmt.Sprint(i)), part); err == nil && depth < 10 && !closed {
					walk(at, m, depth+1)
				}
			}
		}
	}
	walk(p, m, 0)
	return closed
}
