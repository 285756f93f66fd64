package plaintext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"
)

// Piece is a run of text as people are shown it.
type Piece struct{ Text, Kind string }

// The kinds of pieces.
const (
	plainText = "plain" // ASCII
	otherText = "other" // readable, but not ASCII
	codeText  = "code"  // one character spelt out, as ⟨U+202E⟩
	lineBreak = "break" // a line feed, shown as ↵; the line ends here
)

// Pieces splits text so that nothing in it can hide or pose as something else:
// what is invisible, moves other text or looks like an ASCII character is spelt
// out, and so are the characters that spelling out uses. What is left beyond
// ASCII stands apart. The pieces tell exactly what s is.
func Pieces(s string) []Piece { return PiecesAt(s, nil)[0] }

// PiecesAt is Pieces of a text that is cut at some places, in their order: what stands
// on both sides of a cut is read as if there were none. There is one list more than
// there are cuts.
func PiecesAt(s string, cuts []int) [][]Piece {
	var all [][]Piece
	var out []Piece
	// Spaces at either end do not show.
	first := len(s) - len(strings.TrimLeft(s, " "))
	last := max(first, len(strings.TrimRight(s, " ")))
	begun, kind := 0, "" // the run that is being read
	var w word
	flush := func(i int, next string) {
		if kind != "" && kind != next {
			out = append(out, Piece{s[begun:i], kind})
		}
		if kind != next {
			begun, kind = i, next
		}
	}
	for i := 0; i < len(s); {
		for len(cuts) > 0 && cuts[0] <= i {
			flush(i, "")
			all, out, cuts = append(all, out), nil, cuts[1:]
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			flush(i, "")
			out = append(out, Piece{fmt.Sprintf("⟨0x%02X⟩", s[i]), codeText})
		case r == '\n':
			flush(i, "")
			out = append(out, Piece{"↵", lineBreak})
		case ' ' <= r && r <= '~' && (r != ' ' || first <= i && i < last):
			flush(i, plainText)
		case r >= utf8.RuneSelf && readable(s, i, r, &w):
			flush(i, otherText)
		default:
			flush(i, "")
			out = append(out, Piece{fmt.Sprintf("⟨U+%04X⟩", r), codeText})
		}
		i += size
	}
	flush(len(s), "")
	for range cuts {
		all, out = append(all, out), nil
	}
	return append(all, out)
}

// Deceives reports whether something in the text had to be spelt out.
func Deceives(pieces []Piece) bool {
	for _, p := range pieces {
		if p.Kind == codeText {
			return true
		}
	}
	return false
}

// readable reports whether r, which is not ASCII and stands at s[i], can be
// shown as it is.
func readable(s string, i int, r rune, w *word) bool {
	switch {
	case !unicode.IsPrint(r), unicode.In(r, blank...), unicode.Is(lookAlike, r):
		return false
	case r != '…' && ascii(norm.NFKC.String(string(r))):
		return false // another form of ASCII: full-width, mathematical, raised
	case unicode.IsMark(r):
		return carriesMark(s[:i])
	case unicode.Is(unicode.Latin, r):
		// The letters of the common alphabets, and ASCII letters with accents;
		// most of the rest (phonetic letters, small capitals) looks like ASCII.
		return r < 0x180 || ascii(norm.NFD.String(string(r))[:1])
	case unicode.IsLetter(r) && unicode.In(r, posers...):
		w.around(s, i) // "pаypal" with a Cyrillic а
		return !w.latin
	}
	return true
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// word is the one that was looked at last.
type word struct {
	end   int
	latin bool // it has Latin letters
}

// around finds the word around s[i], once for each word.
func (w *word) around(s string, i int) {
	if i < w.end {
		return
	}
	inWord := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) || r == '_'
	}
	start := i
	for start > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:start])
		if !inWord(r) {
			break
		}
		start -= size
	}
	w.end, w.latin = len(s), false
	for j, r := range s[start:] {
		if !inWord(r) {
			w.end = start + j
			break
		}
		w.latin = w.latin || unicode.Is(unicode.Latin, r)
	}
}

// carriesMark reports whether a combining mark after s belongs to a script that
// is written with them. Latin letters have composed forms, and piles of marks
// hide what is below.
func carriesMark(s string) bool {
	for range 3 {
		r, size := utf8.DecodeLastRuneInString(s)
		if !unicode.IsMark(r) {
			return unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r)
		}
		s = s[:len(s)-size]
	}
	return false
}

// blank are characters that Unicode calls printable and that show nothing.
var blank = []*unicode.RangeTable{unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point, rangetable.New(0x2800, 0xfffc, 0x1d159)}

// posers are scripts with letters that look like ASCII ones.
var posers = []*unicode.RangeTable{unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Deseret,
	unicode.Lisu, unicode.Georgian, unicode.Gothic, unicode.Old_Italic, unicode.Tifinagh, unicode.Vai, unicode.Canadian_Aboriginal,
	unicode.Warang_Citi, unicode.Osage, unicode.Runic, unicode.Nko}

// lookAlike are characters that pass for ASCII punctuation, and those that this
// notation uses itself.
var lookAlike = rangetable.New('⟨', '⟩', '↵',
	// : ; . , and '
	0x02b9, 0x02bc, 0x02c8, 0x02d0, 0x02f8, 0x0387, 0x055a, 0x055d, 0x0589, 0x05c3, 0x05f3, 0x0701, 0x0702, 0x0703, 0x0704, 0x201a, 0x201b, 0x2032, 0x2236,
	0xa4fa, 0xa4fd, 0xa4fe, 0xa789, 0xa78c,
	// -
	0x02d7, 0x06d4, 0x1427, 0x1806, 0x2010, 0x2011, 0x2012, 0x2015, 0x2043, 0x2053, 0x2212, 0x2cba, 0x30a0,
	// / \ | ! < > * ~ and %
	0x01c0, 0x01c3, 0x2044, 0x2052, 0x2215, 0x2216, 0x2217, 0x2223, 0x223c, 0x204e, 0x066a, 0x066d, 0x2039, 0x203a, 0x2571, 0x2573, 0x27cb, 0x27cd,
	0x29f5, 0x29f8, 0x29f9, 0x2cfe)
