package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds on arguments.
const (
	maxArgs     = 8 << 20
	maxArgDepth = 64
	maxDigits   = 400 // of one number
)

// Args are the arguments of one call after the single strict parse: exact
// numbers, no duplicate or case-variant keys, checked against the input schema.
type Args struct {
	value     map[string]any
	canonical []byte
}

// Value returns the arguments as decoded JSON: nil, bool, string, json.Number,
// []any and map[string]any. It must not be changed.
func (a *Args) Value() map[string]any { return a.value }

// Canonical returns the arguments in the form of RFC 8785 (JCS), except that
// numbers a double cannot hold exactly keep all their digits.
func (a *Args) Canonical() []byte { return a.canonical }

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
}

func (e *ArgumentError) Error() string {
	var list []string
	for _, p := range e.Problems {
		list = append(list, strings.TrimSpace(p.Pointer+" "+p.Message))
	}
	return "the arguments do not fit: " + strings.Join(list, "; ")
}

func refuse(pointer, format string, args ...any) *ArgumentError {
	return &ArgumentError{Problems: []Problem{{Pointer: cut(pointer, 500), Message: fmt.Sprintf(format, args...)}}}
}

// Parse reads the raw JSON arguments of a call and checks them against the
// input schema. Empty raw means {}. The error is always an *ArgumentError.
func (op *Operation) Parse(raw []byte) (*Args, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	value, bad := parseStrict(raw)
	if bad != nil {
		return nil, bad
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, refuse("", "must be a JSON object")
	}
	if bad := op.input.validate(object); bad != nil {
		return nil, bad
	}
	canonical, err := appendCanonical(nil, object)
	if err != nil {
		return nil, refuse("", "%v", err)
	}
	return &Args{value: object, canonical: canonical}, nil
}

// parseStrict decodes one JSON value so that no two readers could understand it
// differently.
func parseStrict(raw []byte) (any, *ArgumentError) {
	switch {
	case len(raw) > maxArgs:
		return nil, refuse("", "must be at most %d bytes", maxArgs)
	case !utf8.Valid(raw):
		return nil, refuse("", "must be UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	p := strictParser{dec: dec}
	v, bad := p.value("", 0)
	if bad != nil {
		return nil, bad
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, refuse("", "must be one JSON value with nothing behind it")
	}
	// An escaped half of a surrogate pair decodes to U+FFFD, so two different
	// texts would become one.
	if loneSurrogate(raw) {
		return nil, refuse("", "must not hold half a surrogate pair")
	}
	return v, nil
}

type strictParser struct{ dec *json.Decoder }

func (p strictParser) value(pointer string, depth int) (any, *ArgumentError) {
	if depth > maxArgDepth {
		return nil, refuse(pointer, "is nested more than %d levels deep", maxArgDepth)
	}
	tok, err := p.dec.Token()
	if err != nil {
		return nil, refuse(pointer, "must be valid JSON")
	}
	switch tok := tok.(type) {
	case json.Delim:
		if tok == '{' {
			return p.object(pointer, depth)
		}
		return p.array(pointer, depth)
	case json.Number:
		if !sane(tok) {
			return nil, refuse(pointer, "is a number out of bounds")
		}
		return tok, nil
	case string:
		if strings.ContainsRune(tok, 0) {
			return nil, refuse(pointer, "must not hold the character U+0000")
		}
		return tok, nil
	}
	return tok, nil
}

func (p strictParser) array(pointer string, depth int) (any, *ArgumentError) {
	list := []any{}
	for p.dec.More() {
		v, bad := p.value(pointer+"/"+strconv.Itoa(len(list)), depth+1)
		if bad != nil {
			return nil, bad
		}
		list = append(list, v)
	}
	if _, err := p.dec.Token(); err != nil {
		return nil, refuse(pointer, "must be valid JSON")
	}
	return list, nil
}

func (p strictParser) object(pointer string, depth int) (any, *ArgumentError) {
	m := map[string]any{}
	var folded map[string]bool
	for p.dec.More() {
		tok, err := p.dec.Token()
		key, ok := tok.(string)
		if err != nil || !ok {
			return nil, refuse(pointer, "must be valid JSON")
		}
		at := pointer + "/" + escape(key)
		if folded == nil {
			folded = map[string]bool{}
		}
		low := strings.ToLower(key)
		if folded[low] {
			return nil, refuse(at, "stands here twice, or once more in other capitals")
		}
		folded[low] = true
		if strings.ContainsRune(key, 0) {
			return nil, refuse(at, "must not hold the character U+0000")
		}
		v, bad := p.value(at, depth+1)
		if bad != nil {
			return nil, bad
		}
		m[key] = v
	}
	if _, err := p.dec.Token(); err != nil {
		return nil, refuse(pointer, "must be valid JSON")
	}
	return m, nil
}

// sane bounds a number to what a double's range holds, with a decent number of
// digits.
func sane(n json.Number) bool {
	if len(n) > maxDigits {
		return false
	}
	f, err := n.Float64()
	if err != nil {
		return false
	}
	if f == 0 { // 1e-999 is not 0
		mantissa, _, _ := strings.Cut(strings.ToLower(n.String()), "e")
		return strings.Trim(mantissa, "-0.") == ""
	}
	return true
}

// loneSurrogate looks for \uD800…\uDFFF escapes without their other half.
func loneSurrogate(raw []byte) bool {
	unit := func(i int) (uint64, bool) {
		if i+6 > len(raw) || raw[i] != '\\' || raw[i+1] != 'u' {
			return 0, false
		}
		u, err := strconv.ParseUint(string(raw[i+2:i+6]), 16, 32)
		return u, err == nil
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		u, ok := unit(i)
		switch {
		case !ok:
			i++ // another escape
		case u >= 0xD800 && u < 0xDC00:
			if low, ok := unit(i + 6); !ok || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 11
		case u >= 0xDC00 && u <= 0xDFFF:
			return true
		default:
			i += 5
		}
	}
	return false
}
