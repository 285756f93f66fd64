package openapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func withParameter(head, p string) string {
	return v30 + head + "paths: {/a: {get: {operationId: a, parameters: [" + p + ", {name: q, in: query, schema: {type: string}}]}}}"
}

// Credentials that a document lists as ordinary parameters are not offered; a
// credential fills them.
func TestParametersThatAreCredentials(t *testing.T) {
	const text = "schema: {type: string}}"
	bearer := "components: {securitySchemes: {o: {type: oauth2}}}\nsecurity: [{o: []}]\n"
	needs := func(names ...string) [][]SecurityNeed {
		var all []SecurityNeed
		for _, n := range names {
			all = append(all, SecurityNeed{Scheme: n})
		}
		return [][]SecurityNeed{all}
	}
	for _, tt := range []struct {
		name, head, parameter string
		out                   bool
		security              [][]SecurityNeed
	}{
		{"access_token", "", "{name: access_token, in: query, required: true, " + text, true, needs("access_token")},
		{"oauth_token beside a bearer", bearer, "{name: oauth_token, in: query, " + text, true, needs("o")},
		{"api_key in a header", "", "{name: api_key, in: header, required: true, " + text, true, needs("api_key")},
		{"X-API-Key", "", "{name: X-API-Key, in: header, required: true, " + text, true, needs("X-API-Key")},
		{"apiKey, optional", "", "{name: apiKey, in: query, " + text, true, [][]SecurityNeed{{{Scheme: "apiKey"}}, nil}},
		{"a cookie", "", "{name: auth-token, in: cookie, required: true, " + text, true, needs("auth-token")},
		{"key by its description", "", "{name: key, in: query, required: true, description: 'API key. Your API key identifies your project.', " + text, true, needs("key")},
		{"token by its description", bearer, "{name: token, in: header, description: 'Authentication token. Requires scope: `admin`', " + text, true, needs("o")},
		{"an ordinary key", "", "{name: key, in: query, description: 'An explicit key or prefix for identifying the cache', " + text, false, nil},
		{"a package token", "", "{name: token, in: query, description: package token, " + text, false, nil},
		{"a page token", "", "{name: PageToken, in: query, description: The page token, " + text, false, nil},
		{"the id of a token", "", "{name: token_id, in: query, description: The ID of the token, " + text, false, nil},
		{"several, all optional", "", "{name: access_token, in: query, " + text + ", {name: key, in: query, description: API key, " + text, true,
			[][]SecurityNeed{{{Scheme: "access_token"}}, {{Scheme: "key"}}, nil}},
		{"two that are required", "", "{name: api_key, in: query, required: true, " + text + ", {name: api_token, in: query, required: true, " + text, true, needs("api_key", "api_token")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := loadText(t, withParameter(tt.head, tt.parameter), Options{})
			op := one(t, api)
			if out := len(op.params) == 1; out != tt.out || out == (len(api.Findings) == 0) {
				t.Errorf("params %+v, findings %+v", op.params, api.Findings)
			}
			if d := cmp.Diff(tt.security, op.Security); d != "" {
				t.Error(d)
			}
			for _, alternative := range op.Security {
				for _, n := range alternative {
					if s := api.Security[n.Scheme]; s.Type == "" || s.Type == "apiKey" && (s.Name != n.Scheme || s.In == "") {
						t.Errorf("%s is %+v", n.Scheme, s)
					}
				}
			}
		})
	}
}

// The same parameter of two operations is the same credential, whichever comes first.
func TestOneSchemeForOneCredential(t *testing.T) {
	p := "parameters: [{name: api_key, in: query, required: true, schema: {type: string}}]"
	api := loadText(t, v30+"paths: {/a: {get: {operationId: a, "+p+"}}, /b: {get: {operationId: b, "+p+"}}, /c: {get: {operationId: c}}}", Options{})
	if len(api.Security) != 1 || len(api.Findings) != 2 || !api.Secured {
		t.Errorf("%+v, %+v", api.Security, api.Findings)
	}
	for i, want := range []int{1, 1, 0} {
		if got := len(api.Operations[i].Security); got != want {
			t.Errorf("%s needs %v", api.Operations[i].Name, api.Operations[i].Security)
		}
	}
}

// The operator can say otherwise, of all parameters of a name or of some operations'.
func TestOperatorSaysWhatAParameterIs(t *testing.T) {
	api := func(uses map[string]ParameterUse) (*API, error) {
		return Load(t.Context(), writeFile(t, "doc.yaml", v30+`paths:
  /tokens/revoke: {post: {operationId: revoke, parameters: [{name: access_token, in: query, schema: {type: string}}]}}
  /things: {get: {operationId: things, parameters: [{name: access_token, in: query, schema: {type: string}}, {name: k, in: query, schema: {type: string}}]}}
`), Options{Parameters: uses})
	}
	for _, tt := range []struct {
		uses map[string]ParameterUse
		want string // how many arguments each operation has
	}{
		{nil, "revoke 0 things 1"},
		{map[string]ParameterUse{"access_token": AsArgument}, "revoke 1 things 2"},
		{map[string]ParameterUse{"revoke access_token": AsArgument}, "revoke 1 things 1"},
		{map[string]ParameterUse{"/tokens/** access_token": AsArgument, "k": AsCredential}, "revoke 1 things 0"},
	} {
		a, err := api(tt.uses)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, op := range a.Operations {
			got = append(got, fmt.Sprintf("%s %d", op.Name, len(op.params)))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v: %v, want %s", tt.uses, got, tt.want)
		}
	}
	for key, want := range map[string]string{"acess_token": "no operation has", "things nothing": "no operation has", "access_token": "it can be argument, credential or segment"} {
		use := AsArgument
		if key == "access_token" {
			use = "ordinary"
		}
		if _, err := api(map[string]ParameterUse{key: use}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
