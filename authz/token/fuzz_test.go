package token

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// fixKeys gives w keys that are the same in every process of a fuzzing run.
func fixKeys(f *testing.F, w *world) {
	f.Helper()
	file := keyFile{Version: 1}
	for i, status := range []string{statusActive, statusNext} {
		seed := bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize)
		key := jose.JSONWebKey{Key: ed25519.NewKeyFromSeed(seed), Algorithm: "EdDSA", Use: "sig"}
		var err error
		if key.KeyID, err = thumbprint(key); err != nil {
			f.Fatal(err)
		}
		file.Keys = append(file.Keys, storedKey{Status: status, JWK: key})
	}
	if err := w.keys.store(file); err != nil {
		f.Fatal(err)
	}
}

// FuzzCheck gives the verifier any bytes for a token: only one that it was
// made for may pass, in its one spelling.
func FuzzCheck(f *testing.F) {
	w := newWorld(f, "EdDSA")
	fixKeys(f, w)
	w.enroll(true)
	q := newTestRequest()
	private, _ := activeKey(f, w.keys)
	header, payload, _ := segments(f, w.mint(q.call()))
	good := forge(f, private, header, replaceClaim(payload, "jti", `"fixed"`))
	f.Add(good)
	f.Add(good + "=")
	f.Add(good[:len(good)-1])
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add(b64([]byte(`{"alg":"none","typ":"at+jwt","kid":"a"}`)) + ".e30.AA")
	f.Add("a.b.c")
	kid := kidOf(f, header)
	for _, h := range []string{
		`{}`, `[]`, `null`, strings.Replace(header, "EdDSA", "none", 1), strings.Replace(header, "EdDSA", "HS256", 1), strings.Replace(header, "EdDSA", "ES256", 1),
		strings.Replace(header, "EdDSA", "RS256", 1), strings.Replace(header, "at+jwt", "JWT", 1), strings.Replace(header, kid, "../../etc/passwd", 1),
		strings.Replace(header, kid, "nobody", 1), `{"crit":["exp"],` + header[1:], `{"alg":"none",` + header[1:], `{"Alg":"none",` + header[1:],
		`{"b64":false,` + header[1:], `{"jku":"http://127.0.0.1/",` + header[1:], `{"jwk":{},` + header[1:], `{"x5u":"x",` + header[1:],
	} {
		f.Add(forge(f, private, h, replaceClaim(payload, "jti", `"fixed"`)))
	}
	for _, odd := range []string{good + "." + good, good + "AAAA", good + " x", good + ", Bearer " + good, good[:len(good)-1] + "B", `{"payload":"e30","signatures":[]}`, "a.b.c.d.e", "..", "."} {
		f.Add(odd)
	}
	f.Fuzz(func(t *testing.T, compact string) {
		r := outgoing(t, q, "http://127.0.0.1")
		r.RequestURI = q.target
		r.Header.Set("Authorization", "Bearer "+compact)
		clear(w.spent.until)
		c, ref := w.verifier.Check(r)
		if (c == nil) == (ref == nil) {
			t.Fatalf("claims %v and refusal %v", c, ref)
		}
		if compact == good && ref != nil {
			t.Fatalf("the good token was refused: %v", ref)
		}
		if c != nil && compact != good {
			t.Fatalf("another token was accepted: %q", compact)
		}
		if ref != nil && (ref.Code == "" || ref.Status < 400) {
			t.Fatalf("refusal %+v", ref)
		}
	})
}

// FuzzClaims signs any payload with the right key: what passes must name
// exactly the request that it came with.
func FuzzClaims(f *testing.F) {
	w := newWorld(f, "EdDSA")
	fixKeys(f, w)
	w.enroll(true)
	q := newTestRequest()
	private, _ := activeKey(f, w.keys)
	c := q.call()
	c.Approval = &ApprovalClaim{ID: "hold_1", By: "user:bob", Until: testStart.Unix() + 60, Details: c.Details.Digest()}
	header, payload, _ := segments(f, w.mint(c))
	f.Add(payload)
	for _, c := range [][2]string{
		{testIssuer, "https://evil.example"}, {`"` + testIssuer + `"`, `["` + testIssuer + `"]`}, {`"exp":`, `"EXP":`}, {`"exp":`, `"exp":1,"exp":`}, {`"exp":`, `"nbf":9999999999,"exp":`},
		{`"iat":`, `"iat":-`}, {`"jti":"`, `"jti":"\ud800`}, {`"PUT"`, `"PUT","DELETE"`}, {"call:1", "call:2"}, {`"target":`, `"target":"/","target":`}, {`"identifier":`, `"Identifier":`},
		{`"headers":{`, `"headers":{"x":"",`}, {`"content_digest":"`, `"content_digest":"sha-512=:x:, `}, {`"until":`, `"until":9`}, {`"details":"`, `"details":"0`}, {"/pets/42", "/pets/43"}, {"}", "}{}"},
	} {
		f.Add(strings.Replace(payload, c[0], c[1], 1))
	}
	f.Add(strings.Replace(payload, `"aud":`, `"Aud":"x","aud":`, 1))
	f.Add(`{"iss":"` + testIssuer + `","aud":"` + testAudience + `"}`)
	f.Add("null")
	f.Fuzz(func(t *testing.T, payload string) {
		r := outgoing(t, q, "http://127.0.0.1")
		r.RequestURI = q.target
		r.Header.Set("Authorization", "Bearer "+forge(t, private, header, payload))
		clear(w.spent.until)
		got, ref := w.verifier.Check(r)
		if ref != nil {
			return
		}
		want := c.Details
		want.Identifier, want.Document = got.Details.Identifier, got.Details.Document // not part of the request
		if got.Details.Digest() != want.Digest() {
			t.Fatalf("accepted for another request: %+v", got.Details)
		}
		if got.Issuer != testIssuer || got.Audience != testAudience || got.ID == "" || got.Expires.Sub(got.IssuedAt) > MaxTTL {
			t.Fatalf("accepted with the claims %+v", got)
		}
	})
}

// FuzzTarget sends any request-target through the guard, parsed and written as
// net/http does: the API must see the same bytes below its base, or nothing.
func FuzzTarget(f *testing.F) {
	for _, target := range []string{
		"/x/%252e%252e/y", "/x/..;v=1/y", "/x%25252f.%25252e", "/a%3Fb", "/%00", "/a%0d%0ab", "/PETS", "/a/.", "petstore.example:443", "/a??b", "/a?&", "/a%2fB%2Fc", "/a;b=../c",
		"/", "/pets?a=1", "//pets", "/%2e%2e/x", "/a/../b", "/pets/%34%32", "/?", "/?#", "/a;b", "/%", "*", "http://x/", "/\xff", "/a?b=\xc3\xa9", "/a\\..\\b", "/{id}", "/x?api_key=1",
	} {
		f.Add(target)
	}
	w := newWorld(f, "EdDSA")
	var line string
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		var sent bytes.Buffer
		if err := r.Write(&sent); err != nil {
			return nil, err
		}
		line, _, _ = strings.Cut(sent.String(), "\r\n")
		return &http.Response{StatusCode: http.StatusTeapot, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})
	guard, err := (&Guard{Verifier: w.verifier, Upstream: "http://api.example/v1", Transport: transport}).Handler()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, target string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil {
			return
		}
		c := Call{
			Txn: "t", Subject: "s", Agent: "a", Audience: testAudience, Effect: "read",
			Details: Bind(testAudience, r.Method, r.RequestURI, "", nil, nil, "op", ""),
		}
		compact, _, err := w.signed.Mint(c)
		if err != nil {
			return
		}
		r.Header = http.Header{"Authorization": {"Bearer " + compact}}
		r = r.WithContext(context.Background())
		line = ""
		rec := httptest.NewRecorder()
		guard.ServeHTTP(rec, r)
		if rec.Code == http.StatusTeapot && line != "GET /v1"+r.RequestURI+" HTTP/1.1" {
			t.Fatalf("the target %q reached the API as %q", r.RequestURI, line)
		}
		if rec.Code != http.StatusTeapot && line != "" {
			t.Fatalf("status %d, but the API saw %q", rec.Code, line)
		}
		if strings.Contains(decoded(line), "/../") {
			t.Fatalf("a dot segment reached the API: %q", line)
		}
	})
}

// decoded is the path of a request line as a server sees it that decodes as
// often as it can.
func decoded(line string) string {
	path, _, _ := strings.Cut(strings.TrimSuffix(line, " HTTP/1.1"), "?")
	for {
		again, err := url.PathUnescape(path)
		if err != nil || again == path {
			return strings.ReplaceAll(path, `\`, "/") + "/"
		}
		path = again
	}
}

// FuzzDigest looks for two requests that share a digest.
func FuzzDigest(f *testing.F) {
	f.Add("/a", "text/plain", "/b", "")
	f.Add("/a\u2028", "<>&", "/a\u2029", "\\u003c")
	f.Fuzz(func(t *testing.T, target1, type1, target2, type2 string) {
		a := Bind(testAudience, "GET", target1, type1, nil, nil, "op", "")
		b := Bind(testAudience, "GET", target2, type2, nil, nil, "op", "")
		if a.check(testAudience) != nil || b.check(testAudience) != nil {
			a.Digest() // must not panic
			b.Digest()
			return
		}
		if same := target1 == target2 && type1 == type2; same != (a.Digest() == b.Digest()) {
			t.Fatalf("%q %q and %q %q: the requests are the same: %t, the digests are not so", target1, type1, target2, type2, same)
		}
	})
}
