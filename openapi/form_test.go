package openapi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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

// Parts of a form may require the same, and the formData of Swagger 2.0 may
// refer to definitions.
func TestFormsCompile(t *testing.T) {
	for name, doc := range map[string]string{
		"required twice": v30 + `paths: {/a: {post: {operationId: a, requestBody: {content: {multipart/form-data: {schema: {allOf: [
  {required: [a, b], properties: {a: {type: array}}}, {required: [b, a, gone], properties: {b: {type: string}}}]}}}}}}}`,
		"formData": `{swagger: "2.0", info: {title: x, version: "1"}, host: a.test, definitions: {D: {type: string}}, paths: {/a: {post: {operationId: a,
  parameters: [{name: a, in: formData, required: true, type: array, items: {$ref: '#/definitions/D'}}, {name: b, in: formData, required: true, type: string}]}}}}`,
		"nullable": v30 + "paths: {/a: {post: {operationId: a, requestBody: {required: true, content: {" + formType + ": {schema: {type: object, nullable: true, required: [a, b], properties: {a: {}, b: {}}}}}}}}}",
	} {
		t.Run(name, func(t *testing.T) {
			op := one(t, loadText(t, doc, Options{}))
			if _, err := op.input.compiled(); err != nil {
				t.Fatalf("%v in %s", err, op.Input)
			}
			if r := encode(t, op, `{"body":{"a":["x"],"b":"y"}}`); len(r.Body) == 0 {
				t.Error("no body")
			}
		})
	}
}

// An object in a form without an encoding is written in brackets: decision 12.
func TestFormsDefaultToBrackets(t *testing.T) {
	form := func(encoding string) string {
		return strings.Replace(post("{type: object, properties: {o: {type: object}, l: {type: array}}}"+encoding), "application/json", formType, 1)
	}
	for encoding, want := range map[string]string{
		"":                                     "l=1&l=2&o%5Bk%5D%5Bn%5D=v&o%5Bx%5D=y",
		", encoding: {o: {style: deepObject}}": "l=1&l=2&o%5Bk%5D%5Bn%5D=v&o%5Bx%5D=y",
		", encoding: {o: {contentType: application/json}}": "l=1&l=2&o=%7B%22k%22%3A%7B%22n%22%3A%22v%22%7D%2C%22x%22%3A%22y%22%7D",
	} {
		op := one(t, loadText(t, form(encoding), Options{}))
		if r := encode(t, op, `{"body":{"o":{"x":"y","k":{"n":"v"}},"l":["1","2"]}}`); string(r.Body) != want {
			t.Errorf("%s: %s, want %s", encoding, r.Body, want)
		}
	}
	refusal(t, one(t, loadText(t, form(", encoding: {o: {style: form, explode: false}}"), Options{})), `{"body":{"o":{"k":{"n":"v"}}}}`)
}
