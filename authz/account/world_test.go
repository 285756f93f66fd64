package account

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

const ann, bob = "User::ann", "User::bob"

// family is what one login at the server gave out: one refresh token is good, and an
// older one ends them all (RFC 9700 §4.14.2).
type family struct {
	scopes  []string
	current string
	used    map[string]bool
	ended   bool
}

// server is an authorization server as RFC 6749, 7009, 7636 and 9700 have it.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	codes    map[string]url.Values // by code: the authorization request
	families map[string]*family    // by their refresh tokens, old and new
	asked    []url.Values          // refreshes
	revoked  []string
	n        int
	fixed    bool                                                         // gives no new refresh token
	scope    func(asked string) string                                    // what a token is for, in place of what was asked
	before   func()                                                       // is called in each refresh
	answer   func(w http.ResponseWriter, r *http.Request) (answered bool) // in place of all that
}

func newServer(t testing.TB) *server {
	s := &server{codes: map[string]url.Values{}, families: map[string]*family{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /revoke", func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.revoked = append(s.revoked, r.FormValue("token"))
		if f := s.families[r.FormValue("token")]; f != nil {
			f.ended = true
		}
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// code is what somebody comes back with who logged in.
func (s *server) code(authorize string) url.Values {
	u, _ := url.Parse(authorize)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	code := fmt.Sprintf("code-%d", s.n)
	s.codes[code] = u.Query()
	return url.Values{"code": {code}, "state": {u.Query().Get("state")}, "iss": {s.URL}}
}

func (s *server) token(w http.ResponseWriter, r *http.Request) {
	if s.answer != nil && s.answer(w, r) {
		return
	}
	refuse := func(code string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":%q,"error_description":"secret-of-the-server"}`, code)
	}
	if id, secret, _ := r.BasicAuth(); id != "exeat" || secret != "client-secret" {
		refuse("invalid_client")
		return
	}
	if s.before != nil && r.FormValue("grant_type") == "refresh_token" {
		s.before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var f *family
	scope := ""
	switch r.FormValue("grant_type") {
	case "authorization_code":
		asked, ok := s.codes[r.FormValue("code")]
		delete(s.codes, r.FormValue("code"))
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if !ok || asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || asked.Get("redirect_uri") != r.FormValue("redirect_uri") {
			refuse("invalid_grant")
			return
		}
		scope = asked.Get("scope")
		f = &family{scopes: strings.Fields(scope), used: map[string]bool{}}
	case "refresh_token":
		s.asked = append(s.asked, r.PostForm)
		old := r.FormValue("refresh_token")
		f = s.families[old]
		if f != nil && f.used[old] {
			f.ended = true
		}
		if f == nil || f.ended {
			refuse("invalid_grant")
			return
		}
		f.used[old] = !s.fixed
		scope = r.FormValue("scope")
		for x := range strings.FieldsSeq(scope) {
			if !slices.Contains(f.scopes, x) {
				refuse("invalid_scope")
				return
			}
		}
	default:
		refuse("unsupported_grant_type")
		return
	}
	s.n++
	out := map[string]any{"access_token": fmt.Sprintf("token-for-a-call-%d", s.n), "token_type": "Bearer", "expires_in": 60, "scope": scope}
	if s.scope != nil {
		out["scope"] = s.scope(scope)
	}
	if !s.fixed || f.current == "" {
		f.current = fmt.Sprintf("refresh-token-%d", s.n)
		s.families[f.current] = f
		out["refresh_token"] = f.current
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

// world is a book of accounts with one provider, at a time of its own.
type world struct {
	*Book
	t      testing.TB
	server *server
	p      *Provider
	db     *store.Store
	path   string
	keys   *token.Keys
	clock  *time.Time
	ended  map[string]time.Time
	// keysChange, if not nil, is called before a file of the key folder changes.
	keysChange func()
}

// watchedKeys are the keys of a world that tells of changes.
type watchedKeys struct {
	*token.Keys
	w *world
}

func (k watchedKeys) ChangeFile(name string, change func([]byte) ([]byte, error)) error {
	if k.w.keysChange != nil {
		k.w.keysChange()
	}
	return k.Keys.ChangeFile(name, change)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	w := &world{t: t, server: newServer(t), path: filepath.Join(t.TempDir(), "exeat.db"), clock: &now, ended: map[string]time.Time{}}
	var err error
	if w.db, err = store.Open(t.Context(), w.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	if w.keys, err = token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA"); err != nil {
		t.Fatal(err)
	}
	w.Book, w.p = w.process(w.db)
	return w
}

// process is one that uses the same database and the same keys.
func (w *world) process(db *store.Store) (*Book, *Provider) {
	w.t.Helper()
	p := &Provider{API: "pets", ClientID: "exeat", AuthorizeURL: w.server.URL + "/authorize", Issuer: w.server.URL,
		Server: &credential.Server{TokenURL: w.server.URL + "/token", RevokeURL: w.server.URL + "/revoke", Auth: credential.SecretAuth{ID: "exeat", Secret: token.NewSecret("client-secret")}},
		Scopes: []Scope{{Name: "pets:read", Life: ReadLife, Tools: []string{"get_pet"}}, {Name: "pets:write", Life: WriteLife, Tools: []string{"put_pet"}}}}
	if err := p.Check(); err != nil {
		w.t.Fatal(err)
	}
	b := NewBook()
	if err := b.Add(p); err != nil {
		w.t.Fatal(err)
	}
	if err := b.Open(Config{Store: db, Folder: watchedKeys{w.keys, w}, Now: func() time.Time { return *w.clock }, Ended: w.over}); err != nil {
		w.t.Fatal(err)
	}
	return b, p
}

// connect has a person connect scopes.
func (w *world) connect(person string, scopes ...string) {
	w.t.Helper()
	if err := w.Connect(w.t.Context(), w.p, w.got(person, scopes...), nil); err != nil {
		w.t.Fatal(err)
	}
}

// got is what a person comes back with.
func (w *world) got(person string, scopes ...string) Got {
	w.t.Helper()
	live, err := w.Live(w.t.Context(), person, "pets")
	if err != nil {
		w.t.Fatal(err)
	}
	ask, err := w.p.NewAsk(person, "http://inbox", scopes, live)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := w.p.Redeem(w.t.Context(), ask, w.server.code(w.p.URL(ask, "s")))
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// call is a call that needs scopes.
func callOf(person string, scopes ...string) token.Call {
	return token.Call{Person: person, Scopes: scopes}
}

// attach is the token that a call gets.
func attach(t testing.TB, b *Book, p *Provider, c token.Call) (string, token.Receipt, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://api/", nil)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := (&Connected{b, p}).Attach(t.Context(), c, r)
	return r.Header.Get("Authorization"), receipt, err
}

func (w *world) lacks(person string, scopes ...string) string {
	w.t.Helper()
	why, err := (&Connected{w.Book, w.p}).Lacks(w.t.Context(), callOf(person, scopes...))
	if err != nil {
		w.t.Fatal(err)
	}
	return why
}

func (w *world) entries() (list []store.Entry) {
	w.t.Helper()
	if err := w.db.Entries(w.t.Context(), 0, func(e store.Entry) error { list = append(list, e); return nil }); err != nil {
		w.t.Fatal(err)
	}
	return list
}
