package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestBrowserClient has two web pages that speak MCP in a real browser: one whose
// origin is named, and one whose is not.
func TestBrowserClient(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("there is no chromium here")
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>an agent</title>")
	})
	named, other := httptest.NewServer(page), httptest.NewServer(page)
	defer named.Close()
	defer other.Close()
	s, _ := startConfig(t, t.TempDir(), fmt.Sprintf("listen: 127.0.0.1:0\norigins: ['%s']\ninbox: {listen: '127.0.0.1:0'}\n", named.URL))

	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-dev-shm-usage", true))
	browser, cancel := chromedp.NewExecAllocator(t.Context(), flags...)
	defer cancel()
	browser, cancel = chromedp.NewContext(browser)
	defer cancel()
	browser, cancel = context.WithTimeout(browser, 2*time.Minute)
	defer cancel()
	if err := chromedp.Do(browser, chromedp.Navigate(named.URL)); err != nil {
		t.Skipf("chromium does not work here: %v", err)
	}
	speak := func(from, auth string) string {
		t.Helper()
		script := fmt.Sprintf(`(async () => {
			try {
				const r = await fetch(%q, {method: "POST",
					headers: {"Authorization": %q, "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2025-11-25"},
					body: JSON.stringify({jsonrpc: "2.0", id: 1, method: "initialize", params: {protocolVersion: "2025-11-25", capabilities: {}, clientInfo: {name: "page", version: "1"}}})});
				return r.status + " session=" + (r.headers.get("Mcp-Session-Id") || "").slice(0, 4) + " auth=" + (r.headers.get("WWW-Authenticate") || "").slice(0, 6);
			} catch (e) { return "refused by the browser" }
		})()`, s.url, auth)
		if err := chromedp.Do(browser, chromedp.Navigate(from)); err != nil {
			t.Fatal(err)
		}
		got, err := chromedp.Run(browser, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, tt := range []struct{ name, from, auth, want string }{
		{"a named page", named.URL, s.auth, "200 session=mcp_ auth="},
		{"without a token it learns where to get one", named.URL, "", "401 session= auth=Bearer"},
		{"another page", other.URL, s.auth, "refused by the browser"},
		{"the same, by another name", strings.Replace(named.URL, "127.0.0.1", "localhost", 1), s.auth, "refused by the browser"},
	} {
		if got := speak(tt.from, tt.auth); got != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}
