package openapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSnake(t *testing.T) {
	for in, want := range map[string]string{
		"getHTMLPage": "get_html_page", "repos/get-content": "repos_get_content", "GitHub's API": "githubs_api", "GitHub v3 REST API": "github_v3_rest_api",
		"OpenAI API": "openai_api", "OAuth2Token": "oauth2_token", "it\u2019s": "its", "v1.1": "v1_1", "__a__b__": "a_b", "Zürich": "z_rich", "ПРИВЕТ": "",
		"listPets": "list_pets", "LIST": "list", "ABTest": "ab_test", "pets2Go": "pets2_go",
	} {
		if got := snake(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// The names of arguments depend on nothing but the parameters.
func TestArgumentNames(t *testing.T) {
	tests := []struct {
		params []string // place and name
		body   bool
		want   []string
	}{
		{[]string{"path id", "query id", "header id", "cookie id"}, false, []string{"id", "id_query", "id_header", "id_cookie"}},
		{[]string{"path id", "query ID"}, false, []string{"id", "ID_query"}},
		{[]string{"path id", "query id", "query id_query"}, false, []string{"id", "id_query_2", "id_query"}},
		{[]string{"query a[]", "query a[b]", "query a"}, false, []string{"a_query", "a_b", "a"}},
		{[]string{"query f[", "query f]"}, false, []string{"f", "f_query"}},
		{[]string{"query body"}, true, []string{"body_query"}},
		{[]string{"query Body"}, true, []string{"Body_query"}},
		{[]string{"query body"}, false, []string{"body"}},
		{[]string{"query $", "query ?"}, false, []string{"query", "query_query"}},
		{[]string{"header " + strings.Repeat("a", 90)}, false, []string{strings.Repeat("a", 50)}},
	}
	for _, tt := range tests {
		var list []parameter
		for _, p := range tt.params {
			in, name, _ := strings.Cut(p, " ")
			list = append(list, parameter{in: in, name: name})
		}
		if d := cmp.Diff(tt.want, argumentNames(list, tt.body)); d != "" {
			t.Errorf("%v: %s", tt.params, d)
		}
	}
	x, y := `{name: "id", in: query, schema: {type: integer}}`, `{name: "f[]", in: query, schema: {type: boolean}}`
	load := func(a, b string) string {
		paths := "paths: {'/{id}': {get: {operationId: a, parameters: [%s, %s, {name: id, in: path, required: true, schema: {type: string}}]}}}"
		return schemaAt(t, one(t, loadText(t, v30+fmt.Sprintf(paths, a, b), Options{})), "properties")
	}
	if got := load(x, y); got != load(y, x) || got != `{"f":{"type":"boolean"},"id":{"type":"string"},"id_query":{"type":"integer"}}` {
		t.Error(got)
	}
}

// Another operation can be called what a suffix makes of two.
func TestNamesAreUnique(t *testing.T) {
	taken := ""
	for range 3 { // each time the name that a clash leads to is claimed, too
		paths := "/a: {get: {operationId: listPets}}, /b: {get: {operationId: list_pets}}"
		if taken != "" {
			paths += ", /c: {get: {operationId: " + taken + "}}"
		}
		names := map[string]bool{}
		ops := loadText(t, v30+"paths: {"+paths+"}", Options{}).Operations
		for _, op := range ops {
			names[op.Name] = true
			if op.Path == "/a" {
				taken = op.Name
			}
			if len(op.Name) > maxName {
				t.Error(op.Name)
			}
		}
		if len(names) != len(ops) {
			t.Errorf("%d names for %d operations: %v", len(names), len(ops), names)
		}
	}
}

// What is wrong with one operation renames no other.
func TestNamesOfWhatIsLeftOut(t *testing.T) {
	const kept = "/a: {get: {operationId: listPets}}, "
	var names []string
	for _, other := range []string{
		"/b: {get: {operationId: list_pets}}", "/b: {get: {operationId: list_pets, x-exeat-effect: bad}}", "/b/..: {get: {operationId: list_pets}}",
		"/b: {get: {operationId: list_pets, parameters: [{name: x}]}}",
	} {
		for _, op := range loadText(t, v30+"paths: {"+kept+other+"}", Options{}).Operations {
			if op.Path == "/a" {
				names = append(names, op.Name)
			}
		}
	}
	if len(names) != 4 || names[0] == "list_pets" || names[1] != names[0] || names[2] != names[0] || names[3] != names[0] {
		t.Error(names)
	}
}
