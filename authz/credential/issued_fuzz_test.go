package credential

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// FuzzIssued: whatever a server puts into a token, what passes is for the one API, with
// the one scope, for an hour at most, as any other reader of JSON sees it.
func FuzzIssued(f *testing.F) {
	for _, seed := range []string{
		`{"aud":"petstore","scope":"pets:write","iat":1795000000,"exp":1795000060,"sub":"ann"}`,
		`{"aud":["petstore"],"scp":["pets:write"],"iat":1795000000,"exp":1795000060}`,
		`{"aud":["petstore","exeat"],"scope":"pets:write admin","exp":9e9}`,
		`{"aud":"petstore","aud":"payroll"}`, `{"aud":"petstore","AUD":"payroll","cnf":{"jkt":"x"},"act":{"sub":"claude"}}`,
		`{"aud":null,"scope":null,"exp":"1795000060","authorization_details":[{"type":"x"}]}`, `[]`, ``, `{"exp":1e308,"iat":-1}`,
		`{"aud":"petstore","AUD":"payroll","exp":1795000060,"iat":1795000000}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		raw := "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(payload) + ".AA"
		got, err := new(Server).read(t.Context(), &oauth2.Token{AccessToken: raw})
		if err != nil || !got.known || len(got.otherAudience([]string{"petstore"}))+len(got.moreScopes([]string{"pets:write"}, nil))+len(got.longer(time.Hour)) > 0 {
			return
		}
		var is map[string]any // names are compared exactly
		if err := json.Unmarshal(payload, &is); err != nil {
			t.Fatalf("%s passes, and is no JSON: %v", payload, err)
		}
		if list, ok := is["aud"].([]any); ok && slices.ContainsFunc(list, func(one any) bool { return one != "petstore" }) || !ok && is["aud"] != "petstore" {
			t.Errorf("%s passes for %v", payload, is["aud"])
		}
		for _, scopes := range []any{is["scope"], is["scp"]} {
			if text, ok := scopes.(string); ok && strings.Trim(strings.ReplaceAll(text, "pets:write", ""), " ") != "" {
				t.Errorf("%s passes with %q", payload, text)
			}
		}
		if is["exp"] == nil {
			t.Errorf("%s passes without an end", payload)
		}
	})
}
