package inbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pageProbe presses the button and goes on to /seen with what the page then
// says.
const pageProbe = `
new MutationObserver(() => { location.href = '/seen/page?' + encodeURIComponent(told.textContent); }).observe(told, { childList: true });
form.requestSubmit();`

// workerProbe is a push service and a person for the worker: it hands messages in
// and clicks on what is shown.
const workerProbe = `
const log = [];
self.registration.showNotification = async (title, options) => { log.push({ title, ...options }); };
self.clients.openWindow = async (href) => { log.push(href); };
const wait = async (event) => { const all = []; event.waitUntil = (p) => all.push(p); self.dispatchEvent(event); await Promise.all(all); };
const push = (text) => { const e = new Event('push'); e.data = { json: () => JSON.parse(text) }; return wait(e); };
const click = (path) => { const e = new Event('notificationclick'); e.notification = { data: path, close() {} }; return wait(e); };
self.addEventListener('activate', (event) => event.waitUntil((async () => {
  await push('{"title":"exeat: a call waits for you","text":"<b>x</b>","path":"/h/hold_abcdefghijklmnopqrstuvwxyz","tag":"msg_1"}');
  await push('no JSON');
  for (const path of ['/h/hold_abcdefghijklmnopqrstuvwxyz', '/', '//evil.example', 'https://evil.example/', '/h/hold_x/../../logout', 'javascript:alert(1)', null]) await click(path);
  await fetch('/seen/worker', { method: 'POST', body: JSON.stringify(log) });
})()));`

// The page and the worker do in a real browser what they should, under the
// policies that they are served with, and a click leads nowhere but to the inbox.
func TestPushInChromium(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("there is no chromium here")
	}
	s := pushSite(t)
	seen := make(chan [2]string, 10)
	inbox, err := url.Parse(s.inbox.c.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(inbox)
		r.Out.Header.Set("Cookie", s.cookie)
	}, ModifyResponse: func(r *http.Response) error {
		switch r.Request.URL.Path {
		case "/push/page.js":
			return add(r, pageProbe)
		case "/push/worker.js":
			r.Header.Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'") // for the probe
			return add(r, workerProbe)
		}
		return nil
	}}
	var came atomic.Bool
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came.Store(true)
		what, ok := strings.CutPrefix(r.URL.Path, "/seen/")
		if !ok {
			proxy.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		query, _ := url.QueryUnescape(r.URL.RawQuery)
		seen <- [2]string{what, query + string(body)}
	}))
	defer front.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	profile, err := os.MkdirTemp("", "exeat-chromium-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) }) // its processes may still write there
	cmd := exec.CommandContext(ctx, chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--user-data-dir="+profile, "--remote-debugging-port=0", front.URL+"/push")
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, 10*time.Second
	if err := cmd.Start(); err != nil {
		t.Skipf("chromium does not work here: %v", err)
	}
	defer func() { cancel(); cmd.Wait() }()
	got := map[string]string{}
	for len(got) < 2 {
		select {
		case m := <-seen:
			got[m[0]] = m[1]
		case <-ctx.Done():
			if !came.Load() {
				t.Skip("chromium does not work here: it asked for nothing")
			}
			t.Fatalf("the browser said only %q", got)
		}
	}
	// There is no push service for a browser without a network.
	if !strings.HasPrefix(got["page"], "This browser did not subscribe: ") || strings.Contains(got["page"], "active Service Worker") {
		t.Errorf("the page says %q", got["page"])
	}
	var log []any
	if err := json.Unmarshal([]byte(got["worker"]), &log); err != nil {
		t.Fatal(err)
	}
	hold := "/h/hold_abcdefghijklmnopqrstuvwxyz"
	want := []string{
		"map[body:<b>x</b> data:" + hold + " requireInteraction:true tag:msg_1 title:exeat: a call waits for you]",
		"map[body: data:/ requireInteraction:true tag:exeat title:exeat: calls wait for you]",
		front.URL + hold, front.URL + "/", front.URL + "/", front.URL + "/", front.URL + "/", front.URL + "/", front.URL + "/",
	}
	for i, w := range want {
		if i >= len(log) || fmt.Sprint(log[i]) != w {
			t.Fatalf("step %d of %v, want %s", i, log, w)
		}
	}
}

// add writes more at the end of a script.
func add(r *http.Response, more string) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	b = append(b, more...)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	r.Header.Set("Content-Length", fmt.Sprint(len(b)))
	return nil
}
