package plaintext

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
)

// Name is a principal as people say it.
func Name(subject string) string { return strings.TrimPrefix(subject, "User::") }

// Left is the time until t.
func Left(t, now time.Time) string { return Duration(t.Sub(now)) }

// Duration is a duration for people, rounded down.
func Duration(d time.Duration) string {
	switch {
	case d <= 0:
		return "no time"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

// Spell is text as visible shows it, for places that hold no elements.
func Spell(s string) string {
	var b strings.Builder
	for _, p := range Pieces(s) {
		b.WriteString(p.Text)
	}
	return b.String()
}

// Clean makes text of others plain in every channel: nothing in it becomes a
// link, a mention, a command, an emoji or markup, hides, or moves other text.
func Clean(s string, most int) string {
	var out []rune
	pieces := Pieces(s)
	for _, p := range pieces {
		if p.Kind == lineBreak || p.Kind == codeText {
			out = append(out, ' ')
			continue
		}
		for _, r := range p.Text {
			out = append(out, plainRune(r))
		}
		if len(out) > 4*most {
			break
		}
	}
	for i, r := range out {
		inside := wordy(out, i-1) && wordy(out, i+1)
		ends := wordy(out, i-1) && (i+1 == len(out) || out[i+1] == ' ')
		switch r {
		case '.', ':': // inside a word they make a host, a scheme or an emoji
			if inside {
				out[i] = '·'
			} else if !ends {
				out[i] = ' '
			}
		case '/', '_': // before a word they make a command or markup
			if !inside {
				out[i] = ' '
			}
		}
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	text = strings.TrimLeft(text, "-· ") // no list, no rule
	return Shorten(text, most)
}

// Shorten cuts a text to at most so many characters.
func Shorten(text string, most int) string {
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	return text
}

// plainRune is r, or a stand-in where a channel or a reader would take it for
// something else.
func plainRune(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" -,'?;/_.:{}%", r) {
			return r
		}
		return ' '
	case !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r):
		return ' '
	}
	switch p, _ := bidi.LookupRune(r); p.Class() {
	case bidi.R, bidi.AL, bidi.AN:
		return '?'
	}
	return r
}

func wordy(s []rune, i int) bool {
	return 0 <= i && i < len(s) && (unicode.IsLetter(s[i]) || unicode.IsDigit(s[i]) || s[i] == '{' || s[i] == '}')
}
