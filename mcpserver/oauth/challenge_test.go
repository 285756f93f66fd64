package oauth

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/mcpserver"
)

const atMetadata = `resource_metadata="https://exeat.example.com/agents/.well-known/oauth-protected-resource/mcp"`

// TestChallenges says to each client what it needs and no more.
func TestChallenges(t *testing.T) {
	a := newAS(t)
	bearer := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL, DPoP: Off}}})
	both := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	proof := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL, DPoP: Require}}})
	said := func(c *mcpserver.Challenge) answer {
		rec := httptest.NewRecorder()
		c.Answer(rec)
		return answer{status: rec.Code, header: rec.Result().Header, body: rec.Body.String()}
	}
	details, err := both.InsufficientAuthorization(json.RawMessage(`[{"type":"urn:exeat:call:1"}]`))
	if err != nil {
		t.Fatal(err)
	}
	remediation := base64.RawURLEncoding.EncodeToString([]byte(`{"authorization_details":[{"type":"urn:exeat:call:1"}]}`))
	const algs = `, algs="ES256 EdDSA PS256 RS256"`
	for name, c := range map[string]struct {
		got    answer
		status int
		want   []string
	}{
		"no token": {bearer.call(), 401, []string{`Bearer realm="exeat", scope="api.read", ` + atMetadata}},
		"no token, DPoP would do": {both.call(), 401, []string{`Bearer realm="exeat", scope="api.read", ` + atMetadata,
			`DPoP realm="exeat", scope="api.read", ` + atMetadata + algs}},
		"no token, only DPoP would do": {proof.call(), 401, []string{`DPoP realm="exeat", scope="api.read", ` + atMetadata + algs}},
		"a bad token": {both.bearer("x"), 401, []string{
			`Bearer realm="exeat", error="invalid_token", error_description="the token cannot be used: it is not a JWT", scope="api.read", ` + atMetadata,
			`DPoP realm="exeat", scope="api.read", ` + atMetadata + algs}},
		"a bad token, by DPoP": {both.call("Authorization", "DPoP x"), 401, []string{
			`DPoP realm="exeat", error="invalid_token", error_description="the token cannot be used: it is not a JWT", scope="api.read", ` + atMetadata + algs,
			`Bearer realm="exeat", scope="api.read", ` + atMetadata}},
		"a bad request":     {both.call("Authorization", "Bearer x", "Authorization", "Bearer x"), 400, nil},
		"not enough scopes": {said(bearer.InsufficientScope([]string{"api.write"})), 403, []string{`Bearer realm="exeat", error="insufficient_scope", error_description="this operation needs a token with the scopes that are named here", scope="api.write", ` + atMetadata}},
		"not enough of a login": {said(bearer.InsufficientAuthentication([]string{"urn:two", "urn:three"}, 5*time.Minute)), 401, []string{
			`Bearer realm="exeat", error="insufficient_user_authentication", error_description="this operation needs a token of a stronger or more recent login: log in again", ` + atMetadata + `, acr_values="urn:two urn:three", max_age="300"`}},
		"not the claims": {said(bearer.Insufficient(authz.Stronger{Claims: json.RawMessage(`{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`)})), 401, []string{
			`Bearer realm="exeat", error="insufficient_claims", error_description="the API behind this operation wants other claims of the login: ask the issuer for a token with the claims that are named here", ` + atMetadata +
				`, claims="eyJhY2Nlc3NfdG9rZW4iOnsiYWNycyI6eyJlc3NlbnRpYWwiOnRydWUsInZhbHVlIjoiYzEifX19"`}},
		"not the details": {said(details), 401, []string{
			`Bearer realm="exeat", error="insufficient_authorization", error_description="this operation needs a token for exactly it: ask for the authorization_details that this answer names", ` + atMetadata + `, authorization_remediation="` + remediation + `"`,
			`DPoP realm="exeat", error="insufficient_authorization", error_description="this operation needs a token for exactly it: ask for the authorization_details that this answer names", ` + atMetadata + `, authorization_remediation="` + remediation + `"` + algs}},
	} {
		if d := cmp.Diff(c.want, c.got.header.Values("WWW-Authenticate")); d != "" || c.got.status != c.status {
			t.Errorf("%s: %d %s", name, c.got.status, d)
		}
		var body struct{ Error, Error_description string }
		if err := json.Unmarshal([]byte(c.got.body), &body); err != nil || body.Error == "" || body.Error_description == "" {
			t.Errorf("%s: the body is %s", name, c.got.body)
		}
	}
	if _, err := both.InsufficientAuthorization(json.RawMessage(`[`)); err == nil {
		t.Error("details that are no JSON are taken")
	}
}

// TestMetadata is found in each place where clients look, by pages too, and is no
// authorization server's.
func TestMetadata(t *testing.T) {
	a, b := newAS(t), newAS(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}, {URL: b.URL, Prefix: "b:"}}})
	if d := cmp.Diff(w.MetadataPaths(), []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/agents/mcp",
		"/agents/.well-known/oauth-protected-resource", "/agents/.well-known/oauth-protected-resource/mcp"}); d != "" {
		t.Error(d)
	}
	root, err := New(Config{Resource: "https://exeat.example.com/mcp", Issuers: []Issuer{{URL: a.URL}}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(root.MetadataPaths(), []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"}); d != "" || root.metadataURL() != "https://exeat.example.com/.well-known/oauth-protected-resource/mcp" {
		t.Errorf("%s %s", d, root.metadataURL())
	}
	get := func(method string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		w.Metadata().ServeHTTP(rec, httptest.NewRequest(method, "/.well-known/oauth-protected-resource", nil))
		if rec.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: pages may not read it", method)
		}
		return rec
	}
	var m struct {
		Resource string
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
		Methods  []string `json:"bearer_methods_supported"`
		Bound    bool     `json:"dpop_bound_access_tokens_required"`
	}
	rec := get(http.MethodGet)
	if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	servers := m.Servers
	m.Servers = nil
	if len(servers) != 2 || m.Resource != resource || !cmp.Equal(m.Scopes, []string{"api.read"}) || !cmp.Equal(m.Methods, []string{"header"}) || m.Bound {
		t.Errorf("%v %+v", servers, m)
	}
	if rec := get(http.MethodOptions); rec.Code != http.StatusNoContent || rec.Header().Get("Access-Control-Allow-Headers") == "" {
		t.Errorf("OPTIONS: %d", rec.Code)
	}
	if rec := get(http.MethodPost); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", rec.Code)
	}
}

// TestNothingIsRepeated looks for tokens and secrets in all that is said and
// reported.
func TestNothingIsRepeated(t *testing.T) {
	a := newAS(t)
	w := newWorld(t, Config{Issuers: []Issuer{opaque(Issuer{URL: a.URL})}})
	bad := sign(t, "ES256", newAS(t).key, map[string]any{"typ": "at+jwt", "kid": "kid-canary"}, a.about(map[string]any{"sub": "sub-canary"}))
	a.instead("/introspect", a.hang)
	r := httptest.NewRequest(http.MethodPost, "/mcp?access_token=url-canary", nil)
	ctx, cancel := contextThatEnds(t)
	defer cancel()
	_, opaqueErr := w.introspect(ctx, "opaque-canary")
	_, urlErr := w.Authenticate(r)
	all := w.bearer(bad).body + opaqueErr.Error() + urlErr.Error()
	for _, err := range w.reported {
		all += err.Error()
	}
	for _, canary := range append(strings.Split(bad, "."), "canary", "s:cret", "s%3Acret") {
		if strings.Contains(all, canary) {
			t.Errorf("%q is in %s", canary, all)
		}
	}
}
