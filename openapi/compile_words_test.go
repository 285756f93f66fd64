package openapi

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// What a document says for people to read reaches who reads the schema.
func TestWordsAreKept(t *testing.T) {
	for _, tt := range []struct{ name, document, want string }{
		{"a parameter's example", v30 + `paths: {/a: {get: {operationId: a, parameters: [{name: q, in: query, description: the query, example: 'status:open', schema: {type: string}}]}}}`,
			`"q":{"description":"the query\nExample: status:open","type":"string"}`},
		{"a parameter's examples", v30 + `paths: {/a: {get: {operationId: a, parameters: [{name: q, in: query, examples: {one: {value: 'a:b'}, two: {$ref: '#/components/examples/two'}}, schema: {type: string}}]}}}
components: {examples: {two: {value: 'c:d'}}}`, `"description":"Examples: a:b; c:d"`},
		{"the example of a parameter's content", v30 + `paths: {/a: {get: {operationId: a, parameters: [{name: q, in: query, description: the query, content: {application/json: {example: {f: 'status:open'}, schema: {type: object}}}}]}}}`,
			`"description":"the query\nExample: {\"f\":\"status:open\"}"`},
		{"the examples of a parameter's content", v30 + `paths: {/a: {get: {operationId: a, parameters: [{name: q, in: query, content: {application/json: {examples: {one: {value: [1]}, two: {$ref: '#/components/examples/two'}}, schema: {type: array, items: {type: integer}}}}}]}}}
components: {examples: {two: {value: [2]}}}`, `"description":"Examples: [1]; [2]"`},
		{"the example of a path parameter that is text", v30 + `paths: {'/a/{q}': {get: {operationId: a, parameters: [{name: q, in: path, required: true, content: {text/plain: {example: 'x;y', schema: {type: string}}}}]}}}`,
			`"description":"Example: x;y"`},
		{"the examples of a parameter and its content", v30 + `paths: {/a: {get: {operationId: a, parameters: [{name: q, in: query, example: a1, content: {application/json: {example: b1, schema: {type: string, example: c1}}}}]}}}`,
			`"description":"Examples: a1; b1"`},
		{"a media type of a parameter by reference (3.2)", `{openapi: 3.2.0, info: {title: T, version: '1'}, servers: [{url: 'https://api.example.com'}], paths: {/a: {get: {operationId: a, parameters: [{name: q, in: query, content: {application/json: {$ref: '#/components/mediaTypes/M'}}}]}}}, components: {mediaTypes: {M: {schema: {type: string}, examples: {one: {dataValue: d1}}}}}}`,
			`"description":"Example: d1"`},
		{"an example in the schema of a parameter", v30 + `paths: {/a: {get: {operationId: a, parameters: [{name: q, in: query, schema: {type: string, example: 'x:y', description: inner}}]}}}`,
			`"description":"inner\nExample: x:y"`},
		{"x-example of 2.0", `{swagger: '2.0', info: {title: T, version: '1'}, host: api.example.com, paths: {/a: {get: {operationId: a, parameters: [{name: q, in: query, type: string, x-example: 'k=v'}]}}}}`,
			`"description":"Example: k=v"`},
		{"a request body's description", v30 + `paths: {/a: {post: {operationId: a, requestBody: {description: what to make, content: {application/json: {schema: {type: object, description: a thing}}}}}}}`,
			`"description":"what to make\na thing"`},
		{"a request body's description beside a reference", v30 + `paths: {/a: {post: {operationId: a, requestBody: {description: what to make, content: {application/json: {schema: {$ref: '#/components/schemas/T'}}}}}}}
components: {schemas: {T: {type: object, properties: {n: {type: string, example: Rex}}}}}`, `"body":{"$ref":"#/$defs/T","description":"what to make"}`},
		{"an example of a property", v30 + `paths: {/a: {post: {operationId: a, requestBody: {content: {application/json: {schema: {type: object, properties: {n: {type: string, example: Rex}}}}}}}}}`,
			`"n":{"description":"Example: Rex","type":"string"}`},
		{"an example of a body", v30 + `paths: {/a: {post: {operationId: a, requestBody: {content: {application/json: {example: {n: Rex}, schema: {type: object}}}}}}}`,
			`"description":"Example: {\"n\":\"Rex\"}"`},
		{"names of an enum", v30 + `paths: {/a: {get: {operationId: a, parameters: [{name: s, in: query, schema: {type: integer, enum: [0, 1], x-enum-varnames: [OPEN, SHUT]}}]}}}`,
			`"description":"Values: 0 = OPEN, 1 = SHUT"`},
		{"names and meanings of an enum", v30 + `paths: {/a: {post: {operationId: a, requestBody: {content: {application/json: {schema: {type: object, properties: {s: {type: integer, enum: [0, 1], x-enumNames: [OPEN, SHUT], x-enum-descriptions: [it is open, it is shut]}}}}}}}}}`,
			`"description":"Values: 0 = OPEN: it is open, 1 = SHUT: it is shut"`},
		{"a parameter that is deprecated", v30 + `paths: {/a: {get: {operationId: a, parameters: [{name: q, in: query, deprecated: true, schema: {type: string}}]}}}`, `"description":"(deprecated)"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			op := one(t, loadText(t, tt.document, Options{}))
			if !strings.Contains(string(op.Input), tt.want) {
				t.Errorf("no %s in %s", tt.want, op.Input)
			}
		})
	}
	op := one(t, loadText(t, v30+`paths: {/a: {summary: Things, description: of all kinds, get: {operationId: a}}}`, Options{}))
	if op.Summary != "Things" || op.Description != "of all kinds" {
		t.Errorf("%q, %q", op.Summary, op.Description)
	}
}

// A text is cut after a word, and not within what means something only whole.
func TestTextsAreCutBetweenWords(t *testing.T) {
	long := strings.Repeat("word ", 40)
	for _, tt := range []struct {
		name, text string
		most       int
		want       string
	}{
		{"short", "a few words", 20, "a few words"},
		{"a word", "several words here", 12, "several…"},
		{"after a word", "several words here", 16, "several words…"},
		{"a link", "see [the guide](https://example.com/guide) first", 30, "see…"},
		{"a link's words", "see [the long guide](https://example.com/guide) first", 16, "see…"},
		{"an image", "see ![the picture](https://example.com/p.png) first", 36, "see…"},
		{"a tag", "see <a href='https://example.com/a b'>this</a> first", 34, "see…"},
		{"a code span", "call `GET /things/{id}` first", 16, "call…"},
		{"less than", "if a < b then more words follow", 22, "if a < b then more…"},
		{"two spans", "call `a` and `b` and then some", 22, "call `a` and `b`…"},
		{"letters of several bytes", strings.Repeat("ä", 30), 20, strings.Repeat("ä", 8) + "…"},
		{"no room", "words", 3, ""},
		{"a fence at the end", long + "\n```json\n{\"a\": 1}\n```\nafter", len(long) + 14, strings.TrimSpace(long) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := cutText(tt.text, tt.most)
			if got != tt.want || len(got) > tt.most {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	fence := "Say:\n```\n" + strings.Repeat("line of code\n", 40) + "```\nafter"
	for most := 3; most < len(fence)+2; most++ {
		got := cutText(fence, most)
		if len(got) > most || strings.Count(got, "```")%2 == 1 || !utf8.ValidString(got) {
			t.Fatalf("in %d: %d bytes, %q", most, len(got), got)
		}
	}
	if got := cutText(fence, 200); !strings.Contains(got, "line of code\nline") || !strings.HasSuffix(got, "\n```\n…") {
		t.Errorf("%q", got)
	}
}

const animals = `
components:
  schemas:
    Pet: {type: object, required: [kind], properties: {kind: {type: string}, name: {type: string}}DISCRIMINATOR}
    Cat: {allOf: [{$ref: '#/components/schemas/Pet'}, {type: object, required: [lives], properties: {lives: {type: integer}}}]}
    Dog: {allOf: [{$ref: '#/components/schemas/Pet'}, {type: object, properties: {trick: {type: string}}}]}
    Puppy: {allOf: [{$ref: '#/components/schemas/Dog'}, {type: object, properties: {age: {type: integer}}}]}
`

func TestDiscriminatorValues(t *testing.T) {
	body := func(schema string) string {
		return v30 + "paths: {/a: {post: {operationId: a, requestBody: {required: true, content: {application/json: {schema: " + schema + "}}}}}}\n"
	}
	swagger := `{swagger: '2.0', info: {title: T, version: '1'}, host: api.example.com, paths: {/a: {post: {operationId: a, parameters: [{name: b, in: body, required: true, schema: {$ref: '#/definitions/Pet'}}]}}}, definitions: {
  Pet: {type: object, discriminator: kind, required: [kind], properties: {kind: {type: string}}},
  Cat: {allOf: [{$ref: '#/definitions/Pet'}, {type: object, required: [lives], properties: {lives: {type: integer}}}]},
  Dog: {x-ms-discriminator-value: doggy, allOf: [{$ref: '#/definitions/Pet'}, {type: object, properties: {trick: {type: string}}}]}}}`
	mapping := ", discriminator: {propertyName: kind, mapping: {cat: '#/components/schemas/Cat', dog: Dog, puppy: '#/components/schemas/Puppy'}}"
	union := "{oneOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}]" + mapping + "}"
	without := strings.Replace(animals, "DISCRIMINATOR", "", 1)
	mapped := strings.Replace(animals, "DISCRIMINATOR", mapping, 1)
	named := strings.Replace(animals, "DISCRIMINATOR", ", discriminator: {propertyName: kind}", 1)
	pet := "{$ref: '#/components/schemas/Pet'}"
	for _, tt := range []struct {
		name, document string
		good, bad      []string
		shows          string
	}{
		{"a mapping", body(union) + without, []string{`{"kind":"cat","lives":9}`, `{"kind":"dog"}`}, []string{`{"kind":"cat"}`, `{"kind":"fish"}`, `{"kind":"Cat","lives":9}`, `"cat"`}, `"const":"cat"`},
		{"names in the place of a mapping", body("{oneOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}], discriminator: {propertyName: kind}}") + without,
			[]string{`{"kind":"Cat","lives":9}`, `{"kind":"Dog"}`}, []string{`{"kind":"fish"}`}, `"const":"Cat"`},
		{"two values of one kind", body("{anyOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}], discriminator: {propertyName: kind, mapping: {cat: Cat, dog: Dog, hound: Dog}}}") + without,
			[]string{`{"kind":"hound"}`, `{"kind":"dog"}`}, []string{`{"kind":"wolf"}`}, `"enum":["dog","hound"]`},
		{"children by allOf", body(pet) + named, []string{`{"kind":"Cat","lives":9}`, `{"kind":"Puppy","age":1}`, `{"kind":"Pet"}`}, []string{`{"kind":"Cat"}`, `{"kind":"fish"}`}, `"lives"`},
		{"children by allOf, with a mapping", body(pet) + mapped, []string{`{"kind":"cat","lives":9}`, `{"kind":"puppy","age":1}`}, []string{`{"kind":"cat"}`, `{"kind":"fish"}`}, `"const":"puppy"`},
		{"children within a list", body("{type: array, items: "+pet+"}") + named, []string{`[{"kind":"Cat","lives":9},{"kind":"Dog","trick":"sit"}]`}, []string{`[{"kind":"fish"}]`}, `"trick"`},
		{"one child alone", body("{$ref: '#/components/schemas/Cat'}") + named, []string{`{"kind":"x","lives":9}`}, []string{`{"kind":"Cat"}`}, `"lives"`},
		{"the values of an enum", body(pet) + strings.Replace(strings.Replace(named, "kind: {type: string}", "kind: {type: string, enum: [CAT, DOG, PUPPY]}", 1), "", "", 1),
			[]string{`{"kind":"CAT","lives":9}`, `{"kind":"DOG"}`}, []string{`{"kind":"CAT"}`, `{"kind":"Dog"}`}, `"const":"CAT"`},
		{"values that mean something else", body(pet) + strings.Replace(named, "kind: {type: string}", "kind: {type: string, enum: [a, b]}", 1), []string{`{"kind":"a"}`}, []string{`{"kind":"Cat"}`}, `"lives"`},
		{"Swagger 2.0", swagger, []string{`{"kind":"Cat","lives":9}`, `{"kind":"doggy","trick":"sit"}`}, []string{`{"kind":"Cat"}`, `{"kind":"Dog"}`}, `"const":"doggy"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			op := one(t, loadText(t, tt.document, Options{}))
			if !strings.Contains(string(op.Input), tt.shows) {
				t.Errorf("no %s in %s", tt.shows, op.Input)
			}
			for _, good := range tt.good {
				if _, err := op.Parse([]byte(fmt.Sprintf(`{"body":%s}`, good))); err != nil {
					t.Errorf("%s: %v", good, err)
				}
			}
			for _, bad := range tt.bad {
				if _, err := op.Parse([]byte(fmt.Sprintf(`{"body":%s}`, bad))); err == nil {
					t.Errorf("%s is taken by %s", bad, op.Input)
				}
			}
			for _, p := range Profiles() {
				offeredTo(t, op, p, DefaultBudget, nil)
			}
		})
	}
}
