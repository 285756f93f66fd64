package inbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// enter logs a browser in by link.
func enter(t *testing.T, s *site, ctx context.Context) {
	t.Helper()
	browse(t, ctx, chromedp.Navigate(s.inbox.LoginLink()), chromedp.Click(`form[action="/login"] button`), chromedp.WaitVisible(`details.me`))
}

// csrfOf is the token of the browser's login.
func csrfOf(t *testing.T, s *site, ctx context.Context) string {
	t.Helper()
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/"))
	v, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('[name=csrf]').value`))
	if err != nil || v == "" {
		t.Fatal(v, err)
	}
	return v
}

// A page of another origin that knows every secret of a form sends it with the
// browser of somebody who is logged in: nothing is decided.
func TestForeignPagesInChromium(t *testing.T) {
	s, ctx := keyed(t)
	h := s.open(call(alice, "k")) // first: a list that is open loads itself when something comes
	enter(t, s, ctx)
	csrf := csrfOf(t, s, ctx)
	fields := func(more ...string) string {
		all := append([]string{"csrf", csrf, "digest", h.Digest, "hold", h.ID + " " + h.Digest, "verdict", "approve", "sure", "yes", "kind", approval.KindGrant, "reach", approval.ReachAny, "args", approval.ArgsAny, "for", "20m0s"}, more...)
		out := ""
		for i := 0; i < len(all); i += 2 {
			out += fmt.Sprintf(`<input name="%s" value="%s">`, all[i], html.EscapeString(all[i+1]))
		}
		return out
	}
	var body string
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, body)
	}))
	defer evil.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(evil.URL, "http://"), ":")
	for _, origin := range []string{"http://127.0.0.1:" + port, "http://localhost:" + port} { // another site; and the same site, so with its cookies
		for _, action := range []string{"/h/" + h.ID, "/h/" + h.ID + "/grant", "/several", "/agents/" + key("claude-desktop") + "/stop", "/sessions/others/revoke", "/logout"} {
			body = `<form method="post" action="` + s.inbox.c.URL + action + `">` + fields() + `<button>free iPad</button></form>`
			browse(t, ctx, chromedp.Navigate(origin), chromedp.Click(`//button[text()="free iPad"]`), chromedp.WaitNotPresent(`//button[text()="free iPad"]`))
			text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
			if err != nil || !strings.Contains(text, "comes from another site") {
				t.Errorf("%s to %s: %q %v", origin, action, text, err)
			}
		}
		// In a frame of a foreign page nothing of the inbox can be clicked.
		body = `<iframe src="` + s.inbox.c.URL + "/h/" + h.ID + `"></iframe><p id="there">there</p>`
		browse(t, ctx, chromedp.Navigate(origin), chromedp.WaitVisible("#there"))
		framed, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(() => { try { return document.querySelector('iframe').contentDocument ? 'blank' : 'blocked'; } catch (e) { return 'blocked'; } })()`))
		if err != nil || framed != "blocked" {
			t.Errorf("framed by %s: %s %v", origin, framed, err)
		}
		shows := 0
		if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			r, err := cdp.Call(ctx, tab, page.GetFrameTree, cdp.Empty{})
			if err != nil {
				return err
			}
			for _, f := range r.FrameTree.ChildFrames {
				if f.Frame.UnreachableURL == "" && strings.HasPrefix(f.Frame.URL, s.inbox.c.URL) {
					shows++
				}
			}
			return nil
		})); err != nil || shows > 0 {
			t.Errorf("framed by %s: %d frames show the inbox, %v", origin, shows, err)
		}
	}
	if got := s.Stored(h.ID).State; got != store.Pending {
		t.Errorf("it is %s", got)
	}
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/"), chromedp.WaitVisible(`details.me`))
	rules, err := s.Rules(t.Context(), s.as(approval.Person{Principal: alice}))
	if err != nil || len(rules) != 0 {
		t.Errorf("rules %+v %v", rules, err)
	}
}

// The back button and a form that is sent again decide nothing, time that is over
// is over, and several are decided together.
func TestDecideInChromium(t *testing.T) {
	s, ctx := keyed(t)
	enter(t, s, ctx)
	h := s.open(call(alice, "k"))
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitVisible(`form.approve button`),
		chromedp.Click(`form.deny button`), chromedp.WaitVisible(`.outcome.denied`), chromedp.NavigateBack(), chromedp.WaitReady(`main`))
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('form.approve button')?.disabled === false ? 'can be clicked' : document.querySelector('.outcome.denied') ? 'denied' : 'disabled'`))
	if err != nil {
		t.Fatal(err)
	}
	if text == "can be clicked" { // until the page hears that it is over
		if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`{ const b = document.querySelector('form.approve button'); b.form.elements.sure.checked = true; b.click(); }`)); err != nil {
			t.Fatal(err)
		}
		browse(t, ctx, chromedp.WaitVisible(`p[role=alert], .decide button:disabled`))
	}
	if got := s.Stored(h.ID); got.State != store.Denied || got.Version != 2 {
		t.Errorf("%s, changed %d times", got.State, got.Version)
	}

	late := s.open(call(alice, "late"))
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+late.ID), chromedp.WaitVisible(`form.approve button`))
	s.Pass(late.Expires.Sub(s.Clock()))
	// The page may have heard that it is over, and disabled its buttons.
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`{ const b = document.querySelector('form.approve button'); b.disabled = false; b.form.elements.sure.checked = true; b.click(); }`)); err != nil {
		t.Fatal(err)
	}
	browse(t, ctx, chromedp.WaitNotPresent(`form.approve`)) // the login has ended, too
	enter(t, s, ctx)
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+late.ID), chromedp.WaitVisible(`.outcome.expired`))
	if got := s.Stored(late.ID).State; got == store.Approved {
		t.Errorf("%s after its end", got)
	}

	list := s.severalOf(3)
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/"), chromedp.Click(`//a[starts-with(text(), "Look at these 3")]`), chromedp.WaitVisible(`form.approve button`),
		meansIt, chromedp.Click(`form.approve button`), chromedp.WaitVisible(`//h1[text()="What became of them"]`))
	if got := s.states(list...); got != "approved approved approved" {
		t.Error(got)
	}
}

// meansIt is the second motion, for tests that are about something else.
var meansIt = chromedp.Evaluate[chromedp.Void](`{ const sure = document.querySelector('form.approve input[name=sure]'); if (sure) sure.checked = true; }`)

// Where a finger has just decided there is nothing on the next page that decides,
// or ends or changes anything.
func TestNothingUnderTheFinger(t *testing.T) {
	s, ctx := keyed(t)
	enter(t, s, ctx)
	for _, size := range [][2]int64{{360, 740}, {1280, 800}} {
		browse(t, ctx, emulate(size[0], size[1], false))
		for _, button := range []string{"form.approve button", "form.deny button"} {
			h := s.open(call(alice, rand.Text()))
			s.open(callOf(alice, "claude", "a", "delete_pet", int(size[0]))) // something else waits
			browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitVisible(button), chromedp.ScrollIntoView(button))
			at, err := chromedp.Run(ctx, chromedp.Evaluate[[]float64](`(() => { const r = document.querySelector('`+button+`').getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; })()`))
			if err != nil {
				t.Fatal(err)
			}
			browse(t, ctx, meansIt, chromedp.Click(button), chromedp.WaitVisible(`.outcome strong`))
			under, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf(`[...document.querySelectorAll('button, input, a.button')].filter((e) => {
				const r = e.getBoundingClientRect(); return r.width && r.left < %f && r.right > %f && r.top < %f && r.bottom > %f; }).map((e) => e.outerHTML).join(' ')`, at[2], at[0], at[3], at[1])))
			if err != nil || under != "" {
				t.Errorf("at %v, where %s was: %s %v", size, button, under, err)
			}
		}
	}
}

// A thousand calls of many agents are pages that a browser shows at once.
func TestThousandInChromium(t *testing.T) {
	s, ctx := keyed(t)
	s.restart(func(c *approval.Config) { c.MaxOpen = 2000 })
	for i := range 1000 {
		h := callOf(alice, fmt.Sprintf("agent %d", i%120), "a", "delete_pet", i)
		s.open(h)
		s.Pass(time.Millisecond)
	}
	enter(t, s, ctx)
	seen := 0
	for range 3 {
		browse(t, ctx, chromedp.WaitVisible(`//h1[text()="Waiting for you"]`))
		n, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll('.group').length`))
		if err != nil {
			t.Fatal(err)
		}
		if seen += n; seen < 120 {
			browse(t, ctx, chromedp.Click(`//a[text()="The next ones"]`), chromedp.WaitVisible(`//a[text()="Back to the oldest"]`))
		}
	}
	if seen != 120 {
		t.Errorf("%d agents on three pages", seen)
	}
}

// By keyboard alone: Tab comes by everything that decides, what has the focus
// can be seen, and Enter decides.
func TestByKeyboard(t *testing.T) {
	s, ctx := keyed(t)
	h := s.open(call(alice, "k"))
	enter(t, s, ctx)
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitVisible(`form.deny button`))
	seen := map[string]bool{}
	for range 40 {
		browse(t, ctx, chromedp.KeyEvent(kb.Tab))
		at, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`(() => { const e = document.activeElement, c = getComputedStyle(e); return [(e.form?.className || '') + ' ' + e.tagName, c.outlineStyle + ' ' + c.outlineWidth]; })()`))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(at[1], "none") || strings.HasSuffix(at[1], " 0px") {
			t.Errorf("the focus on %s cannot be seen: %s", at[0], at[1])
		}
		seen[at[0]] = true
		if at[0] == " SUMMARY" && seen["approve risk BUTTON"] && !seen["deny TEXTAREA"] {
			browse(t, ctx, chromedp.KeyEvent(kb.Enter)) // opens what else there is to choose
		}
		if at[0] == "deny TEXTAREA" {
			break
		}
	}
	if !seen["approve risk BUTTON"] || !seen["deny TEXTAREA"] || !seen["deny BUTTON"] {
		t.Fatalf("Tab comes by %v", seen)
	}
	browse(t, ctx, chromedp.Focus(`form.deny button`), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(`.outcome.denied`))
}
