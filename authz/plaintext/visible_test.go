package plaintext

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// shown is what a person sees: other text in braces.
func shown(s string) string {
	var b strings.Builder
	for _, p := range Pieces(s) {
		if p.Kind == otherText {
			fmt.Fprintf(&b, "{%s}", p.Text)
		} else {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "",
		"plain text, 100 %":                   "plain text, 100 %",
		" a  b ":                              "⟨U+0020⟩a  b⟨U+0020⟩",
		"   ":                                 "⟨U+0020⟩⟨U+0020⟩⟨U+0020⟩",
		"a\nb\r\tc\x00\x1b[2J\x7f":            "a↵b⟨U+000D⟩⟨U+0009⟩c⟨U+0000⟩⟨U+001B⟩[2J⟨U+007F⟩",
		"a\xffb\xc3":                          "a⟨0xFF⟩b⟨0xC3⟩",
		"gnp.\u202eexe\u202c":                 "gnp.⟨U+202E⟩exe⟨U+202C⟩",
		"\u2066a\u2069\u200f\u061c":           "⟨U+2066⟩a⟨U+2069⟩⟨U+200F⟩⟨U+061C⟩",
		"a\u200bb\u00adc\ufeffd\u2060e\u2028": "a⟨U+200B⟩b⟨U+00AD⟩c⟨U+FEFF⟩d⟨U+2060⟩e⟨U+2028⟩",
		"a\u00a0b\u3000c":                     "a⟨U+00A0⟩b⟨U+3000⟩c",
		"\u115f\u1160\u3164\uffa0\u2800":      "⟨U+115F⟩⟨U+1160⟩⟨U+3164⟩⟨U+FFA0⟩⟨U+2800⟩",
		"\U000e0041\U000e0101\ufe0f\u034f":    "⟨U+E0041⟩⟨U+E0101⟩⟨U+FE0F⟩⟨U+034F⟩",
		"\ue000\U0010ffff\u0378":              "⟨U+E000⟩⟨U+10FFFF⟩⟨U+0378⟩",
		// What looks like ASCII is not shown as it.
		"p\u0430ypal":                    "p⟨U+0430⟩ypal",
		"\u0440\u0430ypal":               "⟨U+0440⟩⟨U+0430⟩ypal",
		"\uff0fadmin\uff01":              "⟨U+FF0F⟩admin⟨U+FF01⟩",
		"\U0001d41a\u2170\u00b2\ufb01":   "⟨U+1D41A⟩⟨U+2170⟩⟨U+00B2⟩⟨U+FB01⟩",
		"a\u2215b\u2044c\u2010d\u2212e":  "a⟨U+2215⟩b⟨U+2044⟩c⟨U+2010⟩d⟨U+2212⟩e",
		"\u0261\u0251\ua731":             "⟨U+0261⟩⟨U+0251⟩⟨U+A731⟩",
		"e\u0301":                        "e⟨U+0301⟩",
		"\u0430\u0301\u0301\u0301\u0301": "{\u0430\u0301\u0301\u0301}⟨U+0301⟩",
		// The notation cannot be faked.
		"⟨U+202E⟩↵": "⟨U+27E8⟩U+202E⟨U+27E9⟩⟨U+21B5⟩",
		// What people write stays readable.
		"Zoë Müller, Łódź": "Zo{ë} M{ü}ller, {Łó}d{ź}",
		"Привет, мир2":     "{Привет}, {мир}2",
		"日本語 テスト":          "{日本語} {テスト}",
		"हिन्दी":           "{हिन्दी}",
		"שלום /a":          "{שלום} /a",
		"“quoted” – it’s…": "{“}quoted{”} {–} it{’}s{…}",
		"👍":                "{👍}",
	} {
		if got := shown(in); got != want {
			t.Errorf("%+q\n got %s\nwant %s", in, got, want)
		}
	}
}

// read undoes visible.
func read(t *testing.T, pieces []Piece) string {
	var b strings.Builder
	for _, p := range pieces {
		switch {
		case p.Kind == plainText, p.Kind == otherText:
			b.WriteString(p.Text)
		case p.Kind == lineBreak && p.Text == "↵":
			b.WriteByte('\n')
		case p.Kind == codeText && strings.HasPrefix(p.Text, "⟨U+"):
			n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(p.Text, "⟨U+"), "⟩"), 16, 32)
			if err != nil {
				t.Fatalf("%q: %v", p.Text, err)
			}
			b.WriteRune(rune(n))
		case p.Kind == codeText && strings.HasPrefix(p.Text, "⟨0x"):
			n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(p.Text, "⟨0x"), "⟩"), 16, 8)
			if err != nil {
				t.Fatalf("%q: %v", p.Text, err)
			}
			b.WriteByte(byte(n))
		default:
			t.Fatalf("a piece of kind %q: %q", p.Kind, p.Text)
		}
	}
	return b.String()
}

func FuzzVisible(f *testing.F) {
	for _, s := range []string{"plain", " ", "\u202e\xff\n⟨", "p\u0430ypal", "日本\u0301", strings.Repeat("\u0430", 100), "e\u0301\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		pieces := Pieces(s)
		for i, p := range pieces {
			if !utf8.ValidString(p.Text) || p.Text == "" {
				t.Errorf("piece %q", p.Text)
			}
			for _, r := range p.Text {
				if r != ' ' && hides(r) || r == ' ' && p.Kind != plainText {
					t.Errorf("%+q shows %+q in a %s piece", s, r, p.Kind)
				}
				if p.Kind == plainText && r >= utf8.RuneSelf {
					t.Errorf("%+q has %+q among plain text", s, r)
				}
			}
			if i > 0 && p.Kind == pieces[i-1].Kind && (p.Kind == plainText || p.Kind == otherText) {
				t.Errorf("two runs of %s", p.Kind)
			}
		}
		if got := read(t, pieces); got != s {
			t.Errorf("shows %+q as %+q", s, got)
		}
		// However it is cut, it reads the same.
		var cuts []int
		for i := range s {
			if i%3 == 0 {
				cuts = append(cuts, i)
			}
		}
		var together []Piece
		lists := PiecesAt(s, cuts)
		for _, list := range lists {
			together = append(together, list...)
		}
		if got := read(t, together); got != s || len(lists) != len(cuts)+1 || Deceives(together) != Deceives(pieces) {
			t.Errorf("cut at %v it shows %+q as %+q", cuts, s, got)
		}
	})
}

// Hostile text must not cost more than its length.
func BenchmarkVisible(b *testing.B) {
	for name, s := range map[string]string{"ascii": strings.Repeat("a", 1<<20), "cyrillic": strings.Repeat("\u0430", 1<<19), "mixed": strings.Repeat("a\u0430", 1<<18)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				Pieces(s)
			}
		})
	}
}
