package inbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

func TestOIDCLogin(t *testing.T) {
	s := newOIDCSite(t, func(c *OIDCConfig) { c.ACR, c.MaxAge = []string{"urn:three", "urn:two"}, time.Hour })
	b := newAgent(t)
	h := s.open(call(alice, "k"))
	page := b.get(s.inbox.c.URL + "/h/" + h.ID)
	link := "/login/oidc?back=%2Fh%2F" + h.ID
	if page.status != 401 || !strings.Contains(page.body, `href="`+link+`"`) || strings.Contains(page.body, "terminal") {
		t.Fatalf("the login page: %d\n%s", page.status, page.body)
	}
	callback := s.begin(b, "back=%2Fh%2F"+h.ID)
	if got := s.issuer.asked.Get("redirect_uri"); got != s.inbox.c.URL+"/login/oidc/callback" {
		t.Errorf("redirect_uri %q", got)
	}
	for name, want := range map[string]string{"scope": "openid email", "acr_values": "urn:three urn:two", "max_age": "3600", "prompt": ""} {
		if got := s.issuer.asked.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a := b.get(callback); a.status != 303 || a.header.Get("Location") != "/h/"+h.ID {
		t.Fatalf("%d to %q: %s %v", a.status, a.header.Get("Location"), a.body, s.told)
	}
	if a := b.get(s.inbox.c.URL + "/h/" + h.ID); a.status != 200 || !strings.Contains(a.body, "Approve once") {
		t.Errorf("the page: %d %s", a.status, a.body)
	}
	if a := b.get(s.inbox.c.URL + "/sessions"); !strings.Contains(a.body, s.issuer.URL) {
		t.Errorf("how they logged in is not shown: %s", a.body)
	}
	want := &store.Login{ACR: "urn:two", AMR: []string{"pwd", "otp"}, AuthTime: s.Clock().Truncate(time.Second)}
	if d := cmp.Diff(want, s.last("login").Login); d != "" {
		t.Errorf("the entry (-want +got):\n%s", d)
	}
	// The session is the person as the provider described them.
	who := s.inbox.logins.of("User::alice", s.Clock())[0].who.Person()
	if d := cmp.Diff(authz.Principal{Type: "User", ID: "alice", Groups: []string{"keepers"}, Email: "alice@example.com", ACR: "urn:two", AuthTime: want.AuthTime}, who.Principal); d != "" || who.Strong {
		t.Errorf("the principal (-want +got):\n%s", d)
	}
}

// What a provider says goes with the decision, into the hold and its entry.
func TestOIDCDecision(t *testing.T) {
	s := newOIDCSite(t, nil)
	b := newAgent(t)
	s.enter(b, "")
	h := s.open(call(alice, "k"))
	token := csrfField.FindStringSubmatch(b.get(s.inbox.c.URL + "/h/" + h.ID).body)[1]
	resp, err := b.PostForm(s.inbox.c.URL+"/h/"+h.ID, url.Values{"csrf": {token}, "digest": {h.Digest}, "verdict": {"approve"}, "sure": {"yes"}})
	if err != nil || resp.StatusCode != 303 {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	got, _, err := approval.ApprovalOf(s.Stored(h.ID))
	if err != nil {
		t.Fatal(err)
	}
	if got.By.ACR != "urn:two" || got.By.AuthTime.IsZero() || strings.Join(got.AMR, " ") != "pwd otp" || got.PhishingResistant {
		t.Errorf("the approval is %+v", got)
	}
	if e := s.last("approve"); e.Login == nil || e.Login.ACR != "urn:two" || e.Login.AuthTime.IsZero() || strings.Join(e.Login.AMR, " ") != "pwd otp" {
		t.Errorf("the entry is %+v", e)
	}
	s.claim() // it is released as it was approved
}

// Every row is an answer that must let nobody in.
func TestOIDCAttacks(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	another, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, value any) func(*oidcSite) {
		return func(s *oidcSite) { s.issuer.claims = map[string]any{name: value} }
	}
	back := func(change func(q url.Values)) func(*oidcSite) {
		return func(s *oidcSite) { s.issuer.callback = change }
	}
	key := func(k jose.SigningKey) func(*oidcSite) {
		return func(s *oidcSite) {
			s.issuer.sign = func(t *testing.T, claims map[string]any) string { return signed(t, k, claims) }
		}
	}
	day := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		config func(*OIDCConfig)
		make   func(*oidcSite)
		want   string // of the page
		told   string // what the operator is told
	}{
		"another login's nonce":          {nil, claim("nonce", strings.Repeat("a", 52)), "relied on", "nonce"},
		"no nonce":                       {nil, claim("nonce", nil), "relied on", "nonce"},
		"another issuer's token":         {nil, claim("iss", "https://evil.example"), "relied on", "different provider"},
		"another client's token":         {nil, claim("aud", "other"), "relied on", "audience"},
		"two audiences, no azp":          {nil, claim("aud", []string{clientID, "other"}), "relied on", "another client"},
		"azp of another client":          {nil, claim("azp", "other"), "relied on", "another client"},
		"azp is no text":                 {nil, claim("azp", []string{clientID}), "relied on", "azp"},
		"expired":                        {nil, claim("exp", day.Add(-time.Second).Unix()), "relied on", "expired"},
		"no expiry":                      {nil, claim("exp", nil), "relied on", "expired"},
		"issued in the future":           {nil, claim("iat", day.Add(time.Hour).Unix()), "relied on", "clocks"},
		"logged in in the future":        {nil, claim("auth_time", day.Add(time.Hour).Unix()), "relied on", "clocks"},
		"auth_time is no time":           {nil, claim("auth_time", "now"), "relied on", "auth_time"},
		"nobody":                         {nil, claim("sub", nil), "relied on", "no sub"},
		"a name that hides":              {nil, claim("sub", "alice\u200b"), "relied on", `"sub"`},
		"a name too long":                {nil, claim("sub", strings.Repeat("a", 256)), "relied on", `"sub"`},
		"too many groups":                {nil, claim("groups", strings.Split(strings.Repeat("g ", 600), " ")), "relied on", `"groups"`},
		"groups are objects":             {nil, claim("groups", []any{map[string]any{"name": "keepers"}}), "relied on", `"groups"`},
		"another key":                    {nil, key(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: another, KeyID: signKey}}), "relied on", "signature"},
		"an unknown key":                 {nil, key(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: another, KeyID: "k2"}}), "relied on", "signature"},
		"HS256 with the client's secret": {nil, key(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(clientSecret + strings.Repeat(" ", 32))}), "relied on", "malformed jwt"},
		"no signature": {nil, func(s *oidcSite) {
			s.issuer.sign = func(t *testing.T, claims map[string]any) string {
				good := signed(t, jose.SigningKey{Algorithm: jose.ES256, Key: s.issuer.key}, claims)
				return "eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + "."
			}
		}, "relied on", "malformed jwt"},
		"no ID token":           {nil, func(s *oidcSite) { s.issuer.sign = func(*testing.T, map[string]any) string { return "" } }, "relied on", ""},
		"the issuer is another": {nil, back(func(q url.Values) { q.Set("iss", "https://evil.example") }), "relied on", "RFC 9207"},
		"the issuer is missing": {nil, back(func(q url.Values) { q.Del("iss") }), "relied on", "RFC 9207"},
		"two issuers":           {nil, back(func(q url.Values) { q.Add("iss", "https://evil.example") }), "not for a login", ""},
		"two codes":             {nil, back(func(q url.Values) { q.Add("code", "x") }), "not for a login", ""},
		"no code":               {nil, back(func(q url.Values) { q.Del("code") }), "relied on", "no code"},
		"another code":          {nil, back(func(q url.Values) { q.Set("code", "x") }), "relied on", "invalid_grant"},
		"no state":              {nil, back(func(q url.Values) { q.Del("state") }), "not for a login", ""},
		"another state":         {nil, back(func(q url.Values) { q.Set("state", strings.Repeat("a", 52)) }), "not for a login", ""},
		"refused": {nil, back(func(q url.Values) {
			q.Del("code")
			q.Set("error", "access_denied")
			q.Set("error_description", "<script>call 555-0100</script>")
		}), "did not let you in", "access_denied"},
		"refused, with a code":        {nil, back(func(q url.Values) { q.Set("error", "access_denied") }), "did not let you in", "access_denied"},
		"a stranger":                  {func(c *OIDCConfig) { c.Allowed = Allowed{Subjects: []string{"bob"}} }, nil, "not among those", "User::alice"},
		"a stranger's mail":           {func(c *OIDCConfig) { c.Allowed = Allowed{Emails: []string{"bob@example.com"}} }, nil, "not among those", ""},
		"mail not verified":           {func(c *OIDCConfig) { c.Allowed = Allowed{Emails: []string{"alice@example.com"}} }, claim("email_verified", false), "not among those", ""},
		"mail maybe verified":         {func(c *OIDCConfig) { c.Allowed = Allowed{Emails: []string{"alice@example.com"}} }, claim("email_verified", nil), "not among those", ""},
		"named by mail, not verified": {func(c *OIDCConfig) { c.Subject = "email" }, claim("email_verified", false), "relied on", "not verified"},
		"another group":               {func(c *OIDCConfig) { c.Allowed = Allowed{Groups: []string{"owners"}} }, nil, "not among those", ""},
		"no such claim":               {func(c *OIDCConfig) { c.Subject = "upn" }, nil, "relied on", `"upn"`},
		"a weak login":                {func(c *OIDCConfig) { c.ACR = []string{"urn:three"} }, nil, "in a stronger way", "urn:two"},
		"an old login":                {func(c *OIDCConfig) { c.MaxAge = time.Hour }, claim("auth_time", day.Add(-2*time.Hour).Unix()), "anew", "max_age"},
		"a login of no age":           {func(c *OIDCConfig) { c.MaxAge = time.Hour }, claim("auth_time", nil), "anew", "auth_time"},
		"user info of another": {nil, func(s *oidcSite) {
			s.issuer.claims = map[string]any{"groups": nil}
			s.issuer.info = map[string]any{"sub": "bob", "groups": []string{"owners"}}
		}, "relied on", "another person"},
		"a redirect of the token request": {nil, func(s *oidcSite) {
			s.issuer.serve = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" {
					http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
				}
				if r.URL.Path == "/elsewhere" {
					t.Error("the code was sent elsewhere")
				}
				return r.URL.Path == "/token"
			}
		}, "relied on", "307"},
		"an endless token answer": {nil, func(s *oidcSite) {
			s.issuer.serve = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/token" {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				for r.Context().Err() == nil {
					if _, err := fmt.Fprint(w, strings.Repeat(" ", 64<<10)); err != nil {
						break
					}
				}
				return true
			}
		}, "relied on", "cannot parse json"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newOIDCSite(t, tt.config)
			if tt.make != nil {
				tt.make(s)
			}
			b := newAgent(t)
			a := b.get(s.begin(b, "back=%2Factivity"))
			if a.status != 403 || !strings.Contains(a.body, tt.want) || s.in(b) {
				t.Errorf("%d, logged in: %v, told %q\n%s", a.status, s.in(b), s.told, a.body)
			}
			if told := strings.Join(s.told, "\n"); !strings.Contains(told, tt.told) {
				t.Errorf("the operator is told %q, want %q", told, tt.told)
			}
			if e := s.last("denied"); e.Code != "login_refused" || strings.Contains(a.body, "555-0100") {
				t.Errorf("the entry is %+v, the page\n%s", e, a.body)
			}
			if foreign := foreign(a.body); len(foreign) > 0 {
				t.Errorf("the page holds %q", foreign)
			}
		})
	}
}

// A login belongs to the browser that began it, and works once.
func TestOIDCBelongsToItsBrowser(t *testing.T) {
	s := newOIDCSite(t, nil)
	victim, attacker := newAgent(t), newAgent(t)
	s.enter(victim, "")

	// Login CSRF: the attacker's own login, finished in the victim's browser.
	s.issuer.claims = map[string]any{"sub": "mallory"}
	callback := s.begin(attacker, "")
	for _, b := range []*agent{victim, newAgent(t)} {
		if a := b.get(callback); a.status != 403 || !strings.Contains(a.body, "not for a login") {
			t.Errorf("another browser's login: %d %s", a.status, a.body)
		}
	}
	if list := s.inbox.logins.of("User::mallory", s.Clock()); len(list) != 0 || !s.in(victim) {
		t.Errorf("mallory has %d logins", len(list))
	}
	if a := victim.get(callback); !strings.Contains(a.body, "still logged in") {
		t.Errorf("the victim is not told that nothing changed: %s", a.body)
	}
	// It is still the attacker's to finish, and once.
	if a := attacker.get(callback); a.status != 303 {
		t.Errorf("the login itself: %d", a.status)
	}
	if a := attacker.get(callback); a.status != 403 || !strings.Contains(a.body, "not for a login") {
		t.Errorf("again: %d %s", a.status, a.body)
	}
	// A code that was spent, with a state that was not.
	spent, _ := url.Parse(callback)
	fresh, _ := url.Parse(s.begin(attacker, ""))
	q := fresh.Query()
	q.Set("code", spent.Query().Get("code"))
	fresh.RawQuery = q.Encode()
	if a := attacker.get(fresh.String()); a.status != 403 {
		t.Errorf("a code is taken twice: %d", a.status)
	}
	// Somebody else's code, in a flow of one's own: PKCE binds it.
	stolen, _ := url.Parse(s.begin(victim, ""))
	fresh, _ = url.Parse(s.begin(attacker, ""))
	q = fresh.Query()
	q.Set("code", stolen.Query().Get("code"))
	fresh.RawQuery = q.Encode()
	if a := attacker.get(fresh.String()); a.status != 403 {
		t.Errorf("a stolen code is taken: %d", a.status)
	}
	late := s.begin(attacker, "")
	s.Pass(flowLife)
	if a := attacker.get(late); a.status != 403 {
		t.Errorf("too late: %d", a.status)
	}
}

func TestOIDCBegins(t *testing.T) {
	s := newOIDCSite(t, nil)
	b := newAgent(t)
	for _, back := range []string{"", "//evil.example", "https://evil.example", "/\\evil.example", "/h/../x", "javascript:alert(1)", "/h/hold_x", "/activity?x=1", "/login", "/%2F%2Fevil", "/activity\r\nSet-Cookie: a=b", "/h/hold_aaaaaaaaaaaaaaaaaaaaaaaaaa/"} {
		if a := b.get(s.begin(b, url.Values{"back": {back}}.Encode())); a.header.Get("Location") != "/" {
			t.Errorf("back to %q leads to %q", back, a.header.Get("Location"))
		}
	}
	for _, back := range []string{"/activity", "/settings", "/h/hold_aaaaaaaaaaaaaaaaaaaaaaaaaa", "/h/hold_aaaaaaaaaaaaaaaaaaaaaaaaaa/grant?kind=denial"} {
		if a := b.get(s.begin(b, url.Values{"back": {back}}.Encode())); a.header.Get("Location") != back {
			t.Errorf("back to %q leads to %q", back, a.header.Get("Location"))
		}
	}
	// Several tabs of one browser may each begin a login.
	one, two := s.begin(b, "back=%2Factivity"), s.begin(b, "")
	for _, callback := range []string{one, two} {
		if a := b.get(callback); a.status != 303 {
			t.Errorf("one of two tabs: %d", a.status)
		}
	}
	a := newAgent(t).get(s.inbox.c.URL+"/login/oidc", "Sec-Fetch-Site: cross-site")
	if a.status != 403 || a.header.Get("Set-Cookie") != "" {
		t.Errorf("begun by another site: %d", a.status)
	}
	a = newAgent(t).get(s.inbox.c.URL + "/login/oidc")
	if got := a.header.Get("Set-Cookie"); !loginCookie.MatchString(got) {
		t.Errorf("cookie %q", got)
	}
	for name, cookie := range map[string]string{"planted": "x", "twice": strings.Repeat("a", 52) + "; " + s.inbox.cookieFor("exeat_login") + "=" + strings.Repeat("b", 52)} {
		a := newAgent(t).get(s.inbox.c.URL+"/login/oidc", "Cookie: "+s.inbox.cookieFor("exeat_login")+"="+cookie)
		if got := a.header.Get("Set-Cookie"); !loginCookie.MatchString(got) || strings.Contains(got, "="+cookie[:1]+";") {
			t.Errorf("a cookie %s: %q", name, got)
		}
	}
}

var loginCookie = regexp.MustCompile(`^exeat_login_[0-9]+=[a-z2-7]{52}; Path=/; Max-Age=600; HttpOnly; SameSite=Lax$`)

func TestOIDCFlowsAreBounded(t *testing.T) {
	var f flows
	now := time.Now()
	first := f.begin(flow{browser: sumOf("b"), begun: now})
	for range maxFlows {
		now = now.Add(time.Second)
		f.begin(flow{browser: sumOf("b"), begun: now})
	}
	if _, ok := f.take(first, "b", now); ok || len(f.all) != maxFlows {
		t.Errorf("%d flows, the oldest %v", len(f.all), ok)
	}
}

// With a provider nobody gets in by link, unless the operator wants both.
func TestOIDCAndTheLocalLogin(t *testing.T) {
	s := newOIDCSite(t, nil)
	var printed int
	s.inbox.c.Announce = func(string, string) { printed++ }
	s.want(s.get("/login"), 200, "Sign in with 127.0.0.1:")
	code := s.code()
	if page := s.get("/login?code=" + code); strings.Contains(page.body, code) || !strings.Contains(page.body, "no login links") {
		t.Errorf("the page offers the link: %s", page.body)
	}
	s.want(s.post("/login", url.Values{"code": {code}}), 403, "no login links")
	s.want(s.send("POST", "/api/login", `{"code":"`+code+`"}`, "Content-Type: application/json"), 403, "local_off")
	s.want(s.post("/login/link", nil), 404, "")
	if printed != 0 {
		t.Error("a link was printed")
	}
	s.inbox.c.OIDC.c.Local = true
	page := s.get("/login")
	s.want(page, 200, "Sign in with 127.0.0.1:")
	s.want(page, 200, "Look at the terminal")
	s.want(page, 200, "such as an agent with a shell")
	s.login()
	if who := s.inbox.logins.of("User::alice", s.Clock()); len(who) != 1 || who[0].how != "a one-time link" {
		t.Errorf("logins %+v", who)
	}
}
