package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var update = flag.Bool("update", false, "write examples/verify/vectors.json")

const vectorsFile = "../../examples/verify/vectors.json"

// vectors are requests with tokens, for verifiers that share nothing with this one.
type vectors struct {
	About    string             `json:"about"`
	Issuer   string             `json:"issuer"`
	Audience string             `json:"audience"`
	Now      int64              `json:"now"`
	JWKS     jose.JSONWebKeySet `json:"jwks"`
	Vectors  []vector           `json:"vectors"`
}

// vector is one request. Verdict is accept, refuse, or either where both are
// sound; Code is what this verifier says, empty where it lets the request through.
type vector struct {
	Name            string        `json:"name"`
	Verdict         string        `json:"verdict"`
	Code            string        `json:"code,omitempty"`
	Why             string        `json:"why,omitempty"`
	After           string        `json:"after,omitempty"`
	RequireApproval bool          `json:"require_approval,omitempty"`
	Request         vectorRequest `json:"request"`
}

type vectorRequest struct {
	Method  string      `json:"method"`
	Target  string      `json:"target"`
	Headers [][2]string `json:"headers"`
	Body    []byte      `json:"body"`
}

const vectorsAbout = "Requests to an API and what its verifier has to say of each; README.md beside this file tells how to read it. " +
	"Made by `go test ./authz/token -run TestVectors -update`. " +
	"THE KEYS ARE PUBLIC, never trust them: their private halves are printed in RFC 8032 §7.1 (test 1) and RFC 6979 §A.2.5."

// vectorWriter makes the vectors.
type vectorWriter struct {
	t        *testing.T
	all      vectors
	kid      map[string]string // by alg
	private  map[string]crypto.Signer
	requests int
}

func newVectorWriter(t *testing.T) *vectorWriter {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ec, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), unhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"))
	if err != nil {
		t.Fatal(err)
	}
	w := &vectorWriter{t: t, kid: map[string]string{}, private: map[string]crypto.Signer{
		"EdDSA": ed25519.NewKeyFromSeed(unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")),
		"ES256": ec,
	}}
	w.all = vectors{About: vectorsAbout, Issuer: testIssuer, Audience: testAudience, Now: testStart.Unix()}
	for _, alg := range []string{"EdDSA", "ES256"} {
		key := jose.JSONWebKey{Key: w.private[alg].Public(), Algorithm: alg, Use: "sig"}
		print, err := key.Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		key.KeyID = b64(print)
		w.kid[alg] = key.KeyID
		w.all.JWKS.Keys = append(w.all.JWKS.Keys, key)
	}
	return w
}

// draft is a request and its token before they are written, each part of which a
// vector may change.
type draft struct {
	alg, header string
	claims      string
	tokens      func(token string) []string
	sign        func(input string) []byte
	q           testRequest
	sent        vectorRequest
}

// draft begins with a good token for q.
func (w *vectorWriter) draft(alg string, q testRequest) *draft {
	w.requests++
	at := testStart.Unix()
	c := q.call()
	details, err := canonical(c.Details)
	if err != nil {
		w.t.Fatal(err)
	}
	d := &draft{alg: alg, q: q, sent: vectorRequest{Method: q.method, Target: q.target, Body: []byte(q.body), Headers: [][2]string{}}}
	for _, line := range q.lines {
		name, value, _ := strings.Cut(line, ": ")
		d.sent.Headers = append(d.sent.Headers, [2]string{name, value})
	}
	if q.contentType != "" {
		d.sent.Headers = append(d.sent.Headers, [2]string{"Content-Type", q.contentType})
	}
	d.header = fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, alg, w.kid[alg])
	d.claims = fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"user:alice","client_id":"claude-code","act":{"sub":"agent:claude/7","sub_profile":"ai_agent"},`+
		`"iat":%d,"exp":%d,"jti":"VECTOR%020d","txn":"txn_%d","authorization_details":[%s],"urn:exeat:decision":{"id":"txn_%d","policies":"sha-256=:policies:","effect":%q}}`,
		testIssuer, testAudience, at, at+30, w.requests, w.requests, details, w.requests, c.Effect)
	d.sign = func(input string) []byte { return w.signature(alg, input) }
	return d
}

// signature is deterministic, so that the file is.
func (w *vectorWriter) signature(alg, input string) []byte {
	if alg == "EdDSA" {
		return ed25519.Sign(w.private[alg].(ed25519.PrivateKey), []byte(input))
	}
	sum := sha256.Sum256([]byte(input))
	der, err := w.private[alg].Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		w.t.Fatal(err)
	}
	r, s, err := parseDER(der)
	if err != nil {
		w.t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return sig
}

// replace changes the claims, and must find what it changes.
func (d *draft) replace(old, new string) {
	if !strings.Contains(d.claims, old) {
		panic(fmt.Sprintf("no %s in %s", old, d.claims))
	}
	d.claims = strings.Replace(d.claims, old, new, 1)
}

// approve adds an approval of this request.
func (d *draft) approve(id string, until int64, once bool) {
	d.replace(`,"urn:exeat:decision"`, fmt.Sprintf(`,"urn:exeat:approval":{"id":%q,"by":"user:bob","at":%d,"until":%d,"once":%t,"details":%q},"urn:exeat:decision"`,
		id, testStart.Unix()-10, until, once, d.q.call().Details.Digest()))
}

// set puts another value in the place of a header's, or adds it.
func (d *draft) set(name, value string) {
	for i := range d.sent.Headers {
		if d.sent.Headers[i][0] == name {
			d.sent.Headers[i][1] = value
			return
		}
	}
	d.sent.Headers = append(d.sent.Headers, [2]string{name, value})
}

func (d *draft) drop(name string) {
	d.sent.Headers = slices.DeleteFunc(d.sent.Headers, func(h [2]string) bool { return h[0] == name })
}

// add writes d down.
func (w *vectorWriter) add(v vector, d *draft) {
	input := b64([]byte(d.header)) + "." + b64([]byte(d.claims))
	compact := input + "." + b64(d.sign(input))
	lines := []string{"Bearer " + compact}
	if d.tokens != nil {
		lines = d.tokens(compact)
	}
	for _, line := range lines {
		d.sent.Headers = append(d.sent.Headers, [2]string{"Authorization", line})
	}
	v.Request = d.sent
	w.all.Vectors = append(w.all.Vectors, v)
}

func testNow() time.Time { return testStart }

// verifier checks vectors, remembering what was spent.
func (w *vectorWriter) verifier(requireApproval bool) *Verifier {
	set, err := json.Marshal(w.all.JWKS)
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		w.t.Fatal(err)
	}
	keys, err := NewKeySource(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return &Verifier{Issuer: testIssuer, Audience: testAudience, Keys: keys, RequireApproval: requireApproval, Now: testNow, Spend: newMemory(maxSpent, testNow).spend}
}

// httpRequest is q as a server of Go's would hand it over.
func (q vectorRequest) httpRequest() *http.Request {
	r := httptest.NewRequest("POST", "/", bytes.NewReader(q.Body))
	r.Method, r.RequestURI = q.Method, q.Target
	for _, h := range q.Headers {
		r.Header.Add(h[0], h[1])
	}
	return r
}

// TestVectors holds this verifier to the vectors, and the file to them.
func TestVectors(t *testing.T) {
	w := newVectorWriter(t)
	w.good()
	w.otherRequests()
	w.otherTokens()
	w.otherClaims()
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(w.all); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(vectorsFile, want.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(vectorsFile); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what is tested here (%v): go test ./authz/token -run TestVectors -update writes it", vectorsFile, err)
	}
	byName := map[string]vector{}
	for _, v := range w.all.Vectors {
		if _, there := byName[v.Name]; there {
			t.Errorf("two vectors have the name %q", v.Name)
		}
		byName[v.Name] = v
	}
	for _, v := range w.all.Vectors {
		t.Run(v.Name, func(t *testing.T) { checkVector(t, w.verifier(v.RequireApproval), v, byName) })
	}
}

// checkVector sends v to an API behind the verifier.
func checkVector(t *testing.T, verifier *Verifier, v vector, byName map[string]vector) {
	var passed bool
	h, err := verifier.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		passed = ClaimsOf(r.Context()) != nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	send := func(q vectorRequest) (code string) {
		passed = false
		res := httptest.NewRecorder()
		h.ServeHTTP(res, q.httpRequest())
		if passed {
			return ""
		}
		var p problem
		if err := json.Unmarshal(res.Body.Bytes(), &p); err != nil {
			t.Fatalf("%v: %s", err, res.Body)
		}
		return strings.TrimPrefix(p.Type, "urn:exeat:guard:")
	}
	if v.After != "" {
		if code := send(byName[v.After].Request); code != "" {
			t.Fatalf("%q is refused: %s", v.After, code)
		}
	}
	if code := send(v.Request); code != v.Code {
		t.Errorf("the verifier says %q, not %q", code, v.Code)
	}
	if v.Verdict == "accept" && v.Code != "" || v.Verdict == "refuse" && v.Code == "" || v.Verdict != "accept" && v.Why == "" {
		t.Errorf("the verdict %q does not fit the code %q, or nothing says why", v.Verdict, v.Code)
	}
}

// parseDER reads an ASN.1 signature.
func parseDER(der []byte) (r, s *big.Int, err error) {
	var sig struct{ R, S *big.Int }
	_, err = asn1.Unmarshal(der, &sig)
	return sig.R, sig.S, err
}

// mac signs as HS256 would.
func mac(key []byte) func(string) []byte {
	return func(input string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(input))
		return m.Sum(nil)
	}
}

// flip changes a bit of the last character that base64 does not use.
func flip(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + alphabet[i^1:i^1+1]
}

// digestOf is a content digest, for vectors that change one.
func digestOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}
