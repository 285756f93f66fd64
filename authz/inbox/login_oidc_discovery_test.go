package inbox

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A provider that is down, or none, is told of and asked again.
func TestOIDCDiscovery(t *testing.T) {
	for name, tt := range map[string]struct {
		meta  map[string]any
		serve func(http.ResponseWriter, *http.Request) bool
		want  string
	}{
		"down":         {nil, func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true }, "503"},
		"another page": {nil, func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "<html>"); return true }, "decode"},
		"huge": {nil, func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"a":"`)
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, strings.Repeat("a", 64<<10)); err != nil {
					break
				}
			}
			return true
		}, "larger than 1048576 bytes"},
		"a redirect": {nil, func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "/.well-known/openid-configuration?x", http.StatusFound)
			return r.URL.RawQuery == ""
		}, "302"},
		"another issuer":   {map[string]any{"issuer": "https://evil.example"}, nil, "did not match"},
		"plain http":       {map[string]any{"token_endpoint": "http://login.example.com/token"}, nil, "token_endpoint"},
		"a script":         {map[string]any{"authorization_endpoint": "javascript:alert(1)"}, nil, "authorization_endpoint"},
		"no keys":          {map[string]any{"jwks_uri": ""}, nil, "jwks_uri"},
		"no PKCE":          {map[string]any{"code_challenge_methods_supported": []string{"plain"}}, nil, "PKCE"},
		"no way to log in": {map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}, nil, "client_secret_basic"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newOIDCSite(t, nil)
			s.issuer.meta, s.issuer.serve = tt.meta, tt.serve
			err := s.inbox.c.OIDC.Discover(t.Context())
			if !errors.Is(err, errOIDCDown) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), s.issuer.URL) || len(err.Error()) > 500 {
				t.Errorf("got %v", err)
			}
			b := newAgent(t)
			a := b.get(s.inbox.c.URL + "/login/oidc?back=%2Factivity")
			if a.status != 502 || !strings.Contains(a.body, `href="/login/oidc?back=%2Factivity"`) || len(s.told) != 1 {
				t.Errorf("%d, told %q: %s", a.status, s.told, a.body)
			}
			// It is not asked again at once, and then it is.
			s.issuer.meta, s.issuer.serve = nil, nil
			if a := b.get(s.inbox.c.URL + "/login/oidc"); a.status != 502 {
				t.Errorf("asked again at once: %d", a.status)
			}
			s.Pass(discoverAgain)
			s.enter(b, "")
		})
	}
}

func TestNewOIDC(t *testing.T) {
	good := OIDCConfig{Issuer: "https://login.example.com/tenant", ClientID: "exeat", Allowed: Allowed{Everyone: true}}
	for name, tt := range map[string]struct {
		change func(*OIDCConfig)
		want   string // "" if it is fine
	}{
		"as it is":          {func(*OIDCConfig) {}, ""},
		"on loopback":       {func(c *OIDCConfig) { c.Issuer = "http://127.0.0.1:9000" }, ""},
		"plain http":        {func(c *OIDCConfig) { c.Issuer = "http://login.example.com" }, "not https"},
		"no URL":            {func(c *OIDCConfig) { c.Issuer = "login.example.com" }, "not a URL"},
		"a query":           {func(c *OIDCConfig) { c.Issuer += "?x=1" }, "not a URL"},
		"a password":        {func(c *OIDCConfig) { c.Issuer = "https://a:b@login.example.com" }, "not a URL"},
		"no client":         {func(c *OIDCConfig) { c.ClientID = "" }, "client_id"},
		"nobody":            {func(c *OIDCConfig) { c.Allowed = Allowed{} }, "nobody could log in"},
		"groups from where": {func(c *OIDCConfig) { c.Allowed = Allowed{Groups: []string{"x"}} }, "which claim"},
		"half a second":     {func(c *OIDCConfig) { c.MaxAge = time.Second / 2 }, "whole seconds"},
		"two in one":        {func(c *OIDCConfig) { c.ACR = []string{"a b"} }, "lists of words"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			tt.change(&c)
			_, err := NewOIDC("https://inbox.example.com", c)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
