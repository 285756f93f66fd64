package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
)

// Of several alternatives, what can be sent goes before what cannot, and what is made
// for the call before a standing key.
func TestCredentialAlternatives(t *testing.T) {
	t.Setenv("KEY_A", "aaaa")
	t.Setenv("KEY_B", "bbbb")
	file := filepath.Join(t.TempDir(), "doc.yaml")
	if err := os.WriteFile(file, []byte(`
openapi: 3.1.0
info: {title: t, version: '1'}
servers: [{url: 'http://127.0.0.1:9'}]
security: [{Key: []}]
components:
  securitySchemes:
    Key: {type: apiKey, in: header, name: X-Key}
    Other: {type: apiKey, in: header, name: X-Key}
    Query: {type: apiKey, in: query, name: q}
    Bearer: {type: http, scheme: bearer}
    Made: {type: oauth2, flows: {}}
    Missing: {type: http, scheme: basic}
paths:
  /a: {get: {operationId: second_is_there, security: [{Missing: []}, {Key: []}]}}
  /b: {get: {operationId: clash_then_key, security: [{Bearer: [], Made: [a]}, {Query: []}]}}
  /c: {get: {operationId: clash_only, security: [{Bearer: [], Made: [a]}]}}
  /d: {get: {operationId: same_header, security: [{Key: [], Other: []}]}}
  /e: {get: {operationId: made_before_standing, security: [{Bearer: []}, {Made: [a]}]}}
  /f: {get: {operationId: made_with_standing, security: [{Made: [a], Query: []}, {Key: []}]}}
  /g: {get: {operationId: of_all}}
  /h: {get: {operationId: optional, security: [{}, {Key: []}]}}
  /i: {get: {operationId: only_optional, security: [{}]}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Load(t.Context(), file, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	a, b := credentialConfig{Strategy: "static", Env: "KEY_A"}, credentialConfig{Strategy: "static", Env: "KEY_B"}
	attacher, err := apiConfig{Credentials: map[string]credentialConfig{"Key": a, "Other": b, "Query": a, "Bearer": b, "Made": {Strategy: "signed"}}}.attacher(config{}, doc, keys)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"second_is_there": "X-Key", "clash_then_key": "q", "made_before_standing": "a token", "made_with_standing": "a token and q",
		"of_all": "X-Key", "optional": "X-Key", "only_optional": "nothing",
		"clash_only":  "Bearer and Made together, which both go into the header Authorization",
		"same_header": "Key and Other together, which both go into the header X-Key",
	}
	for _, op := range doc.Operations {
		var got string
		switch by := attacher.(token.ByOperation)[op.Name].(type) {
		case token.Missing:
			got = by.Why
		case token.Together:
			var parts []string
			for _, p := range by {
				switch p := p.Attacher.(type) {
				case *token.Static:
					parts = append(parts, p.Placement.Name)
				case *token.Signed:
					parts = append(parts, "a token")
				}
			}
			got = strings.Join(parts, " and ")
			if got == "" {
				got = "nothing"
			}
		}
		if !strings.Contains(got, want[op.Name]) || want[op.Name] == "" {
			t.Errorf("%s: %q, want %q", op.Name, got, want[op.Name])
		}
	}
}
