package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
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
	out := map[string]json.RawMessage{}
	if err := EachMember(raw, func(key []byte, value json.RawMessage) { out[string(key)] = value }); err != nil {
		return nil, err
	}
	return out, nil
}

// EachMember tells of each member of an object, in order, as Members reads them. It
// tells of those before an error, too.
func EachMember(raw []byte, tell func(key []byte, value json.RawMessage)) error {
	i := SkipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return ErrNoObject
	}
	var seen keys
	for i = SkipSpace(raw, i+1); i < len(raw); i = SkipSpace(raw, i+1) { // behind { or ,
		if raw[i] == '}' && seen.n == 0 {
			return nil
		}
		end, err := ScanString(raw, i)
		if err != nil {
			return err
		}
		key, err := keyOf(raw[i:end])
		if err != nil {
			return err
		}
		if !seen.add(key) {
			return ErrTwice
		}
		if i = SkipSpace(raw, end); i >= len(raw) || raw[i] != ':' {
			return ErrSyntax
		}
		i = SkipSpace(raw, i+1)
		if end, err = skipValue(raw, i); err != nil {
			return err
		}
		tell(key, raw[i:end])
		if i = SkipSpace(raw, end); i < len(raw) && raw[i] == '}' {
			return nil
		}
		if i >= len(raw) || raw[i] != ',' {
			return ErrSyntax
		}
	}
	return ErrEnds
}

// keyOf is the text of a key.
func keyOf(raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return raw[1 : len(raw)-1], nil
	}
	// Half of a surrogate pair is U+FFFD to other readers: two such keys are one.
	var key string
	if json.Unmarshal(raw, &key) != nil {
		return nil, ErrSyntax
	}
	return []byte(key), nil
}

// keys are those of one object: most have few.
type keys struct {
	few  [8][]byte
	n    int
	more map[string]bool // the others
}

// add reports whether the key is new.
func (k *keys) add(key []byte) bool {
	for _, one := range k.few[:min(k.n, len(k.few))] {
		if bytes.Equal(one, key) {
			return false
		}
	}
	if k.n < len(k.few) {
		k.few[k.n] = key
		k.n++
		return true
	}
	if k.more == nil {
		k.more = map[string]bool{}
	}
	if k.more[string(key)] {
		return false
	}
	k.more[string(key)] = true
	k.n++
	return true
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
