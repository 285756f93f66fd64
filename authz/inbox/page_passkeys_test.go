package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// keyed is an inbox on localhost with a real browser in front of it, which has a
// virtual authenticator.
func keyed(t *testing.T, policies ...string) (*site, context.Context) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("there is no chromium here")
	}
	srv := httptest.NewUnstartedServer(nil)
	_, port, _ := strings.Cut(srv.Listener.Addr().String(), ":")
	s := siteAt(t, "http://localhost:"+port, policies...)
	s.serve(srv)
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), flags...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, webauthn.Enable, webauthn.EnableParams{})
		return err
	})); err != nil {
		t.Skipf("chromium does not work here: %v", err)
	}
	err = chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	return s, ctx
}

// browse does things in the browser. Going to a page is tried again if the page that
// was left reloaded itself at that moment, which Chromium answers by going nowhere.
func browse(t *testing.T, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, action := range actions {
		err := chromedp.Do(ctx, action)
		if err != nil && strings.Contains(err.Error(), "net::ERR_ABORTED") {
			err = chromedp.Do(ctx, action)
		}
		if err == nil {
			continue
		}
		body, _ := chromedp.Run(context.WithoutCancel(ctx), chromedp.InnerHTML("body"))
		t.Fatalf("%v; the page is %s", err, body)
	}
}

// logOut follows the button to the page that it leads to, and waits until that has
// loaded: before its script runs, its buttons do something else.
func logOut(t *testing.T, ctx context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(`details.me summary`), chromedp.Click(`form[action="/logout"] button`)); err != nil {
		t.Fatal(err)
	}
}

// enrol logs in by link and adds the first passkey.
func (s *site) enrol(ctx context.Context) {
	s.T.Helper()
	t := s.T.(*testing.T)
	browse(t, ctx, chromedp.Navigate(s.inbox.LoginLink()), chromedp.Click(`form[action="/login"] button`), chromedp.WaitVisible(`details.me`),
		chromedp.Navigate(s.inbox.c.URL+"/passkeys"), chromedp.SendKeys("#name", "a phone"), chromedp.Click(`form[data-make] button`), chromedp.WaitVisible(`//h2[text()="Yours"]`))
}

func TestPasskeyInChromium(t *testing.T) {
	s, ctx := keyed(t)
	s.enrol(ctx)
	// Sign in with it.
	logOut(t, ctx)
	browse(t, ctx, chromedp.Click(`form[action="/login/passkey"] button`), chromedp.WaitVisible(`details.me`))
	// Approve with it.
	first, second := s.open(call(alice, "first")), s.open(call(alice, "second"))
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+first.ID), chromedp.Click(`form.approve button`), chromedp.WaitVisible(`.outcome.approved`))
	stored := s.Stored(first.ID)
	if stored.State != store.Approved || len(stored.Approval.Signed) == 0 || strings.Join(stored.Approval.AMR, " ") != strings.Join([]string{"mfa", "pop", "user"}, " ") {
		t.Fatalf("%s, %+v", stored.State, stored.Approval)
	}
	var signed approval.Signed
	if err := json.Unmarshal(stored.Approval.Signed, &signed); err != nil {
		t.Fatal(err)
	}
	who := approval.Person{Principal: alice, AMR: []string{"otp"}}
	approve := func(h store.Hold, signed *approval.Signed) error {
		_, err := s.Decide(t.Context(), who, h.ID, approval.Verdict{Approve: true, Digest: h.Digest, Signed: signed})
		return err
	}
	// A login alone approves nothing any more, nor does the signature of another
	// call, of another inbox, of another choice or time.
	if err := approve(second, nil); !errors.Is(err, approval.ErrNeedPasskey) {
		t.Errorf("without a passkey: %v", err)
	}
	for name, change := range map[string]func(*approval.Signed){
		"of another call":  func(*approval.Signed) {},
		"of another time":  func(s *approval.Signed) { s.Until = s.Until.Add(time.Second) },
		"of another inbox": func(s *approval.Signed) { s.Origin = "https://evil.example" },
		"of no choice":     func(s *approval.Signed) { s.Choice = "always" },
		"of nothing":       func(s *approval.Signed) { s.Answer = json.RawMessage(`{}`) },
	} {
		x := signed
		change(&x)
		if err := approve(second, &x); !errors.Is(err, approval.ErrPasskey) {
			t.Errorf("with a signature %s: %v", name, err)
		}
	}
	if s.Stored(second.ID).State != store.Pending {
		t.Error("it is decided")
	}
	// Before the send it is checked again: with the key that is still good.
	if h, err := s.Claim(t.Context(), []string{first.API}, anyHold, "us", time.Minute); err != nil || h.ID != first.ID {
		t.Errorf("claim: %v", err)
	}
	entries := 0
	if err := s.DB.Chain(t.Context(), first.Txn, func(e store.Entry) error {
		if e.Kind == store.KindApprove && len(e.Signed) > 0 {
			entries++
		}
		return nil
	}); err != nil || entries != 1 {
		t.Errorf("%d entries with the signature, %v", entries, err)
	}
	// What a page of an earlier time signed is too late now.
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+second.ID), chromedp.WaitVisible(`form.approve button`))
	s.Pass(approval.DecisionLife + time.Second)
	browse(t, ctx, chromedp.Click(`form.approve button`), chromedp.WaitVisible(`p.error[role=alert]`))
	if s.Stored(second.ID).State != store.Pending {
		t.Error("a late signature approves")
	}
}

// A key that is revoked between the approval and the send, or was changed in the
// database, sends nothing.
func TestPasskeyIsCheckedBeforeTheSend(t *testing.T) {
	for name, spoil := range map[string]func(*site, store.Passkey){
		"revoked":   func(s *site, k store.Passkey) { s.revoke(k) },
		"taken out": func(s *site, k store.Passkey) { s.SQL("DELETE FROM passkeys") },
		"given to another": func(s *site, k store.Passkey) {
			s.SQL("UPDATE passkeys SET person = 'User::bob'")
		},
		"changed": func(s *site, k store.Passkey) {
			s.SQL("UPDATE passkeys SET credential = replace(CAST(credential AS TEXT), 'signCount', 'signcount')")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, ctx := keyed(t)
			s.enrol(ctx)
			h := s.open(call(alice, "k"))
			browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.Click(`form.approve button`), chromedp.WaitVisible(`.outcome.approved`))
			keys, err := s.PasskeysOf(t.Context(), "User::alice")
			if err != nil || len(keys) != 1 {
				t.Fatal(keys, err)
			}
			spoil(s, keys[0])
			if _, err := s.Claim(t.Context(), []string{h.API}, anyHold, "us", time.Minute); !errors.Is(err, approval.ErrForbidden) {
				t.Errorf("claim: %v", err)
			}
			if got := s.Stored(h.ID).State; got != store.Refused {
				t.Errorf("the hold is %s", got)
			}
		})
	}
}

func (s *site) revoke(k store.Passkey) {
	s.T.Helper()
	if err := s.RevokePasskey(s.T.Context(), k.Person, k.ID, "User::alice"); err != nil {
		s.T.Fatal(err)
	}
}

// A policy can want a passkey, whoever has none.
func TestPolicyWantsAPasskey(t *testing.T) {
	s, ctx := keyed(t, `permit (principal, action in Action::"read", resource);
permit (principal, action, resource) when { context has approval && context.approval.phishing_resistant };
permit (principal, action == Action::"approve", resource) when { context.approval.phishing_resistant };`)
	h := s.open(call(alice, "k"))
	weak := approval.Person{Principal: alice, AMR: []string{"otp"}}
	if _, err := s.Decide(t.Context(), weak, h.ID, approval.Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, approval.ErrForbidden) {
		t.Errorf("without a passkey: %v", err)
	}
	s.enrol(ctx)
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID), chromedp.Click(`form.approve button`), chromedp.WaitVisible(`.outcome.approved`))
}

// Another key needs a login by the first; a stolen session gets rid of none.
func TestMorePasskeys(t *testing.T) {
	s, ctx := keyed(t)
	s.enrol(ctx)
	s.login()
	if a := s.get("/passkeys"); a.status != http.StatusOK || strings.Contains(a.body, "data-make") {
		t.Error("a login by link is offered another passkey")
	}
	keys, err := s.PasskeysOf(t.Context(), "User::alice")
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	for path, form := range map[string]url.Values{
		"/passkeys":                           {"csrf": {s.csrf}, "name": {"mine"}, "answer": {"{}"}},
		"/passkeys/" + keys[0].ID + "/revoke": {"csrf": {s.csrf}},
		"/login/passkey":                      {"answer": {`{"id":"x"}`}},
	} {
		if a := s.post(path, form); a.status != http.StatusForbidden {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	h := s.open(call(alice, "k"))
	form := s.form(h, "approve")
	if a := s.post("/h/"+h.ID, form); a.status != http.StatusForbidden || s.Stored(h.ID).State != store.Pending {
		t.Errorf("a login by link approves: %d", a.status)
	}
	form.Set("answer", `{"id":"x"}`)
	form.Set("until", strconv.FormatInt(s.Clock().Add(time.Minute).Unix(), 10))
	if a := s.post("/h/"+h.ID, form); a.status != http.StatusForbidden || s.Stored(h.ID).State != store.Pending {
		t.Errorf("a made-up signature approves: %d", a.status)
	}
	if a := s.post("/h/"+h.ID, s.form(h, "deny")); a.status != http.StatusSeeOther || s.Stored(h.ID).State != store.Denied {
		t.Errorf("a login by link cannot deny: %d", a.status)
	}
}

func TestNoPasskeysByAddress(t *testing.T) {
	for origin, good := range map[string]bool{"http://127.0.0.1:8421": false, "http://inbox.example": false, "http://localhost:8421": true, "https://inbox.example": true, "https://10.0.0.1": false} {
		if _, err := approval.NewPasskeys(&approval.Service{}, origin); (err == nil) != good {
			t.Errorf("%s: %v", origin, err)
		}
	}
}
