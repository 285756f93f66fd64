package devissuer

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
)

// A client that knows nothing but the issuer finds its way to tokens and on.
func TestWholeWay(t *testing.T) {
	w := newWorld(t)
	var meta map[string]any
	for _, location := range []string{strings.Replace(w.base, Path, "/.well-known/oauth-authorization-server"+Path, 1),
		strings.Replace(w.base, Path, "/.well-known/openid-configuration"+Path, 1), w.base + "/.well-known/openid-configuration"} {
		resp, err := http.Get(location)
		status, got := w.read(resp, err)
		if status != 200 || got["issuer"] != w.base || got["client_id_metadata_document_supported"] != true || got["authorization_response_iss_parameter_supported"] != true ||
			text(got["code_challenge_methods_supported"]) != "[S256]" || text(got["response_types_supported"]) != "[code]" || text(got["token_endpoint_auth_methods_supported"]) != "[none]" ||
			got["authorization_endpoint"] != "http://127.0.0.1:8421"+AuthorizePath || text(got["grant_types_supported"]) != "[authorization_code refresh_token]" {
			t.Errorf("%s: %d %v", location, status, got)
		}
		meta = got
	}
	for _, nowhere := range []string{"/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/other", "/.well-known/openid-configuration"} {
		resp, err := http.Get(strings.TrimSuffix(w.base, Path) + nowhere)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 404 {
			t.Errorf("%s: %d", nowhere, resp.StatusCode)
		}
	}
	client := w.register(redirect)
	got := w.tokens(client)
	if got["token_type"] != "Bearer" || got["expires_in"] != 300.0 || got["scope"] != "api.read api.write" {
		t.Errorf("%v", got)
	}
	resp, err := http.Get(text(meta["jwks_uri"]))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	first := claimsOf(t, set, text(got["access_token"]))
	want := claims{Issuer: w.base, Audience: w.resource, Subject: "alice", ClientID: client, IssuedAt: w.Clock().Unix(), Expires: w.Clock().Unix() + 300, ID: first.ID,
		Scope: "api.read api.write", AuthTime: w.Clock().Unix(), AMR: []string{"otp"}}
	if d := cmp.Diff(want, first); d != "" {
		t.Error(d)
	}
	w.Pass(4 * time.Minute)
	status, next := w.refresh(client, text(got["refresh_token"]))
	if status != 200 || next["refresh_token"] == got["refresh_token"] {
		t.Fatalf("%d %v", status, next)
	}
	second := claimsOf(t, set, text(next["access_token"]))
	if second.AuthTime != first.AuthTime || second.ID == first.ID || second.Expires != first.Expires+240 {
		t.Errorf("%+v", second)
	}
	if status, _ := w.post("/revoke", url.Values{"token": {text(next["refresh_token"])}, "client_id": {client}}); status != 200 {
		t.Error(status)
	}
	if status, got := w.refresh(client, text(next["refresh_token"])); status != 400 || got["error"] != "invalid_grant" {
		t.Errorf("%d %v", status, got)
	}
	if log := w.Entries(); !slices.ContainsFunc(log, func(e string) bool { return strings.HasPrefix(e, "connect") }) || !strings.HasPrefix(log[len(log)-1], "disconnect") {
		t.Errorf("%v", log)
	}
}

// claimsOf checks an access token as a resource server does.
func claimsOf(t *testing.T, set jose.JSONWebKeySet, compact string) (c claims) {
	t.Helper()
	tok, err := jwt.ParseSigned(compact, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if typ := tok.Headers[0].ExtraHeaders["typ"]; typ != "at+jwt" {
		t.Errorf("typ is %v", typ)
	}
	if err := tok.Claims(set, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Its keys are not those of the tokens for APIs, and what can be read in the open
// is not begun.
func TestNew(t *testing.T) {
	w := newWorld(t)
	good := w.issuer.c
	for name, change := range map[string]func(*Config){
		"no keys":              func(c *Config) { c.Keys = nil },
		"no store":             func(c *Config) { c.Store = nil },
		"no holds":             func(c *Config) { c.Holds = nil },
		"issuer in the open":   func(c *Config) { c.Issuer = "http://exeat.example.com/oauth" },
		"issuer on a network":  func(c *Config) { c.Issuer = "http://10.0.0.1/oauth" },
		"resource in the open": func(c *Config) { c.Resource = "http://exeat.example.com/mcp" },
		"inbox in the open":    func(c *Config) { c.Inbox = "http://exeat.example.com" },
		"a name like ours":     func(c *Config) { c.Issuer = "http://localhost.example.com/oauth" },
		"a query":              func(c *Config) { c.Issuer = "https://exeat.example.com/oauth?x" },
		"a slash":              func(c *Config) { c.Issuer += "/" },
		"elsewhere":            func(c *Config) { c.Issuer = "https://exeat.example.com/issuer" },
		"nothing":              func(c *Config) { c.Issuer = "" },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: it was made", name)
		}
	}
	for _, issuer := range []string{"https://exeat.example.com/agents/oauth", "http://[::1]:8420/oauth", "http://localhost:8420/oauth"} {
		c := good
		c.Issuer = issuer
		if _, err := New(c); err != nil {
			t.Error(err)
		}
	}
}

// Below a path prefix, which is taken off before, each place is the one that clients
// look at.
func TestPathPrefix(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Issuer = strings.Replace(c.Issuer, Path, "/agents"+Path, 1) })
	for path, want := range map[string]int{"/.well-known/oauth-authorization-server/agents/oauth": 200, "/.well-known/openid-configuration/agents/oauth": 200,
		"/oauth/.well-known/openid-configuration": 200, "/oauth/jwks.json": 200, "/.well-known/oauth-authorization-server": 404} {
		resp, err := http.Get(strings.TrimSuffix(w.base, Path) + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var got map[string]any
		if resp.StatusCode != want || want == 200 && json.NewDecoder(resp.Body).Decode(&got) != nil {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
		if end := got["token_endpoint"]; end != nil && end != strings.Replace(w.base, Path, "/agents/oauth/token", 1) {
			t.Errorf("%s: %v", path, end)
		}
	}
}

// What clients send can be read in one way only, and nothing secret in a URL.
func TestForms(t *testing.T) {
	w := newWorld(t)
	client := w.register(redirect)
	q, verifier := w.asks(client)
	form := redeems(q, w.allow(q), verifier)
	for name, send := range map[string]func() (*http.Response, error){
		"in the URL": func() (*http.Response, error) {
			return http.Post(w.base+"/token?"+form.Encode(), "application/x-www-form-urlencoded", nil)
		},
		"partly": func() (*http.Response, error) { return http.PostForm(w.base+"/token?resource="+w.resource, form) },
		"as JSON": func() (*http.Response, error) {
			return http.Post(w.base+"/token", "application/json", strings.NewReader(`{"grant_type":"authorization_code"}`))
		},
		"as text": func() (*http.Response, error) {
			return http.Post(w.base+"/token", "text/plain", strings.NewReader(form.Encode()))
		},
		"twice": func() (*http.Response, error) {
			return http.Post(w.base+"/token", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()+"&code=other"))
		},
		"too long": func() (*http.Response, error) {
			return http.Post(w.base+"/token", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()+"&x="+strings.Repeat("x", maxBody)))
		},
		"unknown grant": func() (*http.Response, error) {
			return http.PostForm(w.base+"/token", url.Values{"grant_type": {"password"}, "client_id": {client}})
		},
		"of the client": func() (*http.Response, error) {
			return http.PostForm(w.base+"/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {"x"}})
		},
		"exchange": func() (*http.Response, error) {
			return http.PostForm(w.base+"/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {client}, "subject_token": {"x"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}})
		},
		"with a secret": func() (*http.Response, error) {
			f := clone(form)
			f.Set("client_secret", "x")
			return http.PostForm(w.base+"/token", f)
		},
		"no client": func() (*http.Response, error) {
			f := clone(form)
			f.Del("client_id")
			return http.PostForm(w.base+"/token", f)
		},
		"unknown client": func() (*http.Response, error) {
			f := clone(form)
			f.Set("client_id", "client_x")
			return http.PostForm(w.base+"/token", f)
		},
	} {
		resp, err := send()
		status, got := w.read(resp, err)
		if status < 400 || status >= 500 || got["error"] == nil || got["access_token"] != nil {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	if len(w.trouble) > 0 {
		t.Errorf("what clients do wrong is no trouble: %v", w.trouble)
	}
	if status, got := w.post("/token", form); status != 200 {
		t.Errorf("none of it spent the code: %d %v", status, got)
	}
}

func clone(v url.Values) url.Values {
	out := url.Values{}
	for name, values := range v {
		out[name] = slices.Clone(values)
	}
	return out
}
