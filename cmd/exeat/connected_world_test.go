package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/inbox"
	"github.com/exeat/exeat/tools"
)

const connectedDocument = `
openapi: 3.1.0
info: {title: Petstore, version: '1'}
servers: [{url: '%s'}]
components:
  securitySchemes:
    oauth:
      type: oauth2
      flows:
        authorizationCode: {authorizationUrl: '%s', tokenUrl: '%s', scopes: {pets:read: Read your pets, pets:write: Change your pets}}
paths:
  /pets/{petId}:
    parameters: [{name: petId, in: path, required: true, schema: {type: integer}}]
    get: {operationId: getPet, security: [{oauth: [pets:read]}], responses: {'200': {description: it}}}
    delete: {operationId: deletePet, security: [{oauth: [pets:write]}], responses: {'204': {description: gone}}}
`

// loginServer is an authorization server where somebody is logged in and consents. A
// token of it says what it is for, in hex.
type loginServer struct {
	*httptest.Server
	mu      sync.Mutex
	scopes  string // of the last login
	current int    // the refresh token that is good
	ended   bool
}

func newLoginServer(t *testing.T) *loginServer {
	s := &loginServer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		s.mu.Lock()
		s.scopes, s.ended = q.Get("scope"), false
		s.mu.Unlock()
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {"c"}, "state": {q.Get("state")}, "iss": {s.URL}}.Encode(), http.StatusSeeOther)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		scope := s.scopes
		if r.FormValue("grant_type") == "refresh_token" {
			if s.ended = s.ended || r.FormValue("refresh_token") != fmt.Sprint("refresh-canary-", s.current); s.ended {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"error":"invalid_grant"}`)
				return
			}
			scope = r.FormValue("scope")
		}
		s.current++
		fmt.Fprintf(w, `{"access_token":"%s","token_type":"Bearer","expires_in":60,"refresh_token":"refresh-canary-%d","scope":%q}`, hex.EncodeToString([]byte(scope)), s.current, scope)
	})
	mux.HandleFunc("POST /revoke", func(http.ResponseWriter, *http.Request) { s.end() })
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// end makes the server renew nothing that it gave.
func (s *loginServer) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// connectedWorld is a gateway whose API takes tokens of accounts that people connect.
type connectedWorld struct {
	t       *testing.T
	g       *gateway
	stop    func()
	ahead   atomic.Int64 // how far the clock is, in ns
	dir     string
	browser *http.Client
	said    *watched

	mu  sync.Mutex
	saw []string // the API: method and what the token was for
}

// seen is what the API saw since it was last asked.
func (w *connectedWorld) seen() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	saw := strings.Join(w.saw, "; ")
	w.saw = nil
	return saw
}

// newConnectedWorld serves an API, whose tokens scopes reads, under a configuration of
// the credential.
func newConnectedWorld(t *testing.T, listen, authorize, token, credential string, scopes func(bearer string) string) *connectedWorld {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	w := &connectedWorld{t: t, dir: t.TempDir(), said: &watched{want: regexp.MustCompile("canary"), found: make(chan []string, 1)}}
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		w.mu.Lock()
		defer w.mu.Unlock()
		w.saw = append(w.saw, r.Method+" "+scopes(bearer))
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprint(rw, `{"id":1}`)
	}))
	t.Cleanup(api.Close)
	for name, text := range map[string]string{
		"petstore.yaml": fmt.Sprintf(connectedDocument, api.URL, authorize, token),
		"exeat.yaml":    "apis: [{spec: petstore.yaml, before: off, credential: " + credential + "}]\nuser: alice\ninbox: {listen: '" + listen + "'}\n",
	} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := loadConfig(filepath.Join(w.dir, "exeat.yaml"))
	if err == nil {
		cfg, err = cfg.withDefaults()
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg.now = func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	if w.g, err = openGateway(t.Context(), cfg, w.said, doors{inbox: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.g.run(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil }) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.g.close()
	})
	t.Cleanup(w.stop)
	w.login()
	return w
}

// login is a browser that is new, and logged in to the inbox.
func (w *connectedWorld) login() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.browser = &http.Client{Jar: jar}
	_, code, _ := strings.Cut(w.g.inbox.LoginLink(), "code=")
	w.post("/login", url.Values{"code": {code}})
}

func (w *connectedWorld) read(resp *http.Response, err error) string {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %d %v\n%s", resp.Request.URL, resp.StatusCode, err, text)
	}
	return html.UnescapeString(string(text))
}

func (w *connectedWorld) get(path string) string {
	w.t.Helper()
	return w.read(w.browser.Get(w.g.inbox.URL() + path))
}

func (w *connectedWorld) post(path string, form url.Values) string {
	w.t.Helper()
	return w.read(w.browser.PostForm(w.g.inbox.URL()+path, form))
}

var (
	csrfOf = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
	goOf   = regexp.MustCompile(`id="go" href="([^"]+)"`)
	askOf  = regexp.MustCompile(`name="ask" value="([^"]+)"`)
)

func (w *connectedWorld) find(re *regexp.Regexp, page string) string {
	w.t.Helper()
	m := re.FindStringSubmatch(page)
	if m == nil {
		w.t.Fatalf("no %s in\n%s", re, page)
	}
	return m[1]
}

// connect connects a scope for a held call, as its person does. through is what they
// do at the server, which ends at the inbox.
func (w *connectedWorld) connect(hold, scope string, through func(page string) string) {
	w.t.Helper()
	page := w.get("/connect/petstore?hold=" + hold)
	csrf := w.find(csrfOf, page)
	if !strings.Contains(page, `value="`+scope+`" checked`) {
		w.t.Fatalf("the page does not choose %s:\n%s", scope, page)
	}
	page = w.post("/connect/petstore", url.Values{"csrf": {csrf}, "hold": {hold}, "scope": {scope}})
	page = through(w.read(w.browser.Get(w.find(goOf, page))))
	page = w.post("/connect/petstore/confirm", url.Values{"csrf": {csrf}, "ask": {w.find(askOf, page)}, "verdict": {"connect"}})
	if strings.Contains(page, "An account is needed") {
		w.t.Fatalf("back at the call:\n%s", page)
	}
}

// approve approves a held call in the inbox; the error is why it could not be.
func (w *connectedWorld) approve(handle string) error {
	w.t.Helper()
	c, err := inbox.Login(w.t.Context(), w.g.inbox.LoginLink())
	if err != nil {
		w.t.Fatal(err)
	}
	h, err := c.Hold(w.t.Context(), handle)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = c.Decide(w.t.Context(), handle, approval.Verdict{Approve: true, Digest: h.Digest})
	return err
}

func (w *connectedWorld) call(tool string) tools.Result {
	w.t.Helper()
	return w.g.runner.Call(w.t.Context(), terminal(w.g.cfg), tool, []byte(`{"petId":1}`))
}

// held is a call that waits, for this reason.
func (w *connectedWorld) held(tool, why string) string {
	w.t.Helper()
	res := w.call(tool)
	if res.Envelope.Status != tools.Pending || !strings.Contains(res.Envelope.Reason, why) || !strings.Contains(res.Envelope.Next, "connect their account") || w.seen() != "" {
		w.t.Fatalf("%s, want %q", res.JSON(), why)
	}
	return res.Envelope.Handle
}
