package openapi

import (
	"fmt"
	"strings"
	"testing"
)

// hostileArguments are refused at a pointer, or accepted and then found on the
// wire as they are: pointer is "-" for those.
var hostileArguments = []struct{ name, op, raw, pointer string }{
	{"dots", "get", `{"a":"..","b":"1"}`, "/a"},
	{"one dot", "get", `{"a":".","b":"1"}`, "/a"},
	{"dots and a slash", "get", `{"a":"../../admin","b":"1"}`, "/a"},
	{"encoded dots", "get", `{"a":"%2e%2e","b":"1"}`, "/a"},
	{"doubly encoded dots", "get", `{"a":"%252e%252e","b":"1"}`, "/a"},
	{"encoded slash", "get", `{"a":"x%2fy","b":"1"}`, "/a"},
	{"overlong slash", "get", `{"a":"%c0%af","b":"1"}`, "/a"},
	{"NUL", "get", `{"a":"x\u0000","b":"1"}`, "/a"},
	{"encoded NUL", "get", `{"a":"x%00","b":"1"}`, "/a"},
	{"line break", "get", `{"a":"x\r\nHost: evil","b":"1"}`, "/a"},
	{"empty", "get", `{"a":"","b":"1"}`, "/a"},
	{"missing", "get", `{"a":"x"}`, "/b"},
	{"backslash", "get", `{"a":"..\\x","b":"1"}`, "/a"},
	{"dots with a path parameter", "get", `{"a":"..;x=1","b":"1"}`, "/a"},
	{"reserved", "get", `{"a":"x;y=1?z#w%&+=:@!$,","b":"100%"}`, "-"},
	{"8 KiB in a path", "get", `{"a":"` + strings.Repeat("x", 8<<10) + `","b":"1"}`, "-"},
	{"64 KiB in a path", "get", `{"a":"` + strings.Repeat("x", 65<<10) + `","b":"1"}`, "/a"},
	{"22 KiB that grow to 66", "get", `{"a":"` + strings.Repeat("ü", 11<<10) + `","b":"1"}`, "/a"},
	{"64 KiB in a query", "get", `{"a":"1","b":"1","q":"` + strings.Repeat("x", 65<<10) + `"}`, "/q"},
	{"64 KiB in many items", "get", `{"a":"1","b":"1","r":["` + strings.Repeat(`x","`, 20<<10) + `x"]}`, "/r"},
	{"64 KiB in a header", "get", `{"a":"1","b":"1","X-H":"` + strings.Repeat("x", 65<<10) + `"}`, "/X-H"},
	{"64 KiB in a cookie", "get", `{"a":"1","b":"1","c":"` + strings.Repeat("x", 65<<10) + `"}`, "/c"},

	{"header with a line break", "get", `{"a":"1","b":"1","X-H":"x\r\nAuthorization: y"}`, "/X-H"},
	{"header with a bare LF", "get", `{"a":"1","b":"1","X-H":"x\ny"}`, "/X-H"},
	{"header with NUL", "get", `{"a":"1","b":"1","X-H":"x\u0000"}`, "/X-H"},
	{"header with a leading space", "get", `{"a":"1","b":"1","X-H":" x"}`, "/X-H"},
	{"header with a trailing space", "get", `{"a":"1","b":"1","X-H":"x "}`, "/X-H"},
	{"header outside ASCII", "get", `{"a":"1","b":"1","X-H":"é"}`, "/X-H"},
	{"header with U+0085", "get", `{"a":"1","b":"1","X-H":"x\u0085y"}`, "/X-H"},
	{"header of punctuation", "get", `{"a":"1","b":"1","X-H":"a, b; c=\"d\" (e) \\ :"}`, "-"},
	{"Authorization", "get", `{"a":"1","b":"1","Authorization":"Bearer x"}`, "/Authorization"},
	{"Host", "get", `{"a":"1","b":"1","Host":"evil"}`, "/Host"},
	{"the header in other capitals", "get", `{"a":"1","b":"1","x-h":"y"}`, "/x-h"},

	{"cookie of all that ends one", "get", `{"a":"1","b":"1","c":"x; y=z, \"q\"\r\n\\ é"}`, "-"},

	{"query pollution", "get", `{"a":"1","b":"1","q":"x&q=y&r=z;s=1#f+%26=[]"}`, "-"},
	{"items that hold separators", "get", `{"a":"1","b":"1","r":["x&r=y","a,b","c=d","[]",""]}`, "-"},
	{"joined items that hold a comma", "get", `{"a":"1","b":"1","s":["x,y"]}`, "/s"},
	{"no items", "get", `{"a":"1","b":"1","s":[]}`, "/s"},
	{"deep key with a bracket", "get", `{"a":"1","b":"1","d":{"x][y":"1"}}`, "/d/x][y"},
	{"deep key of separators", "get", `{"a":"1","b":"1","d":{"x&y=z+w #%":"1"}}`, "-"},
	{"spilled key that is an argument", "get", `{"a":"1","b":"1","e":{"q":"1"}}`, "/e/q"},
	{"spilled key in other capitals", "get", `{"a":"1","b":"1","e":{"Q":"1"}}`, "/e/Q"},
	{"spilled key that is a list of an argument", "get", `{"a":"1","b":"1","e":{"q[]":"1"}}`, "/e/q[]"},
	{"spilled key that is a member of an argument", "get", `{"a":"1","b":"1","e":{"d[x]":"1"},"d":{"x":"2"}}`, "/e/d[x]"},
	{"one key spilled twice", "get", `{"a":"1","b":"1","e":{"x":"1"},"g":{"x":"2"}}`, "/g/x"},
	{"one key spilled twice, in brackets", "get", `{"a":"1","b":"1","e":{"x":"1"},"g":{"X[]":"2"}}`, "/g/X[]"},
	{"spilled keys of separators", "get", `{"a":"1","b":"1","e":{"x&q=1":"y","=":"z","+":"w"}}`, "-"},

	{"form of separators", "form", `{"body":{"x":"1&list=2","list":["a=b","c+d","%26"],"o":{"k=&":"v"},"y&z=1":"w"}}`, "-"},
	{"form that says a thing twice", "form", `{"body":{"o":{"k":"1"},"o[k]":"2"}}`, "/body/o[k]"},
	{"form with a bracket in a key", "form", `{"body":{"o":{"k][l":"1"}}}`, "/body/o/k][l"},
	{"form with control characters", "form", `{"body":{"x":"\r\n\t\u001b\u202e"}}`, "-"},

	{"part name that breaks out", "multi", `{"body":{"a\"; filename=\"b":"x"}}`, `/body/a"; filename="b`},
	{"part name with a line break", "multi", `{"body":{"a\r\nContent-Type: text/html":"x"}}`, "/body/a\r\nContent-Type: text~1html"},
	{"part value with a boundary", "multi", `{"body":{"x":"\r\n--exeat-00000000000000000000000000000000--\r\n","y":"Content-Disposition: form-data"}}`, "-"},
	{"file name that breaks out", "multi", `{"body":{"file":{"data":"eA==","filename":"a\"\r\nX: y"}}}`, "/body/file/filename"},
	{"file name in another direction", "multi", `{"body":{"file":{"data":"eA==","filename":"report\u202efdp.exe"}}}`, "/body/file/filename"},
	{"file name with RFC 2231 star", "multi", `{"body":{"file":{"data":"eA==","filename":"a%22.txt; filename*=utf-8''b"}}}`, "-"},
	{"bytes of loose base64", "multi", `{"body":{"file":"00"}}`, "/body/file"},
	{"content type that breaks out", "multi", `{"body":{"file":{"data":"eA==","content_type":"text/plain\r\nX: y"}}}`, "/body/file/content_type"},
	{"content type outside ASCII", "multi", `{"body":{"file":{"data":"eA==","content_type":"text/plain; x=\"\u202e\""}}}`, "/body/file/content_type"},
	{"content type with parameters", "multi", `{"body":{"file":{"data":"eA==","content_type":"text/plain; charset=\"utf-8\""}}}`, "-"},

	{"Cedar's escapes", "json", `{"body":{"__entity":{"type":"User","id":"admin"},"x":{"__extn":{"fn":"ip","arg":"::1"}}}}`, "-"},
	{"a key twice", "json", `{"body":{"x":1,"x":2}}`, "/body/x"},
	{"a key in other capitals", "json", `{"body":{"role":1,"ROLE":2}}`, "/body/ROLE"},
	{"a key with a zero-width character", "json", `{"body":{"role":1,"ro\u200ble":2}}`, "/body/ro\u200ble"},
	{"a key in another composition", "json", `{"body":{"caf\u00e9":1,"cafe\u0301":2}}`, "/body/cafe\u0301"},
	{"an argument with a zero-width character", "get", `{"a":"1","b":"1","q\u200b":"x"}`, "/q\u200b"},
	{"a form's field with a bidi character", "form", `{"body":{"x\u202e":"1"}}`, "/body/x\u202e"},
	{"a prototype", "json", `{"body":{"__proto__":{"admin":true}}}`, "/body/__proto__"},
	{"a prototype in brackets", "form", `{"body":{"x[__proto__][admin]":"1"}}`, "/body/x[__proto__][admin]"},
	{"a constructor's prototype", "json", `{"body":{"constructor":{"prototype":{"admin":true}}}}`, "/body/constructor/prototype"},
	{"a constructor", "json", `{"body":{"constructor":"Ferrari","prototype":"x"}}`, "-"},
	{"2^53+1", "json", `{"body":[9007199254740993,-9007199254740993,18446744073709551616]}`, "-"},
	{"an integer beyond doubles", "get", `{"a":"1","b":"1","n":1e400}`, "/n"},
	{"1e999", "json", `{"body":1e999}`, "/body"},
	{"minus zero", "json", `{"body":[-0,-0.0,0e5]}`, "-"},
	{"NaN", "json", `{"body":NaN}`, "/body"},
	{"Infinity", "json", `{"body":-Infinity}`, "/body"},
	{"a number as loose text", "get", `{"a":"1","b":"1","n":"+1"}`, "/n"},
	{"a fraction as integer", "get", `{"a":"1","b":"1","n":1.5}`, "/n"},
	{"a whole fraction as integer", "get", `{"a":"1","b":"1","n":1.0}`, "-"},
	{"a number of a million digits", "json", `{"body":1` + strings.Repeat("0", 1e6) + `}`, "/body"},
	{"a fraction of a million digits", "json", `{"body":0.` + strings.Repeat("1", 1e6) + `}`, "/body"},
	{"deep nesting", "json", `{"body":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "*"},
	{"a million brackets", "json", `{"body":` + strings.Repeat(`{"x":[`, 5e5), "*"},
	{"a long text", "json", `{"body":"` + strings.Repeat("x", 1<<20) + `"}`, "-"},
	{"a text beyond all bounds", "json", `{"body":"` + strings.Repeat("x", argumentLimits.Bytes) + `"}`, ""},
	{"half a surrogate pair", "json", `{"body":"\ud800"}`, "/body"},
	{"half a surrogate pair in a key", "json", `{"body":{"\udfff":1}}`, "/body"},
	{"invalid UTF-8", "json", "{\"body\":\"\xc0\xaf\"}", ""},
	{"a surrogate in UTF-8", "json", "{\"body\":\"\xed\xa0\x80\"}", ""},
	{"bidi in a value", "json", `{"body":"\u202e\u2066\u200b\ufeff"}`, "-"},
	{"an unknown argument", "get", `{"a":"1","b":"1","z":1}`, "/z"},
	{"another body", "get", `{"a":"1","b":"1","body":{}}`, "/body"},
	{"no object", "json", `[{"body":1}]`, ""},
	{"nothing", "json", ``, "-"},
	{"a form without fields", "form", `{"body":{}}`, "-"},
}

func TestHostileArguments(t *testing.T) {
	ops := hostileOperations(t)
	for _, tt := range hostileArguments {
		t.Run(tt.name, func(t *testing.T) {
			op := ops[tt.op]
			if tt.pointer == "-" {
				r := encode(t, op, tt.raw)
				args, err := op.Parse([]byte(tt.raw))
				if err != nil {
					t.Fatal(err)
				}
				sameOnWire(t, op, args.Value(), r)
				return
			}
			bad := refusal(t, op, tt.raw)
			if p := bad.Problems[0].Pointer; p != tt.pointer && tt.pointer != "*" {
				t.Errorf("refused at %q with %v, want %q", p, bad, tt.pointer)
			}
			if n := len(bad.Error()); n > 4000 {
				t.Errorf("the refusal has %d bytes", n)
			}
		})
	}
}

// Every scalar of the wrong type is refused at its place; null is an argument that is
// left out.
func TestTypeConfusion(t *testing.T) {
	values := map[string]string{"string": `"x"`, "number": `1.5`, "integer": `1`, "boolean": `true`, "'null'": `null`, "array": `["x"]`, "object": `{"x":"y"}`}
	for want := range values {
		for _, place := range []string{"query", "header", "cookie"} {
			op := one(t, loadText(t, v30+fmt.Sprintf("paths: {/a: {get: {operationId: a, parameters: [{name: v, in: %s, schema: {type: %s}}]}}}", place, want), Options{}))
			for got, text := range values {
				fits := got == want || got == "integer" && want == "number" || got == "'null'"
				_, err := op.Parse([]byte(`{"v":` + text + `}`))
				if fits != (err == nil) {
					t.Errorf("%s for %s in %s: %v", got, want, place, err)
				}
				if bad, ok := err.(*ArgumentError); ok && bad.Problems[0].Pointer != "/v" {
					t.Errorf("%s for %s: %v", got, want, bad)
				}
			}
		}
	}
}
