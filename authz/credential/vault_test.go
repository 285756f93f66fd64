package credential

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/token"
)

// vaultServer answers as the API of Vault and OpenBao is documented to; TestOpenBao
// is against the real one.
type vaultServer struct {
	mu      sync.Mutex
	answers map[string]func(http.ResponseWriter) // by method and path
	asked   []string
}

func (s *vaultServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	key := r.Method + " " + strings.TrimPrefix(r.URL.EscapedPath(), "/v1/")
	s.asked = append(s.asked, strings.TrimSpace(fmt.Sprintf("%s as %s %s", key, r.Header.Get("X-Vault-Token"), body)))
	answer := s.answers[key]
	s.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	answer(w)
}

func (s *vaultServer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

const (
	credsPath  = "GET database/creds/readonly"
	leased     = `{"lease_id":"database/creds/readonly/abc","lease_duration":300,"data":{"username":"v-alice","password":"p4ss"}}`
	loggedIn   = `{"auth":{"client_token":"hvs.login","lease_duration":3600}}`
	noRevoking = "the policy of exeat's login has to allow update at sys/leases/revoke"
)

func newVaultServer(t testing.TB, answers map[string]func(http.ResponseWriter)) (*vaultServer, *Vault) {
	if answers == nil {
		answers = map[string]func(http.ResponseWriter){}
	}
	s := &vaultServer{answers: answers}
	for key, text := range map[string]string{credsPath: leased, "POST auth/approle/login": loggedIn, "POST sys/leases/revoke": "", "POST auth/token/revoke-self": ""} {
		if answers[key] == nil {
			answers[key] = jsonAnswer(200, text)
		}
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	v := &Vault{URL: server.URL, Path: "database/creds/readonly", Field: "password", UserField: "username", Place: "header Authorization",
		Put: func(user string, secret token.Secret) (*token.Static, error) { return token.Basic(user, secret), nil },
		Login: VaultLogin{Mount: "approle", Fields: map[string]string{"role_id": "r1"}, Field: "secret_id",
			Secret: func(context.Context, token.Call) (token.Secret, error) { return token.NewSecret("s3"), nil }}}
	if err := v.Check(); err != nil {
		t.Fatal(err)
	}
	return s, v
}

// Each call takes a secret of its own and its lease is revoked; the login is kept.
func TestVault(t *testing.T) {
	s, v := newVaultServer(t, nil)
	for range 2 {
		r := outgoing(t)
		receipt, err := v.Attach(t.Context(), testCall(), r)
		if err != nil {
			t.Fatal(err)
		}
		if user, password, _ := r.BasicAuth(); user != "v-alice" || password != "p4ss" {
			t.Errorf("%q %q", user, password)
		}
		left := time.Until(receipt.Expires)
		if receipt.Strategy != "vault" || receipt.Standing || receipt.Scope != "database/creds/readonly" || receipt.Narrowed != "leased for this call" || receipt.Wider != "" || left < 4*time.Minute || left > 5*time.Minute {
			t.Errorf("receipt %+v", receipt)
		}
		if err := receipt.Revoke(t.Context()); err != nil {
			t.Error(err)
		}
	}
	one := []string{credsPath + " as hvs.login", `POST sys/leases/revoke as hvs.login {"lease_id":"database/creds/readonly/abc","sync":true}`}
	want := slices.Concat([]string{`POST auth/approle/login as  {"role_id":"r1","secret_id":"s3"}`}, one, one)
	if diff := cmp.Diff(want, s.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// What is taken is said as it is: what has no lease stays good, or ends by itself.
func TestVaultSaysWhatItTook(t *testing.T) {
	ends := time.Now().Add(time.Minute).Unix()
	jwt := "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, ends)) + ".c2ln"
	for name, c := range map[string]struct {
		answer, field  string
		want           token.Receipt
		revokes, bears string
	}{
		"a key of KV":       {`{"lease_duration":0,"data":{"data":{"key":"k1"}}}`, "data.key", token.Receipt{Standing: true, Wider: "it has no lease: it works until somebody changes it"}, "", "k1"},
		"KV 1 with a hint":  {`{"lease_id":"","lease_duration":2764800,"data":{"key":"k1"}}`, "key", token.Receipt{Standing: true, Wider: "it has no lease: it works until somebody changes it"}, "", "k1"},
		"a signed token":    {`{"data":{"token":"` + jwt + `","ttl":60}}`, "token", token.Receipt{Expires: time.Unix(ends, 0).UTC(), Wider: "it has no lease that could be revoked, and ends by itself"}, "", jwt},
		"a vault's token":   {`{"auth":{"client_token":"hvs.child","lease_duration":60}}`, "client_token", token.Receipt{Narrowed: "leased for this call"}, "POST auth/token/revoke-self as hvs.child", "hvs.child"},
		"a long lease":      {`{"lease_id":"l/1","lease_duration":2764800,"data":{"key":"k1"}}`, "key", token.Receipt{Narrowed: "leased for this call", Wider: "its lease is longer than an hour: give its role a shorter ttl"}, `POST sys/leases/revoke as hvs.login {"lease_id":"l/1","sync":true}`, "k1"},
		"an endless lease":  {`{"lease_id":"l/1","data":{"key":"k1"}}`, "key", token.Receipt{Narrowed: "leased for this call", Wider: "its lease is longer than an hour: give its role a shorter ttl"}, `POST sys/leases/revoke as hvs.login {"lease_id":"l/1","sync":true}`, "k1"},
		"an absurd length":  {`{"lease_id":"l/1","lease_duration":9223372036854775807,"data":{"key":"k1"}}`, "key", token.Receipt{Narrowed: "leased for this call", Wider: "its lease is longer than an hour: give its role a shorter ttl"}, `POST sys/leases/revoke as hvs.login {"lease_id":"l/1","sync":true}`, "k1"},
		"a negative length": {`{"lease_id":"l/1","lease_duration":-5,"data":{"key":"k1"}}`, "key", token.Receipt{Narrowed: "leased for this call", Wider: "its lease is longer than an hour: give its role a shorter ttl"}, `POST sys/leases/revoke as hvs.login {"lease_id":"l/1","sync":true}`, "k1"},
	} {
		t.Run(name, func(t *testing.T) {
			s, v := newVaultServer(t, map[string]func(http.ResponseWriter){credsPath: jsonAnswer(200, c.answer)})
			v.Field, v.UserField = c.field, ""
			v.Put = func(_ string, secret token.Secret) (*token.Static, error) { return token.Bearer(secret), nil }
			r := outgoing(t)
			receipt, err := v.Attach(t.Context(), testCall(), r)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Header.Get("Authorization"); got != "Bearer "+c.bears {
				t.Errorf("Authorization %q", got)
			}
			if (receipt.Revoke != nil) != (c.revokes != "") {
				t.Fatalf("it can be revoked: %t", receipt.Revoke != nil)
			}
			if receipt.Revoke != nil {
				if err := receipt.Revoke(t.Context()); err != nil {
					t.Error(err)
				}
				if asked := s.requests(); asked[len(asked)-1] != c.revokes {
					t.Errorf("revoked by %s", asked[len(asked)-1])
				}
			}
			if receipt.Standing != c.want.Standing || receipt.Narrowed != c.want.Narrowed || receipt.Wider != c.want.Wider || !c.want.Expires.IsZero() && !receipt.Expires.Equal(c.want.Expires) {
				t.Errorf("receipt %+v", receipt)
			}
		})
	}
}

// An argument of an agent cannot lead to another path of the vault.
func TestVaultPath(t *testing.T) {
	for value, ok := range map[string]bool{
		"readonly": true, "Team-1_a.b": true, "a..b": true, strings.Repeat("x", 128): true,
		"": false, "..": false, ".": false, ".hidden": false, "../admin": false, "a/b": false, `a\b`: false, "a%2fb": false, "%2e%2e": false, "a?b": false, "a#b": false, "a;b": false,
		"a b": false, "a\x00": false, "a\nb": false, "ａ": false, "a/../../sys/raw": false, "{petId}": false, strings.Repeat("x", 129): false, "é": false, "a:b": false, "*": false,
	} {
		s, v := newVaultServer(t, map[string]func(http.ResponseWriter){"GET database/creds/" + value + "/x": jsonAnswer(200, leased)})
		v.Path = "database/creds/{petId}/x"
		c := testCall()
		c.Path = map[string]string{"petId": value, "other": "x"}
		_, err := v.Attach(t.Context(), c, outgoing(t))
		if (err == nil) != ok {
			t.Errorf("%q: %v", value, err)
		}
		if asked := s.requests(); !ok && len(asked) > 0 {
			t.Errorf("%q: asked %q", value, asked)
		}
	}
	_, v := newVaultServer(t, nil)
	v.Path = "database/creds/{owner}"
	if _, err := v.Attach(t.Context(), testCall(), outgoing(t)); err == nil || !strings.Contains(err.Error(), "needs {owner}, which is not in the path of the operation") {
		t.Error(err)
	}
}

// A vault that is down, sealed, or answers something else: nothing is sent, what was
// taken is given back, and no error holds what it wrote.
func TestVaultFails(t *testing.T) {
	const canary = "canary-4711"
	for name, c := range map[string]struct {
		at     string
		answer func(http.ResponseWriter)
		want   string
		ends   string // the last request
	}{
		"no login":         {"POST auth/approle/login", jsonAnswer(400, `{"errors":["`+canary+`"]}`), "cannot log in to the vault: it answered 400, and does not take the login", "POST auth/approle/login"},
		"a second factor":  {"POST auth/approle/login", jsonAnswer(200, `{"auth":{"client_token":"","mfa_requirement":{}}}`), "more than one step", "POST auth/approle/login"},
		"sealed":           {"POST auth/approle/login", jsonAnswer(503, `{"errors":["Vault is sealed"]}`), "it is sealed", "POST auth/approle/login"},
		"HTML":             {credsPath, func(w http.ResponseWriter) { w.Write([]byte("<html>" + canary)) }, "not what its documentation says", credsPath},
		"down":             {credsPath, func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "the vault cannot be reached", credsPath},
		"standby":          {credsPath, func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(307) }, "a standby", credsPath},
		"nothing there":    {credsPath, jsonAnswer(404, `{"errors":["`+canary+`"]}`), "nothing at that path", credsPath},
		"wrapped":          {credsPath, jsonAnswer(200, `{"wrap_info":{"token":"`+canary+`"}}`), "is wrapped", credsPath},
		"no such field":    {credsPath, jsonAnswer(200, `{"lease_id":"l/1","data":{"username":"u"}}`), "password in the vault's answer is no text", "POST sys/leases/revoke"},
		"no text":          {credsPath, jsonAnswer(200, `{"lease_id":"l/1","data":{"username":"u","password":7}}`), "is no text", "POST sys/leases/revoke"},
		"no data":          {credsPath, jsonAnswer(200, `{"lease_id":"l/1","data":null}`), "is no text", "POST sys/leases/revoke"},
		"a line break":     {credsPath, jsonAnswer(200, `{"lease_id":"l/1","data":{"username":"u","password":"`+canary+`\r\nX: y"}}`), "cannot send the secret of the vault", "POST sys/leases/revoke"},
		"too much":         {credsPath, func(w http.ResponseWriter) { w.Write(make([]byte, maxVendorAnswer+1)) }, "cannot be read to its end", credsPath},
		"cannot be placed": {credsPath, jsonAnswer(200, leased), "already has", "POST sys/leases/revoke"},
	} {
		t.Run(name, func(t *testing.T) {
			s, v := newVaultServer(t, map[string]func(http.ResponseWriter){c.at: c.answer})
			r := outgoing(t)
			v.Put = func(_ string, secret token.Secret) (*token.Static, error) { return token.Bearer(secret), nil }
			if name == "cannot be placed" {
				r.Header.Set("Authorization", "x")
			}
			_, err := v.Attach(t.Context(), testCall(), r)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if r.Header.Get("Authorization") != "" {
				t.Error("a credential was attached")
			}
			if asked := s.requests(); !strings.HasPrefix(asked[len(asked)-1], c.ends+" ") {
				t.Errorf("the last request: %s", asked[len(asked)-1])
			}
		})
	}
	_, v := newVaultServer(t, map[string]func(http.ResponseWriter){"POST sys/leases/revoke": jsonAnswer(403, `{"errors":["`+canary+`"]}`)})
	receipt, err := v.Attach(t.Context(), testCall(), outgoing(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := receipt.Revoke(t.Context()); err == nil || !strings.Contains(err.Error(), noRevoking) || strings.Contains(err.Error(), canary) {
		t.Errorf("a policy without revoking: %v", err)
	}
}

// A login is kept while it lives and no longer, is made anew once when the vault refuses
// it, and one for a call ends with it.
func TestVaultLogins(t *testing.T) {
	s, v := newVaultServer(t, nil)
	now := time.Now()
	v.Now = func() time.Time { return now }
	logins := func() (n int) {
		for _, asked := range s.requests() {
			if strings.Contains(asked, "/login") {
				n++
			}
		}
		return n
	}
	attach := func() (token.Receipt, error) { return v.Attach(t.Context(), testCall(), outgoing(t)) }
	for i, later := range []time.Duration{0, 47 * time.Minute, 2 * time.Minute} { // of its hour, four fifths are used
		now = now.Add(later)
		if _, err := attach(); err != nil {
			t.Fatal(err)
		}
		if want := max(1, i); logins() != want {
			t.Errorf("%s later: %d logins, want %d", later, logins(), want)
		}
	}
	stale := testCall()
	stale.Fresh = true
	if _, err := v.Attach(t.Context(), stale, outgoing(t)); err != nil || logins() != 3 {
		t.Errorf("what was kept may not be used: %d logins, %v", logins(), err)
	}
	s.mu.Lock()
	refusals := 0
	s.answers[credsPath] = func(w http.ResponseWriter) {
		if refusals++; refusals == 1 {
			w.WriteHeader(403)
			return
		}
		w.Write([]byte(leased))
	}
	s.mu.Unlock()
	if _, err := attach(); err != nil || logins() != 4 {
		t.Errorf("a login that ended before its time: %d logins, %v", logins(), err)
	}
	s.mu.Lock()
	s.answers[credsPath] = jsonAnswer(403, "")
	s.mu.Unlock()
	if _, err := attach(); err == nil || logins() != 5 || !strings.Contains(err.Error(), "does not allow it") {
		t.Errorf("what is not allowed: %d logins, %v", logins(), err)
	}

	s, v = newVaultServer(t, nil)
	v.Login = VaultLogin{Secret: func(context.Context, token.Call) (token.Secret, error) { return token.NewSecret("hvs.file"), nil }}
	receipt, err := attach()
	if err == nil {
		err = receipt.Revoke(t.Context())
	}
	if want := []string{credsPath + " as hvs.file", `POST sys/leases/revoke as hvs.file {"lease_id":"database/creds/readonly/abc","sync":true}`}; err != nil || !cmp.Equal(want, s.requests()) {
		t.Errorf("with a vault's token: %v, %q", err, s.requests())
	}

	s, v = newVaultServer(t, nil)
	v.Login.PerCall, v.Login.Field, v.Login.Mount = true, "jwt", "approle"
	var saw token.Call
	v.Login.Secret = func(_ context.Context, c token.Call) (token.Secret, error) {
		saw = c
		return token.NewSecret("signed"), nil
	}
	receipt, err = attach()
	if err == nil {
		err = receipt.Revoke(t.Context())
	}
	if asked := s.requests(); err != nil || saw.Txn != "txn_1" || asked[len(asked)-1] != "POST auth/token/revoke-self as hvs.login" {
		t.Errorf("a login for the call: %v, %+v, %q", err, saw, asked)
	}
	s.answers[credsPath] = jsonAnswer(200, `{"data":{"username":"u","password":"p"}}`)
	if receipt, err := attach(); err != nil || !receipt.Standing || receipt.Revoke != nil {
		t.Errorf("a standing key by a login for the call: %v %+v", err, receipt)
	} else if asked := s.requests(); asked[len(asked)-1] != "POST auth/token/revoke-self as hvs.login" {
		t.Errorf("its login is left: %q", asked)
	}
	s.answers[credsPath] = jsonAnswer(200, `{"auth":{"client_token":"hvs.child","lease_duration":60},"data":{"username":"u","password":"p"}}`)
	if receipt, err = attach(); err == nil {
		err = receipt.Revoke(t.Context())
	}
	if asked := s.requests(); err != nil || !cmp.Equal(asked[len(asked)-2:], []string{"POST auth/token/revoke-self as hvs.child", "POST auth/token/revoke-self as hvs.login"}) {
		t.Errorf("a token of the vault by a login for the call: %v, %q", err, asked)
	}
	s.answers[credsPath] = jsonAnswer(404, "")
	if _, err := attach(); err == nil {
		t.Error("nothing was there")
	} else if asked := s.requests(); asked[len(asked)-1] != "POST auth/token/revoke-self as hvs.login" {
		t.Errorf("a login whose call got nothing is left: %q", asked)
	}
	v.Login.Secret = func(context.Context, token.Call) (token.Secret, error) {
		return token.Secret{}, errors.New("the file is gone")
	}
	if _, err := attach(); err == nil || !strings.Contains(err.Error(), "the file is gone") {
		t.Error(err)
	}
}

func TestVaultCheck(t *testing.T) {
	for want, change := range map[string]func(*Vault){
		"must be https":                       func(v *Vault) { v.URL = "http://vault.example" },
		`"" is no path`:                       func(v *Vault) { v.Path = "" },
		`"a b" is no path`:                    func(v *Vault) { v.Path = "a b" },
		`"a/{b" is no path`:                   func(v *Vault) { v.Path = "a/{b" },
		`write "v1/a" without v1/`:            func(v *Vault) { v.Path = "v1/a" },
		`write "a/../b" without v1/`:          func(v *Vault) { v.Path = "a/../b" },
		`write "a//b" without v1/`:            func(v *Vault) { v.Path = "a//b" },
		`write "/a" without v1/`:              func(v *Vault) { v.Path = "/a" },
		"which field":                         func(v *Vault) { v.Field = "" },
		`user_field: "a b" is no field`:       func(v *Vault) { v.UserField = "a b" },
		`namespace: "a b" is none`:            func(v *Vault) { v.Namespace = "a b" },
		`mount: "../sys" is no mount`:         func(v *Vault) { v.Login.Mount = "../sys" },
		"it is not said how exeat logs in":    func(v *Vault) { v.Login.Secret = nil },
		`path: "x?list=true" is no path of a`: func(v *Vault) { v.Path = "x?list=true" },
	} {
		_, v := newVaultServer(t, nil)
		change(v)
		if err := v.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// FuzzVaultAnswer reads what a vault could answer.
func FuzzVaultAnswer(f *testing.F) {
	for _, text := range []string{leased, loggedIn, `{"data":{"password":{"a":1}}}`, `{"lease_id":1}`, `{"data":[]}`, `{"auth":{},"data":{"password":"x\ny"}}`, `<html>`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var answer vaultAnswer
		if json.Unmarshal(text, &answer) != nil {
			return
		}
		v := &Vault{Field: "password", UserField: "username", Put: func(user string, secret token.Secret) (*token.Static, error) { return token.Basic(user, secret), nil }}
		r := outgoing(t)
		receipt, err := v.put(t.Context(), testCall(), r, answer)
		if (err == nil) != (r.Header.Get("Authorization") != "") {
			t.Errorf("%s: %v with %q", text, err, r.Header.Get("Authorization"))
		}
		if _, leased := answer.lease(); err == nil && !leased && !receipt.Standing && receipt.Expires.IsZero() {
			t.Errorf("%s: neither leased, nor standing, nor with an end", text)
		}
		if receipt.Expires.Year() > 99999 || strings.ContainsAny(r.Header.Get("Authorization"), "\r\n") {
			t.Errorf("%s: %+v", text, receipt)
		}
	})
}

// Each call costs one request for its secret; the one that revokes it is after the answer.
func BenchmarkVault(b *testing.B) {
	_, v := newVaultServer(b, nil)
	for b.Loop() {
		r, err := http.NewRequest(http.MethodGet, testAudience, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := v.Attach(b.Context(), testCall(), r); err != nil {
			b.Fatal(err)
		}
	}
}
