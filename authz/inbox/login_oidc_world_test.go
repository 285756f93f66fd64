package inbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/store"
)

// issuer is an OpenID provider that lets in whoever comes, and does to its
// answers what a test wants. It checks what a good provider checks.
type issuer struct {
	*httptest.Server
	t     *testing.T
	now   func() time.Time
	key   *ecdsa.PrivateKey
	codes map[string]url.Values // what each was asked with
	asked url.Values            // the last authentication request
	mu    sync.Mutex            // guards codes and asked

	meta     map[string]any                                           // of discovery, in addition
	claims   map[string]any                                           // of the ID token, in addition; nil takes one away
	info     map[string]any                                           // the user info; nil for none
	sign     func(t *testing.T, claims map[string]any) string         // nil signs as it should
	callback func(q url.Values)                                       // changes what it sends back
	serve    func(w http.ResponseWriter, r *http.Request) (done bool) // before anything else
}

const (
	clientID     = "exeat"
	clientSecret = "a secret with / and : and ü"
	signKey      = "k1"
)

func newIssuer(t *testing.T, now func() time.Time) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, now: now, key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		i.json(w, 200, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: signKey, Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer access" || i.info == nil {
			w.WriteHeader(401)
			return
		}
		i.json(w, 200, i.info)
	})
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.serve == nil || !i.serve(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		i.t.Log(err)
	}
}

func (i *issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/jwks",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true}
	if i.info != nil {
		m["userinfo_endpoint"] = i.URL + "/userinfo"
	}
	maps.Copy(m, i.meta)
	i.json(w, 200, m)
}

func (i *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != clientID || q.Get("code_challenge_method") != "S256" || !strings.Contains(q.Get("scope"), "openid") || len(q.Get("state")) < 32 || len(q.Get("nonce")) < 32 {
		http.Error(w, "no such request", 400)
		return
	}
	code := newToken()
	i.mu.Lock()
	i.codes[code], i.asked = q, q
	i.mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}
	if i.callback != nil {
		i.callback(back)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	i.mu.Lock()
	q, ok := i.codes[code]
	delete(i.codes, code)
	i.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case id != clientID || secret != clientSecret:
		i.json(w, 401, map[string]string{"error": "invalid_client"})
		return
	case !ok, r.PostFormValue("grant_type") != "authorization_code", r.PostFormValue("redirect_uri") != q.Get("redirect_uri"),
		base64.RawURLEncoding.EncodeToString(challenge[:]) != q.Get("code_challenge"):
		i.json(w, 400, map[string]string{"error": "invalid_grant", "error_description": clientSecret})
		return
	}
	now := i.now()
	claims := map[string]any{"iss": i.URL, "aud": clientID, "sub": "alice", "nonce": q.Get("nonce"), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"auth_time": now.Unix(), "acr": "urn:two", "amr": []string{"pwd", "otp"}, "email": "alice@example.com", "email_verified": true, "groups": []string{"keepers"}}
	for k, v := range i.claims {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	sign := i.sign
	if sign == nil {
		sign = func(t *testing.T, claims map[string]any) string {
			return signed(t, jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: signKey}}, claims)
		}
	}
	i.json(w, 200, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": sign(i.t, claims)})
}

func signed(t *testing.T, key jose.SigningKey, claims map[string]any) string {
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Error(err)
		return ""
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Error(err)
		return ""
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Error(err)
		return ""
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return text
}

// oidcSite is an inbox whose people log in with an issuer.
type oidcSite struct {
	*site
	issuer *issuer
	told   []string // what the operator was told
	mu     sync.Mutex
}

func newOIDCSite(t *testing.T, change func(*OIDCConfig), policies ...string) *oidcSite {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	s := &oidcSite{site: siteAt(t, "http://"+srv.Listener.Addr().String(), policies...)}
	s.issuer = newIssuer(t, s.Clock)
	s.inbox.c.Trouble = func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = append(s.told, err.Error())
	}
	c := OIDCConfig{Now: s.Clock, Issuer: s.issuer.URL, ClientID: clientID, Secret: func() string { return clientSecret }, Groups: "groups", Allowed: Allowed{Everyone: true}}
	if change != nil {
		change(&c)
	}
	var err error
	if s.inbox.c.OIDC, err = NewOIDC(s.inbox.c.URL, c); err != nil {
		t.Fatal(err)
	}
	s.serve(srv)
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, told := range s.told {
			if strings.Contains(told, clientSecret) || strings.Contains(told, url.QueryEscape(clientSecret)) {
				t.Errorf("the operator is told the secret: %s", told)
			}
		}
	})
	return s
}

// agent is a browser with cookies of its own. It follows no redirect by itself.
type agent struct {
	*http.Client
	t *testing.T
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &agent{t: t, Client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (b *agent) get(url string, headers ...string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), "GET", url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := b.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// begin goes to the provider and returns the URL that it sends the browser back
// to.
func (s *oidcSite) begin(b *agent, query string) (callback string) {
	s.T.Helper()
	a := b.get(s.inbox.c.URL + "/login/oidc?" + query)
	to := a.header.Get("Location")
	if a.status != 303 || !strings.HasPrefix(to, s.issuer.URL+"/authorize?") {
		s.T.Fatalf("the login begins with %d to %q:\n%s", a.status, to, a.body)
	}
	a = b.get(to)
	if a.status != 302 {
		s.T.Fatalf("the provider: %d %s", a.status, a.body)
	}
	return a.header.Get("Location")
}

// enter logs in.
func (s *oidcSite) enter(b *agent, query string) {
	s.T.Helper()
	if a := b.get(s.begin(b, query)); a.status != 303 {
		s.T.Fatalf("not logged in: %d %s", a.status, a.body)
	}
}

// in reports whether a browser is logged in.
func (s *oidcSite) in(b *agent) bool { return b.get(s.inbox.c.URL+"/").status == 200 }

// last is the last entry of a kind.
func (s *oidcSite) last(kind string) (last store.Entry) {
	s.T.Helper()
	if err := s.DB.Entries(s.T.Context(), 0, func(e store.Entry) error {
		if string(e.Kind) == kind {
			last = e
		}
		return nil
	}); err != nil {
		s.T.Fatal(err)
	}
	return last
}
