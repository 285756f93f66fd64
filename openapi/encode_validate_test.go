package openapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProblems(t *testing.T) {
	const schema = `{"type":"object","additionalProperties":false,"required":["pet_id"],"$defs":{"node":{"type":"object","properties":{"next":{"$ref":"#/$defs/node"},"n":{"type":"integer"}}}},
	"properties":{"pet_id":{"type":"integer","minimum":1,"maximum":100},"name":{"type":"string","minLength":2,"maxLength":4,"pattern":"^[a-z]+$"},
	"status":{"enum":["available","sold"]},"kind":{"const":"cat"},"tags":{"type":"array","items":{"type":"string"},"maxItems":2,"uniqueItems":true},
	"when":{"type":"string","format":"date-time"},"node":{"$ref":"#/$defs/node"},"never":false,"ratio":{"type":"number","multipleOf":0.5},
	"owner":{"type":"object","properties":{"email":{"type":"string"}}},
	"simple":{"anyOf":[{"type":"string"},{"type":"integer"},{"type":"null"}]},
	"pay":{"oneOf":[
		{"type":"object","required":["type","number"],"properties":{"type":{"const":"card"},"number":{"type":"string"}}},
		{"type":"object","required":["type","iban"],"properties":{"type":{"const":"bank"},"iban":{"type":"string"}}}]},
	"both":{"oneOf":[{"type":"integer"},{"type":"number"}]}}}`
	op := newOperation(t, "GET", "/x", schema)
	for arguments, want := range map[string][]Problem{
		`{}`:                                            {{"/pet_id", "is required"}},
		`{"pet_id":"one"}`:                              {{"/pet_id", "must be integer, not string"}},
		`{"pet_id":1.5}`:                                {{"/pet_id", "must be integer, not number"}},
		`{"pet_id":1.0}`:                                nil,
		`{"pet_id":0}`:                                  {{"/pet_id", "must be at least 1"}},
		`{"pet_id":101,"name":"a"}`:                     {{"/name", "must have at least 2 characters, not 1"}, {"/pet_id", "must be at most 100"}},
		`{"pet_id":1,"name":"ABC"}`:                     {{"/name", "must match the pattern ^[a-z]+$"}},
		`{"pet_id":1,"name":"abcde"}`:                   {{"/name", "must have at most 4 characters, not 5"}},
		`{"petId":1}`:                                   {{"/petId", `is not a known argument; did you mean "pet_id"?`}, {"/pet_id", "is required"}},
		`{"pet_id":1,"Status":"sold"}`:                  {{"/Status", `is not a known argument; did you mean "status"?`}},
		`{"pet_id":1,"zzzzzz":1}`:                       {{"/zzzzzz", "is not a known argument"}},
		`{"pet_id":1,"owner":{"Email":"x"}}`:            {{"/owner/Email", `is not a known argument; did you mean "email"?`}},
		`{"pet_id":1,"owner":{"more":"x"}}`:             nil,
		`{"pet_id":1,"status":"gone"}`:                  {{"/status", `must be one of "available", "sold"`}},
		`{"pet_id":1,"kind":"dog"}`:                     {{"/kind", `must be "cat"`}},
		`{"pet_id":1,"tags":["a","b","a"]}`:             {{"/tags", "must have at most 2 items, not 3"}, {"/tags", "must not repeat an item: 0 and 2 are equal"}},
		`{"pet_id":1,"tags":["a",1]}`:                   {{"/tags/1", "must be string, not number"}},
		`{"pet_id":1,"when":"yesterday"}`:               nil,
		`{"pet_id":1,"node":{"next":{"n":"x"}}}`:        {{"/node/next/n", "must be integer, not string"}},
		`{"pet_id":1,"never":1}`:                        {{"/never", "must not be given"}},
		`{"pet_id":1,"ratio":0.7}`:                      {{"/ratio", "must be a multiple of 0.5"}},
		`{"pet_id":1,"simple":[]}`:                      {{"/simple", "must be integer or null or string, not array"}},
		`{"pet_id":1,"simple":null}`:                    nil,
		`{"pet_id":1,"pay":{"type":"bank"}}`:            {{"/pay/iban", "is required (in the nearest of 2 forms allowed here)"}},
		`{"pet_id":1,"pay":{"type":"card","iban":"x"}}`: {{"/pay/number", "is required (in the nearest of 2 forms allowed here)"}},
		`{"pet_id":1,"pay":7}`:                          {{"/pay", "must be object, not number"}},
		`{"pet_id":1,"both":7}`:                         {{"/both", "fits more than one of the forms allowed here, and must fit just one"}},
	} {
		args, err := op.Parse([]byte(arguments))
		var got []Problem
		if err != nil {
			got = err.(*ArgumentError).Problems
		} else if args == nil {
			t.Fatal("neither arguments nor an error")
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", arguments, d)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	op := newOperation(t, "GET", "/x", `{"type":"object","additionalProperties":false}`)
	many := map[string]int{}
	for i := range 500 {
		many[fmt.Sprintf("%03d%s", i, strings.Repeat("é", 400))] = i
	}
	raw, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	bad := refusal(t, op, string(raw))
	if len(bad.Problems) != maxProblems+1 {
		t.Errorf("%d problems", len(bad.Problems))
	}
	if n := len(bad.Error()); n > 3000 {
		t.Errorf("the error has %d bytes", n)
	}
	if p := bad.Problems[0]; len(p.Pointer) > 310 || !strings.HasPrefix(p.Pointer, "/000é") {
		t.Errorf("pointer %q", p.Pointer)
	}
}

func TestSchemasThatDoNotCompileRefuse(t *testing.T) {
	for _, schema := range []string{
		`{"$ref":"file:///etc/passwd"}`, `{"$ref":"https://example.com/schema.json"}`, `{"$ref":"#/$defs/gone"}`, `{"type":"objekt"}`,
		`{"properties":{"a":{"pattern":"("}}}`, `{"$schema":"https://example.com/meta"}`,
	} {
		op := newOperation(t, "GET", "/x", schema)
		bad := refusal(t, op, `{}`)
		if !strings.Contains(bad.Error(), "does not compile") {
			t.Errorf("%s: %v", schema, bad)
		}
	}
	for _, schema := range []string{``, `[]`, `true`, `{`, `{} {}`} {
		if v, err := newValidator(json.RawMessage(schema)); err == nil {
			t.Errorf("%q became %v", schema, v)
		}
	}
	refusal(t, newOperation(t, "GET", "/x", `{"$ref":"/etc/passwd"}`), `{}`)
	refusal(t, &Operation{Name: "none"}, `{}`)
}
