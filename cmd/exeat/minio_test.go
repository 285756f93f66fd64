package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools"
)

// minio is a real MinIO with a bucket, and between it and exeat what remembers the
// requests that came and the keys that its STS gave.
type minio struct {
	t     *testing.T
	url   string // of the server itself
	front *httptest.Server
	role  string // for web identities
	root  aws.Credentials

	mu     sync.Mutex
	put    *http.Request // the last one, as it came
	body   []byte
	issued []aws.Credentials
}

const ordersDocument = `
openapi: 3.1.0
info: {title: Orders, version: '1'}
servers: [{url: '%s'}]
security: [{sigv4: []}]
components:
  securitySchemes:
    sigv4: {type: apiKey, in: header, name: Authorization, x-amazon-apigateway-authtype: awsSigv4}
paths:
  /orders/{id}.json:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    put: {operationId: put_order, requestBody: {content: {application/json: {schema: {type: object}}}}, responses: {'200': {description: stored}}}
    get: {operationId: get_order, responses: {'200': {description: it, content: {application/json: {schema: {type: object}}}}}}
    delete: {operationId: delete_order, responses: {'204': {description: gone}}}
`

// newMinIO starts the program that EXEAT_MINIO names. It trusts the issuer idp.
func newMinIO(t *testing.T, idp string) *minio {
	program := os.Getenv("EXEAT_MINIO")
	if program == "" {
		t.Skip("EXEAT_MINIO names no program; .ci/minio builds it and runs this")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	m := &minio{t: t, url: "http://" + address, root: aws.Credentials{AccessKeyID: "exeat-root", SecretAccessKey: rand.Text()}}
	cmd := exec.Command(program, "server", "--address", address, t.TempDir())
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+m.root.AccessKeyID, "MINIO_ROOT_PASSWORD="+m.root.SecretAccessKey, "MINIO_BROWSER=off", "HOME="+t.TempDir(),
		"MINIO_IDENTITY_OPENID_CONFIG_URL="+idp+"/.well-known/openid-configuration", "MINIO_IDENTITY_OPENID_CLIENT_ID=sts.amazonaws.com", "MINIO_IDENTITY_OPENID_ROLE_POLICY=readwrite")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines, said := bufio.NewScanner(out), ""
	for m.role == "" {
		if !lines.Scan() {
			t.Fatalf("MinIO does not start:\n%s", said)
		}
		said += lines.Text() + "\n"
		m.role = regexp.MustCompile(`arn:minio:iam:\S+`).FindString(lines.Text()) // once it has read the issuer
	}
	go io.Copy(io.Discard, out)
	m.front = httptest.NewServer(m.proxy())
	t.Cleanup(m.front.Close)
	if status, text := m.try(m.root, "PUT", "/orders", ""); status != 200 {
		t.Fatalf("no bucket: %d %s", status, text)
	}
	return m
}

// proxy passes requests on as they are: a signature covers the host that they came for.
func (m *minio) proxy() http.Handler {
	to, _ := url.Parse(m.url)
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = to.Scheme, to.Host, p.In.Host
			if p.In.Method == http.MethodPut {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.body, _ = io.ReadAll(p.Out.Body)
				p.Out.Body = io.NopCloser(bytes.NewReader(m.body))
				m.put = p.Out.Clone(context.Background())
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method != http.MethodPost {
				return nil
			}
			text, err := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(text))
			part := func(name string) string {
				_, rest, _ := strings.Cut(string(text), "<"+name+">")
				value, _, _ := strings.Cut(rest, "<")
				return value
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			m.issued = append(m.issued, aws.Credentials{AccessKeyID: part("AccessKeyId"), SecretAccessKey: part("SecretAccessKey"), SessionToken: part("SessionToken")})
			return err
		},
	}
}

// try makes a request of its own with keys.
func (m *minio) try(keys aws.Credentials, method, target, body string) (int, string) {
	m.t.Helper()
	r, err := http.NewRequestWithContext(m.t.Context(), method, m.url+target, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	if err := v4.NewSigner().SignHTTP(m.t.Context(), keys, r, hex.EncodeToString(sum[:]), "s3", "us-east-1", time.Now()); err != nil {
		m.t.Fatal(err)
	}
	return m.send(r)
}

func (m *minio) send(r *http.Request) (int, string) {
	m.t.Helper()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	_, rest, _ := strings.Cut(string(text), "<Code>")
	code, _, _ := strings.Cut(rest, "<")
	return res.StatusCode, code
}

// gateway is exeat in front of m. identity is what its configuration says of who it is.
func (m *minio) gateway(t *testing.T, identity, lasts string) *gateway {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf(`
db: exeat.db
keys: keys
user: alice
apis:
  - spec: orders.yaml
    credential:
      strategy: aws_sts
      aws_sts:
        sts_url: %s
        service: s3
        region: us-east-1
        lasts: %s
        %s
        policy:
          - {methods: [PUT], actions: ['s3:PutObject'], resources: ['arn:aws:s3:::orders/{id}.json']}
          - {effects: [read], actions: ['s3:GetObject'], resources: ['arn:aws:s3:::orders/{id}.json']}
`, m.front.URL, lasts, identity)
	for name, text := range map[string]string{"exeat.yaml": text, "orders.yaml": fmt.Sprintf(ordersDocument, m.front.URL)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := loadConfig(filepath.Join(dir, "exeat.yaml"))
	if err == nil {
		cfg, err = cfg.withDefaults()
	}
	if err != nil {
		t.Fatal(err)
	}
	g, err := openGateway(t.Context(), cfg, io.Discard, doors{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { g.runner.Run(ctx) })
	t.Cleanup(func() { end(); running.Wait(); g.close() })
	return g
}

// release makes a call that waits, approves it, and is its answer.
func release(t *testing.T, g *gateway, tool, args string) tools.Envelope {
	t.Helper()
	held := g.runner.Call(t.Context(), terminal(g.cfg), tool, []byte(args))
	if held.Envelope.Status != tools.Pending {
		t.Fatalf("it is not held: %+v", held.Envelope)
	}
	var h store.Hold
	if err := g.store.View(t.Context(), func(tx *store.Tx) (err error) { h, err = tx.Hold(held.Envelope.Handle); return err }); err != nil {
		t.Fatal(err)
	}
	who := g.door.Admit(approval.Person{Principal: principal(g.cfg), AMR: []string{"otp"}}, time.Now().Add(time.Hour))
	if _, err := approval.One(g.holds.Decide(t.Context(), who, approval.Verdict{Approve: true, Hold: h.ID, Digest: h.Digest})); err != nil {
		t.Fatal(err)
	}
	return g.runner.Resume(t.Context(), terminal(g.cfg), h.ID, tools.MaxWait, "").Envelope
}

// A held PUT goes with keys that MinIO's STS made for it, and MinIO itself refuses them
// for anything else.
func TestMinIO(t *testing.T) {
	key := filepath.Join(t.TempDir(), "identity.pem")
	idp := newIdentityProvider(t, key)
	m := newMinIO(t, idp)
	t.Setenv("AWS_ACCESS_KEY_ID", m.root.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", m.root.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", "")
	for name, identity := range map[string]string{
		"AssumeRole":                "",
		"AssumeRoleWithWebIdentity": fmt.Sprintf("role_arn: %q\n        web_identity: {key: %q, key_id: k1, issuer: %q, subject: exeat}", m.role, key, idp),
	} {
		t.Run(name, func(t *testing.T) { m.check(t, m.gateway(t, identity, "1m")) })
	}
	began := time.Now()
	if e := release(t, m.gateway(t, "", "5s"), "put_order", `{"id": "42", "body": {"n": 3}}`); e.HTTPStatus != 200 {
		t.Fatalf("%+v", e)
	}
	keys := m.issued[len(m.issued)-1]
	for {
		status, code := m.try(keys, "PUT", "/orders/42.json", "{}")
		if status == 403 {
			t.Logf("the keys of a call of 5 s: %s %v after it began", code, time.Since(began).Round(time.Second))
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("its keys still work: %d", status)
		}
	}
}

func (m *minio) check(t *testing.T, g *gateway) {
	if e := release(t, g, "put_order", `{"id": "42", "body": {"n": 1}}`); e.Status != tools.Done || e.HTTPStatus != 200 {
		t.Fatalf("the held PUT: %+v", e)
	}
	keys, first := m.issued[len(m.issued)-1], m.put
	for what, want := range map[string]int{"PUT /orders/42.json": 200, "PUT /orders/43.json": 403, "GET /orders/42.json": 403, "DELETE /orders/42.json": 403, "GET /orders": 403, "PUT /other": 403} {
		method, target, _ := strings.Cut(what, " ")
		if status, code := m.try(keys, method, target, ""); status != want {
			t.Errorf("the keys of this call, %s: %d %s", what, status, code)
		}
	}
	for target, want := range map[string]string{"/orders/43.json": "AccessDenied", "/orders/42.json?x=1": "SignatureDoesNotMatch"} {
		again := first.Clone(t.Context())
		again.URL, _ = url.Parse(m.url + target)
		again.Body = io.NopCloser(bytes.NewReader(m.body))
		if status, code := m.send(again); status != 403 || code != want {
			t.Errorf("the signature of this call at %s: %d %s", target, status, code)
		}
	}
	if res := g.runner.Call(t.Context(), terminal(g.cfg), "get_order", []byte(`{"id": "42"}`)); res.Envelope.HTTPStatus != 200 {
		t.Errorf("a read: %+v", res.Envelope)
	}
	for _, id := range []string{"*", "4?", "${aws:username}"} {
		asked := len(m.issued)
		if e := g.runner.Call(t.Context(), terminal(g.cfg), "get_order", fmt.Appendf(nil, `{"id": %q}`, id)).Envelope; e.Code != tools.CredentialFailed || len(m.issued) > asked {
			t.Errorf("%s: %+v", id, e)
		}
	}
	var sent store.Entry
	g.store.Entries(t.Context(), 0, func(e store.Entry) error {
		if e.Kind == store.KindSend {
			sent = e
		}
		return nil
	})
	if c := sent.Credential; sent.Strategy != "aws_sts" || sent.Standing || c == nil || c.Scope != "s3:PutObject arn:aws:s3:::orders/42.json" || c.Revocable {
		t.Errorf("its entry: %+v %+v", sent, c)
	}
	began, n := time.Now(), 50
	for range n {
		g.runner.Call(t.Context(), terminal(g.cfg), "get_order", []byte(`{"id": "42"}`))
	}
	t.Logf("a read with keys of its own: %v", time.Since(began)/time.Duration(n))
}

// newIdentityProvider publishes the key that exeat's identity is signed with, which it
// writes to a file.
func newIdentityProvider(t *testing.T, file string) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"issuer": srv.URL, "jwks_uri": srv.URL + "/keys", "authorization_endpoint": srv.URL + "/a", "token_endpoint": srv.URL + "/t",
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	})
	return srv.URL
}
