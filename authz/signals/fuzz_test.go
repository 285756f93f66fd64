package signals

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/claims"
)

// FuzzSET reads claims that an issuer has signed: whatever they are, they name
// somebody of that issuer or are refused.
func FuzzSET(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	x := newTransmitter(f, idpURL)
	for _, change := range []func(m){
		func(m) {},
		func(c m) {
			c["sub_id"] = m{"format": "complex", "user": m{"format": "iss_sub", "iss": idpURL, "sub": "x"}}
		},
		func(c m) { c["sub_id"] = m{"format": "iss_sub", "iss": otherURL, "sub": "x"} },
		func(c m) { c["aud"] = []string{"x", audience} },
		func(c m) { c["events"] = m{"x": 1} },
		func(c m) { c["iat"] = 1.5e9 },
	} {
		c := x.about(now, caep+"session-revoked")
		change(c)
		b, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := claims.Parse(raw)
		if err != nil {
			return
		}
		from := &Issuer{URL: idpURL, Audience: audience, Subjects: []string{IssuerSubject}, Named: func(s string) (string, error) { return "idp:" + s, nil }}
		s, err := readSET(from, c, now)
		if err != nil {
			return
		}
		if len(s.events) == 0 || s.jti == "" || s.issued.After(now.Add(skew)) || s.issued.Before(now.Add(-maxAge)) {
			t.Errorf("it was taken: %s", raw)
		}
		id, err := s.subject()
		if err != nil {
			return
		}
		var whole struct {
			Sub struct {
				Iss, Sub string
				User     struct{ Iss, Sub string }
			} `json:"sub_id"`
		}
		_ = json.Unmarshal(raw, &whole) // what does not fit is left empty
		if id != "idp:"+whole.Sub.Sub && id != "idp:"+whole.Sub.User.Sub {
			t.Errorf("%q of %s", id, raw)
		}
		if whole.Sub.Iss != idpURL && whole.Sub.User.Iss != idpURL {
			t.Errorf("of another issuer: %s", raw)
		}
	})
}

// FuzzPolled reads the answers of endpoints.
func FuzzPolled(f *testing.F) {
	f.Add("application/json", []byte(`{"sets":{"a":"b"},"moreAvailable":true}`))
	f.Add("application/json; charset=utf-8", []byte(`{}`))
	f.Add("text/html", []byte(`<html>`))
	f.Fuzz(func(t *testing.T, contentType string, b []byte) {
		tokens, _, err := parsePolled(contentType, b)
		if err == nil && len(tokens) > 2*pollMost {
			t.Errorf("%d tokens", len(tokens))
		}
	})
}
