package openapi

import (
	"context"
	"strings"
	"testing"
)

func TestContentTypes(t *testing.T) {
	doc := func(extra, content string) string {
		return v30 + "paths: {/a: {post: {operationId: addOne, " + extra + "requestBody: {required: true, content: {" + content + "}}}}, /b: {post: {operationId: b}}}"
	}
	const book = "{schema: {type: object, xml: {name: book}, properties: {a: {type: string}}}}"
	all := "application/json: " + book + ", application/xml: " + book + ", " + formType + ": " + book + ", " + multipartType + ": " + book + ", application/x-ndjson: " + book
	for _, test := range []struct {
		name, doc string
		chosen    map[string]string
		body      string
		want      string // content type and body
		err       string
	}{
		{name: "JSON comes first", doc: doc("", all), body: `{"a":"x"}`, want: `application/json {"a":"x"}`},
		{name: "by id", doc: doc("", all), chosen: map[string]string{"addOne": "application/xml"}, body: `{"a":"x"}`, want: "application/xml <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<book><a>x</a></book>"},
		{name: "by tool name", doc: doc("", all), chosen: map[string]string{"add_one": formType}, body: `{"a":"x"}`, want: formType + " a=x"},
		{name: "by extension", doc: doc("x-exeat-content-type: "+formType+", ", all), body: `{"a":"x"}`, want: formType + " a=x"},
		{name: "the operator rules the extension", doc: doc("x-exeat-content-type: "+formType+", ", all), chosen: map[string]string{"addOne": "application/json"}, body: `{"a":"x"}`, want: `application/json {"a":"x"}`},
		{name: "lines", doc: doc("", all), chosen: map[string]string{"addOne": "application/x-ndjson"}, body: `[{"a":"x"},{"a":"y\n"}]`, want: "application/x-ndjson {\"a\":\"x\"}\n{\"a\":\"y\\n\"}\n"},
		{name: "parameters of the type", doc: doc("", "application/json: "+book+", application/xml;v=2: "+book), chosen: map[string]string{"addOne": "application/xml"}, body: `{}`, want: "application/xml;v=2 <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<book></book>"},
		{name: "unknown operation", doc: doc("", all), chosen: map[string]string{"addTwo": formType}, err: `the content type for "addTwo" matches no operation`},
		{name: "unknown type", doc: doc("", all), chosen: map[string]string{"addOne": "text/csv"}, err: `is "text/csv"; its body can be sent as application/json`},
		{name: "no body", doc: doc("", all), chosen: map[string]string{"b": formType}, err: `the content type for "b" cannot be`},
		{name: "what the schema cannot be", doc: doc("", "application/json: {}, application/xml: {schema: {type: object}}"), chosen: map[string]string{"addOne": "application/xml"}, err: "no name"},

		{name: "Swagger", doc: "swagger: '2.0'\ninfo: {title: t, version: '1'}\nhost: api.example.com\npaths: {/a: {post: {operationId: addOne, consumes: [application/xml, application/json], parameters: [{in: body, name: x, schema: {type: object, xml: {name: book}}}]}}}",
			chosen: map[string]string{"addOne": "application/xml"}, body: `{"a":"x"}`, want: "application/xml <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<book><a>x</a></book>"},
		{name: "Swagger's forms", doc: "swagger: '2.0'\ninfo: {title: t, version: '1'}\nhost: api.example.com\npaths: {/a: {post: {operationId: addOne, consumes: [" + multipartType + ", " + formType + "], parameters: [{in: formData, name: x, type: file}]}}}",
			chosen: map[string]string{"addOne": formType}, err: "holds files"},

		{name: "3.2 items", doc: strings.Replace(doc("", "application/jsonl: {itemSchema: {type: integer}}"), "3.0.3", "3.2.0", 1), body: `[1,2]`, want: "application/jsonl 1\n2\n"},
		{name: "a sequence", doc: doc("", "application/json-seq: {schema: {type: array, items: {type: object}}}"), body: `[{},{"a":[1]}]`, want: "application/json-seq \x1e{}\n\x1e{\"a\":[1]}\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api, err := Load(context.Background(), writeFile(t, "a.yaml", test.doc), Options{ContentTypes: test.chosen})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range api.Operations {
				if op.ID != "addOne" {
					continue
				}
				r := encode(t, op, `{"body":`+test.body+`}`)
				if got := r.ContentType + " " + string(r.Body); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
				return
			}
			t.Fatalf("the operation is left out: %+v", api.Findings)
		})
	}
	api := loadText(t, doc("", "application/jsonl: {schema: {type: integer}}"), Options{})
	for body, pointer := range map[string]string{`[]`: "/body", `["x"]`: "/body/0", `1`: "/body"} {
		for _, op := range api.Operations {
			if op.ID != "addOne" {
				continue
			}
			if bad := refusal(t, op, `{"body":`+body+`}`); bad.Problems[0].Pointer != pointer {
				t.Errorf("%s: %v, want %s", body, bad, pointer)
			}
		}
	}
}
