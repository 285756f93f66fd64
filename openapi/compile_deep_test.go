package openapi

import (
	"strings"
	"testing"
)

// What a style cannot carry is found at load, and written as vendors mean it.
func TestStylesThatCannotCarryTheirValues(t *testing.T) {
	list := "schema: {type: array, items: {type: object, properties: {name: {type: string}, n: {type: integer}}}}"
	object := "schema: {type: object, properties: {a: {type: string}, in: {type: object, properties: {b: {type: integer}}}, ids: {type: array, items: {type: integer}}}}"
	for _, tt := range []struct{ name, parameter, args, target, header, finding string }{
		{"a list of objects", "{name: f, in: query, " + list + "}", `{"f":[{"name":"x","n":1},{"name":"y"}]}`, "/v1/a?f%5B0%5D%5Bn%5D=1&f%5B0%5D%5Bname%5D=x&f%5B1%5D%5Bname%5D=y", "", "with brackets"},
		{"a list of lists", "{name: f, in: query, schema: {type: array, items: {type: array, items: {type: integer}}}}", `{"f":[[1,2],[3]]}`, "/v1/a?f%5B0%5D%5B%5D=1&f%5B0%5D%5B%5D=2&f%5B1%5D%5B%5D=3", "", "with brackets"},
		{"a list of objects by reference", "{name: f, in: query, schema: {type: array, items: {$ref: '#/components/schemas/O'}}}", `{"f":[{"name":"x"}]}`, "/v1/a?f%5B0%5D%5Bname%5D=x", "", "with brackets"},
		{"an exploded object that is flat", "{name: f, in: query, " + object + "}", `{"f":{"a":"x"}}`, "/v1/a?a=x", "", "with brackets"},
		{"an exploded object", "{name: f, in: query, " + object + "}", `{"f":{"a":"x","in":{"b":1},"ids":[1,2]}}`, "/v1/a?a=x&ids%5B%5D=1&ids%5B%5D=2&in%5Bb%5D=1", "", "with brackets"},
		{"an object that is not exploded", "{name: f, in: query, explode: false, " + object + "}", `{"f":{"a":"x","in":{"b":1}}}`, "/v1/a?f%5Ba%5D=x&f%5Bin%5D%5Bb%5D=1", "", "with brackets"},
		{"a header", "{name: X-F, in: header, " + list + "}", `{"X-F":[{"name":"x"}]}`, "/v1/a", `[{"name":"x"}]`, "as JSON"},
		{"what can be carried", "{name: f, in: query, schema: {type: array, items: {type: string}}}", `{"f":["x","y"]}`, "/v1/a?f=x&f=y", "", ""},
		{"what has a style for it", "{name: f, in: query, style: deepObject, " + object + "}", `{"f":{"in":{"b":1}}}`, "/v1/a?f%5Bin%5D%5Bb%5D=1", "", ""},
		{"what has a content type for it", "{name: f, in: query, content: {application/json: {" + list + "}}}", `{"f":[{"n":1}]}`, "/v1/a?f=%5B%7B%22n%22%3A1%7D%5D", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := loadText(t, v30+"paths: {/a: {get: {operationId: a, parameters: ["+tt.parameter+"]}}}\ncomponents: {schemas: {O: {type: object, properties: {name: {type: string}}}}}", Options{})
			r := encode(t, one(t, api), tt.args)
			if r.Target != tt.target || r.Header.Get("X-F") != tt.header {
				t.Errorf("%s, %q", r.Target, r.Header.Get("X-F"))
			}
			if (len(api.Findings) == 1) != (tt.finding != "") || tt.finding != "" && !strings.Contains(api.Findings[0].Message, tt.finding) {
				t.Errorf("%+v", api.Findings)
			}
		})
	}
	api := loadText(t, v30+"paths: {'/a/{f}': {get: {operationId: a, parameters: [{name: f, in: path, required: true, "+list+"}]}}}", Options{})
	if len(api.Operations) != 0 || len(api.Findings) != 1 || !strings.Contains(api.Findings[0].Message, "cannot be written into a path") {
		t.Errorf("%+v", api.Findings)
	}
}

// A name that a list of objects would write is not another parameter's.
func TestNestedValuesKeepToTheirNames(t *testing.T) {
	op := one(t, loadText(t, v30+`paths: {/a: {get: {operationId: a, parameters: [
 {name: f, in: query, schema: {type: object, properties: {in: {type: object}}, additionalProperties: true}}, {name: owner, in: query, schema: {type: string}}]}}}`, Options{}))
	for _, bad := range []string{`{"f":{"in":{"b":1},"owner":"me"}}`, `{"f":{"in":{"b":1},"owner[x]":"me"}}`, `{"f":{"in":{"b":1},"Owner":"me"}}`} {
		args, err := op.Parse([]byte(bad))
		if err != nil {
			continue // refused even before
		}
		if r, err := op.Encode(args); err == nil {
			t.Errorf("%s is sent as %s", bad, r.Target)
		}
	}
}

// Values of a path parameter that cannot be sent are found at load.
func TestPathValuesThatCannotBeSent(t *testing.T) {
	document := v30 + "paths: {'/a/{f}': {get: {operationId: a, parameters: [{name: f, in: path, required: true, schema: {type: string, enum: [x/y, ..]}}]}}}"
	if api := loadText(t, document, Options{}); len(api.Findings) != 1 || !strings.Contains(api.Findings[0].Message, "no value of the parameter f can go into a path") {
		t.Errorf("%+v", api.Findings)
	}
	if api := loadText(t, document, Options{Parameters: map[string]ParameterUse{"f": AsSegment}}); len(api.Findings) != 0 {
		t.Errorf("%+v", api.Findings)
	}
}
