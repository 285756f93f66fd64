package credential

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/token"
)

const orderScope = "api://orders/Orders.Write"

func (w *entraWorld) strategy(auth ClientAuth) *EntraOBO {
	if auth == nil {
		auth = SecretAuth{entraClient, token.NewSecret(entraSecret), true}
	}
	return &EntraOBO{Server: &Server{TokenURL: w.tokenURL(), Auth: auth}}
}

// oboCall is a call with a user's token.
func oboCall(t testing.TB, method, caller string) (token.Call, *http.Request) {
	r, err := http.NewRequest(method, testAudience, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := testCall()
	c.Scopes, c.Caller = []string{orderScope}, token.NewSecret(caller)
	return c, r
}

// Every way in which exeat can say who it is, and what leaves.
func TestEntra(t *testing.T) {
	w := newEntraWorld(t)
	key, err := ReadSigningKey(w.pem, "")
	if err != nil {
		t.Fatal(err)
	}
	identity := &Identity{Key: key, Issuer: entraIssuer, Subject: "exeat", Audience: "api://AzureADTokenExchange"}
	for name, auth := range map[string]ClientAuth{
		"secret":      nil,
		"certificate": KeyAuth{ID: entraClient, Audience: w.tokenURL(), Key: key.PSS(), NotBefore: true},
		"federated":   IdentityAuth{entraClient, identity.Sign},
	} {
		e := w.strategy(auth)
		if err := e.Check(); err != nil {
			t.Fatal(err)
		}
		c, r := oboCall(t, "PUT", "user.token.1")
		receipt, err := e.Attach(t.Context(), c, r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if left := time.Until(receipt.Expires); receipt.Strategy != "entra_obo" || receipt.Scope != orderScope || receipt.Wider != "" || receipt.Standing || left < 59*time.Minute || left > time.Hour ||
			"http://"+receipt.Issuer != w.URL || receipt.Audience != testAudience {
			t.Errorf("%s: %+v", name, receipt)
		}
		if bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); !strings.HasPrefix(bearer, "obo.") || strings.Contains(r.Header.Get("Authorization"), "user.token") {
			t.Errorf("%s: %q leaves", name, bearer)
		}
		form := w.requests[len(w.requests)-1]
		for _, own := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
			form.Del(own)
		}
		want := map[string][]string{"grant_type": {grantJWT}, "assertion": {"user.token.1"}, "requested_token_use": {"on_behalf_of"}, "scope": {orderScope}}
		if d := cmp.Diff(want, map[string][]string(form)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	other := *identity
	other.Audience = "api://another"
	for name, auth := range map[string]ClientAuth{"secret": SecretAuth{entraClient, token.NewSecret("x"), true}, "RS256": KeyAuth{ID: entraClient, Audience: w.tokenURL(), Key: key, NotBefore: true}, "audience": IdentityAuth{entraClient, other.Sign}} {
		c, r := oboCall(t, "PUT", "user.token.1")
		if _, err := w.strategy(auth).Attach(t.Context(), c, r); err == nil || !strings.Contains(err.Error(), "invalid_client (") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What Entra adds to the scopes is noted, or refused.
func TestEntraScopes(t *testing.T) {
	w := newEntraWorld(t)
	w.consent = []string{"API://orders/Orders.Write", "api://orders/Orders.Delete", "profile"}
	e := w.strategy(nil)
	c, r := oboCall(t, "PUT", "user.token.1")
	if receipt, err := e.Attach(t.Context(), c, r); err != nil || receipt.Wider != `it has 1 scopes that were not asked for: "api://orders/Orders.Delete"` {
		t.Error(receipt, err)
	}
	e.RefuseWider = true
	c, r = oboCall(t, "PUT", "user.token.1")
	if _, err := e.Attach(t.Context(), c, r); err == nil || !strings.Contains(err.Error(), "also_granted") || r.Header.Get("Authorization") != "" {
		t.Error(err)
	}
	e.AlsoGranted = []string{"api://orders/Orders.Delete"}
	if _, err := e.Attach(t.Context(), c, r); err != nil {
		t.Error(err)
	}
	e.Scopes, e.RefuseWider = []string{"api://orders/.default"}, false
	c, r = oboCall(t, "PUT", "user.token.1")
	if receipt, err := e.Attach(t.Context(), c, r); err != nil || !strings.Contains(receipt.Wider, ".default") {
		t.Error(receipt, err)
	}
}

// The token endpoint wants another login: the claims are told, and a token that has them
// goes.
func TestEntraInteractionRequired(t *testing.T) {
	w := newEntraWorld(t)
	w.wants = "c2"
	e := w.strategy(nil)
	e.CAE = true
	c, r := oboCall(t, "PUT", "user.token.1")
	_, err := e.Attach(t.Context(), c, r)
	var needed *token.ClaimsError
	if !errors.As(err, &needed) || string(needed.Claims) != `{"access_token":{"acrs":{"essential":true,"value":"c2"}}}` || strings.Contains(err.Error(), "canary") || r.Header.Get("Authorization") != "" {
		t.Fatalf("%v", err)
	}
	if got := w.requests[0].Get("claims"); got != `{"access_token":{"xms_cc":{"values":["cp1"]}}}` {
		t.Errorf("the capability: %s", got)
	}
	w.users["user.token.2"] = []string{"c2"}
	c, r = oboCall(t, "PUT", "user.token.2")
	if _, err := e.Attach(t.Context(), c, r); err != nil {
		t.Error(err)
	}
}

// An API that challenges has the next token be asked for with what it wants, for that
// person and operation only.
func TestEntraRemembersChallenges(t *testing.T) {
	w := newEntraWorld(t)
	e, now := w.strategy(nil), time.Now()
	e.CAE, e.Now = true, func() time.Time { return now }
	c, r := oboCall(t, "PUT", "user.token.1")
	receipt, err := e.Attach(t.Context(), c, r)
	if err != nil {
		t.Fatal(err)
	}
	receipt.Challenged(json.RawMessage(`{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`))
	var needed *token.ClaimsError
	if _, err := e.Attach(t.Context(), c, r.Clone(t.Context())); err == nil {
		t.Error("a request with a credential")
	}
	c, r = oboCall(t, "PUT", "user.token.1")
	if _, err := e.Attach(t.Context(), c, r); !errors.As(err, &needed) {
		t.Errorf("the same token: %v", err)
	}
	if got := w.requests[len(w.requests)-1].Get("claims"); got != `{"access_token":{"acrs":{"essential":true,"value":"c1"},"xms_cc":{"values":["cp1"]}}}` {
		t.Errorf("asked for with %s", got)
	}
	other, r := oboCall(t, "GET", "user.token.1")
	other.Details.Identifier = "get_pet"
	if _, err := e.Attach(t.Context(), other, r); err != nil {
		t.Errorf("another operation: %v", err)
	}
	bob, r := oboCall(t, "PUT", "user.token.1")
	bob.Subject = "bob"
	if _, err := e.Attach(t.Context(), bob, r); err != nil {
		t.Errorf("another person: %v", err)
	}
	w.users["user.token.2"] = []string{"c1"}
	c, r = oboCall(t, "PUT", "user.token.2")
	if _, err := e.Attach(t.Context(), c, r); err != nil {
		t.Errorf("with the claims: %v", err)
	}
	now = now.Add(wantedFor)
	c, r = oboCall(t, "PUT", "user.token.1")
	if _, err := e.Attach(t.Context(), c, r); err != nil {
		t.Errorf("later: %v", err)
	}
}

func TestEntraRefuses(t *testing.T) {
	w := newEntraWorld(t)
	for name, c := range map[string]struct {
		change func(*token.Call, *http.Request)
		want   string
	}{
		"no token":      {func(c *token.Call, _ *http.Request) { c.Caller = token.Secret{} }, "without an access token"},
		"bound":         {func(c *token.Call, _ *http.Request) { c.CallerBound = true }, "bound to a key"},
		"no scopes":     {func(c *token.Call, _ *http.Request) { c.Scopes = nil }, "names no scopes"},
		"unknown token": {func(c *token.Call, _ *http.Request) { c.Caller = token.NewSecret("canary") }, "invalid_grant ("},
		"already":       {func(_ *token.Call, r *http.Request) { r.Header.Set("authorization", "x") }, "already has"},
	} {
		call, r := oboCall(t, "PUT", "user.token.1")
		c.change(&call, r)
		if _, err := w.strategy(nil).Attach(t.Context(), call, r); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*EntraOBO){
		"without scopes": func(e *EntraOBO) { e.Scopes = []string{} },
		"set already":    func(e *EntraOBO) { e.Params = map[string][]string{"claims": {"{}"}} },
		"https":          func(e *EntraOBO) { e.Server.TokenURL = "http://login.example/token" },
		"authenticates":  func(e *EntraOBO) { e.Server.Auth = nil },
	} {
		e := w.strategy(nil)
		change(e)
		if err := e.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Entra fails, and nothing that it wrote is told.
func TestEntraFails(t *testing.T) {
	const canary = "canary-4711"
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"consent":       {jsonAnswer(400, `{"error":"invalid_grant","suberror":"consent_required","error_description":"`+canary+`"}`), "invalid_grant ("},
		"no claims":     {jsonAnswer(400, `{"error":"interaction_required","error_description":"`+canary+`"}`), "interaction_required (the user"},
		"odd claims":    {jsonAnswer(400, `{"error":"interaction_required","claims":"`+canary+`"}`), "interaction_required (the user"},
		"huge claims":   {jsonAnswer(400, `{"error":"interaction_required","claims":"{\"a\":\"`+strings.Repeat("x", 2000)+`\"}"}`), "interaction_required (the user"},
		"HTML":          {func(w http.ResponseWriter) { w.Write([]byte("<html>" + canary)) }, "not a token"},
		"overloaded":    {jsonAnswer(503, canary), "answered 503"},
		"own token":     {jsonAnswer(200, `{"access_token":"user.token.1","token_type":"Bearer"}`), "the caller's own"},
		"line break":    {jsonAnswer(200, `{"access_token":"`+canary+`\r\nX: y","token_type":"Bearer"}`), "characters"},
		"proof of keys": {jsonAnswer(200, `{"access_token":"`+canary+`","token_type":"pop"}`), "not Bearer"},
		"hangs up":      {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "cannot be reached"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) }))
		e := &EntraOBO{Server: &Server{TokenURL: s.URL, Auth: SecretAuth{entraClient, token.NewSecret(canary), true}}}
		call, r := oboCall(t, "PUT", "user.token.1")
		_, err := e.Attach(t.Context(), call, r)
		var needed *token.ClaimsError
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) || errors.As(err, &needed) || r.Header.Get("Authorization") != "" {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
}

// One round trip, on a connection that is used again.
func BenchmarkEntra(b *testing.B) {
	w := newEntraWorld(b)
	e := w.strategy(nil)
	for b.Loop() {
		c, r := oboCall(b, "PUT", "user.token.1")
		if _, err := e.Attach(b.Context(), c, r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(w.requests))/float64(b.N), "requests/op")
}
