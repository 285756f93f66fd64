package openapi

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

const v30 = "openapi: 3.0.3\ninfo: {title: Test, version: '1'}\nservers: [{url: https://api.example.com/v1}]\n"

func loadText(t testing.TB, text string, o Options) *API {
	t.Helper()
	api, err := Load(context.Background(), writeFile(t, "doc.yaml", text), o)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// one is the only operation of an API.
func one(t testing.TB, api *API) *Operation {
	t.Helper()
	if len(api.Operations) != 1 {
		t.Fatalf("%d operations; findings: %+v", len(api.Operations), api.Findings)
	}
	return api.Operations[0]
}

// post is a document with one operation whose body has a schema.
func post(schema string) string {
	return v30 + "paths: {/a: {post: {operationId: a, requestBody: {required: true, content: {application/json: {schema: " + schema + "}}}}}}\n"
}

// schemaAt is a part of an operation's input schema.
func schemaAt(t testing.TB, op *Operation, steps ...string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(op.Input, &v); err != nil {
		t.Fatalf("%v: %s", err, op.Input)
	}
	for _, s := range steps {
		v = v.(map[string]any)[s]
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Names depend on nothing but the operation and on who else has its name.
func TestNames(t *testing.T) {
	names := func(paths string) string {
		var out []string
		for _, op := range loadText(t, v30+"paths: {"+paths+"}", Options{}).Operations {
			out = append(out, op.Method+" "+op.Path+"="+op.Name)
		}
		return strings.Join(out, " ")
	}
	if got := names("/a: {get: {operationId: getHTMLPage}}, /b: {get: {operationId: 'repos/get-content'}}, '/c/{x}': {get: {parameters: [{name: x, in: path, required: true, schema: {type: string}}]}}"); got != "GET /c/{x}=get_c_x GET /a=get_html_page GET /b=repos_get_content" {
		t.Error(got)
	}
	whole := names("/a: {get: {operationId: listPets}}, /b: {get: {operationId: list_pets}}")
	if swapped := names("/b: {get: {operationId: list_pets}}, /a: {get: {operationId: listPets}}"); whole != swapped {
		t.Errorf("the order counts: %s, %s", whole, swapped)
	}
	if broken := names("/a: {get: {operationId: listPets}}, /b: {get: {operationId: list_pets, x-exeat-effect: bad}}"); !strings.Contains(whole, broken) {
		t.Errorf("an operation that is left out renames another: %s, %s", whole, broken)
	}
	long := names("/a: {get: {operationId: " + strings.Repeat("abc", 30) + "}}, /b: {get: {operationId: read}}, /c: {get: {operationId: '???'}}")
	for _, pair := range strings.Fields(long) {
		if _, name, ok := strings.Cut(pair, "="); ok && (!legalName(name) || len(name) > maxName || name == "read" || name == "") {
			t.Errorf("the name %q", name)
		}
	}
}

func TestServerURLs(t *testing.T) {
	tests := []struct{ servers, option, want string }{
		{"[{url: 'https://{region}.example.com/{v}/', variables: {region: {default: EU}, v: {default: 2}}}]", "", "https://eu.example.com/2"},
		{"[{url: /api}]", "", ""},
		{"[{url: /api}]", "http://127.0.0.1:8080/x/", "http://127.0.0.1:8080/x"},
		{"[{url: 'https://{tenant}.example.com'}]", "", ""},
		{"[]", "", ""},
	}
	for _, tt := range tests {
		api := loadText(t, strings.Replace(v30, "[{url: https://api.example.com/v1}]", tt.servers, 1)+"paths: {}", Options{BaseURL: tt.option})
		if api.BaseURL != tt.want {
			t.Errorf("%s gives %q, want %q", tt.servers, api.BaseURL, tt.want)
		}
	}
	for _, bad := range []string{"ftp://x", "https://u:p@x", "https://x?q", "/x", "https://x#f"} {
		if _, err := Load(context.Background(), writeFile(t, "d.yaml", v30+"paths: {}"), Options{BaseURL: bad}); err == nil {
			t.Errorf("the base URL %s was taken", bad)
		}
	}
}

func TestFilters(t *testing.T) {
	doc := v30 + `paths: {/pets: {get: {operationId: listPets, tags: [pets]}, post: {operationId: addPet, tags: [pets]}},
  '/pets/{id}': {delete: {operationId: deletePet, parameters: [{name: id, in: path, required: true, schema: {type: string}}]}}, /x: {get: {operationId: x}}}`
	tests := []struct {
		include, exclude []string
		want             string
	}{
		{nil, nil, "add_pet delete_pet list_pets x"},
		{[]string{"tag:pets"}, nil, "add_pet list_pets"},
		{[]string{"/pets/*"}, nil, "delete_pet"},
		{[]string{"/pets**"}, []string{"DELETE"}, "add_pet list_pets"},
		{[]string{"GET", "deletePet"}, []string{"x"}, "delete_pet list_pets"},
	}
	for _, tt := range tests {
		var got []string
		for _, op := range loadText(t, doc, Options{Include: tt.include, Exclude: tt.exclude}).Operations {
			got = append(got, op.Name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v %v: %v, want %s", tt.include, tt.exclude, got, tt.want)
		}
	}
}

// What is opened for a document that cannot be read is closed, too.
func TestLoadClosesItsFolder(t *testing.T) {
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("this system does not list open files")
		}
		return len(list)
	}
	file := filepath.Join(t.TempDir(), "doc.yaml")
	if err := os.WriteFile(file, []byte("openapi: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the collector closes what was forgotten
	before := open()
	for range 20 {
		if _, err := Load(t.Context(), file, Options{}); err == nil {
			t.Fatal("it was read")
		}
	}
	if after := open(); after >= before+20 {
		t.Errorf("%d more files are open", after-before)
	}
}
