package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// openBao is a real OpenBao, a database that it makes users of, and an API that lets
// those in whom the database or the vault itself lets in.
type openBao struct {
	t          *testing.T
	url, redis string
	dir        string
	namespace  string // in which tokens are looked up
	api        *httptest.Server

	mu   sync.Mutex
	came []string // what the API was called with
}

const reports = `openapi: 3.1.0
info: {title: reports, version: "1"}
servers: [{url: https://reports.example}]
components:
  securitySchemes:
    db: {type: http, scheme: basic}
    vault: {type: apiKey, in: header, name: X-Api-Token}
paths:
  /teams/{team}/report:
    get:
      operationId: report
      security: [{db: []}]
      parameters: [{name: team, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: it}}
  /teams/{team}/token:
    get:
      operationId: token
      security: [{vault: []}]
      parameters: [{name: team, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: it}}
`

func newOpenBao(t *testing.T) *openBao {
	t.Helper()
	b := &openBao{t: t, url: os.Getenv("EXEAT_OPENBAO"), redis: os.Getenv("EXEAT_OPENBAO_REDIS"), dir: t.TempDir()}
	if b.url == "" || b.redis == "" {
		t.Skip("EXEAT_OPENBAO is the URL of an OpenBao in dev mode with the root token root, EXEAT_OPENBAO_REDIS a Redis with the password root: .ci/openbao has both")
	}
	t.Setenv("XDG_STATE_HOME", b.dir)
	b.api = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.api.Close)
	_, port, _ := net.SplitHostPort(b.redis)
	for _, mount := range []string{"sys/mounts/database", "sys/auth/approle", "sys/auth/jwt", "sys/mounts/secret"} {
		b.ask("DELETE", mount, "")
	}
	b.ask("POST", "sys/mounts/database", `{"type":"database"}`)
	b.ask("POST", "database/config/redis", fmt.Sprintf(`{"plugin_name":"redis-database-plugin","host":"127.0.0.1","port":%s,"username":"default","password":"root","allowed_roles":"*"}`, port))
	b.ask("POST", "database/roles/red", `{"db_name":"redis","creation_statements":"[\"~red*\",\"+@read\"]","default_ttl":"60s","max_ttl":"60s"}`)
	b.ask("POST", "sys/policies/acl/exeat", `{"policy":"path \"database/creds/*\" { capabilities = [\"read\"] }\npath \"auth/token/create\" { capabilities = [\"update\"] }\npath \"secret/data/*\" { capabilities = [\"read\"] }\npath \"sys/leases/revoke\" { capabilities = [\"update\"] }"}`)
	b.ask("POST", "sys/auth/approle", `{"type":"approle"}`)
	b.ask("POST", "auth/approle/role/exeat", `{"token_policies":["exeat"],"token_ttl":"10m"}`)
	return b
}

// ask asks the vault as its administrator.
func (b *openBao) ask(method, path, body string) map[string]any {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", "root")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 && method != "DELETE" && !(method == "LIST" && res.StatusCode == http.StatusNotFound) {
		b.t.Fatalf("%s %s: %s %s %v", method, path, res.Status, text, err)
	}
	var answer map[string]any
	_ = json.Unmarshal(text, &answer)
	return answer
}

// serve is the API: what it is shown is checked where it comes from.
func (b *openBao) serve(w http.ResponseWriter, r *http.Request) {
	user, password, basic := r.BasicAuth()
	shown, good := r.Header.Get("X-Api-Token"), false
	if basic {
		shown = user + " " + password
		good = b.letsIn(user, password)
	} else {
		good = b.knows(shown)
	}
	b.mu.Lock()
	b.came = append(b.came, shown)
	b.mu.Unlock()
	if !good {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"ok":true}`)
}

// calls is how many calls came to the API, and what the last was with.
func (b *openBao) calls() (int, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.came) == 0 {
		return 0, ""
	}
	return len(b.came), b.came[len(b.came)-1]
}

// last is what the last call was with.
func (b *openBao) last() string {
	_, last := b.calls()
	return last
}

// refused fails if a call is not refused by exeat, for a reason.
func (b *openBao) refused(file, tool, team, why string) {
	b.t.Helper()
	before, _ := b.calls()
	code, out := exeat(b.t, "", "call", "--config", file, tool, fmt.Sprintf(`{"team":%q}`, team))
	if after, _ := b.calls(); code == 0 || after != before || !strings.Contains(out, why) {
		b.t.Errorf("%s of %s: %d %s", tool, team, code, out)
	}
}

// letsIn asks the database.
func (b *openBao) letsIn(user, password string) bool {
	conn, err := net.Dial("tcp", b.redis)
	if err != nil {
		b.t.Error(err)
		return false
	}
	defer conn.Close()
	fmt.Fprintf(conn, "AUTH %s %s\r\n", user, password)
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "+OK")
}

// knows asks the vault whose token it is.
func (b *openBao) knows(token string) bool {
	r, err := http.NewRequest("GET", b.url+"/v1/auth/token/lookup-self", nil)
	if err != nil {
		return false
	}
	r.Header.Set("X-Vault-Token", token)
	r.Header.Set("X-Vault-Namespace", b.namespace)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// configure writes the configuration with the two credentials.
func (b *openBao) configure(login, db, vault string) string {
	b.t.Helper()
	role := b.ask("GET", "auth/approle/role/exeat/role-id", "")["data"].(map[string]any)["role_id"]
	secret := b.ask("POST", "auth/approle/role/exeat/secret-id", "")["data"].(map[string]any)["secret_id"]
	login = strings.ReplaceAll(login, "ROLE_ID", fmt.Sprint(role))
	text := fmt.Sprintf("user: alice\nissuer: https://exeat.example\napis:\n  - spec: reports.yaml\n    base_url: %s\n    credentials:\n", b.api.URL)
	for scheme, what := range map[string]string{"db": db, "vault": vault} {
		file := "file: secret-id, "
		if strings.Contains(login, "auth: jwt") {
			file = ""
		}
		text += fmt.Sprintf("      %s: {strategy: vault, %svault: {url: %s, %s, %s}}\n", scheme, file, b.url, login, what)
	}
	for name, content := range map[string]string{"reports.yaml": reports, "secret-id": fmt.Sprint(secret), "exeat.yaml": text} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	return filepath.Join(b.dir, "exeat.yaml")
}

// A database user that is made for one call, and a token of the vault: each is let in
// during its call, and by nobody after it.
func TestOpenBaoLease(t *testing.T) {
	b := newOpenBao(t)
	file := b.configure("auth: approle, role: ROLE_ID", "path: 'database/creds/{team}', field: password, user_field: username",
		"path: auth/token/create, data: {policies: [default], ttl: 60s, no_default_policy: false}, field: client_token")
	if code, out := exeat(t, "", "doctor", "--config", file); strings.Contains(out, "FAIL") {
		t.Errorf("doctor: %d %s", code, out)
	}
	var used []string
	for _, tool := range []string{"report", "report", "token"} {
		code, out := exeat(t, "", "call", "--config", file, tool, `{"team":"red"}`)
		if code != 0 || !strings.Contains(out, `"http_status": 200`) {
			t.Fatalf("%s: %d %s", tool, code, out)
		}
		used = append(used, b.last())
	}
	if used[0] == used[1] || b.letsIn(strings.Fields(used[0])[0], strings.Fields(used[0])[1]) || b.letsIn(strings.Fields(used[1])[0], strings.Fields(used[1])[1]) {
		t.Error("a user of the database was used twice, or is let in after its call")
	}
	if used[2] == "" || b.knows(used[2]) {
		t.Error("the token of the call is good after it")
	}
	if left, any := b.ask("LIST", "sys/leases/lookup/database/creds/red", "")["data"]; any {
		t.Errorf("leases are left: %v", left)
	}
	_, log := exeat(t, "", "audit", "export")
	for _, part := range []string{`"strategy":"vault"`, `"scope":"database/creds/red"`, `"narrowed":"leased for this call"`, `"kind":"spent"`} {
		if !strings.Contains(log, part) {
			t.Errorf("the log has no %s: %s", part, log)
		}
	}
	for _, secret := range append(strings.Fields(strings.Join(used, " ")), "hvs.", "s.") {
		if len(secret) > 4 && strings.Contains(log, secret) {
			t.Errorf("the log has %s", secret)
		}
	}
	b.refused(file, "report", "red%2f..", "cannot go into a path")
	b.refused(file, "report", "red?x", "the argument team cannot be a part of a path in the vault")
	b.refused(file, "report", "blue", "the vault answered 400") // no such role
}

// A vault that trusts exeat's keys sees who calls what, and gives a secret for that only.
func TestOpenBaoSeesTheCall(t *testing.T) {
	b := newOpenBao(t)
	file := b.configure("auth: jwt, role: reports, audience: https://vault.example", "path: 'database/creds/red', field: password, user_field: username",
		"path: database/creds/red, field: password")
	_, jwks := exeat(t, "", "keys", "jwks")
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(jwks), &set); err != nil {
		t.Fatalf("%v: %s", err, jwks)
	}
	var pems []string
	for _, key := range set.Keys {
		der, err := x509.MarshalPKIXPublicKey(key.Key)
		if err != nil {
			t.Fatal(err)
		}
		pems = append(pems, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	}
	body, _ := json.Marshal(map[string]any{"jwt_validation_pubkeys": pems, "jwt_supported_algs": []string{"EdDSA", "ES256"}, "bound_issuer": "https://exeat.example"})
	b.ask("POST", "sys/auth/jwt", `{"type":"jwt"}`)
	b.ask("POST", "auth/jwt/config", string(body))
	b.ask("POST", "auth/jwt/role/reports", `{"role_type":"jwt","user_claim":"sub","bound_audiences":["https://vault.example"],"bound_claims":{"tool":"report","effect":"read","/path/team":"red"},"token_policies":["exeat"],"token_ttl":"60s"}`)
	if code, out := exeat(t, "", "call", "--config", file, "report", `{"team":"red"}`); code != 0 {
		t.Fatalf("%d %s", code, out)
	}
	if used := strings.Fields(b.last()); b.letsIn(used[0], used[1]) {
		t.Error("the user of the call is let in after it")
	}
	b.refused(file, "report", "blue", "cannot log in to the vault: it answered 400, and does not take the login")
	b.refused(file, "token", "red", "cannot log in to the vault: it answered 400, and does not take the login")
}

// A login by a pod's service account, which the vault asks a Kubernetes about, in a
// namespace of the vault. The Kubernetes is ours, and answers one kind of request.
func TestOpenBaoNamespaceAndKubernetes(t *testing.T) {
	b := newOpenBao(t)
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	account := part(map[string]string{"alg": "RS256"}) + "." + part(map[string]any{"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:tools:exeat", "nbf": time.Now().Add(-time.Hour).Unix(), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{"namespace": "tools", "serviceaccount": map[string]string{"name": "exeat", "uid": "u1"}}}) + ".c2ln"
	var reviewed atomic.Int64
	cluster := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct{ Spec struct{ Token string } }
		if r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || json.NewDecoder(r.Body).Decode(&review) != nil || review.Spec.Token != account {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		reviewed.Add(1)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"system:serviceaccount:tools:exeat","uid":"u1"}}}`)
	}))
	t.Cleanup(cluster.Close)
	b.ask("POST", "sys/namespaces/team", `{}`)
	b.ask("DELETE", "team/sys/auth/kubernetes", "")
	b.ask("POST", "team/sys/auth/kubernetes", `{"type":"kubernetes"}`)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.Certificate().Raw})
	b.ask("POST", "team/auth/kubernetes/config", fmt.Sprintf(`{"kubernetes_host":%q,"kubernetes_ca_cert":%q,"token_reviewer_jwt":"reviewer","disable_iss_validation":true,"disable_local_ca_jwt":true}`, cluster.URL, ca))
	b.ask("POST", "team/sys/policies/acl/exeat", `{"policy":"path \"auth/token/create\" { capabilities = [\"update\"] }"}`)
	b.ask("POST", "team/auth/kubernetes/role/exeat", `{"bound_service_account_names":["exeat"],"bound_service_account_namespaces":["tools"],"token_policies":["exeat"],"token_ttl":"5m"}`)
	file := b.configure("auth: kubernetes, role: exeat, namespace: team", "path: a, field: b, user_field: c", "path: auth/token/create, data: {policies: [default], ttl: 60s}, field: client_token")
	if err := os.WriteFile(filepath.Join(b.dir, "secret-id"), []byte(account), 0o600); err != nil {
		t.Fatal(err)
	}
	b.namespace = "team"
	if code, out := exeat(t, "", "call", "--config", file, "token", `{"team":"red"}`); code != 0 {
		t.Fatalf("%d %s", code, out)
	}
	if _, used := b.calls(); used == "" || b.knows(used) || reviewed.Load() != 1 {
		t.Errorf("the token of the call is good after it; %d reviews", reviewed.Load())
	}
}

// What a vault keeps without a lease is a standing key, and is said to be one.
func TestOpenBaoKeptSecret(t *testing.T) {
	b := newOpenBao(t)
	b.ask("POST", "sys/mounts/secret", `{"type":"kv","options":{"version":"2"}}`)
	made := b.ask("POST", "auth/token/create", `{"policies":["default"],"ttl":"5m"}`)["auth"].(map[string]any)["client_token"]
	var put bytes.Buffer
	fmt.Fprintf(&put, `{"data":{"token":%q}}`, made)
	b.ask("POST", "secret/data/api", put.String())
	file := b.configure("auth: approle, role: ROLE_ID", "path: 'database/creds/{team}', field: password, user_field: username", "path: secret/data/api, field: data.token")
	if code, out := exeat(t, "", "call", "--config", file, "token", `{"team":"red"}`); code != 0 || b.last() != made {
		t.Fatalf("%d %s", code, out)
	}
	_, log := exeat(t, "", "audit", "export")
	if !strings.Contains(log, `"standing":true`) || strings.Contains(log, fmt.Sprint(made)) || !b.knows(b.last()) {
		t.Errorf("the log: %s", log)
	}
}
