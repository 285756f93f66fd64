package openapi

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds on the arguments of one call.
const (
	maxArguments     = 8 << 20 // bytes
	maxArgumentDepth = 64      // levels of arrays and objects
	maxNumber        = 128     // bytes of one number: 256-bit integers and more
	maxValues        = 200_000 // values in all: each may cost the validator an error
)

// parseStrict decodes one JSON text so that no two readers could understand it
// differently: what one decoder would repair, drop or let the last one win is
// refused. Numbers come out as json.Number in their canonical form.
func parseStrict(raw []byte) (any, *ArgumentError) {
	switch {
	case len(raw) > maxArguments:
		return nil, refuse("", "the arguments have %d bytes; at most %d are accepted", len(raw), maxArguments)
	case !utf8.Valid(raw):
		return nil, refuse("", "the arguments are not valid UTF-8")
	}
	p := &strictParser{data: raw}
	v, ok := p.value()
	if !ok {
		return nil, p.bad
	}
	if p.pos = skipSpace(raw, p.pos); p.pos < len(raw) {
		return nil, refuse("", "the arguments go on after their JSON value, at byte %d", p.pos)
	}
	return v, nil
}

// strictParser walks one JSON text. path is where it is, for error pointers.
type strictParser struct {
	data []byte
	pos  int
	path []string
	seen int // values so far
	bad  *ArgumentError
}

func (p *strictParser) fail(format string, args ...any) bool {
	if p.bad == nil {
		p.bad = refuse(join(p.path...), format, args...)
	}
	return false
}

func (p *strictParser) syntax(err error) bool { return p.fail("%v, at byte %d", err, p.pos) }

// unexpected refuses what stands here, or that nothing does.
func (p *strictParser) unexpected() bool {
	if p.pos >= len(p.data) {
		return p.syntax(errEnds)
	}
	return p.syntax(errSyntax)
}

func (p *strictParser) value() (any, bool) {
	p.pos = skipSpace(p.data, p.pos)
	if p.pos >= len(p.data) {
		return nil, p.syntax(errEnds)
	}
	if p.seen++; p.seen > maxValues {
		p.path = nil
		return nil, p.fail("the arguments hold more than %d values", maxValues)
	}
	switch c := p.data[p.pos]; c {
	case '{', '[':
		if len(p.path) >= maxArgumentDepth {
			return nil, p.fail("is nested more than %d levels deep", maxArgumentDepth)
		}
		if c == '{' {
			return p.object()
		}
		return p.array()
	case '"':
		s, ok := p.text()
		return s, ok
	}
	end, err := scanScalar(p.data, p.pos)
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
	n, reason := canonicalNumber(word)
	if reason != "" {
		return nil, p.fail("%s", reason)
	}
	return json.Number(n), true
}

func (p *strictParser) array() (any, bool) {
	list := []any{}
	p.pos = skipSpace(p.data, p.pos+1)
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
		if p.pos = skipSpace(p.data, p.pos); p.at(']') {
			return list, true
		}
		if !p.at(',') {
			return nil, p.unexpected()
		}
	}
}

func (p *strictParser) object() (any, bool) {
	object := map[string]any{}
	folded := map[string]string{}
	p.pos = skipSpace(p.data, p.pos+1)
	if p.at('}') {
		return object, true
	}
	for {
		p.pos = skipSpace(p.data, p.pos)
		key, ok := p.text()
		if !ok {
			return nil, false
		}
		p.path = append(p.path, key)
		if first, twice := folded[fold(key)]; twice {
			if first == key {
				return nil, p.fail("is given twice")
			}
			return nil, p.fail("differs from another name here only in capitals or in what cannot be seen")
		}
		if p.prototype(key) {
			return nil, p.fail("is a name that some readers take for the object's prototype")
		}
		folded[fold(key)] = key
		if p.pos = skipSpace(p.data, p.pos); !p.at(':') {
			return nil, p.unexpected()
		}
		v, ok := p.value()
		if !ok {
			return nil, false
		}
		p.path = p.path[:len(p.path)-1]
		object[key] = v
		if p.pos = skipSpace(p.data, p.pos); p.at('}') {
			return object, true
		}
		if !p.at(',') {
			return nil, p.unexpected()
		}
	}
}

// prototype reports a name by which JavaScript reaches what all objects share:
// a policy would see nothing of a role that is set there.
func (p *strictParser) prototype(key string) bool {
	return strings.Contains(key, "__proto__") ||
		key == "prototype" && len(p.path) > 1 && p.path[len(p.path)-2] == "constructor"
}

// at takes the byte c if it stands here.
func (p *strictParser) at(c byte) bool {
	if p.pos < len(p.data) && p.data[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

// text reads a string. Half a surrogate pair has no UTF-8, and U+0000 ends
// strings in some readers, so neither is accepted.
func (p *strictParser) text() (string, bool) {
	end, err := scanString(p.data, p.pos)
	if err != nil {
		p.pos = end
		return "", p.syntax(err)
	}
	quoted := string(p.data[p.pos+1 : end-1])
	p.pos = end
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted, true
	}
	s, ok := unquote(quoted)
	switch {
	case !ok:
		return "", p.fail("holds half of a surrogate pair (\\ud800 to \\udfff)")
	case strings.IndexByte(s, 0) >= 0:
		return "", p.fail("holds the character U+0000")
	}
	return s, true
}

// unquote resolves the escapes of a JSON string whose syntax is right. It
// fails for a surrogate without its other half.
func unquote(s string) (string, bool) {
	unit := func(i int) rune { // the four hex digits from i
		u := rune(0)
		for j := i; j < i+4; j++ {
			h, _ := hexValue(s[j])
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

// fold maps names that some readers take for equal to one text: those that
// match names without regard to capitals (Go's encoding/json is one), by what is
// composed of the same characters, or by what databases collate.
func fold(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return strings.ToLower(s)
	}
	return norm.NFC.String(strings.Map(foldRune, norm.NFC.String(s)))
}

// foldRune stands for all runes that differ from r in case only: the small
// ASCII letter among them, else the least of them. It drops what is ignorable.
func foldRune(r rune) rune {
	if ignorable(r) {
		return -1
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if least >= 'A' && least <= 'Z' {
		return least + 'a' - 'A'
	}
	return least
}
