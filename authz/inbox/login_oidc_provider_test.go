package inbox

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// realProvider starts npm's oidc-provider, if the environment says where it is:
//
//	EXEAT_OIDC=…/node_modules go test -run OIDCProvider ./authz/inbox
func realProvider(t *testing.T, inbox string) (issuer string) {
	t.Helper()
	modules := os.Getenv("EXEAT_OIDC")
	if modules == "" {
		t.Skip("EXEAT_OIDC names no folder of node modules")
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/oidc-provider.mjs", modules, inbox+callbackPath)
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
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "http://127.0.0.1:") {
			go func() { _, _ = io.Copy(io.Discard, out) }() // it must not block on what it says
			return lines.Text()
		}
	}
	t.Fatal("oidc-provider did not start")
	return ""
}

// atProvider has an inbox's people log in with the real provider, on real time.
func (s *site) atProvider(t *testing.T, issuer string, change func(*OIDCConfig)) {
	t.Helper()
	s.restart(func(c *approval.Config) { c.Now = nil })
	c := OIDCConfig{Issuer: issuer, ClientID: "exeat", Secret: func() string { return "a secret with / and : in it, of some length" },
		Scopes: []string{"email", "groups"}, Groups: "groups", Allowed: Allowed{Emails: []string{"alice@example.com"}}, StepUp: []string{"urn:two"}}
	if change != nil {
		change(&c)
	}
	var err error
	if s.inbox.c.OIDC, err = NewOIDC(s.inbox.c.URL, c); err != nil {
		t.Fatal(err)
	}
}

var interaction = regexp.MustCompile(`action="(/interaction/[^"]+)"`)

// through logs in at the provider without a browser, and returns where that
// ended and what was there.
func through(t *testing.T, b *http.Client, issuer, from string, form url.Values) (at string, page string, status int) {
	t.Helper()
	read := func(resp *http.Response, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		at, status = resp.Request.URL.String(), resp.StatusCode
		return string(text)
	}
	page = read(b.Get(from))
	if m := interaction.FindStringSubmatch(page); m != nil {
		page = read(b.PostForm(issuer+m[1], form))
	}
	return at, page, status
}

func TestOIDCProvider(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*OIDCConfig)
		again  bool
		form   url.Values
		want   string // of the page
		login  *store.Login
	}{
		"a confidential client": {nil, false, url.Values{"login": {"alice"}}, "Nothing waits for you", &store.Login{AMR: []string{"pwd"}}},
		"a public client": {func(c *OIDCConfig) { c.ClientID, c.Secret = "exeat-public", nil }, false, url.Values{"login": {"alice"}},
			"Nothing waits for you", &store.Login{AMR: []string{"pwd"}}},
		"with acr_values and max_age": {func(c *OIDCConfig) { c.ACR, c.MaxAge = []string{"urn:two"}, time.Hour }, false,
			url.Values{"login": {"alice"}, "factor": {"123456"}}, "Nothing waits for you", &store.Login{ACR: "urn:two", AMR: []string{"pwd", "otp", "mfa"}, AuthTime: time.Now()}},
		"anew":                     {nil, true, url.Values{"login": {"alice"}, "factor": {"123456"}}, "Nothing waits for you", &store.Login{ACR: "urn:two", AMR: []string{"pwd", "otp", "mfa"}, AuthTime: time.Now()}},
		"anew, without the factor": {nil, true, url.Values{"login": {"alice"}}, "did not sign you in as it was asked to", nil},
		"somebody else":            {nil, false, url.Values{"login": {"mallory"}}, "not among those", nil},
		"cancelled":                {nil, false, url.Values{"login": {""}}, "did not let you in", nil},
		"a wrong secret":           {func(c *OIDCConfig) { c.Secret = func() string { return "wrong" } }, false, url.Values{"login": {"alice"}}, "cannot be relied on", nil},
		"named by mail":            {func(c *OIDCConfig) { c.Subject = "email" }, false, url.Values{"login": {"alice"}}, "alice@example.com", &store.Login{AMR: []string{"pwd"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			issuer := realProvider(t, s.inbox.c.URL)
			s.atProvider(t, issuer, tt.change)
			s.inbox.c.Trouble = func(err error) { t.Log(err) }
			jar, err := cookiejar.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			from := s.inbox.c.URL + oidcLink("/", tt.again)
			_, page, status := through(t, &http.Client{Jar: jar}, issuer, from, tt.form)
			if (status == 200) != (tt.login != nil) || !strings.Contains(page, tt.want) {
				t.Fatalf("%d %s", status, page)
			}
			got := loginEntry(t, s)
			near := cmp.Comparer(func(a, b time.Time) bool { return a.IsZero() == b.IsZero() && a.Sub(b).Abs() < time.Hour })
			if d := cmp.Diff(tt.login, got, near); d != "" {
				t.Errorf("the entry (-want +got):\n%s", d)
			}
		})
	}
}

// loginEntry is what the log says of the last login; nil if there is none.
func loginEntry(t *testing.T, s *site) (login *store.Login) {
	t.Helper()
	if err := s.DB.Entries(t.Context(), 0, func(e store.Entry) error {
		if e.Kind == store.KindLogin {
			login = e.Login
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return login
}

// One person's day, in a real browser: log in, sign in again for a call that
// wants it, approve it, get a passkey, and approve the next call with that.
func TestOIDCProviderInChromium(t *testing.T) {
	s, ctx := keyed(t, freshPerson)
	issuer := realProvider(t, s.inbox.c.URL)
	s.atProvider(t, issuer, nil)
	h := s.open(call(alice, "k1"))
	hold := s.inbox.c.URL + "/h/" + h.ID
	enter := func(button string, factor bool) {
		t.Helper()
		steps := []chromedp.Action[chromedp.Void]{chromedp.Click(button), chromedp.WaitVisible("#login"), chromedp.SendKeys("#login", "alice")}
		if factor {
			steps = append(steps, chromedp.SendKeys("#factor", "123456"))
		}
		browse(t, ctx, append(steps, chromedp.Click("#enter"), chromedp.WaitVisible(".me"))...)
	}
	browse(t, ctx, chromedp.Navigate(hold))
	enter(`a.primary[href^="/login/oidc"]`, false)
	isAt(t, ctx, hold)
	enter(`a.primary[href^="/login/oidc?again=1"]`, true)
	isAt(t, ctx, hold)
	browse(t, ctx, meansIt, chromedp.Click("form.approve button"), chromedp.WaitVisible("div.outcome"))
	got, _, err := approval.ApprovalOf(s.Stored(h.ID))
	if err != nil {
		t.Fatal(err)
	}
	if got.By.ID != "alice" || got.By.ACR != "urn:two" || time.Since(got.By.AuthTime) > time.Hour || strings.Join(got.AMR, " ") != "pwd otp mfa" {
		t.Errorf("approved by %+v, %v", got.By, got.AMR)
	}
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/passkeys"), chromedp.SendKeys("#name", "laptop"), chromedp.Click("main form button.primary"), chromedp.WaitVisible("main table"))
	// Who has one adds another only after signing in with it, as the same person.
	browse(t, ctx, chromedp.Click(`form[action="/login/passkey"] button`), chromedp.WaitVisible("#name"))
	next := s.open(call(alice, "k2"))
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+next.ID), chromedp.Click("form.approve button"), chromedp.WaitVisible("div.outcome"))
	if got, _, err = approval.ApprovalOf(s.Stored(next.ID)); err != nil || !got.PhishingResistant || got.By.ACR != "urn:two" {
		t.Errorf("approved by %+v, %v", got, err)
	}
}

// freshPerson is as freshOwner, with what the real provider says.
const freshPerson = `permit (principal, action in Action::"call_tool", resource) when { context has approval };
  permit (principal, action == Action::"approve", resource) when { resource.requester == principal && principal has acr && principal.acr == "urn:two" &&
  principal has auth_time && context.now.durationSince(principal.auth_time) <= duration("30m") };`

// isAt checks which page the browser is on.
func isAt(t *testing.T, ctx context.Context, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil || got != want {
		t.Fatalf("the browser is at %q (%v), want %q", got, err, want)
	}
}
