package openapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// The values of OpenAPI 3.1.1 §4.8.12.6, "Style Examples".
const (
	blueText   = `"blue"`
	colours    = `["blue","black","brown"]`
	colourRGB  = `{"R":100,"G":200,"B":150}`
	emptyText  = `""`
	emptyArray = `[]`
)

// TestStyles checks every style in every place. Members of objects come in
// canonical order (B, G, R), where the specification shows the document's.
func TestStyles(t *testing.T) {
	for _, test := range []struct {
		in, style string
		explode   bool
		value     string
		want      string // "" if it is refused
	}{
		{"path", "matrix", false, emptyText, ""},
		{"path", "matrix", false, blueText, ";color=blue"},
		{"path", "matrix", false, colours, ";color=blue,black,brown"},
		{"path", "matrix", false, colourRGB, ";color=B,150,G,200,R,100"},
		{"path", "matrix", true, blueText, ";color=blue"},
		{"path", "matrix", true, colours, ";color=blue;color=black;color=brown"},
		{"path", "matrix", true, colourRGB, ";B=150;G=200;R=100"},
		{"path", "label", false, emptyText, ""},
		{"path", "label", false, blueText, ".blue"},
		{"path", "label", false, colours, ".blue,black,brown"},
		{"path", "label", false, colourRGB, ".B,150,G,200,R,100"},
		{"path", "label", true, colours, ".blue.black.brown"},
		{"path", "label", true, colourRGB, ".B=150.G=200.R=100"},
		{"path", "label", true, `["1.2"]`, ""},
		{"path", "simple", false, emptyText, ""},
		{"path", "simple", false, blueText, "blue"},
		{"path", "simple", false, colours, "blue,black,brown"},
		{"path", "simple", false, colourRGB, "B,150,G,200,R,100"},
		{"path", "simple", true, colours, "blue,black,brown"},
		{"path", "simple", true, colourRGB, "B=150,G=200,R=100"},
		{"path", "simple", false, `["a,b","c"]`, ""},
		{"path", "simple", false, `["a",""]`, ""},
		{"path", "simple", false, emptyArray, ""},
		{"path", "simple", false, `null`, ""},
		{"path", "simple", false, `true`, "true"},
		{"path", "simple", false, `1e2`, "100"},
		{"path", "simple", false, `12345678901234567890`, "12345678901234567890"},

		{"query", "form", true, emptyText, "color="},
		{"query", "form", true, blueText, "color=blue"},
		{"query", "form", true, colours, "color=blue&color=black&color=brown"},
		{"query", "form", true, colourRGB, "B=150&G=200&R=100"},
		{"query", "form", false, emptyText, "color="},
		{"query", "form", false, colours, "color=blue,black,brown"},
		{"query", "form", false, colourRGB, "color=B,150,G,200,R,100"},
		{"query", "form", false, `["a,b"]`, ""},
		{"query", "form", true, `["a,b"]`, "color=a%2Cb"},
		{"query", "form", true, `[[1]]`, ""},
		{"query", "form", true, `{"a":{"b":1}}`, ""},
		{"query", "form", true, `{"":1}`, ""},
		{"query", "form", true, `null`, ""},
		{"query", "form", true, `[null]`, ""},
		{"query", "form", true, emptyArray, ""},
		{"query", "form", true, `{}`, ""},
		{"query", "form", true, `{"a&b":"c=d"}`, "a%26b=c%3Dd"},
		{"query", "spaceDelimited", false, colours, "color=blue%20black%20brown"},
		{"query", "spaceDelimited", false, colourRGB, "color=B%20150%20G%20200%20R%20100"},
		{"query", "spaceDelimited", true, colours, "color=blue&color=black&color=brown"},
		{"query", "spaceDelimited", false, `["a b"]`, ""},
		{"query", "pipeDelimited", false, colours, "color=blue%7Cblack%7Cbrown"},
		{"query", "pipeDelimited", false, colourRGB, "color=B%7C150%7CG%7C200%7CR%7C100"},
		{"query", "pipeDelimited", false, `["a|b"]`, ""},
		{"query", "deepObject", true, colourRGB, "color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100"},
		{"query", "deepObject", true, `{"a":{"b":{"c":1}},"d":["x","y"],"e":[{"f":1},{"f":2}]}`,
			"color%5Ba%5D%5Bb%5D%5Bc%5D=1&color%5Bd%5D%5B%5D=x&color%5Bd%5D%5B%5D=y&color%5Be%5D%5B0%5D%5Bf%5D=1&color%5Be%5D%5B1%5D%5Bf%5D=2"},
		{"query", "deepObject", true, `["x","y"]`, "color%5B%5D=x&color%5B%5D=y"},
		{"query", "deepObject", true, `{"a]":1}`, ""},
		{"query", "deepObject", true, `{"a":null}`, ""},
		{"query", "deepObject", true, `{"a":{}}`, ""},
		{"query", "deepObject", true, `{}`, ""},

		{"header", "simple", false, emptyText, "<>"},
		{"header", "simple", false, blueText, "<blue>"},
		{"header", "simple", false, colours, "<blue,black,brown>"},
		{"header", "simple", false, colourRGB, "<B,150,G,200,R,100>"},
		{"header", "simple", true, colourRGB, "<B=150,G=200,R=100>"},
		{"header", "simple", false, `"a, b"`, "<a, b>"},
		{"header", "simple", false, `["a,b"]`, ""},
		{"header", "simple", false, `"a\r\nX: y"`, ""},
		{"header", "simple", false, `"a\nb"`, ""},
		{"header", "simple", false, `"a\tb"`, ""},
		{"header", "simple", false, `"a\u007fb"`, ""},
		{"header", "simple", false, `" a"`, ""},
		{"header", "simple", false, `"ü"`, ""},

		{"cookie", "form", true, emptyText, "<color=>"},
		{"cookie", "form", true, blueText, "<color=blue>"},
		{"cookie", "form", true, colours, "<color=blue; color=black; color=brown>"},
		{"cookie", "form", true, colourRGB, "<B=150; G=200; R=100>"},
		{"cookie", "form", false, colours, "<color=blue,black,brown>"},
		{"cookie", "form", false, `"a; b=c\r\n"`, "<color=a%3B%20b%3Dc%0D%0A>"},
		{"cookie", "form", true, `{"a;b":"c"}`, "<a%3Bb=c>"},
		{"cookie", "cookie", true, blueText, "<color=blue>"},
		{"cookie", "cookie", true, emptyText, "<color=>"},
		{"cookie", "cookie", true, colours, "<color=blue; color=black; color=brown>"},
		{"cookie", "cookie", true, colourRGB, "<B=150; G=200; R=100>"},
		{"cookie", "cookie", false, blueText, "<color=blue>"},
		{"cookie", "cookie", false, colours, "<color=blue,black,brown>"},
		{"cookie", "cookie", false, colourRGB, "<color=B,150,G,200,R,100>"},
		{"cookie", "cookie", false, `["a,b"]`, ""},
		{"cookie", "cookie", false, `["a;b"]`, ""},
		{"cookie", "cookie", false, `"a,b"`, ""},
		{"cookie", "cookie", true, `["a,b"]`, ""},
		{"cookie", "cookie", true, emptyArray, ""},
		{"cookie", "cookie", true, `null`, ""},
		{"cookie", "form", false, colourRGB, "<color=B,150,G,200,R,100>"},
		{"cookie", "form", true, emptyArray, ""},
		{"cookie", "form", true, `null`, ""},
		{"header", "simple", true, colours, "<blue,black,brown>"},
		{"header", "simple", false, emptyArray, ""},
		{"header", "simple", false, `null`, ""},
		{"query", "spaceDelimited", true, colourRGB, "B=150&G=200&R=100"},
		{"query", "spaceDelimited", false, emptyArray, ""},
		{"query", "spaceDelimited", false, emptyText, "color="},
		{"query", "pipeDelimited", true, colours, "color=blue&color=black&color=brown"},
		{"query", "pipeDelimited", false, `[null]`, ""},
		{"query", "deepObject", true, emptyText, "color="},
		{"path", "matrix", true, emptyText, ""},
		{"path", "matrix", true, emptyArray, ""},
		{"path", "matrix", false, `null`, ""},
		{"path", "label", true, emptyText, ""},
		{"path", "label", true, blueText, ".blue"},
		{"path", "label", false, `null`, ""},
		{"path", "simple", true, blueText, "blue"},
		{"path", "simple", true, `{}`, ""},
		{"cookie", "cookie", true, `"a b"`, ""},
		{"cookie", "cookie", true, `"a;b"`, ""},
		{"cookie", "cookie", true, `"a%20b"`, "<color=a%20b>"},
		{"cookie", "cookie", true, `{"a b":"c"}`, ""},
	} {
		t.Run(fmt.Sprintf("%s %s %v %s", test.in, test.style, test.explode, test.value), func(t *testing.T) {
			path := "/x"
			if test.in == "path" {
				path = "/x/{color}"
			}
			op := newOperation(t, "GET", path, anything,
				param{Property: "c", Name: "color", In: test.in, Style: test.style, Explode: test.explode})
			arguments := fmt.Sprintf(`{"c":%s}`, test.value)
			if test.want == "" {
				if p := refusal(t, op, arguments).Problems[0]; !strings.HasPrefix(p.Pointer, "/c") {
					t.Errorf("the problem is at %q", p.Pointer)
				}
				return
			}
			r := encode(t, op, arguments)
			got := strings.TrimPrefix(r.Target, "/v1/x")
			switch test.in {
			case "path":
				got = strings.TrimPrefix(got, "/")
			case "query":
				got = strings.TrimPrefix(got, "?")
			case "header":
				got = "<" + r.Header.Get("Color") + ">"
			case "cookie":
				got = "<" + r.Header.Get("Cookie") + ">"
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if in, _ := send(t, r); in.RequestURI != r.Target {
				t.Errorf("on the wire: %s, want %s", in.RequestURI, r.Target)
			}
		})
	}
}

func TestContentParameters(t *testing.T) {
	const value = `{"v":{"b":"ü, 🐶 \u007f","a":1}}`
	for in, want := range map[string]string{
		"query":  "/v1/x?v=%7B%22a%22%3A1%2C%22b%22%3A%22%C3%BC%2C%20%F0%9F%90%B6%20%7F%22%7D",
		"header": `{"a":1,"b":"\u00fc, \ud83d\udc36 \u007f"}`,
		"cookie": "v=%7B%22a%22%3A1%2C%22b%22%3A%22%C3%BC%2C%20%F0%9F%90%B6%20%7F%22%7D",
	} {
		op := newOperation(t, "GET", "/x", anything, param{Property: "v", Name: "v", In: in, Style: "form", ContentType: "application/json"})
		r := encode(t, op, value)
		got := map[string]string{"query": r.Target, "header": r.Header.Get("V"), "cookie": r.Header.Get("Cookie")}[in]
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	op := newOperation(t, "GET", "/x", anything, param{Property: "v", Name: "v", In: "query", Style: "form", ContentType: "text/plain"})
	refusal(t, op, value)
}

func TestSpilledNames(t *testing.T) {
	op := newOperation(t, "GET", "/x?fixed=1", anything,
		param{Property: "filter", Name: "filter", In: "query", Style: "form", Explode: true},
		param{Property: "deep", Name: "deep", In: "query", Style: "deepObject", Explode: true},
		param{Property: "admin", Name: "admin", In: "query", Style: "form", Explode: true},
		param{Property: "deep_a", Name: "deep[a]", In: "query", Style: "form", Explode: true},
		param{Property: "prefs", Name: "prefs", In: "cookie", Style: "form", Explode: true})
	op.API.Security = map[string]SecurityScheme{"key": {Type: "apiKey", In: "query", Name: "api_key"}, "s": {Type: "apiKey", In: "cookie", Name: "session"}}
	for _, bad := range []string{
		`{"filter":{"admin":true}}`, `{"filter":{"ADMIN":true}}`, `{"filter":{"fixed":2}}`, `{"filter":{"api_key":"x"}}`,
		`{"deep":{"a":1}}`, `{"prefs":{"session":"x"}}`,
	} {
		refusal(t, op, bad)
	}
	if r := encode(t, op, `{"filter":{"colour":"red"},"deep":{"b":1},"prefs":{"lang":"en"}}`); r.Target != "/v1/x?fixed=1&colour=red&deep%5Bb%5D=1" {
		t.Error(r.Target)
	}
}

func TestHeadersThatArgumentsCannotSet(t *testing.T) {
	for _, name := range []string{"authorization", "Content-Type", "ACCEPT", "cookie", "Host", "transfer-encoding", "Txn-Token", "txn_token", "X: y", "x y", ""} {
		op := newOperation(t, "GET", "/x", anything, param{Property: "h", Name: name, In: "header", Style: "simple"})
		refusal(t, op, `{"h":"v"}`)
		if r := encode(t, op, `{}`); len(r.Header) != 1 {
			t.Errorf("%q: %v", name, http.Header(r.Header))
		}
	}
}

func TestOneHeaderForOneArgument(t *testing.T) {
	op := newOperation(t, "GET", "/x", anything,
		param{Property: "a", Name: "X-A", In: "header", Style: "simple"}, param{Property: "b", Name: "x-a", In: "header", Style: "simple"})
	if r := encode(t, op, `{"b":"1"}`); r.Header.Get("X-A") != "1" {
		t.Error(r.Header)
	}
	refusal(t, op, `{"a":"1","b":"2"}`)
}

// TestDefaultStyles loads parameters without style and explode.
func TestDefaultStyles(t *testing.T) {
	op := one(t, loadText(t, "openapi: 3.2.0\ninfo: {title: t, version: '1'}\nservers: [{url: https://api.example.com}]\n"+`
paths: {'/a/{p}': {get: {operationId: a, parameters: [{name: p, in: path, required: true}, {name: q, in: query}, {name: h, in: header}, {name: c, in: cookie}, {name: raw, in: cookie, style: cookie}, {name: s, in: query, style: spaceDelimited}]}}}`, Options{}))
	r := encode(t, op, `{"p":["1","2"],"q":["1","2"],"h":["1","2"],"c":["1","2"],"raw":["1","2"],"s":["1","2"]}`)
	got := fmt.Sprint(r.Target, " ", r.Header.Get("H"), " ", r.Header.Get("Cookie"))
	if want := "/a/1,2?q=1&q=2&s=1%202 1,2 c=1; c=2; raw=1; raw=2"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
