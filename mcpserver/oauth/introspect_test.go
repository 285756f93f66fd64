package oauth

import (
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestIntrospection asks about opaque tokens as seldom as it may, and takes only
// what a JWT could say.
func TestIntrospection(t *testing.T) {
	a := newAS(t)
	w := newWorld(t, Config{Issuers: []Issuer{opaque(Issuer{URL: a.URL, Groups: []string{"groups"}})}})
	say := func(more map[string]any) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.active = a.about(more)
	}
	say(map[string]any{"active": true, "groups": []string{"staff"}})
	for range 10 {
		got := w.bearer("opaque-1")
		if got.status != 200 || got.caller.Principal.ID != "alice" || got.caller.Agent.ID != "oauth:claude" || len(got.caller.Principal.Groups) != 1 {
			t.Fatal(got.body)
		}
	}
	if n := a.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	say(map[string]any{"active": false})
	if got := w.bearer("opaque-1"); got.status != 200 {
		t.Errorf("within a minute: %s", got.body)
	}
	w.wait(61 * time.Second)
	refused(t, w.bearer("opaque-1"), 401, "invalid_token")
	refused(t, w.bearer("opaque-1"), 401, "invalid_token")
	if n := a.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}

	for _, text := range []string{"two words", "a\u00e4", "a\"b", "===", strings.Repeat("x", maxToken+1)} {
		refused(t, w.bearer(text), 401, "invalid_token")
	}
	if n := a.asked.Load(); n != 2 {
		t.Error("asked about what is no token")
	}
	now := time.Now().Unix()
	for name, claims := range map[string]map[string]any{
		"for another server":     {"aud": "https://other.example"},
		"for nobody":             {"aud": nil},
		"of another issuer":      {"iss": "https://other.example"},
		"expired":                {"exp": now - 61},
		"without an end":         {"exp": nil},
		"without a subject":      {"sub": nil},
		"without a client":       {"client_id": nil},
		"with too many groups":   {"groups": strings.Fields(strings.Repeat("g ", 501))},
		"bound, and sent openly": newClient(t).bound(),
	} {
		claims["active"] = true
		say(claims)
		t.Run(name, func(t *testing.T) { refused(t, w.bearer(rand.Text()), 401, "invalid_token") })
	}
	say(map[string]any{"active": true, "exp": now + 5 + 61}) // by the server's clock, which is ahead
	if got := w.bearer("short"); got.status != 200 {
		t.Fatal(got.body)
	}
	before := a.asked.Load()
	w.wait(6 * time.Second)
	if w.bearer("short"); a.asked.Load() != before+1 {
		t.Error("an answer outlives its token")
	}
}

// TestHostileIntrospection is never a yes.
func TestHostileIntrospection(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, `<html>{"active":true}</html>`)
		},
		"JSON that says it is HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, `{"active":true,"sub":"alice"}`)
		},
		"HTML that says it is JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "<html>")
		},
		"10,000 groups": func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, map[string]any{"active": true, "groups": strings.Fields(strings.Repeat("g ", 10_000))})
		},
		"no active":       func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]any{"sub": "alice"}) },
		"active in words": func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]any{"active": "true"}) },
		"active twice": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"active":false,"active":true}`)
		},
		"active, with an error": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(500)
			io.WriteString(w, `{"active":true}`)
		},
		"100 MB": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.CopyN(w, endless{}, 100<<20)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		},
		"no client":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"breaks off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAS(t)
			a.instead("/introspect", h)
			w := newWorld(t, Config{Issuers: []Issuer{opaque(Issuer{URL: a.URL})}})
			refused(t, w.bearer("opaque-1"), 503, "temporarily_unavailable")
			if len(w.reported) != 1 {
				t.Errorf("reported: %v", w.reported)
			}
		})
	}
}

// TestIntrospectionHangs waits for no longer than the caller does.
func TestIntrospectionHangs(t *testing.T) {
	a := newAS(t)
	a.instead("/introspect", a.hang)
	w := newWorld(t, Config{Issuers: []Issuer{opaque(Issuer{URL: a.URL})}})
	ctx, cancel := contextThatEnds(t)
	defer cancel()
	if _, err := w.open(ctx, "opaque-1"); err == nil {
		t.Error("let in")
	}
}
