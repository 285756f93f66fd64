package inbox

import (
	"html/template"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template/parse"

	"github.com/exeat/exeat/authz/words"
)

// untold are templates whose texts are not in the catalogues yet. The list only gets
// shorter.
var untold = []string{"before.html", "client.html", "client_refused.html", "connect.html", "connect_go.html",
	"connected.html", "list.html", "passkeys.html", "push.html", "sessions.html", "several.html"}

var (
	markup   = regexp.MustCompile(`(?s)<[^<>]*>`)
	entity   = regexp.MustCompile(`&[a-z]+;`)
	wordy    = regexp.MustCompile(`\pL{2,}`)
	spokenIn = regexp.MustCompile(` (?:alt|title|aria-label|placeholder)="[^"]*\pL`)
)

// Every text of a template is in the catalogues.
func TestTextsOfTemplates(t *testing.T) {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, name := range names {
		whole, err := template.New("").Funcs(functions(words.Language{})).ParseFS(files, name)
		if err != nil {
			t.Fatal(err)
		}
		literal, found := "", 0
		for _, one := range whole.Templates() {
			if one.Tree == nil {
				continue
			}
			walk(one.Tree.Root, func(n parse.Node) {
				switch n := n.(type) {
				case *parse.TextNode:
					literal += string(n.Text)
				case *parse.CommandNode:
					if key := keyOf(n); key != "" {
						if found++; !words.Known(key) {
							t.Errorf("%s: %q is in no catalogue", name, key)
						}
					}
				}
			})
			literal += "\n"
		}
		keys += found
		if slices.Contains(untold, path.Base(name)) {
			continue
		}
		if spoken := spokenIn.FindString(literal); spoken != "" {
			t.Errorf("%s: %q is a text outside of the catalogues", name, spoken)
		}
		for line := range strings.SplitSeq(markup.ReplaceAllString(literal, "\n"), "\n") {
			if line = entity.ReplaceAllString(line, ""); wordy.MatchString(line) && strings.Trim(line, " ·") != "exeat" {
				t.Errorf("%s: %q is a text outside of the catalogues", name, line)
			}
		}
	}
	if keys < 100 {
		t.Errorf("only %d texts found", keys)
	}
}

// keyOf is the text that a template says with t, if that is what it does.
func keyOf(c *parse.CommandNode) string {
	if len(c.Args) < 2 {
		return ""
	}
	if f, ok := c.Args[0].(*parse.IdentifierNode); !ok || f.Ident != "t" {
		return ""
	}
	if s, ok := c.Args[1].(*parse.StringNode); ok {
		return s.Text
	}
	return ""
}

// walk calls f for each node of a template.
func walk(n parse.Node, f func(parse.Node)) {
	f(n)
	branch := func(b *parse.BranchNode) {
		walk(b.Pipe, f)
		walk(b.List, f)
		if b.ElseList != nil {
			walk(b.ElseList, f)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, c := range n.Nodes {
			walk(c, f)
		}
	case *parse.ActionNode:
		walk(n.Pipe, f)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			walk(n.Pipe, f)
		}
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			walk(c, f)
		}
	case *parse.CommandNode:
		for _, a := range n.Args {
			walk(a, f)
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	}
}

// A page is in the language that the browser prefers, or that its person chose.
func TestLanguage(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k"))
	says := func(want, lang string, headers ...string) {
		t.Helper()
		a := s.get("/h/"+h.ID, headers...)
		if !strings.Contains(a.body, want) || !strings.Contains(a.body, `<html lang="`+lang+`" dir="ltr">`) || a.header.Get("Content-Language") != lang {
			t.Errorf("%v: the page does not say %q in %s", headers, want, lang)
		}
	}
	says("Not sent yet.", "en")
	says("Noch nicht gesendet.", "de", "Accept-Language: de-CH, en;q=0.5")
	says("Pas encore envoyé.", "fr", "Accept-Language: fr")
	says("Aún no enviado.", "es", "Accept-Language: es-MX")
	a := s.post("/language", url.Values{"csrf": {s.csrf}, "language": {"fr"}})
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	if a.status != 303 || !strings.HasSuffix(cookie, "=fr") {
		t.Fatalf("%d %q", a.status, cookie)
	}
	says("Pas encore envoyé.", "fr", "Accept-Language: de", "Cookie: "+s.cookie+"; "+cookie)
	says("Noch nicht gesendet.", "de", "Accept-Language: de", "Cookie: "+s.cookie+"; "+strings.TrimSuffix(cookie, "fr")+"x<script>")
	s.want(s.post("/language", url.Values{"csrf": {s.csrf}, "language": {"xx"}}), 400, "not complete")
	s.want(s.post("/language", url.Values{"language": {"fr"}}), 403, "not from this login")
}

// What is answered where something cannot be done is in the catalogues.
func TestTextsOfFailures(t *testing.T) {
	for _, f := range failures {
		if !words.Known(f.text) {
			t.Errorf("%q is in no catalogue", f.text)
		}
	}
}
