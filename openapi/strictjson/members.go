package strictjson

import (
	"encoding/json"
	"errors"
)

// Errors of Members.
var (
	ErrNoObject = errors.New("is not an object")
	ErrTwice    = errors.New("has a key twice")
)

// Members reads the members of an object, each value as it stands. raw must be
// one valid JSON text in UTF-8; Members looks at no more of it than it needs.
// The errors are ErrNoObject, ErrTwice and, for what is not valid, ErrSyntax and
// ErrEnds.
func Members(raw []byte) (map[string]json.RawMessage, error) {
	i := SkipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return nil, ErrNoObject
	}
	out := map[string]json.RawMessage{}
	for i = SkipSpace(raw, i+1); i < len(raw); i = SkipSpace(raw, i+1) { // behind { or ,
		if raw[i] == '}' && len(out) == 0 {
			return out, nil
		}
		end, err := ScanString(raw, i)
		if err != nil {
			return nil, err
		}
		// Half of a surrogate pair is U+FFFD to other readers: two such keys are one.
		var key string
		if err := json.Unmarshal(raw[i:end], &key); err != nil {
			return nil, ErrSyntax
		}
		if _, twice := out[key]; twice {
			return nil, ErrTwice
		}
		if i = SkipSpace(raw, end); i >= len(raw) || raw[i] != ':' {
			return nil, ErrSyntax
		}
		i = SkipSpace(raw, i+1)
		if end, err = skipValue(raw, i); err != nil {
			return nil, err
		}
		out[key] = raw[i:end]
		if i = SkipSpace(raw, end); i < len(raw) && raw[i] == '}' {
			return out, nil
		}
		if i >= len(raw) || raw[i] != ',' {
			return nil, ErrSyntax
		}
	}
	return nil, ErrEnds
}

// skipValue returns the position after the value that begins at i.
func skipValue(raw []byte, i int) (end int, err error) {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\r', '\t':
			i++
		default:
			if i, err = ScanScalar(raw, i); err != nil {
				return i, err
			}
		}
		if depth <= 0 {
			return i, nil
		}
	}
	return i, ErrEnds
}
