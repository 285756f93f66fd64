package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// offeredTo checks what every offered schema must be: legal, whole, within its
// budget, and open for all arguments that the whole schema takes.
func offeredTo(t *testing.T, op *Operation, p Profile, budget int, args []map[string]any) {
	t.Helper()
	raw, cut := op.Offer(p, budget)
	at := fmt.Sprintf("%s %s for %s", op.Method, op.Path, p)
	if len(raw) > budget+budget/4 && cut {
		t.Errorf("%s: %d bytes", at, len(raw))
	}
	var m meter
	schema, err := compileSchema(plain(t, raw, p), &m)
	if err != nil {
		t.Errorf("%s: %v", at, err)
		return
	}
	var root map[string]any
	if err := json.Unmarshal(raw, &root); err != nil || root["type"] != "object" {
		t.Errorf("%s: the root is %v, %v", at, root["type"], err)
	}
	for _, k := range []string{"oneOf", "anyOf", "allOf", "not", "$ref"} {
		if root[k] != nil {
			t.Errorf("%s: the root has %s", at, k)
		}
	}
	each(root, func(m map[string]any) {
		props, _ := m["properties"].(map[string]any)
		for name := range props {
			if !legalName(name) {
				t.Errorf("%s: a property is named %q", at, name)
			}
		}
		if isArray(m["type"]) && m["items"] == nil && m["prefixItems"] == nil {
			t.Errorf("%s: an array without items", at)
		}
		if p == Gemini {
			geminiTakes(t, at, m)
		}
		if ref, ok := m["$ref"].(string); ok {
			if _, there := (&document{root: root}).at(strings.TrimPrefix(ref, "#")); !there {
				t.Errorf("%s: %s leads nowhere", at, ref)
			}
		}
		if text, _ := m["description"].(string); strings.HasPrefix(text, "cut for length") {
			pointer := text[strings.LastIndex(text, " ")+1:]
			if _, err := op.Describe(p, pointer); err != nil {
				t.Errorf("%s: %s: %v", at, pointer, err)
			}
		}
	})
	for _, a := range args {
		m.left = 1 << 40
		if err := schema.Validate(a); err != nil {
			t.Errorf("%s: refuses %v: %v", at, a, err)
			return
		}
	}
}

// geminiTakes checks one schema against what docs/hosts.md says that Gemini refuses.
func geminiTakes(t *testing.T, at string, m map[string]any) {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	props, _ := m["properties"].(map[string]any)
	bad := ""
	for k := range m {
		if !slices.Contains(geminiKeywords, k) {
			bad = "it has " + k
		}
	}
	typ, isName := m["type"].(string)
	enum, _ := m["enum"].([]any)
	required, _ := m["required"].([]any)
	switch {
	case m["anyOf"] != nil && len(m) > 1:
		bad = "anyOf is not alone"
	case m["anyOf"] == nil && (!isName || typ == "null"):
		bad = "no type"
	case typ == "array" && m["items"] == nil:
		bad = "no items"
	case enum != nil && (typ != "string" || slices.ContainsFunc(enum, func(x any) bool { s, _ := x.(string); return s == "" })):
		bad = "an enum that is not of texts"
	case m["format"] != nil && !slices.Contains(geminiFormats[typ], m["format"].(string)):
		bad = "a format it does not know"
	case slices.ContainsFunc(required, func(x any) bool { return props[x.(string)] == nil }):
		bad = "it requires what it does not have"
	}
	if bad != "" {
		t.Errorf("%s: %s: %.300s", at, bad, b)
	}
}

// plain is an offered schema in JSON Schema's words: nullable is Gemini's.
func plain(t *testing.T, raw []byte, p Profile) []byte {
	t.Helper()
	if p != Gemini {
		return raw
	}
	var root map[string]any
	if err := json.Unmarshal(raw, &root); err != nil {
		t.Fatal(err)
	}
	each(root, func(m map[string]any) {
		if m["nullable"] != true {
			return
		}
		if typ, ok := m["type"]; ok {
			m["type"] = []any{typ, "null"}
		}
		if enum, ok := m["enum"].([]any); ok {
			m["enum"] = append(enum, nil)
		}
	})
	out, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// aliased is arguments under the names that agents see.
func aliased(v any, names map[string]string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if a, ok := names[k]; ok {
				k = a
			}
			out[k] = aliased(x, names)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = aliased(x, names)
		}
		return out
	}
	return v
}

func TestOffersOfRealDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	dir := filepath.Join("..", "..", "shared", "specs")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skip("the real documents are not here")
	}
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel()
			if info, err := e.Info(); err == nil && (info.Size() > 1<<20 || info.IsDir()) && raceEnabled {
				t.Skip("large documents are tried without the race detector")
			}
			api, err := Load(context.Background(), filepath.Join(dir, e.Name()), Options{BaseURL: "https://api.example.com"})
			if err != nil {
				t.Skip(err)
			}
			step := 1 + len(api.Operations)/60
			shrunk := 0
			for i, op := range api.Operations {
				if i%step != 0 && len(op.Input) < 30_000 {
					continue
				}
				var args []map[string]any
				for seed := range 3 {
					g := generator{rand: rand.New(rand.NewPCG(uint64(seed), uint64(i)))}
					raw, err := g.arguments(op)
					if err != nil {
						t.Fatal(err)
					}
					if a, err := op.Parse(raw); err == nil {
						args = append(args, aliased(a.Value(), op.aliases).(map[string]any))
					}
				}
				if _, cut := op.Offer("", 0); cut {
					shrunk++
				}
				offeredTo(t, op, Generic, DefaultBudget, args)
				offeredTo(t, op, Generic, 3000, args)
				offeredTo(t, op, OpenAI, DefaultBudget, args)
				offeredTo(t, op, Gemini, DefaultBudget, args)
			}
			t.Logf("%d of %d operations, %d cut", len(api.Operations)/step, len(api.Operations), shrunk)
		})
	}
}

const oddNames = `openapi: 3.1.0
info: {title: Odd, version: "1"}
servers: [{url: "https://api.example.com"}]
paths:
  /calls:
    post:
      operationId: call
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: ["StartTime<"]
              properties:
                "StartTime<": {type: string}
                "$filter": {$ref: "#/components/schemas/Filter"}
                plain: {type: object, additionalProperties: true}
      responses: {"200": {description: ok}}
components:
  schemas:
    Filter:
      type: object
      required: ["größe"]
      properties:
        "größe": {type: integer}
        "und[]": {type: array, items: {$ref: "#/components/schemas/Filter"}}
`

// Names that hosts refuse have others in what agents see, however deep they
// stand, and only there.
func TestAliases(t *testing.T) {
	op := compileOne(t, oddNames)
	raw, _ := op.Offer(Claude, 0)
	for _, illegal := range []string{"StartTime<", "$filter", "größe", "und[]"} {
		if bytes.Contains(raw, []byte(`"`+illegal+`"`)) {
			t.Errorf("%q is offered: %s", illegal, raw)
		}
	}
	a := func(name string) string { return op.aliases[name] }
	in := fmt.Sprintf(`{"body":{%q:"now",%q:{%q:1,%q:[{%q:2}]},"plain":{"x y":1}}}`, a("StartTime<"), a("$filter"), a("größe"), a("und[]"), a("größe"))
	args, err := op.Parse([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	req, err := op.Encode(args)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"$filter":{"größe":1,"und[]":[{"größe":2}]},"StartTime<":"now","plain":{"x y":1}}`
	if diff := cmp.Diff(want, string(req.Body)); diff != "" {
		t.Error(diff)
	}
	// The API's own name is taken too, but not both.
	if _, err := op.Parse([]byte(`{"body":{"StartTime<":"now"}}`)); err != nil {
		t.Error(err)
	}
	if _, err := op.Parse([]byte(fmt.Sprintf(`{"body":{"StartTime<":"now",%q:"then"}}`, a("StartTime<")))); err == nil {
		t.Error("two values for one name are taken")
	}
	_, err = op.Parse([]byte(fmt.Sprintf(`{"body":{%q:7}}`, a("StartTime<"))))
	if err == nil || !strings.Contains(err.Error(), "/body/"+a("StartTime<")) {
		t.Errorf("the problem is not at the agent's name: %v", err)
	}
}

// Another name can fall under another pattern, or under none.
func TestAliasesAndPatterns(t *testing.T) {
	op := compileOne(t, strings.Replace(oddNames, "              required: [\"StartTime<\"]\n", `              required: ["StartTime<"]
              propertyNames: {maxLength: 10}
              patternProperties: {"_": {type: integer}}
              additionalProperties: false
`, 1))
	raw, _ := op.Offer(Claude, 0)
	var m meter
	schema, err := compileSchema(raw, &m)
	if err != nil {
		t.Fatal(err)
	}
	m.left = 1 << 30
	a := op.aliases["StartTime<"]
	if err := schema.Validate(map[string]any{"body": map[string]any{a: "now"}}); err != nil {
		t.Errorf("the offer refuses %s: %v", a, err)
	}
	if _, err := op.Parse([]byte(fmt.Sprintf(`{"body":{%q:"now"}}`, a))); err != nil {
		t.Error(err)
	}
	if _, err := op.Parse([]byte(fmt.Sprintf(`{"body":{%q:"now","x":1}}`, a))); err == nil {
		t.Error("the whole schema is not checked")
	}
}

// compileOne loads a document of one operation.
func compileOne(t *testing.T, text string) *Operation {
	t.Helper()
	file := filepath.Join(t.TempDir(), "openapi.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	api, err := Load(t.Context(), file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(api.Operations) != 1 {
		t.Fatalf("%d operations; %v", len(api.Operations), api.Findings)
	}
	return api.Operations[0]
}

func TestShrink(t *testing.T) {
	const schema = `{"type":"object","required":["a"],"properties":{"a":{"type":"object","description":"what a is","properties":{"b":{"type":"array","items":{"$ref":"#/$defs/T"}}}},
"c":{"oneOf":[{"type":"string"},{"type":"object","properties":{"d":{"type":"integer"}}}]},"e":{"not":{"properties":{"x":{"type":"string"}}}}},
"$defs":{"T":{"type":"object","properties":{"t":{"$ref":"#/$defs/T"},"kind":{"type":"string","enum":["x","y"]}}}}}`
	for budget, want := range map[int][]string{
		330: {`"a":{`, `"required":["a"]`, `cut for length`, `"c":{`},
		700: {`"$ref":"#/$defs/T"`, `"$defs":{"T":`, `"kind"`},
	} {
		var root map[string]any
		if err := json.Unmarshal([]byte(schema), &root); err != nil {
			t.Fatal(err)
		}
		got, _ := excerpt{budget: budget, text: maxDescription}.write(root)
		for _, w := range want {
			if !bytes.Contains(got, []byte(w)) {
				t.Errorf("in %d bytes: no %s in %s", budget, w, got)
			}
		}
	}
}

// A type that is added under a condition would turn it into another.
func TestConditionsStayAsTheyAre(t *testing.T) {
	op := compileOne(t, `openapi: 3.1.0
info: {title: C, version: "1"}
servers: [{url: "https://api.example.com"}]
paths:
  /x:
    post:
      requestBody:
        content:
          application/json:
            schema:
              not: {properties: {a: {const: 1}}, required: [a]}
              if: {properties: {b: {const: 1}}}
              then: {properties: {c: {type: string}}}
      responses: {"200": {description: ok}}
`)
	var root struct {
		Properties struct {
			Body struct {
				Not, If, Then map[string]any
			}
		}
	}
	if err := json.Unmarshal(op.Input, &root); err != nil {
		t.Fatal(err)
	}
	for _, m := range []map[string]any{root.Properties.Body.Not, root.Properties.Body.If, root.Properties.Body.Then} {
		if m["type"] != nil {
			t.Errorf("a condition has the type %v", m["type"])
		}
	}
	for args, good := range map[string]bool{`{"body":{"a":1}}`: false, `{"body":{"a":2,"c":"x"}}`: true, `{"body":{"b":1,"c":3}}`: false, `{"body":"text"}`: false} {
		if _, err := op.Parse([]byte(args)); (err == nil) != good {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// Alternatives that overlap are what people write oneOf for; to insist on just
// one would refuse every call. Under a condition it says what it says.
func TestOneOfIsNotInsistedOn(t *testing.T) {
	op := compileOne(t, `openapi: 3.0.3
info: {title: C, version: "1"}
servers: [{url: "https://api.example.com"}]
paths:
  /x:
    post:
      requestBody:
        content:
          application/json:
            schema: {oneOf: [{type: object}, {$ref: '#/components/schemas/New'}]}
      responses: {"200": {description: ok}}
components: {schemas: {New: {type: object, required: [name], properties: {name: {type: string}}}}}
`)
	for args, good := range map[string]bool{`{"body":{"name":"x"}}`: true, `{"body":{}}`: true, `{"body":"text"}`: false} {
		if _, err := op.Parse([]byte(args)); (err == nil) != good {
			t.Errorf("%s: %v", args, err)
		}
	}
}
