package credential

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/exeat/exeat/authz/token"
)

// companies are two: one whose identity provider knows the person, and one whose
// authorization server takes its assertions. Both are as strict as the draft; they were
// written from it and share nothing with what they check.
type companies struct {
	t         *testing.T
	private   ed25519.PrivateKey
	public    ed25519.PublicKey
	provider  *httptest.Server
	server    *httptest.Server
	redeemed  map[string]bool // assertions, by jti
	asked     []url.Values    // of the provider, then of the server
	claims    map[string]any  // that the assertion has in place of the right ones
	typ       string
	answer    map[string]any // what the provider's answer has in place of the right
	granted   map[string]any // the same of the server's
	providers func(http.ResponseWriter) bool
}

const theirs = "https://saas.example"

func newCompanies(t *testing.T) *companies {
	c := &companies{t: t, redeemed: map[string]bool{}, typ: "oauth-id-jag+jwt"}
	c.public, c.private, _ = ed25519.GenerateKey(rand.Reader)
	c.provider, c.server = httptest.NewServer(http.HandlerFunc(c.assert)), httptest.NewServer(http.HandlerFunc(c.redeem))
	t.Cleanup(c.provider.Close)
	t.Cleanup(c.server.Close)
	return c
}

func (c *companies) strategy() *IDJAG {
	none := []string{"invoices:write"}
	return &IDJAG{Provider: &Server{TokenURL: c.provider.URL, Auth: SecretAuth{"exeat", token.NewSecret("s1"), false}}, Issuer: c.provider.URL,
		Server: &Server{TokenURL: c.server.URL, Auth: SecretAuth{"exeat-saas", token.NewSecret("s2"), true}}, Audience: theirs, Client: "exeat-saas", Wants: Wants{Scopes: none}}
}

func refuse(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "canary-of-the-server"})
}

func give(w http.ResponseWriter, right, instead map[string]any) {
	maps.Copy(right, instead)
	for name, v := range right {
		if v == nil {
			delete(right, name)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(right)
}

func (c *companies) assert(w http.ResponseWriter, r *http.Request) {
	if c.providers != nil && c.providers(w) {
		return
	}
	id, secret, _ := r.BasicAuth()
	r.ParseForm()
	f := r.PostForm
	c.asked = append(c.asked, f)
	switch {
	case id != "exeat" || secret != "s1":
		refuse(w, "invalid_client")
	case f.Get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange", f.Get("requested_token_type") != "urn:ietf:params:oauth:token-type:id-jag":
		refuse(w, "unsupported_grant_type")
	case f.Get("audience") != theirs:
		refuse(w, "invalid_target")
	case f.Get("subject_token") != "callers.own.token" || f.Get("subject_token_type") != "urn:ietf:params:oauth:token-type:access_token":
		refuse(w, "invalid_grant")
	default:
		now := time.Now()
		claims := map[string]any{"iss": c.provider.URL, "sub": "u-17", "aud": theirs, "client_id": "exeat-saas", "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
			"scope": f.Get("scope"), "resource": f.Get("resource")}
		maps.Copy(claims, c.claims)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: c.private}, (&jose.SignerOptions{}).WithType(jose.ContentType(c.typ)))
		if err != nil {
			c.t.Error(err)
		}
		signed, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			c.t.Error(err)
		}
		give(w, map[string]any{"issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "access_token": signed, "token_type": "N_A", "expires_in": 300}, c.answer)
	}
}

func (c *companies) redeem(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	f := r.PostForm
	c.asked = append(c.asked, f)
	if r.URL.Path == "/revoke" {
		return
	}
	parsed, err := jwt.ParseSigned(f.Get("assertion"), []jose.SignatureAlgorithm{jose.EdDSA})
	var claims struct {
		jwt.Claims
		ClientID string `json:"client_id"`
		Scope    string `json:"scope"`
	}
	if err == nil {
		err = parsed.Claims(c.public, &claims)
	}
	switch {
	case f.Get("client_id") != "exeat-saas" || f.Get("client_secret") != "s2":
		refuse(w, "invalid_client")
	case f.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
		refuse(w, "unsupported_grant_type")
	case err != nil || parsed.Headers[0].ExtraHeaders["typ"] != "oauth-id-jag+jwt" || claims.ClientID != "exeat-saas" || c.redeemed[claims.ID] ||
		claims.Validate(jwt.Expected{Issuer: c.provider.URL, AnyAudience: jwt.Audience{theirs}, Time: time.Now()}) != nil:
		refuse(w, "invalid_grant")
	case slices.ContainsFunc(strings.Fields(f.Get("scope")), func(s string) bool { return !slices.Contains(strings.Fields(claims.Scope), s) }):
		refuse(w, "invalid_scope")
	default:
		c.redeemed[claims.ID] = true
		give(w, map[string]any{"access_token": "opaque-1", "token_type": "Bearer", "expires_in": 60, "scope": f.Get("scope")}, c.granted)
	}
}

func callOf(caller string) token.Call {
	call := testCall()
	call.Caller = token.NewSecret(caller)
	return call
}

func TestIDJAG(t *testing.T) {
	c := newCompanies(t)
	j := c.strategy()
	j.Server.RevokeURL = c.server.URL + "/revoke"
	if err := j.Check(); err != nil {
		t.Fatal(err)
	}
	r := outgoing(t)
	receipt, err := j.Attach(t.Context(), callOf("callers.own.token"), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Header.Get("Authorization"); got != "Bearer opaque-1" {
		t.Errorf("Authorization %q", got)
	}
	if receipt.Strategy != "id_jag" || receipt.Scope != "invoices:write" || receipt.Audience != testAudience || receipt.Standing || receipt.Wider != "" || time.Until(receipt.Expires) > time.Minute {
		t.Errorf("receipt %+v", receipt)
	}
	if len(c.asked) != 2 || c.asked[0].Get("resource") != testAudience || c.asked[1].Has("subject_token") {
		t.Errorf("asked %v", c.asked)
	}
	if err := receipt.Revoke(t.Context()); err != nil || c.asked[2].Get("token") != "opaque-1" {
		t.Errorf("revoked %v, %v", err, c.asked[2:])
	}
}

// What is not an assertion for this client at that server is not redeemed, and what is
// for more than was asked for is not used.
func TestIDJAGRefuses(t *testing.T) {
	far := time.Now().Add(time.Hour).Unix()
	for name, tt := range map[string]struct {
		claims, answer, granted map[string]any
		typ                     string
		caller                  string
		bound                   bool
		redeems                 bool // the assertion was good
		want                    string
	}{
		"no token of the caller":          {caller: "", want: "without an access token"},
		"a bound token":                   {caller: "callers.own.token", bound: true, want: "bound to a key"},
		"a token of somebody else":        {caller: "another", want: "invalid_grant"},
		"another type":                    {typ: "JWT", want: "its typ is"},
		"an access token in its place":    {answer: map[string]any{"issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer"}, want: "and not urn:ietf:params:oauth:token-type:id-jag"},
		"no issued_token_type":            {answer: map[string]any{"issued_token_type": nil}, want: "of the type"},
		"opaque":                          {answer: map[string]any{"access_token": "opaque"}, want: "cannot be read"},
		"of another issuer":               {claims: map[string]any{"iss": "https://evil.example"}, want: "its issuer is"},
		"for another server":              {claims: map[string]any{"aud": "https://evil.example"}, want: "not for"},
		"for two servers":                 {claims: map[string]any{"aud": []string{theirs, "https://evil.example"}}, want: "not for"},
		"for another client":              {claims: map[string]any{"client_id": "other"}, want: "for the client"},
		"in nobody's name":                {claims: map[string]any{"sub": ""}, want: "who it is"},
		"for long":                        {claims: map[string]any{"exp": far}, want: "too long"},
		"without an end":                  {claims: map[string]any{"exp": nil}, want: "lives"},
		"more scopes in the assertion":    {claims: map[string]any{"scope": "invoices:write admin"}, want: `"admin"`},
		"more scopes in the token":        {granted: map[string]any{"scope": "invoices:write admin"}, redeems: true, want: `"admin"`},
		"a token for long":                {granted: map[string]any{"expires_in": 36000}, redeems: true, want: "lives 10h"},
		"a token without an end":          {granted: map[string]any{"expires_in": nil}, redeems: true, want: "how long"},
		"a DPoP token":                    {granted: map[string]any{"token_type": "DPoP"}, redeems: true, want: "not Bearer"},
		"the caller's token as the token": {granted: map[string]any{"access_token": "callers.own.token"}, redeems: true, want: "very token"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCompanies(t)
			c.claims, c.answer, c.granted = tt.claims, tt.answer, tt.granted
			if tt.typ != "" {
				c.typ = tt.typ
			}
			caller := tt.caller
			if caller == "" && name != "no token of the caller" {
				caller = "callers.own.token"
			}
			call := callOf(caller)
			call.CallerBound = tt.bound
			r := outgoing(t)
			_, err := c.strategy().Attach(t.Context(), call, r)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "callers.own.token") {
				t.Errorf("the error says too much: %v", err)
			}
			if r.Header.Get("Authorization") != "" {
				t.Error("a token was attached")
			}
			if (len(c.redeemed) > 0) != tt.redeems {
				t.Errorf("redeemed: %v", c.redeemed)
			}
		})
	}
}

// BenchmarkIDJAG is two round trips, which the protocol needs, on loopback.
func BenchmarkIDJAG(b *testing.B) {
	c := newCompanies(&testing.T{})
	j := c.strategy()
	call := callOf("callers.own.token")
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, testAudience, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := j.Attach(b.Context(), call, r); err != nil {
			b.Fatal(err)
		}
		c.asked = nil
	}
}
