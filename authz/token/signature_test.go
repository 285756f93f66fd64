package token

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestSignatureVector makes and checks the signature of RFC 9421, appendix B.2.6.
func TestSignatureVector(t *testing.T) {
	der, err := base64.StdEncoding.DecodeString("MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF")
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	m := message{"POST", "example.com", "/foo?param=Value&Pet=dog", http.Header{
		"Date": {"Tue, 20 Apr 2021 02:07:55 GMT"}, "Content-Type": {"application/json"}, "Content-Length": {"18"}}}
	components := []string{"date", "@method", "@path", "@authority", "content-type", "content-length"}
	base, err := m.base(components, `("`+strings.Join(components, `" "`)+`");created=1618884473;keyid="test-key-ed25519"`)
	if err != nil {
		t.Fatal(err)
	}
	const want = `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`
	if string(base) != want {
		t.Errorf("the base is\n%s", base)
	}
	signature, err := signBytes(jose.JSONWebKey{Key: private}, base)
	if err != nil {
		t.Fatal(err)
	}
	if got := base64.StdEncoding.EncodeToString(signature); got != "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==" {
		t.Errorf("the signature is %s", got)
	}
	public := jose.JSONWebKey{Key: private.(ed25519.PrivateKey).Public()}
	if !signed(public, base, signature) || signed(public, base[1:], signature) {
		t.Error("the signature does not verify, or anything does")
	}
}

// TestComponents takes the values of components as RFC 9421, section 2, has them.
func TestComponents(t *testing.T) {
	m := message{"QUERY", "a.example:8080", "/a%2Fb//;c?", http.Header{"X-One": {" \ta b\t "}, "X-Two": {"1, 2", " 3"}, "X-Empty": {""}}}
	for name, want := range map[string]string{"@method": "QUERY", "@authority": "a.example:8080", "@path": "/a%2Fb//;c", "@query": "?", "x-one": "a b", "x-two": "1, 2, 3", "x-empty": ""} {
		if got, err := m.component(name); got != want || err != nil {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"x-none", "@status", "@target-uri", ""} {
		if got, err := m.component(name); err == nil {
			t.Errorf("%s is %q", name, got)
		}
	}
	m.target = "/x"
	if got, _ := m.component("@query"); got != "?" {
		t.Errorf("no query is %q", got)
	}
	if got := sfString(`a"b\`); got != `"a\"b\\"` {
		t.Error(got)
	}
}

// Whatever comes as Signature-Input, Signature and Content-Digest, a request is taken
// with the ones that it left with and with no others.
func FuzzSignature(f *testing.F) {
	w := newBoundWorld(f, "EdDSA", BindSignature)
	file := filepath.Join(f.TempDir(), "jwks.json")
	if err := os.WriteFile(file, w.jwks(), 0o600); err != nil {
		f.Fatal(err)
	}
	source, err := NewKeySource(file)
	if err != nil {
		f.Fatal(err)
	}
	v := &Verifier{Issuer: testIssuer, Audience: testAudience, Keys: source, Now: w.now,
		Spend: func(context.Context, string, string, time.Time) (bool, error) { return true, nil }}
	q := w.leave(newTestRequest())
	names := []string{"Signature-Input", "Signature", "Content-Digest"}
	good := [3]string{q.value(names[0]), q.value(names[1]), q.value(names[2])}
	header := q.header()
	header.Set("Content-Type", q.contentType)
	// A process that fuzzes has keys of its own, so @ stands for what is good.
	f.Add("@", "@", "@")
	f.Add("", "", "")
	f.Add("@, b=();alg=\"x\"", "@, b=:AAAA:", "@")
	f.Add(`exeat=("@method" "@authority" "@path";bs "@query");created=1;tag="exeat-call-1"`, "@", "@")
	f.Add("exeat=(), @", "exeat=::", "sha-512=:AA==:, @")
	f.Add("@ ", "@=", "sha-256=:AA=:")
	f.Fuzz(func(t *testing.T, input, signature, digest string) {
		r := httptest.NewRequest(q.method, q.target, strings.NewReader(q.body))
		r.Header = header.Clone()
		is := true
		for i, value := range []string{input, signature, digest} {
			value = strings.ReplaceAll(value, "@", good[i])
			is = is && value == good[i]
			r.Header.Set(names[i], value)
		}
		if _, ref := v.Check(r); is != (ref == nil) {
			t.Errorf("%q %q %q: %v", input, signature, digest, ref)
		}
	})
}

// BenchmarkBinding is what a binding costs at either side, beside the token and its
// details.
func BenchmarkBinding(b *testing.B) {
	for _, alg := range []string{"EdDSA", "ES256"} {
		for _, binding := range append([]string{""}, bindings...) {
			name := strings.Trim(alg+" "+binding, " ")
			w := newBoundWorld(b, alg, binding)
			q := newTestRequest()
			c := q.call()
			r, err := http.NewRequest(q.method, "https://petstore.example"+q.target, strings.NewReader(q.body))
			if err != nil {
				b.Fatal(err)
			}
			b.Run("attach "+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r.Header = q.header()
					r.Header.Set("Content-Type", q.contentType)
					if _, err := w.signed.Attach(b.Context(), c, r); err != nil {
						b.Fatal(err)
					}
				}
			})
			left := w.leave(q)
			header := left.header()
			header.Set("Content-Type", q.contentType)
			b.Run("check "+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					clear(w.spent.until)
					r := httptest.NewRequest(q.method, q.target, strings.NewReader(q.body))
					r.Header = header
					if _, ref := w.verifier.Check(r); ref != nil {
						b.Fatal(ref)
					}
				}
			})
		}
	}
}
