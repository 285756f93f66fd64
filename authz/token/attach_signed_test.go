package token

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMintIndependently reads a token with crypto primitives and encoding/json
// only, and compares every byte that a verifier elsewhere would rely on.
func TestMintIndependently(t *testing.T) {
	for _, alg := range []string{"EdDSA", "ES256"} {
		t.Run(alg, func(t *testing.T) {
			w := newWorld(t, alg)
			c := testCall()
			c.Scopes = []string{"pets:read", "pets:write"}
			c.AuthTime = testStart.Add(-time.Minute)
			c.ACR, c.AMR = "urn:phr", []string{"hwk", "user"}
			c.TTL = 20 * time.Second
			c.Approval = &ApprovalClaim{ID: "hold_1", By: "user:bob", At: testStart.Unix(), Until: testStart.Unix() + 300, Once: true, AMR: []string{"hwk"}, Details: c.Details.Digest()}
			compact, receipt, err := w.signed.Mint(c)
			if err != nil {
				t.Fatal(err)
			}
			header, payload, signature := segments(t, compact)
			private, kid := activeKey(t, w.keys)
			input := []byte(compact[:strings.LastIndexByte(compact, '.')])
			switch public := private.Public().(type) {
			case ed25519.PublicKey:
				if !ed25519.Verify(public, input, signature) {
					t.Error("the signature does not verify")
				}
			case *ecdsa.PublicKey:
				sum := sha256.Sum256(input)
				if len(signature) != 64 || !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
					t.Error("the signature does not verify")
				}
			}
			var gotHeader, got map[string]any
			if err := json.Unmarshal([]byte(header), &gotHeader); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]any{"typ": "at+jwt", "alg": alg, "kid": kid}, gotHeader); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if err := json.Unmarshal([]byte(payload), &got); err != nil {
				t.Fatal(err)
			}
			jti, _ := got["jti"].(string)
			if len(jti) != 26 || jti != receipt.JTI {
				t.Errorf("jti %q, receipt %q", jti, receipt.JTI)
			}
			iat := float64(testStart.Unix())
			want := map[string]any{
				"iss": testIssuer, "aud": testAudience, "sub": "user:alice", "client_id": "agent:claude/7",
				"act": map[string]any{"sub": "agent:claude/7", "sub_profile": "ai_agent"},
				"iat": iat, "exp": iat + 20, "jti": jti, "txn": "txn_1", "scope": "pets:read pets:write",
				"auth_time": iat - 60, "acr": "urn:phr", "amr": []any{"hwk", "user"},
				"authorization_details": []any{map[string]any{
					"type": "urn:exeat:call:1", "locations": []any{testAudience}, "actions": []any{"PUT"}, "identifier": "updatePet",
					"request": map[string]any{
						"target": "/pets/42?force=true&tag=a", "content_type": "application/json",
						"content_digest": "sha-256=:O3/bwLI2GVtr9FYRtNPVLbxUYS+uyizahpaqm17U6/o=:", // openssl dgst -sha256 -binary | base64
						"headers":        map[string]any{"if-match": `"v1"`},
					},
					"document": "sha-256=:doc:",
				}},
				"urn:exeat:approval": map[string]any{
					"id": "hold_1", "by": "user:bob", "at": iat, "until": iat + 300, "once": true, "amr": []any{"hwk"}, "details": c.Details.Digest(),
				},
				"urn:exeat:decision": map[string]any{"id": "txn_1", "policies": "sha-256=:policies:", "effect": "write"},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(Receipt{Strategy: "signed", JTI: jti, Expires: testStart.Add(20 * time.Second), Audience: testAudience, Scope: "pets:read pets:write", Narrowed: "this one request"}, receipt); diff != "" {
				t.Errorf("receipt (-want +got):\n%s", diff)
			}
			if strings.Contains(payload, `\u0026`) {
				t.Error("the payload escapes & needlessly")
			}
		})
	}
}

func TestMintRefuses(t *testing.T) {
	w := newWorld(t, "EdDSA")
	for name, c := range map[string]struct {
		change func(*Call)
		want   string
	}{
		"life too long":       {func(c *Call) { c.TTL = 61 * time.Second }, "a life of 1m1s is not between 1s and 1m0s"},
		"life negative":       {func(c *Call) { c.TTL = -1 }, "a life of -1ns"},
		"life below a second": {func(c *Call) { c.TTL = time.Millisecond }, "a life of 1ms"},
		"no subject":          {func(c *Call) { c.Subject = "" }, "the call has no subject"},
		"no agent":            {func(c *Call) { c.Agent = "" }, "the call has no agent"},
		"no txn":              {func(c *Call) { c.Txn = "" }, "the call has no txn"},
		"no audience":         {func(c *Call) { c.Audience = "" }, "the call has no audience"},
		"other audience":      {func(c *Call) { c.Audience = "https://other.example/" }, "do not name the audience"},
		"two locations":       {func(c *Call) { c.Details.Locations = append(c.Details.Locations, "x") }, "do not name the audience"},
		"no details":          {func(c *Call) { c.Details = Details{} }, "have the type"},
		"no method":           {func(c *Call) { c.Details.Actions = []string{""} }, "exactly one method"},
		"two methods":         {func(c *Call) { c.Details.Actions = []string{"PUT", "GET"} }, "exactly one method"},
		"absolute target":     {func(c *Call) { c.Details.Request.Target = "https://x/" }, "not a path"},
		"no digest":           {func(c *Call) { c.Details.Request.ContentDigest = "" }, "no content digest"},
		"target not UTF-8":    {func(c *Call) { c.Details.Request.Target = "/\xff" }, "not UTF-8"},
		"header not UTF-8":    {func(c *Call) { c.Details.Request.Headers["if-match"] = "\xfe" }, "not UTF-8"},
		"target too long":     {func(c *Call) { c.Details.Request.Target = "/" + strings.Repeat("a", 7000) }, "shorten the request-target (7001 bytes)"},
		"approval elsewhere":  {func(c *Call) { c.Approval = &ApprovalClaim{Until: testStart.Unix() + 60, Details: "0"} }, "for another request"},
		"approval has ended":  {func(c *Call) { c.Approval = &ApprovalClaim{Until: testStart.Unix(), Details: c.Details.Digest()} }, "has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			call := testCall()
			c.change(&call)
			_, _, err := w.signed.Mint(call)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want it to say %q", err, c.want)
			}
		})
	}
	if _, _, err := (&Signed{Keys: w.keys}).Mint(testCall()); err == nil || !strings.Contains(err.Error(), "no issuer") {
		t.Errorf("without an issuer: %v", err)
	}
}

func TestMintEndsWithApproval(t *testing.T) {
	w := newWorld(t, "EdDSA")
	c := testCall()
	c.Approval = &ApprovalClaim{Until: testStart.Unix() + 7, Details: c.Details.Digest()}
	_, receipt, err := w.signed.Mint(c)
	if err != nil {
		t.Fatal(err)
	}
	if want := testStart.Add(7 * time.Second); !receipt.Expires.Equal(want) {
		t.Errorf("expires %s, want %s", receipt.Expires, want)
	}
}

func TestMintWithoutClock(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.signed.Now = nil
	_, receipt, err := w.signed.Mint(testCall())
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(receipt.Expires); left < DefaultTTL-5*time.Second || left > DefaultTTL {
		t.Errorf("a token without a TTL lives for %s, want %s", left, DefaultTTL)
	}
}

// outgoing is the test request as the gateway would send it.
func outgoing(t testing.TB, q *testRequest, origin string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(q.method, origin+q.target, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = q.header()
	if q.contentType != "" {
		r.Header.Set("Content-Type", q.contentType)
	}
	return r
}

func TestAttach(t *testing.T) {
	w := newWorld(t, "EdDSA")
	q := newTestRequest()
	r := outgoing(t, q, w.guard.URL)
	receipt, err := w.signed.Attach(context.Background(), q.call(), r)
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Strategy != "signed" || receipt.Standing {
		t.Errorf("receipt %+v", receipt)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusTeapot {
		t.Fatalf("the guard answered %d", res.StatusCode)
	}
}

func TestAttachRefusesAnotherRequest(t *testing.T) {
	w := newWorld(t, "EdDSA")
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"has authorization":  {func(r *http.Request) { r.Header["authorization"] = []string{"Bearer x"} }, "already has the header Authorization"},
		"other method":       {func(r *http.Request) { r.Method = "DELETE" }, "method"},
		"other target":       {func(r *http.Request) { r.URL.Path = "/pets/43" }, "path"},
		"opaque target":      {func(r *http.Request) { r.URL.Opaque = "/pets/43" }, "path"},
		"other content type": {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, "content type"},
		"other precondition": {func(r *http.Request) { r.Header.Del("If-Match") }, "if-match"},
		"added key":          {func(r *http.Request) { r.Header.Set("Idempotency-Key", "1") }, "idempotency-key"},
		"other body": {func(r *http.Request) {
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }
		}, "content digest"},
		"no body":              {func(r *http.Request) { r.Body = http.NoBody }, "content digest"},
		"body without replays": {func(r *http.Request) { r.GetBody = nil }, "only once"},
		"body that fails":      {func(r *http.Request) { r.GetBody = func() (io.ReadCloser, error) { return nil, io.ErrClosedPipe } }, "closed pipe"},
		"body that breaks off": {func(r *http.Request) {
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(broken{}), nil }
		}, "cannot read"},
	} {
		t.Run(name, func(t *testing.T) {
			q := newTestRequest()
			r := outgoing(t, q, "http://127.0.0.1")
			c.change(r)
			_, err := w.signed.Attach(context.Background(), q.call(), r)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want it to say %q", err, c.want)
			}
			if name != "has authorization" && r.Header.Get("Authorization") != "" {
				t.Error("a refused request has a token")
			}
		})
	}
	t.Run("bad call", func(t *testing.T) {
		q := newTestRequest()
		c := q.call()
		c.Subject = ""
		if _, err := w.signed.Attach(context.Background(), c, outgoing(t, q, "http://127.0.0.1")); err == nil {
			t.Error("a call without a subject got a token")
		}
		c = q.call()
		c.Details.Actions = nil
		if _, err := w.signed.Attach(context.Background(), c, outgoing(t, q, "http://127.0.0.1")); err == nil {
			t.Error("a call without a method got a token")
		}
	})
}

// broken is a body that cannot be read.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestMintWithoutKeys(t *testing.T) {
	w := newWorld(t, "EdDSA")
	removeFile(t, w.keys.path())
	_, _, err := w.signed.Mint(testCall())
	if err == nil || !strings.Contains(err.Error(), "cannot read the signing keys") {
		t.Errorf("minting after the keys were removed: %v", err)
	}
}

func TestDigest(t *testing.T) {
	d := Bind(testAudience, "GET", "/pets?a=1&b=<é>", "", nil, nil, "listPets", "")
	// RFC 8785 by hand: sorted names, no spaces, no needless escapes.
	form := `{"actions":["GET"],"identifier":"listPets","locations":["https://petstore.example/"],` +
		`"request":{"content_digest":"sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:","target":"/pets?a=1&b=<é>"},"type":"urn:exeat:call:1"}`
	sum := sha256.Sum256([]byte(form))
	if got, want := d.Digest(), hexOf(sum[:]); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	if !bytes.Equal([]byte(d.Digest()), []byte(d.Digest())) {
		t.Error("the digest is not stable")
	}
}

func TestBindHeaders(t *testing.T) {
	h := http.Header{"If-Match": {`"a"`, `"b"`}, "Idempotency-Key": {""}, "X-Env": {"staging"}, "Accept": {"*/*"}}
	got := Bind(testAudience, "PUT", "/", "", h, nil, "op", "").Request.Headers
	if diff := cmp.Diff(map[string]string{"if-match": `"a", "b"`, "idempotency-key": "", "x-env": "staging"}, got); diff != "" {
		t.Errorf("bound headers (-want +got):\n%s", diff)
	}
}
