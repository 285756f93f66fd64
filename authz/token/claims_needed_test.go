package token

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

func TestParseClaims(t *testing.T) {
	for text, want := range map[string]string{
		`{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`: `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`,
		` { "a" : 1 } `: `{"a":1}`,
		`null`:          "",
		`[]`:            "",
		`{`:             "",
		`{"a":"ä"}`:     "",
		`{"a":"` + strings.Repeat("x", maxClaims) + `"}`: "",
	} {
		got, err := ParseClaims([]byte(text))
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%.40s: %s %v", text, got, err)
		}
	}
}

// Whatever an API says that it wants, it is one short JSON object of printable ASCII.
func FuzzDecodeClaims(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `{"access_token":{"acrs":{"value":"??>>"}}}`, "x", ""} {
		f.Add(base64.StdEncoding.EncodeToString([]byte(seed)))
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(seed)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		claims, err := DecodeClaims(text)
		if err != nil {
			return
		}
		var object map[string]any
		if json.Unmarshal(claims, &object) != nil || object == nil || len(claims) > maxClaims {
			t.Errorf("%q: %s", text, claims)
		}
		for _, c := range claims {
			if c < ' ' || c > '~' {
				t.Errorf("%q: %q", text, claims)
			}
		}
	})
}
