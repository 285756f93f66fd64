package credential

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// authServer is an authorization server that checks a token request as RFC 6749
// says, and is as strict as the vendor that it stands for.
type authServer struct {
	id, secret string
	inBody     bool // where it wants the secret; anything else is invalid_client
	refuses    []string
	needs      map[string]string
	scope      string // that it names in its answer
}

func (s authServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "canary"})
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	text, err := io.ReadAll(r.Body)
	form, bad := url.ParseQuery(string(text))
	if err != nil || bad != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" {
		refuse(400, "invalid_request")
		return
	}
	for name, values := range form { // §3.2: parameters once, and none without a value
		if len(values) != 1 || values[0] == "" || slices.Contains(s.refuses, name) {
			refuse(400, "invalid_request")
			return
		}
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if pair, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Basic "); ok && !s.inBody {
		plain, _ := base64.StdEncoding.DecodeString(pair)
		a, b, _ := strings.Cut(string(plain), ":")
		if id != "" || secret != "" { // §2.3: one way only
			refuse(400, "invalid_request")
			return
		}
		id, _ = url.QueryUnescape(a) // §2.3.1
		secret, _ = url.QueryUnescape(b)
	} else if !s.inBody {
		id = ""
	}
	if id != s.id || secret != s.secret {
		refuse(401, "invalid_client")
		return
	}
	if form.Get("grant_type") != "client_credentials" {
		refuse(400, "unsupported_grant_type")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.needs)) {
		if form.Get(name) != s.needs[name] {
			refuse(400, map[string]string{"scope": "invalid_scope", "audience": "access_denied", "resource": "invalid_target"}[name])
			return
		}
	}
	answer := map[string]any{"access_token": "at.1", "token_type": "Bearer", "expires_in": 300}
	if s.scope != "" {
		answer["scope"] = s.scope
	}
	json.NewEncoder(w).Encode(answer)
}

// Authorization servers as they are found: each takes what is configured for it,
// and says what is wrong with the plain request.
func TestClientCredentialsOfVendors(t *testing.T) {
	const id, secret = "my app:1", "s%c+r e/t=ü"
	none, other := "", "urn:other"
	tests := []struct {
		name   string
		as     authServer
		inBody bool
		wants  Wants  // what is configured
		plain  string // what the request without it ends with; "" for a token
	}{
		{"by the book", authServer{needs: map[string]string{"scope": "pets:read", "resource": testAudience}}, false, Wants{}, ""},
		{"the secret in the body", authServer{inBody: true}, true, Wants{}, "invalid_client (check client_id and the secret or key, and whether auth is what the server wants)"},
		{"no resource", authServer{refuses: []string{"resource"}}, false, Wants{Resource: &none}, "resource: ''"},
		{"another resource", authServer{needs: map[string]string{"resource": other}}, false, Wants{Resource: &other}, "invalid_target (resource says"},
		{"an audience", authServer{needs: map[string]string{"audience": "https://api"}}, false, Wants{Params: url.Values{"audience": {"https://api"}}}, "audience"},
		{"one scope for all, in the body, no resource", authServer{inBody: true, refuses: []string{"resource"}, needs: map[string]string{"scope": "api://x/.default"}},
			true, Wants{Resource: &none, Scopes: []string{"api://x/.default"}}, "invalid_request"},
		{"no scope", authServer{refuses: []string{"scope"}}, false, Wants{Scopes: []string{}}, "invalid_request"},
		{"scopes of its own beside", authServer{scope: "pets:read profile email"}, false, Wants{AlsoGranted: []string{"profile", "email"}}, "also_granted"},
		{"any scopes beside", authServer{scope: "pets:read profile email"}, false, Wants{AlsoGranted: []string{"*"}}, "also_granted"},
		{"an audience, and all that the client has", authServer{needs: map[string]string{"audience": "https://api"}, scope: "pets:read pets:write"},
			false, Wants{Params: url.Values{"audience": {"https://api"}}, AlsoGranted: []string{"*"}}, "audience"},
		{"an organization", authServer{needs: map[string]string{"scope": "pets:read"}}, false, Wants{Params: url.Values{"organization": {"o 1"}, "tenant": {"t&x=y"}}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.as.id, tt.as.secret = id, secret
			as := httptest.NewServer(tt.as)
			defer as.Close()
			call := testCall()
			call.Scopes = []string{"pets:read"}
			plain := askedAt(as.URL, id, secret, false)
			r := outgoing(t)
			if _, err := plain.Attach(t.Context(), call, r); (err == nil) != (tt.plain == "") || err != nil && (!strings.Contains(err.Error(), tt.plain) || strings.Contains(err.Error(), "canary")) {
				t.Errorf("without configuration: %v, want %q", err, tt.plain)
			}
			cc := askedAt(as.URL, id, secret, tt.inBody)
			cc.Wants = tt.wants
			r = outgoing(t)
			if _, err := cc.Attach(t.Context(), call, r); err != nil || r.Header.Get("Authorization") != "Bearer at.1" {
				t.Errorf("%v, %s", err, r.Header.Get("Authorization"))
			}
		})
	}
}

// TestClientCredentialsProvider asks npm's oidc-provider for tokens, if the
// environment says where it is:
//
//	EXEAT_OIDC=…/node_modules go test -run Provider ./authz/credential
func TestClientCredentialsProvider(t *testing.T) {
	issuer := startProvider(t)
	const secret = providerSecret
	none, other := "", "https://other.example/"
	for name, tt := range map[string]struct {
		id     string
		inBody bool
		wants  Wants
		want   string // of the error; "" for a token
	}{
		"header":           {"in-header", false, Wants{}, ""},
		"body":             {"in-body", true, Wants{}, ""},
		"no resource":      {"in-header", false, Wants{Resource: &none, Scopes: []string{}}, ""},
		"unknown resource": {"in-header", false, Wants{Resource: &other}, "invalid_target (resource"},
		"scopes":           {"in-header", false, Wants{Scopes: []string{"pets:write"}}, ""},
		"unknown client":   {"nobody", false, Wants{}, "invalid_client (check"},
		"audience":         {"in-header", false, Wants{Params: url.Values{"audience": {"x"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cc := askedAt(issuer+"/token", tt.id, secret, tt.inBody)
			cc.Wants = tt.wants
			call := testCall()
			call.Scopes = []string{"pets:read"}
			r := outgoing(t)
			_, err := cc.Attach(t.Context(), call, r)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			if err == nil && len(r.Header.Get("Authorization")) < len("Bearer ")+20 {
				t.Errorf("Authorization %q", r.Header.Get("Authorization"))
			}
		})
	}
}
