package token

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// joseCase is one token for testdata/jose/verify.mjs, and the request that it
// should be for.
type joseCase struct {
	Token   string      `json:"token"`
	Request joseRequest `json:"request"`
}

type joseRequest struct {
	Method      string            `json:"method"`
	Target      string            `json:"target"`
	ContentType string            `json:"contentType"`
	Headers     map[string]string `json:"headers"`
	Body        []byte            `json:"body"`
	Operation   string            `json:"operation"`
	Document    string            `json:"document"`
}

// joseResult is what the script says of a case.
type joseResult struct {
	Digest, Header, Sub, Txn, Approval, Error string
	Matches                                   bool
}

func joseRequestOf(q *testRequest) joseRequest {
	bound := map[string]string{}
	for _, line := range q.lines {
		name, value, _ := strings.Cut(line, ": ")
		bound[strings.ToLower(name)] = value
	}
	return joseRequest{q.method, q.target, q.contentType, bound, []byte(q.body), "updatePet", "sha-256=:doc:"}
}

// TestJose has npm's jose verify tokens of both algorithms, and JavaScript
// recompute the digests of their requests.
func TestJose(t *testing.T) {
	dir := joseDir(t)
	for _, alg := range []string{"EdDSA", "ES256"} {
		t.Run(alg, func(t *testing.T) { testJose(t, alg, dir) })
	}
}

// joseDir is where npm put what the scripts need, or the end of the test.
func joseDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("EXEAT_JOSE_DIR")
	if dir == "" {
		t.Skip("copy authz/token/testdata/jose somewhere, run npm ci there, and set EXEAT_JOSE_DIR to that folder")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no node (20.19 or newer)")
	}
	return dir
}

func testJose(t *testing.T, alg, dir string) {
	w := newWorld(t, alg)
	requests := []*testRequest{
		newTestRequest(),
		{method: "GET", target: "/pets"},
		{method: "DELETE", target: "/a%2Fb//c;d?x=1&x=2&%61=%zz?", lines: []string{"Idempotency-Key: ", "X_Odd: \"\\\t<&>\u2028é😀"}},
		{method: "POST", target: "/", contentType: "text/plain; charset=utf-8", body: "\x00\xff not UTF-8 \r\n"},
	}
	var cases []joseCase
	var want []joseResult
	for _, q := range requests {
		c := q.call()
		c.Approval = &ApprovalClaim{ID: "hold_1", By: "user:bob", Until: testStart.Unix() + 60, Details: c.Details.Digest()}
		good := joseCase{w.mint(c), joseRequestOf(q)}
		ok := joseResult{Digest: c.Details.Digest(), Header: "alg kid typ", Sub: "user:alice", Txn: "txn_1", Matches: true, Approval: c.Details.Digest()}
		cases, want = append(cases, good), append(want, ok)

		other := good
		other.Request.Target += "x"
		differs := ok
		differs.Digest, differs.Matches = "", false
		cases, want = append(cases, other), append(want, differs)
	}
	// What must fail here fails there, or the script would prove nothing.
	private, _ := activeKey(t, w.keys)
	header, payload, _ := segments(t, cases[0].Token)
	for _, forged := range []struct{ token, code string }{
		{cases[0].Token[:len(cases[0].Token)-4] + "AAAA", "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"},
		{forge(t, private, strings.Replace(header, "at+jwt", "JWT", 1), payload), "ERR_JWT_CLAIM_VALIDATION_FAILED"},
		{forge(t, private, header, strings.Replace(payload, testIssuer, "https://evil.example", 1)), "ERR_JWT_CLAIM_VALIDATION_FAILED"},
	} {
		cases = append(cases, joseCase{forged.token, cases[0].Request})
		want = append(want, joseResult{Digest: want[0].Digest, Error: forged.code})
	}
	got := runJose(t, w, dir, cases)
	for i := range min(len(got), len(want)) {
		if want[i].Digest == "" && got[i].Digest != want[i-1].Digest {
			want[i].Digest = got[i].Digest // of another request: any but the one before
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what jose says (-want +got):\n%s", diff)
	}
}

// runJose gives the cases to the script.
func runJose(t *testing.T, w *world, dir string, cases []joseCase) (results []joseResult) {
	t.Helper()
	runScript(t, dir, "verify.mjs", map[string]any{"jwks": w.jwks(), "issuer": testIssuer, "audience": testAudience, "now": testStart.Unix(), "cases": cases}, &results)
	return results
}

func (w *world) jwks() json.RawMessage {
	w.t.Helper()
	set, err := w.keys.JWKS(w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	return set
}

// runScript gives a script of testdata/jose its input, and reads what it wrote.
func runScript(t *testing.T, dir, script string, input, output any) {
	t.Helper()
	b, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/jose/"+script)
	cmd.Env = append(os.Environ(), "EXEAT_JOSE_DIR="+dir)
	cmd.Stdin = bytes.NewReader(b)
	cmd.WaitDelay = time.Minute
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, &stderr)
	}
	if err := json.Unmarshal(out, output); err != nil {
		t.Fatalf("the script wrote %q: %v", out, err)
	}
}

// signedCase is a request for testdata/jose/signatures.mjs.
type signedCase struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
}

func signedCaseOf(q *testRequest) signedCase {
	c := signedCase{q.method, "https://petstore.example" + q.target, map[string]string{}, []byte(q.body)}
	for name := range q.header() {
		c.Headers[strings.ToLower(name)] = q.value(name)
	}
	if q.contentType != "" {
		c.Headers["content-type"] = q.contentType
	}
	return c
}

// TestSignaturesOfAnother has somebody else's implementation of RFC 9421 check what
// leaves, and what became of it on the way.
func TestSignaturesOfAnother(t *testing.T) {
	dir := joseDir(t)
	for _, alg := range []string{"EdDSA", "ES256"} {
		w := newBoundWorld(t, alg, BindSignature)
		var cases []signedCase
		var want []string
		add := func(q *testRequest, result string) {
			cases, want = append(cases, signedCaseOf(q)), append(want, result)
		}
		for _, q := range []*testRequest{
			newTestRequest(),
			{method: "GET", target: "/pets"},
			{method: "GET", target: "/pets/a%2Fb;v=1?q=%20x&q=&=a"},
			{method: "POST", target: "/", contentType: "text/plain; charset=utf-8", body: "\x00\xff not UTF-8 \r\n", lines: []string{"Idempotency-Key: a b", "X-Zeta: 1", "X-Alpha: a, b"}},
		} {
			add(w.leave(q), "good")
		}
		for _, change := range []struct {
			want   string
			change func(*testRequest)
		}{
			{"the content is another", func(q *testRequest) { q.body = "{}" }},
			{"not signed so", func(q *testRequest) { q.method = "POST" }},
			{"not signed so", func(q *testRequest) { q.target = "/pets/43?force=true&tag=a" }},
			{"not signed so", func(q *testRequest) { q.target = "/pets/42?tag=a&force=true" }},
			{"not signed so", func(q *testRequest) { q.set("If-Match", `"v2"`) }},
			{"not signed so", func(q *testRequest) { q.contentType = "text/json" }},
			{"not signed so", func(q *testRequest) { q.set("Authorization", "Bearer x") }},
			{"UnacceptableSignatureError", func(q *testRequest) { q.sub("Signature-Input", ` "content-digest"`, "") }},
			{"not signed so", func(q *testRequest) { q.sub("Signature-Input", `exeat-call-1`, "x") }},
		} {
			q := w.leave(newTestRequest())
			change.change(q)
			add(q, change.want)
		}
		var got []string
		runScript(t, dir, "signatures.mjs", map[string]any{"jwks": w.jwks(), "cases": cases}, &got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", alg, diff)
		}
	}
}
