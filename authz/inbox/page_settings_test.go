package inbox

import (
	"encoding/json"
	"fmt"
	"image/png"
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
	if a.header.Get("Content-Security-Policy") != settingsPolicy {
		t.Error(a.header)
	}
	a.header.Set("Content-Security-Policy", s.get("/permissions").header.Get("Content-Security-Policy"))
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

// What the manifest names is there, for a browser that is not logged in, and icons are as
// large as it says.
func TestManifest(t *testing.T) {
	s := newSite(t)
	a := s.get("/app/manifest.webmanifest")
	var manifest struct {
		Name, Display string
		Start         string `json:"start_url"`
		Icons         []struct{ Src, Sizes, Type string }
	}
	if err := json.Unmarshal([]byte(a.body), &manifest); err != nil || a.status != http.StatusOK || manifest.Name != "exeat" || manifest.Start != "/" || manifest.Display != "standalone" || len(manifest.Icons) != 3 {
		t.Fatalf("%v %d %s", err, a.status, a.body)
	}
	for _, icon := range manifest.Icons {
		a := s.get(icon.Src)
		kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
		if a.status != http.StatusOK || kind != icon.Type {
			t.Errorf("%s: %d %s", icon.Src, a.status, kind)
		}
		if icon.Type != "image/png" {
			continue
		}
		drawn, err := png.DecodeConfig(strings.NewReader(a.body))
		if err != nil || fmt.Sprintf("%dx%d", drawn.Width, drawn.Height) != icon.Sizes {
			t.Errorf("%s: %v %v", icon.Src, drawn, err)
		}
	}
}
