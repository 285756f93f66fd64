package openapi

import (
	"encoding/json"
	"errors"
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
	faults := op.input.findFaults(object)
	for range maxProblems {
		if len(faults) == 0 || !m.mend(faults) {
			break
		}
		faults = op.input.findFaults(object)
	}
	if len(faults) > 0 {
		return &ArgumentError{Problems: problemsOf(faults)}
	}
	if len(m.read) > 0 {
		// Texts within arguments are no way around the bounds of the whole, which a
		// hold's arguments have to keep when they are read again.
		_, bad := parseArguments(appendCanonical(nil, object))
		return bad
	}
	return nil
}

// mender reads again what does not fit. read has the pointers of what came from a
// text: a text within it stays a text.
type mender struct {
	op     *Operation
	object map[string]any
	read   map[string]bool
}

// mend changes what has the wrong type, or is none of the values that it may have, and
// is text, or null at the top. Where a text cannot be read, the problem says why.
func (m *mender) mend(faults []fault) (changed bool) {
	for i, f := range faults {
		if len(f.path) == 0 || f.got == "" && f.want == nil {
			continue
		}
		if v, there := m.object[f.path[0]]; there && v == nil && len(f.path) == 1 {
			delete(m.object, f.path[0])
			changed = true
		}
		if f.got != "string" && f.want == nil || m.isRead(f.path) {
			continue
		}
		err := replaceText(m.object, f.path, func(text string) (any, error) { return m.parseFor(f, text) })
		if err == nil {
			m.read[join(f.path...)], changed = true, true
		} else if err != errNoValue {
			faults[i].Problem = problem(f.Pointer, f.Message+"; the JSON in it "+err.Error())
		}
	}
	return changed
}

// parseFor reads a text that is at fault. Where only some values are allowed it has to
// be one of them.
func (m *mender) parseFor(f fault, text string) (any, error) {
	v, err := m.parse(text)
	if f.want == nil {
		return v, err
	}
	if err != nil || !slices.ContainsFunc(f.want, func(want any) bool { return isSame(want, v) }) {
		return nil, errNoValue
	}
	return v, nil
}

// isSame reports whether a truth value or a number that was read is one of a schema.
func isSame(want, v any) bool {
	switch v := v.(type) {
	case bool:
		return want == v
	case json.Number:
		n, ok := want.(json.Number)
		canonical, reason := strictjson.CanonicalNumber(string(n))
		return ok && reason == "" && canonical == v.String()
	}
	return false
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
