package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/issuer"
)

// tokenShop is the pet shop as an API that looks at tokens: Keycloak's, for it, with
// the scope of the request. It notes all that it gets.
type tokenShop struct {
	issuer string
	pets   http.Handler

	mu     sync.Mutex
	tokens []string
	got    []string // headers and bodies of requests
}

func (s *tokenShop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	s.tokens, s.got = append(s.tokens, raw), append(s.got, fmt.Sprint(r.URL, r.Header, string(body)))
	s.mu.Unlock()
	scope := "pets:write"
	if r.Method == http.MethodGet {
		scope = "pets:read"
	}
	if err := checkKeycloakToken(r.Context(), s.issuer, raw, "petstore", scope); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	s.pets.ServeHTTP(w, r)
}

// last is the token of the last request.
func (s *tokenShop) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[len(s.tokens)-1]
}

// checkKeycloakToken is what an API does with a token, in a few lines.
func checkKeycloakToken(ctx context.Context, from, raw, audience, scope string) error {
	t, err := issuer.ParseJWS(raw, 8<<10)
	if err != nil {
		return err
	}
	source, err := issuer.NewSource(issuer.Config{URL: from})
	if err != nil {
		return err
	}
	keys, err := source.Keys(ctx, t.Kid, jose.SignatureAlgorithm(t.Alg))
	if err != nil {
		return err
	}
	iss, err1 := t.Payload.Text("iss")
	aud, err2 := t.Payload.Texts("aud")
	until, err3 := t.Payload.Time("exp")
	scopes, err4 := t.Payload.Words("scope")
	switch {
	case errors.Join(err1, err2, err3, err4) != nil || !t.SignedBy(keys) || iss != from || time.Now().After(until):
		return errors.New("no token of " + from)
	case !slices.Equal(aud, []string{audience}):
		return fmt.Errorf("for %v, and not %s", aud, audience)
	case !slices.Equal(scopes, []string{scope}):
		return fmt.Errorf("for %v, and not %s", scopes, scope)
	}
	return nil
}

// exchanged shows what the shop gets of ann's call: a token that Keycloak made for it
// alone, which is good nowhere else and not for long, and never that of ann.
func (k *keycloak) exchanged(ann *person, annClaude string) {
	k.t.Helper()
	if got := newEra(k, annClaude, "get_pet", firstPet); !strings.Contains(got, `"species"`) {
		k.t.Fatalf("ann reads: %s", got)
	}
	made := k.shop.last()
	var was, is struct {
		Subject  string `json:"sub"`
		Client   string `json:"azp"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
		Email    string `json:"email"`
		Groups   []string
		Audience string `json:"aud"`
	}
	for raw, to := range map[string]any{annClaude: &was, made: &is} {
		if err := json.Unmarshal([]byte(claims(k.t, raw)), to); err != nil {
			k.t.Fatal(err)
		}
	}
	if is.Subject != was.Subject || is.Client != k.mcp || is.Expires-is.Issued > 60 || is.Email != "" || is.Groups != nil || is.Audience != "petstore" {
		k.t.Errorf("of %s came %s", claims(k.t, annClaude), claims(k.t, made))
	}
	for what, err := range map[string]error{
		"another API takes it":                      checkKeycloakToken(k.t.Context(), k.realm, made, "payroll", "pets:read"),
		"it is good for writing":                    checkKeycloakToken(k.t.Context(), k.realm, made, "petstore", "pets:write"),
		"the shop takes ann's":                      checkKeycloakToken(k.t.Context(), k.realm, annClaude, "petstore", "pets:read"),
		"the shop would take it with another's key": checkKeycloakToken(k.t.Context(), k.realm, made[:len(made)-20]+strings.Repeat("A", 20), "petstore", "pets:read"),
	} {
		if err == nil {
			k.t.Error(what)
		}
	}
	if got := newEra(k, made, "get_pet", firstPet); !strings.HasPrefix(got, "401") {
		k.t.Errorf("exeat takes what it had made for the shop: %s", got)
	}
	for late := time.Now().Add(time.Minute); k.isActive(made); {
		if time.Now().After(late) {
			k.t.Fatal("the token was not revoked")
		}
	}
	k.shop.mu.Lock()
	defer k.shop.mu.Unlock()
	for _, own := range k.given {
		for _, request := range k.shop.got {
			if _, payload, _ := strings.Cut(own, "."); strings.Contains(request, payload[:200]) {
				k.t.Errorf("a caller's token reached the shop: %s", request)
			}
		}
	}
	once := slices.Compact(slices.Sorted(slices.Values(k.shop.tokens)))
	if len(once) != len(k.shop.tokens) {
		k.t.Errorf("%d tokens for %d requests", len(once), len(k.shop.tokens))
	}
}

// isActive asks Keycloak about a token.
func (k *keycloak) isActive(raw string) bool {
	k.t.Helper()
	resp, err := http.PostForm(k.realm+"/protocol/openid-connect/token/introspect", url.Values{"token": {raw}, "client_id": {k.mcp}, "client_secret": {"exeat-secret"}})
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Active *bool }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Active == nil {
		k.t.Fatalf("Keycloak does not say whether a token is active: %s %v", resp.Status, err)
	}
	return *answer.Active
}
