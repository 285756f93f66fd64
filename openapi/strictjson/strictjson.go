// Package strictjson reads JSON texts (RFC 8259) of which no two readers could
// think differently: no key twice or in two spellings of case, no half of a
// surrogate pair, exact numbers. It reads the arguments of agents, for package
// openapi, and the messages of clients, for package mcpserver.
//
//	strictjson.go  a text as one value
//	members.go     the members of an object, each as it stands
//	scan.go        where a string, a number or a word ends
//	number.go      the one way to write a number
//	canonical.go   strings, and the order of names, in the form of RFC 8785
//	fold.go        which names some reader takes for the same
package strictjson

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits bound what is read.
type Limits struct {
	Bytes  int // of the text
	Depth  int // levels of arrays and objects
	Values int // in all: each may cost whoever checks them an error
}

// Error says what is wrong with a text. Its message quotes nothing of the text.
type Error struct {
	Path    []string // to the value that is wrong: keys and indexes
	Message string
}

func (e *Error) Error() string { return e.Message }

// Parse decodes one JSON text so that no two readers could understand it
// differently: what one decoder would repair, drop or let the last one win is
// refused. Numbers come out as json.Number in the form of [CanonicalNumber]. what
// names the text in messages. The error is an *Error.
func Parse(raw []byte, what string, most Limits) (any, error) {
	p := &parser{data: raw, what: what, most: most}
	switch {
	case len(raw) > most.Bytes:
		p.fail("%s have %d bytes; at most %d are accepted", what, len(raw), most.Bytes)
	case !utf8.Valid(raw):
		p.fail("%s are not valid UTF-8", what)
	default:
		v, ok := p.value()
		if !ok {
			break
		}
		if p.pos = SkipSpace(raw, p.pos); p.pos == len(raw) {
			return v, nil
		}
		p.fail("%s go on after their JSON value, at byte %d", what, p.pos)
	}
	return nil, p.bad
}

// parser walks one JSON text. path is where it is.
type parser struct {
	data []byte
	what string
	most Limits
	pos  int
	path []string
	seen int // values so far
	bad  *Error
}

func (p *parser) fail(format string, args ...any) bool {
	if p.bad == nil {
		p.bad = &Error{Path: slices.Clone(p.path), Message: fmt.Sprintf(format, args...)}
	}
	return false
}

func (p *parser) syntax(err error) bool { return p.fail("%v, at byte %d", err, p.pos) }

// unexpected refuses what stands here, or that nothing does.
func (p *parser) unexpected() bool {
	if p.pos >= len(p.data) {
		return p.syntax(ErrEnds)
	}
	return p.syntax(ErrSyntax)
}

func (p *parser) value() (any, bool) {
	p.pos = SkipSpace(p.data, p.pos)
	if p.pos >= len(p.data) {
		return nil, p.syntax(ErrEnds)
	}
	if p.seen++; p.seen > p.most.Values {
		p.path = nil
		return nil, p.fail("%s hold more than %d values", p.what, p.most.Values)
	}
	switch c := p.data[p.pos]; c {
	case '{', '[':
		if len(p.path) >= p.most.Depth {
			return nil, p.fail("is nested more than %d levels deep", p.most.Depth)
		}
		if c == '{' {
			return p.object()
		}
		return p.array()
	case '"':
		s, ok := p.text()
		return s, ok
	}
	end, err := ScanScalar(p.data, p.pos)
	if err != nil {
		p.pos = end
		return nil, p.syntax(err)
	}
	word := string(p.data[p.pos:end])
	p.pos = end
	switch word[0] {
	case 't':
		return true, true
	case 'f':
		return false, true
	case 'n':
		return nil, true
	}
	n, reason := CanonicalNumber(word)
	if reason != "" {
		return nil, p.fail("%s", reason)
	}
	return json.Number(n), true
}

func (p *parser) array() (any, bool) {
	list := []any{}
	p.pos = SkipSpace(p.data, p.pos+1)
	if p.at(']') {
		return list, true
	}
	for {
		p.path = append(p.path, strconv.Itoa(len(list)))
		v, ok := p.value()
		if !ok {
			return nil, false
		}
		p.path = p.path[:len(p.path)-1]
		list = append(list, v)
		if p.pos = SkipSpace(p.data, p.pos); p.at(']') {
			return list, true
		}
		if !p.at(',') {
			return nil, p.unexpected()
		}
	}
}

func (p *parser) object() (any, bool) {
	object := map[string]any{}
	folded := map[string]string{}
	p.pos = SkipSpace(p.data, p.pos+1)
	if p.at('}') {
		return object, true
	}
	for {
		p.pos = SkipSpace(p.data, p.pos)
		key, ok := p.text()
		if !ok {
			return nil, false
		}
		p.path = append(p.path, key)
		if first, twice := folded[Fold(key)]; twice {
			if first == key {
				return nil, p.fail("is given twice")
			}
			return nil, p.fail("differs from another name here only in capitals or in what cannot be seen")
		}
		if p.prototype(key) {
			return nil, p.fail("is a name that some readers take for the object's prototype")
		}
		folded[Fold(key)] = key
		if p.pos = SkipSpace(p.data, p.pos); !p.at(':') {
			return nil, p.unexpected()
		}
		v, ok := p.value()
		if !ok {
			return nil, false
		}
		p.path = p.path[:len(p.path)-1]
		object[key] = v
		if p.pos = SkipSpace(p.data, p.pos); p.at('}') {
			return object, true
		}
		if !p.at(',') {
			return nil, p.unexpected()
		}
	}
}

// prototype reports a name by which JavaScript reaches what all objects share:
// a policy would see nothing of a role that is set there.
func (p *parser) prototype(key string) bool {
	return strings.Contains(key, "__proto__") ||
		key == "prototype" && len(p.path) > 1 && p.path[len(p.path)-2] == "constructor"
}

// at takes the byte c if it stands here.
func (p *parser) at(c byte) bool {
	if p.pos < len(p.data) && p.data[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

// text reads a string. Half a surrogate pair has no UTF-8, and U+0000 ends
// strings in some readers, so neither is accepted.
func (p *parser) text() (string, bool) {
	end, err := ScanString(p.data, p.pos)
	if err != nil {
		p.pos = end
		return "", p.syntax(err)
	}
	quoted := string(p.data[p.pos+1 : end-1])
	p.pos = end
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted, true
	}
	s, ok := Unquote(quoted)
	switch {
	case !ok:
		return "", p.fail("holds half of a surrogate pair (\\ud800 to \\udfff)")
	case strings.IndexByte(s, 0) >= 0:
		return "", p.fail("holds the character U+0000")
	}
	return s, true
}

// Unquote resolves the escapes of a JSON string without its quotes, whose syntax
// is right. It fails for a surrogate without its other half.
func Unquote(s string) (string, bool) {
	unit := func(i int) rune { // the four hex digits from i
		u := rune(0)
		for j := i; j < i+4; j++ {
			h, _ := HexValue(s[j])
			u = u<<4 | h
		}
		return u
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'u':
			r := unit(i + 1)
			i += 4
			if utf16.IsSurrogate(r) {
				if i+6 >= len(s) || s[i+1] != '\\' || s[i+2] != 'u' {
					return "", false
				}
				if r = utf16.DecodeRune(r, unit(i+3)); r == utf8.RuneError {
					return "", false
				}
				i += 6
			}
			b = utf8.AppendRune(b, r)
		default:
			b = append(b, simpleEscape(c))
		}
	}
	return string(b), true
}

func simpleEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // " \ /
}
