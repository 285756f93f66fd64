package plaintext

import "unicode"

// hides reports what must not be shown as it is.
func hides(r rune) bool {
	return unicode.In(r, unicode.C, unicode.Z, unicode.Bidi_Control, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) ||
		!unicode.IsPrint(r)
}
