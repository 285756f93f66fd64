package openapi

import (
	"strings"
	"testing"
)

// What says nothing of its type is offered with the types that it may have, wherever
// it stands, and takes what it took.
func TestUntypedIsOfferedWithTypes(t *testing.T) {
	doc := loadText(t, `openapi: 3.1.0
info: {title: T, version: "1"}
servers: [{url: https://api.example.com}]
paths:
  /x:
    post:
      operationId: x
      parameters:
        - {name: bare, in: query, schema: {}}
        - {name: none, in: query}
        - {name: said, in: query, description: what it is, schema: {description: anything, nullable: true}}
        - {name: open, in: query, schema: true}
        - {name: either, in: query, schema: {anyOf: [{}, {type: string}]}}
      requestBody:
        content:
          application/json:
            schema:
              required: [a, undescribed]
              additionalProperties: false
              properties:
                a: {}
                b: {description: anything}
                c: {nullable: true, title: x}
                list: {type: array, items: {}}
                any: {$ref: "#/components/schemas/Any"}
                one: {enum: [1]}
                not: {not: {type: string}}
components:
  schemas:
    Any: {description: can be anything}
`, Options{})
	op := doc.Operations[0]
	list := `"type":["object","array","string","number","boolean","null"]`
	for pointer, want := range map[string]string{
		"/properties/bare": `"type":["object","array","string","number","boolean"]`, "/properties/none": `"type":["object","array","string","number","boolean"]`,
		"/properties/said": `"type":["object","array","string","number","boolean"]`, "/properties/open": `"type":["object","array","string","number","boolean"]`,
		"/properties/body/properties/a": list, "/properties/body/properties/b": list, "/properties/body/properties/c": list, "/properties/body/properties/undescribed": list,
		"/properties/body/properties/list/items": list, "/$defs/Any": list,
		"/properties/body/properties/one": `{"enum":[1]}`, "/properties/body/properties/not": `{"not":{"type":"string"}}`,
	} {
		got, err := op.Describe(Generic, pointer)
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %s %v, want %s", pointer, got, err, want)
		}
	}
	for in, want := range map[string]string{
		`{"bare":"{\"a\":1}","body":{"a":"{\"a\":1}","undescribed":null}}`:                 `{"bare":"{\"a\":1}","body":{"a":"{\"a\":1}","undescribed":null}}`,
		`{"bare":null,"none":1,"body":{"a":1,"undescribed":[1],"any":null,"list":[null]}}`: `{"body":{"a":1,"any":null,"list":[null],"undescribed":[1]},"none":1}`,
	} {
		args, err := op.Parse([]byte(in))
		if err != nil || string(args.Canonical()) != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
	for _, p := range Profiles() {
		if schema, _ := op.Offer(p, 0); strings.Contains(string(schema), `"bare":{}`) || strings.Contains(string(schema), `"a":{}`) {
			t.Errorf("%s: %s", p, schema)
		}
	}
}
