package openapi

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
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
	m := mender{op: op, object: object, read: map[string]bool{}}
	if bad := m.readUntypedBody(); bad != nil {
		return bad
	}
	bad := op.input.findProblems(object)
	for range maxProblems {
		if bad == nil || !m.mend(bad) {
			break
		}
		bad = op.input.findProblems(object)
	}
	if bad != nil {
		bad.Problems = cutProblems(bad.Problems)
		return bad
	}
	if len(m.read) > 0 {
		// Texts within arguments are no way around the bounds of the whole, which a
		// hold's arguments have to keep when they are read again.
		_, bad = parseArguments(appendCanonical(nil, object))
	}
	return bad
}

// mender reads again what does not fit. read has the pointers of what came from a
// text: a text within it stays a text.
type mender struct {
	op     *Operation
	object map[string]any
	read   map[string]bool
}

// mend changes what has the wrong type and is text, or null at the top. Where a
// text cannot be read, the problem says why.
func (m *mender) mend(bad *ArgumentError) (changed bool) {
	for i, p := range bad.Problems {
		steps := tokens(p.Pointer)
		if len(steps) == 0 {
			continue
		}
		if v, there := m.object[steps[0]]; there && v == nil && len(steps) == 1 && strings.Contains(p.Message, ", not null") {
			delete(m.object, steps[0])
			changed = true
		}
		if !strings.Contains(p.Message, ", not string") || m.isRead(steps) {
			continue
		}
		err := replaceText(m.object, steps, m.parse)
		if err == nil {
			m.read[p.Pointer], changed = true, true
		} else if err != errNoValue {
			bad.Problems[i] = problem(p.Pointer, p.Message+"; the JSON in it "+err.Error())
		}
	}
	return changed
}

// isRead reports whether a value came from a text, or is part of one that did.
func (m *mender) isRead(steps []string) bool {
	for n := range steps {
		if m.read[join(steps[:n+1]...)] {
			return true
		}
	}
	return false
}

// errNoValue says that a text does not look like a value of another type.
var errNoValue = errors.New("is no object, list, number or truth value")

// parse reads a text, with the API's names for those that agents see.
func (m *mender) parse(text string) (any, error) {
	v, err := parseText(text)
	if err != nil || len(m.op.originals) == 0 {
		return v, err
	}
	if bad := original(v, m.op.originals); bad != nil {
		return nil, errors.New("has " + bad.Problems[0].Pointer[1:] + ", which " + bad.Problems[0].Message)
	}
	return v, nil
}

// replaceText puts what a text says in its place.
func replaceText(at any, steps []string, parse func(string) (any, error)) error {
	step, last := steps[0], len(steps) == 1
	var next any
	put := func(any) {}
	switch at := at.(type) {
	case map[string]any:
		next, put = at[step], func(v any) { at[step] = v }
	case []any:
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(at) {
			return errNoValue
		}
		next, put = at[i], func(v any) { at[i] = v }
	}
	if !last {
		return replaceText(next, steps[1:], parse)
	}
	text, ok := next.(string)
	if !ok {
		return errNoValue
	}
	v, err := parse(text)
	if err == nil {
		put(v)
	}
	return err
}

// plainDecimal is a number's one form without an exponent.
var plainDecimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$`)

// parseText reads a JSON text that is an object, a list, a truth value or a plain
// decimal number. Texts and null within texts are none of it.
func parseText(text string) (any, error) {
	v, err := strictjson.Parse([]byte(text), "the text", argumentLimits)
	var wrong *strictjson.Error
	if errors.As(err, &wrong) && looksNested(text) {
		if len(wrong.Path) > 0 {
			return nil, errors.New("at " + join(wrong.Path...) + " " + wrong.Message)
		}
		return nil, errors.New(wrong.Message)
	}
	if err != nil {
		return nil, errNoValue
	}
	switch v.(type) {
	case map[string]any, []any, bool:
		return v, nil
	case json.Number:
		if plainDecimal.MatchString(text) && text != "-0" {
			return v, nil
		}
	}
	return nil, errNoValue
}

// looksNested reports whether a text begins as an object or a list does.
func looksNested(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return text != "" && (text[0] == '{' || text[0] == '[')
}

// readUntypedBody reads a body of any type that is the text of one object or list.
// What is JSON to loose readers and not to strict ones is refused, since nobody can
// say which was meant.
func (m *mender) readUntypedBody() *ArgumentError {
	text, ok := m.object["body"].(string)
	if !ok || !looksNested(text) || !m.op.untypedBody() {
		return nil
	}
	v, err := m.parse(text)
	if err == nil {
		m.object["body"], m.read["/body"] = v, true
	} else if json.Valid([]byte(text)) {
		return refuse("/body", "is a text, and the JSON in it %v", err)
	}
	return nil
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
