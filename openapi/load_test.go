package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

func TestSchemaTranslation(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nullable", `{type: string, nullable: true, enum: [a]}`, `{"enum":["a",null],"type":["string","null"]}`},
		{"exclusive bounds of 3.0", `{type: integer, minimum: 1, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false}`, `{"exclusiveMinimum":1,"maximum":9,"type":"integer"}`},
		{"items are always there", `{type: array}`, `{"items":{},"type":"array"}`},
		{"tuples", `{type: array, items: [{type: string}]}`, `{"prefixItems":[{"type":"string"}],"type":"array"}`},
		{"readOnly leaves", `{type: object, required: [id, n], properties: {id: {type: string, readOnly: true}, n: {type: string}}}`, `{"properties":{"n":{"type":"string"}},"required":["n"],"type":"object"}`},
		{"readOnly in another part of allOf", `{allOf: [{type: object, properties: {id: {type: string, readOnly: true}}}, {required: [id, n]}]}`, `{"allOf":[{"properties":{},"type":"object"},{"required":["n"]}]}`},
		{"readOnly of a part is not that of its properties", `{allOf: [{properties: {id: {readOnly: true}}}, {properties: {n: {type: object, required: [id], properties: {id: {type: string}}}}}]}`,
			`{"allOf":[{"properties":{},"type":"object"},{"properties":{"n":{"properties":{"id":{"type":"string"}},"required":["id"],"type":"object"}},"type":"object"}]}`},
		{"what hosts trip over", `{type: string, example: x, x-mcp-header: X, discriminator: {propertyName: y}, xml: {name: z}, title: t}`, `{"type":"string"}`},
		{"a pattern that is not RE2", `{type: string, pattern: '(?=a)'}`, `{"type":"string"}`},
		{"values that are no keywords' values", `{type: integer, minimum: "1", multipleOf: 0, enum: x}`, `{"type":"integer"}`},
		{"a negative length", `{type: string, minLength: -1, format: [x]}`, `{"type":"string"}`},
		{"unknown types", `{type: any}`, `{}`},
		{"files", `{type: string, format: binary}`, `{"contentEncoding":"base64","type":"string"}`},
		{"hidden characters", `{type: string, description: "a\u202Eb\u200Bc\u0007"}`, `{"description":"abc","type":"string"}`},
		{"boolean schemas", `{type: object, additionalProperties: false, properties: {a: true}}`, `{"additionalProperties":false,"properties":{"a":true},"type":"object"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op := one(t, loadText(t, post(tt.in), Options{}))
			if got := schemaAt(t, op, "properties", "body"); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if _, err := op.input.compiled(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReferences(t *testing.T) {
	api := loadText(t, post(`{$ref: '#/components/schemas/N'}`)+
		`components: {schemas: {N: {type: object, properties: {n: {$ref: '#/components/schemas/N'}, x: {$ref: '#/components/schemas/X'}}}, X: {type: string}, Unused: {type: string}}}`, Options{})
	if got, want := schemaAt(t, one(t, api), "$defs"), `{"N":{"properties":{"n":{"$ref":"#/$defs/N"},"x":{"$ref":"#/$defs/X"}},"type":"object"},"X":{"type":"string"}}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	circle := loadText(t, post(`{$ref: '#/components/schemas/A'}`)+`components: {schemas: {A: {$ref: '#/components/schemas/B'}, B: {$ref: '#/components/schemas/A'}}}`, Options{})
	if len(circle.Operations) != 0 || len(circle.Findings) != 1 || !strings.Contains(circle.Findings[0].Message, "circle") {
		t.Errorf("%+v", circle.Findings)
	}
	siblings := loadText(t, strings.Replace(post(`{$ref: '#/components/schemas/X', maxLength: 3}`), "3.0.3", "3.1.0", 1)+`components: {schemas: {X: {type: string}}}`, Options{})
	if got := schemaAt(t, one(t, siblings), "properties", "body"); got != `{"$ref":"#/$defs/X","maxLength":3}` {
		t.Error(got)
	}
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
		if _, name, ok := strings.Cut(pair, "="); ok && (!legalProperty.MatchString(name) || len(name) > maxName || name == "read" || name == "") {
			t.Errorf("the name %q", name)
		}
	}
}

func TestForms(t *testing.T) {
	api := loadText(t, v30+`components: {schemas: {B: {type: object, required: [z], properties: {z: {type: string, format: binary}}}}}
paths: {/a: {post: {operationId: a, requestBody: {content: {multipart/form-data: {schema: {allOf: [{$ref: '#/components/schemas/B'}, {properties: {n: {type: string}, img: {type: string}}}]},
  encoding: {img: {contentType: 'image/png, image/jpeg'}}}}}}}}`, Options{})
	op := one(t, api)
	want := map[string]field{
		"z": {Style: "form", Explode: true, Binary: true}, "n": {Style: "form", Explode: true},
		"img": {Style: "form", Explode: true, Binary: true, ContentType: "image/png, image/jpeg"},
	}
	if diff := cmp.Diff(want, op.body.Fields); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"z", "img"} {
		if got := schemaAt(t, op, "properties", "body", "properties", name); !strings.Contains(got, `"filename"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := schemaAt(t, op, "properties", "body", "required"); got != `["z"]` {
		t.Error(got)
	}
}

func TestSwagger2(t *testing.T) {
	api := loadText(t, `swagger: "2.0"
info: {title: Old, version: "1"}
host: API.example.com
basePath: /v2/
schemes: [http, https]
consumes: [application/json]
securityDefinitions: {b: {type: basic}, k: {type: apiKey, in: query, name: key}}
security: [{b: []}]
paths:
  /pets/{id}:
    parameters: [{name: id, in: path, required: true, type: integer}]
    put:
      operationId: putPet
      parameters: [{name: pet, in: body, required: true, schema: {$ref: '#/definitions/Pet'}}, {name: f, in: query, type: array, items: {type: string}, collectionFormat: pipes}]
    post:
      operationId: upload
      parameters: [{name: file, in: formData, type: file, required: true}, {name: note, in: formData, type: string}]
definitions: {Pet: {type: object, properties: {name: {type: string}}}}
`, Options{})
	if api.BaseURL != "https://api.example.com/v2" || api.Security["b"] != (SecurityScheme{Type: "http", Scheme: "basic"}) || len(api.Operations) != 2 {
		t.Fatalf("%+v", api)
	}
	put, upload := api.Operations[0], api.Operations[1]
	if put.Name != "put_pet" || put.body.Essence != "application/json" || put.params[1].Style != "pipeDelimited" || put.Security[0][0].Scheme != "b" {
		t.Errorf("%+v %+v", put, put.params)
	}
	if got := schemaAt(t, put, "required"); got != `["body","id"]` {
		t.Error(got)
	}
	if upload.body.Essence != multipartType || !upload.body.Fields["file"].Binary || !upload.body.Required {
		t.Errorf("%+v", upload.body)
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

func TestLoadErrors(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'k'; i++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	tests := []struct{ name, location, want string }{
		{"missing", filepath.Join(t.TempDir(), "no.yaml"), "no such file"},
		{"not OpenAPI", writeFile(t, "a.yaml", "hello: world"), "neither openapi nor swagger"},
		{"a newer version", writeFile(t, "a.yaml", "openapi: 4.0.0"), `"4.0.0"`},
		{"JSON", writeFile(t, "a.json", "{\"openapi\": \"3.0.0\",\n \"info\": }"), "a.json:2:"},
		{"YAML", writeFile(t, "a.yaml", "openapi: 3.0.0\ninfo: [1"), "YAML"},
		{"an alias bomb", writeFile(t, "a.yaml", "openapi: 3.0.0\n"+bomb), "a.yaml"},
		{"not UTF-8", writeFile(t, "a.yaml", "openapi: 3.0.0\xff"), "UTF-8"},
		{"empty", writeFile(t, "a.yaml", ""), "a.yaml"},
		{"404", srv.URL + "/openapi.yaml", "404"},
		{"plain http", "http://example.com/openapi.yaml", "https"},
		{"an empty folder", t.TempDir(), "no OpenAPI document"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(context.Background(), tt.location, Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
	doc := writeFile(t, "a.yaml", v30+"paths: {/pets: {get: {operationId: listPets, tags: [pets]}}}")
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{Include: []string{"listPet"}}, `did you mean "listPets"`},
		{Options{Exclude: []string{"tag:pet"}}, `did you mean "tag:pets"`},
		{Options{Effects: map[string]Effect{"listPets": "raed"}}, `"raed"`},
		{Options{Effects: map[string]Effect{"nope": Read}}, "matches no operation"},
		{Options{Name: "Bad Name"}, "not legal"},
	} {
		if _, err := Load(context.Background(), doc, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.o, err, tt.want)
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

func TestOversize(t *testing.T) {
	var values []string
	for i := range 30_000 {
		values = append(values, fmt.Sprintf("value%06d", i))
	}
	big := "{type: string, enum: [" + strings.Join(values, ",") + "]}"
	api := loadText(t, v30+`components: {schemas: {P: {type: string, enum: [x]}}}
paths: {/a: {post: {operationId: a, parameters: [{name: p, in: query, schema: {$ref: '#/components/schemas/P'}}], requestBody: {content: {application/json: {schema: `+big+`}}}}},
  /b: {get: {operationId: b, parameters: [{name: p, in: query, schema: `+big+`}]}}}`, Options{})
	op := one(t, api) // a parameter cannot be made generic: /b is left out
	if len(op.Input) > maxSchema || len(api.Findings) != 2 {
		t.Errorf("%d bytes, %+v", len(op.Input), api.Findings)
	}
	if _, err := op.Parse([]byte(`{"p":"x","body":{"any":"thing"}}`)); err != nil {
		t.Error(err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(post(`{$ref: '#/components/schemas/N'}`) + `components: {schemas: {N: {allOf: [{$ref: '#/components/schemas/N'}]}}}`))
	f.Add([]byte(`{"swagger":"2.0","paths":{"/a":{"get":{"parameters":[{"in":"body"}]}}}}`))
	f.Add([]byte("openapi: 3.2.0\npaths: {/a: {additionalOperations: {COPY: {}}, query: {requestBody: {content: {'*/*': {}}}}}}"))
	f.Add([]byte("openapi: 3.1.0\npaths: {'/a/{b}': {get: {parameters: [{name: b, in: path, schema: true}]}}}\nx: &x [*x]"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(dir, "doc.yaml")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		api, err := Load(context.Background(), file, Options{})
		if err != nil {
			return
		}
		for _, op := range api.Operations {
			if !json.Valid(op.Input) {
				t.Errorf("%s has an input schema that is no JSON: %s", op.Name, op.Input)
			}
			if args, err := op.Parse([]byte(`{}`)); err == nil {
				op.Encode(args)
			}
		}
	})
}

// BenchmarkLoad is GitHub's document: 13 MB, 1,223 operations.
func BenchmarkLoad(b *testing.B) {
	const doc = "../../shared/specs/github.json"
	if _, err := os.Stat(doc); err != nil {
		b.Skip("the document is not here")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var api *API
	for b.Loop() {
		var err error
		if api, err = Load(context.Background(), doc, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-kept")
	runtime.KeepAlive(api)
}
