package phrase

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/authz/words"
)

// Piece is a part of a sentence in a language, and who wrote it. Quoted says that it is
// text of others as it came, which stands in quotes wherever it does not stand out.
type Piece struct {
	Text   string `json:"text"`
	From   Source `json:"from"`
	Quoted bool   `json:"quoted,omitempty"`
}

// Say is the sentence in a language.
func (s Sentence) Say(l words.Language) []Piece { return merge(s.pieces(l)) }

// Short is the sentence for messages: long values are cut further, facts left out.
func (s Sentence) Short(l words.Language) []Piece {
	things := make([]Thing, len(s.Things))
	for i, t := range s.Things {
		things[i] = Thing{Noun: t.Noun, ID: shortened(t.ID), Title: shortened(t.Title)}
	}
	s.Things, s.Was, s.Is = things, shortened(s.Was), shortened(s.Is)
	if s.File != nil {
		s.File = &File{Name: shortened(s.File.Name), Type: s.File.Type, Size: s.File.Size}
	}
	values := map[string]Value{}
	for name, v := range s.Values {
		values[name] = v.shorten()
	}
	s.Values = values
	return merge(s.pieces(l))
}

func shortened(v *Value) *Value {
	if v == nil {
		return nil
	}
	short := v.shorten()
	return &short
}

// Bare is the sentence without any value: what the document alone says of the call.
func (s Sentence) Bare(l words.Language) []Piece {
	var things []Thing
	for _, t := range s.Things {
		if t.Noun != "" {
			things = append(things, Thing{Noun: t.Noun})
		}
	}
	s.Things, s.Own, s.Values, s.Was, s.Is = things, nil, nil, nil, nil
	if s.File != nil {
		s.File = &File{Size: s.File.Size, Type: s.File.Type}
	}
	if s.Verb == Change { // which members they are may be the agent's own choice
		s.Field, s.Fields, s.Dropped, s.Nothing = "", nil, 0, false
	}
	return merge(s.pieces(l))
}

func (s Sentence) pieces(l words.Language) []Piece {
	if own := s.own(l); own != nil {
		return own
	}
	things := sayThings(l, s.Things)
	switch s.Verb {
	case Read:
		return say(l, "Read %s", things)
	case Create:
		return say(l, "Create %s", things)
	case Set:
		return say(l, "Set %s", things)
	case Delete:
		return say(l, "Delete %s", things)
	case Upload:
		if s.File != nil {
			return say(l, "Upload %s to %s", s.File.say(l), things)
		}
	case Change:
		return s.change(l, things)
	}
	if named := (Piece{s.Named, Document, true}); len(s.Things) > 0 {
		return say(l, "Run %s on %s", []Piece{named}, things)
	} else {
		return say(l, "Run %s", []Piece{named})
	}
}

// change says what members become.
func (s Sentence) change(l words.Language, things []Piece) (out []Piece) {
	field := []Piece{{s.Field, Document, true}}
	switch {
	case s.Nothing:
		return say(l, "Change nothing of %s", things)
	case s.Field == "" && len(s.Fields) == 0:
		out = say(l, "Change %s", things)
	case s.Field == "":
		out = say(l, "Change %s of %s", listFields(l, s.Fields), things)
	case s.Is == nil && s.Was == nil:
		out = say(l, "Change %s of %s", field, things)
	case s.Is == nil:
		out = say(l, "Remove %s from %s, which is %s", field, things, s.Was.say(l))
	case s.Was == nil:
		out = say(l, "Set %s of %s to %s", field, things, s.Is.say(l))
	default:
		out = say(l, "Change %s of %s from %s to %s", field, things, s.Was.say(l), s.Is.say(l))
	}
	if s.Field != "" && len(s.Fields) > 0 {
		out = say(l, "%s; and change %s", out, listFields(l, s.Fields))
	}
	if s.Dropped > 0 {
		out = say(l, "%s; %d fields are left out", out, s.Dropped)
	}
	return out
}

// maxFields is how many members are named; the others are counted.
const maxFields = 4

func listFields(l words.Language, names []string) (out []Piece) {
	for i, n := range names[:min(len(names), maxFields)] {
		if i > 0 {
			out = append(out, Piece{", ", Ours, false})
		}
		v := cut(Value{Text: n}, n, maxShort)
		out = append(out, Piece{join(v), Document, true})
	}
	if more := len(names) - maxFields; more > 0 {
		out = say(l, "%s and %d more", out, more)
	}
	return out
}

// sayThings says what is in what.
func sayThings(l words.Language, things []Thing) (out []Piece) {
	for _, x := range things { // the outermost first
		if t := x.say(l); out == nil {
			out = t
		} else {
			out = say(l, "%s in %s", t, out)
		}
	}
	return out
}

func (t Thing) say(l words.Language) (out []Piece) {
	space := func() {
		if len(out) > 0 {
			out = append(out, Piece{" ", Ours, false})
		}
	}
	if t.Noun != "" {
		out = append(out, Piece{t.Noun, Document, !isWord(t.Noun)})
	}
	for _, v := range []*Value{t.ID, t.Title} {
		if v != nil {
			space()
			out = append(out, v.say(l)...)
		}
	}
	for i, v := range t.Facts {
		before := ", "
		if i == 0 {
			before = " ("
		}
		out = append(append(out, Piece{before, Ours, false}), v.say(l)...)
	}
	if len(t.Facts) > 0 {
		out = append(out, Piece{")", Ours, false})
	}
	return out
}

// isWord reports whether a noun is one plain word: others stand in quotes.
func isWord(s string) bool {
	for _, r := range s {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-') {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

func (f File) say(l words.Language) []Piece {
	name := []Piece{{l.Say("a file"), Ours, false}}
	if f.Name != nil {
		name = f.Name.say(l)
	}
	size := l.Bytes(f.Size)
	if f.Type == "" {
		return say(l, "%s (%s)", name, []Piece{{size, Ours, false}})
	}
	return say(l, "%s (%s, %s)", name, []Piece{{f.Type, Ours, false}}, []Piece{{size, Ours, false}})
}

func (v Value) say(l words.Language) (out []Piece) {
	switch text, ok := v.format(l); {
	case v.Kind == Null:
		out = []Piece{{l.Say("nothing"), v.From, false}}
	case ok:
		out = []Piece{{text, v.From, false}}
	default:
		out = []Piece{{join(v), v.From, true}}
		if v.Sum != "" {
			out = append(out, Piece{" " + l.Say("(%d characters, #%s)", v.Size, v.Sum), Ours, false})
		}
	}
	if v.Title != "" {
		out = say(l, "%s (%s)", out, []Piece{{v.Title, Document, true}})
	}
	return out
}

func join(v Value) string {
	if v.Sum == "" {
		return v.Text
	}
	return v.Text + "…" + v.Tail
}

// own is the document's own sentence, if it has one.
func (s Sentence) own(l words.Language) (out []Piece) {
	text := s.Own[l.Tag()]
	if text == "" {
		text = s.Own[""]
	}
	for text != "" {
		before, rest, open := strings.Cut(text, "{")
		if before != "" {
			out = append(out, Piece{before, Document, false})
		}
		name, after, closed := strings.Cut(rest, "}")
		if !open {
			break
		}
		v, ok := s.Values[name]
		if !closed || !ok {
			return nil
		}
		out, text = append(out, v.say(l)...), after
	}
	return out
}

// say is a text of the catalogues with pieces, or numbers, in its places.
func say(l words.Language, key string, args ...any) (out []Piece) {
	places := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case int:
			places[i] = a
		default: // no catalogue has control characters
			places[i] = "\x01" + strconv.Itoa(i) + "\x02"
		}
	}
	text := l.Say(key, places...)
	for text != "" {
		before, rest, found := strings.Cut(text, "\x01")
		if before != "" {
			out = append(out, Piece{before, Ours, false})
		}
		if !found {
			break
		}
		number, after, _ := strings.Cut(rest, "\x02")
		i, err := strconv.Atoi(number)
		if err != nil || i >= len(args) {
			panic(fmt.Sprintf("phrase: %q has no place %q", key, number))
		}
		out, text = append(out, args[i].([]Piece)...), after
	}
	return out
}

// merge joins neighbours of one kind, and leaves out what is empty and ours.
func merge(list []Piece) (out []Piece) {
	for _, p := range list {
		n := len(out) - 1
		switch {
		case p.Text == "" && !p.Quoted:
		case n >= 0 && !p.Quoted && !out[n].Quoted && out[n].From == p.From:
			out[n].Text += p.Text
		default:
			out = append(out, p)
		}
	}
	return out
}

// Plain is a sentence as one line of text, for terminals and lists: texts of others
// stand in quotes that nothing in them can close, and what deceives is spelt out.
func Plain(pieces []Piece) string {
	spell := func(s string) string { return unquote.Replace(plaintext.Spell(s)) }
	return line(pieces, spell, func(s string) string { return spaced(s, spell(s)) })
}

// Message is a sentence for chats and mail, whose texts of others are cleaned, too.
func Message(pieces []Piece) string {
	clean := func(s string) string { return plaintext.Clean(s, 3*MaxText) }
	return line(pieces, clean, func(s string) string { return s })
}

// line writes pieces one after the other; ours are our own words, and what we wrote from
// digits.
func line(pieces []Piece, show, ours func(string) string) string {
	var b strings.Builder
	for _, p := range pieces {
		switch {
		case p.Quoted:
			b.WriteString("“" + show(p.Text) + "”")
		case p.From == Document:
			b.WriteString(spaced(p.Text, show(p.Text)))
		default:
			b.WriteString(ours(p.Text))
		}
	}
	return b.String()
}

// spaced keeps the spaces at the ends of words between values.
func spaced(was, is string) string {
	if strings.TrimSpace(was) == "" {
		return was
	}
	is = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(is, spelt), spelt))
	if strings.HasPrefix(was, " ") {
		is = " " + is
	}
	if strings.HasSuffix(was, " ") {
		is += " "
	}
	return is
}

const spelt = "⟨U+0020⟩"

var unquote = strings.NewReplacer("“", "⟨U+201C⟩", "”", "⟨U+201D⟩", "„", "⟨U+201E⟩", "«", "⟨U+00AB⟩", "»", "⟨U+00BB⟩")
