package openapi

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSchemaTranslation(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nullable", `{type: string, nullable: true, enum: [a]}`, `{"enum":["a",null],"type":["string","null"]}`},
		{"exclusive bounds of 3.0", `{type: integer, minimum: 1, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false}`, `{"exclusiveMinimum":1,"maximum":9,"type":"integer"}`},
		{"items are always there", `{type: array}`, `{"items":{},"type":"array"}`},
		{"tuples and what follows", `{type: array, items: [{type: string}], additionalItems: false}`, `{"items":false,"prefixItems":[{"type":"string"}],"type":"array"}`},
		{"dependencies", `{type: object, properties: {a: {}, b: {}}, dependencies: {a: [b], b: {minProperties: 2}}}`,
			`{"dependentRequired":{"a":["b"]},"dependentSchemas":{"b":{"minProperties":2}},"properties":{"a":{"items":{},"type":["object","array","string","number","boolean","null"]},"b":{"items":{},"type":["object","array","string","number","boolean","null"]}},"type":"object"}`},
		{"conditions get no type", `{contains: {properties: {a: {}}}, not: {properties: {b: {const: 1}}, required: [b]}, if: {properties: {c: {}}}, then: {properties: {d: {}}}, items: {}}`,
			`{"contains":{"properties":{"a":{}}},"if":{"properties":{"c":{}}},"items":{"items":{},"type":["object","array","string","number","boolean","null"]},"not":{"properties":{"b":{"const":1}},"required":["b"]},"then":{"properties":{"d":{}}}}`},
		{"a not that cannot be checked", `{type: string, not: {pattern: '(?=a)'}}`, `{"type":"string"}`},
		{"a not within one that cannot be", `{type: string, not: {not: {minLength: -1}}}`, `{"type":"string"}`},
		{"readOnly under not", `{type: object, properties: {id: {readOnly: true}}, allOf: [{not: {required: [id]}}]}`, `{"allOf":[{"not":{"required":["id"]}}],"properties":{},"type":"object"}`},
		{"a looser then", `{type: string, then: {pattern: '(?=a)', minLength: 2}, if: {minLength: 1}}`, `{"if":{"minLength":1},"then":{"minLength":2},"type":"string"}`},
		{"tuples", `{type: array, items: [{type: string}]}`, `{"prefixItems":[{"type":"string"}],"type":"array"}`},
		{"readOnly leaves", `{type: object, required: [id, n], properties: {id: {type: string, readOnly: true}, n: {type: string}}}`, `{"properties":{"n":{"type":"string"}},"required":["n"],"type":"object"}`},
		{"readOnly in another part of allOf", `{allOf: [{type: object, properties: {id: {type: string, readOnly: true}}}, {required: [id, n]}]}`, `{"allOf":[{"properties":{},"type":"object"},{"required":["n"]}]}`},
		{"readOnly of a part is not that of its properties", `{allOf: [{properties: {id: {readOnly: true}}}, {properties: {n: {type: object, required: [id], properties: {id: {type: string}}}}}]}`,
			`{"allOf":[{"properties":{},"type":"object"},{"properties":{"n":{"properties":{"id":{"type":"string"}},"required":["id"],"type":"object"}},"type":"object"}]}`},
		{"what hosts trip over", `{type: string, example: x, x-mcp-header: X, discriminator: {propertyName: y}, xml: {name: z}, title: t}`, `{"description":"Example: x","type":"string"}`},
		{"a pattern that is not RE2", `{type: string, pattern: '(?=a)'}`, `{"type":"string"}`},
		{"values that are no keywords' values", `{type: integer, minimum: "1", multipleOf: 0, enum: x}`, `{"type":"integer"}`},
		{"a negative length", `{type: string, minLength: -1, format: [x]}`, `{"type":"string"}`},
		{"unknown types", `{type: any}`, `{"items":{},"type":["object","array","string","number","boolean","null"]}`},
		{"files", `{type: string, format: binary}`, `{"contentEncoding":"base64","type":"string"}`},
		{"hidden characters", `{type: string, description: "a\u202Eb\u200Bc\u0007"}`, `{"description":"abc","type":"string"}`},
		{"boolean schemas", `{type: object, additionalProperties: false, properties: {a: true}}`, `{"additionalProperties":false,"properties":{"a":{"items":{},"type":["object","array","string","number","boolean","null"]}},"type":"object"}`},
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

// A shared schema is translated for demands. Under not, where those translations
// would refuse more, it is written in place as it stands; what is within itself stays shared.
func TestReferencesUnderNot(t *testing.T) {
	op := one(t, loadText(t, post(`{type: object, properties: {a: {not: {$ref: '#/components/schemas/X'}}, b: {not: {$ref: '#/components/schemas/R'}}, c: {$ref: '#/components/schemas/X'}}}`)+`components:
  schemas:
    X: {properties: {id: {type: string, readOnly: true}}, required: [id]}
    R: {properties: {r: {$ref: '#/components/schemas/R'}}}
`, Options{}))
	want := `{"a":{"not":{"properties":{"id":{"type":"string"}},"required":["id"]}},"b":{"not":{"properties":{"r":{"$ref":"#/$defs/R"}}}},"c":{"$ref":"#/$defs/X"}}`
	if got := schemaAt(t, op, "properties", "body", "properties"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for args, good := range map[string]bool{`{"body":{"a":{"id":"x"}}}`: false, `{"body":{"a":{}}}`: true, `{"body":{"a":1}}`: false, `{"body":{"b":7}}`: false} {
		if _, err := op.Parse([]byte(args)); (err == nil) != good {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestDynamicReferences(t *testing.T) {
	op := one(t, loadText(t, strings.Replace(post(`{type: object, properties: {f: {$ref: '#/components/schemas/Filter'}, d: {$ref: '#/components/schemas/Node'}, p: {$dynamicRef: '#/components/schemas/Node'}, n: {$dynamicRef: '#nowhere'}}}`), "3.0.3", "3.1.0", 1)+`components:
  schemas:
    Filter: {$recursiveAnchor: true, type: object, required: [k], properties: {k: {type: string}, and: {type: array, items: {$recursiveRef: '#'}}}}
    Node: {$dynamicAnchor: node, type: object, properties: {next: {$dynamicRef: '#node'}, v: {type: integer}}}
`, Options{}))
	want := `{"d":{"$ref":"#/$defs/Node"},"f":{"$ref":"#/$defs/Filter"},"n":{"items":{},"type":["object","array","string","number","boolean","null"]},"p":{"$ref":"#/$defs/Node"}}`
	if got := schemaAt(t, op, "properties", "body", "properties"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for args, good := range map[string]bool{`{"body":{"f":{"k":"x","and":[{"k":"y"}]}}}`: true, `{"body":{"f":{"k":"x","and":[{"k":7}]}}}`: false, `{"body":{"d":{"next":{"v":"x"}}}}`: false} {
		if _, err := op.Parse([]byte(args)); (err == nil) != good {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// A shared schema that demands what another part says only answers hold is
// written in place; elsewhere it stays shared.
func TestReadOnlyOfSharedSchemas(t *testing.T) {
	api := loadText(t, post(`{type: object, properties: {pet: {allOf: [{$ref: '#/components/schemas/Props'}, {$ref: '#/components/schemas/Must'}]}, plain: {$ref: '#/components/schemas/Must'}}}`)+`components:
  schemas:
    Props: {type: object, properties: {id: {type: string, readOnly: true}, n: {type: string}}}
    Must: {required: [id, n], allOf: [{$ref: '#/components/schemas/Must'}]}
`, Options{})
	op := one(t, api)
	want := `{"pet":{"allOf":[{"$ref":"#/$defs/Props"},{"allOf":[{"$ref":"#/$defs/Must"}],"required":["n"]}]},"plain":{"$ref":"#/$defs/Must"}}`
	if got := schemaAt(t, op, "properties", "body", "properties"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := schemaAt(t, op, "$defs", "Must", "required"); got != `["id","n"]` {
		t.Error(got)
	}
}

func TestWrongKeywordsAreNamed(t *testing.T) {
	api := loadText(t, post(`{type: object, properties: {a: {type: integer, minimum: "1"}, b: {type: string, minLength: -1}, c: {type: number, maximum: 1e999999999, exclusiveMinimum: x}, d: {type: strnig}, e: {type: string, pattern: '(?=x)'}}}`), Options{})
	op := one(t, api)
	if _, err := op.Parse([]byte(`{"body":{"a":0,"b":"","c":5,"d":[],"e":"y"}}`)); err != nil {
		t.Error(err)
	}
	var got []string
	for _, f := range api.Findings {
		if f.LeftOut || f.Line != 4 || f.Operation != "POST /a" {
			t.Errorf("%+v", f)
		}
		got = append(got, f.Message)
	}
	want := []string{"1 patterns are no RE2 regular expressions, or too large, and are not checked", "5 keywords of its schemas are unknown or have values that JSON Schema does not allow; they are left out"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTextFromDocuments(t *testing.T) {
	for in, want := range map[string]string{
		" a\tb\n": "a\tb", "a\u202eb\u2066c": "abc", "a\x1b[31mb\x00": "a[31mb", "a\ufe0fb\U000e0100c\U000e0041": "abc", "\ufeffa\u2028b\ue000": "ab",
		"ééééé": "ééééé", strings.Repeat("é", 20): strings.Repeat("é", 8) + "…",
	} {
		if got := clean(in, 20); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := oneLine(" a \n\t b", 20); got != "a b" {
		t.Errorf("%q", got)
	}
	api := loadText(t, v30+"paths: {/a: {get: {operationId: \"a\\u202E\\n"+strings.Repeat("b", 300)+"\", summary: \"x\\ny\", tags: [\"t\\n\\u200B\", t]}}}", Options{})
	if op := one(t, api); len(op.ID) > 200 || strings.ContainsAny(op.ID, "\n\u202e") || op.Summary != "x y" || !cmp.Equal(op.Tags, []string{"t"}) {
		t.Errorf("%q %q %q", op.ID, op.Summary, op.Tags)
	}
}

func TestOversize(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	var values []string
	for i := range 30_000 {
		values = append(values, fmt.Sprintf("value%06d: {}", i))
	}
	big := "{properties: {" + strings.Join(values, ",") + "}}"
	api := loadText(t, v30+`components: {schemas: {P: {type: string, enum: [x]}}}
paths: {/a: {post: {operationId: a, parameters: [{name: p, in: query, schema: {$ref: '#/components/schemas/P'}}], requestBody: {content: {application/json: {schema: `+big+`}}}}},
  /b: {get: {operationId: b, parameters: [{name: p, in: query, schema: `+big+`}]}}}`, Options{})
	if len(api.Operations) != 2 {
		t.Fatalf("%+v", api.Findings)
	}
	op := api.Operations[0]
	if len(op.Input) > maxSchema || len(api.Findings) != 2 {
		t.Errorf("%d bytes, %+v", len(op.Input), api.Findings)
	}
	if _, err := op.Parse([]byte(`{"p":"x","body":{"any":"thing"}}`)); err != nil {
		t.Error(err)
	}
}

// Many operations that share a parameter have it each for itself.
func TestAllInputsTogether(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	if raceEnabled {
		t.Skip("large documents are tried without the race detector")
	}
	paths := strings.Builder{}
	for i := range 270 {
		fmt.Fprintf(&paths, "  /a%d: {get: {parameters: [{$ref: '#/components/parameters/p'}]}}\n", i)
	}
	api := loadText(t, v30+"components: {parameters: {p: {name: p, in: query, schema: {type: string, const: "+strings.Repeat("x", 250<<10)+"}}}}\npaths:\n"+paths.String(), Options{})
	kept := 0
	for _, op := range api.Operations {
		kept += len(op.Input)
	}
	// When they become too many, a tool gets less; none is left out for the others.
	if len(api.Findings) < 100 || len(api.Operations) != 270 || kept > maxInputs {
		t.Errorf("%d operations of %d bytes, %d findings", len(api.Operations), kept, len(api.Findings))
	}
}

// TestCorpusLoads loads every document there is and compiles every schema.
func TestCorpusLoads(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	const dir = "../../shared/specs"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skip("the test documents are not here")
	}
	for _, e := range entries {
		if e.Name() == "README.md" {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			if info, err := e.Info(); err == nil && (info.Size() > 1<<20 || e.IsDir()) && raceEnabled {
				t.Skip("large documents are tried without the race detector")
			}
			t.Parallel()
			api, err := Load(context.Background(), dir+"/"+e.Name(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			size, leftOut := 0, 0
			names := map[string]bool{}
			for _, op := range api.Operations {
				if _, err := op.input.compiled(); err != nil {
					t.Errorf("%s: %v", op.Name, err)
				}
				if names[op.Name] || len(op.Name) > maxName || !legalName(op.Name) || len(op.Input) > maxSchema {
					t.Errorf("%s: %d bytes", op.Name, len(op.Input))
				}
				names[op.Name] = true
				size += len(op.Input)
			}
			for _, f := range api.Findings {
				if f.Line == 0 || f.Message == "" {
					t.Errorf("%+v", f)
				}
				if f.LeftOut {
					leftOut++
				}
			}
			t.Logf("%s: %d operations, %d left out, %d findings, %d KB of input schemas", api.Name, len(api.Operations), leftOut, len(api.Findings), size>>10)
		})
	}
}
