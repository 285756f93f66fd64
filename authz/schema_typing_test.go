package authz

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/google/go-cmp/cmp"
)

// How JSON Schemas of real documents are typed.
func TestTyping(t *testing.T) {
	tests := []struct {
		name, schema string
		want         string // the Cedar type, spaces squeezed
		notes        []string
	}{
		{"nothing", ``, `{}`, nil},
		{"not an object", `{"type":"string"}`, `{}`, nil},
		{"scalars", `{"properties":{"b":{"type":"boolean"},"i":{"type":"integer"},"n":{"type":"number"},"s":{"type":"string"},"t":{"type":"string","format":"date-time"}},"required":["i"]}`,
			`{ b?: Bool, i: Long, n?: decimal, s?: String, t?: datetime }`, nil},
		{"names that are no identifiers", `{"properties":{"a b":{"type":"string"},"if":{"type":"string"},"é":{"type":"string"}}}`,
			`{ "a b"?: String, "if"?: String, "é"?: String }`, nil},
		{"null", `{"properties":{"a":{"type":["string","null"]},"b":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"required":["a","b"]}`, `{ a?: String, b?: Long }`, nil},
		{"enums and constants", `{"properties":{"a":{"enum":["x","y"]},"b":{"const":"x"},"c":{"enum":["x",null]},"d":{"enum":[1,"x"]}},"required":["a","b","c"]}`,
			`{ a: String, b: String, c?: String }`, []string{"/d: several or no types"}},
		{"lists", `{"properties":{"a":{"type":"array","items":{"type":"array","items":{"type":"integer"}}},"b":{"type":"array"},"c":{"type":"array","items":{"type":["string","null"]}},
			"d":{"type":"array","items":{"type":"string"},"prefixItems":[{"type":"integer"}]}}}`,
			`{ a?: Set<Set<Long>> }`, []string{"/b/items: any value", "/c: a list of mixed or null values", "/d: a list of mixed or null values"}},
		{"all of an object and a reference", `{"properties":{"body":{"type":"object","allOf":[{"$ref":"#/$defs/A"},{"properties":{"b":{"type":"integer"}}},{"required":["a"]}],"description":"x"}},
			"required":["body"],"$defs":{"A":{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"number"},"c":{"type":"string"}},"required":["b"]}}}`,
			`{ body: { a: String, b: Long, c?: String } }`, nil},
		{"all of, may be null", `{"properties":{"body":{"allOf":[{"properties":{"a":{"type":["string","null"]}}},{"properties":{"b":{"type":"string"}}}],"required":["a","b"]}}}`,
			`{ body?: { a?: String, b: String } }`, nil},
		{"what does not meet", `{"properties":{"x":{"allOf":[{"type":"string"},{"type":"integer"}]},"y":{"allOf":[{"type":"object","properties":{"k":{"type":"string"},"l":{"type":"string"}}},
			{"type":"object","properties":{"k":{"type":"boolean"}}}]}}}`, `{ y?: { l?: String } }`, []string{"/x: a combination of types"}},
		{"lists that meet", `{"properties":{"x":{"allOf":[{"type":"array","items":{"type":"string"}},{"type":"array","items":{"type":"string","format":"date-time"}}]},
			"y":{"allOf":[{"type":"array","items":{"type":"string"}},{"type":"array","items":{"type":"integer"}}]}}}`, `{ x?: Set<datetime> }`, []string{"/y: a combination of types"}},
		{"one of requirements beside properties", `{"properties":{"body":{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"oneOf":[{"required":["a"]},{"required":["b"]}]}}}`,
			`{ body?: { a?: String, b?: String } }`, nil},
		{"one of objects beside properties", `{"properties":{"body":{"properties":{"a":{"type":"string"}},"oneOf":[{"properties":{"c":{"type":"string"}}},{"type":"string"}]}}}`,
			`{ body?: { a?: String } }`, []string{"/body: one of several types"}},
		{"any of one scalar type", `{"properties":{"m":{"anyOf":[{"type":"string"},{"type":"string","enum":["x"]},{"type":"null"}]},"n":{"oneOf":[{"type":"string"},{"type":"integer"}]}},"required":["m"]}`,
			`{ m?: String }`, []string{"/n: one of several types"}},
		{"only null", `{"properties":{"n":{"oneOf":[{"type":"null"},{"type":"null"}]}}}`, `{}`, []string{"/n: one of several types"}},
		{"maps and anything", `{"properties":{"m":{"type":"object","additionalProperties":{"type":"string"}},"a":{},"t":true,"u":{"type":["string","integer"]}}}`,
			`{}`, []string{"/a: several or no types", "/m: an object without declared properties", "/t: any value", "/u: several or no types"}},
		{"a cycle", `{"properties":{"n":{"$ref":"#/$defs/N"}},"$defs":{"N":{"properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/N"}}}}}`,
			`{ n?: { v?: Long } }`, []string{"/n/next: a type that contains itself"}},
		{"references", `{"properties":{"a":{"$ref":"#/$defs/a~1b~0"},"b":{"$ref":"#/$defs/none"},"c":{"$ref":"http://x/"}},"$defs":{"a/b~":{"type":"string"}}}`,
			`{ a?: String }`, []string{"/b: a reference that leads nowhere", "/c: a reference that leads nowhere"}},
		{"pointers", `{"properties":{"a/b~c":{}}}`, `{}`, []string{"/a~1b~0c: several or no types"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			typ, notes, err := typeInput(json.RawMessage(tt.schema))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(strings.Fields(typeText(typ.cedar(), 0)), " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if diff := cmp.Diff(tt.notes, notes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTypingIsBounded(t *testing.T) {
	deep := `{"type":"string"}`
	for range 40 {
		deep = `{"type":"object","properties":{"a":` + deep + `,"b":{"type":"string"}}}`
	}
	wide := `{"type":"object","properties":{`
	for i := range 3 * maxTypeNodes {
		wide += fmt.Sprintf(`"p%d":{"type":"string"},`, i)
	}
	wide += `"z":{"type":"string"}}}`
	// Each level refers twice to the next: 2^30 nodes without a bound.
	bomb := `{"properties":{"x":{"$ref":"#/$defs/d0"}},"$defs":{`
	for i := range 30 {
		bomb += fmt.Sprintf(`"d%d":{"properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}},`, i, i+1, i+1)
	}
	bomb += `"d30":{"type":"string"}}}`
	for name, text := range map[string]string{"deep": deep, "wide": wide, "bomb": bomb} {
		typ, notes, err := typeInput(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(typeText(typ.cedar(), 0), ":"); n > maxTypeNodes || len(notes) == 0 || len(notes) > maxTypeNodes {
			t.Errorf("%s: %d attributes, %d notes", name, n, len(notes))
		}
	}
	if _, _, err := typeInput(json.RawMessage(`[]`)); err == nil {
		t.Error("an input schema that is a list was taken")
	}
}

// Names out of a document neither break the schema nor reach a terminal raw.
func TestSchemaOfHostileNames(t *testing.T) {
	e, err := New([]API{{Name: "pet_store", Actions: []Action{{Name: "get", Effect: "read", Tags: []string{"a\"b\\", "\u202eevil\x1b[31m", "line\nbreak"}, Path: "/x\n}\x1b[2J",
		Input: json.RawMessage(`{"properties":{"\u001b\u202e\"\\\n":{"type":"string"},"\u001b]0;x":{}}}`)}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := string(e.Schema())
	if strings.ContainsAny(text, "\x1b\u202e\r") {
		t.Errorf("raw control characters:\n%q", text)
	}
	var s schema.Schema
	if err := s.UnmarshalCedar([]byte(text)); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	got, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e.schemaFor(e.actions, holdActions).Actions[actionUID("pet_store", "get")].AppliesTo, got.Actions[actionUID("pet_store", "get")].AppliesTo); diff != "" {
		t.Error(diff)
	}
	for uid := range e.groups {
		if _, ok := got.Actions[uid]; !ok {
			t.Errorf("%s is not in the text", uid)
		}
	}
}
