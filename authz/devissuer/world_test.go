package devissuer

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi/reach"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // as cmd/exeat does: the library logs each refusal
	log.SetOutput(os.Stderr)
	os.Exit(m.Run())
}

// world is an issuer that is served, and a person who is logged in.
type world struct {
	*approvaltest.World
	issuer   *Issuer
	base     string // of the issuer
	resource string
	door     *approval.Doorkeeper
	holds    *approval.Service
	keys     *token.Keys
	trouble  []error
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{World: approvaltest.New(t), door: new(approval.Doorkeeper)}
	var err error
	if w.holds, err = approval.New(approval.Config{Store: w.DB, Engine: w.Engine, Key: approvaltest.Key, Now: w.Clock, Door: w.door}); err != nil {
		t.Fatal(err)
	}
	if w.keys, err = token.OpenKeys(filepath.Join(t.TempDir(), "issuer"), "ES256"); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	w.base, w.resource = srv.URL+Path, srv.URL+"/mcp"
	c := Config{Issuer: w.base, Resource: w.resource, Inbox: "http://127.0.0.1:8421", Scopes: []string{"api.read", "api.write"}, Keys: w.keys, Store: w.DB, Holds: w.holds,
		Trouble: func(err error) { w.trouble = append(w.trouble, err) }}
	for _, f := range change {
		f(&c)
	}
	if w.issuer, err = New(c); err != nil {
		t.Fatal(err)
	}
	for pattern, h := range w.issuer.Paths() {
		mux.Handle(pattern, h)
	}
	return w
}

// alice is logged in since just now.
func (w *world) alice() approval.Identity { return w.as(approvaltest.Alice.ID) }

func (w *world) as(id string) approval.Identity {
	p := approval.Person{Principal: approvaltest.Alice, AMR: []string{"otp"}, Since: w.Clock()}
	p.Principal.ID, p.Principal.AuthTime = id, w.Clock()
	return w.door.Admit(p, w.Clock().Add(8*time.Hour))
}

// register registers a client with these redirect URIs.
func (w *world) register(redirects ...string) string {
	w.T.Helper()
	status, got := w.postJSON("/register", map[string]any{"client_name": "Claude", "redirect_uris": redirects, "token_endpoint_auth_method": "none"})
	if status != http.StatusCreated {
		w.T.Fatalf("%d %v", status, got)
	}
	return got["client_id"].(string)
}

func (w *world) postJSON(path string, body any) (int, map[string]any) {
	w.T.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		w.T.Fatal(err)
	}
	resp, err := http.Post(w.base+path, "application/json", bytes.NewReader(b))
	return w.read(resp, err)
}

// post sends a form to an endpoint.
func (w *world) post(path string, form url.Values) (int, map[string]any) {
	w.T.Helper()
	resp, err := http.PostForm(w.base+path, form)
	return w.read(resp, err)
}

func (w *world) read(resp *http.Response, err error) (int, map[string]any) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	got := map[string]any{}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &got); err != nil {
			w.T.Fatalf("%d %s", resp.StatusCode, b)
		}
	}
	return resp.StatusCode, got
}

const redirect = "http://127.0.0.1/callback"

// asks are the parameters of a good authorization request, with its verifier.
func (w *world) asks(client string) (q url.Values, verifier string) {
	verifier = oauth2.GenerateVerifier()
	return url.Values{"response_type": {"code"}, "client_id": {client}, "redirect_uri": {"http://127.0.0.1:4711/callback"}, "state": {"s" + rand.Text()},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"}, "resource": {w.resource}}, verifier
}

func (w *world) ask(q url.Values) (Ask, error) {
	return w.issuer.Ask(httptest.NewRequest("GET", AuthorizePath+"?"+q.Encode(), nil), w.alice())
}

// allow is the answer that a person who allows a request brings back.
func (w *world) allow(q url.Values) url.Values {
	w.T.Helper()
	ask, err := w.ask(q)
	if err != nil {
		w.T.Fatal(err)
	}
	back, err := w.issuer.Answer(w.T.Context(), w.alice(), ask.Sealed, true)
	if err != nil {
		w.T.Fatal(err)
	}
	return w.answer(back, q)
}

// answer reads what a person brings back to a client, as a careful client does.
func (w *world) answer(back string, q url.Values) url.Values {
	w.T.Helper()
	at, rest, _ := strings.Cut(back, "?")
	got, err := url.ParseQuery(rest)
	if err != nil || at != q.Get("redirect_uri") || got.Get("iss") != w.base || got.Get("state") != q.Get("state") {
		w.T.Fatalf("%q %v", back, err)
	}
	return got
}

// redeems are the parameters of a good token request.
func redeems(q, got url.Values, verifier string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {got.Get("code")}, "client_id": {q.Get("client_id")}, "redirect_uri": {q.Get("redirect_uri")},
		"code_verifier": {verifier}, "resource": {q.Get("resource")}}
}

// tokens goes the whole way to tokens.
func (w *world) tokens(client string) map[string]any {
	w.T.Helper()
	q, verifier := w.asks(client)
	status, got := w.post("/token", redeems(q, w.allow(q), verifier))
	if status != http.StatusOK {
		w.T.Fatalf("%d %v", status, got)
	}
	return got
}

func (w *world) refresh(client, refresh string) (int, map[string]any) {
	w.T.Helper()
	return w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {client}})
}

// documents is a server of clients' documents, at an address that the issuer may
// reach if it is told so.
func documentServer(t *testing.T, h http.HandlerFunc) (srv *httptest.Server, reached func(*Config)) {
	srv = httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	return srv, func(c *Config) {
		var err error
		if c.Reach, err = reach.New(net.Dialer{}, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		c.Roots = roots
	}
}

// refused is the refusal that an error is.
func refused(t *testing.T, err error) *Refusal {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("it was not refused: %v", err)
	}
	return r
}

func text(v any) string { return fmt.Sprint(v) }
