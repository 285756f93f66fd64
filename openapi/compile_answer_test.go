package openapi

import (
	"context"
	"strings"
	"testing"
)

// An operation asks for its own good answers first.
func TestAccept(t *testing.T) {
	for responses, want := range map[string]string{
		"{}":                       "application/json, */*;q=0.5",
		"{200: {description: ok}}": "application/json, */*;q=0.5",
		"{200: {content: {application/json: {}}}}":                                                              "application/json, */*;q=0.5",
		"{200: {content: {application/pdf: {}}}, 400: {content: {application/problem+json: {}}}}":               "application/pdf, application/json;q=0.8, */*;q=0.5",
		"{200: {content: {application/vnd.b+json: {}, application/vnd.a+json: {}}}}":                            "application/vnd.b+json, application/vnd.a+json;q=0.9, */*;q=0.5",
		"{200: {content: {text/event-stream: {}, application/json: {}}}}":                                       "application/json, text/event-stream;q=0.9, */*;q=0.5",
		"{200: {content: {application/xml: {}}}, 202: {content: {text/csv: {}}}}":                               "application/xml, text/csv;q=0.9, application/json;q=0.8, */*;q=0.5",
		"{default: {content: {application/hal+json: {}}}}":                                                      "application/hal+json, */*;q=0.5",
		"{200: {content: {'application/json; charset=utf-8': {}}}}":                                             "application/json, */*;q=0.5",
		"{200: {content: {'application/vnd.x+json;version=2': {}}}}":                                            "application/vnd.x+json;version=2, */*;q=0.5",
		"{200: {content: {'*/*': {}}}}":                                                                         "application/json, */*;q=0.5",
		"{200: {content: {image/*: {}}}}":                                                                       "image/*, application/json;q=0.8, */*;q=0.5",
		"{200: {content: {\"a/b\\r\\nX: y\": {}, 'text/html, text/plain': {}, 'nonsense': {}, 'a/b;q=0': {}}}}": "application/json, */*;q=0.5",
	} {
		op := one(t, loadText(t, v30+"paths: {/a: {get: {operationId: a, responses: "+responses+"}}}", Options{}))
		if got := encode(t, op, `{}`).Header.Get("Accept"); got != want {
			t.Errorf("%s: %s, want %s", responses, got, want)
		}
	}
	for doc, want := range map[string]string{
		"produces: [application/xml]\npaths: {/a: {get: {produces: [application/vnd.a+json], responses: {200: {schema: {}}}}}}":                                                              "application/vnd.a+json, */*;q=0.5",
		"produces: [application/xml]\npaths: {/a: {get: {responses: {200: {schema: {}}}}}}":                                                                                                  "application/xml, application/json;q=0.8, */*;q=0.5",
		"produces: [application/json]\npaths: {/a: {get: {parameters: [{in: header, name: accept, type: string, enum: [application/vnd.github.v3+json]}], responses: {200: {schema: {}}}}}}": "application/vnd.github.v3+json, */*;q=0.5",
	} {
		op := one(t, loadText(t, "swagger: '2.0'\nhost: api.example.com\ninfo: {title: t}\n"+doc, Options{}))
		if got := encode(t, op, `{}`).Header.Get("Accept"); got != want {
			t.Errorf("%s: %s, want %s", doc, got, want)
		}
	}
}

// Headers that the configuration sets go with every call, and no argument or
// document changes them.
func TestFixedHeaders(t *testing.T) {
	doc := v30 + `components: {securitySchemes: {k: {type: apiKey, in: header, name: X-Key}}}
paths: {/a: {get: {operationId: a, parameters: [{in: header, name: x_version, schema: {type: string}}, {in: header, name: X-Other, schema: {type: string}}]}}}`
	api := loadText(t, doc, Options{Headers: map[string]string{"x-version": "2024-01-01", "Accept": "application/vnd.x+json"}})
	op := one(t, api)
	r := encode(t, op, `{"X-Other":"o"}`)
	if r.Header.Get("X-Version") != "2024-01-01" || r.Header.Get("X-Other") != "o" || r.Header.Get("Accept") != "application/vnd.x+json" || len(r.Header) != 3 {
		t.Errorf("%v", r.Header)
	}
	if op.Has("x_version") || len(api.Findings) != 1 || !strings.Contains(api.Findings[0].Message, "the configuration sets it") {
		t.Errorf("%+v", api.Findings)
	}
	for name, value := range map[string]string{
		"Authorization": "x", "proxy-authorization": "x", "Cookie": "a=b", "HOST": "x", "Content-Type": "a/b", "content_length": "1", "Connection": "close", "Transfer-Encoding": "chunked",
		"X-Forwarded-For": "1", "Sec-Fetch-Site": "x", "User-Agent": "x", "x_key": "k", "X-Key": "k", "x-api-key": "k", "X Y": "a", "": "a", "X-Empty": "", "X-Line": "a\r\nb", "X-Space": " a",
		"X-Wide": "é", "X-Long": strings.Repeat("a", 2000), "If-Match": "*", "Idempotency-Key": "1", "X-HTTP-Method-Override": "DELETE",
	} {
		if _, err := Load(context.Background(), writeFile(t, "doc.yaml", doc), Options{Headers: map[string]string{name: value}}); err == nil || !strings.Contains(err.Error(), "headers: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	secret := loadText(t, doc, Options{SecretHeaders: []string{"X-Version", "x-api-key"}})
	if r := encode(t, one(t, secret), `{"X-Other":"o"}`); r.Header.Get("X-Version") != "" || r.Header.Get("X-Other") != "o" || one(t, secret).Has("x_version") || len(secret.Findings) != 1 {
		t.Errorf("%v, %+v", r.Header, secret.Findings)
	}
	for _, name := range []string{"Authorization", "Cookie", "Accept", "X-Key", "x_key", "If-Match", "X Y", "proxy-authorization", "Host"} {
		if _, err := Load(context.Background(), writeFile(t, "doc.yaml", doc), Options{SecretHeaders: []string{name}}); err == nil || !strings.Contains(err.Error(), "headers: ") {
			t.Errorf("%s as a secret: %v", name, err)
		}
	}
	if _, err := Load(context.Background(), writeFile(t, "doc.yaml", doc), Options{Headers: map[string]string{"X-A": "1"}, SecretHeaders: []string{"x_a"}}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Error(err)
	}
	if _, err := Load(context.Background(), writeFile(t, "doc.yaml", doc), Options{Headers: map[string]string{"X-A": "1", "x_a": "2"}}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Error(err)
	}
}
