package inbox

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/exeat/exeat/store"
)

// stream is a live page. next is what it is told next; not ok when it has ended.
type stream struct {
	t     *testing.T
	lines chan string
	close func() error
}

func (s *site) stream(path string) (*stream, int) {
	s.T.Helper()
	req, err := http.NewRequestWithContext(s.T.Context(), "GET", s.inbox.c.URL+path, nil)
	if err != nil {
		s.T.Fatal(err)
	}
	req.Header.Set("Cookie", s.cookie)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.T.Fatal(err)
	}
	out := &stream{t: s.T.(*testing.T), lines: make(chan string, 100), close: resp.Body.Close}
	s.T.Cleanup(func() { resp.Body.Close() })
	go func() {
		defer close(out.lines)
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			if text, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				out.lines <- text
			}
		}
	}()
	return out, resp.StatusCode
}

func (s *stream) next() (v liveNow, ok bool) {
	s.t.Helper()
	select {
	case text, ok := <-s.lines:
		if ok {
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				s.t.Fatal(err)
			}
		}
		return v, ok
	case <-time.After(time.Minute):
		s.t.Fatal("nothing was told")
	}
	return v, false
}

// A live page hears of what changes, and of nothing that its person may not see.
func TestLive(t *testing.T) {
	s := newSite(t)
	s.inbox.streams.rest = time.Millisecond
	s.login()
	h := s.open(call(alice, "k"))
	theirs := s.open(call(bob, "theirs"))
	list, _ := s.stream("/live?auto=1")
	one, _ := s.stream("/live?auto=1&hold=" + h.ID)
	first, _ := list.next()
	if state, _ := one.next(); first.Calls != 1 || state != (liveNow{State: "pending"}) {
		t.Errorf("at first: %+v, %+v", first, state)
	}
	if _, status := s.stream("/live?auto=1&hold=" + theirs.ID); status != http.StatusNotFound {
		t.Errorf("somebody else's call: %d", status)
	}
	s.open(call(bob, "theirs too"))
	s.open(call(alice, "another"))
	if now, _ := list.next(); now.Calls != 2 || now.Key == first.Key {
		t.Errorf("after another call: %+v", now)
	}
	s.want(s.post("/h/"+h.ID, s.form(h, "deny")), 303, "")
	if now, _ := one.next(); now.State != string(store.Denied) {
		t.Errorf("after the decision: %+v", now)
	}
	if now, _ := list.next(); now.Calls != 1 {
		t.Errorf("after the decision: %+v", now)
	}
	// It ends with the login, which it does not prolong.
	s.Pass(idleEnd)
	s.open(call(bob, "late"))
	for _, stream := range []*stream{list, one} {
		if now, ok := stream.next(); ok {
			t.Errorf("after the login has ended: %+v", now)
		}
	}
	if _, status := s.stream("/live?auto=1"); status != http.StatusUnauthorized {
		t.Errorf("without a login: %d", status)
	}
}

// Pages that stay open leave room for others, and end with the process.
func TestLiveIsBounded(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	s := siteAt(t, "http://"+srv.Listener.Addr().String())
	ctx, end := context.WithCancel(t.Context())
	srv.Config.Handler = s.inbox.Handler(ctx)
	srv.Start()
	t.Cleanup(srv.Close)
	s.login()
	var open []*stream
	for range maxLivePerson {
		one, status := s.stream("/live?auto=1")
		if _, ok := one.next(); !ok || status != http.StatusOK {
			t.Fatal(status)
		}
		open = append(open, one)
	}
	if _, status := s.stream("/live?auto=1"); status != http.StatusTooManyRequests {
		t.Errorf("one more: %d", status)
	}
	end()
	for _, one := range open {
		if _, ok := one.next(); ok {
			t.Error("it goes on")
		}
	}
}

// In a browser: a call that was decided elsewhere cannot be decided any more on
// a page that still shows it, and a list that is not being used loads itself.
func TestLiveInChromium(t *testing.T) {
	s, ctx := keyed(t)
	s.inbox.streams.rest = time.Millisecond
	h := s.open(call(alice, "k"))
	browse(t, ctx, chromedp.Navigate(s.inbox.LoginLink()), chromedp.Click(`form[action="/login"] button`), chromedp.WaitVisible(`.holds`),
		chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.WaitEnabled(`form.deny button`))
	if _, err := s.Cancel(t.Context(), asAgent(h.Subject), h.ID); err != nil {
		t.Fatal(err)
	}
	browse(t, ctx, chromedp.WaitVisible(`[data-live]`), chromedp.WaitVisible(`form.approve button:disabled`), chromedp.WaitVisible(`form.deny button:disabled`),
		chromedp.Navigate(s.inbox.c.URL+"/"), chromedp.WaitVisible(`//h1[text()="Nothing waits for you"]`))
	s.open(call(alice, "another"))
	browse(t, ctx, chromedp.WaitVisible(`.holds`))
}

// An installed inbox has the number that waits on its icon, and none once nothing does.
func TestBadgeInChromium(t *testing.T) {
	s, ctx := keyed(t)
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: `navigator.setAppBadge = async (n) => { document.documentElement.dataset.badge = n; }`})
		return err
	})); err != nil {
		t.Fatal(err)
	}
	h, _ := s.open(call(alice, "a")), s.open(call(alice, "b"))
	browse(t, ctx, chromedp.Navigate(s.inbox.LoginLink()), chromedp.Click(`form[action="/login"] button`), chromedp.WaitReady(`html[data-badge="2"]`))
	for _, one := range []string{"a", "b"} {
		if _, err := s.Cancel(t.Context(), asAgent(h.Subject), s.open(call(alice, one)).ID); err != nil {
			t.Fatal(err)
		}
	}
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/"), chromedp.WaitReady(`html[data-badge="0"]`))
}
