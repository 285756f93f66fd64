package inbox

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/notify"
	"github.com/exeat/exeat/store"
)

// subscription is what page.js hands in for a browser.
func (s *site) subscription(path string) url.Values {
	s.T.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		s.T.Fatal(err)
	}
	return url.Values{"csrf": {s.csrf}, "endpoint": {"https://push.example.com" + path},
		"p256dh": {base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes())}, "auth": {base64.RawURLEncoding.EncodeToString([]byte("0123456789abcdef"))}}
}

// pushSite is a site with Web Push.
func pushSite(t *testing.T, policies ...string) *site {
	s := newSite(t, policies...)
	push, err := notify.NewPush([]byte("0123456789abcdef0123456789abcdef"), "mailto:alice@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.inbox.c.Push = push
	s.restart(func(c *approval.Config) { c.Push = true })
	return s.login()
}

func TestPushPage(t *testing.T) {
	s := pushSite(t)
	s.want(s.get("/push"), 200, s.inbox.c.Push.Key())
	if a := s.post("/push", s.subscription("/sub/s3cr3t")); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	page := s.get("/push")
	s.want(page, 200, "push.example.com")
	if strings.Contains(page.body, "s3cr3t") {
		t.Error("the page shows the endpoint")
	}
}

func TestSubscribe(t *testing.T) {
	s := pushSite(t)
	for name, change := range map[string]func(url.Values){
		"no token":        func(f url.Values) { f.Del("csrf") },
		"wrong token":     func(f url.Values) { f.Set("csrf", strings.Repeat("a", 26)) },
		"http":            func(f url.Values) { f.Set("endpoint", "http://push.example.com/") },
		"this machine":    func(f url.Values) { f.Set("endpoint", "https://localhost/") },
		"an address":      func(f url.Values) { f.Set("endpoint", "https://169.254.169.254/") },
		"an IPv6 address": func(f url.Values) { f.Set("endpoint", "https://[::1]/") },
		"inside":          func(f url.Values) { f.Set("endpoint", "https://metadata.google.internal/") },
		"a port":          func(f url.Values) { f.Set("endpoint", "https://push.example.com:22/") },
		"a password":      func(f url.Values) { f.Set("endpoint", "https://a:b@push.example.com/") },
		"too long":        func(f url.Values) { f.Set("endpoint", "https://push.example.com/"+strings.Repeat("x", 2048)) },
		"no key":          func(f url.Values) { f.Del("p256dh") },
		"no point":        func(f url.Values) { f.Set("p256dh", base64.RawURLEncoding.EncodeToString(make([]byte, 65))) },
		"short auth":      func(f url.Values) { f.Set("auth", "AAAA") },
	} {
		t.Run(name, func(t *testing.T) {
			f := s.subscription("/x")
			change(f)
			if a := s.post("/push", f); a.status != http.StatusForbidden && a.status != http.StatusBadRequest {
				t.Errorf("%d", a.status)
			}
		})
	}
	if a := s.post("/push", s.subscription("/x"), "Sec-Fetch-Site: cross-site"); a.status != http.StatusForbidden {
		t.Errorf("from another site: %d", a.status)
	}
	cookie := s.cookie
	s.cookie = ""
	if a := s.post("/push", s.subscription("/x")); a.status != http.StatusUnauthorized {
		t.Errorf("without a login: %d", a.status)
	}
	s.cookie = cookie
	var subs []store.Subscription
	list := func() []store.Subscription {
		if err := s.DB.View(t.Context(), func(tx *store.Tx) (err error) { subs, err = tx.Subscriptions(""); return err }); err != nil {
			t.Fatal(err)
		}
		return subs
	}
	if got := list(); len(got) != 0 {
		t.Fatalf("%d browsers", len(got))
	}
	// Somebody else's cannot be ended.
	theirs := store.Subscription{ID: rand.Text(), Person: "User::bob", Principal: []byte(`{}`), Endpoint: "https://push.example.com/bob", P256dh: "k", Auth: "a", Created: s.Clock()}
	if err := s.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.Subscribe(theirs) }); err != nil {
		t.Fatal(err)
	}
	s.post("/push", s.subscription("/x"))
	s.want(s.post("/push/"+theirs.ID+"/remove", url.Values{"csrf": {s.csrf}}), 404, "")
	for _, sub := range list() {
		if sub.Person == "User::alice" {
			s.want(s.post("/push/"+sub.ID+"/remove", url.Values{"csrf": {s.csrf}}), 303, "")
		}
	}
	if got := list(); len(got) != 1 || got[0].Person != "User::bob" {
		t.Errorf("left: %v", got)
	}
}

// The page runs scripts of its own and nothing else; the worker controls its
// folder only.
func TestPushPages(t *testing.T) {
	s := pushSite(t)
	const want = "default-src 'none'; style-src 'self'; script-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	if got := s.get("/push").header.Get("Content-Security-Policy"); got != want {
		t.Errorf("policy %q", got)
	}
	for _, path := range []string{"/push/page.js", "/push/worker.js"} {
		a := s.get(path)
		if a.status != 200 || a.header.Get("Content-Type") != "text/javascript; charset=utf-8" || a.header.Get("Service-Worker-Allowed") != "" || strings.Contains(a.header.Get("Content-Security-Policy"), "script-src") {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	s.inbox.c.Push = nil
	s.want(s.get("/push"), 200, "not switched on")
	s.want(s.post("/push", s.subscription("/x")), 404, "")
}

// A channel that is down is named on the page, by its name and in our words.
func TestDownOnThePage(t *testing.T) {
	s := newSite(t).login()
	var works atomic.Bool
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !works.Load() {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "<script>s3cr3t</script>")
		}
	}))
	defer r.Close()
	c, err := notify.NewChannel("team-chat", "generic+"+r.URL+"/hook/s3cr3t-path?template=json")
	if err != nil {
		t.Fatal(err)
	}
	n, err := notify.New(notify.Config{Holds: s.Service, Store: s.DB, Channels: []*notify.Channel{c}, URL: s.inbox.c.URL})
	if err != nil {
		t.Fatal(err)
	}
	s.inbox.c.Notifier = n
	if strings.Contains(s.get("/").body, "team-chat") {
		t.Error("it is called down before it was used")
	}
	if notify.Test(t.Context(), s.DB, s.inbox.c.URL, c) == nil {
		t.Error("it works")
	}
	a := s.get("/")
	s.want(a, 200, "The channel team-chat answered with status 502 (Bad Gateway).")
	if strings.Contains(a.body, "s3cr3t") || strings.Contains(a.body, r.URL) {
		t.Error(a.body)
	}
	// What was written into the database is text as well.
	s.SQL("UPDATE channels SET problem = '<img src=x onerror=alert(1)>'")
	if found := foreign(s.get("/").body); len(found) != 0 {
		t.Errorf("the page holds %q", found)
	}
	works.Store(true)
	if err := notify.Test(t.Context(), s.DB, s.inbox.c.URL, c); err != nil {
		t.Error(err)
	}
	if strings.Contains(s.get("/").body, "team-chat") {
		t.Error("it is still called down")
	}
	// And no secret is in the database.
	var dump string
	if err := s.Raw.QueryRow("SELECT group_concat(quote(problem) || name) || (SELECT count(*) FROM outbox) FROM channels").Scan(&dump); err != nil || strings.Contains(dump, "s3cr3t") {
		t.Errorf("%v %s", err, dump)
	}
}
