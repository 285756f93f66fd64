package openapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/exeat/exeat/openapi/strictjson"
)

// Models and JavaScript hosts write some arguments in another way than the schema
// has them: an object as its JSON text, a large integer as its digits, null for
// what is not given. What does not fit is read once more as it was meant, and
// that is what is checked, decided, digested and sent.

// validate checks the arguments, after mending what can be mended. What fits the
// schema as it stands is never touched.
func (op *Operation) validate(object map[string]any) *ArgumentError {
	if text, ok := object["body"].(string); ok && op.untypedBody() {
		if v, ok := parseText(text); ok && text != "" && strings.ContainsAny(strings.TrimSpace(text)[:1], "{[") {
			object["body"] = v
		}
	}
	for range maxProblems {
		bad := op.input.validate(object)
		if bad == nil || !mend(object, bad) {
			return bad
		}
	}
	return op.input.validate(object)
}

// mend changes what has the wrong type and is text, or null at the top: each
// value once, since what is read from a text has another type.
func mend(object map[string]any, bad *ArgumentError) (changed bool) {
	for _, p := range bad.Problems {
		steps := splitPointer(p.Pointer)
		if len(steps) == 0 {
			continue
		}
		if len(steps) == 1 && strings.Contains(p.Message, ", not null") {
			if v, there := object[steps[0]]; there && v == nil {
				delete(object, steps[0])
				changed = true
			}
		}
		if strings.Contains(p.Message, ", not string") {
			changed = replaceText(object, steps) || changed
		}
	}
	return changed
}

// splitPointer are the steps of a JSON Pointer (RFC 6901).
func splitPointer(pointer string) []string {
	if pointer == "" {
		return nil
	}
	steps := strings.Split(pointer[1:], "/")
	for i, s := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	return steps
}

// replaceText puts what a text says in its place.
func replaceText(at any, steps []string) bool {
	step, last := steps[0], len(steps) == 1
	switch at := at.(type) {
	case map[string]any:
		if !last {
			return replaceText(at[step], steps[1:])
		}
		if text, ok := at[step].(string); ok {
			if v, ok := parseText(text); ok {
				at[step] = v
				return true
			}
		}
	case []any:
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(at) {
			return false
		}
		if !last {
			return replaceText(at[i], steps[1:])
		}
		if text, ok := at[i].(string); ok {
			if v, ok := parseText(text); ok {
				at[i] = v
				return true
			}
		}
	}
	return false
}

// parseText reads a JSON text that is an object, a list, a truth value or a
// number in its one canonical form. Texts and null within texts are none of it.
func parseText(text string) (any, bool) {
	v, err := strictjson.Parse([]byte(text), "the text", argumentLimits)
	if err != nil {
		return nil, false
	}
	switch v := v.(type) {
	case map[string]any, []any, bool:
		return v, true
	case json.Number:
		return v, text == v.String()
	}
	return nil, false
}

// untypedBody reports whether the body is JSON of any type. Text is allowed for
// it, but whoever is shown no type writes an object as its JSON text, so a text
// that is one object or list is taken for that.
func (op *Operation) untypedBody() bool {
	if op.body == nil || !isJSON(op.body.Essence) {
		return false
	}
	var root struct {
		Properties map[string]map[string]any `json:"properties"`
		Defs       map[string]map[string]any `json:"$defs"`
	}
	if json.Unmarshal(op.Input, &root) != nil {
		return false
	}
	schema := root.Properties["body"]
	for range len(root.Defs) {
		ref, _ := schema["$ref"].(string)
		name, ok := strings.CutPrefix(ref, "#/$defs/")
		if !ok {
			break
		}
		schema = root.Defs[name]
	}
	types, _ := schema["type"].([]any)
	return schema != nil && (isUntyped(schema) || len(types) == len(anyTypes))
}

// anyTypes are all types that a JSON value can have.
var anyTypes = []string{"object", "array", "string", "number", "boolean", "null"}

// isUntyped reports whether a schema says nothing of the type of its value.
func isUntyped(schema map[string]any) bool {
	telling := []string{"type", "$ref", "enum", "const", "allOf", "anyOf", "oneOf", "not", "properties", "if"}
	return !slices.ContainsFunc(slices.Collect(maps.Keys(schema)), func(k string) bool { return slices.Contains(telling, k) })
}
