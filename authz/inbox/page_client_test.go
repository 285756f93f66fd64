package inbox

import (
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/devissuer"
	"github.com/exeat/exeat/authz/token"
)

// issuerSite is a site whose process has an issuer, served beside it, and a client
// that registered itself there.
type issuerSite struct {
	*site
	base, resource, client, verifier string
}

const clientName = "Claude <b>\u202e"

func newIssuerSite(t testing.TB) *issuerSite {
	t.Helper()
	return giveIssuer(newSite(t), "http://127.0.0.1/callback", "https://client.example/callback")
}

// giveIssuer gives a site an issuer, and that a client with these redirect URIs.
func giveIssuer(site *site, redirects ...string) *issuerSite {
	s, t := &issuerSite{site: site}, site.T
	t.Helper()
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "issuer"), "ES256")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	edge := httptest.NewServer(mux)
	t.Cleanup(edge.Close)
	s.base, s.resource = edge.URL+devissuer.Path, edge.URL+"/mcp"
	s.inbox.c.Issuer, err = devissuer.New(devissuer.Config{Issuer: s.base, Resource: s.resource, Inbox: s.inbox.c.URL, Scopes: []string{"api.read"}, Keys: keys, Store: s.DB, Holds: s.Service})
	if err != nil {
		t.Fatal(err)
	}
	for pattern, h := range s.inbox.c.Issuer.Paths() {
		mux.Handle(pattern, h)
	}
	body, err := json.Marshal(map[string]any{"client_name": clientName, "redirect_uris": redirects})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.base+"/register", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		ID string `json:"client_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.ID == "" {
		t.Fatal(resp.Status, err)
	}
	s.client, s.verifier = got.ID, oauth2.GenerateVerifier()
	return s
}

// asks is where the client sends people.
func (s *issuerSite) asks(redirect string, more ...string) string {
	q := url.Values{"response_type": {"code"}, "client_id": {s.client}, "redirect_uri": {redirect}, "state": {"its state"}, "resource": {s.resource},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(s.verifier)}, "code_challenge_method": {"S256"}}
	for n := 0; n < len(more); n += 2 {
		q.Set(more[n], more[n+1])
	}
	return devissuer.AuthorizePath + "?" + q.Encode()
}

var askField = regexp.MustCompile(`name="ask" value="([^"]+)"`)

// answers is the form of the page that asks.
func (s *issuerSite) answers(a answer, verdict string) url.Values {
	s.T.Helper()
	m := askField.FindStringSubmatch(a.body)
	if m == nil {
		s.T.Fatalf("%d: nothing is asked:\n%s", a.status, a.body)
	}
	return url.Values{"csrf": {s.csrf}, "ask": {m[1]}, "verdict": {verdict}}
}

func (s *issuerSite) redeem(redirect, code string) (int, map[string]any) {
	s.T.Helper()
	return s.token(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {s.client}, "redirect_uri": {redirect}, "code_verifier": {s.verifier}, "resource": {s.resource}})
}

func (s *issuerSite) token(form url.Values) (int, map[string]any) {
	s.T.Helper()
	resp, err := http.PostForm(s.base+"/token", form)
	if err != nil {
		s.T.Fatal(err)
	}
	defer resp.Body.Close()
	got := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		s.T.Fatal(err)
	}
	return resp.StatusCode, got
}

// let has a person let the client ask in their name.
func (s *issuerSite) let(p approval.Person) {
	s.T.Helper()
	const redirect = "http://127.0.0.1:4711/callback"
	ask, err := s.inbox.c.Issuer.Ask(httptest.NewRequest("GET", s.asks(redirect), nil), s.as(p))
	if err != nil {
		s.T.Fatal(err)
	}
	back, err := s.inbox.c.Issuer.Answer(s.T.Context(), s.as(p), ask.Sealed, true)
	if err != nil {
		s.T.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		s.T.Fatal(err)
	}
	if status, got := s.redeem(redirect, u.Query().Get("code")); status != http.StatusOK {
		s.T.Fatal(status, got)
	}
}

// A person who is logged in is asked, allows it, sees it and takes it back.
func TestClientConsent(t *testing.T) {
	s := newIssuerSite(t)
	const redirect = "http://127.0.0.1:4711/callback"
	path := s.asks(redirect)
	a := s.get(path)
	s.want(a, 401, "Log in")
	s.login()
	a = s.get(path, "Sec-Fetch-Site: cross-site") // a link of a program
	s.want(a, 200, "May this program ask in your name?")
	for _, want := range []string{s.client, "nobody has checked who it is", "unverified name", "127.0.0.1:4711", "a program on the computer", "alice", s.resource, "api.read", "still waits for you", "approve nothing"} {
		s.want(a, 200, want)
	}
	if strings.Contains(a.body, "<b>") || strings.Contains(a.body, "\u202e") {
		t.Error("the client's name does something on the page")
	}
	csp := a.header.Get("Content-Security-Policy")
	if csp != "default-src 'none'; style-src 'self'; form-action 'self' http://127.0.0.1:4711; frame-ancestors 'none'; base-uri 'none'" || a.header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("it can be framed, or run something: %s", csp)
	}
	a = s.post(answerPath, s.answers(a, "allow"))
	back, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != 303 || !strings.HasPrefix(back.String(), redirect+"?") || back.Query().Get("iss") != s.base || back.Query().Get("state") != "its state" {
		t.Fatalf("%d %v %v", a.status, back, err)
	}
	status, got := s.redeem(redirect, back.Query().Get("code"))
	if status != 200 || got["access_token"] == nil {
		t.Fatalf("%d %v", status, got)
	}
	a = s.get("/sessions")
	s.want(a, 200, "Programs that ask in your name")
	form := regexp.MustCompile(`action="(/access/access_[a-z2-7]{26}/revoke)"`).FindStringSubmatch(a.body)
	if form == nil {
		t.Fatal(a.body)
	}
	s.want(s.post(form[1], url.Values{"csrf": {"x"}}), 403, "not from this login")
	if a := s.post(form[1], url.Values{"csrf": {s.csrf}}); a.status != 303 {
		t.Errorf("%d", a.status)
	}
	s.want(s.post(form[1], url.Values{"csrf": {s.csrf}}), 404, "no such program")
	if strings.Contains(s.get("/sessions").body, s.client) {
		t.Error("it is still there")
	}
	if status, got := s.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got["refresh_token"].(string)}, "client_id": {s.client}}); status != 400 {
		t.Errorf("%d %v", status, got)
	}
	a = s.post(answerPath, s.answers(s.get(path), "refuse"))
	if back, _ := url.Parse(a.header.Get("Location")); back.Query().Get("error") != "access_denied" || back.Query().Has("code") {
		t.Errorf("%v", back)
	}
}

// Nothing but the form of the page, of this login, by this person, allows anything:
// no other site, no frame, no agent with its token, no second look.
func TestClientConsentAttacks(t *testing.T) {
	s := newIssuerSite(t)
	path := s.asks("http://127.0.0.1:4711/callback")
	s.login()
	form := s.answers(s.get(path), "allow")
	for name, a := range map[string]answer{
		"no token":        s.post(answerPath, url.Values{"ask": form["ask"], "verdict": {"allow"}}),
		"cross site":      s.post(answerPath, form, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"),
		"same site":       s.post(answerPath, form, "Sec-Fetch-Site: same-site"),
		"by a link":       s.get(answerPath + "?" + form.Encode()),
		"in the URL":      s.post(answerPath+"?"+form.Encode(), url.Values{}),
		"another host":    s.post(answerPath, form, "Host: evil.example"),
		"not logged in":   s.post(answerPath, form, "Cookie: "),
		"an agent":        s.post(answerPath, form, "Cookie: ", "Authorization: Bearer abc"),
		"no verdict":      s.post(answerPath, url.Values{"csrf": {s.csrf}, "ask": form["ask"]}),
		"another verdict": s.post(answerPath, url.Values{"csrf": {s.csrf}, "ask": form["ask"], "verdict": {"approve"}}),
		"nothing asked":   s.post(answerPath, url.Values{"csrf": {s.csrf}, "verdict": {"allow"}}),
		"its own ask":     s.post(answerPath, url.Values{"csrf": {s.csrf}, "ask": {"e30.AAAA"}, "verdict": {"allow"}}),
	} {
		if a.status < 400 || strings.Contains(a.header.Get("Location"), "code=") {
			t.Errorf("%s: %d %s", name, a.status, a.header.Get("Location"))
		}
	}
	if n := len(s.consents()); n != 0 {
		t.Errorf("%d were let do something", n)
	}
	// Looking at it, also twice, allows nothing.
	s.get(path)
	if n := len(s.consents()); n != 0 {
		t.Errorf("%d were let do something", n)
	}
	s.Pass(11 * time.Minute)
	s.want(s.post(answerPath, form), 409, "more than 10 minutes ago")
}

// consents are the entries of what people let clients do.
func (s *issuerSite) consents() (list []string) {
	for _, e := range s.Entries() {
		if strings.HasPrefix(e, "connect") {
			list = append(list, e)
		}
	}
	return list
}

// A request that is wrong on purpose leads nobody away from the inbox; a program on
// the person's own machine hears of it at once.
func TestClientRefused(t *testing.T) {
	s := newIssuerSite(t)
	s.login()
	a := s.get(s.asks("https://client.example/callback", "response_type", "token"))
	s.want(a, 400, "Go there only if you know it")
	if a.header.Get("Location") != "" || !strings.Contains(html.UnescapeString(a.body), `href="https://client.example/callback?error=`) {
		t.Errorf("%s\n%s", a.header.Get("Location"), a.body)
	}
	checkHeaders(t, "refused", answer{header: a.header, body: strings.ReplaceAll(strings.ReplaceAll(a.body, "https://client.example", ""), "http://", "")})
	a = s.get(s.asks("http://127.0.0.1:4711/callback", "code_challenge_method", "plain"))
	if back := a.header.Get("Location"); a.status != 303 || !strings.HasPrefix(back, "http://127.0.0.1:4711/callback?error=invalid_request") {
		t.Errorf("%d %s", a.status, back)
	}
	for name, path := range map[string]string{"redirect": s.asks("https://evil.example/"), "client": s.asks("http://127.0.0.1/callback", "client_id", "client_x"), "nothing": devissuer.AuthorizePath,
		"twice": s.asks("http://127.0.0.1/callback") + "&redirect_uri=https://evil.example/"} {
		a := s.get(path)
		if a.status != 400 || a.header.Get("Location") != "" || strings.Contains(a.body, `<a class="button"`) {
			t.Errorf("%s: %d %s", name, a.status, a.header.Get("Location"))
		}
	}
	s.want(s.get(s.asks("https://client.example/callback")), 200, "May this program ask in your name?")
	s.Pass(3 * time.Minute)
	s.want(s.get(s.asks("https://client.example/callback", "prompt", "login")), 403, "wants you to log in anew")
	s.login()
	s.want(s.get(s.asks("https://client.example/callback", "prompt", "login")), 200, "May this program ask in your name?")
}

// A login leads back to what a client asks, and to no other site by it.
func TestBackToClient(t *testing.T) {
	s := newIssuerSite(t)
	good := s.asks("https://client.example/callback")
	if got := backTo(good); got != good {
		t.Errorf("%s leads to %s", good, got)
	}
	for _, bad := range []string{"/oauth/authorize", "//oauth/authorize?x", "/oauth/authorize?x\r\nLocation: //evil", "/oauth/authorize?x#y", "/oauth/authorize/../x?y", "https://evil.example/oauth/authorize?x",
		"/oauth/authorize?x\\", "/oauth/answer?x", "/oauth/authorize?" + strings.Repeat("x", maxBack)} {
		if got := backTo(bad); got != "/" {
			t.Errorf("%q leads to %s", bad, got)
		}
	}
	without := newSite(t).login()
	without.want(without.get(good), 404, "")
}

// Somebody who has a passkey signs in with it before they allow anything, and then
// gets back to the program, which a policy of content could have stopped.
func TestClientInChromium(t *testing.T) {
	site, ctx := keyed(t)
	got := make(chan url.Values, 1)
	program := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			got <- r.URL.Query()
			w.Write([]byte(`<p id="done">Done</p>`))
		}
	}))
	t.Cleanup(program.Close)
	s := giveIssuer(site, "http://127.0.0.1/callback")
	redirect := program.URL + "/callback"
	s.enrol(ctx)
	logOut(t, ctx)
	browse(t, ctx, chromedp.Navigate(s.inbox.LoginLink()), chromedp.Click(`form[action="/login"] button`), chromedp.WaitVisible(`details.me`),
		chromedp.Navigate(s.inbox.c.URL+s.asks(redirect)), chromedp.WaitVisible(`form[action="/login/passkey"] button`), chromedp.WaitNotPresent(`button[value="allow"]`))
	who := s.as(approval.Person{Principal: alice, AMR: []string{"otp"}})
	ask, err := s.inbox.c.Issuer.Ask(httptest.NewRequest("GET", s.asks(redirect), nil), who)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.inbox.c.Issuer.Answer(t.Context(), who, ask.Sealed, true); !errors.Is(err, approval.ErrNeedPasskey) {
		t.Errorf("a login by link allows it: %v", err)
	}
	browse(t, ctx, chromedp.Click(`form[action="/login/passkey"] button`), chromedp.WaitVisible(`button[value="allow"]`), chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible("#done"))
	q := <-got
	if status, tokens := s.redeem(redirect, q.Get("code")); status != 200 || q.Get("iss") != s.base {
		t.Errorf("%d %v %v", status, tokens, q)
	}
}
