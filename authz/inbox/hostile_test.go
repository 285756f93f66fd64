package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/phrase"
	"github.com/exeat/exeat/store"
)

// payloads try to leave every place that a page puts text in: text, attributes
// with and without quotes, links, comments, scripts, styles, templates, headers.
var payloads = []string{
	`"><script src=/pwned></script>`, `'><img src=/pwned onerror=alert(1)>`, `</title><svg/onload=fetch('/pwned')>`, `javascript:fetch('/pwned')`,
	`--><iframe src=/pwned>`, `</textarea><form action=/pwned><button>`, `]]><style>@import '/pwned'</style>`, `{{.CSRF}}{{template "foot"}}`,
	"\" autofocus onfocus=fetch('/pwned') x=\"", "&lt;script&gt;&#60;img src=/pwned&#62;", "\r\nSet-Cookie: a=b\r\n\r\n<script>", `<meta http-equiv=refresh content="0;url=/pwned">`,
	"\u2028</p><base href=//evil.example/>", "<\x00script>", "\uff1cscript\uff1e",
}

// hostile is a call whose every text is an attack.
func hostile(dedupe, evil string) store.Hold {
	quoted, _ := json.Marshal(evil)
	h := call(alice, dedupe)
	h.Summary, h.API, h.Tool, h.Effect, h.Reason, h.Policies, h.PolicySet, h.Txn = evil, evil, evil, evil, evil, []string{evil}, evil, evil
	h.Agent = json.RawMessage(`{"id":` + string(quoted) + `,"verified":false}`)
	h.Session = json.RawMessage(`{"id":` + string(quoted) + `,"transport":` + string(quoted) + `}`)
	h.Says = evil
	h.Marks = []string{evil}
	h.Phrase, _ = json.Marshal(phrase.Sentence{Verb: phrase.Change, Field: evil, Fields: []string{evil}, Things: []phrase.Thing{{Noun: evil, ID: &phrase.Value{From: phrase.Agent, Text: evil},
		Title: &phrase.Value{From: phrase.API, Text: evil, Kind: phrase.Money, Unit: evil, Title: evil}}}, Is: &phrase.Value{From: phrase.Source(evil), Kind: phrase.Date, Text: evil}})
	h.Before = &store.Snapshot{Tool: evil, Digest: "x", Status: 200, Value: json.RawMessage(`{` + string(quoted) + `:` + string(quoted) + `}`), Hidden: []string{evil}}
	h.Args = json.RawMessage(`{` + string(quoted) + `:` + string(quoted) + `,"list":[[` + string(quoted) + `],{"deep":` + string(quoted) + `}]}`)
	h.Request = store.Request{Method: evil, Origin: "https://" + evil, Target: evil, Path: evil, ContentType: "text/plain" + evil,
		Header: map[string][]string{evil: {evil}}, Body: []byte(evil)}
	return h
}

// hostilePages are all pages on which foreign text can come to stand.
func hostilePages(s *site) map[string]answer {
	pages := map[string]answer{}
	for i, evil := range payloads {
		h := s.open(hostile(fmt.Sprint("k", i), evil))
		in := url.PathEscape(evil)
		form := s.form(h, "deny")
		form.Set("reason", evil)
		odd := url.Values{"csrf": {s.csrf}, "digest": {evil}, "verdict": {evil}}
		name := func(what string) string { return fmt.Sprintf("%s, payload %d", what, i) }
		pages[name("hold")] = s.get("/h/" + h.ID)
		pages[name("grant form")] = s.get("/h/" + h.ID + "/grant?kind=grant")
		pages[name("grant")] = s.get("/h/" + h.ID + "/grant?" + s.choice(h, approval.KindGrant).Encode())
		pages[name("odd grant")] = s.get("/h/" + h.ID + "/grant?kind=grant&reach=" + in + "&for=" + in + "&keep=" + in)
		pages[name("odd job")] = s.get("/h/" + h.ID + "/grant?kind=grant&job=1&tool=0&max=5&args=any&reach=any&for=1m&name=" + in + "&most=" + in)
		pages[name("handle")] = s.get("/h/" + in)
		pages[name("path")] = s.get("/" + in)
		pages[name("code")] = s.get("/login?code=" + url.QueryEscape(evil))
		pages[name("wrong code")] = s.post("/login", url.Values{"code": {evil}})
		pages[name("verdict")] = s.post("/h/"+h.ID, odd)
		pages[name("digest")] = s.post("/h/"+h.ID, url.Values{"csrf": {s.csrf}, "digest": {evil}, "verdict": {"deny"}, "reason": {evil}})
		pages[name("token")] = s.post("/h/"+h.ID, url.Values{"csrf": {evil}})
		pages[name("deny")] = s.post("/h/"+h.ID, form)
		pages[name("denied")] = s.get("/h/" + h.ID)
		if i > 2 {
			again := s.open(hostile(fmt.Sprint("again", i), evil)) // for the list
			s.open(hostile(fmt.Sprint("once more", i), evil))
			pages[name("several")] = s.get("/several?like=" + again.ID)
			pages[name("several, odd")] = s.post("/several", url.Values{"csrf": {s.csrf}, "verdict": {"deny"}, "hold": {evil, again.ID + " " + evil}})
		}
		altered := s.open(hostile(fmt.Sprint("altered", i), evil))
		s.SQL("UPDATE holds SET api = 'x' WHERE id = $1", altered.ID)
		pages[name("altered")] = s.get("/h/" + altered.ID)
	}
	pages["list"] = s.get("/")
	pages["activity"] = s.get("/activity")
	pages["permissions"] = s.get("/permissions")
	for i, evil := range payloads {
		in := url.PathEscape(evil)
		pages[fmt.Sprintf("activity, payload %d", i)] = s.get("/activity?since=" + in + "&decision=" + in + "&agent=" + in + "&tool=" + in + "&credential=" + in + "&q=" + in)
		pages[fmt.Sprintf("chain, payload %d", i)] = s.get("/activity/" + in)
	}
	return pages
}

// tag is one tag of a page; the check below is stricter than any browser: what
// it does not know is an error.
var (
	tag       = regexp.MustCompile(`<[^<>]*>?`)
	wellKnown = regexp.MustCompile(`^<(?:!doctype|!DOCTYPE|/?(?:html|head|del|ins|iframe|body|header|main|section|ul|time|small|path|table|tbody|tr|td|th|p|h1|h2|h3|strong|b|ol|li|form|article|blockquote|script|noscript|span|div|a|q|bdi|button|label|textarea|br|title|nav|select|option|thead|svg|rect|details|summary|fieldset|legend)|meta|link|input)$`)
	attribute = regexp.MustCompile(` ([a-zA-Z-]+)(?:="([^"<>]*)")?`)
	fine      = map[string]*regexp.Regexp{
		"class": regexp.MustCompile(`^[a-z ]*(deep[0-6])?$`), "charset": regexp.MustCompile(`^utf-8$`), "rel": regexp.MustCompile(`^(stylesheet|manifest|apple-touch-icon)$`), "role": regexp.MustCompile(`^(alert|status|img|search)$`),
		"href": regexp.MustCompile(`^#(decide|must-(warning|changed|fields|refused|files))$|^/(style\.css|app/manifest\.webmanifest|app/icon-192\.png|passkeys|sessions|push|permissions|settings|login/oidc\?(again=1&amp;)?back=%2F(activity|h%2Fhold_[a-z2-7]{26})?|several\?like=hold_[a-z2-7]{26}|h/hold_[a-z2-7]{26}(/grant\?kind=(grant(&amp;job=1)?|denial)|/body|/file/\d+)?|activity(/\w{1,64}|\?since=(1h|24h|7d)&amp;tool=[0-9a-f]{16})?)?$`), "action": regexp.MustCompile(`^/(language|activity|several|login|login/link|logout|h/hold_[a-z2-7]{26}(/grant)?|permissions/grant_[a-z2-7]{26}/revoke|agents/[0-9a-f]{16}/stop)$`),
		"method": regexp.MustCompile(`^(post|get)$`), "type": regexp.MustCompile(`^(hidden|radio|checkbox|search)$`), "checked": regexp.MustCompile(`^$`), "inputmode": regexp.MustCompile(`^numeric$`), "aria-label": regexp.MustCompile(`^the path$`), "scope": regexp.MustCompile(`^(row|col)$`), "tabindex": regexp.MustCompile(`^0$`),
		"src": regexp.MustCompile(`^/(live|page)\.js$|^/h/hold_[a-z2-7]{26}/file/\d+/picture$`), "download": regexp.MustCompile(`^$`), "sandbox": regexp.MustCompile(`^$`), "open": regexp.MustCompile(`^$`), "defer": regexp.MustCompile(`^$`), "hidden": regexp.MustCompile(`^$`), "data-live": regexp.MustCompile(`^/live\?auto=1(&amp;hold=hold_[a-z2-7]{26})?$`),
		"data-again": regexp.MustCompile(`^/(h/hold_[a-z2-7]{26})?\?auto=1$`), "data-key": regexp.MustCompile(`^[0-9a-f]{16}$`), "data-count": regexp.MustCompile(`^\d+$`), "data-state": regexp.MustCompile(`^[a-z]+$`),
		"http-equiv": regexp.MustCompile(`^refresh$`), "content": regexp.MustCompile(`^(15; url=/\?auto=1|width=device-width, initial-scale=1|light dark)$`),
		"html": regexp.MustCompile(`^$`), "name": regexp.MustCompile(`^(seen|sure|language|viewport|color-scheme|csrf|digest|hold|verdict|reason|code|since|decision|agent|tool|credential|kind|reach|top|args|keep|for|max|q|back)$`),
		"lang": regexp.MustCompile(`^(en|de|fr|es)$`), "for": regexp.MustCompile(`^(language|reason|since|decision|agent|tool|credential|q)$`), "id": regexp.MustCompile(`^(change|must-(warning|changed|fields|refused|files)|approve|decide|deny|language|reason|since|decision|agent|tool|credential|overtime|numbers|q)$`), "rows": regexp.MustCompile(`^2$`),
		"dir": regexp.MustCompile(`^ltr$`), "aria-hidden": regexp.MustCompile(`^true$`), "aria-current": regexp.MustCompile(`^page$`), "d": regexp.MustCompile(`^[MLHVACSZmlhvacsz0-9 .-]+$`),
		"datetime": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`), "title": regexp.MustCompile(`^A small picture of the file, drawn by exeat$|^\d+ [A-Z][a-z]{2} \d{4}, \d\d:\d\d:\d\d UTC$`), "form": regexp.MustCompile(`^(deny|approve)$`), "required": regexp.MustCompile(`^$`), "data-left": regexp.MustCompile(`^\d+$`), "data-hold": regexp.MustCompile(`^Hold to approve$`),
		"data-more": regexp.MustCompile(`^[A-Z][a-z, ]+\.$`), "data-over": regexp.MustCompile(`^[A-Z][a-z:, ]+\.$`), "data-show": regexp.MustCompile(`^Show how it stands now$`), "data-changed": regexp.MustCompile(`^This list has changed\.$`),
		"viewBox": regexp.MustCompile(`^0 0 (480 120|24 24)$`), "aria-labelledby": regexp.MustCompile(`^overtime$`), "aria-describedby": regexp.MustCompile(`^numbers$`), "selected": regexp.MustCompile(`^$`),
		"x": regexp.MustCompile(`^\d+$`), "y": regexp.MustCompile(`^\d+$`), "width": regexp.MustCompile(`^\d+$`), "height": regexp.MustCompile(`^\d+$`),
		"maxlength": regexp.MustCompile(`^(500|100|6)$`), "value": regexp.MustCompile(`^`), // nothing reads it but the inbox
	}
)

// foreign lists the markup of a page that is none of ours.
func foreign(page string) (list []string) {
	for _, found := range tag.FindAllString(page, -1) {
		rest := strings.TrimSuffix(attribute.ReplaceAllString(found, ""), ">")
		if !strings.HasSuffix(found, ">") || !wellKnown.MatchString(rest) {
			list = append(list, found)
		}
		for _, a := range attribute.FindAllStringSubmatch(found, -1) {
			if allowed := fine[a[1]]; allowed == nil || !allowed.MatchString(a[2]) {
				list = append(list, a[0])
			}
		}
	}
	return list
}

func TestHostileMarkup(t *testing.T) {
	s := newSite(t).login()
	for name, a := range hostilePages(s) {
		checkHeaders(t, name, answer{header: a.header})
		if kind := a.header.Get("Content-Type"); a.status != 303 && kind != "text/html; charset=utf-8" {
			t.Errorf("%s: %d of type %q", name, a.status, kind)
		}
		if to := a.header.Get("Location"); to != "" && !regexp.MustCompile(`^/h/hold_[a-z2-7]{26}$`).MatchString(to) {
			t.Errorf("%s: leads to %q", name, to)
		}
		if len(a.header["Set-Cookie"]) > 0 {
			t.Errorf("%s: sets a cookie", name)
		}
		if found := foreign(a.body); len(found) != 0 {
			t.Errorf("%s: the page holds %q", name, found)
		}
		for _, r := range a.body {
			if r != '\n' && r != ' ' && hides(r) {
				t.Errorf("%s: the page holds %+q", name, r)
			}
		}
	}
}

// The check finds what it looks for.
func TestForeignMarkup(t *testing.T) {
	page := newSite(t).login().get("/").body
	if found := foreign(page); len(found) != 0 {
		t.Errorf("in the page as it is: %q", found)
	}
	for _, evil := range payloads {
		if !strings.ContainsAny(evil, `<"`) || strings.Contains(evil, "{{") {
			continue // an attack on something else than markup
		}
		text := strings.Replace(page, "<h1>", "<h1>"+evil, 1)
		link := strings.Replace(page, `<a class="home" href="/`, `<a class="home" href="/`+evil, 1)
		if len(foreign(text))+len(foreign(link)) == 0 {
			t.Errorf("%q is not found", evil)
		}
	}
}

// JSON for terminals is never a page.
func TestHostileJSON(t *testing.T) {
	s := newSite(t).login()
	for i, evil := range payloads {
		h := s.open(hostile(fmt.Sprint(i), evil))
		for _, a := range []answer{s.get("/api/holds"), s.get("/api/holds/" + h.ID), s.get("/api/holds/" + url.PathEscape(evil)), s.get("/api/" + url.PathEscape(evil))} {
			if kind := a.header.Get("Content-Type"); kind != "application/json" && kind != "application/problem+json" {
				t.Errorf("%d of type %q", a.status, kind)
			}
			if strings.ContainsAny(a.body, "<>") || a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("it holds markup: %s", a.body)
			}
		}
	}
}

// A real browser, without the policy that forbids scripts, finds nothing to run
// or to load in the pages.
func TestHostileMarkupInChromium(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("there is no chromium here")
	}
	s := newSite(t).login()
	var all strings.Builder
	for name, a := range hostilePages(s) {
		if _, body, ok := strings.Cut(a.body, "<body>"); ok && !strings.Contains(name, "wrong") {
			body, _, _ = strings.Cut(body, "</body>")
			all.WriteString(body)
		}
	}
	var loaded atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "<!doctype html><title>t</title><body>", all.String(), "</body>")
		case "/control":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "<!doctype html><title>t</title><body>", payloads[0], "</body>")
		case "/pwned":
			loaded.Add(1)
		}
	}))
	defer srv.Close()
	dump := func(path string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(), "--dump-dom", srv.URL+path).Output()
		if err != nil || !strings.Contains(string(out), "<body>") {
			t.Skipf("chromium does not work here: %v", err)
		}
		return string(out)
	}
	if dump("/control"); loaded.Swap(0) == 0 {
		t.Fatal("the browser ran nothing of a page that is an attack")
	}
	dom := dump("/")
	if n := loaded.Load(); n != 0 {
		t.Errorf("the pages made the browser load %d things", n)
	}
	if n := strings.Count(dom, "pwned"); n == 0 {
		t.Error("the attacks are not on the pages")
	}
	if found := foreign(dom); len(found) != 0 {
		t.Errorf("the browser finds %q", found)
	}
}

// However many arguments there are and whatever they hold, all is shown, and the
// page does not grow out of proportion.
func TestEverythingIsShown(t *testing.T) {
	many, list := map[string]int{}, `{"a":[0`+strings.Repeat(",0", 100_000)+`]}`
	for i := range 900 {
		many[fmt.Sprintf("argument_%d", i)] = 1_000_000 + i
	}
	b, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	feeds := strings.Repeat("\n", 60_000)
	hidden := strings.Repeat("\u200b", 60_000)
	for name, tt := range map[string]struct {
		args string
		want []string
	}{
		"many arguments": {string(b), []string{"argument_0 ", ">1000000<", "argument_899 ", ">1000899<"}},
		"a long list":    {list, []string{list[5 : len(list)-1]}},
		"long names":     {`{"` + strings.Repeat("n", 190) + `":[0` + strings.Repeat(",0", 100_000) + `]}`, []string{list[5 : len(list)-1]}},
		"line feeds":     {`{"a":` + strconv.QuoteToASCII(feeds) + `}`, []string{strconv.QuoteToASCII(feeds), "with escapes"}},
		"hidden":         {`{"a":` + strconv.QuoteToASCII(hidden) + `}`, []string{strconv.QuoteToASCII(hidden), "with escapes"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t).login()
			h := call(alice, "k")
			h.Args = json.RawMessage(tt.args)
			a := s.get("/h/" + s.open(h).ID)
			for _, want := range tt.want {
				if !strings.Contains(html.UnescapeString(a.body), want) {
					t.Errorf("the page of %d bytes does not show %.60s…", len(a.body), want)
				}
			}
			if most := 4*len(tt.args) + 500_000; len(a.body) > most {
				t.Errorf("a page of %d bytes for arguments of %d", len(a.body), len(tt.args))
			}
		})
	}
}
