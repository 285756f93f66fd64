package openapi

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Where the call of an operation goes: where the specification says, or nowhere,
// with a finding. DOC is the origin that the document is fetched from.
func TestWhereCallsGo(t *testing.T) {
	const abs, rel = "servers: [{url: https://api.example.com/v1}]", "servers: [{url: /myapp}]"
	tests := []struct{ name, root, path, op, base, want, finding string }{
		// Files.
		{"absolute", abs, "", "", "", "https://api.example.com/v1/a", ""},
		{"relative", rel, "", "", "", "", ""},
		{"none", "x-a: 1", "", "", "", "", ""},
		{"relative and a plain base URL", rel, "", "", "http://127.0.0.1:9", "http://127.0.0.1:9/myapp/a", ""},
		{"relative and a plain base URL with a slash", rel, "", "", "http://127.0.0.1:9/", "http://127.0.0.1:9/myapp/a", ""},
		{"without a slash and a plain base URL", "servers: [{url: v2/}]", "", "", "http://127.0.0.1:9", "http://127.0.0.1:9/v2/a", ""},
		{"up and down and a plain base URL", "servers: [{url: ../x/./y}]", "", "", "http://127.0.0.1:9", "http://127.0.0.1:9/x/y/a", ""},
		{"only a slash and a plain base URL", "servers: [{url: /}]", "", "", "http://127.0.0.1:9", "http://127.0.0.1:9/a", ""},
		{"an empty list and a plain base URL", "servers: []", "", "", "http://127.0.0.1:9", "http://127.0.0.1:9/a", ""},
		{"a base URL with a path is the whole", rel, "", "", "http://127.0.0.1:9/x", "http://127.0.0.1:9/x/a", "stands for the document's server /myapp"},
		{"a base URL with the same path", rel, "", "", "http://127.0.0.1:9/myapp", "http://127.0.0.1:9/myapp/a", ""},
		{"a base URL for an absolute server", abs, "", "", "http://127.0.0.1:9", "http://127.0.0.1:9/a", "stands for the document's server https://api.example.com/v1"},
		{"a base URL with a path for an absolute server", abs, "", "", "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/a", ""},
		{"a variable in a relative one", "servers: [{url: '/{p}/{q}', variables: {p: {default: my}, q: {default: app}}}]", "", "", "http://127.0.0.1:9", "http://127.0.0.1:9/my/app/a", ""},
		{"a variable is the server", "servers: [{url: '{s}/v1', variables: {s: {default: 'https://api.example.com'}}}]", "", "", "", "https://api.example.com/v1/a", ""},
		{"the first of several", "servers: [{url: https://a.example.com}, {url: https://b.example.com}]", "", "", "", "https://a.example.com/a", ""},
		{"the second is no fallback", "servers: [{url: /a}, {url: https://b.example.com}]", "", "", "", "", ""},
		{"nor for what is wrong", "servers: [{url: 'ftp://a'}, {url: https://b.example.com}]", "", "", "", "", "neither https nor http"},
		{"another host, without a scheme", "servers: [{url: //b.example.com/x}]", "", "", "", "", "names no scheme"},
		{"a host and a port, without a scheme", "servers: [{url: 'localhost:8080/x'}]", "", "", "", "", "no absolute URL"},
		{"no list", "servers: {url: https://a.example.com}", "", "", "", "", "list of servers"},
		{"no URL", "servers: [{description: x}]", "", "", "", "", "has no url"},
		{"an empty URL", "servers: [{url: ''}]", "", "", "", "", "has no url"},
		{"a query", "servers: [{url: '/x?a=b'}]", "", "", "http://127.0.0.1:9", "http://127.0.0.1:9/a", "holds a query"},

		// Files with servers of operations and paths.
		{"operation, absolute", abs, "", "servers: [{url: https://api.example.com/admin}]", "", "https://api.example.com/admin/a", ""},
		{"path, absolute", abs, "servers: [{url: https://api.example.com/admin}]", "", "", "https://api.example.com/admin/a", ""},
		{"operation before path", abs, "servers: [{url: https://api.example.com/p}]", "servers: [{url: https://api.example.com/o}]", "", "https://api.example.com/o/a", ""},
		{"an empty list is none", abs, "servers: [{url: https://api.example.com/p}]", "servers: []", "", "https://api.example.com/p/a", ""},
		{"operation, relative", abs, "", "servers: [{url: /admin/v2}]", "", "", "its own server /admin/v2"},
		{"path, relative", abs, "servers: [{url: /admin/v2}]", "", "", "", "its own server /admin/v2"},
		{"operation, relative, beside nothing", "x-a: 1", "", "servers: [{url: /admin/v2}]", "", "", "its own server /admin/v2"},
		{"operation, another host", abs, "", "servers: [{url: https://up.example.com}]", "", "", "its own server https://up.example.com"},
		{"operation, another port", abs, "", "servers: [{url: 'https://api.example.com:8443/v1'}]", "", "", "its own server https://api.example.com:8443/v1"},
		{"operation, in clear text", abs, "", "servers: [{url: 'http://api.example.com/v1'}]", "", "", "its own server http://api.example.com/v1"},
		{"operation, the same written otherwise", abs, "", "servers: [{url: 'HTTPS://API.example.com:443/v2/'}]", "", "https://api.example.com/v2/a", ""},
		{"operation, without a scheme", abs, "", "servers: [{url: //up.example.com/x}]", "", "", "names no scheme"},
		{"operation, no list", abs, "", "servers: x", "", "", "list of servers"},
		{"path, a variable without default", abs, "servers: [{url: 'https://{a}.example.com'}]", "", "", "", "variable without default"},

		// With a base URL for the document's server.
		{"base URL, operation below a relative one", rel, "", "servers: [{url: /myapp/admin}]", "http://127.0.0.1:9/x", "http://127.0.0.1:9/x/admin/a", "stands for"},
		{"base URL, operation beside a relative one", rel, "", "servers: [{url: /admin/v2}]", "http://127.0.0.1:9", "http://127.0.0.1:9/admin/v2/a", ""},
		{"base URL with the path, operation beside a relative one", rel, "", "servers: [{url: /admin/v2}]", "http://127.0.0.1:9/myapp", "http://127.0.0.1:9/admin/v2/a", ""},
		{"base URL with another path, operation beside a relative one", rel, "", "servers: [{url: /admin/v2}]", "http://127.0.0.1:9/x", "", "its own server /admin/v2"},
		{"base URL, path beside none", "x-a: 1", "servers: [{url: /admin/v2}]", "", "http://127.0.0.1:9", "http://127.0.0.1:9/admin/v2/a", ""},
		{"base URL with a path, path beside none", "x-a: 1", "servers: [{url: /admin/v2}]", "", "http://127.0.0.1:9/x", "http://127.0.0.1:9/x/admin/v2/a", ""},
		{"base URL, operation relative beside an absolute one", abs, "", "servers: [{url: /admin/v2}]", "http://127.0.0.1:9", "", "its own server /admin/v2"},
		{"base URL, operation below an absolute one", abs, "", "servers: [{url: https://api.example.com/v1/admin}]", "http://127.0.0.1:9", "http://127.0.0.1:9/admin/a", "stands for"},
		{"base URL, operation like an absolute one", abs, "", "servers: [{url: https://api.example.com/v1/}]", "http://127.0.0.1:9/x", "http://127.0.0.1:9/x/a", "stands for"},
		{"base URL, operation beside an absolute one", abs, "", "servers: [{url: https://api.example.com/v2}]", "http://127.0.0.1:9", "", "its own server https://api.example.com/v2"},
		{"base URL, whose name only begins alike", abs, "", "servers: [{url: https://api.example.com/v10}]", "http://127.0.0.1:9/x", "", "its own server https://api.example.com/v10"},
		{"base URL with the path, operation beside an absolute one", abs, "", "servers: [{url: https://api.example.com/v2}]", "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v2/a", ""},
		{"base URL, operation on another host", abs, "", "servers: [{url: https://up.example.com/v1}]", "http://127.0.0.1:9/v1", "", "its own server https://up.example.com/v1"},
		{"base URL, operation on its host", "x-a: 1", "", "servers: [{url: 'http://127.0.0.1:9/admin'}]", "http://127.0.0.1:9/x", "http://127.0.0.1:9/admin/a", ""},

		// Documents from a URL, whose location is DOC/api/openapi.yaml.
		{"URL: none", "x-a: 1", "", "", "", "DOC/a", ""},
		{"URL: an empty list", "servers: []", "", "", "", "DOC/a", ""},
		{"URL: relative", "servers: [{url: v2}]", "", "", "", "DOC/api/v2/a", ""},
		{"URL: relative to the top", rel, "", "", "", "DOC/myapp/a", ""},
		{"URL: up", "servers: [{url: ../v2}]", "", "", "", "DOC/v2/a", ""},
		{"URL: dots in disguise", "servers: [{url: 'v2/%2e%2e/x'}]", "", "", "", "", "read as another one"},
		{"URL: operation, relative", rel, "", "servers: [{url: /admin/v2}]", "", "DOC/admin/v2/a", ""},
		{"URL: path, relative", rel, "servers: [{url: ../admin/v2}]", "", "", "DOC/admin/v2/a", ""},
		{"URL: operation relative, and the API elsewhere", abs, "", "servers: [{url: /admin/v2}]", "", "", "its own server DOC/admin/v2"},
		{"URL: relative and a plain base URL", rel, "", "", "http://127.0.0.1:9", "http://127.0.0.1:9/myapp/a", ""},
		{"URL: relative to the document and a plain base URL", "servers: [{url: v2}]", "", "", "http://127.0.0.1:9", "http://127.0.0.1:9/api/v2/a", ""},
		{"URL: a base URL, operation relative", rel, "", "servers: [{url: /admin/v2}]", "http://127.0.0.1:9", "http://127.0.0.1:9/admin/v2/a", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := "openapi: 3.0.3\ninfo: {title: t, version: '1'}\n" + tt.root + "\npaths:\n  /a:\n    " + tt.path + "\n    delete:\n      operationId: a\n      " + tt.op + "\n"
			checkWhere(t, text, strings.HasPrefix(tt.name, "URL:"), tt.base, tt.want, tt.finding)
		})
	}
}

// checkWhere loads a document from a file, or served, and checks where the one
// operation goes.
func checkWhere(t *testing.T, text string, served bool, base, want, finding string) {
	t.Helper()
	location, origin := "", "DOC"
	if served {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
		defer srv.Close()
		location, origin = srv.URL+"/api/openapi.yaml", srv.URL
	} else {
		location = writeFile(t, "doc.yaml", text)
	}
	api, err := Load(context.Background(), location, Options{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, op := range api.Operations {
		if r, err := op.Encode(&Args{}); err == nil {
			got += strings.ReplaceAll(r.Origin+r.Target, origin, "DOC")
		}
	}
	if got != want {
		t.Errorf("goes to %q, want %q", got, want)
	}
	said := ""
	for _, f := range api.Findings {
		said += strings.ReplaceAll(f.Message, origin, "DOC") + "\n"
	}
	if finding == "" && said != "" || !strings.Contains(said, finding) {
		t.Errorf("findings %q, want one that says %q", said, finding)
	}
}

func TestWhereSwaggerCallsGo(t *testing.T) {
	tests := []struct{ name, root, op, base, want, finding string }{
		{"host", "host: a.example.com\nbasePath: /v2", "", "", "https://a.example.com/v2/a", ""},
		{"both schemes", "host: a.example.com\nschemes: [http, https]", "", "", "https://a.example.com/a", ""},
		{"clear text", "host: 'a.example.com:80'\nschemes: [http]", "", "", "http://a.example.com/a", ""},
		{"no scheme for calls", "host: a.example.com\nschemes: [ws, wss]", "", "", "", "ws, wss"},
		{"no host", "basePath: /v2", "", "", "", ""},
		{"no host and a plain base URL", "basePath: /v2", "", "http://127.0.0.1:9", "http://127.0.0.1:9/v2/a", ""},
		{"no host and a base URL", "basePath: /v2", "", "http://127.0.0.1:9/x", "http://127.0.0.1:9/x/a", "stands for"},
		{"no host and a base path without a slash", "basePath: v2/", "", "http://127.0.0.1:9", "http://127.0.0.1:9/v2/a", ""},
		{"nothing and a plain base URL", "x-a: 1", "", "http://127.0.0.1:9", "http://127.0.0.1:9/a", ""},
		{"a host with a path", "host: a.example.com/x", "", "", "", "a host and perhaps a port"},
		{"a host with a scheme", "host: 'https://a.example.com'", "", "", "", "a host and perhaps a port"},
		{"a host that is a template", "host: '{tenant}.example.com'", "", "", "", "no absolute URL"},
		{"operation, the same scheme", "host: a.example.com\nschemes: [http, https]", "schemes: [https]", "", "https://a.example.com/a", ""},
		{"operation, another scheme", "host: a.example.com\nschemes: [https]", "schemes: [http]", "", "", "schemes"},
		{"operation, only with TLS", "host: a.example.com\nschemes: [http]", "schemes: [https]", "", "", "schemes"},
		{"operation, for sockets", "host: a.example.com", "schemes: [wss]", "http://127.0.0.1:9", "", "schemes"},
		{"URL: nothing", "x-a: 1", "", "", "DOC/a", ""},
		{"URL: base path", "basePath: /v2", "", "", "DOC/v2/a", ""},
		{"URL: schemes of its own", "basePath: /v2\nschemes: [https, http]", "", "", "DOC/v2/a", ""},
		{"URL: base path and a plain base URL", "basePath: /v2", "", "http://127.0.0.1:9", "http://127.0.0.1:9/v2/a", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := "swagger: '2.0'\ninfo: {title: t, version: '1'}\n" + tt.root + "\npaths:\n  /a:\n    delete:\n      operationId: a\n      " + tt.op + "\n"
			checkWhere(t, text, strings.HasPrefix(tt.name, "URL:"), tt.base, tt.want, tt.finding)
		})
	}
}

// A server is relative to where the document was found in the end (RFC 3986
// §5.1.3), also when it comes from the cache.
func TestServerAfterARedirect(t *testing.T) {
	const text = "openapi: 3.0.3\nservers: [{url: api}]\npaths: {/a: {get: {}}}"
	gone := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case gone:
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/latest":
			http.Redirect(w, r, "/v7/openapi.yaml", http.StatusFound)
		default:
			w.Header().Set("ETag", `"1"`)
			fmt.Fprint(w, text)
		}
	}))
	defer srv.Close()
	cache := t.TempDir()
	api, err := Load(context.Background(), srv.URL+"/latest", Options{Cache: cache})
	if err != nil || api.BaseURL != srv.URL+"/v7/api" {
		t.Fatalf("%v %v", api, err)
	}
	gone = true
	pin := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	if api, err := Load(context.Background(), srv.URL+"/latest", Options{Cache: cache, SHA256: pin}); err != nil || api.BaseURL != srv.URL+"/v7/api" {
		t.Errorf("from the cache: %v %v", api, err)
	}
}

// A path item in another file of the web is relative to that file.
func TestServerOfAReferredFile(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/parts/admin.yaml" {
			fmt.Fprint(w, "servers: [{url: v2}]\ndelete: {operationId: a}")
			return
		}
		fmt.Fprint(w, "openapi: 3.0.3\nservers: [{url: api}]\npaths: {/a: {$ref: parts/admin.yaml}}")
	}))
	defer srv.Close()
	api, err := Load(context.Background(), srv.URL+"/openapi.yaml", Options{Refs: []string{srv.URL + "/parts"}})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := one(t, api).Encode(&Args{}); err != nil || r.Origin+r.Target != srv.URL+"/parts/v2/a" {
		t.Errorf("%+v %v", r, err)
	}
}

// A document from outside names no address of this network, in any spelling.
func TestServerInsideFromOutside(t *testing.T) {
	for _, server := range []string{"http://127.0.0.1/x", "//127.0.0.1/x", "//10.0.0.1", "https://localhost"} {
		c := compiler{location: "https://api.example.com/openapi.yaml", root: &document{url: "https://api.example.com/openapi.yaml"}}
		if s, _, err := c.server(place{doc: c.root}, []any{map[string]any{"url": server}}); err == nil {
			t.Errorf("%s was taken as %+v", server, s)
		}
	}
}
