package inbox

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/exeat/exeat/authz/words"
)

// designed serves the page that shows every part of the design, in a language.
func designed(t *testing.T) string {
	page, err := parsePages(words.Language{}).ParseFiles(filepath.Join("testdata", "design.html"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /style.css", serve("style.css", "text/css"))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		if err := page.ExecuteTemplate(w, "design.html", struct {
			frame
			Hostile, Long string
		}{frame{Title: "Design", Person: "User::alice"}, "p\u0430ypal\u202e", strings.Repeat("A long value. ", 30)}); err != nil {
			t.Error(err)
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// Every icon is on the page of the design, and it fits a narrow screen in either
// direction of writing.
func TestDesign(t *testing.T) {
	_, ctx := keyed(t)
	url := designed(t)
	icons, err := files.ReadFile("templates/icons.html")
	if err != nil {
		t.Fatal(err)
	}
	browse(t, ctx, emulate(320, 640, false), chromedp.Navigate(url), chromedp.WaitReady("main"))
	shown, err := chromedp.Run(ctx, chromedp.Evaluate[int](`new Set([...document.querySelectorAll('main > p:last-of-type svg.icon path')].map((p) => p.getAttribute('d'))).size`))
	if want := len(regexp.MustCompile(`\{\{define "icon-`).FindAll(icons, -1)); err != nil || shown != want {
		t.Errorf("%d icons of %d are shown %v", shown, want, err)
	}
	for _, dir := range []string{"ltr", "rtl"} {
		checkDirection(t, ctx, dir)
	}
}

// checkDirection checks that a page of a narrow screen holds together in a direction of
// writing, and that its head is 48 px high.
func checkDirection(t *testing.T, ctx context.Context, dir string) {
	t.Helper()
	wrong, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(() => {
		document.documentElement.dir = '`+dir+`';
		const wrong = [];
		if (document.documentElement.scrollWidth > innerWidth) wrong.push('it is ' + document.documentElement.scrollWidth + ' wide');
		const head = document.querySelector('header').getBoundingClientRect();
		if (head.height !== 48) wrong.push('its head is ' + head.height + ' high');
		for (const e of document.querySelectorAll('header *, .choices *, h1, .who *, .tag')) {
			const r = e.getBoundingClientRect();
			if (r.width && (r.left < -1 || r.right > innerWidth + 1) && !e.closest('svg, .whose, nav a span')) wrong.push(e.outerHTML.slice(0, 80) + ' from ' + r.left + ' to ' + r.right);
		}
		return wrong.join('; ');
	})()`))
	if err != nil || wrong != "" {
		t.Errorf("%s: %s %v", dir, wrong, err)
	}
}

// A page of a call holds together where it is written from right to left, in each
// language, and at twice its size.
func TestDirectionsAndLanguages(t *testing.T) {
	s, ctx := keyed(t)
	enter(t, s, ctx)
	h := s.open(kinds()["put"])
	for _, l := range words.Languages() {
		browse(t, ctx, emulate(320, 640, false), speaking(l), chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitReady(`html[lang=`+l.Tag()+`] main`))
		for _, dir := range []string{"ltr", "rtl"} {
			checkDirection(t, ctx, dir)
		}
		browse(t, ctx, emulate(640, 400, false)) // 1280 by 800, at 200 %
		checkDirection(t, ctx, "ltr")
		covered, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`document.querySelector('.bar').getBoundingClientRect().height / innerHeight`))
		if err != nil || covered > 0.5 {
			t.Errorf("%s: the bar takes %v of the screen at 200 %% %v", l.Tag(), covered, err)
		}
	}
}
