package tools

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/exeat/exeat/openapi"
)

// A token of exeat's own has the scopes of one alternative, that for a bearer token.
func TestScopesOfAlternatives(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.yaml")
	if err := os.WriteFile(file, []byte(`
openapi: 3.1.0
info: {title: t, version: '1'}
servers: [{url: 'http://127.0.0.1:9'}]
security: [{OAuth: [all]}]
components:
  securitySchemes:
    Key: {type: apiKey, in: header, name: X-Key}
    OAuth: {type: oauth2, flows: {}}
    OIDC: {type: openIdConnect, openIdConnectUrl: 'https://id.example.com'}
paths:
  /first: {get: {operationId: first, security: [{OAuth: [a, b]}, {OIDC: [c]}]}}
  /second: {get: {operationId: second, security: [{Key: [role]}, {OAuth: [a]}]}}
  /both: {get: {operationId: both, security: [{Key: [role], OAuth: [a]}]}}
  /optional: {get: {operationId: optional, security: [{}, {OAuth: [a]}]}}
  /key: {get: {operationId: key, security: [{Key: [role]}, {}]}}
  /none: {get: {operationId: none, security: []}}
  /inherited: {get: {operationId: inherited}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Load(t.Context(), file, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"first": {"a", "b"}, "second": {"a"}, "both": {"a"}, "optional": {"a"}, "key": {"role"}, "none": nil, "inherited": {"all"}}
	if len(doc.Operations) != len(want) {
		t.Fatalf("%d operations", len(doc.Operations))
	}
	for _, op := range doc.Operations {
		if got := scopes(op); !slices.Equal(got, want[op.Name]) {
			t.Errorf("%s: %v, want %v", op.Name, got, want[op.Name])
		}
		for _, s := range scopes(op) {
			if !slices.Contains(anyScopes(op), s) {
				t.Errorf("%s: %s is not among %v", op.Name, s, anyScopes(op))
			}
		}
	}
}
