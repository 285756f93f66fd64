package openapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newOperation makes an operation by hand, as Load would compile it.
func newOperation(t testing.TB, method, path, input string, params ...param) *Operation {
	t.Helper()
	op := &Operation{
		API: &API{Name: "test", BaseURL: "https://api.example.com/v1"}, Name: "test", Method: method,
		Input: json.RawMessage(input), params: params,
	}
	op.Path, op.query, _ = strings.Cut(path, "?")
	var err error
	if op.input, err = newValidator(op.Input); err != nil {
		t.Fatal(err)
	}
	return op
}

// encode parses and encodes arguments that have to be accepted.
func encode(t testing.TB, op *Operation, arguments string) *Request {
	t.Helper()
	args, err := op.Parse([]byte(arguments))
	if err != nil {
		t.Fatalf("Parse(%s): %v", arguments, err)
	}
	r, err := op.Encode(args)
	if err != nil {
		t.Fatalf("Encode(%s): %v", arguments, err)
	}
	return r
}

// refusal parses and encodes arguments that have to be refused.
func refusal(t testing.TB, op *Operation, arguments string) *ArgumentError {
	t.Helper()
	args, err := op.Parse([]byte(arguments))
	if err == nil {
		var r *Request
		if r, err = op.Encode(args); err == nil {
			t.Fatalf("Encode(%s) = %s %v %q, want a refusal", arguments, r.Target, r.Header, r.Body)
		}
	}
	var bad *ArgumentError
	if !errors.As(err, &bad) || len(bad.Problems) == 0 {
		t.Fatalf("error of %s is %T %v, want an *ArgumentError with problems", arguments, err, err)
	}
	return bad
}

// send sends a request as tools will, and returns what a server got.
func send(t testing.TB, r *Request) (got *http.Request, body []byte) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		got = in
		body, _ = io.ReadAll(in.Body)
	}))
	defer server.Close()
	out, err := http.NewRequest(r.Method, server.URL+r.Target, strings.NewReader(string(r.Body)))
	if err != nil {
		t.Fatalf("NewRequest(%s): %v", r.Target, err)
	}
	for name, values := range r.Header {
		out.Header[name] = values
	}
	if r.ContentType != "" {
		out.Header.Set("Content-Type", r.ContentType)
	}
	resp, err := server.Client().Do(out)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return got, body
}

// anything is an input schema that takes every object.
const anything = `{"type":"object"}`

func TestRequestGoesOutUnchanged(t *testing.T) {
	op := newOperation(t, "POST", "/a b/{id}/ü;x=1/{rest}?beta=true&x=y z", anything,
		param{Property: "id", Name: "id", In: "path", Style: "simple"},
		param{Property: "rest", Name: "rest", In: "path", Style: "simple"},
		param{Property: "q", Name: "q[]", In: "query", Style: "form", Explode: true},
		param{Property: "url", Name: "url", In: "query", Style: "form", Explode: true, AllowReserved: true},
		param{Property: "trace", Name: "x-trace", In: "header", Style: "simple"},
		param{Property: "c", Name: "c", In: "cookie", Style: "form", Explode: true})
	op.body = &body{Media: "application/json", Essence: "application/json"}
	r := encode(t, op, `{"id":"Grüße & 100%!","rest":"~_-.(x)'*","q":["1 2","a&b=c+d","日本"],"url":"https://x.test/p?a=b&c=d#f",
		"trace":"a b","c":"x; y=z","body":{"b":1.0,"a":[12345678901234567890]}}`)
	want := &Request{
		Method: "POST", Origin: "https://api.example.com",
		Target: "/v1/a%20b/Gr%C3%BC%C3%9Fe%20%26%20100%25%21/%C3%BC;x=1/~_-.%28x%29%27%2A?beta=true&x=y%20z" +
			"&q%5B%5D=1%202&q%5B%5D=a%26b%3Dc%2Bd&q%5B%5D=%E6%97%A5%E6%9C%AC&url=https://x.test/p?a=b%26c=d%23f",
		Path:        "/a%20b/Gr%C3%BC%C3%9Fe%20%26%20100%25%21/%C3%BC;x=1/~_-.%28x%29%27%2A",
		ContentType: "application/json",
		Header:      http.Header{"Accept": {"application/json, */*;q=0.5"}, "X-Trace": {"a b"}, "Cookie": {"c=x%3B%20y%3Dz"}},
		Body:        []byte(`{"a":[12345678901234567890],"b":1}`),
	}
	if d := cmp.Diff(want, r); d != "" {
		t.Fatal(d)
	}
	got, body := send(t, r)
	if got.RequestURI != r.Target {
		t.Errorf("the server got %s, want %s", got.RequestURI, r.Target)
	}
	if string(body) != string(r.Body) {
		t.Errorf("the server got the body %s", body)
	}
	if v := got.URL.Query()["q[]"]; !cmp.Equal(v, []string{"1 2", "a&b=c+d", "日本"}) {
		t.Errorf("q[] = %q", v)
	}
	if v := got.URL.Query().Get("url"); v != "https://x.test/p?a=b&c=d#f" {
		t.Errorf("url = %q", v)
	}
}

func TestServers(t *testing.T) {
	for _, test := range []struct{ api, own, origin, target, err string }{
		{api: "https://API.Example.com:443/v1/", origin: "https://api.example.com", target: "/v1/x"},
		{api: "http://127.0.0.1:8080", origin: "http://127.0.0.1:8080", target: "/x"},
		{api: "https://a.test/v1", own: "http://b.test:80/w%20x", origin: "http://b.test", target: "/w%20x/x"},
		{api: "", err: "--base-url"},
		{api: "ftp://a.test", err: "--base-url"},
		{api: "https://user:secret@a.test", err: "--base-url"},
		{api: "https://a.test/v1?x=y", err: "--base-url"},
		{api: "https://a.test/v1/../v2", err: "made of dots or spaces"},
		{api: "/v1", err: "--base-url"},
	} {
		op := newOperation(t, "GET", "/x", anything)
		op.API.BaseURL, op.baseURL = test.api, test.own
		r, err := op.Encode(&Args{})
		switch {
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: error %v, want one with %q", test.api, err, test.err)
			}
		case err != nil:
			t.Errorf("%q: %v", test.api, err)
		case r.Origin != test.origin || r.Target != test.target || r.Path != "/x":
			t.Errorf("%q: %s %s %s", test.api, r.Origin, r.Target, r.Path)
		}
	}
}

func TestTemplatesThatAreNoPath(t *testing.T) {
	for _, path := range []string{"/a/../b", "/./a", "//a", "a", "/a%2fb", `/a\b`, "/%2e%2e/a", "/a%00", "/x#get", "/x?a=1#get", "/a//b", "/{a"} {
		op := newOperation(t, "GET", path, anything)
		if r, err := op.Encode(&Args{}); err == nil {
			t.Errorf("%s was encoded as %s", path, r.Target)
		}
	}
}

const petInput = `{"type":"object","additionalProperties":false,"required":["petId","body"],"properties":{
	"petId":{"type":"integer","minimum":1},"dry_run":{"type":"boolean"},
	"body":{"type":"object","required":["name"],"properties":{"name":{"type":"string","maxLength":100},"tags":{"type":"array","items":{"type":"string"}},
	"status":{"enum":["available","pending","sold"]},"owner":{"type":"object","properties":{"email":{"type":"string"}}}}}}}`

const petArguments = `{"petId":12,"dry_run":true,"body":{"name":"Rex","tags":["good","dog"],"status":"sold","owner":{"email":"a@example.com"}}}`

func petOperation(t testing.TB) *Operation {
	op := newOperation(t, "PUT", "/pets/{petId}", petInput,
		param{Property: "petId", Name: "petId", In: "path", Style: "simple", Required: true, Type: "integer"},
		param{Property: "dry_run", Name: "dry_run", In: "query", Style: "form", Explode: true, Type: "boolean"})
	op.body = &body{Required: true, Media: "application/json", Essence: "application/json"}
	return op
}

func BenchmarkParse(b *testing.B) {
	op := petOperation(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := op.Parse([]byte(petArguments)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheck is the part of Parse that the schema takes.
func BenchmarkCheck(b *testing.B) {
	op := petOperation(b)
	args, err := op.Parse([]byte(petArguments))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if bad := op.validate(args.Value()); bad != nil {
			b.Fatal(bad)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	op := petOperation(b)
	args, err := op.Parse([]byte(petArguments))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := op.Encode(args); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCall is what a call costs before it is sent: parsing, checking and
// encoding its arguments.
func BenchmarkCall(b *testing.B) {
	op := petOperation(b)
	b.ReportAllocs()
	for b.Loop() {
		args, err := op.Parse([]byte(petArguments))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := op.Encode(args); err != nil {
			b.Fatal(err)
		}
	}
}
