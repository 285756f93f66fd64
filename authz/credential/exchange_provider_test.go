package credential

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/dpop"
	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/authz/token"
)

// TestExchangeProvider has npm's oidc-provider exchange what exeat says for tokens, and
// do what it can beside: it reads exeat's keys, its proofs and its details. The grant
// itself is ours (testdata/oidc-provider.mjs), of oidc-provider's parts.
func TestExchangeProvider(t *testing.T) {
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "")
	if err != nil {
		t.Fatal(err)
	}
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text, err := keys.JWKS(time.Now())
		if err != nil {
			t.Error(err)
		}
		jsonAnswer(200, string(text))(w)
	}))
	defer published.Close()
	at := startProvider(t, published.URL, exeatName)
	says := &Assertion{Issuer: exeatName, Audience: at, Keys: keys}
	asker := func() *Exchange {
		return &Exchange{Server: &Server{TokenURL: at + "/token", Auth: SecretAuth{"in-header", token.NewSecret(providerSecret), false}}, Subject: says}
	}
	opaque, other := testAudience+"opaque/", "https://payroll.example/"
	for name, tt := range map[string]struct {
		set      func(*Exchange)
		narrowed string
		want     string // of the error
	}{
		"plain":            {func(*Exchange) {}, "", ""},
		"with the agent":   {func(x *Exchange) { x.Actor = says }, "it names the agent", ""},
		"for this request": {func(x *Exchange) { x.Details = true }, "authorization_details name this request", ""},
		"bound":            {func(x *Exchange) { x.DPoP = true }, "it is bound to a key of this call", ""},
		"all of it":        {func(x *Exchange) { x.Actor, x.Details, x.DPoP = says, true, true }, "authorization_details name this request; it names the agent; it is bound to a key of this call", ""},
		"opaque":           {func(x *Exchange) { x.Resource = &opaque }, "", "introspect_url"},
		"opaque, read":     {func(x *Exchange) { x.Resource, x.Server.IntrospectURL = &opaque, at+"/token/introspection" }, "", ""},
		"opaque, all of it": {func(x *Exchange) {
			x.Resource, x.Server.IntrospectURL, x.Server.RevokeURL = &opaque, at+"/token/introspection", at+"/token/revocation"
			x.Actor, x.Details, x.DPoP = says, true, true
		}, "authorization_details name this request; it names the agent; it is bound to a key of this call", ""},
		"client without the type": {func(x *Exchange) {
			x.Details, x.Server.Auth = true, SecretAuth{"in-body", token.NewSecret(providerSecret), true}
		}, "", "let this client ask for it"},
		"another API": {func(x *Exchange) { x.Resource = &other }, "", "invalid_target"},
		"for another": {func(x *Exchange) {
			x.Subject = &Assertion{Issuer: exeatName, Audience: "https://as.example", Keys: keys}
		}, "", "invalid_grant"},
		"by another": {func(x *Exchange) { x.Subject = &Assertion{Issuer: "https://evil.example", Audience: at, Keys: keys} }, "", "invalid_grant"},
		"a clock behind": {func(x *Exchange) {
			x.Subject = &Assertion{Issuer: exeatName, Audience: at, Keys: keys, Now: func() time.Time { return time.Now().Add(-2 * time.Minute) }}
		}, "", "invalid_grant"},
		"scopes not there": {func(x *Exchange) { x.Scopes = []string{"pets:admin"} }, "", ""}, // it gives none
		"an audience":      {func(x *Exchange) { x.Params = url.Values{"audience": {"petstore"}} }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			x, c, r := asker(), testCall(), outgoing(t)
			c.Scopes = []string{"pets:write"}
			if tt.set(x); x.Check() != nil {
				t.Fatal(x.Check())
			}
			receipt, err := x.Attach(t.Context(), c, r)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || r.Header.Get("Authorization") != "" {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if receipt.Narrowed != tt.narrowed || receipt.Wider != "" || receipt.Audience != x.resource(c) || (scheme == "DPoP") != x.DPoP {
				t.Errorf("%s %+v", scheme, receipt)
			}
			got, err := issuer.ParseJWS(raw, maxToken)
			if x.DPoP && err == nil {
				thumbprint, _ := got.Payload.Text("/cnf/jkt")
				api := dpop.Checker{Skew: 5 * time.Second, Spend: dpop.NewSpent(time.Now).Spend}
				if err := api.Check(t.Context(), r.Header, dpop.Request{Method: r.Method, URL: r.URL.String(), Token: raw, Thumbprint: thumbprint}, time.Now()); err != nil {
					t.Error(err)
				}
			}
			if receipt.Revoke == nil {
				return
			}
			if err := receipt.Revoke(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := x.Server.Introspect(t.Context(), raw); err == nil || !strings.Contains(err.Error(), "not active") {
				t.Errorf("after it was revoked: %v", err)
			}
		})
	}
}
