package strictjson

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold maps names that some readers take for equal to one text: those that
// match names without regard to capitals (Go's encoding/json is one), by what is
// composed of the same characters, or by what databases collate.
func Fold(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return strings.ToLower(s)
	}
	return norm.NFC.String(strings.Map(foldRune, norm.NFC.String(s)))
}

// foldRune stands for all runes that differ from r in case only: the small
// ASCII letter among them, else the least of them. It drops what is ignorable.
func foldRune(r rune) rune {
	if Ignorable(r) {
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

// Ignorable reports a character that readers may leave out when they compare
// texts: joiners, zero-width and bidi characters, variation selectors.
func Ignorable(r rune) bool {
	return r >= utf8.RuneSelf && unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}
