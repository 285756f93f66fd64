package openapi

import (
	"fmt"
	"strings"
	"testing"
)

// What no value could satisfy, as it is written, is read as people mean it, and noted.
func TestContradictions(t *testing.T) {
	closed := `
components:
  schemas:
    Base: {type: object, additionalProperties: false, required: [id], properties: {id: {type: integer}}}
    More: {type: object, additionalProperties: false, properties: {name: {type: string}}}
    Both: {allOf: [{$ref: '#/components/schemas/Base'}, {$ref: '#/components/schemas/More'}]}
`
	for _, tt := range []struct {
		name, schema string
		good, bad    []string
		finding      string
	}{
		{"allOf of two closed objects", "{allOf: [{$ref: '#/components/schemas/Base'}, {$ref: '#/components/schemas/More'}]}", []string{`{"id":1,"name":"x"}`, `{"id":1}`}, []string{`{"name":"x"}`, `{"id":1,"other":2}`, `{"id":"x"}`, `7`}, "allow no properties of each other"},
		{"closed inline", "{allOf: [{type: object, additionalProperties: false, properties: {a: {type: string}}}, {type: object, additionalProperties: false, properties: {b: {type: string}}}]}", []string{`{"a":"x","b":"y"}`}, []string{`{"c":1}`}, "allow no properties of each other"},
		{"closed beside allOf", "{type: object, additionalProperties: false, properties: {b: {type: string}}, allOf: [{$ref: '#/components/schemas/Base'}]}", []string{`{"id":1,"b":"y"}`}, []string{`{"id":1,"c":1}`}, "allow no properties of each other"},
		{"closed by a reference", "{$ref: '#/components/schemas/Both'}", []string{`{"id":1,"name":"x"}`}, []string{`{"id":1,"other":2}`}, "allow no properties of each other"},
		{"closed within closed", "{allOf: [{$ref: '#/components/schemas/Both'}, {type: object, properties: {z: {type: integer}}}]}", []string{`{"id":1,"name":"x","z":1}`}, []string{`{"id":1,"other":2}`}, "allow no properties of each other"},
		{"one closed that knows all", "{allOf: [{type: object, properties: {id: {minimum: 5}}}, {$ref: '#/components/schemas/Base'}]}", []string{`{"id":7}`}, []string{`{"id":1}`, `{"id":7,"x":1}`}, ""},
		{"a closed property stays closed", "{allOf: [{$ref: '#/components/schemas/More'}, {type: object, properties: {in: {$ref: '#/components/schemas/Base'}}}]}", []string{`{"name":"x","in":{"id":1}}`}, []string{`{"in":{"id":1,"name":"x"}}`}, "allow no properties of each other"},
		{"texts that look like numbers", "{type: string, enum: [007, 1.10, null]}", []string{`"007"`, `"1.10"`, `"null"`}, []string{`7`, `1.1`, `"7"`, `"1.1"`, `null`}, ""},
		{"texts that look like booleans", "{type: string, enum: [yes, True, on, 0x1F]}", []string{`"yes"`, `"True"`, `"on"`, `"0x1F"`}, []string{`true`, `31`}, ""},
		{"null where it can be", "{type: string, nullable: true, enum: [a, null]}", []string{`"a"`, `null`}, []string{`"null"`}, ""},
		{"numbers as texts", "{type: integer, enum: ['1', '2', 2]}", []string{`1`, `2`}, []string{`"+1"`, `3`}, ""},
		{"booleans as texts", "{type: boolean, enum: ['true']}", []string{`true`}, []string{`false`, `"True"`}, ""},
		{"values twice", "{type: string, enum: [a, b, a]}", []string{`"a"`, `"b"`}, []string{`"c"`}, ""},
		{"values of another type", "{type: integer, enum: [a, b]}", []string{`1`}, []string{`"a"`}, "no value of an enum is of the type"},
		{"plain values of an object", "{type: object, enum: [a, b]}", []string{`"a"`}, []string{`{}`, `"c"`}, "an object has an enum of plain values"},
		{"some values of another type", "{type: integer, enum: [1, x]}", []string{`1`}, []string{`2`}, ""},
		{"an enum of a list", "{type: array, items: {type: string}, enum: [a, b]}", []string{`["a","b"]`}, []string{`["c"]`, `"a"`}, "read as that of its items"},
		{"a const of another type", "{type: integer, const: x}", []string{`1`}, []string{`"x"`}, "a const is not of the type"},
		{"a const as a text", "{type: string, const: 010}", []string{`"010"`}, []string{`8`, `"8"`}, ""},
		{"bounds", "{type: integer, minimum: 10, maximum: 1}", []string{`5`, `50`}, []string{`"x"`}, "minimum is above maximum"},
		{"open bounds", "{type: number, minimum: 1, exclusiveMaximum: true, maximum: 1}", []string{`1`}, nil, "minimum is above exclusiveMaximum"},
		{"lengths", "{type: string, minLength: 9, maxLength: 3}", []string{`"abcd"`}, nil, "minLength is above maxLength"},
		{"items", "{type: array, items: {}, minItems: 3, maxItems: 2}", []string{`[1]`}, nil, "minItems is above maxItems"},
		{"required and not allowed", "{type: object, additionalProperties: false, required: [b], properties: {a: {type: string}}}", []string{`{"b":1}`, `{"a":"x","b":{}}`}, []string{`{"a":"x"}`, `{"b":1,"c":1}`}, `"b" is required and not described`},
		{"more properties than there are", "{type: object, additionalProperties: false, minProperties: 3, properties: {a: {type: string}}}", []string{`{"a":"x"}`}, nil, "minProperties asks for more"},
		{"an enum against its pattern", "{type: string, enum: [a, b], pattern: '^[A-Z]+$', minLength: 2, maxLength: 9}", []string{`"a"`}, []string{`"A"`, `"c"`}, "keeps to its minLength"},
		{"an enum against its bounds", "{type: integer, enum: [1, 2], minimum: 10}", []string{`1`}, []string{`10`}, "keeps to its minimum"},
		{"an enum that keeps to them in part", "{type: string, enum: [a, BB], pattern: '^[A-Z]+$'}", []string{`"BB"`}, []string{`"a"`}, ""},
		{"a pattern that is none", "{type: string, pattern: '(?<=x)y'}", []string{`"z"`}, nil, "not checked"},
		{"an integer beside a number", "{allOf: [{type: number}, {type: integer}]}", []string{`1`}, []string{`1.5`}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := loadText(t, post(tt.schema)+closed, Options{})
			op := one(t, api)
			for _, good := range tt.good {
				if _, err := op.Parse([]byte(fmt.Sprintf(`{"body":%s}`, good))); err != nil {
					t.Errorf("%s: %v: %s", good, err, op.Input)
				}
			}
			for _, bad := range tt.bad {
				if _, err := op.Parse([]byte(fmt.Sprintf(`{"body":%s}`, bad))); err == nil {
					t.Errorf("%s is taken by %s", bad, op.Input)
				}
			}
			if (len(api.Findings) > 0) != (tt.finding != "") || len(api.Findings) > 0 && (!strings.Contains(api.Findings[0].Message, tt.finding) || api.Findings[0].LeftOut) {
				t.Errorf("findings %+v", api.Findings)
			}
			for _, p := range Profiles() {
				offeredTo(t, op, p, DefaultBudget, nil)
			}
		})
	}
}
