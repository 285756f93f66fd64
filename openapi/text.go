package openapi

import (
	"strings"
	"unicode"
)

// clean bounds a text from a document and takes out what could hide something
// from a reader: control, bidi and other invisible characters.
func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), r == '\u2028', r == '\u2029', r == unicode.ReplacementChar, r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0100 && r <= 0xe01ef:
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) <= most {
		return s
	}
	s = s[:most-3]
	for len(s) > 0 && s[len(s)-1]&0xC0 == 0x80 {
		s = s[:len(s)-1]
	}
	if len(s) > 0 && s[len(s)-1] >= 0xC0 {
		s = s[:len(s)-1]
	}
	return s + "…"
}

// oneLine is clean for texts that end on one line of a terminal or a list.
func oneLine(s string, most int) string {
	return strings.Join(strings.Fields(clean(s, most)), " ")
}
