package oauth

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
)

// TestWhoIsCalling reads callers out of good tokens, of issuers of many habits.
func TestWhoIsCalling(t *testing.T) {
	a := newAS(t)
	verified := func(id string, chain ...string) authz.Agent {
		return authz.Agent{ID: id, Verified: true, Issuer: a.URL, Chain: chain}
	}
	at := time.Unix(1795425467, 0).UTC()
	for name, c := range map[string]struct {
		issuer    Issuer
		claims    map[string]any
		principal authz.Principal
		agent     authz.Agent
	}{
		"plain": {Issuer{}, nil, authz.Principal{ID: "alice", Scopes: []string{"api.read"}}, verified("oauth:claude")},
		"everything": {Issuer{Groups: []string{"groups", "/realm_access/roles"}, Roles: []string{"https://x.example/roles"}},
			map[string]any{"groups": []string{"b", "a"}, "realm_access": map[string]any{"roles": []string{"a", "c"}}, "https://x.example/roles": "admin",
				"email": "alice@example.com", "email_verified": true, "acr": "urn:two", "auth_time": at.Unix(), "scope": "write read", "azp": "azp-client"},
			authz.Principal{ID: "alice", Groups: []string{"a", "b", "c"}, Roles: []string{"admin"}, Email: "alice@example.com", ACR: "urn:two", AuthTime: at, Scopes: []string{"read", "write"}},
			verified("oauth:azp-client")},
		"a mail address that is not verified": {Issuer{}, map[string]any{"email": "alice@example.com"},
			authz.Principal{ID: "alice", Scopes: []string{"api.read"}}, verified("oauth:claude")},
		"a prefix": {Issuer{Prefix: "kc:"}, nil, authz.Principal{ID: "kc:alice", Scopes: []string{"api.read"}}, verified("oauth:kc:claude")},
		"another subject and client": {Issuer{Subject: "preferred_username", Agent: "cid"}, map[string]any{"preferred_username": "al", "cid": "okta-client", "client_id": nil, "scope": nil, "scp": []string{"r", "w"}},
			authz.Principal{ID: "al", Scopes: []string{"r", "w"}}, verified("oauth:okta-client")},
		"a client for itself": {Issuer{}, map[string]any{"sub": "claude"}, authz.Principal{Type: "Workload", ID: "claude", Scopes: []string{"api.read"}}, verified("oauth:claude")},
		"no person, by configuration": {Issuer{Workload: Workload{"/idtyp", "app"}}, map[string]any{"idtyp": "app"},
			authz.Principal{Type: "Workload", ID: "alice", Scopes: []string{"api.read"}}, verified("oauth:claude")},
		"a person, by configuration": {Issuer{Workload: Workload{"idtyp", "app"}}, map[string]any{"idtyp": "user"},
			authz.Principal{ID: "alice", Scopes: []string{"api.read"}}, verified("oauth:claude")},
		"a chain": {Issuer{Prefix: "x/"}, map[string]any{"act": map[string]any{"sub": "near", "act": map[string]any{"sub": "far", "iss": a.URL}}},
			authz.Principal{ID: "x/alice", Scopes: []string{"api.read"}}, verified("oauth:x/claude", "x/near", "x/far")},
		"several audiences": {Issuer{}, map[string]any{"aud": []string{"account", resource}}, authz.Principal{ID: "alice", Scopes: []string{"api.read"}}, verified("oauth:claude")},
		"an audience of the configuration": {Issuer{Audience: []string{"api://exeat"}}, map[string]any{"aud": "api://exeat"},
			authz.Principal{ID: "alice", Scopes: []string{"api.read"}}, verified("oauth:claude")},
	} {
		t.Run(name, func(t *testing.T) {
			c.issuer.URL = a.URL
			got := newWorld(t, Config{Issuers: []Issuer{c.issuer}}).bearer(a.token(c.claims))
			if c.principal.Type == "" {
				c.principal.Type = "User"
			}
			c.principal.Issuer = a.URL
			if got.status != 200 {
				t.Fatal(got.body)
			}
			if d := cmp.Diff(c.principal, got.caller.Principal) + cmp.Diff(c.agent, got.caller.Agent); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestDiscoveryForms finds issuers by either kind of metadata.
func TestDiscoveryForms(t *testing.T) {
	for _, openID := range []bool{false, true} {
		a := newAS(t)
		a.openID = openID
		if got := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}}).bearer(a.token(nil)); got.status != 200 {
			t.Errorf("OpenID %v: %s", openID, got.body)
		}
	}
	// Below a path, with the one form that puts it behind the well-known part.
	a := newAS(t)
	tenant := a.URL + "/tenant"
	a.instead("/.well-known/oauth-authorization-server/tenant", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"issuer": tenant, "jwks_uri": a.URL + "/jwks"})
	})
	if got := newWorld(t, Config{Issuers: []Issuer{{URL: tenant}}}).bearer(a.token(map[string]any{"iss": tenant})); got.status != 200 {
		t.Errorf("below a path: %s", got.body)
	}
}

// TestRoots asks issuers by TLS, of those whose certificates are trusted.
func TestRoots(t *testing.T) {
	a := unstartedAS(t)
	a.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	trusting := Config{Issuers: []Issuer{{URL: a.URL}}, Roots: roots}
	if got := newWorld(t, trusting).bearer(a.token(nil)); got.status != 200 {
		t.Error(got.body)
	}
	refused(t, newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}}).bearer(a.token(nil)), 503, "temporarily_unavailable")
	plain := newAS(t) // on loopback, but the issuer is not: whoever listens there could be anybody
	plain.key = a.key
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		a.instead(path, func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, map[string]any{"issuer": a.URL, "jwks_uri": plain.URL + "/jwks"})
		})
	}
	refused(t, newWorld(t, trusting).bearer(a.token(nil)), 503, "temporarily_unavailable")
}

// TestKeysChange follows an issuer whose keys change, and one that goes down.
func TestKeysChange(t *testing.T) {
	a := newAS(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	old := a.token(map[string]any{"exp": time.Now().Unix() + 86400})
	for range 20 {
		if got := w.bearer(old); got.status != 200 {
			t.Fatal(got.body)
		}
	}
	if n := a.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	a.kid = "k2" // the same key under another name
	refused(t, w.bearer(a.token(nil)), 401, "invalid_token")
	w.wait(11 * time.Second)
	if got := w.bearer(a.token(nil)); got.status != 200 {
		t.Errorf("a new key: %s", got.body)
	}
	refused(t, w.bearer(old), 401, "invalid_token")
	for range 50 {
		a.kid = "flood"
		refused(t, w.bearer(a.token(nil)), 401, "invalid_token")
	}
	a.kid = "k2"
	if n := a.fetches.Load(); n != 2 {
		t.Errorf("with 50 unknown keys, the keys were fetched %d times", n)
	}

	good := a.token(map[string]any{"exp": time.Now().Unix() + 86400})
	a.instead("/jwks", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	w.wait(30 * time.Minute)
	if got := w.bearer(good); got.status != 200 {
		t.Errorf("the issuer is down, and its keys are cached: %s", got.body)
	}
	a.kid = "k3"
	down := w.bearer(a.token(map[string]any{"exp": time.Now().Unix() + 86400}))
	refused(t, down, 503, "temporarily_unavailable")
	if down.header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After is %q", down.header.Get("Retry-After"))
	}
	w.wait(31 * time.Minute)
	refused(t, w.bearer(good), 503, "temporarily_unavailable")
	if len(w.reported) == 0 || !strings.Contains(w.reported[0].Error(), "502") {
		t.Errorf("reported: %v", w.reported)
	}
}

// TestKindsOfTokens takes, where any typ is, only what is an access token.
func TestKindsOfTokens(t *testing.T) {
	a := newAS(t)
	strict := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL}}})
	lenient := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL, AnyType: true}}})
	id := map[string]any{"scope": nil, "client_id": nil, "azp": "claude"}
	with := func(base map[string]any, more map[string]any) map[string]any {
		out := map[string]any{}
		for _, m := range []map[string]any{base, more} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		typ             any // of the header
		claims          map[string]any
		strict, lenient int
	}{
		"RFC 9068":                                          {"at+jwt", nil, 200, 200},
		"RFC 9068, in full":                                 {"application/AT+JWT", nil, 200, 200},
		"Keycloak's access token":                           {"JWT", with(id, map[string]any{"typ": "Bearer", "scope": "openid"}), 401, 200},
		"Keycloak's, addressed to itself too":               {"JWT", with(id, map[string]any{"typ": "Bearer", "aud": []string{resource, "claude"}}), 401, 200},
		"Keycloak's ID token":                               {"JWT", with(id, map[string]any{"typ": "ID"}), 401, 401},
		"Keycloak's refresh token":                          {"JWT", with(id, map[string]any{"typ": "Refresh", "scope": "openid"}), 401, 401},
		"Entra's access token":                              {"JWT", with(id, map[string]any{"scp": "api.read", "azpacr": "1"}), 401, 200},
		"Entra's token for an app":                          {"JWT", with(id, map[string]any{"azpacr": "1", "idtyp": "app", "roles": []string{"x"}}), 401, 200},
		"Okta's access token":                               {nil, map[string]any{"cid": "claude", "scope": nil, "scp": []string{"api.read"}}, 401, 200},
		"an ID token":                                       {"JWT", id, 401, 401},
		"an ID token without typ":                           {nil, id, 401, 401},
		"an ID token with a nonce and a scope":              {"JWT", with(id, map[string]any{"nonce": "n", "scope": "openid"}), 401, 401},
		"an ID token with at_hash":                          {"JWT", with(id, map[string]any{"at_hash": "h", "scope": "openid"}), 401, 401},
		"an ID token with a scope, addressed to its client": {"JWT", map[string]any{"aud": []string{"claude", resource}}, 401, 401},
		"a logout token":                                    {"logout+jwt", map[string]any{"events": map[string]any{"x": 1}}, 401, 401},
		"a logout token without typ":                        {"JWT", map[string]any{"events": map[string]any{"x": 1}}, 401, 401},
		"a security event":                                  {"secevent+jwt", nil, 401, 401},
		"an ID-JAG":                                         {"oauth-id-jag+jwt", nil, 401, 401},
		"a proof":                                           {"dpop+jwt", nil, 401, 401},
		"a typ that is no text":                             {[]string{"at+jwt"}, nil, 401, 401},
	} {
		header := map[string]any{"kid": a.kid}
		if c.typ != nil {
			header["typ"] = c.typ
		}
		token := sign(t, jose.ES256, a.key, header, a.about(c.claims))
		if got := strict.bearer(token); got.status != c.strict {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if got := lenient.bearer(token); got.status != c.lenient {
			t.Errorf("%s, with any typ: %d %s", name, got.status, got.body)
		}
	}
}

// TestSubjectByMail names nobody by a mail address that the issuer did not check.
func TestSubjectByMail(t *testing.T) {
	a := newAS(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL, Subject: "email"}}})
	if got := w.bearer(a.token(map[string]any{"email": "alice@example.com", "email_verified": true})); got.caller.Principal.ID != "alice@example.com" {
		t.Error(got.body)
	}
	for _, verified := range []any{false, nil, "yes", 1} {
		refused(t, w.bearer(a.token(map[string]any{"email": "alice@example.com", "email_verified": verified})), 401, "invalid_token")
	}
}

// TestLatest keeps what the newest token says, whichever comes last.
func TestLatest(t *testing.T) {
	a := newAS(t)
	w := newWorld(t, Config{Issuers: []Issuer{{URL: a.URL, Groups: []string{"groups"}}}})
	now := time.Now().Unix()
	newer := a.token(map[string]any{"groups": []string{"staff"}, "iat": now})
	older := a.token(map[string]any{"groups": []string{"staff", "keepers"}, "iat": now - 100})
	if _, ok := w.Latest("User::alice"); ok {
		t.Error("alice is known before she came")
	}
	for _, token := range []string{older, newer, older} {
		if got := w.bearer(token); got.status != 200 {
			t.Fatal(got.body)
		}
	}
	if who, ok := w.Latest("User::alice"); !ok || !cmp.Equal(who.Groups, []string{"staff"}) {
		t.Errorf("%v %v", who, ok)
	}
	if _, ok := w.Latest("Workload::alice"); ok {
		t.Error("somebody else has her name")
	}
}
