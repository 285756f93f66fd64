package inbox

import (
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

const ofFinance = `permit (principal, action in Action::"call_tool", resource) when {
	context has approvals.second && context.approvals.first.by in Group::"finance" && context.approvals.second.by in Group::"finance" };
permit (principal in Group::"finance", action == Action::"approve", resource);
permit (principal in Group::"team", action == Action::"see", resource) when { resource.requester == User::"alice" };`

// person logs somebody in at the provider, with a browser of their own.
func (s *oidcSite) person(t *testing.T, sub string, groups ...string) *agent {
	t.Helper()
	s.issuer.claims = map[string]any{"sub": sub, "groups": groups}
	b := newAgent(t)
	s.enter(b, "")
	return b
}

// page is the text of a page, and what the API says of a hold to the same browser.
func (s *oidcSite) page(b *agent, path string) (answer, string) {
	a := b.get(s.inbox.c.URL + path)
	return a, html.UnescapeString(a.body)
}

func (s *oidcSite) asJSON(t *testing.T, b *agent, id string) (v HoldView) {
	t.Helper()
	a := b.get(s.inbox.c.URL + "/api/holds/" + id)
	if err := json.Unmarshal([]byte(a.body), &v); a.status != 200 || err != nil {
		t.Errorf("the API: %d %s", a.status, a.body)
	}
	return v
}

// Two people of finance in two browsers let one call go, and nobody else sees or
// does anything about it but those whom the policies let.
func TestTwoPeople(t *testing.T) {
	s := newOIDCSite(t, nil, ofFinance)
	h, path := s.open(call(alice, "k")), ""
	path = "/h/" + h.ID
	bob, carol := s.person(t, "bob", "finance"), s.person(t, "carol", "finance")
	team, eve := s.person(t, "tom", "team"), s.person(t, "eve")

	if _, text := s.page(bob, path); !strings.Contains(text, "Another person has to approve it, too. Then exactly this request is sent") {
		t.Errorf("before any approval bob reads %s", text)
	}
	if resp := s.decide(bob, h, "approve"); resp.StatusCode != http.StatusSeeOther || s.Stored(h.ID).State != store.Pending {
		t.Fatalf("bob: %d, %s", resp.StatusCode, s.Stored(h.ID).State)
	}
	for name, tt := range map[string]struct {
		who        *agent
		has, hasNo string
		approving  string
	}{
		"who has approved":   {bob, "You have approved this call. It waits for another person", "Approve once", "twice"},
		"who is to approve":  {carol, "Approved by bob", "You have approved", "sends"},
		"who only looks":     {team, "The policies do not let you decide this call", "Approve once", ""},
		"the list, bob's":    {bob, "", "", "twice"},
		"the list, carol's":  {carol, "", "", "sends"},
		"the list, the team": {team, "", "", ""},
	} {
		a, text := s.page(tt.who, path)
		if a.status != 200 || !strings.Contains(text, tt.has) || tt.hasNo != "" && strings.Contains(text, tt.hasNo) {
			t.Errorf("%s: %d %s", name, a.status, text)
		}
		if _, list := s.page(tt.who, "/"); !strings.Contains(list, "approved by bob") {
			t.Errorf("%s: the list does not say who approved: %s", name, list)
		}
		v := s.asJSON(t, tt.who, h.ID)
		if v.Approving != tt.approving || len(v.Approvals) != 1 || v.Approvals[0].By != "User::bob" {
			t.Errorf("%s: the API says %q after %v", name, v.Approving, v.Approvals)
		}
	}
	there, missing := eve.get(s.inbox.c.URL+path), eve.get(s.inbox.c.URL+"/h/hold_"+strings.Repeat("a", 26))
	if there.status != 404 || there.body != missing.body {
		t.Errorf("eve sees that it is there: %d\n%s", there.status, there.body)
	}
	for _, path := range []string{"/", "/api/holds", "/several?like=" + h.ID, "/api/holds/" + h.ID, "/activity", "/live?hold=" + h.ID, path + "/grant?kind=grant"} {
		if a := eve.get(s.inbox.c.URL + path); strings.Contains(a.body, "pets/42") || strings.Contains(a.body, "bob") {
			t.Errorf("eve reads of it at %s: %s", path, a.body)
		}
	}
	if resp := s.decide(carol, h, "approve"); resp.StatusCode != http.StatusSeeOther || s.Stored(h.ID).State != store.Approved {
		t.Errorf("carol: %d, %s", resp.StatusCode, s.Stored(h.ID).State)
	}
	if _, text := s.page(bob, path); !strings.Contains(text, "Approved by bob") || !strings.Contains(text, "Approved by carol") {
		t.Errorf("who approved is not told: %s", text)
	}
	s.claim()
}

// One person is one, however often they log in; and what is no login is nobody.
func TestOnePersonIsNotTwo(t *testing.T) {
	s := newOIDCSite(t, nil, ofFinance)
	h := s.open(call(alice, "k"))
	bob, again, tom := s.person(t, "bob", "finance"), s.person(t, "bob", "finance", "leads"), s.person(t, "tom", "team")
	replayed := url.Values{"csrf": {csrfField.FindStringSubmatch(bob.get(s.inbox.c.URL + "/h/" + h.ID).body)[1]}, "digest": {h.Digest}, "verdict": {"approve"}, "sure": {"yes"}}
	if resp := s.decide(bob, h, "approve"); resp.StatusCode != http.StatusSeeOther {
		t.Fatal(resp.StatusCode)
	}
	for name, try := range map[string]struct {
		who  *agent
		want int
	}{"the same form again": {bob, http.StatusConflict}, "bob's form from another's browser": {tom, http.StatusForbidden}, "from nobody's": {newAgent(t), http.StatusUnauthorized}} {
		resp, err := try.who.PostForm(s.inbox.c.URL+"/h/"+h.ID, replayed)
		if err != nil || resp.StatusCode != try.want {
			t.Errorf("%s: %v %v", name, resp.StatusCode, err)
		}
		resp.Body.Close()
	}
	if resp := s.decide(again, h, "approve"); resp.StatusCode != http.StatusConflict {
		t.Errorf("another login of bob: %d", resp.StatusCode)
	}
	if resp := s.decide(tom, h, "approve"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("who may only see it: %d", resp.StatusCode)
	}
	if a := newAgent(t).get(s.inbox.c.URL+"/api/holds/"+h.ID, "Authorization: Bearer "+strings.Repeat("a", 40)); a.status != http.StatusUnauthorized {
		t.Errorf("a bearer token is a login: %d", a.status)
	}
	if got := s.Stored(h.ID); got.State != store.Pending || len(got.Earlier) != 1 {
		t.Errorf("it is %s with %d approvals", got.State, len(got.Earlier))
	}
}

// Several together, of which one has an approval: those that are alike in that are
// decided together.
func TestSeveralOfTwoPeople(t *testing.T) {
	s := newOIDCSite(t, nil, ofFinance)
	a, b, c := s.open(call(alice, "k1")), s.open(call(alice, "k2")), s.open(call(alice, "k3"))
	bob := s.person(t, "bob", "finance")
	if resp := s.decide(bob, a, "approve"); resp.StatusCode != http.StatusSeeOther {
		t.Fatal(resp.StatusCode)
	}
	page := bob.get(s.inbox.c.URL + "/several?like=" + b.ID)
	if strings.Contains(page.body, a.ID) || !strings.Contains(page.body, b.ID) || !strings.Contains(page.body, c.ID) {
		t.Errorf("%s", page.body)
	}
	if !strings.Contains(page.body, "Another person has to approve them, too") || strings.Contains(page.body, "Sends exactly these") {
		t.Errorf("what it does is not said: %s", page.body)
	}
	if again := bob.get(s.inbox.c.URL + "/several?like=" + a.ID); again.status != http.StatusNotFound {
		t.Errorf("the one that bob approved: %d", again.status)
	}
	form := url.Values{"csrf": {csrfField.FindStringSubmatch(page.body)[1]}, "verdict": {"approve"}, "sure": {"yes"}, "hold": {a.ID + " " + a.Digest, b.ID + " " + b.Digest}}
	resp, err := bob.PostForm(s.inbox.c.URL+"/several", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	text := html.UnescapeString(string(body))
	if !strings.Contains(text, "You have approved this call already") || !strings.Contains(text, "Approved. Another person has to approve it, too.") || strings.Contains(text, "about to be sent") {
		t.Errorf("%s", text)
	}
}

// A live page is told of another's approval.
func TestLiveApproval(t *testing.T) {
	s := newOIDCSite(t, nil, ofFinance)
	h := s.open(call(alice, "k"))
	before := approval.Stand(s.Stored(h.ID))
	bob, carol := s.person(t, "bob", "finance"), s.person(t, "carol", "finance")
	if _, text := s.page(carol, "/h/"+h.ID); !strings.Contains(text, `data-state="`+before+`"`) {
		t.Errorf("%s", text)
	}
	key := func() string {
		_, text := s.page(carol, "/")
		_, rest, _ := strings.Cut(text, `data-key="`)
		key, _, _ := strings.Cut(rest, `"`)
		return key
	}
	was := key()
	s.decide(bob, h, "approve")
	if _, text := s.page(carol, "/h/"+h.ID); !strings.Contains(text, `data-state="pending 1"`) || approval.Stand(s.Stored(h.ID)) != "pending 1" {
		t.Errorf("%s", text)
	}
	if now := key(); now == was || was == "" {
		t.Errorf("the list's key is %q after %q", now, was)
	}
}

// An approval that brings nothing about is refused with why, and the call waits on.
func TestApprovalThatDoesNotHelp(t *testing.T) {
	s := newOIDCSite(t, nil, `@id("owner-then-finance") permit (principal, action in Action::"call_tool", resource) when {
		context has approvals.second && context.approvals.first.by == principal && context.approvals.second.by in Group::"finance" };
		permit (principal, action == Action::"approve", resource);`)
	h := s.open(call(alice, "k"))
	bob := s.person(t, "bob", "finance")
	if _, text := s.page(bob, "/h/"+h.ID); !strings.Contains(text, "Your approval would not let this call go") || strings.Contains(text, "Approve once") || !strings.Contains(text, "Deny") {
		t.Errorf("%s", text)
	}
	if resp := s.decide(bob, h, "approve"); resp.StatusCode != http.StatusForbidden || s.Stored(h.ID).State != store.Pending || len(s.Stored(h.ID).Earlier) != 0 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// In a browser, with a passkey: the first of two, whose key is good no more when the
// call is to be sent, and the second, whose page hears of the first.
func TestTwoApprovalsInChromium(t *testing.T) {
	s, ctx := keyed(t, `permit (principal, action in Action::"call_tool", resource) when { context has approvals && context.approvals.count >= 2 };
		permit (principal, action == Action::"approve", resource);`)
	s.inbox.streams.rest = time.Millisecond
	s.enrol(ctx)
	first, second := s.open(call(alice, "k1")), s.open(call(alice, "k2"))
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+first.ID), meansIt, chromedp.Click(`form.approve button`), chromedp.WaitVisible(`//p[starts-with(text(), "You have approved this call.")]`))
	if got := s.Stored(first.ID); got.State != store.Pending || len(got.Earlier) != 1 || len(got.Earlier[0].Signed) == 0 {
		t.Fatalf("%+v", got)
	}
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+second.ID), chromedp.WaitEnabled(`form.approve button`))
	for _, h := range []store.Hold{first, second} {
		if _, err := s.Decide(t.Context(), approval.Person{Principal: bob, AMR: []string{"otp"}}, h.ID, approval.Verdict{Approve: true, Digest: h.Digest}); err != nil {
			t.Fatal(err)
		}
	}
	browse(t, ctx, chromedp.WaitVisible(`//*[@data-live][starts-with(text(), "Another person has approved this call")]`), meansIt, chromedp.Click(`form.approve button`), chromedp.WaitVisible(`.outcome.approved`))
	keys, err := s.PasskeysOf(t.Context(), "User::alice")
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	s.revoke(keys[0])
	claimed, err := s.Claim(t.Context(), []string{"petstore"}, func(h store.Hold) bool { return h.ID == first.ID }, "us", time.Minute)
	if err != nil || len(claimed.Earlier) != 0 || claimed.Approval.ByName != "User::bob" {
		t.Errorf("of the first remains %+v, %v", claimed.Earlier, err)
	}
	if _, err := s.Claim(t.Context(), []string{"petstore"}, anyHold, "us", time.Minute); !errors.Is(err, approval.ErrForbidden) {
		t.Errorf("the second, whose last approval the revoked key signed: %v", err)
	}
}

// Who has no passkey where the call wants one reads what to do.
func TestPageWantsAPasskey(t *testing.T) {
	s, _ := keyed(t, `permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.phishing_resistant };
		permit (principal, action == Action::"approve", resource);`)
	h := s.login().open(call(alice, "k"))
	a := s.get("/h/" + h.ID)
	s.want(a, http.StatusOK, `With a passkey it would: <a href="/passkeys">add one</a>`)
	if strings.Contains(a.body, "Approve once") {
		t.Error("the page offers what would bring nothing about")
	}
	s.want(s.post("/h/"+h.ID, s.form(h, "approve")), http.StatusForbidden, "would not let this call go")
}
