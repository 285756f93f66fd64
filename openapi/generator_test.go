package openapi

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// generator makes arguments that fit most schemas.
type generator struct {
	rand  *rand.Rand
	defs  map[string]any
	depth int
}

func (g *generator) arguments(op *Operation) ([]byte, error) {
	var schema map[string]any
	if err := json.Unmarshal(op.Input, &schema); err != nil {
		return nil, err
	}
	g.defs, _ = schema["$defs"].(map[string]any)
	return json.Marshal(g.object(schema, op, false))
}

func (g *generator) object(schema map[string]any, op *Operation, plain bool) map[string]any {
	object := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if slices.Contains(required, any(name)) || g.depth < 3 && g.rand.IntN(2) == 0 {
			inPath := plain || op != nil && slices.ContainsFunc(op.params, func(p param) bool { return p.Property == name && (p.In == "path" || p.In == "header") })
			v := g.value(properties[name], inPath)
			if v == nil && !slices.Contains(required, any(name)) {
				continue
			}
			object[name] = v
		}
	}
	if len(object) == 0 && op == nil && schema["additionalProperties"] != false {
		object["note"] = g.text(nil, plain)
	}
	return object
}

// value makes a value of a schema. plain ones can stand in a path or header.
func (g *generator) value(schema any, plain bool) any {
	s, ok := schema.(map[string]any)
	if !ok {
		return "any"
	}
	g.depth++
	defer func() { g.depth-- }()
	if ref, ok := s["$ref"].(string); ok && g.depth < 12 {
		if beside, _ := s["properties"].(map[string]any); beside != nil {
			// The value of a discriminator.
			v := g.value(map[string]any{"$ref": ref}, plain)
			if m, ok := v.(map[string]any); ok {
				for name, says := range beside {
					m[name] = g.value(says, plain)
				}
			}
			return v
		}
		return g.value(g.defs[strings.NewReplacer("~1", "/", "~0", "~").Replace(strings.TrimPrefix(ref, "#/$defs/"))], plain)
	}
	if v, ok := s["const"]; ok {
		return v
	}
	if list, ok := s["enum"].([]any); ok {
		return list[g.rand.IntN(len(list))]
	}
	for _, word := range []string{"oneOf", "anyOf", "allOf"} {
		if list, ok := s[word].([]any); ok && len(list) > 0 && s["properties"] == nil {
			return g.value(list[0], plain)
		}
	}
	kind := s["type"]
	if list, ok := kind.([]any); ok && len(list) > 0 {
		kind = list[0]
	}
	switch kind {
	case "integer", "number":
		return g.number(s)
	case "boolean":
		return g.rand.IntN(2) == 0
	case "array":
		n := 2
		if least, ok := s["minItems"].(float64); ok {
			n = max(n, int(least))
		}
		if most, ok := s["maxItems"].(float64); ok {
			n = min(n, int(most))
		}
		list := make([]any, 0, n)
		for range n {
			if v := g.value(s["items"], plain); v != nil {
				list = append(list, v)
			}
		}
		if s["uniqueItems"] == true && len(list) > 1 {
			list = list[:1]
		}
		return list
	case "string", nil:
		if s["properties"] == nil {
			return g.text(s, plain)
		}
	}
	if object := g.object(s, nil, plain); len(object) > 0 {
		return object
	}
	return nil // forms and parameters cannot hold nothing
}

func (g *generator) number(s map[string]any) any {
	n := float64(1 + g.rand.IntN(9))
	if least, ok := s["minimum"].(float64); ok && n < least {
		n = least
	}
	if most, ok := s["maximum"].(float64); ok && n > most {
		n = most
	}
	return n
}

func (g *generator) text(s map[string]any, plain bool) string {
	if s["contentEncoding"] == "base64" || s["format"] == "base64" || s["format"] == "byte" {
		return base64.StdEncoding.EncodeToString([]byte{0, byte(g.rand.IntN(256)), '\r', '\n'})
	}
	if id := twilioID.FindStringSubmatch(str(s["pattern"])); id != nil {
		return id[1] + strings.Repeat("0f", 16)
	}
	text := "a b&c=d+é%2B?#[x];"
	if plain {
		text = "a b"
	}
	if most, ok := s["maxLength"].(float64); ok && most < 20 {
		text = strings.Repeat("a", int(most))
	} else if least, ok := s["minLength"].(float64); ok && int(least) > 2 {
		text += strings.Repeat("x", int(least))
	} else if s["pattern"] != nil {
		text = "abc"
	}
	return text
}

// twilioID is the pattern of most of Twilio's ids.
var twilioID = regexp.MustCompile(`^\^([A-Z]{2})\[0-9a-fA-F\]\{32\}\$$`)
