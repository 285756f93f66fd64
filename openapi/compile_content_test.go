package openapi

import (
	"strings"
	"testing"
)

// TestParametersByMediaType has parameters that a media type describes, or nothing,
// and those that may be empty.
func TestParametersByMediaType(t *testing.T) {
	const v32 = "openapi: 3.2.0\ninfo: {title: t, version: '1'}\nservers: [{url: https://api.example.com}]\n"
	param := func(p string) string { return "paths: {/a: {get: {operationId: a, parameters: [" + p + "]}}}" }
	const swagger = "swagger: '2.0'\ninfo: {title: t, version: '1'}\nhost: api.example.com\n"
	for _, test := range []struct{ name, doc, args, want, refused string }{
		{"the whole query as a form", v32 + param("{name: q, in: querystring, content: {"+formType+": {schema: {type: object}}}}"), `{"q":{"b":["x y","&"],"a":{"c":1}}}`, "?a%5Bc%5D=1&b=x+y&b=%26", ""},
		{"with encodings", v32 + param("{name: q, in: querystring, content: {"+formType+": {schema: {type: object, properties: {b: {type: array}}}, encoding: {b: {style: pipeDelimited}}}}}"), `{"q":{"b":["x","y"]}}`, "?b=x%7Cy", ""},
		{"as JSON", v32 + param("{name: q, in: querystring, content: {application/json: {schema: {type: object}}}}"), `{"q":{"b":"&=?"}}`, "?%7B%22b%22%3A%22%26%3D%3F%22%7D", ""},
		{"as text", v32 + param("{name: q, in: querystring, content: {text/plain: {schema: {type: string}}}}"), `{"q":"a=b&c #"}`, "?a%3Db%26c%20%23", ""},
		{"left out", v32 + param("{name: q, in: querystring, content: {text/plain: {}}}"), `{}`, "", ""},
		{"empty", v32 + param("{name: q, in: querystring, content: {"+formType+": {}}}"), `{"q":{}}`, "", "/q"},
		{"null in a form", v32 + param("{name: q, in: querystring, content: {"+formType+": {}}}"), `{"q":{"a":null}}`, "", "/q/a"},
		{"a credential's name", v32 + "components: {securitySchemes: {k: {type: apiKey, in: query, name: key}}}\nsecurity: [{k: []}]\n" + param("{name: q, in: querystring, content: {"+formType+": {}}}"), `{"q":{"KEY":"x"}}`, "", "/q/KEY"},

		{"text in a query", v30 + param("{name: q, in: query, content: {text/plain: {schema: {type: string}}}}"), `{"q":"a,b"}`, "?q=a%2Cb", ""},
		{"a form in a query", v30 + param("{name: q, in: query, content: {"+formType+": {schema: {type: object}}}}"), `{"q":{"a":"1","b":"x y"}}`, "?q=a%3D1%26b%3Dx%2By", ""},
		{"the better of two", v30 + param("{name: q, in: query, content: {text/plain: {}, application/json: {}}}"), `{"q":[1]}`, "?q=%5B1%5D", ""},
		{"an object as text", v30 + param("{name: q, in: query, content: {text/plain: {}}}"), `{"q":{}}`, "", "/q"},
		{"without a schema", v30 + param("{name: q, in: query}"), `{"q":["a",1]}`, "?q=a&q=1", ""},
		{"empty when it may be", v30 + param("{name: q, in: query, allowEmptyValue: true, schema: {type: integer}}"), `{"q":""}`, "?q=", ""},
		{"a value all the same", v30 + param("{name: q, in: query, allowEmptyValue: true, schema: {type: integer}}"), `{"q":7}`, "?q=7", ""},
		{"empty when it may not be", v30 + param("{name: q, in: query, schema: {type: integer}}"), `{"q":""}`, "", "/q"},
		{"no other text", v30 + param("{name: q, in: query, allowEmptyValue: true, schema: {type: integer}}"), `{"q":"x"}`, "", "/q"},
		{"Swagger, empty", swagger + param("{name: q, in: query, type: boolean, allowEmptyValue: true}"), `{"q":""}`, "?q=", ""},
		{"Swagger, empty among enums", swagger + param("{name: q, in: query, type: string, enum: [a], allowEmptyValue: true}"), `{"q":""}`, "?q=", ""},
		{"Swagger, csv", swagger + param("{name: q, in: query, type: array, items: {type: string}}"), `{"q":["a","b"]}`, "?q=a,b", ""},
		{"Swagger, ssv", swagger + param("{name: q, in: query, type: array, items: {type: string}, collectionFormat: ssv}"), `{"q":["a","b"]}`, "?q=a%20b", ""},
		{"Swagger, pipes", swagger + param("{name: q, in: query, type: array, items: {type: string}, collectionFormat: pipes}"), `{"q":["a","b"]}`, "?q=a%7Cb", ""},
		{"Swagger, multi", swagger + param("{name: q, in: query, type: array, items: {type: string}, collectionFormat: multi}"), `{"q":["a","b"]}`, "?q=a&q=b", ""},
		{"Swagger, tsv", swagger + param("{name: q, in: query, type: array, items: {type: string}, collectionFormat: tsv}"), `{"q":["a","b"]}`, "?q=a%09b", ""},
		{"Swagger, an item with a tab", swagger + param("{name: q, in: query, type: array, items: {type: string}, collectionFormat: tsv}"), `{"q":["a\tb"]}`, "", "/q"},
	} {
		t.Run(test.name, func(t *testing.T) {
			op := one(t, loadText(t, test.doc, Options{}))
			if test.refused != "" {
				if bad := refusal(t, op, test.args); bad.Problems[0].Pointer != test.refused {
					t.Errorf("refused with %v, want %s", bad, test.refused)
				}
				return
			}
			if _, query, given := strings.Cut(encode(t, op, test.args).Target, "/a"); query != test.want || !given {
				t.Errorf("got %s, want %s", query, test.want)
			}
		})
	}
	for doc, want := range map[string]string{
		v32 + param("{name: q, in: querystring, content: {text/plain: {}}}, {name: r, in: query}"):                                                                               "others",
		v32 + param("{name: q, in: querystring, content: {text/plain: {}}}, {name: r, in: querystring, content: {text/plain: {}}}"):                                              "others",
		v32 + param("{name: q, in: querystring, schema: {type: string}}"):                                                                                                        "needs a content type",
		v32 + param("{name: q, in: querystring, content: {application/xml: {}}}"):                                                                                                "application/xml",
		v32 + "paths: {'/a?b=c': {get: {parameters: [{name: q, in: querystring, content: {text/plain: {}}}]}}}":                                                                  "the path has one",
		v32 + "components: {securitySchemes: {k: {type: apiKey, in: query, name: key}}}\nsecurity: [{k: []}]\n" + param("{name: q, in: querystring, content: {text/plain: {}}}"): "a credential",
	} {
		api := loadText(t, doc, Options{})
		if len(api.Operations) != 0 || len(api.Findings) != 1 || !strings.Contains(api.Findings[0].Message, want) {
			t.Errorf("%s: %+v, want one finding with %q", doc, api.Findings, want)
		}
	}
}
