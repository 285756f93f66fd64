package strictjson

import "errors"

// What can be wrong with a JSON text: it breaks the grammar, or it ends early.
var (
	ErrSyntax = errors.New("is not valid JSON")
	ErrEnds   = errors.New("ends in the middle of a JSON value")
)

// SkipSpace returns the first position at or after i that is not white space.
func SkipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

// ScanString returns the position after the string that begins at i.
func ScanString(data []byte, i int) (end int, err error) {
	if i >= len(data) {
		return i, ErrEnds
	}
	if data[i] != '"' {
		return i, ErrSyntax
	}
	for i++; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			return i + 1, nil
		case c < 0x20:
			return i, ErrSyntax
		case c == '\\':
			if i++; i >= len(data) {
				return i, ErrEnds
			}
			switch data[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(data) {
						return i, ErrEnds
					}
					if _, ok := HexValue(data[i]); !ok {
						return i, ErrSyntax
					}
				}
			default:
				return i, ErrSyntax
			}
		}
	}
	return i, ErrEnds
}

// HexValue is the value of a hex digit.
func HexValue(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10, true
	}
	return 0, false
}

// scanNumber returns the position after the number that begins at i. A number
// at the very end of the text counts as whole.
func scanNumber(data []byte, i int) (end int, err error) {
	digits := func() bool {
		from := i
		for i < len(data) && data[i] >= '0' && data[i] <= '9' {
			i++
		}
		return i > from
	}
	missing := func() (int, error) {
		if i >= len(data) {
			return i, ErrEnds
		}
		return i, ErrSyntax
	}
	if i < len(data) && data[i] == '-' {
		i++
	}
	if i < len(data) && data[i] == '0' {
		i++
	} else if !digits() {
		return missing()
	}
	if i < len(data) && data[i] == '.' {
		if i++; !digits() {
			return missing()
		}
	}
	if i < len(data) && (data[i] == 'e' || data[i] == 'E') {
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		if !digits() {
			return missing()
		}
	}
	return i, nil
}

// scanWord returns the position after true, false or null at i.
func scanWord(data []byte, i int, word string) (end int, err error) {
	for j := range len(word) {
		if i+j >= len(data) {
			return i + j, ErrEnds
		}
		if data[i+j] != word[j] {
			return i + j, ErrSyntax
		}
	}
	return i + len(word), nil
}

// ScanScalar returns the position after the string, number or word at i.
func ScanScalar(data []byte, i int) (end int, err error) {
	if i >= len(data) {
		return i, ErrEnds
	}
	switch data[i] {
	case '"':
		return ScanString(data, i)
	case 't':
		return scanWord(data, i, "true")
	case 'f':
		return scanWord(data, i, "false")
	case 'n':
		return scanWord(data, i, "null")
	}
	return scanNumber(data, i)
}
