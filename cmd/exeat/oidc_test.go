package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exeat/exeat/examples/petstore"
)

// newDiscovery is as much of an OpenID provider as a start needs, when it is up.
func newDiscovery(t *testing.T) (url string, up *atomic.Bool) {
	t.Helper()
	up = &atomic.Bool{}
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]any{"issuer": srv.URL, "authorization_endpoint": srv.URL + "/a", "token_endpoint": srv.URL + "/t", "jwks_uri": srv.URL + "/j"}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, up
}

// writeOIDC is a configuration whose inbox.oidc has the given lines.
func writeOIDC(t *testing.T, lines ...string) string {
	t.Helper()
	dir := t.TempDir()
	text := "apis: [{spec: petstore.yaml, base_url: 'http://127.0.0.1:1', credential: {strategy: none}}]\nuser: alice\ninbox:\n  listen: 127.0.0.1:0\n  url: http://localhost:8421\n  oidc:\n    " + strings.Join(lines, "\n    ") + "\n"
	for name, b := range map[string][]byte{"petstore.yaml": petstore.Document, "exeat.yaml": []byte(text), "secret": []byte("s3cr3t\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "exeat.yaml")
}

func TestOIDCConfiguration(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("NO_SECRET", "")
	issuer, up := newDiscovery(t)
	up.Store(true)
	good := []string{"issuer: " + issuer, "client_id: exeat", "allowed: {everyone: true}"}
	with := func(lines ...string) []string { return append(append([]string{}, good...), lines...) }
	for name, tt := range map[string]struct {
		lines []string
		want  string
	}{
		"as it should be":   {with("client_secret_file: secret", "scopes: [profile]", "subject: email", "groups: groups", "acr_values: [a]", "step_up: [b]", "max_age: 1h"), "must know the redirect URI http://localhost:8421/login/oidc/callback"},
		"nobody":            {good[:2], "allowed is empty"},
		"no issuer":         {good[1:], "not a URL"},
		"no secret":         {with("client_secret_env: NO_SECRET"), "NO_SECRET, which should hold a secret, is not set"},
		"two secrets":       {with("client_secret_env: A", "client_secret_file: secret"), "keep one"},
		"the secret itself": {with("client_secret: s3cr3t"), `there is no key "client_secret"`},
		"a typo":            {with("acr_value: [a]"), `did you mean "acr_values"?`},
		"an odd age":        {with("max_age: 1500ms"), "whole seconds"},
		"somebody else":     {append([]string{"issuer: " + issuer + "/other"}, good[1:]...), "did not match"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out := exeat(t, "", "doctor", "--config", writeOIDC(t, tt.lines...))
			if !strings.Contains(out, tt.want) || (code == 0) != (name == "as it should be") || strings.Contains(out, "s3cr3t") {
				t.Errorf("exit code %d, want %q:\n%s", code, tt.want, out)
			}
			if strings.Contains(out, "logs in whoever has the link") && tt.want[:4] == "must" {
				t.Errorf("the doctor warns of links that are off:\n%s", out)
			}
		})
	}
}

// A provider that is down stops neither the start nor, later, the login.
func TestOIDCProviderComesLater(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	issuer, up := newDiscovery(t)
	path := writeOIDC(t, "issuer: "+issuer, "client_id: exeat", "allowed: {everyone: true}")
	cfg, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if cfg, err = cfg.withDefaults(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	var ahead atomic.Int64 // how far the clock is, in ns
	cfg.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	g, err := openGateway(t.Context(), cfg, &said, doors{inbox: true})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	g.announce(&said)
	if out := said.String(); !strings.Contains(out, "nobody can log in to the inbox now") || !strings.Contains(out, "503") || !strings.Contains(out, "log in there with "+issuer) || strings.Contains(out, "code=") {
		t.Errorf("it says:\n%s", out)
	}
	get := func() (int, string) {
		rec := httptest.NewRecorder()
		g.inbox.Handler(t.Context()).ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), "GET", g.inbox.URL()+"/login/oidc", nil))
		b, _ := io.ReadAll(rec.Body)
		return rec.Code, rec.Header().Get("Location") + string(b)
	}
	if status, body := get(); status != http.StatusBadGateway || !strings.Contains(body, "does not answer") {
		t.Errorf("%d %s", status, body)
	}
	up.Store(true)
	ahead.Store(int64(time.Minute)) // the wait after a failure is over
	if status, to := get(); status != http.StatusSeeOther || !strings.HasPrefix(to, issuer+"/a?") {
		t.Errorf("%d, leads to %s", status, to)
	}
}
