package inbox

import (
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/exeat/exeat/authz/phrase"
	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/authz/words"
)

// parsed are the templates, for one language each when it is first needed.
var parsed = func() map[words.Language]func() *template.Template {
	all := map[words.Language]func() *template.Template{}
	for _, l := range words.Languages() {
		all[l] = sync.OnceValue(func() *template.Template { return parsePages(l) })
	}
	return all
}()

func pagesIn(l words.Language) *template.Template { return parsed[l]() }

func parsePages(l words.Language) *template.Template {
	return template.Must(template.New("").Funcs(functions(l)).ParseFS(files, "templates/*.html"))
}

// functions are what templates call.
func functions(l words.Language) template.FuncMap {
	all := diffFuncs(l)
	maps.Copy(all, template.FuncMap{
		"t":    func(key any, args ...any) template.HTML { return sayHTML(l, key, args) },
		"text": func(s string) template.HTML { return textHTML(l, s) }, "strong": func(s string) template.HTML { return "<strong>" + textHTML(l, s) + "</strong>" },
		"sentence": func(v HoldView) template.HTML { return sentenceHTML(l, v) },
		"link":     linkHTML, "mono": func(s string) template.HTML { return `<span class="mono">` + textHTML(l, s) + "</span>" },
		"example": exampleHTML, "counting": func(d time.Duration) template.HTML { return countingHTML(l, d) },
		"stamp": func(t time.Time) template.HTML { return timeHTML(l, t) }, "lasts": l.Duration, "size": func(s string) string { return size(l, s) },
		"short": short, "lang": l.Tag, "dir": l.Dir, "languages": words.Languages,
		"ago":   func(t time.Time, d time.Duration) template.HTML { return agoHTML(l, t, d) },
		"lines": linesOf, "spelt": plaintext.Spell, "key": key, "group": group, "name": plaintext.Name,
	})
	return all
}

// sayHTML is a text of the catalogues in a language. Arguments are shown as text of
// others is, unless they are numbers, times or HTML that was made here. A key that is
// in no catalogue is shown like text of others: it may be some.
func sayHTML(l words.Language, key any, args []any) template.HTML {
	if text, ok := key.(words.Text); ok {
		key, args = text.Key, text.Args
	}
	said := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case template.HTML, int, int64, float64:
			said[i] = a
		case words.Text:
			said[i] = sayHTML(l, a, nil)
		case time.Duration:
			said[i] = template.HTML(template.HTMLEscapeString(l.Duration(a)))
		default:
			said[i] = textHTML(l, fmt.Sprint(a))
		}
	}
	name := fmt.Sprint(key)
	switch {
	case name == "":
		return ""
	case !words.Known(name):
		return textHTML(l, name)
	}
	return template.HTML(l.Say(name, said...)) // a test keeps markup out of the catalogues
}

// textHTML is text of others: what deceives is spelt out, and nothing in it is markup.
func textHTML(l words.Language, s string) template.HTML {
	if s == "" {
		return template.HTML(`<span class="code">` + l.Say("empty") + `</span>`)
	}
	var b strings.Builder
	piecesHTML(&b, plaintext.Pieces(s))
	return template.HTML(b.String())
}

// sentenceHTML is what a call does and to what. Values stand apart from our own words, and
// say who wrote them.
func sentenceHTML(l words.Language, v HoldView) template.HTML {
	if v.Phrase.Verb == "" {
		return textHTML(l, v.Summary)
	}
	var b strings.Builder
	for _, p := range v.Phrase.Say(l) {
		switch {
		case p.From == phrase.Ours:
			b.WriteString(template.HTMLEscapeString(p.Text))
		case p.Quoted, p.From != phrase.Document:
			b.WriteString(`<b class="said` + saidBy[p.From] + `">` + string(textHTML(l, p.Text)) + `</b>`)
		default:
			b.WriteString(wordsHTML(l, p.Text))
		}
	}
	return template.HTML(b.String())
}

// saidBy are classes of values by who wrote them.
var saidBy = map[phrase.Source]string{phrase.Agent: " agent", phrase.API: " api", phrase.Document: " document"}

// wordsHTML are words of the document between values, with the spaces at their ends.
func wordsHTML(l words.Language, s string) string {
	inner := strings.Trim(s, " ")
	if inner == "" {
		return s
	}
	i := strings.Index(s, inner)
	return s[:i] + string(textHTML(l, inner)) + s[i+len(inner):]
}

// linkHTML is a link to one of our own pages, for use within a text.
func linkHTML(path string, said template.HTML) template.HTML {
	return template.HTML(`<a href="` + template.HTMLEscapeString(path) + `">` + string(said) + `</a>`)
}

// exampleHTML shows how something is spelt out.
func exampleHTML(s string) template.HTML {
	return template.HTML(`<span class="code">` + template.HTMLEscapeString(s) + `</span>`)
}

// countingHTML is what is left of a time, which page.js counts down.
func countingHTML(l words.Language, d time.Duration) template.HTML {
	return template.HTML(`<b data-left="` + strconv.Itoa(max(0, int(d.Seconds()))) + `">` + template.HTMLEscapeString(l.Duration(d)) + `</b>`)
}

// timeHTML is a time in the zone of the machine that the inbox runs on. page.js
// writes it in the zone of who looks.
func timeHTML(l words.Language, t time.Time) template.HTML {
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `" title="` + template.HTMLEscapeString(l.Time(t.UTC())) + `">` +
		template.HTMLEscapeString(l.Time(t.Local())) + `</time>`)
}

// agoHTML is how long ago a time was, with the time itself under the pointer.
func agoHTML(l words.Language, t time.Time, d time.Duration) template.HTML {
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `" title="` + template.HTMLEscapeString(l.Time(t.UTC())) + `">` +
		template.HTMLEscapeString(l.Say("%s ago", max(d, time.Second))) + `</time>`)
}

// short reports whether a value needs no box of its own.
func short(s string) bool { return len(s) <= 60 && !strings.Contains(s, "\n") }

// size says how long a text is, if it is so long that it scrolls.
func size(l words.Language, s string) string {
	if n := len([]rune(s)); n > 1000 {
		return l.Say("%d characters; scroll to read all of it", n)
	}
	return ""
}

// language is the language of who sends a request: what they chose in this browser, or
// else what the browser prefers.
func (in *Inbox) language(r *http.Request) words.Language {
	chosen := ""
	if cookies := r.CookiesNamed(in.cookieFor("exeat_language")); len(cookies) == 1 {
		chosen = cookies[0].Value
	}
	return words.Choose(chosen, strings.Join(r.Header.Values("Accept-Language"), ","))
}

// languageAge is how long a browser keeps the language that was chosen in it.
const languageAge = 400 * 24 * time.Hour

// chooseLanguage keeps the language that somebody chooses; "" is the browser's again.
func (in *Inbox) chooseLanguage(w http.ResponseWriter, r *http.Request, _ session) error {
	chosen := r.PostForm.Get("language")
	if chosen != "" && !slices.ContainsFunc(words.Languages(), func(l words.Language) bool { return l.Tag() == chosen }) {
		return errRequest
	}
	age := int(languageAge.Seconds())
	if chosen == "" {
		age = -1
	}
	in.setNamed(w, in.cookieFor("exeat_language"), chosen, age)
	http.Redirect(w, r, backTo(r.PostForm.Get("back")), http.StatusSeeOther)
	return nil
}
