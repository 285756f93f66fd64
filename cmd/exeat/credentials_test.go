package main

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
)

// secured is a document whose operations need all kinds of things. %s is what it
// says for all.
const secured = `
openapi: 3.1.0
info: {title: t, version: '1'}
servers: [{url: 'http://127.0.0.1:9'}]
%s
components:
  securitySchemes:
    AppKey: {type: apiKey, in: header, name: X-App-Key}
    AppToken: {type: apiKey, in: query, name: app_token}
    Session: {type: apiKey, in: cookie, name: sid}
    Bearer: {type: http, scheme: bearer}
    Basic: {type: http, scheme: basic}
    OAuth: {type: oauth2, flows: {}}
    Cert: {type: mutualTLS}
paths:
  /both: {get: {operationId: both, security: [{AppKey: [], AppToken: []}]}}
  /either: {get: {operationId: either, security: [{Bearer: []}, {AppKey: []}]}}
  /none: {get: {operationId: none, security: []}}
  /maybe: {get: {operationId: maybe, security: [{}, {AppKey: []}]}}
  /says_nothing: {get: {operationId: says_nothing}}
  /cookie: {get: {operationId: cookie, security: [{Session: []}]}}
  /basic: {get: {operationId: basic, security: [{Basic: []}]}}
  /undescribed: {get: {operationId: undescribed, security: [{Nope: []}]}}
`

// sentWith is what each operation's request leaves with, or "-" if it does not.
func sentWith(t *testing.T, a apiConfig, doc *openapi.API) map[string]string {
	t.Helper()
	attacher, err := a.attacher(config{}, doc, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, op := range doc.Operations {
		r, err := http.NewRequest(op.Method, "http://127.0.0.1:9"+op.Path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := attacher.Attach(t.Context(), token.Call{Details: token.Details{Identifier: op.Name}}, r); err != nil {
			out[op.Name] = "-"
			continue
		}
		var all []string
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			all = append(all, name+": "+r.Header.Get(name))
		}
		if r.URL.RawQuery != "" {
			all = append(all, "?"+r.URL.RawQuery)
		}
		out[op.Name] = strings.Join(all, " ")
	}
	return out
}

func loadSecured(t *testing.T, root string) *openapi.API {
	t.Helper()
	file := filepath.Join(t.TempDir(), "doc.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(secured, "%s", root, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Load(t.Context(), file, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Each operation leaves with what its own security requirement asks for.
func TestCredentialsPerOperation(t *testing.T) {
	t.Setenv("KEY_A", "aaaa")
	t.Setenv("KEY_B", "bbbb")
	a := credentialConfig{Strategy: "static", Env: "KEY_A"}
	b := credentialConfig{Strategy: "static", Env: "KEY_B"}
	with := func(c credentialConfig, change func(*credentialConfig)) *credentialConfig { change(&c); return &c }
	const key = "X-App-Key: aaaa"
	tests := []struct {
		name, root string
		api        apiConfig
		want       map[string]string // those that are not "-"
	}{
		{"two that are needed together", "", apiConfig{Credentials: map[string]credentialConfig{"AppKey": a, "AppToken": b}},
			map[string]string{"both": key + " ?app_token=bbbb", "either": key, "none": "", "maybe": key, "says_nothing": ""}},
		{"one of two", "", apiConfig{Credential: with(a, func(c *credentialConfig) { c.Scheme = "AppKey" })},
			map[string]string{"either": key, "none": "", "maybe": key, "says_nothing": ""}},
		{"the first of alternatives", "", apiConfig{Credentials: map[string]credentialConfig{"AppKey": a, "Bearer": b}},
			map[string]string{"either": "Authorization: Bearer bbbb", "none": "", "maybe": key, "says_nothing": ""}},
		{"a need of all", "security: [{AppKey: []}]", apiConfig{Credentials: map[string]credentialConfig{"AppKey": a}},
			map[string]string{"either": key, "none": "", "maybe": key, "says_nothing": key}},
		{"no need of all", "security: []", apiConfig{Credentials: map[string]credentialConfig{"Session": a}},
			map[string]string{"cookie": "Cookie: sid=aaaa", "none": "", "maybe": "", "says_nothing": ""}},
		{"a user and its password", "", apiConfig{Credential: with(a, func(c *credentialConfig) { c.User = "u" })},
			map[string]string{"basic": "Authorization: Basic dTphYWFh", "none": "", "maybe": "", "says_nothing": ""}},
		{"met elsewhere", "", apiConfig{Credentials: map[string]credentialConfig{"AppKey": a, "AppToken": {Strategy: "none"}}},
			map[string]string{"both": key, "either": key, "none": "", "maybe": key, "says_nothing": ""}},
		{"nothing at all", "", apiConfig{Credential: &credentialConfig{Strategy: "none"}},
			map[string]string{"both": "", "either": "", "none": "", "maybe": "", "says_nothing": "", "cookie": "", "basic": "", "undescribed": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := sentWith(t, tt.api, loadSecured(t, tt.root))
			maps.DeleteFunc(got, func(_, sent string) bool { return sent == "-" })
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A document that says nothing of security says nothing against it either.
func TestCredentialsOfASilentDocument(t *testing.T) {
	t.Setenv("KEY_A", "aaaa")
	t.Setenv("KEY_B", "bbbb")
	file := filepath.Join(t.TempDir(), "doc.yaml")
	for schemes, tests := range map[string]map[string]apiConfig{
		"{}": {"Authorization: Bearer aaaa": {Credential: &credentialConfig{Strategy: "static", Env: "KEY_A"}},
			"Authorization: Basic dTphYWFh": {Credential: &credentialConfig{Strategy: "static", Env: "KEY_A", User: "u"}}},
		"{K: {type: apiKey, in: header, name: X-K}}": {"X-K: aaaa": {Credential: &credentialConfig{Strategy: "static", Env: "KEY_A"}}},
		"{K: {type: apiKey, in: header, name: X-K}, L: {type: apiKey, in: header, name: X-L}}": {"X-K: aaaa X-L: bbbb": {Credentials: map[string]credentialConfig{
			"K": {Strategy: "static", Env: "KEY_A"}, "L": {Strategy: "static", Env: "KEY_B"}}}},
	} {
		text := "openapi: 3.0.3\ninfo: {title: t, version: '1'}\nservers: [{url: 'http://127.0.0.1:9'}]\ncomponents: {securitySchemes: " + schemes + "}\npaths: {/a: {get: {operationId: a}}}"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		doc, err := openapi.Load(t.Context(), file, openapi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for want, a := range tests {
			if got := sentWith(t, a, doc); got["a"] != want {
				t.Errorf("%s: %q, want %q", schemes, got["a"], want)
			}
		}
	}
}

func TestCredentialsThatCannotBe(t *testing.T) {
	t.Setenv("KEY_A", "aaaa")
	a := credentialConfig{Strategy: "static", Env: "KEY_A"}
	doc := loadSecured(t, "")
	for want, api := range map[string]apiConfig{
		"keep credentials":                 {Credential: &a, Credentials: map[string]credentialConfig{"AppKey": a}},
		`no security scheme "AppKye"`:      {Credentials: map[string]credentialConfig{"AppKye": a}},
		"name the one that the key is for": {Credential: &a},
		"give its user name":               {Credentials: map[string]credentialConfig{"Basic": a}},
		"cannot satisfy a security scheme": {Credentials: map[string]credentialConfig{"Cert": a}},
		`there is no strategy "sttic"`:     {Credentials: map[string]credentialConfig{"AppKey": {Strategy: "sttic"}}},
		"the key in front names it":        {Credentials: map[string]credentialConfig{"AppKey": {Strategy: "static", Env: "KEY_A", Scheme: "AppToken"}}},
		"KEY_NONE, which should hold":      {Credentials: map[string]credentialConfig{"AppKey": {Strategy: "static", Env: "KEY_NONE"}}},
		"auth is \"basic\"":                {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "client_credentials", Env: "KEY_A", TokenURL: "http://127.0.0.1/t", ClientID: "c", Auth: "basic"}}},
		`"grant_type" of the token`:        {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "client_credentials", Env: "KEY_A", TokenURL: "http://127.0.0.1/t", ClientID: "c", Params: map[string]string{"grant_type": "x"}}}},
		`"a b" is not a scope`:             {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "client_credentials", Env: "KEY_A", TokenURL: "http://127.0.0.1/t", ClientID: "c", Scopes: []string{"a b"}}}},
		"https":                            {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "client_credentials", Env: "KEY_A", TokenURL: "http://as.example/t", ClientID: "c"}}},
		"github_app: {app_id: …}":          {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "github_app", Env: "KEY_A"}}},
		"no private key in PEM":            {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "github_app", Env: "KEY_A", GitHubApp: &githubAppConfig{AppID: "1"}}}},
		"vault: {url: …":                   {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "vault"}}},
		`auth is "ldap"`:                   {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "vault", Env: "KEY_A", Vault: &vaultConfig{Auth: "ldap"}}}},
		"say where the secret is":          {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "vault", Vault: &vaultConfig{Auth: "approle", Role: "r"}}}},
		"needs the role to log in with":    {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "vault", Vault: &vaultConfig{Auth: "kubernetes"}}}},
		"the vault: the URL must be https": {Credentials: map[string]credentialConfig{"OAuth": {Strategy: "vault", Env: "KEY_A", Vault: &vaultConfig{URL: "http://vault.example", Path: "a", Field: "b"}}}},
		"http basic: give its user name":   {Credentials: map[string]credentialConfig{"Basic": {Strategy: "vault", Env: "KEY_A", Vault: &vaultConfig{URL: "https://vault.example", Path: "a", Field: "b"}}}},
	} {
		if _, err := api.attacher(config{}, doc, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What has no credential is named, with where it would have to be given.
func TestCredentialGaps(t *testing.T) {
	t.Setenv("KEY_A", "aaaa")
	doc := loadSecured(t, "")
	find := func(api apiConfig, doc *openapi.API) []string {
		t.Helper()
		a, err := api.attacher(config{}, doc, nil)
		if err != nil {
			t.Fatal(err)
		}
		return api.gaps(doc, a)
	}
	key := credentialConfig{Strategy: "static", Env: "KEY_A"}
	want := []string{
		"t: there is no credential for AppToken (a key in the query app_token): give it in apis[].credentials. Refused for want of it (1): both",
		"t: there is no credential for Basic (http basic): give it in apis[].credentials. Refused for want of it (1): basic",
		"t: there is no credential for Nope (which the document does not describe): give it in apis[].credentials. Refused for want of it (1): undescribed",
		"t: there is no credential for Session (a key in the cookie sid): give it in apis[].credentials. Refused for want of it (1): cookie",
	}
	if d := cmp.Diff(want, find(apiConfig{Credentials: map[string]credentialConfig{"AppKey": key}}, doc)); d != "" {
		t.Error(d)
	}
	got := find(apiConfig{Credentials: map[string]credentialConfig{"AppKey": key, "OAuth": key}}, doc)
	if len(got) != 5 || got[4] != "t: the credential for OAuth goes nowhere: by the document no operation that is served needs it" {
		t.Errorf("%q", got)
	}
	if got := find(apiConfig{Credential: &credentialConfig{Strategy: "static", Env: "KEY_A", Scheme: "AppToken"}}, doc); len(got) == 0 || strings.Contains(strings.Join(got, "\n"), "nowhere") {
		t.Errorf("half of what is needed: %q", got)
	}
	file := filepath.Join(t.TempDir(), "doc.yaml")
	text := "openapi: 3.0.3\ninfo: {title: t, version: '1'}\nsecurity: []\ncomponents: {securitySchemes: {K: {type: http, scheme: bearer}}}\npaths: {/a: {get: {operationId: a}}}"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	open, err := openapi.Load(t.Context(), file, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := find(apiConfig{Credential: &key}, open); len(got) != 1 || !strings.HasPrefix(got[0], "t: the credential goes nowhere") {
		t.Errorf("%q", got)
	}
}
