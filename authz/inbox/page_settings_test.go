package inbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/exeat/exeat/store"
)

// atLocalhost is a site where browsers offer passkeys.
func atLocalhost(t *testing.T) *site {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	_, port, _ := strings.Cut(srv.Listener.Addr().String(), ":")
	s := siteAt(t, "http://localhost:"+port)
	s.serve(srv)
	return s
}

// Settings gather what there is, and begin with the steps that are still to be made.
func TestSettings(t *testing.T) {
	s := atLocalhost(t).login()
	a := s.get("/settings")
	for _, want := range []string{"Two steps to begin with", "Add a passkey", "Get notified", "none yet", `href="/passkeys"`, `href="/push"`, `href="/sessions"`, "1 now, this one among them", `action="/language"`} {
		s.want(a, http.StatusOK, want)
	}
	checkHeaders(t, "settings", a)
	if found := foreign(a.body); len(found) != 0 {
		t.Errorf("the page holds %q", found)
	}
	err := s.DB.Update(t.Context(), func(tx *store.Tx) error {
		return tx.Subscribe(store.Subscription{ID: "sub", Person: alice.Name(), Principal: []byte(`{}`), Endpoint: "https://push.example/1", P256dh: "p", Auth: "a", Created: s.Clock()})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.want(s.get("/settings"), http.StatusOK, "One browser")

	s = newSite(t).login() // where neither can be had, no step asks for it
	if body := s.get("/settings").body; strings.Contains(body, "Two steps") || !strings.Contains(body, "not switched on") {
		t.Error("settings ask for what cannot be had", body)
	}
}

// Nobody is asked for a passkey where nobody has one.
func TestNoPasskeyButton(t *testing.T) {
	s := atLocalhost(t)
	a := s.get("/")
	s.want(a, http.StatusUnauthorized, "log in")
	if strings.Contains(a.body, "/login/passkey") {
		t.Error("the login page asks for a passkey that nobody has")
	}
}
