package credential

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/token"
)

func TestClientCredentials(t *testing.T) {
	var mu sync.Mutex
	var forms []url.Values
	as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		form := r.Form
		form.Set("user", user+":"+password)
		mu.Lock()
		forms = append(forms, form)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"access_token":"at-1","token_type":"bearer","expires_in":60,"scope":"pets:read"}`))
	}))
	defer as.Close()
	cc := askedAt(as.URL, "gateway", "s3", false)
	c := testCall()
	c.Scopes = []string{"pets:read", "pets:write"}
	for _, inBody := range []bool{false, false, true} { // a fresh token each time
		cc.Server.Auth = SecretAuth{"gateway", token.NewSecret("s3"), inBody}
		r := outgoing(t)
		receipt, err := cc.Attach(t.Context(), c, r)
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(receipt.Expires); receipt.Strategy != "client_credentials" || receipt.Standing || left < 50*time.Second || left > time.Minute {
			t.Errorf("receipt %+v", receipt)
		}
		if got := r.Header.Get("Authorization"); got != "Bearer at-1" {
			t.Errorf("Authorization %q", got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	want := url.Values{"grant_type": {"client_credentials"}, "scope": {"pets:read pets:write"}, "resource": {testAudience}, "user": {"gateway:s3"}}
	inParams := url.Values{"client_id": {"gateway"}, "client_secret": {"s3"}, "user": {":"}}
	for _, name := range []string{"grant_type", "scope", "resource"} {
		inParams[name] = want[name]
	}
	if diff := cmp.Diff([]url.Values{want, want, inParams}, forms); diff != "" {
		t.Errorf("token requests (-want +got):\n%s", diff)
	}
}

func TestClientCredentialsRefuses(t *testing.T) {
	const canary = "canary-4711"
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"refused":             {jsonAnswer(400, `{"error":"invalid_scope","error_description":"`+canary+`"}`), "the authorization server refuses: invalid_scope (scopes says"},
		"odd error code":      {jsonAnswer(400, `{"error":"`+canary+`"}`), "answered 400"},
		"odd body":            {jsonAnswer(500, canary), "answered 500"},
		"error with 200":      {jsonAnswer(200, `{"error":"`+canary+`"}`), "answered 200"},
		"redirect":            {func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(307) }, "answered 307"},
		"not JSON":            {jsonAnswer(200, canary), "not a token"},
		"no token":            {jsonAnswer(200, `{"token_type":"Bearer"}`), "not a token"},
		"other type":          {jsonAnswer(200, `{"access_token":"`+canary+`","token_type":"DPoP"}`), "not Bearer"},
		"line break":          {jsonAnswer(200, `{"access_token":"`+canary+`\r\nX: y","token_type":"Bearer"}`), "characters"},
		"wider scope":         {jsonAnswer(200, `{"access_token":"`+canary+`","token_type":"Bearer","scope":"pets:read admin"}`), `"admin", which was not asked for`},
		"scopes as a list":    {jsonAnswer(200, `{"access_token":"`+canary+`","token_type":"Bearer","scope":["pets:read","admin"]}`), `"admin", which was not asked for`},
		"scopes as an object": {jsonAnswer(200, `{"access_token":"`+canary+`","token_type":"Bearer","scope":{"admin":true}}`), "scope is no text"},
		"hangs up":            {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { requests.Add(1); c.answer(w) }))
			defer as.Close()
			cc := askedAt(as.URL, "gateway", canary, false)
			r := outgoing(t)
			call := testCall()
			call.Scopes = []string{"pets:read"}
			_, err := cc.Attach(t.Context(), call, r)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got error %v, want it to say %q", err, c.want)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the error repeats what the server said: %v", err)
			}
			if r.Header.Get("Authorization") != "" {
				t.Error("a credential was attached")
			}
			if n := requests.Load(); n > 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
	r := outgoing(t)
	if err := askedAt("http://as.example/token", "x", "y", false).Check(); err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("a token endpoint in clear text: %v", err)
	}
	r.Header.Set("Authorization", "x")
	if _, err := askedAt("https://as.example", "x", "y", false).Attach(context.Background(), testCall(), r); err == nil || !strings.Contains(err.Error(), "already has") {
		t.Errorf("a request with a credential: %v", err)
	}
}

func jsonAnswer(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write([]byte(body))
	}
}

// A token that is refused is ended at once, as far as its server can do that.
func TestRefusedClientCredentialsAreRevoked(t *testing.T) {
	revoked := make(chan string, 1)
	as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/revoke" {
			revoked <- r.FormValue("token")
			return
		}
		jsonAnswer(200, `{"access_token":"wide-1","token_type":"Bearer","scope":"pets:read admin"}`)(w)
	}))
	defer as.Close()
	cc := askedAt(as.URL, "gateway", "s3", false)
	cc.Server.RevokeURL = as.URL + "/revoke"
	call := testCall()
	call.Scopes = []string{"pets:read"}
	r := outgoing(t)
	if _, err := cc.Attach(t.Context(), call, r); err == nil || !strings.Contains(err.Error(), `"admin"`) || strings.Contains(err.Error(), "wide-1") || r.Header.Get("Authorization") != "" {
		t.Fatalf("%v, Authorization %q", err, r.Header.Get("Authorization"))
	}
	select {
	case got := <-revoked:
		if got != "wide-1" {
			t.Errorf("revoked %q", got)
		}
	default:
		t.Error("it was not revoked")
	}
}
