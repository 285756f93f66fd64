package token

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/gowebpki/jcs"
)

// encode is what encoding/json makes of v.
func encode(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// FuzzWrite compares what is written by hand with what encoding/json and the canonical
// form of its output are.
func FuzzWrite(f *testing.F) {
	f.Add("a", "/pets?a=<&>", "", "Idempotency-Key", int64(0), true)
	f.Add("\u2028\x00\x1f\x7f\"\\\b\f\n\r\t", "é😀\uffff", "\xff\xc3a", "", int64(-1), false)
	f.Fuzz(func(t *testing.T, a, b, c, name string, n int64, some bool) {
		d := Details{Type: a, Identifier: b, Document: c, Request: RequestDetails{Target: b, ContentType: c, ContentDigest: a}}
		m := &minted{Issuer: a, Audience: b, Subject: c, ClientID: a, Actor: actor{b, c}, IssuedAt: n, Expires: n + 1, ID: a, Txn: b,
			Scope: c, ACR: c, Decision: decisionClaim{a, b, c}}
		if some {
			d.Locations, d.Actions, d.Request.Headers = []string{a}, []string{b, c}, map[string]string{name: c, name + "x": a, "\ufb01": b, "😀": c}
			m.AuthTime, m.AMR, m.Confirm = n, []string{a, c}, Confirm{KeyID: a, Thumbprint: c}
			m.Approval = &ApprovalClaim{ID: a, By: b, At: n, Until: n, Once: n > 0, AMR: m.AMR, Details: c}
		}
		m.Details = []Details{d}
		want, err := jcs.Transform(encode(t, d))
		if err != nil {
			t.Skip(err) // two names that are the same once they are UTF-8
		}
		if got := d.appendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("details:\n%s, want\n%s", got, want)
		}
		got, err := jcs.Transform(m.appendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		if want, err = jcs.Transform(encode(t, m)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("claims:\n%s, want\n%s %v", got, want, err)
		}
	})
}
