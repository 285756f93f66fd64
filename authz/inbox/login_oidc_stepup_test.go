package inbox

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/store"
)

// fresh lets people decide who have logged in strongly, and just now.
const fresh = ` && principal has acr && principal.acr == "urn:three" && principal has auth_time &&
  context.now.durationSince(principal.auth_time) <= duration("5m") };`

const (
	freshOwner = `permit (principal, action == Action::"approve", resource) when { resource.requester == principal` + fresh
	freshOther = `permit (principal, action == Action::"approve", resource) when { resource.requester != principal` + fresh
)

// decide posts a verdict from the hold's page.
func (s *oidcSite) decide(b *agent, h store.Hold, verdict string) *http.Response {
	s.T.Helper()
	m := csrfField.FindStringSubmatch(b.get(s.inbox.c.URL + "/h/" + h.ID).body)
	if m == nil {
		s.T.Fatal("no form on the page")
	}
	resp, err := b.PostForm(s.inbox.c.URL+"/h/"+h.ID, url.Values{"csrf": {m[1]}, "digest": {h.Digest}, "verdict": {verdict}, "sure": {"yes"}})
	if err != nil {
		s.T.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func TestOIDCStepUp(t *testing.T) {
	s := newOIDCSite(t, func(c *OIDCConfig) { c.StepUp = []string{"urn:three"} }, approvaltest.Waits, freshOwner)
	b := newAgent(t)
	s.enter(b, "")
	h := s.open(call(alice, "k"))
	if a := b.get(s.inbox.c.URL + "/"); !strings.Contains(a.body, "you decide after signing in again") || strings.Contains(a.body, "Calls of others") {
		t.Errorf("the list: %s", a.body)
	}
	link := "/login/oidc?again=1&amp;back=%2Fh%2F" + h.ID
	a := b.get(s.inbox.c.URL + "/h/" + h.ID)
	if a.status != 200 || !strings.Contains(a.body, `href="`+link+`"`) || strings.Contains(a.body, "Approve once") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if resp := s.decide(b, h, "approve"); resp.StatusCode != 403 || s.Stored(h.ID).State != store.Pending {
		t.Errorf("approved as it stands: %d", resp.StatusCode)
	}
	for name, claims := range map[string]map[string]any{
		"not stronger":      {"acr": "urn:two"},
		"no acr":            {"acr": nil},
		"not anew":          {"acr": "urn:three", "auth_time": s.Clock().Add(-2 * time.Minute).Unix()},
		"nobody knows when": {"acr": "urn:three", "auth_time": nil},
	} {
		s.issuer.claims = claims
		a := b.get(s.begin(b, "again=1&back=%2Fh%2F"+h.ID))
		if a.status != 403 || !strings.Contains(a.body, "did not sign you in as it was asked to") || !strings.Contains(a.body, `href="/h/`+h.ID+`"`) || !strings.Contains(a.body, `href="`+link+`"`) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if a := b.get(s.inbox.c.URL + "/h/" + h.ID); a.status != 200 || strings.Contains(a.body, "Approve once") {
			t.Errorf("%s: the page is then %d %s", name, a.status, a.body)
		}
	}
	s.issuer.claims = map[string]any{"acr": "urn:three"}
	callback := s.begin(b, "again=1&back=%2Fh%2F"+h.ID)
	for name, want := range map[string]string{"acr_values": "urn:three", "max_age": "0", "prompt": "login"} {
		if got := s.issuer.asked.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a := b.get(callback); a.status != 303 || a.header.Get("Location") != "/h/"+h.ID {
		t.Fatalf("%d to %q", a.status, a.header.Get("Location"))
	}
	if n := len(s.inbox.logins.of("User::alice", s.Clock())); n != 1 {
		t.Errorf("%d logins: the weaker one goes on", n)
	}
	// It does not stay fresh.
	s.Pass(6 * time.Minute)
	if resp := s.decide(b, h, "approve"); resp.StatusCode != 403 {
		t.Errorf("approved by a login that is not fresh any more: %d", resp.StatusCode)
	}
	s.issuer.claims = map[string]any{"acr": "urn:three"}
	s.enter(b, "again=1")
	if resp := s.decide(b, h, "approve"); resp.StatusCode != 303 || s.Stored(h.ID).State != store.Approved {
		t.Errorf("not approved: %d", resp.StatusCode)
	}
}

// Who could decide a call of somebody else after a better login learns that it
// is there, and nothing else of it. Who could not does not learn even that.
func TestOIDCStepUpOfAnother(t *testing.T) {
	s := newOIDCSite(t, nil, approvaltest.Waits, freshOther)
	h := s.open(call(alice, "k"))
	b := newAgent(t)
	s.issuer.claims = map[string]any{"sub": "bob"}
	s.enter(b, "")
	a := b.get(s.inbox.c.URL + "/h/" + h.ID)
	if a.status != 403 || !strings.Contains(a.body, "only after signing in again") || !strings.Contains(a.body, "again=1&amp;back=%2Fh%2F"+h.ID) || strings.Contains(a.body, "pet") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.get(s.inbox.c.URL + "/"); !strings.Contains(a.body, "Calls of others wait") || !strings.Contains(a.body, "again=1&amp;back=%2F\"") || strings.Contains(a.body, "pet") {
		t.Errorf("the list: %s", a.body)
	}
	s.issuer.claims["acr"] = "urn:three"
	s.enter(b, "again=1")
	if a := b.get(s.inbox.c.URL + "/h/" + h.ID); a.status != 200 || !strings.Contains(a.body, "Approve once") {
		t.Errorf("%d %s", a.status, a.body)
	}
	own := newOIDCSite(t, nil, freshOwner)
	b = newAgent(t)
	own.issuer.claims = map[string]any{"sub": "bob"}
	own.enter(b, "")
	h = own.open(call(alice, "k"))
	if a := b.get(own.inbox.c.URL + "/"); strings.Contains(a.body, "Calls of others") {
		t.Errorf("the list tells of calls that are none of bob's: %s", a.body)
	}
	there, missing := b.get(own.inbox.c.URL+"/h/"+h.ID), b.get(own.inbox.c.URL+"/h/hold_"+strings.Repeat("a", 26))
	if there.status != 404 || there.body != missing.body {
		t.Errorf("%d and %d:\n%s", there.status, missing.status, there.body)
	}
}

// Where only a passkey helps, the issuer is not asked.
func TestOIDCStepUpByPasskey(t *testing.T) {
	s := newOIDCSite(t, nil, `permit (principal, action == Action::"approve", resource) when { resource.requester == principal && context.approval.phishing_resistant };`)
	var err error
	if s.inbox.passkeys, err = approval.NewPasskeys(s.Service, "http://localhost:1"); err != nil {
		t.Fatal(err)
	}
	s.issuer.claims = map[string]any{"acr": "phr", "amr": []string{"hwk", "pop", "user"}}
	b := newAgent(t)
	s.enter(b, "")
	a := b.get(s.inbox.c.URL + "/h/" + s.open(call(alice, "k")).ID)
	if !strings.Contains(a.body, `href="/passkeys"`) || !strings.Contains(a.body, "only with a passkey") || strings.Contains(a.body, "again=1") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
