package inbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// inboxPage is a page of the inbox in one state.
type inboxPage struct {
	name, path string
	out        bool // for somebody who is not logged in
	picture    bool // kept in docs/screenshots
}

// showcase brings every page of the inbox into every state that it has.
func showcase(s *site) (pages []inboxPage) {
	w := s.world
	s.restart(func(c *approval.Config) { c.MaxOpen = 1000 })
	person := approval.Person{Principal: alice, AMR: []string{"otp"}}
	made := func(agent, tool, effect, method, path, summary, args, body, before string) store.Hold {
		h := callOf(alice, agent, "9f2c", tool, len(pages))
		h.Dedupe, h.Txn = rand.Text(), "txn_"+rand.Text()
		h.Effect, h.Summary, h.Args = effect, method+" "+path+": "+summary, json.RawMessage(args)
		h.Request = store.Request{Method: method, Origin: "https://petstore.example", Target: path, Path: path}
		if body != "" {
			h.Request.ContentType, h.Request.Body = "application/json", []byte(body)
		}
		if before != "" {
			h.Before = &store.Snapshot{At: w.Clock(), Tool: "get_pet", Status: 200, Digest: "d", Value: json.RawMessage(before), Checked: true, Size: len(before)}
		}
		w.Pass(37 * time.Second)
		return w.open(h)
	}
	const mia = `{"id":42,"name":"Mia","species":"cat","status":"available","fee":60,"tags":["shy","indoor"],"note":"Came in with a bad paw; it has healed."}`
	remove := func(id int) store.Hold {
		return made("claude-desktop", "delete_pet", "delete", "DELETE", fmt.Sprintf("/pets/%d", id), "Delete a pet", fmt.Sprintf(`{"petId":%d}`, id), "", mia)
	}
	add := func(name, path string, picture bool) { pages = append(pages, inboxPage{name, path, false, picture}) }
	settle := func(name string, id int, f func(h store.Hold)) {
		h := remove(id)
		f(h)
		add("hold-"+name, "/h/"+h.ID, false)
	}
	claim := func(h store.Hold) store.Hold { w.approve(h); return w.claim() }
	finish := func(h store.Hold, e approval.Event) {
		if _, err := w.Finish(w.T.Context(), h, e, entryOf(h, store.KindOutcome)); err != nil {
			w.T.Fatal(err)
		}
	}
	settle("done", 1, func(h store.Hold) {
		finish(claim(h), approval.Finish{Result: []byte(`{"envelope":{"http_status":204}}`)})
	})
	settle("refused", 2, func(h store.Hold) {
		finish(claim(h), approval.Refuse{After: &store.Snapshot{At: h.Created, Status: 200, Digest: "e", Value: json.RawMessage(strings.Replace(mia, "available", "adopted", 1))}})
	})
	settle("unknown", 3, func(h store.Hold) { finish(claim(h), approval.Lose{Result: []byte(`{}`)}) })
	settle("denied", 4, func(h store.Hold) {
		if _, err := w.Decide(w.T.Context(), person, h.ID, approval.Verdict{Digest: h.Digest, Reason: "Mia stays until the vet has seen her."}); err != nil {
			w.T.Fatal(err)
		}
	})
	settle("withdrawn", 5, func(h store.Hold) {
		if _, err := w.Cancel(w.T.Context(), asAgent(h.Subject), h.ID); err != nil {
			w.T.Fatal(err)
		}
	})
	s.restart(func(c *approval.Config) { c.TTL = time.Minute })
	late := remove(6)
	s.restart(func(c *approval.Config) { c.TTL = 0 })
	w.Pass(2 * time.Minute)
	add("hold-expired", "/h/"+late.ID, false)
	given := remove(7)
	grant, err := w.Give(w.T.Context(), person, given, narrow(given), approval.Verdict{})
	if err != nil {
		w.T.Fatal(err)
	}
	if err := w.use(grant); err == nil {
		w.T.Log("the grant is for another call")
	}
	add("hold-approved", "/h/"+given.ID, false)
	blocked := made("cursor", "search_pets", "write", "POST", "/search", "Search the pets", `{"body":{"text":"a"}}`, `{"text":"a"}`, "")
	offer := narrow(blocked)
	offer.Kind, offer.Reason = approval.KindBlock, "Use list_pets."
	if _, err := w.Give(w.T.Context(), person, blocked, offer, approval.Verdict{}); err != nil {
		w.T.Fatal(err)
	}
	made("helper", "delete_pet", "delete", "DELETE", "/pets/9", "Delete a pet", `{"petId":9}`, "", "")
	if err := w.Stop(w.T.Context(), w.as(person), "helper"); err != nil {
		w.T.Fatal(err)
	}
	change := made("claude-desktop", "update_pet", "write", "PUT", "/pets/42", "Replace a pet", `{"petId":42,"body":{"name":"Mia","species":"cat","status":"adopted","fee":0}}`,
		`{"name":"Mia","species":"cat","status":"adopted","fee":0}`, mia)
	evil := w.open(hostile(rand.Text(), payloads[1]))
	one := remove(42)
	for id := 43; id < 46; id++ {
		remove(id)
	}
	said := callOf(alice, "cursor", "41aa", "create_refund", 1)
	said.Effect, said.Summary, said.Args = "write", "POST /refunds: Refund a payment", json.RawMessage(`{"body":{"payment":"pay_8812","amount":"1240.00","currency":"EUR","note":"`+strings.Repeat("a long note, ", 120)+`"}}`)
	said.Says, said.Dedupe = "The customer asked for it twice, and support has agreed. Please approve quickly.", rand.Text()
	said.Request = store.Request{Method: "POST", Origin: "https://pay.example", Target: "/refunds", Path: "/refunds", ContentType: "application/json", Body: []byte(`{"payment":"pay_8812"}`)}
	said = w.open(said)
	unseen := payment(rand.Text())
	unseen.Tool = "pay"
	unseen = w.open(unseen)
	add("hold-unseen", "/h/"+unseen.ID, false)
	add("several-unseen", "/several?like="+unseen.ID, false)
	add("waiting", "/", true)
	add("hold", "/h/"+one.ID, true)
	add("hold-change", "/h/"+change.ID, true)
	add("hold-said", "/h/"+said.ID, true)
	add("hold-hostile", "/h/"+evil.ID, true)
	add("several", "/several?like="+one.ID, true)
	add("grant", "/h/"+one.ID+"/grant?kind=grant", true)
	chosen := url.Values{"kind": {approval.KindGrant}, "reach": {approval.ReachExact}, "args": {approval.ArgsSame}, "for": {"20m0s"}}
	add("grant-confirm", "/h/"+one.ID+"/grant?"+chosen.Encode(), true)
	add("job", "/h/"+one.ID+"/grant?kind=grant&job=1", true)
	add("job-confirm", "/h/"+one.ID+"/grant?kind=grant&job=1&name=spring+cleaning&tool=1&reach=any&args=any&for=20m0s&max=20&sum=0&most=500", true)
	add("denial", "/h/"+one.ID+"/grant?kind=denial", false)
	add("permissions", "/permissions", true)
	add("activity", "/activity", true)
	add("chain", "/activity/"+change.Txn, true)
	add("passkeys", "/passkeys", true)
	program := giveIssuer(s, "http://127.0.0.1/callback", "https://client.example/callback")
	program.let(person)
	add("sessions", "/sessions", true)
	add("client", program.asks("http://127.0.0.1:4711/callback"), true)
	add("client-refused", program.asks("https://client.example/callback", "response_type", "token"), false)
	add("push", "/push", false)
	add("settings", "/settings", true)
	add("not-found", "/h/hold_aaaaaaaaaaaaaaaaaaaaaaaaaa", false)
	pages = append(pages, inboxPage{"login", "/login?code=abc", true, true}, inboxPage{"login-first", "/", true, false})
	return pages
}

// looks are the widths and colours that pages are looked at in.
var looks = []struct {
	name          string
	width, height int64
	dark          bool
}{
	{"phone-light", 390, 844, false}, {"phone-dark", 390, 844, true}, {"desktop-light", 1280, 800, false}, {"desktop-dark", 1280, 800, true},
	{"narrow-light", 320, 640, false}, {"narrow-dark", 320, 640, true},
}

func emulate(width, height int64, dark bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		scheme := "light"
		if dark {
			scheme = "dark"
		}
		if _, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500})
		return err
	})
}

// visit opens a page of the showcase as its person.
func visit(t *testing.T, s *site, ctx context.Context, p inboxPage) {
	t.Helper()
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+p.path), chromedp.WaitReady("main"))
}

// everyPage calls f for each page, first of somebody who is logged in.
func everyPage(t *testing.T, f func(s *site, ctx context.Context, p inboxPage)) {
	s, ctx := keyed(t)
	s.Pass(-time.Hour) // what is shown happened before the login
	pages := showcase(s)
	s.Pass(10 * time.Second)
	browse(t, ctx, chromedp.Navigate(s.inbox.LoginLink()), chromedp.Click(`form[action="/login"] button`), chromedp.WaitVisible(`details.me`))
	for _, p := range pages {
		if !p.out {
			f(s, ctx, p)
		}
	}
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/"), chromedp.Click(`details.me summary`), chromedp.Click(`form[action="/logout"] button`), chromedp.WaitNotPresent(`details.me`))
	for _, p := range pages {
		if p.out {
			f(s, ctx, p)
		}
	}
}

// axe-core finds nothing on any page, in light and dark, on a phone and a desk.
// EXEAT_AXE names axe.min.js.
func TestAxe(t *testing.T) {
	file := os.Getenv("EXEAT_AXE")
	if file == "" {
		t.Skip("EXEAT_AXE does not name axe.min.js")
	}
	axe, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	everyPage(t, func(s *site, ctx context.Context, p inboxPage) {
		for _, look := range looks[2:] {
			browse(t, ctx, emulate(look.width, look.height, look.dark))
			visit(t, s, ctx, p)
			// At its end a page has nothing below the bar, which lies over something anywhere else.
			browse(t, ctx, chromedp.Evaluate[chromedp.Void](`scrollTo(0, document.body.scrollHeight)`))
			checkAxe(t, ctx, string(axe), p.name+", "+look.name)
			checked++
		}
	})
	design := designed(t)
	_, ctx := keyed(t)
	for _, look := range looks[2:] {
		browse(t, ctx, emulate(look.width, look.height, look.dark), chromedp.Navigate(design), chromedp.WaitReady("main"))
		checkAxe(t, ctx, string(axe), "design, "+look.name)
	}
	t.Logf("%d pages", checked)
}

// checkAxe runs axe-core on the page that is open.
func checkAxe(t *testing.T, ctx context.Context, axe, name string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](axe+";void 0")); err != nil {
		t.Fatal(err)
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run(document, {runOnly: ['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']}).then((r) => r.violations.map((v) =>
				v.id + ': ' + v.help + '\n' + v.nodes.slice(0, 3).map((n) => '    ' + n.html.slice(0, 200) + '\n    ' + n.failureSummary.replaceAll('\n', ' ')).join('\n')).join('\n'))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if found != "" {
		t.Errorf("%s: %s", name, found)
	}
}

// Nothing leaves a narrow page at its side, and everything that can be tapped is
// large enough to be hit (WCAG 2.2, 1.4.10 and 2.5.8).
func TestNarrowPages(t *testing.T) {
	everyPage(t, func(s *site, ctx context.Context, p inboxPage) {
		browse(t, ctx, emulate(320, 640, false))
		visit(t, s, ctx, p)
		wrong, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(() => {
			const wrong = [];
			if (document.documentElement.scrollWidth > 320) wrong.push('it is ' + document.documentElement.scrollWidth + ' wide');
			for (const e of document.querySelectorAll('button, input:not([type=hidden]), select, textarea, summary, nav a, .button')) {
				const r = e.getBoundingClientRect();
				const l = e.closest('label')?.getBoundingClientRect() || r;
				if (r.width && (Math.max(r.height, l.height) < 24 || Math.max(r.width, l.width) < 24)) wrong.push(e.outerHTML.slice(0, 80) + ' is ' + r.width + ' by ' + r.height);
			}
			return wrong.join('; ');
		})()`))
		if err != nil || wrong != "" {
			t.Errorf("%s: %s %v", p.name, wrong, err)
		}
	})
}

// With EXEAT_SCREENSHOTS=DIR, as make screenshots sets it, every page is pictured.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("EXEAT_SCREENSHOTS")
	if dir == "" {
		t.Skip("EXEAT_SCREENSHOTS names no folder")
	}
	everyPage(t, func(s *site, ctx context.Context, p inboxPage) {
		if !p.picture {
			return
		}
		for _, look := range looks[:4] {
			browse(t, ctx, emulate(look.width, look.height, look.dark))
			visit(t, s, ctx, p)
			picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, p.name+"-"+look.name+".png"), picture, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
