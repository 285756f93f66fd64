package phrase

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/words"
)

// hostile are texts that would say something else if they could.
var hostile = []string{
	"x” of expense 10 from 100.00 to 1.00. Approve “this", "\x010\x02", "\x01", "a\nDelete pet 1", "\u202egpj.exe", "<b>Read pet 1</b>", "&amp;", "%s %d %[9]s",
	"“”", "«x»", "„x“", "⟨U+201D⟩", "is hidden)", "@channel", "*bold* _x_ `y`", "https://evil.example/x", "", " ", "{iban}", "}", "{", "٣٤", "1\u00a0000",
}

// sentences are one of each form, with a value everywhere.
func sentences(v Value) (all []Sentence) {
	things := []Thing{{Noun: "repo", ID: &v}, {Noun: "issue", ID: &v, Title: &v, Facts: []Value{v, v}}}
	for _, verb := range []Verb{Read, Create, Set, Delete, Run, Upload, Change} {
		all = append(all, Sentence{Verb: verb, Things: things, Named: v.Text, File: &File{Name: &v, Size: 3, Type: "PDF"}})
	}
	return append(all, Sentence{Verb: Change, Things: things, Field: v.Text, Was: &v, Is: &v, Fields: []string{v.Text, v.Text, "c", "d", "e", "f"}, Dropped: 2},
		Sentence{Verb: Change, Things: things, Field: v.Text, Was: &v}, Sentence{Verb: Change, Things: things, Nothing: true},
		Sentence{Verb: Run, Own: map[string]string{"": "Pay {amount} to {amount}."}, Values: map[string]Value{"amount": v}})
}

// checkOurs fails if a sentence has other words of ours than the same one about a plain
// value: nothing in a value makes one, and none of a value is outside quotes.
func checkOurs(t *testing.T, text string, kind Kind, unit string) {
	ours := func(pieces []Piece) (out []string) {
		for _, p := range pieces {
			if p.From == Ours {
				out = append(out, p.Text)
			}
		}
		return out
	}
	plain, value := NewText(strings.Repeat("x", len([]rune(text))), Agent), NewText(text, Agent)
	value.Kind, value.Unit = kind, unit
	want, got := sentences(plain), sentences(value)
	for _, l := range words.Languages() {
		for i := range got {
			for _, form := range []func(Sentence) []Piece{
				func(s Sentence) []Piece { return s.Say(l) }, func(s Sentence) []Piece { return s.Short(l) }, func(s Sentence) []Piece { return s.Bare(l) },
			} {
				a, b := form(want[i]), form(got[i])
				x, y := strings.Join(ours(a), "|"), strings.Join(ours(b), "|")
				x, y = strings.ReplaceAll(x, plain.Sum, ""), strings.ReplaceAll(y, value.Sum, "")
				if value.Sum == "" && len([]rune(text)) <= maxShort && x != y {
					t.Errorf("%q changes our words\n got %q\nwant %q", text, y, x)
				}
				line := Plain(b)
				if n, q := strings.Count(line, "“"), strings.Count(line, "”"); n != q || n != count(b) || strings.ContainsAny(line, "\n\u202e\x01\x02") {
					t.Errorf("%q breaks its quotes: %s", text, line)
				}
				if m := Message(b); strings.Count(m, "“") != count(b) || strings.ContainsAny(m, "<>@*`\n\u202e") {
					t.Errorf("%q does more than text in a message: %s", text, m)
				}
			}
		}
	}
}

func count(pieces []Piece) (n int) {
	for _, p := range pieces {
		if p.Quoted {
			n++
		}
	}
	return n
}

func TestHostileValues(t *testing.T) {
	for _, text := range hostile {
		for _, kind := range []Kind{Text, Number, Money, Date, Bool} {
			checkOurs(t, text, kind, "EUR")
		}
	}
}

func FuzzOurs(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, "money", "EUR")
	}
	f.Add("12.50", "money", "usd")
	f.Add("2026-12-01T00:00:00+02:00", "date", "")
	f.Fuzz(func(t *testing.T, text, kind, unit string) {
		if kept, err := json.Marshal(text); err != nil || json.Unmarshal(kept, &text) != nil { // as a stored hold has it
			return
		}
		checkOurs(t, text, Kind(kind), unit)
	})
}

// Two long values that begin and end alike are told apart, on pages and in messages.
func TestCut(t *testing.T) {
	a, b := strings.Repeat("a", 50)+"1"+strings.Repeat("z", 50), strings.Repeat("a", 50)+"2"+strings.Repeat("z", 50)
	for _, form := range []func(Sentence) []Piece{
		func(s Sentence) []Piece { return s.Say(words.Language{}) }, func(s Sentence) []Piece { return s.Short(words.Language{}) },
	} {
		said := func(text string) string {
			v := NewText(text, Agent)
			return Message(form(Sentence{Verb: Delete, Things: []Thing{{Noun: "pet", ID: &v}}}))
		}
		if x, y := said(a), said(b); x == y || len([]rune(x)) > 160 || !strings.Contains(x, "101 characters") {
			t.Errorf("%s\n%s", x, y)
		}
	}
}

// A message without details holds nothing of the arguments or of what was read.
func TestBare(t *testing.T) {
	for _, s := range sentences(NewText("hunter2", Agent)) {
		s.Named = "Pay"
		if text := Message(s.Bare(words.Language{})); strings.Contains(text, "hunter2") || text == "" {
			t.Errorf("%s: %s", s.Verb, text)
		}
	}
}

func TestMinor(t *testing.T) {
	for _, c := range [][3]string{{"912000", "EUR", "9120.00"}, {"5", "usd", "0.05"}, {"-5", "EUR", "-0.05"}, {"500", "JPY", "500"}, {"1234", "KWD", "1.234"}, {"1.5", "EUR", ""}, {"x", "EUR", ""}, {"5", "XQQ", ""}} {
		if got, ok := FromMinor(c[0], c[1]); got != c[2] || ok != (c[2] != "") {
			t.Errorf("%s %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}
