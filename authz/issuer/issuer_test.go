package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// TestPlacesOfMetadata is where RFC 8414 and OpenID have it.
func TestPlacesOfMetadata(t *testing.T) {
	for issuer, want := range map[string][]string{
		"https://a.example":  {"https://a.example/.well-known/oauth-authorization-server", "https://a.example/.well-known/openid-configuration"},
		"https://a.example/": {"https://a.example/.well-known/oauth-authorization-server", "https://a.example/.well-known/openid-configuration"},
		"https://a.example/realms/x": {"https://a.example/.well-known/oauth-authorization-server/realms/x", "https://a.example/realms/x/.well-known/openid-configuration",
			"https://a.example/.well-known/openid-configuration/realms/x"},
	} {
		u, err := ParseURL(issuer)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, places(u)); d != "" {
			t.Errorf("%s: %s", issuer, d)
		}
	}
}

func TestParseURL(t *testing.T) {
	for raw, ok := range map[string]bool{"https://a.example": true, "https://a.example:8443/x": true, "http://127.0.0.1:1": true, "http://[::1]:1": true, "http://localhost": true,
		"http://a.example": false, "http://127.0.0.1.example": false, "http://10.0.0.1": false, "ftp://a.example": false, "file:///x": false, "https://": false, "a.example": false,
		"https://u:p@a.example": false, "https://a.example#x": false, "https:a.example": false, "": false} {
		if _, err := ParseURL(raw); (err == nil) != ok || err != nil && strings.Contains(err.Error(), "u:p") && raw != "https://u:p@a.example" {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// TestParseKeys keeps the keys that can verify, and passes over the others.
func TestParseKeys(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw := func(key any) string {
		b, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "k"})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	good := raw(&ec.PublicKey)
	for text, want := range map[string]int{
		`{"keys":[]}`:                              0,
		`{"keys":[` + good + `]}`:                  1,
		`{"keys":[` + good + `,` + good + `]}`:     2,
		`{"keys":[` + raw(ec) + `]}`:               0, // a private one that was published is anybody's
		`{"keys":[` + raw(&weak.PublicKey) + `]}`:  0,
		`{"keys":[` + raw([]byte("secret")) + `]}`: 0,
		`{"keys":[{"kty":"OKP","crv":"X448","x":"AA"},7,` + raw(&other.PublicKey) + `]}`: 1,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`:                        0,
		`{}`: -1, `[]`: -1, `{"keys":{}}`: -1, ``: -1, `<html>`: -1,
		`{"keys":[` + strings.Repeat(good+",", maxKeys) + good + `]}`: -1,
	} {
		keys, err := ParseKeys([]byte(text))
		if got := len(keys); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%.60s: %d, %v", text, got, err)
		}
	}
}

// TestKeysFor gives a token without a key id the few keys that fit, and none if
// they are many.
func TestKeysFor(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var set KeySet
	for i := range maxTried {
		set = append(set, jose.JSONWebKey{Key: &key.PublicKey, KeyID: fmt.Sprint(i)})
	}
	if n := len(set.For("", jose.ES256)); n != maxTried {
		t.Errorf("%d keys", n)
	}
	set = append(set, jose.JSONWebKey{Key: &key.PublicKey, KeyID: "one more", Algorithm: "ES384"})
	if n := len(set.For("", jose.ES256)); n != maxTried {
		t.Errorf("%d keys", n)
	}
	set = append(set, jose.JSONWebKey{Key: &key.PublicKey, KeyID: "two more"})
	if n := len(set.For("", jose.ES256)) + len(set.For("one more", jose.ES256)) + len(set.For("x", jose.ES256)) + len(set.For("two more", jose.RS256)); n != 0 {
		t.Errorf("%d keys", n)
	}
	if n := len(set.For("two more", jose.ES256)); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// TestErrorsOfRequests hold nothing of what was asked and answered.
func TestErrorsOfRequests(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", http.StatusTeapot) }))
	defer server.Close()
	inside, err := NewClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	named, err := NewClient(nil, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for client, want := range map[*http.Client]string{inside: "inside this network", named: "status 418"} {
		r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader("canary"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Do(client, r); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "base-url") {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

func TestParseJWS(t *testing.T) {
	for raw, want := range map[string]error{"": ErrNoJWS, "a.b": ErrNoJWS, "a.b.c.d.e": ErrNoJWS, "e30.e30.": ErrNoJWS, "eyJhbGciOiJub25lIn0.e30.": nil, "eyJhbGciOiJub25lIn1.e30.": ErrNoJWS,
		"eyJhbGciOiJub25lIn0=.e30.": ErrNoJWS, "eyJhbGciOiJub25lIn0.e30.\n": ErrNoJWS} {
		if _, err := ParseJWS(raw, 100); !errors.Is(err, want) {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if _, err := ParseJWS("eyJhbGciOiJub25lIn0.e30.", 10); err == nil || errors.Is(err, ErrNoJWS) {
		t.Errorf("too long: %v", err)
	}
}
