package openapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gowebpki/jcs"

	"github.com/exeat/exeat/openapi/strictjson"
)

func TestParseRefuses(t *testing.T) {
	op := newOperation(t, "GET", "/x", anything)
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}" }
	for _, test := range []struct{ name, raw, pointer, message string }{
		{"a word", `nul`, "", "ends"},
		{"an array", `[]`, "", "object"},
		{"null", `null`, "", "object"},
		{"text", `"{}"`, "", "object"},
		{"not UTF-8", "{\"a\":\"\xff\"}", "", "UTF-8"},
		{"a byte order mark", "\ufeff{}", "", "not valid JSON"},
		{"trailing data", `{} {}`, "", "go on"},
		{"trailing comma", `{"a":1,}`, "", "not valid JSON"},
		{"single quotes", `{'a':1}`, "", "not valid JSON"},
		{"a comment", `{"a":1 /* x */}`, "", "not valid JSON"},
		{"the same key twice", `{"a":{"b":1,"b":2}}`, "/a/b", "twice"},
		{"the same key escaped", `{"a":1,"\u0061":2}`, "/a", "twice"},
		{"keys in other capitals", `{"role":"user","Role":"admin"}`, "/Role", "capitals"},
		{"keys with the Kelvin sign", `{"key":1,"\u212aey":2}`, "/\u212aey", "capitals"},
		{"keys with a long s", `{"ids":1,"idſ":2}`, "/idſ", "capitals"},
		{"a number beyond doubles", `{"a":[1,1e999]}`, "/a/1", "range"},
		{"a number below doubles", `{"a":1e-999}`, "/a", "range"},
		{"a huge exponent", `{"a":1e99999999999999999999}`, "/a", "range"},
		{"a long number", `{"a":` + strings.Repeat("9", 200) + `}`, "/a", "200 characters"},
		{"a leading zero", `{"a":01}`, "", "not valid JSON"},
		{"a leading plus", `{"a":+1}`, "/a", "not valid JSON"},
		{"NaN", `{"a":NaN}`, "/a", "not valid JSON"},
		{"a bare point", `{"a":1.}`, "/a", "not valid JSON"},
		{"U+0000", `{"a":"x\u0000y"}`, "/a", "U+0000"},
		{"U+0000 in a key", `{"a\u0000":1}`, "", "U+0000"},
		{"a control character", "{\"a\":\"\n\"}", "/a", "not valid JSON"},
		{"half a pair", `{"a/b":"\ud800"}`, "/a~1b", "surrogate"},
		{"the other half", `{"a":"\udc00x"}`, "/a", "surrogate"},
		{"two first halves", `{"a":"\ud800\ud800"}`, "/a", "surrogate"},
		{"a bad escape", `{"a":"\x41"}`, "/a", "not valid JSON"},
		{"too deep", deep(65), "", "nested"},
		{"too long", `{"a":"` + strings.Repeat("x", argumentLimits.Bytes) + `"}`, "", "bytes"},
		{"too many values", `{"a":[` + strings.Repeat("1,", argumentLimits.Values) + `1]}`, "", "values"},
		{"cut short", `{"a":{"b":[1,2`, "/a/b/1", "ends"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := refusal(t, op, test.raw).Problems[0]
			if !strings.Contains(p.Message, test.message) {
				t.Errorf("message %q, want %q in it", p.Message, test.message)
			}
			if test.name != "too deep" && p.Pointer != test.pointer && test.name != "cut short" {
				t.Errorf("pointer %q, want %q", p.Pointer, test.pointer)
			}
			if len(p.Pointer)+len(p.Message) > 900 {
				t.Errorf("the problem has %d bytes", len(p.Pointer)+len(p.Message))
			}
		})
	}
	for _, raw := range []string{"", " \n", "{}", deep(64)} {
		if _, err := op.Parse([]byte(raw)); err != nil {
			t.Errorf("%.20q: %v", raw, err)
		}
	}
}

func TestCanonicalArguments(t *testing.T) {
	op := newOperation(t, "GET", "/x", anything)
	for raw, want := range map[string]string{
		``:                                               `{}`,
		` { "b" : [ 1 , { } ] , "a" : null } `:           `{"a":null,"b":[1,{}]}`,
		`{"a":1.0,"b":1e2,"c":-0,"d":0.10}`:              `{"a":1,"b":100,"c":0,"d":0.1}`,
		`{"a":9007199254740993}`:                         `{"a":9007199254740993}`,
		`{"a":9007199254740993.0}`:                       `{"a":9007199254740993}`,
		`{"a":9.007199254740993e15}`:                     `{"a":9007199254740993}`,
		`{"a":1e21,"b":1e20,"c":1e-7,"d":1e-6}`:          `{"a":1e+21,"b":100000000000000000000,"c":1e-7,"d":0.000001}`,
		`{"a":0.1000000000000000055511151231}`:           `{"a":0.1000000000000000055511151231}`,
		`{"a":123456789012345678901234567890}`:           `{"a":123456789012345678901234567890}`,
		`{"a":1234567890123456789012345678900}`:          `{"a":1234567890123456789012345678900}`,
		`{"a":-1.5E+300,"b":5e-324}`:                     `{"a":-1.5e+300,"b":5e-324}`,
		`{"a":"\u003c\/\u20ac\u000f\"\\\n\ud83d\ude00"}`: `{"a":"</€\u000f\"\\\n😀"}`,
		`{"\ufb33":1,"\ud83d\ude00":2,"ö":3,"1":4}`:      `{"1":4,"ö":3,"😀":2,"` + "\ufb33" + `":1}`,
	} {
		args, err := op.Parse([]byte(raw))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if got := string(args.Canonical()); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func TestValueHoldsCanonicalNumbers(t *testing.T) {
	args, err := newOperation(t, "GET", "/x", anything).Parse([]byte(`{"a":[1.50,1e2,true,null,"x"]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": []any{json.Number("1.5"), json.Number("100"), true, nil, "x"}}
	if d := cmp.Diff(want, args.Value()); d != "" {
		t.Error(d)
	}
}

// FuzzParse checks that what is accepted is what every JSON reader reads, that
// its canonical form is stable, and that it is RFC 8785 wherever doubles do.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		petArguments, `{"a":[1,2.5e-3,-0,1e21,12345678901234567890]}`, `{"\ud83d\ude00":"\u00e9\\","ﬀ":{}}`, `{"a":1,"A":2}`, `[`, `{"a":"\ud800"}`,
		`{"x":0.1,"y":333333333.33333329,"z":1E30,"w":4.50,"v":2e-3,"u":0.000000000000000000000000001}`,
	} {
		f.Add([]byte(s))
	}
	op := newOperation(f, "GET", "/x", anything)
	f.Fuzz(func(t *testing.T, raw []byte) {
		args, err := op.Parse(raw)
		if err != nil {
			return
		}
		canonical := args.Canonical()
		again, err := op.Parse(canonical)
		if err != nil || !bytes.Equal(again.Canonical(), canonical) {
			t.Fatalf("%s is not stable: %v", canonical, err)
		}
		if len(bytes.TrimSpace(raw)) == 0 {
			return
		}
		var theirs any
		if err := json.Unmarshal(raw, &theirs); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", raw, err)
		}
		var ours any
		if err := json.Unmarshal(canonical, &ours); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(theirs, ours); d != "" {
			t.Fatalf("%q reads as another value: %s", raw, d)
		}
		reference, err := jcs.Transform(raw)
		if err != nil || exceedsDoubles(args.Value()) {
			return
		}
		if !bytes.Equal(reference, canonical) {
			t.Fatalf("%q: %s, RFC 8785 has %s", raw, canonical, reference)
		}
	})
}

// exceedsDoubles reports whether some number keeps digits a double does not have.
func exceedsDoubles(v any) bool {
	switch v := v.(type) {
	case json.Number:
		reference, err := jcs.Transform([]byte(v))
		return err != nil || string(reference) != v.String()
	case []any:
		for _, x := range v {
			if exceedsDoubles(x) {
				return true
			}
		}
	case map[string]any:
		for _, x := range v {
			if exceedsDoubles(x) {
				return true
			}
		}
	}
	return false
}

func TestCanonicalNumbersAgainstReference(t *testing.T) {
	for _, literal := range []string{
		"0", "-0", "0.0", "1", "-1", "1.5", "1e5", "1E-5", "123456.789", "0.000001", "0.0000001", "1e21", "1e20", "999999999999999900000", "1e-6", "1e-7",
		"9007199254740992", "9007199254740994", "1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "295147905179352830000", "333333333.3333332",
		"-0.0000033333333333333333", "1424953923781206.2", "4.35", "0.1", "0.3", "100", "1e2", "12e-1", "10.50", "4611686018427388000", "1e300",
	} {
		want, err := jcs.Transform([]byte(literal))
		if err != nil {
			t.Fatal(err)
		}
		got, reason := strictjson.CanonicalNumber(literal)
		if got != string(want) && literal != "-0.0000033333333333333333" || reason != "" {
			t.Errorf("%s: %s %s, want %s", literal, got, reason, want)
		}
	}
}
