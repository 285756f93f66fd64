package inbox

import (
	"html/template"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/exeat/exeat/authz/compare"
	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/authz/words"
)

// Reasons why a person has to look at more before they approve a call, beside those of
// every page.
const (
	seeRefused = "refused" // the API will refuse it, as things stand
	seeFiles   = "files"   // a file is not what it is claimed to be, or can be run
)

// finish makes the lines of a view in which nothing has to be hidden any more, and says
// what has to be seen.
func (v *HoldView) finish() {
	if b := v.Before; b != nil {
		b.finish(v.Args, v.Files)
		if b.Refused != "" {
			v.MustSee = append(v.MustSee, seeRefused)
		}
		shown := slices.Concat(b.Changes, b.Sent)
		if len(b.Changes) > firstLines || len(b.Sent) > firstLines || slices.ContainsFunc(shown, DiffLine.folds) {
			v.MustSee = append(v.MustSee, readFields)
		}
	}
	if slices.ContainsFunc(v.Files, func(f FileView) bool { return len(f.Warnings) > 0 }) {
		v.MustSee = append(v.MustSee, seeFiles)
	}
}

// Unknown says that the call changes something that nobody could read.
func (v HoldView) Unknown() bool {
	b := v.Before
	return b != nil && (v.Method == "PUT" || v.Method == "PATCH" || v.Method == "DELETE") &&
		len(b.Changes)+len(b.Same) == 0 && !b.Nothing && !b.Absent
}

// Long reports whether a value is folded.
func Long(s *string) bool {
	return s != nil && (utf8.RuneCountInString(*s) > longValue || strings.Count(*s, "\n") > 4)
}

// folds reports whether not all of what is new on a line is in sight.
func (line DiffLine) folds() bool {
	if line.Op == opRest {
		return true
	}
	if line.Words == nil {
		return line.Op != string(compare.Same) && Long(line.Was) || Long(line.Is)
	}
	return slices.ContainsFunc(line.Words, func(r compare.Run) bool { return r.Op != compare.Same && Long(&r.Text) })
}

// InFull reports whether a line has more to show than it does at first.
func (line DiffLine) InFull() bool {
	return line.Op != opRest && (Long(line.Was) || Long(line.Is))
}

// First and Folded are the lines that are in sight, and those that are not.
func firstOf(lines []DiffLine) []DiffLine  { return lines[:min(len(lines), firstLines)] }
func foldedOf(lines []DiffLine) []DiffLine { return lines[min(len(lines), firstLines):] }

// diffFuncs are what templates of differences use.
func diffFuncs(l words.Language) template.FuncMap {
	return template.FuncMap{
		"first": firstOf, "folded": foldedOf, "long": Long,
		"brief": func(s *string) template.HTML { return shortHTML(l, *s) },
		"runs":  func(runs []compare.Run) template.HTML { return runsHTML(l, runs) },
		"chars": func(s *string) int { return utf8.RuneCountInString(*s) },
		"looks": func(list []string) bool { return slices.Contains(list, readFields) },
		"warns": func(list []string) bool { return slices.Contains(list, seeFiles) },
		"deep":  func(n int) int { return min(n, 6) },
	}
}

// piecesHTML is textHTML of text that is in pieces.
func piecesHTML(b *strings.Builder, pieces []plaintext.Piece) {
	for _, p := range pieces {
		switch text := template.HTMLEscapeString(p.Text); p.Kind {
		case "plain":
			b.WriteString(text)
		case "other":
			b.WriteString(`<bdi class="other">` + text + `</bdi>`)
		case "break":
			b.WriteString(`<span class="code">` + text + `</span><br>`)
		default:
			b.WriteString(`<span class="code">` + text + `</span>`)
		}
	}
}

// clip is where the first n characters of a text, or its first lines, end.
func clip(s string, n int) int {
	breaks := 0
	for i, r := range s {
		if r == '\n' {
			breaks++
		}
		if n--; n < 0 || breaks > 4 {
			return i
		}
	}
	return len(s)
}

// elided says how many characters are not in sight here.
func elided(l words.Language, s string) string {
	return `<span class="elided">` + template.HTMLEscapeString(l.Say("… %d characters …", utf8.RuneCountInString(s))) + `</span>`
}

// shortHTML is the beginning of a text, and how much more there is.
func shortHTML(l words.Language, s string) template.HTML {
	if !Long(&s) {
		return textHTML(l, s)
	}
	end := clip(s, longValue*3/4)
	var b strings.Builder
	piecesHTML(&b, plaintext.PiecesAt(s, []int{end})[0])
	return template.HTML(b.String() + " " + elided(l, s[end:]))
}

// maxStays is how much of what stays is shown on either side of a change, in characters.
const maxStays = 40

// runsHTML are the words of two texts: what goes and what comes, each marked, and as
// much of what stays as tells where that is.
func runsHTML(l words.Language, runs []compare.Run) template.HTML {
	var was, is strings.Builder
	var wasCuts, isCuts []int
	for _, r := range runs {
		if r.Op != compare.Added {
			was.WriteString(r.Text)
			wasCuts = append(wasCuts, was.Len())
		}
		if r.Op != compare.Removed {
			is.WriteString(r.Text)
			isCuts = append(isCuts, is.Len())
		}
	}
	gone, come := plaintext.PiecesAt(was.String(), wasCuts), plaintext.PiecesAt(is.String(), isCuts)
	var b strings.Builder
	for i, r := range runs {
		var pieces []plaintext.Piece
		if r.Op != compare.Added {
			pieces, gone = gone[0], gone[1:]
		}
		if r.Op != compare.Removed {
			pieces, come = come[0], come[1:]
		}
		switch {
		case r.Op == compare.Same:
			stays(l, &b, r.Text, pieces, i == 0, i == len(runs)-1)
		case r.Op == compare.Removed:
			mark(l, &b, "del", l.Say("removed:"), r.Text, pieces)
		default:
			mark(l, &b, "ins", l.Say("added:"), r.Text, pieces)
		}
	}
	return template.HTML(b.String())
}

// mark writes a run that goes or comes.
func mark(l words.Language, b *strings.Builder, tag, said, text string, pieces []plaintext.Piece) {
	b.WriteString("<" + tag + `><span class="hide">` + template.HTMLEscapeString(said) + " </span>")
	if Long(&text) {
		b.WriteString(string(shortHTML(l, text)))
	} else {
		piecesHTML(b, pieces)
	}
	b.WriteString("</" + tag + ">")
}

// stays writes a run that stays, or its ends if it is long.
func stays(l words.Language, b *strings.Builder, text string, pieces []plaintext.Piece, first, last bool) {
	if utf8.RuneCountInString(text) <= 3*maxStays {
		piecesHTML(b, pieces)
		return
	}
	head, tail := clip(text, maxStays), len(text)
	for range maxStays {
		_, size := utf8.DecodeLastRuneInString(text[:tail])
		tail -= size
	}
	if first {
		head = 0
	}
	if last {
		tail = len(text)
	}
	parts := plaintext.PiecesAt(text, []int{head, max(head, tail)})
	piecesHTML(b, parts[0])
	b.WriteString(" " + elided(l, text[head:max(head, tail)]) + " ")
	piecesHTML(b, parts[2])
}
