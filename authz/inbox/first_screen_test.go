package inbox

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/words"
	"github.com/exeat/exeat/store"
)

// made is a call for a look at its page.
func made(effect, method, path, summary, args, kind, body, before string) store.Hold {
	h := call(alice, rand.Text())
	h.ID, h.Effect, h.Summary, h.Args = "", effect, method+" "+path+": "+summary, json.RawMessage(args)
	h.Tool = strings.ReplaceAll(strings.ToLower(summary), " ", "_")
	h.Request = store.Request{Method: method, Origin: "https://api.example.com", Target: path, Path: path, ContentType: kind, Body: []byte(body)}
	if before != "" {
		h.Before = &store.Snapshot{At: h.Created, Tool: "get", Status: 200, Digest: "d", Value: json.RawMessage(before), Checked: true, Size: len(before)}
	}
	return h
}

const js = "application/json"

// upload is a call with a file.
func upload(name, kind string, content []byte) store.Hold {
	body := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\nContent-Type: " + kind + "\r\n\r\n" + string(content) + "\r\n--b--\r\n"
	args, _ := json.Marshal(map[string]any{"expense": 10, "body": map[string]any{"file": base64.StdEncoding.EncodeToString(content)}}) // always encodable
	return made("write", "POST", "/expenses/10/receipts", "Upload a receipt", string(args), "multipart/form-data; boundary=b", body, "")
}

// kinds are the calls whose first screen has to do. Others of the same kind wait with
// those of several.
func kinds() map[string]store.Hold {
	const mia = `{"id":42,"name":"Mia","species":"cat","status":"available","fee":60,"tags":["shy","indoor"],"note":"Came in with a bad paw; it has healed."}`
	hidden := payment(rand.Text())
	hidden.Tool = "pay"
	unknown := made("write", "PUT", "/pets/42", "Replace a pet", `{"petId":42,"body":{"name":"Mia","status":"adopted"}}`, js, `{"name":"Mia","status":"adopted"}`, "")
	unknown.Before = &store.Snapshot{Tool: "get_pet", Why: "the API did not answer"}
	many := made("write", "POST", "/forms", "Fill in a form", string(manyFields(1500)), js, string(manyFields(1500)), "")
	return map[string]store.Hold{
		"create":  made("write", "POST", "/payments", "Pay somebody", `{"body":{"amount":"9120.00","currency":"EUR","to":"NL91 ABNA 0417 1643 00","reference":"Invoice 2026-118"}}`, js, `{"amount":"9120.00","currency":"EUR","to":"NL91 ABNA 0417 1643 00","reference":"Invoice 2026-118"}`, ""),
		"delete":  made("delete", "DELETE", "/pets/42", "Delete a pet", `{"petId":42}`, "", "", mia),
		"put":     made("write", "PUT", "/pets/42", "Replace a pet", `{"petId":42,"body":`+strings.Replace(mia, "available", "adopted", 1)+`}`, js, strings.Replace(mia, "available", "adopted", 1), mia),
		"patch":   made("write", "PATCH", "/expenses/10", "Change an expense", `{"id":10,"body":{"amount":"555.50"}}`, "application/merge-patch+json", `{"amount":"555.50"}`, `{"id":10,"amount":"100.00","currency":"EUR","status":"open","title":"Train to Ghent"}`),
		"no-op":   made("write", "PATCH", "/expenses/10", "Change an expense", `{"id":10,"body":{"status":"open"}}`, "application/merge-patch+json", `{"status":"open"}`, `{"id":10,"amount":"100.00","status":"open"}`),
		"image":   upload("receipt.png", "image/png", append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 2000)...)),
		"pdf":     upload("invoice.pdf", "application/pdf", []byte("%PDF-1.7\n"+strings.Repeat("stream ", 300))),
		"text":    upload("notes.txt", "text/plain", []byte("Dear all,\r\nthe train was late.\r\n")),
		"form":    made("write", "POST", "/contact", "Send a message", `{"body":{"name":"Alice","email":"alice@example.com","subject":"Hello","message":"See you on Monday."}}`, "application/x-www-form-urlencoded", "name=Alice&email=alice%40example.com&subject=Hello&message=See+you+on+Monday.", ""),
		"hidden":  hidden,
		"hostile": hostile(rand.Text(), payloads[1]),
		"many":    many,
		"unknown": unknown,
	}
}

// rects measures what a page has to show at once.
const rects = `(() => {
	const bar = document.querySelector('.bar').getBoundingClientRect(), wrong = [];
	const inside = (name, r, floor) => { if (r.width === 0 || r.top < 0 || r.bottom > floor + 1 || r.left < 0 || r.right > innerWidth + 1) wrong.push(name + ' at ' + [r.left, r.top, r.right, r.bottom].map(Math.round) + ' of ' + innerWidth + ' by ' + Math.round(floor)); };
	inside('the bar', bar, innerHeight);
	const seen = (e) => e && e.getClientRects().length;
	const choices = [...document.querySelectorAll('.choices button, .choices a')].filter(seen);
	if (choices.length < 2) wrong.push('only ' + choices.length + ' choices');
	for (const e of choices) inside('a choice', e.getBoundingClientRect(), innerHeight);
	for (const q of ['h1', '.who', '.state .left']) {
		const e = document.querySelector(q);
		if (!seen(e)) wrong.push('no ' + q); else inside(q, e.getBoundingClientRect(), bar.top);
	}
	const change = document.querySelector('#change');
	if (!seen(change)) wrong.push('nothing says what it does'); else {
		const r = change.getBoundingClientRect();
		inside('what it does', {left: r.left, right: r.right, width: r.width, top: r.top, bottom: r.top + Math.min(r.height, 80)}, bar.top);
	}
	if (document.documentElement.scrollWidth > innerWidth) wrong.push('it is ' + document.documentElement.scrollWidth + ' wide');
	scrollTo(0, document.documentElement.scrollHeight);
	const last = document.querySelector('.bar').previousElementSibling.getBoundingClientRect(), end = document.querySelector('.bar').getBoundingClientRect();
	if (last.bottom > end.top + 1) wrong.push('the bar covers the end of the page');
	scrollTo(0, 0);
	return wrong.join('; ');
})()`

// What a person needs for a decision is on the first screen, of a phone and a desk, in
// light and dark, with script and without.
func TestFirstScreen(t *testing.T) {
	s, ctx := keyed(t)
	s.restart(func(c *approval.Config) { c.MaxOpen = 1000 })
	enter(t, s, ctx)
	all := kinds()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		h := s.open(all[name])
		for i, look := range looks[:4] {
			for _, script := range []bool{true, false} {
				if i%2 == 1 && !script {
					continue // dark is a matter of colours
				}
				browse(t, ctx, emulate(look.width, look.height, look.dark), scripting(script), chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitReady("main"))
				wrong, err := chromedp.Run(ctx, chromedp.Evaluate[string](rects))
				if err != nil || wrong != "" {
					t.Errorf("%s, %s, script %v: %s %v", name, look.name, script, wrong, err)
				}
			}
		}
	}
}

// scripting switches a page's own scripts on or off.
func scripting(on bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

// All of an ordinary page is small, its files with it, and on the screen at once. How
// fast is told, and not checked: this machine has other work.
func TestWeightOfAPage(t *testing.T) {
	s, ctx := keyed(t)
	enter(t, s, ctx)
	h := s.open(kinds()["put"])
	browse(t, ctx, emulate(390, 844, false), chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitReady("main"))
	got, err := chromedp.Run(ctx, chromedp.Evaluate[[]float64](`new Promise((done) => setTimeout(() => {
		const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].filter((e) => !e.name.includes('/live?'));
		done([all.reduce((n, e) => n + e.decodedBodySize, 0), performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0, all.length]);
	}, 300))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	if got[0] > 60<<10 || got[2] < 3 {
		t.Errorf("%v bytes in %v files", got[0], got[2])
	}
	t.Logf("%v bytes in %v files; first paint after %v ms", got[0], got[2], got[1])
}

// The bar of a call with something to look at opens once that was on the screen.
func TestBarOpens(t *testing.T) {
	s, ctx := keyed(t)
	enter(t, s, ctx)
	all := kinds()
	h := s.open(all["many"])
	browse(t, ctx, emulate(390, 844, false), chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitVisible(".closed"), chromedp.WaitNotVisible("form.approve"))
	browse(t, ctx, chromedp.Click(".closed"), chromedp.WaitVisible("#must-fields .must"), chromedp.WaitVisible("form.approve button"), chromedp.Click("form.approve button"), chromedp.WaitVisible(".outcome.approved"))
	h = s.open(all["hostile"])
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitVisible("form.approve button"))
	// Without a script the box is ticked.
	h = s.open(made("write", "POST", "/a", "Do it", string(manyFields(20)), js, "{}", ""))
	browse(t, ctx, scripting(false), chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitVisible(".closed"), chromedp.WaitNotVisible("form.approve"),
		chromedp.Click("#must-fields summary"), chromedp.Click("#must-fields .must"), chromedp.Click("form.approve button"), chromedp.WaitVisible(".outcome.approved"))
}

// The button of a delete is held; a tap does nothing, and a tick does as well.
func TestHoldToApprove(t *testing.T) {
	s, ctx := keyed(t)
	enter(t, s, ctx)
	del := func() store.Hold {
		h := s.open(call(alice, rand.Text()))
		browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitVisible("form.risk button"))
		return h
	}
	state := func(h store.Hold, want store.State) {
		t.Helper()
		if got := s.Stored(h.ID).State; got != want {
			t.Errorf("it is %s", got)
		}
	}
	h := del()
	browse(t, ctx, chromedp.Click("form.risk button"))
	state(h, store.Pending)
	for _, held := range []string{"pointerdown", "keydown"} {
		h = del()
		begin := fmt.Sprintf(`document.querySelector('form.risk button').dispatchEvent(%q === 'keydown' ? new KeyboardEvent('keydown', {key: 'Enter', cancelable: true}) : new PointerEvent('pointerdown', {isPrimary: true, button: 0}))`, held)
		browse(t, ctx, chromedp.Evaluate[chromedp.Void](begin+`; void 0`), chromedp.WaitVisible(".outcome.approved"))
		state(h, store.Approved)
	}
	h = del() // as a screen reader does it
	browse(t, ctx, chromedp.WaitNotVisible(".sure"), chromedp.Evaluate[chromedp.Void](`document.querySelector('form.risk button').click()`), chromedp.WaitVisible(".sure"))
	state(h, store.Pending)
	browse(t, ctx, chromedp.Click(".sure"), chromedp.Evaluate[chromedp.Void](`document.querySelector('form.risk button').click()`), chromedp.WaitVisible(".outcome.approved"))
	state(h, store.Approved)
	browse(t, ctx, scripting(false))
	h = del()
	browse(t, ctx, chromedp.Click("form.risk button"))
	state(h, store.Pending) // the browser asks for the tick
	browse(t, ctx, chromedp.Click(".sure"), chromedp.Click("form.risk button"), chromedp.WaitVisible(".outcome.approved"))
	state(h, store.Approved)
}

// speaking has the browser prefer a language.
func speaking(l words.Language) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": l.Tag()}})
		return err
	})
}
