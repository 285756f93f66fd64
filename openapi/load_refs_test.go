package openapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAllowedRefs(t *testing.T) {
	prefixes := []string{"https://host.example/schemas/", "https://host.example:8443/x", "http://127.0.0.1:9/"}
	for text, want := range map[string]bool{
		"https://host.example/schemas/a.yaml": true, "https://HOST.example/schemas/a/b.yaml": true, "https://host.example/schemas": true,
		"https://host.example:8443/x/a": true, "https://host.example:8443/x": true, "http://127.0.0.1:9/a": true,
		"https://host.example/schemasx/a": false, "https://host.example/other": false, "https://host.example:8443/schemas/a": false, "http://host.example/schemas/a": false,
		"https://host.example/schemas/../a": false, "https://host.example/schemas/%2e%2e/a": false, "https://host.example/schemas/a%2fb": false, "https://host.example/schemas//a": false,
		"https://a:b@host.example/schemas/a": false, "https://host.example/schemas/a?b=c": false, "https://evil.example/schemas/a": false, "https://host.example.evil/schemas/a": false,
		"file:///etc/passwd": false, "ftp://host.example/schemas/a": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := allowed(u, prefixes); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, bad := range []string{"", "host", "http://host.example/", "https://a:b@host/", "https://host/?a", "https://host/a/../b", "https://host/%2e"} {
		if legalRefs([]string{bad}) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// References lead to URLs only where the operator said so, whatever they are
// written in.
func TestRemoteRefs(t *testing.T) {
	var fetched atomic.Int32
	mux := http.NewServeMux()
	files := map[string]string{
		"/schemas/pet.yaml":    "type: object\nproperties: {owner: {$ref: 'person.yaml#/Person'}, self: {$ref: '#'}}\n",
		"/schemas/person.yaml": "Person: {type: object, properties: {name: {type: string}, out: {$ref: '../other/x.yaml'}}}\n",
		"/schemas/good.yaml":   "type: object\nproperties: {owner: {$ref: 'name.yaml'}}\n",
		"/schemas/name.yaml":   "type: string\nmaxLength: 7\n",
		"/other/x.yaml":        "type: string\n",
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		text, ok := files[r.URL.Path]
		if !ok {
			http.Redirect(w, r, "/other/x.yaml", http.StatusFound)
			return
		}
		w.Write([]byte(text))
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	load := func(ref string, refs ...string) (*API, string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "openapi.yaml")
		text := "openapi: 3.2.0\n$self: https://us.example/api.yaml\ninfo: {title: T, version: '1'}\nservers: [{url: https://api.example.com}]\npaths:\n  /a:\n    post:\n      operationId: a\n" +
			"      requestBody: {content: {application/json: {schema: {$ref: '" + ref + "'}}}}\n      responses: {'200': {description: ok}}\ncomponents: {schemas: {Own: {type: string, maxLength: 5}}}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		api, err := Load(t.Context(), file, Options{Refs: refs})
		if err != nil {
			t.Fatal(err)
		}
		why := ""
		for _, f := range api.Findings {
			why += f.Message
		}
		return api, why
	}
	if api, why := load(srv.URL + "/schemas/good.yaml"); len(api.Operations) != 0 || !strings.Contains(why, "leads to a URL") || fetched.Load() != 0 {
		t.Errorf("without permission: %d operations, %s, %d fetched", len(api.Operations), why, fetched.Load())
	}
	if api, why := load(srv.URL+"/schemas/good.yaml", srv.URL+"/schemas/"); len(api.Operations) != 1 || !strings.Contains(string(api.Operations[0].Input), `"maxLength":7`) {
		t.Errorf("with permission: %d operations, %s", len(api.Operations), why)
	}
	before := fetched.Load()
	for _, ref := range []string{"/schemas/pet.yaml", "/schemas/nothing.yaml", "/other/x.yaml", "/schemas/../other/x.yaml"} {
		if api, why := load(srv.URL+ref, srv.URL+"/schemas/"); len(api.Operations) != 0 || why == "" {
			t.Errorf("%s: %d operations, %s", ref, len(api.Operations), why)
		}
	}
	// pet, person, and the redirect; never what lies outside.
	if n := fetched.Load() - before; n != 3 {
		t.Errorf("%d fetched", n)
	}
	before = fetched.Load()
	if api, why := load("https://us.example/api.yaml#/components/schemas/Own"); len(api.Operations) != 1 || !strings.Contains(string(api.Operations[0].Input), `"maxLength":5`) || fetched.Load() != before {
		t.Errorf("$self: %d operations, %s", len(api.Operations), why)
	}
}
