package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/exeat/exeat/openapi/strictjson"
)

// Problem is one thing wrong with arguments.
type Problem struct {
	Pointer string `json:"pointer"` // JSON Pointer (RFC 6901) into the arguments
	Message string `json:"message"`
}

// ArgumentError says why arguments were refused. Its text is safe to show to
// the agent: it names pointers and the schema's demands, and quotes no more
// than the agent's own argument names.
type ArgumentError struct {
	Problems []Problem
	// Fits is true if the arguments fit the schema, and cannot be written into a request.
	Fits bool
}

// Error lists the problems in one line of bounded length.
func (e *ArgumentError) Error() string {
	var b strings.Builder
	b.WriteString("invalid arguments")
	for i, p := range e.Problems {
		if b.Len() > 2000 {
			fmt.Fprintf(&b, "; and %d more", len(e.Problems)-i)
			break
		}
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep)
		if p.Pointer != "" {
			b.WriteString(p.Pointer + " ")
		}
		b.WriteString(p.Message)
	}
	return b.String()
}

// refuse makes an error of one problem.
func refuse(pointer, format string, args ...any) *ArgumentError {
	return &ArgumentError{Problems: []Problem{problem(pointer, fmt.Sprintf(format, args...))}}
}

// problem bounds what an answer repeats of names and schemas.
func problem(pointer, message string) Problem {
	return Problem{Pointer: shorten(pointer, 300), Message: shorten(message, 500)}
}

// shorten cuts s to at most n bytes and an ellipsis, at a rune boundary.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// Args are the arguments of one call after the single strict parse: exact
// numbers, no duplicate or case-variant keys, checked against the input schema.
type Args struct {
	value     map[string]any
	canonical []byte
}

// Value returns the arguments as decoded JSON: nil, bool, string, json.Number,
// []any and map[string]any. Numbers stand in their canonical form. It must not
// be changed.
func (a *Args) Value() map[string]any { return a.value }

// Canonical returns the arguments in the form of RFC 8785 (JCS), except that
// numbers a double cannot hold exactly keep all their digits.
func (a *Args) Canonical() []byte { return a.canonical }

// PathValues returns the values of the path's parameters in a, by the names that
// stand in Path, as they are before they are encoded. Lists and objects are left out.
func (op *Operation) PathValues(a *Args) map[string]string {
	values := map[string]string{}
	for _, p := range op.params {
		switch v := a.value[p.Property].(type) {
		case string, json.Number, bool:
			if p.In == "path" {
				values[p.Name] = fmt.Sprint(v)
			}
		}
	}
	return values
}

// argumentLimits bound the arguments of one call.
var argumentLimits = strictjson.Limits{Bytes: 8 << 20, Depth: 64, Values: 200_000}

// Parse reads the raw JSON arguments of a call and checks them against the
// input schema. Empty raw means {}. The error is always an *ArgumentError.
func (op *Operation) Parse(raw []byte) (*Args, error) {
	args, _, err := op.ParseBeside(raw)
	return args, err
}

// ParseBeside is Parse for arguments among which some may be for somebody else
// than the API: those of the names are taken out and given back. An operation
// that has an argument of such a name itself keeps it.
func (op *Operation) ParseBeside(raw []byte, names ...string) (args *Args, beside map[string]any, err error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	value, bad := parseArguments(raw)
	if bad != nil {
		return nil, nil, bad
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, nil, refuse("", "the arguments must be a JSON object")
	}
	for _, name := range names {
		if v, given := object[name]; given && !op.Has(name) {
			if beside == nil {
				beside = map[string]any{}
			}
			beside[name] = v
			delete(object, name)
		}
	}
	if len(op.originals) > 0 {
		if bad := original(object, op.originals); bad != nil {
			return nil, nil, bad
		}
	}
	if bad := op.validate(object); bad != nil {
		op.agentNames(bad)
		return nil, nil, bad
	}
	return &Args{value: object, canonical: appendCanonical(nil, object)}, beside, nil
}

// parseArguments reads one JSON text strictly.
func parseArguments(raw []byte) (any, *ArgumentError) {
	v, err := strictjson.Parse(raw, "the arguments", argumentLimits)
	var wrong *strictjson.Error
	if errors.As(err, &wrong) {
		return nil, refuse(join(wrong.Path...), "%s", wrong.Message)
	}
	return v, nil
}

// Has reports whether the operation has an argument of that name.
func (op *Operation) Has(name string) bool {
	return op.body != nil && (name == "body" || name == op.body.Choice && name != "") || slices.ContainsFunc(op.params, func(p param) bool { return p.Property == name })
}
