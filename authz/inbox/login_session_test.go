package inbox

import (
	"github.com/exeat/exeat/authz/words"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/approval"
)

var loginID = regexp.MustCompile(`/sessions/(login_[a-z2-7]{26})/revoke`)

// loginsOn lists the logins that the page shows, the last used first.
func (s *site) loginsOn() (ids []string) {
	s.T.Helper()
	for _, m := range loginID.FindAllStringSubmatch(s.get("/sessions").body, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

func TestSessionsPage(t *testing.T) {
	s := newSite(t).login()
	first, firstCSRF := s.cookie, s.csrf
	s.Pass(idleEnd / 2)
	s.cookie = ""
	a := s.post("/login", url.Values{"code": {s.code()}}, "User-Agent: \"><script src=/pwned></script>\u202egnp.exe"+strings.Repeat("x", 300))
	s.cookie, _, _ = strings.Cut(a.header.Get("Set-Cookie"), ";")
	s.csrf = csrfField.FindStringSubmatch(s.get("/").body)[1]

	page := s.get("/sessions")
	s.want(page, 200, "This login")
	for _, want := range []string{"Another login", "a one-time link", "⟨U+202E⟩", words.Language{}.Time(s.Clock().Local()), "Go-http-client/1.1"} {
		if !strings.Contains(html.UnescapeString(page.body), want) {
			t.Errorf("the page does not say %q:\n%s", want, page.body)
		}
	}
	if strings.Contains(page.body, "<script") || strings.Contains(page.body, strings.Repeat("x", 200)) {
		t.Error("the page repeats what a browser says of itself as it is")
	}
	for _, cookie := range []string{first, s.cookie} {
		if _, secret, _ := strings.Cut(cookie, "="); strings.Contains(page.body, secret) {
			t.Error("the page holds the secret of a cookie")
		}
	}
	ids := s.loginsOn()
	if len(ids) != 2 {
		t.Fatalf("logins %v", ids)
	}
	mine, other := ids[0], ids[1]
	token := url.Values{"csrf": {s.csrf}}
	s.want(s.post("/sessions/"+other+"/revoke", url.Values{"csrf": {firstCSRF}}), 403, "not from this login")
	s.want(s.post("/sessions/"+mine+"x/revoke", token), 404, "no such login")
	s.want(s.post("/sessions/"+other+"/revoke", token), 303, "")
	s.want(s.get("/", "Cookie: "+first), 401, "Log in")
	s.want(s.get("/"), 200, "")
	s.want(s.post("/sessions/"+mine+"/revoke", token), 303, "")
	s.want(s.get("/"), 401, "Log in")
	if got := strings.Join(s.Entries(), ", "); got != "login User::alice, login User::alice, logout User::alice, logout User::alice" {
		t.Errorf("entries: %s", got)
	}
}

func TestRevokeOtherSessions(t *testing.T) {
	s := newSite(t)
	var cookies []string
	for range 3 {
		s.cookie = ""
		s.login()
		cookies = append(cookies, s.cookie)
	}
	// Somebody else's login is not there to see, and not to be ended.
	theirs, x := s.inbox.logins.begin(session{who: s.as(approval.Person{Principal: bob}), since: s.Clock()}, s.Clock())
	token := url.Values{"csrf": {s.csrf}}
	s.want(s.post("/sessions/"+x.id+"/revoke", token), 404, "no such login")
	if ids := s.loginsOn(); len(ids) != 3 {
		t.Errorf("logins %v", ids)
	}
	s.want(s.post("/sessions/others/revoke", token), 303, "")
	for i, cookie := range cookies {
		want := 401
		if i == 2 {
			want = 200
		}
		if a := s.get("/", "Cookie: "+cookie); a.status != want {
			t.Errorf("login %d: %d, want %d", i, a.status, want)
		}
	}
	if _, ok := s.inbox.logins.find(theirs, s.Clock(), true); !ok {
		t.Error("another person was logged out")
	}
}
