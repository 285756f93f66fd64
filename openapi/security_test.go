package openapi

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a document can try with one operation; the other one is served.
func TestLeftOut(t *testing.T) {
	const ok = "  /ok: {get: {operationId: ok}}\n"
	tests := []struct{ name, paths, want string }{
		{"dot segment", "  /a/../b: {get: {operationId: a}}", "made of dots"},
		{"encoded dots", "  /a/%2e%2e/b: {get: {operationId: a}}", "made of dots"},
		{"doubly encoded dots", "  /a/%252e%252e/b: {get: {operationId: a}}", "made of dots"},
		{"dots with a path parameter", "  /a/..;x/b: {get: {operationId: a}}", "made of dots"},
		{"full-width dots", "  /a/．．/b: {get: {operationId: a}}", "made of dots"},
		{"encoded slash", "  /a%2fb: {get: {operationId: a}}", "holds a slash"},
		{"encoded NUL", "  /a%00: {get: {operationId: a}}", "control character"},
		{"malformed encoding", "  /a%zz: {get: {operationId: a}}", "percent-encoded well"},
		{"encoding made by a value", "  '/a%2{x}': {get: {operationId: a, parameters: [{name: x, in: path, required: true, schema: {type: string}}]}}", "percent-encoded well"},
		{"two slashes", "  /a//b: {get: {operationId: a}}", "one slash"},
		{"variable in the query", "  '/a?x={x}': {get: {operationId: a}}", "has a variable"},
		{"line break", "  \"/a\\r\\nX: y\": {get: {operationId: a}}", "cannot be seen"},
		{"variation selector", "  \"/a\\uFE0F\": {get: {operationId: a}}", "cannot be seen"},
		{"long path", "  ? /" + strings.Repeat("a", maxPath) + "\n  : {get: {operationId: a}}", "longer than"},
		{"closing brace", "  '/a}': {get: {operationId: a}}", "braces"},
		{"nested braces", "  '/{{x}}': {get: {operationId: a}}", "braces"},
		{"method", "  /a: {additionalOperations: {\"CO\\r\\nPY\": {operationId: a}}}", "no HTTP token"},
		{"method that echoes", "  /a: {trace: {operationId: a}}", "show the credential"},
		{"method that tunnels", "  /a: {additionalOperations: {CONNECT: {operationId: a}}}", "no request for a path"},
		{"method that is not additional", "  /a: {additionalOperations: {GET: {operationId: a}}}", "key of its own"},
		{"empty query", "  /a?: {get: {operationId: a}}", "query that is empty"},
		{"server path", "  /a: {get: {operationId: a, servers: [{url: 'https://x.test/v1/%2e%2e/admin'}]}}", "read as another one"},
		{"cookie name", `  /a: {get: {operationId: a, parameters: [{name: "a b;c=", in: cookie, schema: {type: string}}]}}`, "no legal name"},
		{"header name with a space", `  /a: {get: {operationId: a, parameters: [{name: "X Y", in: header, schema: {type: string}}]}}`, "no legal name"},
		{"another host", "  //evil.example/x: {get: {operationId: a}}", "one slash"},
		{"fragment that hides a slash", "  '//evil.example#f': {get: {operationId: a}}", "one slash"},
		{"backslash", `  '/a\b': {get: {operationId: a}}`, "backslash"},
		{"braces", "  '/{': {get: {operationId: a}}", "braces"},
		{"bidi", `  "/a\u202Eb": {get: {operationId: a}}`, "cannot be seen"},
		{"variable without parameter", "  /a/{x}: {get: {operationId: a}}", "{x}"},
		{"header name", `  /a: {get: {operationId: a, parameters: [{name: "X\r\nEvil: 1", in: header, schema: {type: string}}]}}`, "no legal name"},
		{"style", "  /a: {get: {operationId: a, parameters: [{name: x, in: header, style: form, schema: {type: string}}]}}", "does not exist in header"},
		{"only multipart/mixed", "  /a: {post: {operationId: a, requestBody: {required: true, content: {multipart/mixed: {}}}}}", "multipart/mixed"},
		{"effect", "  /a: {get: {operationId: a, x-exeat-effect: none}}", "x-exeat-effect"},
		{"dangling reference", "  /a: {get: {operationId: a, parameters: [{$ref: '#/components/parameters/no'}]}}", "leads nowhere"},
		{"reference to a URL", "  /a: {$ref: 'http://169.254.169.254/x'}", "only files beside"},
		{"reference out of the folder", "  /a: {$ref: '../../etc/passwd'}", "escapes"},
		{"reference to a device", "  /a: {$ref: 'file:///etc/passwd'}", "only files beside"},
		{"server", "  /a: {get: {operationId: a, servers: [{url: 'ftp://x'}]}}", "neither https nor http"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api := loadText(t, v30+"paths:\n"+ok+tt.paths+"\n", Options{})
			if op := one(t, api); op.Name != "ok" {
				t.Errorf("%s is served", op.Name)
			}
			f := api.Findings
			if len(f) != 1 || !f[0].LeftOut || !strings.Contains(f[0].Message, tt.want) || f[0].Line != 6 || f[0].Pointer == "" {
				t.Fatalf("findings: %+v, want one that says %q", f, tt.want)
			}
			if text := f[0].Message + f[0].Pointer + f[0].Operation; oneLine(text, len(text)) != text {
				t.Errorf("the finding holds what cannot be seen: %q", text)
			}
		})
	}
}

func TestParametersThatAreNotArguments(t *testing.T) {
	api := loadText(t, v30+`components: {securitySchemes: {k: {type: apiKey, in: header, name: X-Key}, q: {type: apiKey, in: query, name: key}, c: {type: apiKey, in: cookie, name: sid}}}
paths:
  /a?beta=true:
    get:
      operationId: a
      parameters:
      - {name: x-key, in: header, required: true, schema: {type: string}}
      - {name: Key, in: query, schema: {type: string}}
      - {name: sid, in: cookie, schema: {type: string}}
      - {name: Authorization, in: header, schema: {type: string}}
      - {name: X-Forwarded-Host, in: header, schema: {type: string}}
      - {name: X_Forwarded_For, in: header, schema: {type: string}}
      - {name: Forwarded, in: header, schema: {type: string}}
      - {name: x-real-ip, in: header, schema: {type: string}}
      - {name: X-HTTP-Method-Override, in: header, schema: {type: string}}
      - {name: beta, in: query, schema: {type: string}}
      - {name: X-Key, in: query, schema: {type: string}}
      - {name: keep, in: query, schema: {type: string}}
`, Options{})
	op := one(t, api)
	if got := schemaAt(t, op); got != `{"additionalProperties":false,"properties":{"X-Key":{"type":"string"},"keep":{"type":"string"}},"type":"object"}` {
		t.Error(got)
	}
	if len(api.Findings) != 10 {
		t.Errorf("%d findings: %+v", len(api.Findings), api.Findings)
	}
	for i, f := range api.Findings {
		if f.LeftOut || f.Line != 10+i || f.Operation != "GET /a?beta=true" {
			t.Errorf("%+v", f)
		}
	}
	if op.Path != "/a" || op.ID != "a" {
		t.Errorf("the path is %s", op.Path)
	}
	if r := encode(t, op, `{"keep":"x"}`); r.Target != "/v1/a?beta=true&keep=x" || r.Path != "/a" {
		t.Errorf("%s at %s", r.Target, r.Path)
	}
}

// A scheme whose name is no header could be used to write another one.
func TestSecuritySchemes(t *testing.T) {
	api := loadText(t, v30+`security: [{k: []}, {o: [a, b], h: []}]
components: {securitySchemes: {k: {type: apiKey, in: header, name: X-Key}, bad: {type: apiKey, in: header, name: "X: y\r\nZ"}, h: {type: http, scheme: Bearer}, o: {type: oauth2}, r: {$ref: '#/components/securitySchemes/k'}}}
paths: {/a: {get: {operationId: a}}, /b: {get: {operationId: b, security: []}}}`, Options{})
	want := map[string]SecurityScheme{
		"k": {Type: "apiKey", In: "header", Name: "X-Key"}, "r": {Type: "apiKey", In: "header", Name: "X-Key"},
		"h": {Type: "http", Scheme: "bearer"}, "o": {Type: "oauth2"},
	}
	if d := cmp.Diff(want, api.Security); d != "" {
		t.Error(d)
	}
	if len(api.Findings) != 1 || api.Findings[0].Pointer != "/components/securitySchemes/bad" {
		t.Errorf("%+v", api.Findings)
	}
	needs := [][]SecurityNeed{{{Scheme: "k"}}, {{Scheme: "h"}, {Scheme: "o", Scopes: []string{"a", "b"}}}}
	if d := cmp.Diff(needs, api.Operations[0].Security); d != "" || len(api.Operations[1].Security) != 0 {
		t.Errorf("%s %v", d, api.Operations[1].Security)
	}
}

// What must end in a bounded time, whatever the document says.
func TestEndlessDocuments(t *testing.T) {
	self := "[" + strings.Repeat("{$ref: '#/components/schemas/A'},", 30) + "]"
	for name, doc := range map[string]string{
		"allOf of itself": post("{$ref: '#/components/schemas/A'}") + "components: {schemas: {A: {allOf: " + self + ", required: [id]}}}",
		"form of itself":  strings.Replace(post("{$ref: '#/components/schemas/A'}"), "application/json", formType, 1) + "components: {schemas: {A: {allOf: " + self + "}}}",
		"array of itself": strings.Replace(post("{type: object, properties: {f: {$ref: '#/components/schemas/A'}}}"), "application/json", multipartType, 1) + "components: {schemas: {A: {type: array, items: {$ref: '#/components/schemas/A'}}}}",
	} {
		t.Run(name, func(t *testing.T) {
			api := loadText(t, doc, Options{})
			if len(api.Operations)+len(api.Findings) != 1 {
				t.Errorf("%+v", api)
			}
		})
	}
}

func TestLoadStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, doc := range []string{post("{}"), v30 + "paths: {}"} {
		if _, err := Load(ctx, writeFile(t, "a.yaml", doc), Options{}); err == nil || !strings.Contains(err.Error(), "was stopped") {
			t.Errorf("%v of %s", err, doc)
		}
	}
}
