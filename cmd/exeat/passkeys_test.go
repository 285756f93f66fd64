package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/tools"
)

// The whole way: an agent's call over HTTP is held, a person signs it with a
// passkey in a browser, the API gets it once, and the agent its answer. What the
// log says of it can be checked elsewhere.
func TestPasskeyFromAgentToAPI(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("there is no chromium here")
	}
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	shop := &counter{next: petstore.New()}
	api := httptest.NewServer(shop)
	defer api.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file("petstore.yaml", string(petstore.Document))
	inbox := fmt.Sprintf("http://localhost:%d", port)
	config := file("exeat.yaml", fmt.Sprintf("apis: [{spec: petstore.yaml, base_url: '%s'}]\nuser: alice\nlisten: '127.0.0.1:0'\ninbox: {listen: '127.0.0.1:%d', url: '%s'}\n", api.URL, port, inbox))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	printed := &watched{want: regexp.MustCompile(`(?s)log in once, as alice, with (\S+).*MCP at (\S+) with a bearer token, kept in (\S+)/bearer\.secret|MCP at (\S+) with a bearer token, kept in (\S+)/bearer\.secret.*log in once, as alice, with (\S+)`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"http", "--config", config}, strings.NewReader(""), printed, printed)
	}()
	var m []string
	select {
	case m = <-printed.found:
	case code := <-ended:
		t.Fatalf("ended with %d: %s", code, printed.text.String())
	}
	link, url, bearer := m[1]+m[6], m[2]+m[4], bearerIn(t, m[3]+m[5])
	agent, err := client.NewStreamableHttpClient(url, transport.WithHTTPHeaders(map[string]string{"Authorization": bearer}))
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion, hello.Params.ClientInfo = "2025-11-25", mcp.Implementation{Name: "test-agent", Version: "1"}
	if err := agent.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Initialize(ctx, hello); err != nil {
		t.Fatal(err)
	}
	call := func(tool string, args any) (e tools.Envelope) {
		t.Helper()
		var q mcp.CallToolRequest
		q.Params.Name, q.Params.Arguments = tool, args
		res, err := agent.CallTool(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(res.StructuredContent)
		if err == nil {
			err = json.Unmarshal(b, &e)
		}
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	pending := call("delete_pet", map[string]any{"petId": 1, "exeat_reason": "it was asked for"})
	if pending.Status != tools.Pending || !strings.HasPrefix(pending.ApprovalURL, inbox+"/h/") {
		t.Fatalf("%+v", pending)
	}

	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-dev-shm-usage", true))
	browser, cancel := chromedp.NewExecAllocator(t.Context(), flags...)
	defer cancel()
	browser, cancel = chromedp.NewContext(browser)
	defer cancel()
	browser, cancel = context.WithTimeout(browser, 2*time.Minute)
	defer cancel()
	if err := chromedp.Do(browser, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		if _, err := cdp.Call(ctx, tab, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
		return err
	})); err != nil {
		t.Skipf("chromium does not work here: %v", err)
	}
	if err := chromedp.Do(browser, chromedp.Navigate(link), chromedp.Click(`form[action="/login"] button`), chromedp.WaitVisible(`details.me`),
		chromedp.Navigate(inbox+"/passkeys"), chromedp.SendKeys("#name", "a phone"), chromedp.Click(`form[data-make] button`), chromedp.WaitVisible(`//h2[text()="Yours"]`),
		chromedp.Navigate(pending.ApprovalURL), chromedp.WaitVisible(`.before`), chromedp.Click(`#must-fields summary`), chromedp.Click(`form.approve button:not([disabled])`), chromedp.WaitVisible(`.outcome.done`)); err != nil {
		t.Fatal(err)
	}
	if done := call("exeat_resume", map[string]any{"handle": pending.Handle, "wait_seconds": 20}); done.Status != tools.Done || done.HTTPStatus != 204 || shop.writes.Load() != 1 {
		t.Errorf("%+v, %d writes", done, shop.writes.Load())
	}
	code, pins := exeat(t, "", "passkeys", "export")
	if code != 0 {
		t.Fatal(code, pins)
	}
	if code, out := exeat(t, "", "audit", "verify", "--passkeys", file("pinned.json", pins)); code != 0 || !strings.Contains(out, "1 approvals are signed by pinned passkeys, 0 are not signed") {
		t.Error(code, out)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("ended with %d", code)
	}
}
