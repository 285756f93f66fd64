package openapi

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// geminiKeywords are the fields of Gemini's Schema object. What it refuses about
// their values is in docs/hosts.md.
var geminiKeywords = []string{"type", "format", "description", "nullable", "enum", "items", "minItems", "maxItems", "properties", "required", "minLength", "maxLength", "minimum", "maximum", "anyOf"}

// geminiFormats are the formats that Gemini takes, by type.
var geminiFormats = map[string][]string{"string": {"date-time"}, "number": {"float", "double"}, "integer": {"int32", "int64"}}

// toGemini leaves in a schema what Gemini takes. The outcome admits more than it
// did; but a list of any values, which cannot be said, becomes one of strings
// where any value may stand.
func toGemini(m map[string]any) {
	mergeParts(m)
	if alternatives(m); m["anyOf"] == nil {
		oneType(m)
		enumOfTexts(m)
		formats(m)
	}
	props, _ := m["properties"].(map[string]any)
	for name, x := range props {
		if _, isMap := x.(map[string]any); !isMap {
			props[name] = map[string]any{}
		}
	}
	required, _ := m["required"].([]any)
	required = slices.DeleteFunc(slices.Clone(required), func(name any) bool { return m["type"] != "object" || props[str(name)] == nil })
	if m["required"] = required; len(required) == 0 {
		delete(m, "required")
	}
	if _, isMap := m["items"].(map[string]any); m["type"] == "array" && !isMap {
		m["items"] = map[string]any{}
	}
	if m["type"] == nil && m["anyOf"] == nil {
		m["anyOf"] = anyValue()
	}
	maps.DeleteFunc(m, func(k string, _ any) bool { return !slices.Contains(geminiKeywords, k) })
	if list, ok := m["anyOf"].([]any); ok {
		alone(m, list)
	}
}

// anyValue is any value, for a host that wants a type everywhere.
func anyValue() []any {
	return []any{map[string]any{"type": "string"}, map[string]any{"type": "number"}, map[string]any{"type": "boolean"}, map[string]any{"type": "object"},
		map[string]any{"type": "array", "items": map[string]any{"type": "string"}}}
}

// mergeParts writes the parts of allOf into the schema, and oneOf as anyOf.
func mergeParts(m map[string]any) {
	parts, _ := m["allOf"].([]any)
	delete(m, "allOf")
	for _, p := range parts {
		merge(m, p)
	}
	if list, ok := m["oneOf"].([]any); ok {
		delete(m, "oneOf")
		if m["anyOf"] == nil {
			m["anyOf"] = list
		}
	}
	if c, ok := m["const"]; ok && m["enum"] == nil {
		m["enum"] = []any{c}
	}
}

// alternatives takes null out of anyOf, and anyOf away where an object has
// properties beside it: then it has those of the alternatives too.
func alternatives(m map[string]any) {
	for range 10 {
		list, ok := m["anyOf"].([]any)
		if !ok {
			return
		}
		rest := slices.DeleteFunc(slices.Clone(list), func(x any) bool {
			alt, _ := x.(map[string]any)
			return alt["type"] == "null"
		})
		if len(rest) < len(list) {
			m["nullable"] = true
		}
		m["anyOf"] = rest
		props, _ := m["properties"].(map[string]any)
		switch {
		case len(props) > 0 && !slices.ContainsFunc(rest, otherThanObject):
			delete(m, "anyOf")
			for _, alt := range rest {
				optional(props, alt)
			}
		case len(rest) == 0:
			delete(m, "anyOf")
		case len(rest) == 1:
			delete(m, "anyOf")
			// The alternative says more of it than the type beside it.
			if _, isMap := rest[0].(map[string]any); isMap {
				merge(m, rest[0])
				mergeParts(m)
			}
		default:
			return
		}
	}
	delete(m, "anyOf")
}

func otherThanObject(v any) bool {
	m, isMap := v.(map[string]any)
	return !isMap || m["type"] != nil && m["type"] != "object"
}

// optional adds an alternative's properties. One that two alternatives have
// differently may be anything.
func optional(props map[string]any, alternative any) {
	alt, _ := alternative.(map[string]any)
	more, _ := alt["properties"].(map[string]any)
	for name, x := range more {
		if old, ok := props[name]; !ok {
			props[name] = x
		} else if !reflect.DeepEqual(old, x) {
			props[name] = map[string]any{}
		}
	}
	for _, k := range listSchemas {
		deeper, _ := alt[k].([]any)
		for _, x := range deeper {
			optional(props, x)
		}
	}
}

// oneType makes a schema's type one name.
func oneType(m map[string]any) {
	list, ok := m["type"].([]any)
	if m["type"] == "null" {
		list, ok = []any{"null"}, true
	}
	if !ok {
		if m["type"] == nil && m["properties"] != nil {
			m["type"] = "object"
		}
		return
	}
	rest := slices.DeleteFunc(slices.Clone(list), func(x any) bool { return x == "null" })
	if len(rest) < len(list) {
		m["nullable"] = true
	}
	delete(m, "type")
	switch len(rest) {
	case 0:
		m["type"] = "string"
	case 1:
		m["type"] = rest[0]
	default:
		var alts []any
		for _, typ := range rest {
			alt := map[string]any{"type": typ}
			for _, k := range geminiKeywords {
				if k != "enum" && k != "description" && k != "nullable" && k != "type" && m[k] != nil && belongs(k, typ) {
					alt[k] = m[k]
				}
			}
			alts = append(alts, alt)
		}
		m["anyOf"] = alts
	}
}

// belongs reports whether a keyword says something of values of a type.
func belongs(keyword string, typ any) bool {
	switch keyword {
	case "items", "minItems", "maxItems":
		return typ == "array"
	case "properties", "required":
		return typ == "object"
	case "minLength", "maxLength", "format":
		return typ == "string"
	case "minimum", "maximum":
		return typ == "number" || typ == "integer"
	}
	return false
}

// enumOfTexts leaves an enum only where it holds texts, none of them empty; else
// the description has it.
func enumOfTexts(m map[string]any) {
	enum, ok := m["enum"].([]any)
	if !ok {
		return
	}
	delete(m, "enum")
	rest := slices.DeleteFunc(slices.Clone(enum), func(x any) bool { return x == nil })
	if len(rest) < len(enum) {
		m["nullable"] = true
	}
	other := slices.ContainsFunc(rest, func(x any) bool { return str(x) == "" })
	if !other && len(rest) > 0 && (m["type"] == nil || m["type"] == "string") {
		m["type"], m["enum"] = "string", rest
		return
	}
	if b, err := json.Marshal(rest); err == nil && len(rest) > 0 && len(b) < 300 {
		remark(m, "one of "+string(b))
	}
}

// formats leaves the formats that Gemini takes, and says the others.
func formats(m map[string]any) {
	if m["contentEncoding"] != nil {
		remark(m, str(m["contentEncoding"]))
	}
	f, ok := m["format"].(string)
	if !ok || slices.Contains(geminiFormats[str(m["type"])], f) {
		return
	}
	delete(m, "format")
	remark(m, "format "+f)
}

// remark adds to a schema's description.
func remark(m map[string]any, what string) {
	if t, ok := m["description"].(text); ok {
		t.said = strings.TrimSpace(t.said + " (" + what + ")")
		m["description"] = t
		return
	}
	m["description"] = strings.TrimSpace(str(m["description"]) + " (" + what + ")")
}

// alone leaves nothing beside anyOf. What is said of the whole is now said of its
// first alternative.
func alone(m map[string]any, list []any) {
	list = slices.Clone(list)
	for i, x := range list {
		alt, isMap := x.(map[string]any)
		if alt = maps.Clone(alt); !isMap {
			alt = map[string]any{}
		}
		for _, k := range []string{"description", "nullable"} {
			if i == 0 && m[k] != nil && alt[k] == nil {
				alt[k] = m[k]
			}
		}
		list[i] = alt
	}
	clear(m)
	m["anyOf"] = list
}

// merge adds what one part of an allOf says.
func merge(m map[string]any, part any) {
	p, _ := part.(map[string]any)
	if parts, ok := p["allOf"].([]any); ok {
		for _, x := range parts {
			merge(m, x)
		}
	}
	for k, x := range p {
		switch k {
		case "allOf":
		case "properties":
			props, _ := x.(map[string]any)
			own, _ := m[k].(map[string]any)
			if own == nil {
				own = map[string]any{}
			}
			addMissing(own, props)
			m[k] = own
		case "required":
			more, _ := x.([]any)
			own, _ := m[k].([]any)
			own = slices.Clone(own)
			for _, name := range more {
				if !slices.Contains(own, name) {
					own = append(own, name)
				}
			}
			m[k] = own
		default:
			if _, ok := m[k]; !ok {
				m[k] = x
			}
		}
	}
}
