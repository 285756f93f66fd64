package inbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/account"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

// connectSite is a site where an account of the petstore can be connected, at a server
// that takes every code and says whose it is.
type connectSite struct {
	*site
	p       *account.Provider
	server  *httptest.Server
	revoked []string
	granted string // in place of what was asked for
	who     string // logs in there
}

// lacksAccount is what the tests' holds lack: they delete pets.
func (s *connectSite) lacksAccount(ctx context.Context, h store.Hold) (string, error) {
	return (&account.Connected{Book: s.inbox.c.Accounts, Provider: s.p}).Lacks(ctx, token.Call{Person: h.Subject, Scopes: s.p.Needed(h.Tool)})
}

func newConnectSite(t testing.TB, policies ...string) *connectSite {
	t.Helper()
	return giveAccounts(newSite(t, policies...))
}

func giveAccounts(site *site) *connectSite {
	s, t := &connectSite{site: site, who: "ann@shop.example"}, site.T
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		code, _, _ := strings.Cut(r.FormValue("code"), ".")
		if code == "bad" {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"<b>no</b>"}`)
			return
		}
		id := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":"1","email":%q}`, s.who)) + ".c2ln"
		out := map[string]any{"access_token": "a1", "token_type": "Bearer", "refresh_token": "refresh-of-" + code, "id_token": id}
		if s.granted != "" {
			out["scope"] = s.granted
		}
		if err := json.NewEncoder(w).Encode(out); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("POST /revoke", func(_ http.ResponseWriter, r *http.Request) { s.revoked = append(s.revoked, r.FormValue("token")) })
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	s.p = &account.Provider{API: "petstore", ClientID: "exeat", AuthorizeURL: s.server.URL + "/authorize", Issuer: s.server.URL,
		Server: &credential.Server{TokenURL: s.server.URL + "/token", RevokeURL: s.server.URL + "/revoke", Auth: credential.SecretAuth{ID: "exeat"}},
		Scopes: []account.Scope{{Name: "pets:read", Says: "Read your pets", Life: account.ReadLife, Tools: []string{"get_pet"}},
			{Name: "pets:write", Says: "Change <b>and</b> delete your pets", Life: account.WriteLife, Tools: []string{"delete_pet", "put_pet"}}}}
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	book := account.NewBook()
	if err := book.Add(s.p); err != nil {
		t.Fatal(err)
	}
	if err := book.Open(account.Config{Store: s.DB, Folder: keys, Now: s.Clock}); err != nil {
		t.Fatal(err)
	}
	s.inbox.c.Accounts = book
	s.restart(func(c *approval.Config) { c.Lacks = s.lacksAccount })
	return s
}

var goLink = regexp.MustCompile(`id="go" href="([^"]+)"`)
var connectField = regexp.MustCompile(`name="ask" value="([a-z2-7]+)"`)

// begin goes as far as the server, and returns what it was sent.
func (s *connectSite) begin(hold string, scopes ...string) url.Values {
	s.T.Helper()
	a := s.post("/connect/petstore", url.Values{"csrf": {s.csrf}, "scope": scopes, "hold": {hold}})
	m := goLink.FindStringSubmatch(a.body)
	if a.status != 200 || m == nil {
		s.T.Fatalf("%d %s", a.status, a.body)
	}
	u, err := url.Parse(html.UnescapeString(m[1]))
	if err != nil || !strings.HasPrefix(u.String(), s.p.AuthorizeURL+"?") || a.header.Get("Refresh") != "0; url="+u.String() {
		s.T.Fatalf("%v: %s, %q", err, u, a.header.Get("Refresh"))
	}
	return u.Query()
}

// come is the callback with an answer of the server.
func (s *connectSite) come(state, code string, more ...string) answer {
	q := url.Values{"state": {state}, "code": {code}, "iss": {s.server.URL}}
	for _, x := range more {
		k, v, _ := strings.Cut(x, "=")
		q.Del(k)
		if v != "" {
			q.Set(k, v)
		}
	}
	return s.get(account.CallbackPath+"petstore?"+q.Encode(), "Sec-Fetch-Site: cross-site")
}

func (s *connectSite) confirm(a answer, verdict string) answer {
	s.T.Helper()
	m := connectField.FindStringSubmatch(a.body)
	if m == nil {
		s.T.Fatalf("%d: nothing is asked: %s", a.status, a.body)
	}
	return s.post("/connect/petstore/confirm", url.Values{"csrf": {s.csrf}, "ask": {m[1]}, "verdict": {verdict}})
}

func (s *connectSite) live(person string) string {
	s.T.Helper()
	list, err := s.inbox.c.Accounts.Live(s.T.Context(), person, "petstore")
	if err != nil {
		s.T.Fatal(err)
	}
	return strings.Join(list, " ")
}

func (s *connectSite) disconnected() {
	s.T.Helper()
	s.want(s.post("/connect/petstore/disconnect", url.Values{"csrf": {s.csrf}}), 303, "")
}

// A held call asks for the account: nobody approves it without, the person connects
// exactly what it needs, sees whose account it is, and then decides.
func TestConnectForAHeldCall(t *testing.T) {
	s := newConnectSite(t)
	s.login()
	h := s.open(call(alice, "k1"))
	page := s.get("/h/" + h.ID)
	s.want(page, 200, "an account of petstore")
	if strings.Contains(page.body, `value="approve"`) || !strings.Contains(page.body, "/connect/petstore?hold="+h.ID) {
		t.Errorf("the page: %s", page.body)
	}
	s.want(s.post("/h/"+h.ID, s.form(h, "approve")), 409, "has to connect it first")
	if got := s.Stored(h.ID).State; got != store.Pending {
		t.Fatalf("it is %s", got)
	}
	page = s.get("/connect/petstore?hold=" + h.ID)
	s.want(page, 200, "needed by this call")
	if !strings.Contains(page.body, `value="pets:write" checked`) || strings.Contains(page.body, `value="pets:read" checked`) || strings.Contains(page.body, "<b>and</b>") {
		t.Errorf("the page: %s", page.body)
	}
	asked := s.begin(h.ID, "pets:write")
	if asked.Get("scope") != "pets:write" || asked.Get("code_challenge_method") != "S256" || asked.Get("redirect_uri") != s.inbox.c.URL+"/connect/callback/petstore" || asked.Get("response_type") != "code" || len(asked.Get("state")) != 52 {
		t.Errorf("asked: %v", asked)
	}
	back := s.come(asked.Get("state"), "c1")
	s.want(back, 200, "ann@shop.example")
	if s.live("User::alice") != "" {
		t.Error("connected before the person said that it is theirs")
	}
	if a := s.confirm(back, "connect"); a.status != 303 || a.header.Get("Location") != "/h/"+h.ID {
		t.Errorf("%d to %s", a.status, a.header.Get("Location"))
	}
	if s.live("User::alice") != "pets:write" || s.live("User::bob") != "" {
		t.Errorf("alice %q, bob %q", s.live("User::alice"), s.live("User::bob"))
	}
	if got := s.Stored(h.ID).State; got != store.Pending {
		t.Errorf("connecting decided the call: %s", got)
	}
	s.want(s.get("/permissions"), 200, ">pets:write</span>, until ")
	if a := s.post("/h/"+h.ID, s.form(h, "approve")); a.status != 303 {
		t.Errorf("approve: %d %s", a.status, a.body)
	}
	// A scope that ends before an approved call could be sent: whoever connects it sends
	// the call, and reads so first.
	s.disconnected()
	page = s.get("/h/" + h.ID)
	s.want(page, 200, "/connect/petstore?hold="+h.ID)
	s.want(page, 200, "is sent as soon as")
	page = s.get("/connect/petstore?hold=" + h.ID)
	s.want(page, 200, "is approved already")
	if strings.Contains(page.body, "Connecting sends nothing") {
		t.Errorf("the page: %s", page.body)
	}
	s.confirm(s.come(s.begin(h.ID, "pets:write").Get("state"), "c9"), "connect")
	// Writes are asked anew.
	s.Pass(20 * time.Minute)
	next := s.open(call(alice, "k2"))
	s.want(s.get("/h/"+next.ID), 200, "connect anew")
	s.want(s.post("/h/"+next.ID, s.form(next, "approve")), 409, "")
}

// What else could be sent back, and by whom, connects nothing.
func TestConnectAttacks(t *testing.T) {
	for name, attack := range map[string]func(s *connectSite, state string) answer{
		"another state": func(s *connectSite, state string) answer { return s.come(newToken()+newToken(), "c1") },
		"no state":      func(s *connectSite, state string) answer { return s.come("", "c1") },
		"two states": func(s *connectSite, state string) answer {
			return s.get("/connect/callback/petstore?code=c&state=" + state + "&state=" + state)
		},
		"in another login":  func(s *connectSite, state string) answer { s.cookie = ""; s.login(); return s.come(state, "c1") },
		"in nobody's":       func(s *connectSite, state string) answer { s.cookie = ""; return s.come(state, "c1") },
		"a second time":     func(s *connectSite, state string) answer { s.come(state, "c1"); return s.come(state, "c2") },
		"late":              func(s *connectSite, state string) answer { s.Pass(11 * time.Minute); return s.come(state, "c1") },
		"of another issuer": func(s *connectSite, state string) answer { return s.come(state, "c1", "iss=https://evil.example") },
		"of no issuer":      func(s *connectSite, state string) answer { return s.come(state, "c1", "iss=") },
		"of another API": func(s *connectSite, state string) answer {
			return s.get("/connect/callback/other?code=c1&state=" + state)
		},
		"a code of another":    func(s *connectSite, state string) answer { return s.come(state, "bad") },
		"an error with a code": func(s *connectSite, state string) answer { return s.come(state, "c1", "error=access_denied") },
		"by bob, as alice began": func(s *connectSite, state string) answer {
			s.inbox.c.Person = bob
			s.cookie = ""
			s.login()
			return s.come(state, "c1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newConnectSite(t)
			s.inbox.c.Trouble = nil
			s.login()
			a := attack(s, s.begin("", "pets:read").Get("state"))
			if a.status < 400 || strings.Contains(a.body, `name="ask"`) || strings.Contains(a.header.Get("Location"), "evil") {
				t.Errorf("%d %s", a.status, a.body)
			}
			if s.live("User::alice") != "" || s.live("User::bob") != "" {
				t.Error("something is connected")
			}
		})
	}
}

// The page on which a person says that an account is theirs takes one answer, of the
// login that it is for, and the callback's state is none.
func TestConnectConfirmAttacks(t *testing.T) {
	for name, attack := range map[string]func(s *connectSite, ask, state string) answer{
		"without the token": func(s *connectSite, ask, _ string) answer {
			return s.post("/connect/petstore/confirm", url.Values{"ask": {ask}, "verdict": {"connect"}})
		},
		"of another site": func(s *connectSite, ask, _ string) answer {
			return s.post("/connect/petstore/confirm", url.Values{"csrf": {s.csrf}, "ask": {ask}, "verdict": {"connect"}}, "Sec-Fetch-Site: cross-site")
		},
		"in another login": func(s *connectSite, ask, _ string) answer {
			s.cookie = ""
			s.login()
			return s.post("/connect/petstore/confirm", url.Values{"csrf": {s.csrf}, "ask": {ask}, "verdict": {"connect"}})
		},
		"with the ask as a state": func(s *connectSite, ask, _ string) answer { return s.come(ask, "c2") },
		"dropped first": func(s *connectSite, ask, _ string) answer {
			form := url.Values{"csrf": {s.csrf}, "ask": {ask}, "verdict": {"drop"}}
			s.post("/connect/petstore/confirm", form)
			form.Set("verdict", "connect")
			return s.post("/connect/petstore/confirm", form)
		},
		"with a state that has not come back": func(s *connectSite, _, _ string) answer {
			return s.post("/connect/petstore/confirm", url.Values{"csrf": {s.csrf}, "ask": {s.begin("", "pets:read").Get("state")}, "verdict": {"connect"}})
		},
		"by a GET": func(s *connectSite, ask, _ string) answer {
			return s.get("/connect/petstore/confirm?verdict=connect&ask=" + ask + "&csrf=" + s.csrf)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newConnectSite(t)
			s.login()
			state := s.begin("", "pets:read").Get("state")
			m := connectField.FindStringSubmatch(s.come(state, "c1").body)
			if m == nil {
				t.Fatal("nothing is asked")
			}
			if a := attack(s, m[1], state); a.status < 400 {
				t.Errorf("%d %s", a.status, a.body)
			}
			if s.live("User::alice") != "" {
				t.Error("connected")
			}
		})
	}
}

// Nothing is begun for another API, for scopes that it has not, or for a call of
// somebody else, and what a server writes stays text.
func TestConnectPages(t *testing.T) {
	s := newConnectSite(t)
	s.login()
	theirs := s.open(call(bob, "k9"))
	s.want(s.get("/connect/petstore?hold="+theirs.ID), 404, "")
	s.want(s.get("/connect/other"), 404, "no such account")
	s.want(s.post("/connect/petstore", url.Values{"csrf": {s.csrf}}), 422, "Choose at least one")
	s.want(s.post("/connect/petstore", url.Values{"csrf": {s.csrf}, "scope": {"admin"}}), 422, "Choose at least one")
	s.want(s.post("/connect/petstore", url.Values{"scope": {"pets:read"}}), 403, "")
	s.want(s.post("/connect/petstore/disconnect", url.Values{"csrf": {s.csrf}}), 404, "")
	a := s.come(s.begin("", "pets:read").Get("state"), "", "error=access_denied", "error_description=<script>x</script>")
	s.want(a, 403, "you cancelled there")
	if strings.Contains(a.body, "<script>x") || !strings.Contains(html.UnescapeString(a.body), "<script>x") {
		t.Errorf("%s", a.body)
	}
	// Fewer than were asked for are fine.
	s.granted = "pets:read other"
	a = s.come(s.begin("", "pets:read", "pets:write").Get("state"), "c1")
	s.want(a, 200, "Not given")
	s.confirm(a, "connect")
	if got := s.live("User::alice"); got != "pets:read" {
		t.Errorf("connected: %q", got)
	}
	s.want(s.get("/permissions"), 200, "Connect more…")
	s.granted = ""
	// More is asked for beside what is connected, which keeps its end.
	s.Pass(time.Hour)
	s.cookie = ""
	s.login()
	asked := s.begin("", "pets:write")
	if asked.Get("scope") != "pets:read pets:write" {
		t.Errorf("asked for %q", asked.Get("scope"))
	}
	s.want(s.confirm(s.come(asked.Get("state"), "c2"), "connect"), 303, "")
	c, err := s.inbox.c.Accounts.Of(t.Context(), "User::alice", "petstore")
	if err != nil || c.Scopes["pets:read"].Until.Sub(s.Clock()) != 71*time.Hour || c.Scopes["pets:write"].Until.Sub(s.Clock()) != 20*time.Minute {
		t.Errorf("%+v, %v", c.Scopes, err)
	}
	// Another account's consent does not count for this one.
	s.who = "mallory@shop.example"
	a = s.come(s.begin("", "pets:write").Get("state"), "c3")
	s.want(a, 200, "It takes the place of")
	if !strings.Contains(a.body, "ann@shop.example") || strings.Contains(a.body, "until the end that it has") {
		t.Errorf("the page does not say what becomes of the account before: %s", a.body)
	}
	s.want(s.confirm(a, "connect"), 303, "")
	if got := s.live("User::alice"); got != "pets:write" {
		t.Errorf("connected: %q", got)
	}
	s.want(s.post("/connect/petstore/disconnect", url.Values{"csrf": {s.csrf}}), 303, "")
	if s.live("User::alice") != "" || !slices.Equal(s.revoked, []string{"refresh-of-c2", "refresh-of-c3"}) {
		t.Errorf("%q, revoked %v", s.live("User::alice"), s.revoked)
	}
}
