package openapi

import (
	"encoding/json"
	"strings"
	"testing"
)

// What models and JavaScript hosts write is read as it was meant where the schema
// does not allow what they wrote, and nowhere else.
func TestMend(t *testing.T) {
	op := newOperation(t, "POST", "/x", `{"type":"object","additionalProperties":false,"required":["need"],"properties":{
		"need":{"type":"string"},"q":{"type":"string"},"n":{"type":"integer"},"f":{"type":"number"},"b":{"type":"boolean"},
		"either":{"type":["string","object"]},"null":{"type":["string","null"]},
		"body":{"$ref":"#/$defs/B"}},
		"$defs":{"B":{"type":"object","properties":{"a":{"type":"integer"},"list":{"type":"array","items":{"type":"object"}},"text":{"type":"string"}},"additionalProperties":false}}}`)
	for _, tt := range []struct{ in, want, wrong string }{
		{in: `{"need":"x","q":null}`, want: `{"need":"x"}`},
		{in: `{"need":"x","q":null,"n":null,"f":null,"b":null,"body":null}`, want: `{"need":"x"}`},
		{in: `{"need":"x","null":null}`, want: `{"need":"x","null":null}`},
		{in: `{"need":null}`, wrong: "/need"},
		{in: `{"need":"x","body":{"text":null}}`, wrong: "/body/text"},
		{in: `{"need":"x","body":"{\"a\":1}"}`, want: `{"body":{"a":1},"need":"x"}`},
		{in: `{"need":"x","body":"{\"a\":\"9007199254740993\"}"}`, wrong: "/body/a"},
		{in: `{"need":"x","body":"{\"list\":[\"{}\"]}"}`, wrong: "/body/list/0"},
		{in: `{"need":"x","n":"1000000000000000000000000"}`, want: `{"n":1e+24,"need":"x"}`},
		{in: `{"need":"x","n":"1e+24"}`, wrong: "/n"}, {in: `{"need":"x","f":"1e-7"}`, wrong: "/f"}, {in: `{"need":"x","f":"1.50"}`, wrong: "/f"},
		{in: `{"need":"x","f":"0.0000001"}`, want: `{"f":1e-7,"need":"x"}`},
		{in: `{"need":"x","body":{"list":["{\"c\":\"{}\"}"]}}`, want: `{"body":{"list":[{"c":"{}"}]},"need":"x"}`},
		{in: `{"need":"x","body":"{\"a\":1,\"a\":2}"}`, wrong: "/body"},
		{in: `{"need":"x","body":"{\"a\":1} "}`, want: `{"body":{"a":1},"need":"x"}`},
		{in: `{"need":"x","body":"{\"a\":1}x"}`, wrong: "/body"},
		{in: `{"need":"x","body":"\"{}\""}`, wrong: "/body"},
		{in: `{"need":"x","body":"{\"text\":\"{}\"}"}`, want: `{"body":{"text":"{}"},"need":"x"}`},
		{in: `{"need":"{\"a\":1}","either":"{}"}`, want: `{"either":"{}","need":"{\"a\":1}"}`},
		{in: `{"need":"x","n":"9007199254740993"}`, want: `{"n":9007199254740993,"need":"x"}`},
		{in: `{"need":"x","f":"-1.5","b":"true"}`, want: `{"b":true,"f":-1.5,"need":"x"}`},
		{in: `{"need":"x","n":"1e3"}`, wrong: "/n"}, {in: `{"need":"x","n":" 1"}`, wrong: "/n"}, {in: `{"need":"x","n":"+1"}`, wrong: "/n"},
		{in: `{"need":"x","n":"01"}`, wrong: "/n"}, {in: `{"need":"x","n":"1.0"}`, wrong: "/n"}, {in: `{"need":"x","n":"-0"}`, wrong: "/n"},
		{in: `{"need":"x","n":""}`, wrong: "/n"}, {in: `{"need":"x","b":"True"}`, wrong: "/b"}, {in: `{"need":"x","n":"true"}`, wrong: "/n"},
	} {
		args, err := op.Parse([]byte(tt.in))
		if tt.wrong != "" {
			if bad, ok := err.(*ArgumentError); !ok || bad.Problems[0].Pointer != tt.wrong {
				t.Errorf("%s: %v, want a problem at %s", tt.in, err, tt.wrong)
			}
			continue
		}
		if err != nil || string(args.Canonical()) != tt.want {
			t.Errorf("%s: %v, want %s", tt.in, err, tt.want)
			continue
		}
		again, err := op.Parse(args.Canonical())
		if err != nil || string(again.Canonical()) != tt.want {
			t.Errorf("%s: read again: %v", tt.want, err)
		}
	}
}

// An enum without a type is read as one with it, where one of its values is meant and
// no other.
func TestMendEnum(t *testing.T) {
	op := newOperation(t, "POST", "/x", `{"type":"object","additionalProperties":false,"required":["must"],"properties":{
		"must":{"enum":[1,"x"]},"n":{"enum":[1,2.50,1e3,9007199254740993]},"both":{"enum":[1,"1"]},"b":{"enum":[true,"no"]},"null":{"enum":[1,null]},"c":{"const":7},
		"s":{"type":"string","enum":["a","1.0"]},"o":{"enum":[{"a":1},[1]]},"typed":{"type":"integer","enum":[1,2]},
		"any":{"anyOf":[{"enum":[1]},{"type":"object"}]},"list":{"type":"array","items":{"enum":[1,2]}},"body":{"properties":{"in":{"enum":[1]}}}}}`)
	for in, want := range map[string]string{
		`{"must":"1"}`:                      `{"must":1}`,
		`{"must":"x"}`:                      `{"must":"x"}`,
		`{"must":null}`:                     "/must",
		`{"must":"2"}`:                      "/must",
		`{"must":1,"n":"1"}`:                `{"must":1,"n":1}`,
		`{"must":1,"n":"2.5"}`:              `{"must":1,"n":2.5}`,
		`{"must":1,"n":"1000"}`:             `{"must":1,"n":1000}`,
		`{"must":1,"n":"9007199254740993"}`: `{"must":1,"n":9007199254740993}`,
		`{"must":1,"n":"9007199254740992"}`: "/n",
		`{"must":1,"n":"2.50"}`:             "/n", `{"must":1,"n":"01"}`: "/n", `{"must":1,"n":" 1"}`: "/n", `{"must":1,"n":"1e3"}`: "/n",
		`{"must":1,"n":null}`:      `{"must":1}`,
		`{"must":1,"null":null}`:   `{"must":1,"null":null}`,
		`{"must":1,"null":"null"}`: "/null",
		`{"must":1,"both":"1"}`:    `{"both":"1","must":1}`,
		`{"must":1,"b":"true"}`:    `{"b":true,"must":1}`, `{"must":1,"b":"false"}`: "/b",
		`{"must":1,"c":"7"}`: `{"c":7,"must":1}`, `{"must":1,"c":"8"}`: "/c", `{"must":1,"c":null}`: `{"must":1}`,
		`{"must":1,"s":"1"}`: "/s", `{"must":1,"s":1}`: "/s",
		`{"must":1,"o":"{\"a\":1}"}`: "/o",
		`{"must":1,"typed":"2"}`:     `{"must":1,"typed":2}`, `{"must":1,"typed":"3"}`: "/typed",
		`{"must":1,"any":"1"}`:          `{"any":1,"must":1}`,
		`{"must":1,"list":["1",2]}`:     `{"list":[1,2],"must":1}`,
		`{"must":1,"list":[null]}`:      "/list/0",
		`{"must":1,"body":{"in":"1"}}`:  `{"body":{"in":1},"must":1}`,
		`{"must":1,"body":{"in":null}}`: "/body/in",
	} {
		args, err := op.Parse([]byte(in))
		if bad, ok := err.(*ArgumentError); ok {
			if bad.Problems[0].Pointer != want {
				t.Errorf("%s: %v, want %s", in, err, want)
			}
			continue
		}
		if err != nil || string(args.Canonical()) != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

// What is mended does not depend on how a problem is worded, nor on how long a name is.
func TestMendByKind(t *testing.T) {
	long := strings.Repeat("n", 400)
	op := newOperation(t, "POST", "/x", `{"type":"object","properties":{"s":{"type":"string","pattern":"^, not string$"},"e":{"enum":[", not null"]},"body":{"type":"object","properties":{"`+long+`":{"type":"integer"}}}}}`)
	for in, want := range map[string]string{
		`{"s":"{}"}`: "", `{"e":"1"}`: "", `{"body":{"` + long + `":"7"}}`: `{"body":{"` + long + `":7}}`,
	} {
		args, err := op.Parse([]byte(in))
		if want == "" && err == nil || want != "" && (err != nil || string(args.Canonical()) != want) {
			t.Errorf("%.40s: %v", in, err)
		}
	}
}

// Whoever is shown no type for a body writes an object as its text.
func TestMendUntypedBody(t *testing.T) {
	for schema, want := range map[string]string{
		`{}`:                               `{"body":{"a":1}}`,
		`{"description":"anything"}`:       `{"body":{"a":1}}`,
		`{"$ref":"#/$defs/Any"}`:           `{"body":{"a":1}}`,
		`{"type":"string"}`:                `{"body":"{\"a\":1}"}`,
		`{"type":["object","string"]}`:     `{"body":"{\"a\":1}"}`,
		`{"anyOf":[{"type":"string"},{}]}`: `{"body":"{\"a\":1}"}`,
	} {
		op := newOperation(t, "POST", "/x", `{"type":"object","properties":{"body":`+schema+`},"$defs":{"Any":{"title":"x"}}}`)
		op.body = &body{Media: "application/json", Essence: "application/json"}
		args, err := op.Parse([]byte(`{"body":"{\"a\":1}"}`))
		if err != nil || string(args.Canonical()) != want {
			t.Errorf("%s: %v %s, want %s", schema, err, args.Canonical(), want)
		}
		for _, text := range []string{`"text"`, `"1"`, `"null"`, `"{name} says"`, `""`} {
			args, err := op.Parse([]byte(`{"body":` + text + `}`))
			if err != nil || string(args.Canonical()) != `{"body":`+text+`}` {
				t.Errorf("%s: %s is not left as it is: %v", schema, text, err)
			}
		}
	}
}

// What is read from texts keeps the bounds of all arguments, and its strictness.
func TestMendBounds(t *testing.T) {
	op := newOperation(t, "POST", "/x", `{"type":"object","properties":{"x":{"type":"array"},"y":{"type":"array"},"deep":{"type":"object","properties":{"k":{"type":"array"}}},
		"ids":{"type":"array","items":{"type":"integer"}},"body":{}}}`)
	op.body = &body{Media: "application/json", Essence: "application/json"}
	many := `"[1` + strings.Repeat(",1", argumentLimits.Values/2) + `]"`
	nested := strings.Repeat("[", argumentLimits.Depth-1) + strings.Repeat("]", argumentLimits.Depth-1)
	ids := strings.Repeat(`,"7"`, 5000)[1:]
	for _, tt := range []struct{ name, in, says string }{
		{"a list of large integers", `{"ids":[` + ids + `]}`, ""},
		{"values", `{"x":` + many + `}`, ""},
		{"values of two", `{"x":` + many + `,"y":` + many + `}`, "values"},
		{"depth", `{"x":"` + nested + `"}`, ""},
		{"depth below another", `{"deep":{"k":"` + nested + `"}}`, "levels deep"},
		{"a key twice", `{"deep":"{\"a\":1,\"a\":2}"}`, "the JSON in it at /a is given twice"},
		{"a key in two spellings", `{"deep":"{\"a\":1,\"A\":2}"}`, "the JSON in it"},
		{"no JSON", `{"deep":"{a:1}"}`, "the JSON in it"},
		{"a key twice in an untyped body", `{"body":"{\"a\":1,\"a\":2}"}`, "the JSON in it"},
	} {
		args, err := op.Parse([]byte(tt.in))
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v, want %q in it", tt.name, err, tt.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if _, err := op.Parse(args.Canonical()); err != nil {
			t.Errorf("%s: a hold cannot read it again: %v", tt.name, err)
		}
	}
}

// The API never gets a name that exeat made up for hosts.
func TestMendRenamed(t *testing.T) {
	op := newOperation(t, "POST", "/x", `{"type":"object","properties":{"body":{"type":"object","properties":{"$f":{"type":"object","properties":{"a b":{"type":"integer"}}}}}}}`)
	op.rename([]string{"$f", "a b"})
	f, ab := alias("$f"), alias("a b")
	inner := `{\"` + ab + `\":1}`
	for _, in := range []string{
		`{"body":{"` + f + `":{"` + ab + `":1}}}`,
		`{"body":"{\"` + f + `\":` + inner + `}"}`,
		`{"body":{"` + f + `":"` + inner + `"}}`,
	} {
		args, err := op.Parse([]byte(in))
		if err != nil || string(args.Canonical()) != `{"body":{"$f":{"a b":1}}}` {
			t.Errorf("%s: %v %s", in, err, args.Canonical())
		}
	}
	_, err := op.Parse([]byte(`{"body":"{\"` + f + `\":{},\"$f\":{}}"}`))
	if err == nil || !strings.Contains(err.Error(), "given too") {
		t.Errorf("both names in a text: %v", err)
	}
}

// FuzzMend looks that arguments that are taken fit the schema as they are sent, and
// that those that fit at once are not changed.
func FuzzMend(f *testing.F) {
	op := newOperation(f, "POST", "/x", `{"type":"object","properties":{"n":{"type":"integer"},"o":{"type":"object","properties":{"b":{"type":"boolean"}}},"s":{"type":"string"},"e":{"enum":[1,true,"x",2.50]}}}`)
	for _, s := range []string{`{"e":"1"}`, `{"e":"2.5"}`, `{"n":"1"}`, `{"o":"{\"b\":\"true\"}"}`, `{"s":"{}","n":null}`, `{"o":"[]"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		args, err := op.Parse(raw)
		if err != nil {
			return
		}
		var v map[string]any
		if json.Unmarshal(args.Canonical(), &v) != nil || op.input.validate(args.Value()) != nil {
			t.Fatalf("%s became %s", raw, args.Canonical())
		}
		if again, err := op.Parse(args.Canonical()); err != nil || string(again.Canonical()) != string(args.Canonical()) {
			t.Fatalf("%s became %s, which is not read again: %v", raw, args.Canonical(), err)
		}
		if plain, bad := parseArguments(raw); bad == nil && op.input.validate(plain) == nil && string(appendCanonical(nil, plain)) != string(args.Canonical()) {
			t.Fatalf("%s fits, and became %s", raw, args.Canonical())
		}
	})
}
