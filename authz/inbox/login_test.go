package inbox

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
)

func TestLogin(t *testing.T) {
	s := newSite(t)
	code := s.code()
	if !regexp.MustCompile(`^[a-z2-7]{26}$`).MatchString(code) {
		t.Errorf("code %q", code)
	}
	// What opens links to preview them spends nothing.
	for range 3 {
		s.want(s.get("/login?code="+code), 200, `value="`+code+`"`)
		s.send("HEAD", "/login?code="+code, "")
	}
	for _, guess := range []string{"", strings.Repeat("a", 26), code[:25], code + "a", strings.ToUpper(code)} {
		s.want(s.post("/login", url.Values{"code": {guess}}), 403, "never was one")
	}
	a := s.post("/login", url.Values{"code": {code}})
	if a.status != 303 {
		t.Fatalf("login: %d %s", a.status, a.body)
	}
	if got := a.header.Get("Set-Cookie"); !regexp.MustCompile(`^exeat_inbox_[0-9]+=[a-z2-7]{52}; Path=/; Max-Age=28800; HttpOnly; SameSite=Lax$`).MatchString(got) {
		t.Errorf("cookie %q", got)
	}
	s.want(s.post("/login", url.Values{"code": {code}}), 403, "was used already")
	s.want(s.get("/"), 401, "Look at the terminal")
	if long := strings.Repeat("a", 1000); strings.Contains(s.get("/login?code="+long).body, long) {
		t.Error("the page repeats what is no code")
	}
	late := s.code()
	s.Pass(codeLife)
	s.want(s.post("/login", url.Values{"code": {late}}), 403, "older than 10 minutes")
	s.login()
	s.want(s.get("/"), 200, "Nothing waits for you")
	refused := "denied login_refused"
	want := []string{refused, refused, refused, refused, refused, "login User::alice", refused, refused, "login User::alice"}
	if d := cmp.Diff(want, s.Entries()); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

func TestLoginOnHTTPS(t *testing.T) {
	w := newWorld(t)
	in, err := New(Config{Holds: w.Service, Door: w.door, Store: w.DB, Person: alice, URL: "https://inbox.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "https://inbox.example.com/login", strings.NewReader(url.Values{"code": {in.logins.newCode(alice, w.Clock())}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://inbox.example.com")
	rec := httptest.NewRecorder()
	in.Handler(t.Context()).ServeHTTP(rec, r)
	if got := rec.Header().Get("Set-Cookie"); !regexp.MustCompile(`^__Host-exeat_inbox=[a-z2-7]{52}; Path=/; Max-Age=28800; HttpOnly; Secure; SameSite=Lax$`).MatchString(got) {
		t.Errorf("cookie %q, status %d", got, rec.Code)
	}
}

func TestSessionEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		use    func(*site)
		status int
	}{
		{"idle", func(s *site) { s.Pass(idleEnd) }, 401},
		{"in use", func(s *site) {
			for range 4 {
				s.Pass(idleEnd - time.Second)
				s.get("/")
			}
		}, 200},
		{"a page that reloads itself is no use", func(s *site) {
			for range 4 {
				s.Pass(idleEnd / 4)
				s.get("/?auto=1")
			}
		}, 401},
		{"absolute", func(s *site) {
			for range 32 {
				s.Pass(absoluteEnd / 32)
				s.get("/")
			}
		}, 401},
		{"logout", func(s *site) {
			a := s.post("/logout", url.Values{"csrf": {s.csrf}})
			s.want(a, 303, "")
			if got := a.header.Get("Set-Cookie"); !strings.Contains(got, "Max-Age=0") {
				s.T.Errorf("cookie %q", got)
			}
		}, 401},
		{"logout by another site", func(s *site) { s.want(s.post("/logout", nil), 403, "not from this login") }, 200},
		{"another cookie", func(s *site) { s.cookie = s.inbox.cookieName() + "=" + strings.Repeat("a", 52) }, 401},
		{"two cookies", func(s *site) { s.cookie += "; " + s.inbox.cookieName() + "=x" }, 401},
		{"a bearer token", func(s *site) { s.cookie = "" }, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t).login()
			_, secret, _ := strings.Cut(s.cookie, "=")
			tt.use(s)
			if a := s.get("/", "Authorization: Bearer "+secret); a.status != tt.status {
				t.Errorf("got %d, want %d", a.status, tt.status)
			}
		})
	}
}

func TestLoginsAreBounded(t *testing.T) {
	var l logins
	var door approval.Doorkeeper
	now := time.Now()
	first := l.newCode(alice, now)
	for range maxCodes {
		l.newCode(alice, now)
	}
	if _, ok := l.spend(first, now); ok || len(l.codes) != maxCodes {
		t.Errorf("%d codes live, the oldest too", len(l.codes))
	}
	secret, _ := l.begin(session{who: door.Admit(approval.Person{Principal: alice}, now.Add(time.Hour)), since: now}, now)
	other, _ := l.begin(session{who: door.Admit(approval.Person{Principal: bob}, now.Add(time.Hour)), since: now}, now)
	for range maxOfPerson {
		now = now.Add(time.Second)
		l.begin(session{who: door.Admit(approval.Person{Principal: alice}, now.Add(time.Hour)), since: now}, now)
	}
	_, mine := l.find(secret, now, true)
	_, bobs := l.find(other, now, true)
	if mine || !bobs || len(l.sessions) != maxOfPerson+1 {
		t.Errorf("%d sessions live, alice's oldest %v, bob's %v", len(l.sessions), mine, bobs)
	}
	for i := range maxSessions {
		now = now.Add(time.Second)
		l.begin(session{who: door.Admit(approval.Person{Principal: authz.Principal{Type: "User", ID: fmt.Sprint(i)}}, now.Add(time.Hour)), since: now}, now)
	}
	if _, ok := l.find(other, now, true); ok || len(l.sessions) != maxSessions {
		t.Errorf("%d sessions live, the oldest %v", len(l.sessions), ok)
	}
}

func TestNewLink(t *testing.T) {
	s := newSite(t)
	s.want(s.post("/login/link", nil), 404, "Look at the terminal")
	var links []string
	s.inbox.c.Announce = func(_, link string) { links = append(links, link) }
	s.want(s.get("/login"), 200, "Print a new link")
	for range 3 {
		a := s.post("/login/link", nil)
		s.want(a, 200, "in the terminal")
		for _, link := range links {
			if code := link[strings.Index(link, "=")+1:]; strings.Contains(a.body, code) {
				t.Error("the page shows the link")
			}
		}
	}
	s.Pass(announceEvery)
	s.post("/login/link", nil)
	s.want(s.post("/login/link", nil, "Sec-Fetch-Site: cross-site"), 403, "another site")
	if len(links) != 2 {
		t.Errorf("printed %d links", len(links))
	}
}

// Each of several people gets in with a link of their own, which only the terminal
// shows, and as nobody else; who asks does not learn who there is.
func TestPeople(t *testing.T) {
	s := newSite(t, `@id("r") permit (principal, action in Action::"call_tool", resource) when { context has approval };
		@id("d") permit (principal in Group::"finance", action == Action::"approve", resource);`)
	s.inbox.c.People = []authz.Principal{{Type: "User", ID: "bob", Groups: []string{"finance"}}}
	var printed []string
	s.inbox.c.Announce = func(person, link string) {
		printed = append(printed, person+" "+strings.TrimPrefix(link, s.inbox.c.URL+"/login?code="))
	}
	s.want(s.get("/login"), 200, `name="person"`)
	ask := func(name string) answer {
		s.Pass(announceEvery)
		return s.post("/login/link", url.Values{"person": {name}})
	}
	first := ask("bob")
	for _, nobody := range []string{"carol", "User::bob", "BOB", "bob ", " "} {
		if a := ask(nobody); a.status != first.status || a.body != first.body {
			t.Errorf("%q is answered in another way than bob", nobody)
		}
	}
	ask("")
	ask("alice")
	if len(printed) != 3 || !strings.HasPrefix(printed[0], "bob ") || !strings.HasPrefix(printed[1], "alice ") || !strings.HasPrefix(printed[2], "alice ") {
		t.Fatalf("printed %q", printed)
	}
	h := s.open(call(alice, "k1"))
	for i, may := range map[int]bool{0: true, 2: false} {
		a := s.post("/login", url.Values{"code": {strings.Fields(printed[i])[1]}})
		s.want(a, 303, "")
		s.cookie, _, _ = strings.Cut(a.header.Get("Set-Cookie"), ";")
		if page := s.get("/h/" + h.ID); strings.Contains(page.body, "Approve once") != may {
			t.Errorf("%s decides: %v\n%s", printed[i], !may, page.body)
		}
	}
	s.want(s.post("/login", url.Values{"code": {strings.Fields(printed[0])[1]}}), 403, "")
}
