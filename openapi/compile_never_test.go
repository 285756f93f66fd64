package openapi

import (
	"fmt"
	"strings"
	"testing"
)

// A tool whose arguments can never fit is left out with the reason. One of which only
// a part that may be left out never fits is offered, and says so there.
func TestNeverFits(t *testing.T) {
	shared := `
components:
  schemas:
    Text: {type: string}
    Number: {type: integer, minimum: 5}
    Clash: {allOf: [{$ref: '#/components/schemas/Text'}, {$ref: '#/components/schemas/Number'}]}
    Endless: {type: object, required: [in], properties: {in: {$ref: '#/components/schemas/Endless'}}}
    Loop: {required: [a], properties: {a: {type: string}}, allOf: [{$ref: '#/components/schemas/Loop'}], anyOf: [{$ref: '#/components/schemas/Loop'}]}
    List: {type: object, required: [next], properties: {next: {anyOf: [{$ref: '#/components/schemas/List'}, {type: 'null'}]}}}
    Tree: {type: object, required: [children], properties: {children: {type: array, items: {$ref: '#/components/schemas/Tree'}}}}
    Full: {type: object, required: [children], properties: {children: {type: array, minItems: 1, items: {$ref: '#/components/schemas/Full'}}}}
    Needs: {allOf: [{$ref: '#/components/schemas/Tree'}, {type: object, required: [a], properties: {a: {$ref: '#/components/schemas/Clash'}}}]}
`
	for _, tt := range []struct{ schema, why string }{
		{`{allOf: [{type: string}, {type: integer}]}`, "allOf has parts of different types"},
		{`{type: object, allOf: [{$ref: '#/components/schemas/Text'}]}`, "allOf has parts of different types"},
		{`{$ref: '#/components/schemas/Clash'}`, "allOf has parts of different types"},
		{`{$ref: '#/components/schemas/Needs'}`, "a is required, and of it: allOf has parts of different types"},
		{`{allOf: [{type: string, enum: [a]}, {enum: [b]}]}`, "no value in common"},
		{`{allOf: [{enum: [1, 2]}, {type: string}]}`, "no value in common"},
		{`{allOf: [{const: a}, {enum: [b, c]}]}`, "no value in common"},
		{`{allOf: [{$ref: '#/components/schemas/Number'}, {maximum: 4}]}`, "a minimum above their maximum"},
		{`{allOf: [{type: array, items: {}, minItems: 3}, {maxItems: 2}]}`, "a minItems above their maxItems"},
		{`{type: object, required: [a], properties: {a: {anyOf: [{$ref: '#/components/schemas/Clash'}, {allOf: [{type: boolean}, {type: object}]}]}}}`, "a is required, and of it: of its alternatives: allOf has"},
		{`{type: object, required: [a], allOf: [{properties: {a: {type: string}}}, {properties: {a: {type: object}}}]}`, "a is required, and of it: allOf has parts of different types"},
		{`{type: object, oneOf: [{type: string}, {type: array, items: {}}]}`, "of its alternatives: allOf has"},
		{`{type: array, minItems: 1, items: {$ref: '#/components/schemas/Clash'}}`, "of its items: allOf has"},
		{`{type: object, required: [a], properties: {a: false}}`, "a is required, and of it: it may not be given"},
		{`{$ref: '#/components/schemas/Endless'}`, "within itself without end"},
		{`{$ref: '#/components/schemas/Full'}`, "within itself without end"},

		{`{$ref: '#/components/schemas/Loop'}`, ""},
		{`{allOf: [{$ref: '#/components/schemas/Tree'}], anyOf: [{$ref: '#/components/schemas/Tree'}, {type: string}]}`, ""},
		{`{allOf: [{$ref: '#/components/schemas/Tree'}, {$ref: '#/components/schemas/Tree'}]}`, ""},
		{`{$ref: '#/components/schemas/List'}`, ""},
		{`{$ref: '#/components/schemas/Tree'}`, ""},
		{`{type: array, items: {$ref: '#/components/schemas/Clash'}}`, ""},
		{`{type: object, properties: {a: {$ref: '#/components/schemas/Clash'}}}`, ""},
		{`{required: [a], properties: {a: {allOf: [{type: string}, {type: object}]}}, type: [object, 'null']}`, ""},
		{`{anyOf: [{$ref: '#/components/schemas/Clash'}, {type: string}]}`, ""},
		{`{allOf: [{type: [string, integer]}, {type: number}]}`, ""},
		{`{allOf: [{enum: [a, 1]}, {type: integer}]}`, ""},
		{`{allOf: [{minLength: 9}, {maxLength: 3}]}`, ""}, // a number
		{`{type: object, allOf: [{properties: {a: {type: string}}}, {required: [a]}]}`, ""},
	} {
		body := fmt.Sprintf(`openapi: 3.1.0
info: {title: T, version: '1'}
servers: [{url: 'https://api.example.com'}]
paths:
  /a: {post: {operationId: a, requestBody: {required: %%t, content: {application/json: {schema: %s}}}}}
`, tt.schema) + shared
		api := loadText(t, fmt.Sprintf(body, true), Options{})
		if tt.why == "" {
			if len(api.Operations) != 1 {
				t.Errorf("%s: %+v", tt.schema, api.Findings)
			}
			continue
		}
		if len(api.Operations) != 0 || !api.Findings[0].LeftOut || !strings.Contains(api.Findings[0].Message, "no arguments can fit its schema: body is required, and of it: ") || !strings.Contains(api.Findings[0].Message, tt.why) {
			t.Errorf("%s: %d %+v, want %s", tt.schema, len(api.Operations), api.Findings, tt.why)
		}
		api = loadText(t, fmt.Sprintf(body, false), Options{})
		op := one(t, api)
		if !strings.Contains(string(op.Input), "No value fits what the API's document says of this. Leave it out.") || len(api.Findings) == 0 || api.Findings[0].LeftOut || !strings.Contains(api.Findings[0].Message, "no value fits") {
			t.Errorf("%s: %s %+v", tt.schema, op.Input, api.Findings)
		}
		if _, err := op.Parse([]byte(`{}`)); err != nil {
			t.Errorf("%s: without a body: %v", tt.schema, err)
		}
	}
}

// However a document refers to itself, the look at it ends.
func TestNeverFitsEnds(t *testing.T) {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "    S%d: {type: object, required: [a, b], properties: {a: {$ref: '#/components/schemas/S%d'}, b: {$ref: '#/components/schemas/S%d'}}}\n", i, (i+1)%40, (i+7)%40)
	}
	api := loadText(t, `openapi: 3.1.0
info: {title: T, version: '1'}
servers: [{url: 'https://api.example.com'}]
paths:
  /a: {post: {operationId: a, requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/S0'}}}}}}
components:
  schemas:
`+b.String(), Options{})
	if len(api.Operations) != 0 {
		t.Error("it has itself within itself")
	}
}
