package token

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"testing/quick"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// specRequest is what docs/token.md says of a request. The functions on it are
// written from that page, and share nothing with the package.
type specRequest struct {
	audience, method, target, contentType, operation, document string
	headers                                                    map[string]string
	content                                                    string
}

// form is the one line that is digested.
func (q specRequest) form() string {
	content := sha256.Sum256([]byte(q.content))
	inner := `"content_digest":"sha-256=:` + base64.StdEncoding.EncodeToString(content[:]) + `:"`
	if q.contentType != "" {
		inner += `,"content_type":` + specString(q.contentType)
	}
	var names []string
	for name := range q.headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = specString(name) + ":" + specString(q.headers[name])
	}
	if len(names) > 0 {
		inner += `,"headers":{` + strings.Join(names, ",") + `}`
	}
	document := ""
	if q.document != "" {
		document = `"document":` + specString(q.document) + `,`
	}
	return `{"actions":[` + specString(q.method) + `],` + document + `"identifier":` + specString(q.operation) +
		`,"locations":[` + specString(q.audience) + `],"request":{` + inner + `,"target":` + specString(q.target) + `},"type":"urn:exeat:call:1"}`
}

func (q specRequest) digest() string {
	sum := sha256.Sum256([]byte(q.form()))
	return fmt.Sprintf("%x", sum[:])
}

func specString(s string) string {
	out := []byte{'"'}
	for i := 0; i < len(s); i++ {
		b := s[i]
		if k := strings.IndexByte("\b\t\n\f\r\"\\", b); k >= 0 {
			out = append(out, '\\', "btnfr\"\\"[k])
		} else if b < 0x20 {
			out = append(out, fmt.Sprintf("\\u00%02x", b)...)
		} else {
			out = append(out, b)
		}
	}
	return string(append(out, '"'))
}

// bound is the same request as the package names it.
func (q specRequest) bound() Details {
	h := http.Header{}
	for name, value := range q.headers {
		h.Set(name, value)
	}
	return Bind(q.audience, q.method, q.target, q.contentType, h, []byte(q.content), q.operation, q.document)
}

// TestDigestIndependently compares the package with the page, for requests that
// are written to be difficult and for many that are random.
func TestDigestIndependently(t *testing.T) {
	odd := "\x00\x01\b\t\n\v\f\r\x1f \"\\/<>&'\x7f\u0080\u2028\u2029é\ufeff\ufffd\uffff😀\U0010ffff"
	for _, q := range []specRequest{
		{audience: testAudience, method: "GET", target: "/"},
		{audience: testAudience, method: "GET", target: "/?", operation: "a", document: "b"},
		{audience: odd, method: odd, target: "/" + odd, contentType: odd, operation: odd, document: odd, content: odd},
		{audience: testAudience, method: "PUT", target: "/a", headers: map[string]string{"if-match": odd, "x-b": "", "x": "1", "x-a": "2", "x_c": "3", "idempotency-key": "k"}},
		{audience: testAudience, method: "POST", target: "/a", contentType: "x", content: strings.Repeat("\xff", 1<<16)},
	} {
		if got, want := q.bound().Digest(), q.digest(); got != want {
			t.Errorf("%+v: the digest is %s, by the page %s", q, got, want)
		}
	}
	same := func(method, target, contentType, operation, document, name, value, content string) bool {
		q := specRequest{audience: testAudience, method: method, target: target, contentType: contentType, operation: operation, document: document, content: content}
		if fieldName.MatchString(name) {
			q.headers = map[string]string{strings.ToLower(name): value, "if-match": value}
		}
		for _, s := range []string{method, target, contentType, operation, document, value} {
			if !utf8.ValidString(s) {
				return true // refused before it is digested
			}
		}
		return q.bound().Digest() == q.digest()
	}
	if err := quick.Check(same, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

// TestTokenByThePage gives the guard a token that was written by hand from the
// page, around each of several requests.
func TestTokenByThePage(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.verifier.RequireApproval = true
	private, kid := activeKey(t, w.keys)
	for i, q := range []*testRequest{
		newTestRequest(),
		{method: "GET", target: "/pets?a=%22&b=\"\\"},
		{method: "DELETE", target: "/pets/%ff;x", lines: []string{"Idempotency-Key: \"\\\té😀", "X_Odd: 1"}},
		{method: "POST", target: "//", contentType: "text/plain", body: "\x00\xff"},
	} {
		s := specRequest{audience: testAudience, method: q.method, target: q.target, contentType: q.contentType, content: q.body, operation: "any", headers: map[string]string{}}
		for _, line := range q.lines {
			name, value, _ := strings.Cut(line, ": ")
			s.headers[strings.ToLower(name)] = value
		}
		now := testStart.Unix()
		payload := fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"a","client_id":"b","iat":%d,"exp":%d,"jti":"%d","txn":"c","authorization_details":[%s],`+
			`"urn:exeat:approval":{"id":"hold_%d","by":"bob","at":%d,"until":%d,"once":true,"details":%q}}`,
			testIssuer, testAudience, now, now+30, i, s.form(), i, now, now+60, s.digest())
		w.accepted(t, q, forge(t, private, `{"typ":"at+jwt","kid":"`+kid+`","alg":"EdDSA"}`, payload))
	}
}

// TestTokenPage checks every value of the example in docs/token.md.
func TestTokenPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/token.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(page), "```") {
		if i%2 == 1 {
			_, block, _ := strings.Cut(part, "\n")
			blocks = append(blocks, strings.TrimSuffix(block, "\n"))
		}
	}
	if len(blocks) != 7 { // the last is Go
		t.Fatalf("the page has %d blocks, not 7", len(blocks))
	}
	request, form, digest, jwks, claims := blocks[0], blocks[1], blocks[2], blocks[3], blocks[5]
	compact := strings.ReplaceAll(blocks[4], "\n", "")
	header, payload, signature := segments(t, compact)

	head, content, _ := strings.Cut(request, "\n\n")
	lines := strings.Split(head, "\n")
	first := strings.Fields(lines[0])
	q := specRequest{
		audience: "https://petstore.example/", method: first[0], target: first[1], contentType: strings.TrimPrefix(lines[1], "Content-Type: "),
		headers: map[string]string{"if-match": strings.TrimPrefix(lines[2], "If-Match: ")}, content: content,
		operation: "petstore.update_pet", document: "sha-256=:IBtnHMx6JGs2SqFhx3OwEF7uBm/0QQNpzyJMgT0KI1A=:",
	}
	if diff := cmp.Diff([]string{form, digest}, []string{q.form(), q.digest()}); diff != "" {
		t.Errorf("form and digest of the request (-page +got):\n%s", diff)
	}
	if got := q.bound().Digest(); got != digest {
		t.Errorf("the package's digest is %s", got)
	}
	var want, got any
	if err := json.Unmarshal([]byte(claims), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(payload), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-page +token):\n%s", diff)
	}
	var set struct{ Keys []struct{ Kid, X string } }
	if err := json.Unmarshal([]byte(jwks), &set); err != nil {
		t.Fatal(err)
	}
	public, err := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
	if err != nil || len(public) != ed25519.PublicKeySize {
		t.Fatalf("the key has %d bytes: %v", len(public), err)
	}
	if !ed25519.Verify(public, []byte(compact[:strings.LastIndexByte(compact, '.')]), signature) || kidOf(t, header) != set.Keys[0].Kid {
		t.Error("the signature does not verify")
	}
	thumb := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + set.Keys[0].X + `"}`))
	if b64(thumb[:]) != set.Keys[0].Kid {
		t.Errorf("the kid should be %s", b64(thumb[:]))
	}
	checkTokenPage(t, q, jwks, compact)
}

// checkTokenPage has the package verify the page's token.
func checkTokenPage(t *testing.T, q specRequest, jwks, compact string) {
	t.Helper()
	r, err := http.NewRequest(q.method, "http://guard"+q.target, bytes.NewReader([]byte(q.content)))
	if err != nil {
		t.Fatal(err)
	}
	r.RequestURI = q.target
	r.Header = http.Header{"Authorization": {"Bearer " + compact}, "Content-Type": {q.contentType}, "If-Match": {q.headers["if-match"]}}
	if _, ref := specVerifier(t, jwks, q.audience).Check(r); ref != nil {
		t.Errorf("the page's token is refused: %v", ref)
	}
}

// TestSignedVector checks testdata/signed.http, which docs/token.md refers to, by
// what RFC 9421 and that page say and without the package, and then with it. It is
// the page's example with a token that asks for a signature.
func TestSignedVector(t *testing.T) {
	raw, err := os.ReadFile("testdata/signed.http")
	if err != nil {
		t.Fatal(err)
	}
	head, content, _ := strings.Cut(string(raw), "\n\n")
	lines := strings.Split(head, "\n")
	fields := map[string]string{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		fields[strings.ToLower(name)] = value
	}
	method, target := strings.Fields(lines[0])[0], strings.Fields(lines[0])[1]
	path, query, _ := strings.Cut(target, "?")
	derived := map[string]string{"@method": method, "@authority": fields["host"], "@path": path, "@query": "?" + query}
	params := strings.TrimPrefix(fields["signature-input"], "exeat=")
	covered, _, _ := strings.Cut(strings.TrimPrefix(params, "("), ")")
	base := ""
	for name := range strings.FieldsSeq(covered) {
		name = strings.Trim(name, `"`)
		base += `"` + name + `": ` + derived[name] + fields[name] + "\n"
	}
	base += `"@signature-params": ` + params
	public, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(strings.TrimPrefix(fields["signature"], "exeat=:"), ":"))
	if err != nil || !ed25519.Verify(public, []byte(base), signature) {
		t.Errorf("the signature is not one over\n%s", base)
	}
	sum := sha256.Sum256([]byte(content))
	if want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"; fields["content-digest"] != want {
		t.Errorf("the digest is %s", want)
	}

	page, err := os.ReadFile("../../docs/token.md")
	if err != nil {
		t.Fatal(err)
	}
	_, jwks, _ := strings.Cut(string(page), "```json\n{\"keys\"")
	jwks, _, _ = strings.Cut(`{"keys"`+jwks, "\n")
	for name, change := range map[string]func(*http.Request){
		"":             func(*http.Request) {},
		"no_signature": func(r *http.Request) { r.Header.Del("Signature") },
		"wrong_signature": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "B", "b", 1))
		},
		"wrong_query":     func(r *http.Request) { r.RequestURI += "&" },
		"wrong_digest":    func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{}")) },
		"repeated_header": func(r *http.Request) { r.Header.Add("Content-Digest", "x") },
		"wrong_header":    func(r *http.Request) { r.Header.Set("If-Match", `"v8"`) },
	} {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		_, ref := specVerifier(t, jwks, "https://petstore.example/").Check(r)
		if code := codeOf(ref); code != name {
			t.Errorf("%q, want %q", code, name)
		}
	}
}

func codeOf(ref *Refusal) string {
	if ref == nil {
		return ""
	}
	return ref.Code
}

// specVerifier believes the page's key at the page's time.
func specVerifier(t *testing.T, jwks, audience string) *Verifier {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(jwks), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := NewKeySource(file)
	if err != nil {
		t.Fatal(err)
	}
	spent := &spentIDs{until: map[string]time.Time{}}
	return &Verifier{Issuer: "https://exeat.example", Audience: audience, Keys: source, Spend: spent.spend, RequireApproval: true,
		Now: func() time.Time { return time.Unix(1795435200, 0) }}
}
