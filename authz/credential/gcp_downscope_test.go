package credential

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/token"
)

// gcsCall is a call about an order in a bucket, and its request.
func gcsCall(t testing.TB, method, effect, bucket, id string) (token.Call, *http.Request) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "https://storage.googleapis.com/orders/orders/42.json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return token.Call{Txn: "txn_ABC", Effect: effect, Path: map[string]string{"bucket": bucket, "id": id},
		Details: token.Bind("https://storage.googleapis.com/", method, "/orders/orders/42.json", "", nil, []byte("{}"), "put_order", "")}, r
}

func (w *gcpWorld) try(t testing.TB, bearer, method, path string) int {
	t.Helper()
	r, err := http.NewRequest(method, "https://storage.googleapis.com"+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", bearer)
	res, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// The token of a call does this call, and nothing else that the service account may.
func TestGCP(t *testing.T) {
	w := newGCPWorld(t)
	g := w.strategy(t)
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	c, r := gcsCall(t, "PUT", "write", "orders", "42")
	receipt, err := g.Attach(t.Context(), c, r)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(receipt.Expires); receipt.Strategy != "gcp_downscope" || receipt.Issuer != "sts.googleapis.com" || receipt.Scope != "inRole:roles/storage.objectCreator orders/orders/42.json" ||
		receipt.Audience != "storage.googleapis.com" || receipt.Wider != "" || receipt.Narrowed == "" || receipt.Standing || left > time.Hour || left < 59*time.Minute {
		t.Errorf("%+v", receipt)
	}
	bearer := r.Header.Get("Authorization")
	for what, want := range map[string]int{"PUT /orders/orders/42.json": 200, "PUT /orders/orders/43.json": 403, "PUT /orders/orders/42.json.bak": 403, "GET /orders/orders/42.json": 403,
		"DELETE /orders/orders/42.json": 403, "GET /orders": 403, "PUT /other/orders/42.json": 403} {
		method, path, _ := strings.Cut(what, " ")
		if status := w.try(t, bearer, method, path); status != want {
			t.Errorf("%s: %d", what, status)
		}
	}
	w.requests = nil
	c, r = gcsCall(t, "GET", "read", "orders", `4"2\`)
	if _, err := g.Attach(t.Context(), c, r); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.requests, []string{"sts.googleapis.com/v1/token"}) {
		t.Errorf("the second call asked %v", w.requests)
	}
	g.Rules = []BoundaryRule{{Bucket: "orders", Prefix: "orders/{id}", Permissions: []string{"inRole:roles/storage.objectUser"}}}
	c, r = gcsCall(t, "GET", "read", "orders", "4")
	if receipt, err = g.Attach(t.Context(), c, r); err != nil || receipt.Wider == "" {
		t.Fatal(receipt, err)
	}
	for what, want := range map[string]int{"GET /orders/orders/42.json": 200, "GET /orders/orders/52.json": 403, "GET /orders?prefix=orders/4": 200, "GET /orders?prefix=orders/": 403, "DELETE /orders/orders/41": 200} {
		method, path, _ := strings.Cut(what, " ")
		if status := w.try(t, r.Header.Get("Authorization"), method, path); status != want {
			t.Errorf("by a prefix, %s: %d", what, status)
		}
	}
}

// Each way to a token of Google's.
func TestGCPSources(t *testing.T) {
	w := newGCPWorld(t)
	federated, err := GoogleFederation("//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/exeat", "", func() (string, error) { return "the.web.identity", nil }, w.client)
	if err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]oauth2.TokenSource{"federation": federated, "machine": GoogleMachine(w.client)} {
		g := w.strategy(t)
		g.Source = source
		c, r := gcsCall(t, "PUT", "write", "orders", "42")
		if _, err := g.Attach(t.Context(), c, r); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if status := w.try(t, r.Header.Get("Authorization"), "PUT", "/orders/orders/42.json"); status != 200 {
			t.Errorf("%s: %d", name, status)
		}
	}
	g := w.strategy(t)
	g.Impersonate, g.Lasts = "orders@p.iam.gserviceaccount.com", 90*time.Second
	c, r := gcsCall(t, "PUT", "write", "orders", "42")
	if receipt, err := g.Attach(t.Context(), c, r); err != nil || time.Until(receipt.Expires) > 90*time.Second {
		t.Errorf("impersonated: %+v %v", receipt, err)
	}
	g.Impersonate = "other@p.iam.gserviceaccount.com"
	if _, err := g.Attach(t.Context(), c, outgoing(t)); err == nil || !strings.Contains(err.Error(), "cannot get a token of other@p") {
		t.Error(err)
	}
	if _, err := GoogleFederation("//iam.example/x", "", nil, nil); err == nil || !strings.Contains(err.Error(), "resource name") {
		t.Error(err)
	}
	for content, want := range map[string]string{"{}": "is not the key", `{"type":"service_account","client_email":"a","token_uri":"http://as.example"}`: "https", `{"type":"service_account","client_email":"a","token_uri":"https://as.example","private_key":"canary"}`: "not an RSA key"} {
		file := filepath.Join(t.TempDir(), "k.json")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := GoogleKeyFile(file, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", content, err)
		}
	}
}

func TestGCPRefuses(t *testing.T) {
	w := newGCPWorld(t)
	g := w.strategy(t)
	for _, c := range []struct{ bucket, id, want string }{
		{"a/b", "42", "would mean something else"}, {"Orders", "42", "not the name of a bucket"}, {`o"rders`, "42", "not the name of a bucket"}, {"orders", "a/b", "would mean something else"},
		{"orders", "", "is empty"}, {"orders", "a\nb", "would mean something else"}, {"orders", "\xff", "would mean something else"},
	} {
		call, r := gcsCall(t, "PUT", "write", c.bucket, c.id)
		if _, err := g.Attach(t.Context(), call, r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: %v", c.bucket, c.id, err)
		}
	}
	if len(w.requests) > 0 {
		t.Error("Google was asked")
	}
	for name, change := range map[string]func(*GCP){
		"no token to cut down": func(g *GCP) { g.Source = nil },
		"one to ten":           func(g *GCP) { g.Rules = nil },
		"not a domain":         func(g *GCP) { g.Universe = "evil.example/x" },
		"e-mail address":       func(g *GCP) { g.Impersonate = "a/b@c" },
		"live for an hour":     func(g *GCP) { g.Lasts = time.Minute },
		"name the bucket":      func(g *GCP) { g.Rules[0].Bucket = "" },
		"keep one":             func(g *GCP) { g.Rules[0].Prefix = "x" },
		"inRole:roles":         func(g *GCP) { g.Rules[0].Permissions = []string{"storage.objects.get"} },
		"no effect":            func(g *GCP) { g.Rules[0].Effects = []string{"x"} },
	} {
		g := w.strategy(t)
		change(g)
		if err := g.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g = w.strategy(t)
	g.Rules[0].Effects = []string{"read"}
	call, r := gcsCall(t, "PUT", "write", "orders", "42")
	if _, err := g.Attach(t.Context(), call, r); err == nil || !strings.Contains(err.Error(), "no rule is for a PUT that is a write") {
		t.Error(err)
	}
	r.Header.Set("Authorization", "mine")
	if _, err := g.Attach(t.Context(), call, r); err == nil || !strings.Contains(err.Error(), "already has") {
		t.Error(err)
	}
}

// Google's servers fail at either step, and nothing that they wrote is told.
func TestGCPFails(t *testing.T) {
	const canary = "canary-4711"
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"refused":    {jsonAnswer(400, `{"error":"invalid_grant","error_description":"`+canary+`"}`), "refused by Google: invalid_grant (the key was deleted"},
		"API error":  {jsonAnswer(403, `{"error":{"status":"PERMISSION_DENIED","message":"`+canary+`"}}`), "refused by Google: PERMISSION_DENIED"},
		"HTML":       {jsonAnswer(200, "<html>"+canary), "not a token"},
		"no token":   {jsonAnswer(200, `{"token_type":"Bearer","x":"`+canary+`"}`), "no"},
		"overloaded": {jsonAnswer(503, canary), "with 503"},
		"line break": {jsonAnswer(200, `{"access_token":"`+canary+`\r\nX: y","token_type":"Bearer"}`), "characters"},
		"other type": {jsonAnswer(200, `{"access_token":"`+canary+`","token_type":"MAC"}`), "not Bearer"},
		"redirect":   {func(w http.ResponseWriter) { w.Header().Set("Location", "https://evil.example/"); w.WriteHeader(307) }, "with 307"},
		"hangs up":   {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "no answer of Google's"},
		"endless":    {func(w http.ResponseWriter) { w.Write([]byte(`{"a":"` + strings.Repeat("x", 1<<20))) }, "not a token"},
	} {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) }))
		client := s.Client()
		client.CheckRedirect = direct.CheckRedirect
		client.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com"
		client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
		}
		w := newGCPWorld(t)
		source, err := GoogleKeyFile(w.file, client)
		if err != nil {
			t.Fatal(err)
		}
		rules := w.strategy(t).Rules
		for step, g := range map[string]*GCP{"source": {Source: source, Client: client, Rules: rules}, "boundary": {Source: w.strategy(t).Source, Client: client, Rules: rules}} {
			call, r := gcsCall(t, "PUT", "write", "orders", "42")
			_, err := g.Attach(t.Context(), call, r)
			if err == nil || !strings.Contains(err.Error(), c.want) && !(step == "source" && (name == "line break" || name == "other type")) || strings.Contains(err.Error(), canary) || r.Header.Get("Authorization") != "" {
				t.Errorf("%s, %s: %v", name, step, err)
			}
		}
		s.Close()
	}
}

// One round trip, on a connection that is used again.
func BenchmarkGCP(b *testing.B) {
	w := newGCPWorld(b)
	g := w.strategy(b)
	for b.Loop() {
		c, r := gcsCall(b, "PUT", "write", "orders", "42")
		if _, err := g.Attach(b.Context(), c, r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(w.requests))/float64(b.N), "requests/op")
}

// stuck is a source whose lock somebody else holds for long.
type stuck struct{ until chan struct{} }

func (s stuck) Token() (*oauth2.Token, error) {
	<-s.until
	return nil, errors.New("late")
}

func TestGCPWaitsNoLongerThanItsCaller(t *testing.T) {
	s := stuck{make(chan struct{})}
	defer close(s.until)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&GCP{Source: s}).root(ctx); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("%v", err)
	}
}
