package approval

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
)

// site is an inbox that is served, and a browser in front of it.
type site struct {
	*world
	inbox  *Inbox
	cookie string // of the login, as the browser would send it
	csrf   string
}

func newSite(t *testing.T, policies ...string) *site {
	t.Helper()
	s := &site{world: newWorld(t, policies...)}
	srv := httptest.NewUnstartedServer(nil)
	s.inbox = &Inbox{Service: s.Service, Person: alice, URL: "http://" + srv.Listener.Addr().String(), Now: s.clock,
		Trouble: func(err error) { t.Error(err) }}
	srv.Config.Handler = s.inbox.Handler()
	srv.Start()
	t.Cleanup(srv.Close)
	return s
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends what a browser or anybody else might. A header of the form
// "Name: value" replaces, "Host: value" sets the host.
func (s *site) send(method, path, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.inbox.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if s.cookie != "" {
		req.Header.Set("Cookie", s.cookie)
	}
	if method == http.MethodPost {
		// As Chromium sends a form of a page with our referrer policy.
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "null")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		switch {
		case name == "Host":
			req.Host = value
		case value == "":
			req.Header.Del(name)
		default:
			req.Header.Set(name, value)
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (s *site) get(path string, headers ...string) answer { return s.send("GET", path, "", headers...) }

func (s *site) post(path string, form url.Values, headers ...string) answer {
	return s.send("POST", path, form.Encode(), headers...)
}

// code makes a link and returns its code.
func (s *site) code() string {
	return strings.TrimPrefix(s.inbox.LoginLink(), s.inbox.URL+"/login?code=")
}

var csrfField = regexp.MustCompile(`name="csrf" value="([a-z2-7]+)"`)

// login logs the browser in.
func (s *site) login() *site {
	s.t.Helper()
	a := s.post("/login", url.Values{"code": {s.code()}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/" {
		s.t.Fatalf("login: %d to %q\n%s", a.status, a.header.Get("Location"), a.body)
	}
	s.cookie, _, _ = strings.Cut(a.header.Get("Set-Cookie"), ";")
	m := csrfField.FindStringSubmatch(s.get("/").body)
	if m == nil {
		s.t.Fatal("no token on the page")
	}
	s.csrf = m[1]
	return s
}

// form is a verdict as the page of h sends it.
func (s *site) form(h store.Hold, verdict string) url.Values {
	return url.Values{"csrf": {s.csrf}, "digest": {h.Digest}, "verdict": {verdict}}
}

func (s *site) want(a answer, status int, text string) {
	s.t.Helper()
	if a.status != status || !strings.Contains(html.UnescapeString(a.body), text) {
		s.t.Errorf("got %d, want %d with %q:\n%s", a.status, status, text, a.body)
	}
}

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
	if got := a.header.Get("Set-Cookie"); !regexp.MustCompile(`^exeat_inbox=[a-z2-7]{52}; Path=/; Max-Age=28800; HttpOnly; SameSite=Lax$`).MatchString(got) {
		t.Errorf("cookie %q", got)
	}
	s.want(s.post("/login", url.Values{"code": {code}}), 403, "was used already")
	s.want(s.get("/"), 401, "Look at the terminal")
	late := s.code()
	s.pass(codeLife)
	s.want(s.post("/login", url.Values{"code": {late}}), 403, "older than 10 minutes")
	s.login()
	s.want(s.get("/"), 200, "Nothing waits for you")
	if d := cmp.Diff([]string{"login User::alice", "login User::alice"}, s.entries()); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

func TestLoginOnHTTPS(t *testing.T) {
	w := newWorld(t)
	in := &Inbox{Service: w.Service, Person: alice, URL: "https://inbox.example.com", Now: w.clock}
	r := httptest.NewRequest("POST", "https://inbox.example.com/login", strings.NewReader(url.Values{"code": {in.logins.newCode(w.at)}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://inbox.example.com")
	rec := httptest.NewRecorder()
	in.Handler().ServeHTTP(rec, r)
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
		{"idle", func(s *site) { s.pass(idleEnd) }, 401},
		{"in use", func(s *site) {
			for range 4 {
				s.pass(idleEnd - time.Second)
				s.get("/")
			}
		}, 200},
		{"a page that reloads itself is no use", func(s *site) {
			for range 4 {
				s.pass(idleEnd / 4)
				s.get("/?auto=1")
			}
		}, 401},
		{"absolute", func(s *site) {
			for range 16 {
				s.pass(absoluteEnd / 16)
				s.get("/")
			}
		}, 401},
		{"logout", func(s *site) {
			a := s.post("/logout", url.Values{"csrf": {s.csrf}})
			s.want(a, 303, "")
			if got := a.header.Get("Set-Cookie"); !strings.Contains(got, "Max-Age=0") {
				s.t.Errorf("cookie %q", got)
			}
		}, 401},
		{"logout by another site", func(s *site) { s.want(s.post("/logout", nil), 403, "not from this login") }, 200},
		{"another cookie", func(s *site) { s.cookie = "exeat_inbox=" + strings.Repeat("a", 52) }, 401},
		{"two cookies", func(s *site) { s.cookie += "; exeat_inbox=x" }, 401},
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
	now := time.Now()
	first := l.newCode(now)
	for range maxCodes {
		l.newCode(now)
	}
	if l.spend(first, now) || len(l.codes) != maxCodes {
		t.Errorf("%d codes live, the oldest too", len(l.codes))
	}
	secret, _ := l.begin(Person{Principal: alice}, now)
	for range maxSessions {
		now = now.Add(time.Second)
		l.begin(Person{Principal: alice}, now)
	}
	if _, ok := l.find(secret, now, true); ok || len(l.sessions) != maxSessions {
		t.Errorf("%d sessions live, the oldest %v", len(l.sessions), ok)
	}
}

func TestNewLink(t *testing.T) {
	s := newSite(t)
	s.want(s.post("/login/link", nil), 404, "Look at the terminal")
	var links []string
	s.inbox.Announce = func(link string) { links = append(links, link) }
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
	s.pass(announceEvery)
	s.post("/login/link", nil)
	s.want(s.post("/login/link", nil, "Sec-Fetch-Site: cross-site"), 403, "another site")
	if len(links) != 2 {
		t.Errorf("printed %d links", len(links))
	}
}

func TestHeaders(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	for path, status := range map[string]int{"/": 200, "/login": 200, "/style.css": 200, "/h/" + h.ID: 200, "/h/x": 404, "/nothing": 404, "/api/holds": 200,
		"/api/holds/x": 404, "/api/nothing": 404, "/api/holds/x/decision": 404, "/logout": 404} {
		a := s.get(path)
		if a.status != status {
			t.Errorf("%s: %d, want %d", path, a.status, status)
		}
		checkHeaders(t, path, a)
	}
	checkHeaders(t, "wrong host", s.get("/", "Host: evil.example"))
	checkHeaders(t, "cross site", s.post("/login", nil, "Sec-Fetch-Site: cross-site"))
	s.cookie = ""
	checkHeaders(t, "login", s.get("/"))
}

func checkHeaders(t *testing.T, name string, a answer) {
	t.Helper()
	for k, want := range map[string]string{
		"Content-Security-Policy":    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		"X-Content-Type-Options":     "nosniff",
		"X-Frame-Options":            "DENY",
		"Referrer-Policy":            "no-referrer",
		"Cache-Control":              "no-store",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := a.header.Get(k); got != want {
			t.Errorf("%s: %s is %q", name, k, got)
		}
	}
	for _, bad := range []string{"<script", "style=", "onclick", "javascript:", "http://", "https://fonts"} {
		if strings.Contains(a.body, bad) && strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: the page holds %q", name, bad)
		}
	}
}

func TestForeignRequests(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	_, port, _ := strings.Cut(strings.TrimPrefix(s.inbox.URL, "http://"), ":")
	for name, tt := range map[string]struct {
		headers []string
		status  int
	}{
		"rebound name":          {[]string{"Host: evil.example:" + port}, 421},
		"another name for us":   {[]string{"Host: localhost:" + port}, 421},
		"no port":               {[]string{"Host: 127.0.0.1"}, 421},
		"another origin":        {[]string{"Origin: https://evil.example", "Sec-Fetch-Site: "}, 403},
		"another port":          {[]string{"Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site"}, 403},
		"another scheme":        {[]string{"Origin: " + strings.Replace(s.inbox.URL, "http", "https", 1)}, 403},
		"cross-site":            {[]string{"Sec-Fetch-Site: cross-site"}, 403},
		"no origin, cross-site": {[]string{"Origin: ", "Sec-Fetch-Site: cross-site"}, 403},
		"typed by the person":   {[]string{"Sec-Fetch-Site: none"}, 403},
		"sandboxed frame":       {[]string{"Sec-Fetch-Site: "}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.post("/h/"+h.ID, s.form(h, "approve"), tt.headers...)
			if a.status != tt.status {
				t.Errorf("got %d, want %d", a.status, tt.status)
			}
			if got := s.stored(h.ID); got.Version != 1 {
				t.Errorf("it is %s", got.State)
			}
		})
	}
	// The same with an origin spelt out is ours.
	s.want(s.post("/h/"+h.ID, s.form(h, "approve"), "Origin: "+s.inbox.URL, "Sec-Fetch-Site: "), 303, "")
}

func TestToken(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	first := s.csrf
	s.login() // another session of the same person
	for name, form := range map[string]url.Values{
		"missing":     {"digest": {h.Digest}, "verdict": {"approve"}},
		"empty":       {"csrf": {""}, "digest": {h.Digest}, "verdict": {"approve"}},
		"wrong":       {"csrf": {strings.Repeat("a", 26)}, "digest": {h.Digest}, "verdict": {"approve"}},
		"of another":  {"csrf": {first}, "digest": {h.Digest}, "verdict": {"approve"}},
		"in the path": {},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/h/" + h.ID
			if name == "in the path" {
				path += "?" + s.form(h, "approve").Encode()
			}
			s.want(s.post(path, form), 403, "not from this login")
			if got := s.stored(h.ID); got.Version != 1 {
				t.Errorf("it is %s", got.State)
			}
		})
	}
}

func TestDecidePages(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	s.want(s.get("/"), 200, "DELETE /pets/42: Delete a pet")
	page := s.get("/h/" + h.ID)
	for _, want := range []string{"DELETE /pets/42: Delete a pet", "https://api.example.com/pets/42?force=true", "claude-desktop", "unverified name",
		"writes-wait-for-a-person", "a person has to approve this call", "stdio s1", "<span>01234567</span>", "Approve once", "60 min left"} {
		s.want(page, 200, want)
	}
	if n := strings.Count(page.body, `value="`+h.Digest+`"`); n != 2 {
		t.Errorf("%d forms carry the digest", n)
	}

	wrong := s.form(h, "approve")
	wrong.Set("digest", strings.Repeat("f", 64))
	s.want(s.post("/h/"+h.ID, wrong), 409, "is not this request")
	s.want(s.post("/h/"+h.ID, s.form(h, "")), 400, "not complete")
	a := s.post("/h/"+h.ID, s.form(h, "approve"))
	if a.status != 303 || a.header.Get("Location") != "/h/"+h.ID {
		t.Fatalf("approve: %d %s", a.status, a.body)
	}
	s.want(s.get("/h/"+h.ID), 200, "It is about to be sent")
	s.want(s.post("/h/"+h.ID, s.form(h, "approve")), 409, "came late and changed nothing")
	s.want(s.post("/h/"+h.ID, s.form(h, "deny")), 409, "Approved.")
	s.want(s.get("/"), 200, "Nothing waits for you")

	other := s.open(call(alice, "k2"))
	form := s.form(other, "deny")
	form.Set("reason", strings.Repeat("x", 501))
	s.want(s.post("/h/"+other.ID, form), 422, "at most 500")
	form.Set("reason", "not on\r\nFridays ")
	s.want(s.post("/h/"+other.ID, form), 303, "")
	s.want(s.get("/h/"+other.ID), 200, "The agent was told: ")
	if got := s.stored(other.ID).Denial; got != "not on\nFridays" {
		t.Errorf("the reason is %q", got)
	}

	late := s.open(call(alice, "k3"))
	s.pass(idleEnd - time.Second)
	s.get("/")
	s.pass(idleEnd - time.Second)
	s.get("/")
	s.pass(time.Minute)
	s.want(s.post("/h/"+late.ID, s.form(late, "approve")), 409, "Nobody decided in time")
	want := []string{"login User::alice", "hold", "approve User::alice", "hold", "deny User::alice", "hold"}
	if d := cmp.Diff(want, s.entries()); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

// Every state has a page without a form, and says what came of the call.
func TestOutcomes(t *testing.T) {
	s := newSite(t).login()
	finish := func(e Event) string {
		h := s.approve(s.open(call(alice, "k")))
		if _, err := s.Finish(t.Context(), s.claim(), e, store.Entry{Kind: "outcome"}); err != nil {
			t.Fatal(err)
		}
		return h.ID
	}
	check := func(id, text string) {
		t.Helper()
		a := s.get("/h/" + id)
		s.want(a, 200, text)
		if strings.Contains(a.body, `name="verdict"`) {
			t.Error("the page still has a form")
		}
	}
	check(finish(Finish{Result: []byte(`{"envelope":{"status":"done","http_status":204}}`)}), "answered with status 204")
	check(finish(Finish{}), "The API answered.")
	check(finish(Refuse{}), "It was refused when it was checked again")
	check(finish(Lose{}), "It may have been executed")
	h := s.open(call(alice, "k"))
	if _, err := s.Cancel(t.Context(), "User::alice", h.ID); err != nil {
		t.Fatal(err)
	}
	check(h.ID, "by the agent")
	h = s.approve(s.open(call(alice, "k")))
	check(h.ID, "about to be sent")
	s.pass(5 * time.Minute)
	check(h.ID, "not sent in time")
	h = s.approve(s.open(call(alice, "k")))
	s.claim()
	check(h.ID, "being sent")
}

func TestGetChangesNothing(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	before := len(s.entries())
	q := "?" + s.form(h, "approve").Encode()
	for _, path := range []string{"/", "/h/" + h.ID, "/logout", "/login", "/login/link", "/api/holds/" + h.ID, "/api/holds/" + h.ID + "/decision", "/api/login"} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"} {
			s.send(method, path+q, "", "Sec-Fetch-Site: same-origin")
		}
	}
	if got := s.stored(h.ID); got.Version != 1 || len(s.entries()) != before {
		t.Errorf("it is %s, entries %v", got.State, s.entries())
	}
	s.want(s.get("/"), 200, "Delete a pet") // and still logged in
}

// A hold that is not the person's to see is not found, as one that never was.
func TestNotFoundLooksTheSame(t *testing.T) {
	s := newSite(t).login()
	hidden := s.open(call(bob, "k1"))
	s.want(s.get("/"), 200, "Nothing waits for you")
	never := s.get("/h/hold_" + strings.Repeat("a", 26))
	s.want(never, 404, "no such held call")
	for _, a := range []answer{s.get("/h/" + hidden.ID), s.get("/h/x"), s.get("/h/" + strings.Repeat("y", 3000)), s.post("/h/"+hidden.ID, s.form(hidden, "approve"))} {
		if a.status != never.status || a.body != never.body {
			t.Errorf("%d is not %d:\n%s", a.status, never.status, a.body)
		}
	}
	if got := s.entries(); got[len(got)-1] != "approve forbidden User::alice" {
		t.Errorf("the attempt was not recorded: %v", got)
	}
}

// Who sees a hold but may not decide it gets no form.
func TestFourEyesPage(t *testing.T) {
	s := newSite(t, `permit (principal, action == Action::"approve", resource) unless { principal == resource.requester };`).login()
	own, other := s.open(call(alice, "k1")), s.open(call(bob, "k2"))
	a := s.get("/h/" + own.ID)
	s.want(a, 200, "somebody else has to")
	if strings.Contains(a.body, `name="verdict"`) {
		t.Error("the page has a form")
	}
	s.want(s.post("/h/"+own.ID, s.form(own, "approve")), 403, "Your attempt was recorded")
	s.want(s.get("/h/"+other.ID), 200, "Approve once")
}

func TestHostileText(t *testing.T) {
	s := newSite(t).login()
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'{{.CSRF}}` + "\u202e\u2066\u200b\x1b[2J\x00\u2028"
	quoted, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	h := call(alice, "k1")
	h.Summary, h.API, h.Tool, h.Reason, h.Policies = evil, evil, evil, evil, []string{evil}
	h.Agent = json.RawMessage(`{"id":` + string(quoted) + `,"verified":false}`)
	h.Session = json.RawMessage(`{"id":` + string(quoted) + `,"transport":` + string(quoted) + `}`)
	h.Args = json.RawMessage(`{` + string(quoted) + `:` + string(quoted) + `,"list":[[` + string(quoted) + `]],"n":1e400}`)
	h.Request = store.Request{Method: evil, Origin: "https://" + evil, Target: evil, Path: evil, ContentType: "text/plain" + evil,
		Header: map[string][]string{evil: {evil}}, Body: []byte(evil)}
	h.Effect = evil
	h = s.open(h)
	form := s.form(h, "deny")
	form.Set("reason", evil)
	before := s.get("/h/" + h.ID)
	s.want(before, 200, "invisible or look like others")
	list := s.get("/")
	s.want(list, 200, "alert(1)")
	s.want(s.post("/h/"+h.ID, form), 303, "")
	for name, a := range map[string]answer{"list": list, "hold": before, "denied": s.get("/h/" + h.ID)} {
		checkHeaders(t, name, a)
		for _, bad := range []string{"<script", "<img", s.csrf + `'`} {
			if strings.Contains(a.body, bad) {
				t.Errorf("%s: the page holds %q", name, bad)
			}
		}
		for _, r := range a.body {
			if r != '\n' && r != ' ' && hides(r) {
				t.Errorf("%s: the page holds %+q", name, r)
			}
		}
		for _, code := range []string{"⟨U+202E⟩", "⟨U+2066⟩", "⟨U+200B⟩", "⟨U+001B⟩", "⟨U+0000⟩", "⟨U+2028⟩"} {
			if !strings.Contains(html.UnescapeString(a.body), `<span class="code">`+code+`</span>`) {
				t.Errorf("%s: %s is not shown", name, code)
			}
		}
	}
}

func TestLongValuesAreWhole(t *testing.T) {
	s := newSite(t).login()
	h := call(alice, "k1")
	long := strings.Repeat("word ", 100_000) + "the very end"
	h.Args, _ = json.Marshal(map[string]string{"note": long})
	h.Request.ContentType, h.Request.Body = "application/json", h.Args
	a := s.get("/h/" + s.open(h).ID)
	if n := strings.Count(a.body, long); n != 2 {
		t.Errorf("the value is whole %d times", n)
	}
	s.want(a, 200, "500012 characters")
	binary := call(alice, "k2")
	binary.Request.ContentType, binary.Request.Body = "image/png", bytes.Repeat([]byte{0x89, 'P', 0}, 1000)
	a = s.get("/h/" + s.open(binary).ID)
	s.want(a, 200, strings.Repeat("iVAA", 1000))
	s.want(a, 200, "3000 bytes, not text")
}

func TestLargeForms(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	form := s.form(h, "deny")
	form.Set("reason", strings.Repeat("x", maxForm))
	s.want(s.post("/h/"+h.ID, form), 413, "too large")
	s.want(s.send("POST", "/api/login", strings.Repeat("x", maxForm+1), "Content-Type: application/json"), 413, "too large")
	// Without a length it ends at the limit as well.
	req, err := http.NewRequest("POST", s.inbox.URL+"/h/"+h.ID, io.MultiReader(strings.NewReader(form.Encode())))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", s.cookie)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 || s.stored(h.ID).Version != 1 {
		t.Errorf("a body without end: %d", resp.StatusCode)
	}
}
