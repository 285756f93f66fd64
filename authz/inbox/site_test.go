package inbox

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// site is an inbox that is served, and a browser in front of it.
type site struct {
	*world
	inbox  *Inbox
	cookie string // of the login, as the browser would send it
	csrf   string
}

func newSite(t testing.TB, policies ...string) *site {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	s := siteAt(t, "http://"+srv.Listener.Addr().String(), policies...)
	s.serve(srv)
	return s
}

// siteAt is a site that is not served yet.
func siteAt(t testing.TB, url string, policies ...string) *site {
	t.Helper()
	s := &site{world: newWorld(t, policies...)}
	var err error
	s.inbox, err = New(Config{Holds: s.Service, Door: s.door, Store: s.DB, Person: alice, URL: url, Trouble: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) serve(srv *httptest.Server) {
	srv.Config.Handler = s.inbox.Handler(s.T.Context())
	srv.Start()
	s.T.Cleanup(srv.Close)
}

// restart is another process behind the same pages, with other settings.
func (s *site) restart(change func(*approval.Config)) {
	s.T.Helper()
	s.world.restart(change)
	s.inbox.holds, s.inbox.c.Holds = s.Service, s.Service
	if keys, err := approval.NewPasskeys(s.Service, s.inbox.c.URL); err == nil {
		s.inbox.passkeys = keys
	}
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
	s.T.Helper()
	req, err := http.NewRequestWithContext(s.T.Context(), method, s.inbox.c.URL+path, strings.NewReader(body))
	if err != nil {
		s.T.Fatal(err)
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
		s.T.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (s *site) get(path string, headers ...string) answer { return s.send("GET", path, "", headers...) }

func (s *site) post(path string, form url.Values, headers ...string) answer {
	return s.send("POST", path, form.Encode(), headers...)
}

// code makes a link and returns its code.
func (s *site) code() string {

	return strings.TrimPrefix(s.inbox.LoginLink(), s.inbox.c.URL+"/login?code=")
}

var csrfField = regexp.MustCompile(`name="csrf" value="([a-z2-7]+)"`)

// login logs the browser in.
func (s *site) login() *site {
	s.T.Helper()
	a := s.post("/login", url.Values{"code": {s.code()}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/" {
		s.T.Fatalf("login: %d to %q\n%s", a.status, a.header.Get("Location"), a.body)
	}
	s.cookie, _, _ = strings.Cut(a.header.Get("Set-Cookie"), ";")
	m := csrfField.FindStringSubmatch(s.get("/").body)
	if m == nil {
		s.T.Fatal("no token on the page")
	}
	s.csrf = m[1]
	return s
}

// form is a verdict as the page of h sends it.
func (s *site) form(h store.Hold, verdict string) url.Values {
	return url.Values{"csrf": {s.csrf}, "digest": {h.Digest}, "verdict": {verdict}, "sure": {"yes"}}
}

func (s *site) want(a answer, status int, text string) {
	s.T.Helper()
	if a.status != status || !strings.Contains(html.UnescapeString(a.body), text) {
		s.T.Errorf("got %d, want %d with %q:\n%s", a.status, status, text, a.body)
	}
}
