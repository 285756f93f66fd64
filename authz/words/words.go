// Package words holds every text that exeat itself says to people on pages and in
// messages, in each language.
//
// The texts stand in the files of texts/, side by side, as paragraphs: a line for
// each language, which begins with its tag. The English line is the key that pages
// and programs say. A tag with ".one" is the form for one thing, where the first %d
// counts; the line without is for any other number. A test fails where a language
// has no line, or other placeholders.
package words

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
)

//go:embed texts
var files embed.FS

// Language is one of the languages that there are texts in. The zero value is English.
type Language struct{ index int }

// tags are the languages, English first: it is what is shown where nothing is asked for.
var tags = []language.Tag{language.English, language.German, language.French, language.Spanish}

var names = []string{"English", "Deutsch", "Français", "Español"}

var matcher = language.NewMatcher(tags)

// Languages are all of them.
func Languages() (all []Language) {
	for i := range tags {
		all = append(all, Language{i})
	}
	return all
}

// Tag is the language's name for programs (BCP 47), Name its own for people, and Dir the
// direction that it is written in, for HTML.
func (l Language) Tag() string  { return tags[l.index].String() }
func (l Language) Name() string { return names[l.index] }
func (l Language) Dir() string  { return "ltr" }

// Choose is the language of a person who chose one by its tag, or else of their
// Accept-Language header (RFC 9110 §12.5.4).
func Choose(chosen, accept string) Language {
	for i, t := range tags {
		if t.String() == chosen {
			return Language{i}
		}
	}
	if len(accept) > 1000 {
		return Language{}
	}
	_, i := language.MatchStrings(matcher, accept)
	return Language{i}
}

// Text is something to say, before it is known in which language.
type Text struct {
	Key  string // the English text, a format
	Args []any  // strings, numbers, durations and other texts
}

// T is a text to say.
func T(key string, args ...any) Text { return Text{key, args} }

// String is the text in English, for terminals and logs.
func (t Text) String() string { return t.In(Language{}) }

// In is the text in a language.
func (t Text) In(l Language) string {
	if t.Key == "" {
		return ""
	}
	return l.Say(t.Key, t.Args...)
}

// Say is a text in the language, with its placeholders filled in. What is in no
// catalogue is no format: it comes back as it is.
func (l Language) Say(key string, args ...any) string {
	b := book()
	if !b.keys[key] {
		return key
	}
	said := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case Text:
			said[i] = a.In(l)
		case time.Duration:
			said[i] = l.Duration(a)
		default:
			said[i] = a
		}
	}
	return b.printers[l.index].Sprintf(key, said...)
}

// Known reports whether there is a text of that key.
func Known(key string) bool { return book().keys[key] }

// Duration is a duration for people, rounded down.
func (l Language) Duration(d time.Duration) string {
	switch {
	case d <= 0:
		return l.Say("no time")
	case d < 2*time.Minute:
		return l.Say("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return l.Say("%d min", int(d.Minutes()))
	}
	return l.Say("%d h", int(d.Hours()))
}

// Time is a time for people, in the zone that t has.
func (l Language) Time(t time.Time) string {
	month := strings.Fields(l.Say("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"))[t.Month()-1]
	return strings.Replace(t.Format(l.Say("2 #MONTH# 2006, 15:04:05 MST")), "#MONTH#", month, 1)
}

// texts are all texts, ready to be said.
type texts struct {
	keys     map[string]bool
	printers []*message.Printer
}

// book reads the catalogues, once they are needed.
var book = sync.OnceValue(func() texts {
	b := texts{keys: map[string]bool{}}
	all := catalog.NewBuilder(catalog.Fallback(tags[0]))
	for _, e := range entries() {
		b.keys[e.key()] = true
		for i, tag := range tags {
			if err := e.enter(all, i); err != nil {
				panic(fmt.Sprintf("words: %q in %s: %v", e.key(), tag, err))
			}
		}
	}
	for _, tag := range tags {
		b.printers = append(b.printers, message.NewPrinter(tag, message.Catalog(all)))
	}
	return b
})

// entry is one text in each language, by tag.
type entry map[string]string

func (e entry) key() string { return e[tags[0].String()] }

// enter puts one language's text into a catalogue.
func (e entry) enter(all *catalog.Builder, i int) error {
	tag := tags[i].String()
	one, ok := e[tag+".one"]
	if !ok {
		return all.SetString(tags[i], e.key(), e[tag])
	}
	counted := 1
	for j, verb := range placeholders(e.key()) {
		if verb == 'd' {
			counted = j + 1
			break
		}
	}
	return all.Set(tags[i], e.key(), plural.Selectf(counted, "%d", plural.One, one, plural.Other, e[tag]))
}

// placeholders are the verbs of a format, in the order of its arguments.
func placeholders(format string) (verbs []byte) {
	at := 0
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		if i < len(format) && format[i] == '%' {
			continue
		}
		if i+2 < len(format) && format[i] == '[' && format[i+2] == ']' {
			at = int(format[i+1] - '1')
			i += 3
		}
		for len(verbs) <= at {
			verbs = append(verbs, 0)
		}
		if i < len(format) && at >= 0 {
			verbs[at] = format[i]
		}
		at++
	}
	return verbs
}

// entries reads the files.
func entries() (all []entry) {
	list, err := fs.Glob(files, "texts/*.txt")
	if err != nil {
		panic(err)
	}
	for _, name := range list {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err)
		}
		for paragraph := range strings.SplitSeq(string(text), "\n\n") {
			e := entry{}
			for line := range strings.SplitSeq(paragraph, "\n") {
				if tag, said, ok := strings.Cut(line, " "); ok && tag != "#" {
					e[tag] = said
				}
			}
			if len(e) > 0 {
				all = append(all, e)
			}
		}
	}
	return all
}

// Marks are what the language writes between thousands and before decimals.
func (l Language) Marks() (thousands, point string) {
	switch l.Tag() {
	case "de", "es":
		return ".", ","
	case "fr":
		return " ", ","
	}
	return ",", "."
}

// Date is a day for people.
func (l Language) Date(t time.Time) string {
	at := l.Time(t)
	day, _, _ := strings.Cut(at, ",")
	return day
}

// Bytes is a size for people, in units of a thousand.
func (l Language) Bytes(n int) string {
	_, point := l.Marks()
	switch {
	case n < 1000:
		return l.Say("%d bytes", n)
	case n < 1_000_000:
		return strings.Replace(fmt.Sprintf("%.3g kB", float64(n)/1000), ".", point, 1)
	}
	return strings.Replace(fmt.Sprintf("%.3g MB", float64(n)/1_000_000), ".", point, 1)
}
