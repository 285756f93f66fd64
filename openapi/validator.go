package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// validator checks arguments against an input schema. It is compiled on first
// use, since most of a large document's tools are never called; a schema that
// does not compile refuses every call.
type validator struct {
	root     json.RawMessage
	compiled func() (*jsonschema.Schema, error)
}

// newValidator checks that schema is a JSON object and prepares its validator.
func newValidator(schema json.RawMessage) (*validator, error) {
	if t := bytes.TrimSpace(schema); len(t) == 0 || t[0] != '{' {
		return nil, errors.New("the input schema is no object")
	}
	return &validator{root: schema, compiled: sync.OnceValues(func() (*jsonschema.Schema, error) { return compileSchema(schema) })}, nil
}

// noURLs refuses to load anything: schemas are whole in themselves.
type noURLs struct{}

func (noURLs) Load(url string) (any, error) {
	return nil, fmt.Errorf("schemas refer to nothing outside, not to %q", url)
}

func compileSchema(schema json.RawMessage) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noURLs{})
	if err := c.AddResource("urn:exeat:input", doc); err != nil {
		return nil, err
	}
	return c.Compile("urn:exeat:input")
}

// maxProblems bounds what one answer lists.
const maxProblems = 20

// validate checks a decoded value. Formats are not asserted: documents use them
// loosely, and the API checks what it means by them.
func (v *validator) validate(value any) *ArgumentError {
	s, err := v.compiled()
	if err != nil {
		return &ArgumentError{Problems: []Problem{{Message: "this tool cannot be called: its input schema is broken"}}}
	}
	err = s.Validate(value)
	if err == nil {
		return nil
	}
	var bad *jsonschema.ValidationError
	if !errors.As(err, &bad) {
		return &ArgumentError{Problems: []Problem{{Message: "the arguments could not be checked"}}}
	}
	var problems []Problem
	explainError(bad, &problems)
	slices.SortStableFunc(problems, func(a, b Problem) int { return strings.Compare(a.Pointer, b.Pointer) })
	problems = slices.Compact(problems)
	if len(problems) > maxProblems {
		problems = problems[:maxProblems]
	}
	return &ArgumentError{Problems: problems}
}

// explainError turns the library's tree of errors into a flat list. Of the
// branches of an anyOf or oneOf it follows the one that came furthest.
func explainError(e *jsonschema.ValidationError, out *[]Problem) {
	if len(*out) > 4*maxProblems {
		return
	}
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		if b := bestBranch(e.Causes); b != nil {
			explainError(b, out)
			return
		}
	}
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			explainError(c, out)
		}
		return
	}
	pointer := ""
	for _, s := range e.InstanceLocation {
		pointer += "/" + escape(s)
	}
	add := func(p, message string) {
		*out = append(*out, Problem{Pointer: cut(p, 500), Message: cut(message, 500)})
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			add(pointer+"/"+escape(name), "is required")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			add(pointer+"/"+escape(name), "is not known here")
		}
	default:
		add(pointer, say(e.ErrorKind))
	}
}

// bestBranch is the alternative with the deepest, then the fewest problems: the
// one that was probably meant.
func bestBranch(causes []*jsonschema.ValidationError) *jsonschema.ValidationError {
	var best *jsonschema.ValidationError
	deepest, fewest := -1, 0
	for _, c := range causes {
		depth, count := measure(c)
		if depth > deepest || depth == deepest && count < fewest {
			best, deepest, fewest = c, depth, count
		}
	}
	return best
}

func measure(e *jsonschema.ValidationError) (depth, count int) {
	if len(e.Causes) == 0 {
		return len(e.InstanceLocation), 1
	}
	for _, c := range e.Causes {
		d, n := measure(c)
		depth, count = max(depth, d), count+n
	}
	return depth, count
}

// say words one demand of the schema.
func say(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be %s, not %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Enum:
		var list []string
		for _, w := range k.Want {
			b, err := json.Marshal(w)
			if err == nil && len(list) < 10 {
				list = append(list, string(b))
			}
		}
		if len(k.Want) > len(list) {
			list = append(list, "…")
		}
		return "must be one of " + strings.Join(list, ", ")
	case *kind.Const:
		return fmt.Sprintf("must be %v", k.Want)
	case *kind.Pattern:
		return "must match the pattern " + k.Want
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d properties", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d properties", k.Want)
	case *kind.UniqueItems:
		return "must not repeat an item"
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "must be more than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "must be less than " + k.Want.RatString()
	case *kind.MultipleOf:
		return "must be a multiple of " + k.Want.RatString()
	case *kind.FalseSchema:
		return "must not be there"
	case *kind.Not:
		return "is ruled out by the schema"
	case *kind.OneOf:
		return "must fit exactly one of the alternatives"
	case *kind.AnyOf:
		return "must fit one of the alternatives"
	}
	return "does not fit the schema"
}
