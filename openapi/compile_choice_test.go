package openapi

import (
	"encoding/base64"
	"strings"
	"testing"
)

// What a body is sent as: each row has the content of the body (3.0), or what
// Swagger consumes and the schema, the arguments, and content type and body, or
// the pointer and words of a refusal after "!".
func TestBodyType(t *testing.T) {
	png := "\x89PNG\r\n\x1a\n\x00\x00"
	b64 := base64.StdEncoding.EncodeToString
	const patch = "{description: a patch, type: object}"
	kube := "swagger consumes: [application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml]\n"
	tests := []struct{ name, content, args, want string }{
		{"Kubernetes", kube + patch, `{"body":{"spec":{"replicas":2}}}`, `application/merge-patch+json {"spec":{"replicas":2}}`},
		{"Kubernetes, chosen", kube + patch, `{"body":{"a":1},"content_type":"application/strategic-merge-patch+json"}`, `application/strategic-merge-patch+json {"a":1}`},
		{"Kubernetes, no array", kube + patch, `{"body":[]}`, "!/body "},
		{"Kubernetes, not chosen for an object", kube + patch, `{"body":{},"content_type":"application/json-patch+json"}`, "!/content_type "},
		{"two patches and an object", "swagger consumes: [application/json-patch+json, application/merge-patch+json]\n{type: object}", `{"body":{"a":null}}`, `application/merge-patch+json {"a":null}`},
		{"two patches and an array of operations", "swagger consumes: [application/merge-patch+json, application/json-patch+json]\n{type: array, items: {type: object, properties: {op: {type: string}, path: {type: string}}}}",
			`{"body":[{"op":"remove","path":"/a"}]}`, `application/json-patch+json [{"op":"remove","path":"/a"}]`},
		{"two patches and an array of others", "swagger consumes: [application/json-patch+json, application/merge-patch+json]\n{type: array, items: {type: string}}", `{"body":["a"]}`, `application/merge-patch+json ["a"]`},
		{"two patches and anything: an object", "application/json-patch+json: {}, application/merge-patch+json: {}", `{"body":{"a":1}}`, `application/merge-patch+json {"a":1}`},
		{"two patches and anything: operations", "application/merge-patch+json: {}, application/json-patch+json: {}", `{"body":[{"op":"test","path":"","value":1}]}`, `application/json-patch+json [{"op":"test","path":"","value":1}]`},
		{"two patches and anything: a list", "application/json-patch+json: {}, application/merge-patch+json: {}", `{"body":[1]}`, `application/merge-patch+json [1]`},
		{"two patches and anything: operations as a merge", "application/json-patch+json: {}, application/merge-patch+json: {}", `{"body":[{"op":"test","path":""}],"content_type":"application/merge-patch+json"}`,
			`application/merge-patch+json [{"op":"test","path":""}]`},
		{"two patches and anything: an object is no operation", "application/json-patch+json: {}, application/merge-patch+json: {}", `{"body":{"a":1},"content_type":"application/json-patch+json"}`, "!/content_type takes an array of patch operations"},
		{"each patch with its schema", "application/json-patch+json: {schema: {type: object}}, application/merge-patch+json: {schema: {type: object}}", `{"body":{}}`, `application/merge-patch+json {}`},
		{"one patch, whatever its schema", "application/json-patch+json: {schema: {type: object}}", `{"body":{}}`, `application/json-patch+json {}`},
		{"the document's order", "application/vnd.b+json: {}, application/vnd.a+json: {}", `{"body":{}}`, `application/vnd.b+json {}`},
		{"the order of consumes", "swagger consumes: [application/vnd.b+json, application/vnd.a+json]\n{}", `{"body":{}}`, `application/vnd.b+json {}`},
		{"plain JSON first", "application/vnd.b+json: {}, application/json: {}", `{"body":{}}`, `application/json {}`},
		{"no choice where nothing differs", "application/vnd.b+json: {}, application/json: {}", `{"body":{},"content_type":"application/json"}`, "!/content_type "},
		{"a range of JSON", "application/*+json: {}", `{"body":{}}`, `application/json {}`},
		{"a choice without a body", "application/json-patch+json: {}, application/merge-patch+json: {}", `{"content_type":"application/merge-patch+json"}`, "!/content_type "},
		{"a parameter of that name", "query application/json-patch+json: {}, application/merge-patch+json: {}", `{"body":[],"content_type":"q","body_content_type":"application/merge-patch+json"}`, `application/merge-patch+json []`},

		{"bytes", "image/png: {schema: {type: string, format: binary}}", `{"body":"` + b64([]byte(png)) + `"}`, "image/png " + png},
		{"bytes without a schema", "image/png: {}", `{"body":"` + b64([]byte(png)) + `"}`, "image/png " + png},
		{"base64 on the wire, 3.0", "image/png: {schema: {type: string, format: byte}}", `{"body":"` + b64([]byte(png)) + `"}`, "image/png " + b64([]byte(png))},
		{"base64 on the wire, as 3.0's text has it", "image/png: {schema: {type: string, format: base64}}", `{"body":"` + b64([]byte(png)) + `"}`, "image/png " + b64([]byte(png))},
		{"base64 on the wire, 3.1", "3.1 image/png: {schema: {type: string, contentMediaType: image/png, contentEncoding: base64}}", `{"body":"` + b64([]byte(png)) + `"}`, "image/png " + b64([]byte(png))},
		{"base64url on the wire", "3.1 application/pdf: {schema: {type: string, contentEncoding: base64url}}", `{"body":"+/8="}`, "application/pdf -_8="},
		{"base64 is checked", "image/png: {schema: {type: string, format: byte}}", `{"body":"*"}`, "!/body "},
		{"another encoding is the caller's", "3.1 application/x-y: {schema: {type: string, contentEncoding: quoted-printable}}", `{"body":"a=3Db"}`, "application/x-y a=3Db"},
		{"octets, 3.1", "3.1 application/octet-stream: {}", `{"body":"AAH/"}`, "application/octet-stream \x00\x01\xff"},

		{"a range, by the bytes", "image/*: {schema: {type: string, format: binary}}", `{"body":"` + b64([]byte(png)) + `"}`, "image/png " + png},
		{"a range, by the argument", "image/*: {schema: {type: string, format: binary}}", `{"body":"AAH/","content_type":"image/x-raw"}`, "image/x-raw \x00\x01\xff"},
		{"a range, outside", "image/*: {}", `{"body":"AAH/","content_type":"text/html"}`, "!/content_type must be within image/*"},
		{"a range is no type", "image/*: {}", `{"body":"AAH/","content_type":"image/*"}`, "!/content_type "},
		{"a line break", "image/*: {}", `{"body":"AAH/","content_type":"image/png\r\nX: y"}`, "!/content_type "},
		{"a range, not told", "image/*: {}", `{"body":"AAH/"}`, "!/content_type is needed"},
		{"a range, what the bytes tell is outside", "audio/*: {}", `{"body":"` + b64([]byte(png)) + `"}`, "!/content_type is needed"},
		{"several, by the bytes", "image/jpeg: {}, image/png: {}", `{"body":"` + b64([]byte(png)) + `"}`, "image/png " + png},
		{"several, by the argument", "image/png: {}, image/heic: {}", `{"body":"AAH/","content_type":"image/heic"}`, "image/heic \x00\x01\xff"},
		{"several, not told", "image/png: {}, image/gif: {}", `{"body":"AAH/"}`, "image/png \x00\x01\xff"},
		{"several, another", "image/png: {}, image/gif: {}", `{"body":"AAH/","content_type":"image/jpeg"}`, "!/content_type "},
		{"anything that is bytes", "'*/*': {schema: {type: string, format: binary}}", `{"body":"AAH/"}`, "application/octet-stream \x00\x01\xff"},
		{"anything that is not", "'*/*': {schema: {type: object}}", `{"body":{}}`, "application/json {}"},
		{"a range with base64 on the wire", "image/*: {schema: {type: string, format: byte}}", `{"body":"` + b64([]byte(png)) + `"}`, "image/png " + b64([]byte(png))},

		{"text", "text/plain: {schema: {type: string, enum: [a, b]}}", `{"body":"a"}`, "text/plain; charset=utf-8 a"},
		{"text that is none of its values", "text/plain: {schema: {type: string, enum: [a, b]}}", `{"body":"c"}`, "!/body "},
		{"a boolean as text", "text/plain: {schema: {type: boolean}}", `{"body":true}`, "text/plain; charset=utf-8 true"},
		{"a number as text", "text/plain: {schema: {type: number, maximum: 3}}", `{"body":2.50}`, "text/plain; charset=utf-8 2.5"},
		{"an integer as text, too large", "text/plain: {schema: {type: integer, maximum: 3}}", `{"body":4}`, "!/body "},
		{"text that is a file", "text/csv: {schema: {type: string, format: binary}}", `{"body":"a,b"}`, "text/csv; charset=utf-8 a,b"},
		{"base64 as text", "text/plain: {schema: {type: string, format: byte}}", `{"body":"AAH/"}`, "text/plain; charset=utf-8 AAH/"},

		{"a form by a wrong name", "application/form-data: {schema: {type: object, properties: {a: {type: string}}}}", `{"body":{"a":"x"}}`, "multipart/form-data; boundary="},
		{"another form by a wrong name", "application/x-www-form-url-encoded: {schema: {type: object, properties: {a: {type: string}}}}", `{"body":{"a":"x y"}}`, formType + " a=x+y"},

		{"Swagger, a header that says it", "swagger consumes: [application/json, application/vnd.a+json]\nheader [application/vnd.a+json]\n{type: object}", `{"body":{}}`, "application/vnd.a+json {}"},
		{"Swagger, a header that says it alone", "swagger consumes: []\nheader [application/vnd.a+json]\n{type: object}", `{"body":{}}`, "application/vnd.a+json {}"},
		{"Swagger, a header with several", "swagger consumes: [application/xml, application/json]\nheader [application/json, application/vnd.a+json]\n{type: object}", `{"body":{}}`, "application/json {}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op := one(t, loadText(t, bodyDocument(tt.content), Options{}))
			args, err := op.Parse([]byte(tt.args))
			var r *Request
			if err == nil {
				r, err = op.Encode(args)
			}
			if want, refused := strings.CutPrefix(tt.want, "!"); refused {
				bad, _ := err.(*ArgumentError)
				if bad == nil || !strings.HasPrefix(bad.Problems[0].Pointer+" "+bad.Problems[0].Message, want) {
					t.Errorf("%v, want %q", err, want)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v with %s", err, op.Input)
			}
			if got := r.ContentType + " " + string(r.Body); !strings.HasPrefix(got, tt.want) || !strings.HasSuffix(tt.want, "=") && got != tt.want {
				t.Errorf("sent %q, want %q", got, tt.want)
			}
		})
	}
}

// bodyDocument is a document with one operation that has a body.
func bodyDocument(content string) string {
	if rest, ok := strings.CutPrefix(content, "swagger "); ok {
		consumes, rest, _ := strings.Cut(rest, "\n")
		header := ""
		if h, ok := strings.CutPrefix(rest, "header "); ok {
			header, rest, _ = strings.Cut(h, "\n")
			header = "{in: header, name: Content-type, type: string, enum: " + header + "}, "
		}
		return "swagger: '2.0'\ninfo: {title: t, version: '1'}\nhost: api.example.com\npaths: {/a: {patch: {operationId: a, " + consumes + ", parameters: [" + header +
			"{in: body, name: body, schema: " + strings.TrimSpace(rest) + "}]}}}"
	}
	head, parameters := v30, ""
	if rest, ok := strings.CutPrefix(content, "3.1 "); ok {
		head, content = strings.Replace(v30, "3.0.3", "3.1.0", 1), rest
	}
	if rest, ok := strings.CutPrefix(content, "query "); ok {
		parameters, content = "parameters: [{in: query, name: content_type, schema: {type: string}}], ", rest
	}
	return head + "paths: {/a: {patch: {operationId: a, " + parameters + "requestBody: {content: {" + content + "}}}}}"
}

// Parts of a form carry base64 where the schema says so (OpenAPI 3.1 §4.8.14.5).
func TestPartsInBase64(t *testing.T) {
	op := one(t, loadText(t, bodyDocument("3.1 multipart/form-data: {schema: {type: object, properties: {a: {type: string, contentMediaType: image/png, contentEncoding: base64}, b: {type: string, format: binary}}}}"), Options{}))
	r := encode(t, op, `{"body":{"a":"AAH_","b":"AAH/"}}`)
	body := string(r.Body)
	if !strings.Contains(body, "Content-Transfer-Encoding: base64\r\n\r\nAAH/\r\n") || !strings.Contains(body, "\r\n\r\n\x00\x01\xff\r\n") || strings.Count(body, "Transfer") != 1 {
		t.Errorf("%q", body)
	}
}

// A path parameter may have a range as its content.
func TestParameterOfAnyContent(t *testing.T) {
	for content, want := range map[string]string{
		"'*/*': {schema: {type: string}}":                       "/a/x%20y",
		"'*/*': {schema: {type: integer}}":                      "",
		"'text/*': {schema: {type: string}}":                    "/a/x%20y",
		"'*/*': {}":                                             "/a/x%20y",
		"'application/*': {schema: {}}":                         "/a/x%20y",
		"application/json: {schema: {}}":                        "/a/%22x%20y%22",
		"'application/*+json': {schema: {}}":                    "/a/%22x%20y%22",
		"'*/*': {schema: {type: array, items: {type: string}}}": "",
	} {
		op := one(t, loadText(t, v30+"paths: {'/a/{id}': {get: {operationId: a, parameters: [{in: path, name: id, required: true, content: {"+content+"}}]}}}", Options{}))
		args, err := op.Parse([]byte(`{"id":"x y"}`))
		if want == "" {
			if err == nil {
				t.Errorf("%s: taken", content)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", content, err)
		}
		if r, err := op.Encode(args); err != nil || r.Path != want {
			t.Errorf("%s: %+v %v", content, r, err)
		}
	}
}
