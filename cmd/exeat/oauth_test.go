package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// testIssuer is an authorization server as far as exeat sees one.
type testIssuer struct {
	url  string
	sign jose.Signer
}

func newTestIssuer(t *testing.T) *testIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := new(testIssuer)
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	i.url = srv.URL
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(v)
		}
	}
	mux.HandleFunc("/.well-known/oauth-authorization-server", answer(map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys"}))
	mux.HandleFunc("/keys", answer(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}}))
	i.sign, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// token is an access token of somebody for a resource, from some time ago.
func (i *testIssuer) token(t *testing.T, resource, user, client string, ago time.Duration, groups ...string) string {
	t.Helper()
	return i.tokenWith(t, resource, user, client, ago, map[string]any{"groups": groups})
}

func (i *testIssuer) tokenWith(t *testing.T, resource, user, client string, ago time.Duration, more map[string]any) string {
	t.Helper()
	now := time.Now().Add(-ago)
	claims := map[string]any{"iss": i.url, "aud": resource, "sub": user, "client_id": client,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text()}
	maps.Copy(claims, more)
	text, err := jwt.Signed(i.sign).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + text
}

// Two people with an agent each, by the tokens of an authorization server: each may
// what the other may not, tokens for other servers let nobody in, and somebody whose
// logins are ended needs a new token, while exeat runs.
func TestOAuthOverHTTP(t *testing.T) {
	issuer, spec := newTestIssuer(t), petstoreFile(t)
	dir := filepath.Dir(spec)
	files := map[string]string{
		"p.cedar": `@id("keepers") permit (principal in Group::"keepers", action == Petstore::Action::"get_pet", resource)
			when { context.agent == Agent::"oauth:corp|claude" && context.agent.verified && context.agent has issuer && context.agent.issuer == "` + issuer.url + `" };
			@id("deletes") permit (principal in Group::"keepers", action == Petstore::Action::"delete_pet", resource)
			when { principal.scopes.contains("pets") && context has approval };
			@id("makes") permit (principal in Group::"keepers", action == Petstore::Action::"create_pet", resource)
			when { principal has acr && principal.acr == "mfa" && principal has auth_time && context.now.durationSince(principal.auth_time) <= duration("5m") };
			@id("changes") permit (principal in Group::"keepers", action == Petstore::Action::"update_pet", resource) when { context.exact };
			@id("payers") permit (principal in Group::"payers", action == Petstore::Action::"list_pets", resource);`,
		"exeat.yaml": fmt.Sprintf(`
apis: [{spec: petstore.yaml, base_url: "http://127.0.0.1:1", credential: {strategy: none}}]
policy: [p.cedar]
listen: 127.0.0.1:0
user: operator
inbox: {listen: "127.0.0.1:0"}
oauth: {scopes: [pets], issuers: [{issuer: "%s", prefix: "corp|", step_up: [pwd, mfa], groups: [groups], audience: ["https://exeat.example.com/mcp"]}]}
`, issuer.url),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	execute(t.Context(), []string{"doctor", "--config", filepath.Join(dir, "exeat.yaml")}, strings.NewReader(""), &said, &said)
	if got := said.String(); !strings.Contains(got, "ok    oauth: access tokens of "+issuer.url+" for https://exeat.example.com/mcp") || strings.Contains(got, "bearer token of the key folder") {
		t.Errorf("doctor: %s", got)
	}
	s := startConfigured(t, filepath.Join(dir, "exeat.yaml"))
	ours := "https://exeat.example.com/mcp"
	ann := issuer.token(t, ours, "ann", "claude", 0, "keepers")
	get, list := `{"petId":1}`, `{}`
	for _, c := range []struct{ name, auth, tool, args, want string }{
		{"ann reads", ann, "get_pet", get, "upstream_unreachable"},
		{"ann lists", ann, "list_pets", list, "tool not found"},
		{"ann by another agent", issuer.token(t, ours, "ann", "cursor", 0, "keepers"), "get_pet", get, "tool not found"},
		{"bob lists", issuer.token(t, ours, "bob", "cursor", 0, "payers"), "list_pets", list, "upstream_unreachable"},
		{"bob reads", issuer.token(t, ours, "bob", "claude", 0, "payers"), "get_pet", get, "tool not found"},
		{"ann, out of the group", issuer.token(t, ours, "ann", "claude", 0), "get_pet", get, "tool not found"},
		{"for another server", issuer.token(t, "https://other.example.com/mcp", "ann", "claude", 0, "keepers"), "get_pet", get, "invalid_token"},
		{"of another issuer", newTestIssuer(t).token(t, ours, "ann", "claude", 0, "keepers"), "get_pet", get, "invalid_token"},
		{"the bearer of the key folder", bearerIn(t, filepath.Join(dir, "exeat", "keys")), "get_pet", get, "invalid_token"},
	} {
		if status, got := s.postCall(t, c.auth, c.tool, c.args); !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s, want %s", c.name, status, got, c.want)
		}
	}
	for _, c := range []struct {
		tool, args string
		status     int
		want       []string
	}{
		{"delete_pet", get, http.StatusForbidden, []string{`error="insufficient_scope"`, `scope="pets"`}},
		{"create_pet", `{"body":{"name":"Ada","species":"cat"}}`, http.StatusUnauthorized, []string{`error="insufficient_user_authentication"`, `acr_values="mfa", max_age="300"`}},
	} {
		resp, got := s.post(t, ann, c.tool, c.args)
		challenge := resp.Header.Get("WWW-Authenticate")
		for _, want := range append(c.want, `resource_metadata="`+strings.TrimSuffix(s.url, "/mcp")+`/.well-known/oauth-protected-resource/mcp"`) {
			if resp.StatusCode != c.status || !strings.Contains(challenge, want) || !strings.Contains(got, "error_description") {
				t.Errorf("%s: %d, no %s in %s\n%s", c.tool, resp.StatusCode, want, challenge, got)
			}
		}
	}
	// A token for exactly one request: the client asks for what the challenge says.
	update := `{"petId":1,"body":{"name":"Ada","species":"cat","status":"available"}}`
	resp, _ := s.post(t, ann, "update_pet", update)
	m := regexp.MustCompile(`error="insufficient_authorization".*authorization_remediation="([^"]+)"`).FindStringSubmatch(resp.Header.Get("WWW-Authenticate"))
	if m == nil {
		t.Fatalf("no remediation in %v", resp.Header)
	}
	remedy, err := base64.RawURLEncoding.DecodeString(m[1])
	var asked map[string]any
	if err == nil {
		err = json.Unmarshal(remedy, &asked)
	}
	if err != nil {
		t.Fatal(err)
	}
	asked["groups"] = []string{"keepers"}
	exact := issuer.tokenWith(t, ours, "ann", "claude", 0, asked)
	if _, got := s.postCall(t, exact, "update_pet", update); !strings.Contains(got, "upstream_unreachable") {
		t.Errorf("with a token for exactly this: %s", got)
	}
	for _, other := range []string{strings.Replace(update, "Ada", "Eve", 1), strings.Replace(update, `"petId":1`, `"petId":2`, 1)} {
		if status, got := s.postCall(t, exact, "update_pet", other); status != http.StatusUnauthorized || !strings.Contains(got, "insufficient_authorization") {
			t.Errorf("with a token for another request: %d %s", status, got)
		}
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
		resp, err := http.Get(strings.TrimSuffix(s.url, "/mcp") + path)
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Resource string
			Servers  []string `json:"authorization_servers"`
		}
		err = json.NewDecoder(resp.Body).Decode(&m)
		resp.Body.Close()
		if err != nil || m.Resource != s.url || len(m.Servers) != 1 || m.Servers[0] != issuer.url {
			t.Errorf("%s: %+v %v", path, m, err)
		}
	}

	old := issuer.token(t, ours, "ann", "claude", 10*time.Minute, "keepers")
	if _, got := s.postCall(t, old, "get_pet", get); !strings.Contains(got, "upstream_unreachable") {
		t.Errorf("a token of ten minutes ago: %s", got)
	}
	for _, what := range []string{"stop", "start"} {
		var out strings.Builder
		if code := execute(t.Context(), []string{"users", what, "corp|ann"}, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("users %s: %s", what, &out)
		}
		if status, got := s.postCall(t, old, "get_pet", get); status != http.StatusUnauthorized || !strings.Contains(got, "were ended after this token was issued") {
			t.Errorf("after users %s: %d %s", what, status, got)
		}
	}
	if _, got := s.postCall(t, issuer.token(t, ours, "ann", "claude", -2*time.Second, "keepers"), "get_pet", get); !strings.Contains(got, "upstream_unreachable") {
		t.Errorf("a new token: %s", got)
	}
}

// An issuer that nobody answers for is found by doctor.
func TestDoctorOfIssuers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "exeat.yaml")
	text := `{inbox: {oidc: {issuer: "http://127.0.0.1:1", client_id: x, allowed: {everyone: true}}}, oauth: {issuers: [{issuer: "http://127.0.0.1:1"}]}}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	execute(t.Context(), []string{"doctor", "--config", file}, strings.NewReader(""), &said, &said)
	if !strings.Contains(said.String(), "WRONG oauth: cannot read the keys of the issuer http://127.0.0.1:1") {
		t.Errorf("doctor: %s", &said)
	}
}

// Whose people could be taken for others is refused at the start.
func TestOAuthConfig(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"people of links and of an issuer", `oauth: {issuers: [{issuer: "https://a"}]}`, "the inbox knows people by links"},
		{"two providers", `{inbox: {oidc: {issuer: "https://b"}}, oauth: {issuers: [{issuer: "https://a"}]}}`, "another provider"},
		{"the inbox's, by another claim", `{inbox: {oidc: {issuer: "https://a", subject: email}}, oauth: {issuers: [{issuer: "https://a"}]}}`, "the subject of inbox.oidc, email"},
		{"the inbox's, with a prefix", `{inbox: {oidc: {issuer: "https://a"}}, oauth: {issuers: [{issuer: "https://a", prefix: x}]}}`, "must have no prefix"},
		{"the inbox's", `{inbox: {oidc: {issuer: "https://a", subject: email}}, oauth: {issuers: [{issuer: "https://a", subject: email}]}}`, ""},
		{"with a prefix", `oauth: {issuers: [{issuer: "https://a", prefix: "a|"}]}`, ""},
		{"nobody", `oauth: {issuers: [{prefix: "a|"}]}`, "has no issuer"},
		{"a type", `oauth: {issuers: [{issuer: "https://a", prefix: "a|", types: jwt}]}`, "it can be rfc9068 or any"},
		{"a typo", `oauth: {issuers: [{isuer: "https://a"}]}`, `did you mean "issuer"?`},
	} {
		file := filepath.Join(t.TempDir(), "exeat.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := loadConfig(file)
		if err == nil {
			_, err = cfg.withDefaults()
		}
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || !strings.Contains(got, c.want) && c.want != "" {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
