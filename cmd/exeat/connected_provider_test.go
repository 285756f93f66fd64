package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/exeat/exeat/tools"
)

// newProviderWorld is a gateway whose API takes tokens of npm's oidc-provider, if the
// environment says where that is.
func newProviderWorld(t *testing.T) (w *connectedWorld, issuer string) {
	t.Helper()
	modules := os.Getenv("EXEAT_OIDC")
	if modules == "" {
		t.Skip("EXEAT_OIDC names no folder of node modules")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // the server has to know the inbox before it runs
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(t.Context(), "node", "testdata/login-server.mjs", modules, "http://"+listen+"/connect/callback/petstore")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // which says that it was killed
	})
	for lines := bufio.NewScanner(out); issuer == "" && lines.Scan(); {
		issuer = regexp.MustCompile(`^http://127\.0\.0\.1:\d+$`).FindString(lines.Text())
	}
	if issuer == "" {
		t.Fatal("oidc-provider did not start")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // it must not block on what it says
	t.Setenv("CONNECTED_SECRET", "a secret with / and : in it, of some length")
	return newConnectedWorld(t, listen, issuer+"/auth", issuer+"/token",
		"{strategy: connected, client_id: exeat, env: CONNECTED_SECRET, issuer: '"+issuer+"', revoke_url: '"+issuer+"/token/revocation', connected: {always: [openid, offline_access], params: {prompt: consent}}}",
		func(bearer string) string { return introspected(t, issuer, bearer) }), issuer
}

// introspected is what a token is for, as its server says.
func introspected(t *testing.T, issuer, bearer string) string {
	r, err := http.NewRequest(http.MethodPost, issuer+"/token/introspection", strings.NewReader(url.Values{"token": {bearer}}.Encode()))
	if err != nil {
		t.Error(err)
		return ""
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("exeat", url.QueryEscape("a secret with / and : in it, of some length"))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	var said struct {
		Active     bool
		Scope, Sub string
	}
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || !said.Active {
		t.Errorf("the API got a token that is not good: %v", err)
	}
	return said.Scope + " of " + said.Sub
}

var interactionOf = regexp.MustCompile(`action="(/interaction/[^"]+)"`)

// A real server that takes each refresh token once, and ends them all if one comes
// twice: connect, call, connect more, many calls at once, disconnect.
func TestConnectedProvider(t *testing.T) {
	w, issuer := newProviderWorld(t)
	as := func(name string) func(string) string {
		return func(page string) string {
			if m := interactionOf.FindStringSubmatch(page); m != nil {
				page = w.read(w.browser.PostForm(issuer+m[1], url.Values{"login": {name}, "verdict": {"enter"}}))
			}
			if !strings.Contains(page, name+"@example.com") {
				t.Fatalf("the page does not say whose account it is:\n%s", page)
			}
			return page
		}
	}
	read := w.held("get_pet", "has to be connected first")
	w.connect(read, "pets:read", as("ann"))
	if res := w.call("get_pet"); res.Envelope.Status != tools.Done {
		t.Fatalf("%s", res.JSON())
	}
	if saw := w.seen(); saw != "GET pets:read of ann" {
		t.Errorf("the API saw %s", saw)
	}
	write := w.held("delete_pet", "connect more")
	w.connect(write, "pets:write", as("ann"))
	if err := w.approve(write); err != nil {
		t.Fatal(err)
	}
	if res := w.g.runner.Resume(t.Context(), terminal(w.g.cfg), write, tools.MaxWait, ""); res.Envelope.Status != tools.Done {
		t.Errorf("%s", res.JSON())
	}
	if saw := w.seen(); saw != "DELETE pets:write of ann" {
		t.Errorf("the API saw %s", saw)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if res := w.call("get_pet"); res.Envelope.Status != tools.Done {
				t.Errorf("%s", res.JSON())
			}
		})
	}
	all.Wait()
	if saw := w.seen(); strings.Count(saw, "GET pets:read of ann") != 8 {
		t.Errorf("the API saw %s", saw)
	}
	w.post("/connect/petstore/disconnect", url.Values{"csrf": {w.find(csrfOf, w.get("/permissions"))}})
	w.held("get_pet", "has to be connected first")
}

// The same with a real browser, whose pages are kept where EXEAT_SHOTS says.
func TestConnectedProviderInChromium(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("there is no chromium here")
	}
	w, _ := newProviderWorld(t)
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), flags...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	b := connectedBrowser{t, ctx}
	b.do(chromedp.Navigate(w.g.inbox.LoginLink()), chromedp.Click("main form button"), chromedp.WaitVisible(".me"))
	hold := w.held("delete_pet", "has to be connected first")
	b.do(chromedp.Navigate(w.g.inbox.HoldURL(hold)), chromedp.WaitVisible("section.decide a.primary"))
	b.shoot("hold")
	b.do(chromedp.Click("section.decide a.primary"), chromedp.WaitVisible("fieldset"))
	b.shoot("connect")
	// Cancelled there first: what the server says of that stays text.
	b.do(chromedp.Click("form[action='/connect/petstore'] button"), chromedp.WaitVisible("#no"), chromedp.Click("#no"), chromedp.WaitVisible("p.error"))
	b.shoot("cancelled")
	b.do(chromedp.Click("form[action='/connect/petstore'] button"), chromedp.WaitVisible("#login"), chromedp.SendKeys("#login", "ann"), chromedp.Click("#enter"), chromedp.WaitVisible("button[value=connect]"))
	b.shoot("confirm")
	b.do(chromedp.Click("button[value=connect]"), chromedp.WaitVisible("form.approve button"))
	b.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('form.risk input[name=sure]').checked = true"), chromedp.Click("form.approve button"), chromedp.WaitVisible("div.outcome"))
	if res := w.g.runner.Resume(t.Context(), terminal(w.g.cfg), hold, tools.MaxWait, ""); res.Envelope.Status != tools.Done {
		t.Errorf("%s", res.JSON())
	}
	if saw := w.seen(); saw != "DELETE pets:write of ann" {
		t.Errorf("the API saw %s", saw)
	}
	b.do(chromedp.Navigate(w.g.inbox.URL()+"/permissions"), chromedp.WaitVisible("form[action='/connect/petstore/disconnect']"))
	b.shoot("permissions")
}

// connectedBrowser is a browser of a test.
type connectedBrowser struct {
	t   *testing.T
	ctx context.Context
}

func (b connectedBrowser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, action := range actions {
		if err := chromedp.Do(b.ctx, action); err != nil {
			body, _ := chromedp.Run(context.WithoutCancel(b.ctx), chromedp.InnerHTML("body"))
			b.t.Fatalf("%v; the page is %s", err, body)
		}
	}
}

// shoot keeps pictures of the page, as a phone and a desktop show it.
func (b connectedBrowser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("EXEAT_SHOTS")
	if dir == "" {
		return
	}
	for size, width := range map[string][2]int64{"phone": {390, 844}, "desktop": {1280, 800}} {
		b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			_, err := cdp.Call(ctx, tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width[0], Height: width[1], DeviceScaleFactor: 1, Mobile: width[0] < 500})
			return err
		}))
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+"-"+size+".png"), png, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}
