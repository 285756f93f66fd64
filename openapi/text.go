package openapi

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean bounds a text from a document and takes out what could hide something
// from a reader: control, bidi and other invisible characters.
func clean(s string, most int) string {
	if len(s) > 16*most {
		// Of a text of megabytes only the beginning counts.
		s = shorten(s, 16*most)
	}
	s = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && invisible(r) {
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

// invisible reports a character that shows nothing of itself, or changes how
// others are shown.
func invisible(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar || unicode.Is(unicode.Co, r) || ignorable(r)
}

// ignorable reports a character that readers may leave out when they compare
// texts: joiners, zero-width and bidi characters, variation selectors.
func ignorable(r rune) bool {
	return r >= utf8.RuneSelf && unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// oneLine is clean for texts that end on one line of a terminal or a list.
func oneLine(s string, most int) string {
	return strings.Join(strings.Fields(clean(s, most)), " ")
}
