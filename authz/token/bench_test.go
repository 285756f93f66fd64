package token

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func BenchmarkMint(b *testing.B) {
	for _, alg := range []string{"EdDSA", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			w := newWorld(b, alg)
			c := testCall()
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := w.signed.Mint(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"EdDSA", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			w := newWorld(b, alg)
			q := newTestRequest()
			c := q.call()
			c.Approval = &ApprovalClaim{ID: "hold_1", By: "user:bob", Until: testStart.Unix() + 60, Details: c.Details.Digest()}
			compact := w.mint(c)
			b.ReportAllocs()
			for b.Loop() {
				clear(w.spent.until)
				r := httptest.NewRequest(q.method, q.target, strings.NewReader(q.body))
				r.Header = http.Header{"Authorization": {"Bearer " + compact}, "Content-Type": {q.contentType}, "If-Match": {`"v1"`}}
				if _, ref := w.verifier.Check(r); ref != nil {
					b.Fatal(ref)
				}
			}
		})
	}
}

func BenchmarkBind(b *testing.B) {
	q := newTestRequest()
	h := q.header()
	b.ReportAllocs()
	for b.Loop() {
		Bind(testAudience, q.method, q.target, q.contentType, h, []byte(q.body), "updatePet", "doc").Digest()
	}
}
