package statictoken_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/mcpserver"
	"github.com/exeat/exeat/mcpserver/statictoken"
	"github.com/exeat/exeat/tools"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func token(name, user string, groups ...string) statictoken.Token {
	return statictoken.Token{Name: name, Principal: authz.Principal{Type: "User", ID: user, Groups: groups}, Created: noon, Expires: noon.Add(time.Hour)}
}

func add(t *testing.T, text []byte, x statictoken.Token) ([]byte, string) {
	t.Helper()
	text, secret, err := statictoken.Add(text, x)
	if err != nil {
		t.Fatal(err)
	}
	return text, secret
}

// fallback takes whatever it is asked.
type fallback struct{}

func (fallback) Authenticate(*http.Request) (tools.Caller, error) {
	return tools.Caller{Principal: authz.Principal{Type: "User", ID: "owner"}}, nil
}

func TestAuthenticate(t *testing.T) {
	text, ann := add(t, nil, token("ann-laptop", "ann", "keepers"))
	text, bob := add(t, text, token("bob-cursor", "bob"))
	if strings.Contains(string(text), ann) || strings.Contains(string(text), bob) {
		t.Fatal("the list holds a token")
	}
	now := noon
	a := statictoken.New(func() ([]byte, error) { return text, nil }, func() time.Time { return now }, fallback{})
	ask := func(headers ...string) (tools.Caller, string) {
		r := httptest.NewRequest("POST", "/mcp", nil)
		for _, h := range headers {
			r.Header.Add("Authorization", h)
		}
		c, err := a.Authenticate(r)
		var refused *mcpserver.Challenge
		if errors.As(err, &refused) {
			return c, refused.Code
		}
		if err != nil {
			return c, err.Error()
		}
		return c, ""
	}
	asAnn := tools.Caller{Principal: authz.Principal{Type: "User", ID: "ann", Groups: []string{"keepers"}}, Agent: authz.Agent{ID: "token:ann-laptop", Verified: true}, Issued: noon}
	owner := tools.Caller{Principal: authz.Principal{Type: "User", ID: "owner"}}
	for _, c := range []struct {
		name    string
		headers []string
		want    tools.Caller
		code    string
	}{
		{"ann", []string{"Bearer " + ann}, asAnn, ""},
		{"the scheme in small letters", []string{"bearer " + ann}, asAnn, ""},
		{"a token that nobody has", []string{"Bearer exeat_" + strings.Repeat("A", 43)}, tools.Caller{}, "invalid_token"},
		{"no token behind the prefix", []string{"Bearer exeat_"}, tools.Caller{}, "invalid_token"},
		{"the digest in place of the token", []string{"Bearer exeat_" + strings.Repeat("0", 64)}, tools.Caller{}, "invalid_token"},
		{"something longer", []string{"Bearer " + ann + "x"}, tools.Caller{}, "invalid_token"},
		{"no header", nil, owner, ""},
		{"two headers", []string{"Bearer " + ann, "Bearer " + bob}, owner, ""},
		{"another kind of token", []string{"Bearer eyJ"}, owner, ""},
		{"basic", []string{"Basic " + ann}, owner, ""},
	} {
		got, code := ask(c.headers...)
		if d := cmp.Diff(c.want, got); d != "" || code != c.code {
			t.Errorf("%s: %q, want %q; %s", c.name, code, c.code, d)
		}
	}

	var err error
	if text, err = statictoken.Revoke(text, "bob-cursor"); err != nil {
		t.Fatal(err)
	}
	if _, code := ask("Bearer " + bob); code != "invalid_token" {
		t.Errorf("a revoked token: %q", code)
	}
	if _, err := statictoken.Revoke(text, "bob-cursor"); !errors.Is(err, statictoken.ErrNoToken) {
		t.Errorf("revoked twice: %v", err)
	}
	now = noon.Add(time.Hour)
	if _, code := ask("Bearer " + ann); code != "invalid_token" {
		t.Errorf("a token at its end: %q", code)
	}
	now = noon
	for _, damaged := range []string{"[", string(text) + "[]", string(text) + "}"} {
		text = []byte(damaged)
		if _, code := ask("Bearer " + ann); !strings.Contains(code, "tokens.json") {
			t.Errorf("a damaged list: %q", code)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	text, _ := add(t, nil, token("ann-laptop", "ann", "keepers"))
	endless := token("x", "x")
	endless.Expires = time.Time{}
	for name, x := range map[string]statictoken.Token{
		"a name that is there":               token("ann-laptop", "ann", "keepers"),
		"a name with a slash":                token("a/b", "ann", "keepers"),
		"no name":                            token("", "ann", "keepers"),
		"nobody":                             token("x", ""),
		"a person with other groups at once": token("x", "ann", "keepers", "admins"),
		"a kind of principal that is none":   {Name: "x", Principal: authz.Principal{Type: "Group", ID: "x"}, Expires: noon},
		"no end":                             endless,
	} {
		if _, _, err := statictoken.Add(text, x); err == nil {
			t.Errorf("%s: added", name)
		}
	}
}

// A list that somebody damaged lets nobody in.
func FuzzParse(f *testing.F) {
	text, _, err := statictoken.Add(nil, token("ann", "ann"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := statictoken.Parse(text)
		for _, x := range list {
			if err == nil && (x.Principal.ID == "" || x.Expires.IsZero() || len(x.SHA256) != 64) {
				t.Errorf("%+v", x)
			}
		}
	})
}
