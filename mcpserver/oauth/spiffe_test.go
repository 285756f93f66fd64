package oauth

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
)

// writeBundle writes the bundle of a trust domain whose SVIDs a signs.
func writeBundle(t *testing.T, path string, a *as) {
	t.Helper()
	keys := a.jwks()
	keys.Keys[0].Use, keys.Keys[0].Algorithm = "jwt-svid", ""
	b, err := json.Marshal(map[string]any{"keys": keys.Keys, "spiffe_sequence": 1, "spiffe_refresh_hint": 300})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// svid makes a JWT-SVID, with more or other claims.
func svid(t *testing.T, a *as, more map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{"sub": "spiffe://example.org/billing", "aud": resource, "exp": now + 300}
	maps.Copy(claims, more)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return sign(t, jose.ES256, a.key, map[string]any{"kid": a.kid, "typ": "JWT"}, claims)
}

// TestSVIDs takes workloads of a trust domain, whose keys are in a file.
func TestSVIDs(t *testing.T) {
	a, issuer := newAS(t), newAS(t)
	path := filepath.Join(t.TempDir(), "bundle.json")
	writeBundle(t, path, a)
	domain := Issuer{SPIFFE: &SPIFFE{TrustDomain: "example.org", Bundle: path}}
	w := newWorld(t, Config{Issuers: []Issuer{domain, {URL: issuer.URL, AnyType: true}}})
	got := w.bearer(svid(t, a, nil))
	id, from := "spiffe://example.org/billing", "spiffe://example.org"
	if d := cmp.Diff(authz.Principal{Type: "Workload", ID: id, Issuer: from}, got.caller.Principal) +
		cmp.Diff(authz.Agent{ID: id, Verified: true, Issuer: from}, got.caller.Agent); d != "" || got.status != 200 {
		t.Errorf("%s %s", got.body, d)
	}
	now := time.Now().Unix()
	for name, token := range map[string]string{
		"another trust domain":            svid(t, a, map[string]any{"sub": "spiffe://other.org/billing"}),
		"no SPIFFE id":                    svid(t, a, map[string]any{"sub": "spiffe://example.org/../x"}),
		"no path that is good":            svid(t, a, map[string]any{"sub": "spiffe://example.org//"}),
		"a person":                        svid(t, a, map[string]any{"sub": "alice"}),
		"another audience":                svid(t, a, map[string]any{"aud": "https://other.example"}),
		"no audience":                     svid(t, a, map[string]any{"aud": nil}),
		"expired":                         svid(t, a, map[string]any{"exp": now - 120}),
		"no end":                          svid(t, a, map[string]any{"exp": nil}),
		"signed by the issuer":            svid(t, issuer, nil),
		"an issuer's token with such sub": issuer.token(map[string]any{"sub": id}),
		"as at+jwt":                       sign(t, jose.ES256, a.key, map[string]any{"kid": a.kid, "typ": "at+jwt"}, map[string]any{"sub": id, "aud": resource, "exp": now + 300}),
		"as a shared secret":              sign(t, jose.HS256, publicBytes(t, a)[1], map[string]any{"kid": a.kid}, map[string]any{"sub": id, "aud": resource, "exp": now + 300}),
	} {
		t.Run(name, func(t *testing.T) { refused(t, w.bearer(token), 401, "invalid_token") })
	}
	// An issuer without metadata is none that clients could go to.
	if strings.Contains(string(w.metadata), "spiffe") {
		t.Errorf("%s", w.metadata)
	}

	b := newAS(t)
	b.kid = "k2"
	writeBundle(t, path, b)
	w.wait(2 * time.Second)
	if got := w.bearer(svid(t, b, nil)); got.status != 200 {
		t.Errorf("a new key: %s", got.body)
	}
	refused(t, w.bearer(svid(t, a, nil)), 401, "invalid_token")
	if err := os.WriteFile(path, []byte("half a bun"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.wait(2 * time.Second)
	a.kid = "k3"
	refused(t, w.bearer(svid(t, a, nil)), 503, "temporarily_unavailable")
	if got := w.bearer(svid(t, b, nil)); got.status != 200 {
		t.Errorf("a file that is being written: %s", got.body)
	}
	w.wait(2 * time.Hour)
	refused(t, w.bearer(svid(t, b, map[string]any{"exp": now + 86400})), 503, "temporarily_unavailable")
}

// TestBundles refuses a bundle that could let nobody in at the start.
func TestBundles(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.json")
	writeBundle(t, good, newAS(t))
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		issuers []Issuer
		want    string
	}{
		"good":    {[]Issuer{{SPIFFE: &SPIFFE{"example.org", good}}}, ""},
		"twice":   {[]Issuer{{SPIFFE: &SPIFFE{"example.org", good}}, {SPIFFE: &SPIFFE{"spiffe://example.org", good}}}, "twice"},
		"no name": {[]Issuer{{SPIFFE: &SPIFFE{"Example Org", good}}}, "not a name"},
		"missing": {[]Issuer{{SPIFFE: &SPIFFE{"example.org", filepath.Join(dir, "none")}}}, "cannot read the bundle"},
		"no JSON": {[]Issuer{{SPIFFE: &SPIFFE{"example.org", write("text", "x")}}}, "not a bundle"},
		"no keys": {[]Issuer{{SPIFFE: &SPIFFE{"example.org", write("empty", `{"keys":[]}`)}}}, "no keys"},
	} {
		_, err := New(Config{Resource: resource, Issuers: c.issuers})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
