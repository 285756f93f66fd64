package openapi

import (
	"errors"
)

// What can be wrong with a JSON text: it breaks the grammar, or it ends early.
var (
	errSyntax = errors.New("is not valid JSON")
	errEnds   = errors.New("ends in the middle of a JSON value")
)

// skipSpace returns the first position at or after i that is no white space.
func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

// scanString returns the position after the string that begins at i.
func scanString(data []byte, i int) (end int, err error) {
	if i >= len(data) {
		return i, errEnds
	}
	if data[i] != '"' {
		return i, errSyntax
	}
	for i++; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			return i + 1, nil
		case c < 0x20:
			return i, errSyntax
		case c == '\\':
			if i++; i >= len(data) {
				return i, errEnds
			}
			switch data[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(data) {
						return i, errEnds
					}
					if _, ok := hexValue(data[i]); !ok {
						return i, errSyntax
					}
				}
			default:
				return i, errSyntax
			}
		}
	}
	return i, errEnds
}

func hexValue(c byte) (rune, bool) {
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
			return i, errEnds
		}
		return i, errSyntax
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
			return i + j, errEnds
		}
		if data[i+j] != word[j] {
			return i + j, errSyntax
		}
	}
	return i + len(word), nil
}

// scanScalar returns the position after the string, number or word at i.
func scanScalar(data []byte, i int) (end int, err error) {
	if i >= len(data) {
		return i, errEnds
	}
	switch data[i] {
	case '"':
		return scanString(data, i)
	case 't':
		return scanWord(data, i, "true")
	case 'f':
		return scanWord(data, i, "false")
	case 'n':
		return scanWord(data, i, "null")
	}
	return scanNumber(data, i)
}
