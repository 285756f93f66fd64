package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/examples/petstore"
)

// signalsIssuer is where nobody answers: the keys of its signals are in a file.
const signalsIssuer = "http://127.0.0.1:1"

// signalling is a folder with a configuration that hears signals, and how they are
// signed.
func signalling(t *testing.T, signals string) (file string, sign func(event string) string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	t.Setenv("SIGNALS_TOKEN", "agreed-on")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("secevent+jwt").WithHeader("kid", "k1"))
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "exeat.yaml")
	for name, text := range map[string]string{"petstore.yaml": string(petstore.Document), "keys.json": string(keys), "exeat.yaml": `
apis: [{spec: petstore.yaml, base_url: 'http://127.0.0.1:1'}]
user: alice
listen: 127.0.0.1:0
inbox:
  listen: '127.0.0.1:0'
  oidc: {issuer: '` + signalsIssuer + `', client_id: exeat, local: true, allowed: {everyone: true}}
signals: ` + signals} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file, func(event string) string {
		now := time.Now().Unix()
		claims, err := json.Marshal(map[string]any{"iss": signalsIssuer, "aud": "exeat", "jti": rand.Text(), "iat": now,
			"sub_id": map[string]any{"format": "iss_sub", "iss": signalsIssuer, "sub": "alice"},
			"events": map[string]any{event: map[string]any{"event_timestamp": now}}})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
}

// TestSignals pushes signals to a running exeat, about the one who calls.
func TestSignals(t *testing.T) {
	file, sign := signalling(t, `[{issuer: 'http://127.0.0.1:1', audience: exeat, jwks_file: keys.json, push: {token_env: SIGNALS_TOKEN}}]`)
	ctx, cancel := context.WithCancel(t.Context())
	printed := &watched{want: regexp.MustCompile(`MCP at (\S+) with a bearer token, kept in (\S+)/bearer\.secret`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"http", "--config", file}, strings.NewReader(""), printed, printed)
	}()
	defer func() { cancel(); <-ended }()
	var s serving
	select {
	case m := <-printed.found:
		s.url, s.auth = m[1], bearerIn(t, m[2])
	case code := <-ended:
		ended <- code
		t.Fatalf("ended with %d: %s", code, printed.text.String())
	}
	c := s.connect(t)
	push := func(token, raw string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(s.url, "/mcp")+"/signals", strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/secevent+jwt")
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	stopped := func(want bool) {
		t.Helper()
		var call mcp.CallToolRequest
		call.Params.Name, call.Params.Arguments = "exeat_holds", map[string]any{}
		res, err := c.CallTool(ctx, call)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(res)
		if err != nil || strings.Contains(string(b), "this user was stopped") != want {
			t.Errorf("stopped is to be %t: %s %v", want, b, err)
		}
	}
	disabled := sign("https://schemas.openid.net/secevent/risc/event-type/account-disabled")
	stopped(false)
	if status := push("guessed", disabled); status != 401 {
		t.Errorf("without the bearer token: %d", status)
	}
	stopped(false)
	if status := push("agreed-on", disabled); status != 202 {
		t.Errorf("the signal: %d", status)
	}
	stopped(true)
	if status := push("agreed-on", sign("https://schemas.openid.net/secevent/risc/event-type/account-enabled")); status != 202 {
		t.Errorf("the signal: %d", status)
	}
	stopped(false)
	if status := push("agreed-on", disabled); status != 202 {
		t.Errorf("the first again: %d", status)
	}
	stopped(false)
	if text := printed.text.String(); strings.Contains(text, "agreed-on") || !strings.Contains(text, "account-disabled") {
		t.Errorf("the log: %s", text)
	}
}

// TestSignalsEndTokens has an issuer whose access tokens let somebody call, and who
// says that their sessions ended: tokens from before count no more, newer ones do. The
// keys of both are those that its metadata names.
func TestSignalsEndTokens(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	issuer := httptest.NewServer(mux)
	defer issuer.Close()
	publish := func(path string, v any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(v) })
	}
	publish("/.well-known/oauth-authorization-server", map[string]string{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys"})
	publish("/keys", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	sign := func(typ string, claims map[string]any) string {
		t.Helper()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", "k1"))
		if err != nil {
			t.Fatal(err)
		}
		claims["iss"], claims["jti"] = issuer.URL, rand.Text()
		b, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(b)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	file := filepath.Join(dir, "exeat.yaml")
	for name, text := range map[string]string{"petstore.yaml": string(petstore.Document), "exeat.yaml": `
apis: [{spec: petstore.yaml, base_url: 'http://127.0.0.1:1'}]
listen: 127.0.0.1:0
inbox: {listen: '127.0.0.1:0'}
oauth: {issuers: [{issuer: '` + issuer.URL + `', prefix: 'kc:'}]}
signals: [{issuer: '` + issuer.URL + `', audience: exeat, push: {}}]
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	printed := &watched{want: regexp.MustCompile(`MCP at (\S+) with access tokens`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"http", "--config", file}, strings.NewReader(""), printed, printed)
	}()
	defer func() { cancel(); <-ended }()
	var url string
	select {
	case m := <-printed.found:
		url = m[1]
	case code := <-ended:
		ended <- code
		t.Fatalf("ended with %d: %s", code, printed.text.String())
	}
	send := func(url, contentType, token, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Accept", "application/json, text/event-stream")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	now := time.Now()
	token := func(sub string, at time.Time) string {
		return sign("at+jwt", map[string]any{"aud": url, "sub": sub, "client_id": "claude", "iat": at.Unix(), "exp": now.Add(time.Hour).Unix()})
	}
	call := func(token string) (int, string) {
		return send(url, "application/json", token, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	}
	signal := func(event string) {
		t.Helper()
		set := sign("secevent+jwt", map[string]any{"aud": "exeat", "iat": now.Unix(),
			"sub_id": map[string]any{"format": "iss_sub", "iss": issuer.URL, "sub": "bob"}, "events": map[string]any{event: map[string]any{}}})
		if status, body := send(strings.TrimSuffix(url, "/mcp")+"/signals", "application/secevent+jwt", "", set); status != 202 {
			t.Fatalf("the signal: %d %s", status, body)
		}
	}
	before, other, after := token("bob", now.Add(-time.Minute)), token("carol", now.Add(-time.Minute)), token("bob", now.Add(2*time.Second))
	if status, body := call(before); status != 200 {
		t.Fatalf("before: %d %s", status, body)
	}
	signal("https://schemas.openid.net/secevent/caep/event-type/session-revoked")
	for _, c := range []struct {
		name, token string
		want        int
	}{{"a token from before", before, 401}, {"another's", other, 200}, {"a newer one", after, 200}} {
		if status, body := call(c.token); status != c.want {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
	}
	// A signed token of another kind is no signal, and a signal is no access token.
	if status, _ := send(strings.TrimSuffix(url, "/mcp")+"/signals", "application/secevent+jwt", "", after); status != 400 {
		t.Errorf("an access token as a signal: %d", status)
	}
	set := sign("secevent+jwt", map[string]any{"aud": url, "sub": "carol", "client_id": "claude", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "events": map[string]any{}})
	if status, _ := call(set); status != 401 {
		t.Errorf("a signal as an access token: %d", status)
	}
}

// TestSignalsConfig has what doctor says of configurations, right and wrong.
func TestSignalsConfig(t *testing.T) {
	for config, want := range map[string]string{
		`[{issuer: 'http://127.0.0.1:1', jwks_file: keys.json, push: {token_env: SIGNALS_TOKEN}}]`:                                           `ok    signals: of http://127\.0\.0\.1:1, for http://127\.0\.0\.1:0/signals: they come to`,
		`[{issuer: 'http://127.0.0.1:1', jwks_file: keys.json, push: {}}]`:                                                                   `note  signals: whoever reaches /signals`,
		`[{issuer: 'http://127.0.0.1:1', jwks_file: keys.json, poll: {endpoint: 'https://idp.example.com/poll', token_env: SIGNALS_TOKEN}}]`: `ok    signals: .* they are fetched from https://idp\.example\.com/poll every 15s`,
		`[{issuer: 'http://127.0.0.1:1', push: {}}]`:                                                                                         `WRONG signals: cannot read the keys`,
		`[{issuer: 'https://evil.example.com', jwks_file: keys.json, push: {}}]`:                                                             `WRONG signals: signals\[0\]: "https://evil\.example\.com" is no issuer of this configuration`,
		`[{issuer: 'http://127.0.0.1:1', jwks_file: petstore.yaml, push: {}}]`:                                                               `WRONG signals: signals\[0\]: jwks_file .* it is not a JWK Set`,
		`[{issuer: 'http://127.0.0.1:1', jwks_file: keys.json, jwks: 'https://x', push: {}}]`:                                                `WRONG signals: signals\[0\]: both jwks and jwks_file`,
		`[{issuer: 'http://127.0.0.1:1', jwks_file: keys.json, push: {token_env: NOT_SET}}]`:                                                 `WRONG signals: signals\[0\]: push: .*NOT_SET`,
		`[{issuer: 'http://127.0.0.1:1', jwks_file: keys.json, poll: {endpoint: 'https://idp.example.com/poll', every: 1ms}}]`:               `WRONG signals: signals\[0\]: poll: every is 1ms`,
		`[{issuer: 'http://127.0.0.1:1', jwks_file: keys.json, poll: {endpoint: 'http://idp.example.com/poll'}}]`:                            `WRONG signals: .*is not https`,
		`[{issuer: 'http://127.0.0.1:1', jwks_file: keys.json}]`:                                                                             `WRONG signals: .*set push or poll`,
		`[{issuer: 'http://127.0.0.1:1', jwks_file: keys.json, push: {}, subjects: [phone]}]`:                                                `WRONG signals: .*subjects has "phone"`,
		`[{issuer: 'http://127.0.0.1:1', jwks_file: keys.json, push: {}}, {issuer: 'http://127.0.0.1:1', jwks_file: keys.json, push: {}}]`:   `WRONG signals: .*there twice`,
	} {
		t.Run(want, func(t *testing.T) {
			file, _ := signalling(t, config)
			var out strings.Builder
			execute(t.Context(), []string{"doctor", "--config", file}, strings.NewReader(""), &out, &out)
			if !regexp.MustCompile(want).MatchString(out.String()) {
				t.Errorf("%s", &out)
			}
		})
	}
}
