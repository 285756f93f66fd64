package openapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadErrors(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'k'; i++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	tests := []struct{ name, location, want string }{
		{"missing", filepath.Join(t.TempDir(), "no.yaml"), "no such file"},
		{"not OpenAPI", writeFile(t, "a.yaml", "hello: world"), "neither openapi nor swagger"},
		{"a newer version", writeFile(t, "a.yaml", "openapi: 4.0.0"), `"4.0.0"`},
		{"JSON", writeFile(t, "a.json", "{\"openapi\": \"3.0.0\",\n \"info\": }"), "a.json:2:"},
		{"YAML", writeFile(t, "a.yaml", "openapi: 3.0.0\ninfo: [1"), "YAML"},
		{"an alias bomb", writeFile(t, "a.yaml", "openapi: 3.0.0\n"+bomb), "a.yaml"},
		{"not UTF-8", writeFile(t, "a.yaml", "openapi: 3.0.0\xff"), "UTF-8"},
		{"empty", writeFile(t, "a.yaml", ""), "a.yaml"},
		{"404", srv.URL + "/openapi.yaml", "404"},
		{"plain http", "http://example.com/openapi.yaml", "https"},
		{"an empty folder", t.TempDir(), "no OpenAPI document"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(context.Background(), tt.location, Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
	doc := writeFile(t, "a.yaml", v30+"paths: {/pets: {get: {operationId: listPets, tags: [pets]}}}")
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{Include: []string{"listPet"}}, `did you mean "listPets"`},
		{Options{Exclude: []string{"tag:pet"}}, `did you mean "tag:pets"`},
		{Options{Effects: map[string]Effect{"listPets": "raed"}}, `"raed"`},
		{Options{Effects: map[string]Effect{"nope": Read}}, "matches no operation"},
		{Options{Name: "Bad Name"}, "not legal"},
	} {
		if _, err := Load(context.Background(), doc, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.o, err, tt.want)
		}
	}
}

// Errors say where and what to do next.
func TestErrorPositions(t *testing.T) {
	tests := []struct {
		file, text string
		want       Error
	}{
		{"a.json", "{\n  \"openapi\": \"3.0.0\",\n  \"paths\": {,}\n}", Error{Line: 3, Column: 13, Message: "the file is not valid JSON: invalid character ',' looking for beginning of object key string"}},
		{"a.json", `{"openapi":"3.0.0"} x`, Error{Line: 1, Column: 21, Message: "the file has something after its JSON value"}},
		{"a.json", "{\n\"openapi\": \"2.0\"}", Error{Line: 1, Column: 1, Message: `its version "2.0" is not known`, Hint: "OpenAPI 3.0, 3.1, 3.2 and Swagger 2.0 are read"}},
		{"a.yaml", "openapi: 3.0.0\npaths:\n  - *x", Error{Line: 0, Column: 0, Message: "the file is not valid YAML: unknown anchor 'x' referenced"}},
		{"a.yaml", "openapi: 3.0.0\nx: &x\n  y: [*x]", Error{Line: 3, Column: 7, Pointer: "/x/y/0", Message: "the alias refers to a value that contains it"}},
		{"a.yaml", "openapi: 3.0.0\n[a]: b", Error{Line: 2, Column: 1, Message: "a mapping key is not a plain value"}},
		{"a.yaml", "openapi: 3.0.0", Error{Line: 1, Column: 1, Message: "it has no paths", Hint: "name the document that describes the operations"}},
		{"a.json", strings.Repeat("[", 300), Error{Line: 1, Column: 257, Message: "the file nests deeper than 256 levels"}},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			file := writeFile(t, tt.file, tt.text)
			_, err := Load(context.Background(), file, Options{})
			var bad *Error
			if !errors.As(err, &bad) {
				t.Fatalf("%T %v", err, err)
			}
			tt.want.File = file
			if d := cmp.Diff(&tt.want, bad); d != "" {
				t.Error(d)
			}
			if !strings.HasPrefix(err.Error(), file+":") || strings.Contains(err.Error(), "\n") {
				t.Error(err)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	for version, ok := range map[string]bool{
		"openapi: 3.0.0": true, "openapi: 3.0.4": true, "openapi: 3.1.1": true, "openapi: 3.2.0": true, "openapi: 3.1": true, "swagger: '2.0'": true, "swagger: 2.0": true,
		"openapi: 3.3.0": false, "openapi: 3.10.0": false, "openapi: 2.0": false, "swagger: '1.2'": false, "openapi: 3.0.0\nswagger: '2.0'": true, "openapi: [3]": false,
	} {
		_, err := Load(context.Background(), writeFile(t, "a.yaml", version+"\npaths: {/a: {get: {responses: {}}}}"), Options{})
		if (err == nil) != ok {
			t.Errorf("%s: %v", version, err)
		}
	}
	api := loadText(t, strings.Replace(v30, "3.0.3", "3.2.0", 1)+"paths: {/a: {query: {operationId: q}, additionalOperations: {COPY: {operationId: c}}}}", Options{})
	if len(api.Operations) != 2 || api.Operations[0].Method != "COPY" || api.Operations[0].Effect != Write || api.Operations[1].Method != "QUERY" || api.Operations[1].Effect != Read {
		t.Errorf("%+v", api.Operations)
	}
	if api := loadText(t, strings.Replace(v30, "3.0.3", "3.1.0", 1)+"webhooks: {}", Options{}); len(api.Operations) != 0 {
		t.Error("operations without paths")
	}
}

func TestEffects(t *testing.T) {
	doc := v30 + "paths: {/a: {get: {}, head: {}, options: {}, post: {}, put: {}, patch: {}, delete: {}}, /s: {post: {operationId: search, x-exeat-effect: read}}}"
	want := map[string]Effect{"GET /a": Read, "HEAD /a": Read, "OPTIONS /a": Read, "POST /a": Write, "PUT /a": Write, "PATCH /a": Delete, "DELETE /a": Delete, "search": Write}
	got := map[string]Effect{}
	for _, op := range loadText(t, doc, Options{Effects: map[string]Effect{"patch_a": Delete, "search": Write}}).Operations {
		got[op.ID] = op.Effect
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A folder's files refer to each other, and findings say which file it is.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"api.yml":           v30 + "paths: {/pets: {$ref: 'paths/pets.yaml'}, /bad: {$ref: 'paths/pets.yaml#/nope'}}\ncomponents: {schemas: {Pet: {type: string}}}",
		"paths/pets.yaml":   "post:\n  operationId: addPet\n  parameters:\n  - {$ref: '../shared%20parts.json#/p'}\n  requestBody: {content: {application/json: {schema: {$ref: '../shared%20parts.json#/Pet'}}}}\nget:\n  operationId: bad\n  parameters: [{name: x}]\n",
		"shared parts.json": `{"p": {"name": "q", "in": "query", "schema": {"$ref": "api.yml#/components/schemas/Pet"}}, "Pet": {"properties": {"mate": {"$ref": "#/Pet"}}}}`,
		"notes.json":        `{"a": 1}`,
	} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	api, err := Load(context.Background(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	op := one(t, api)
	if _, err := op.Parse([]byte(`{"q":"x","body":{"mate":{"mate":{}}}}`)); err != nil {
		t.Errorf("%v: %s", err, op.Input)
	}
	want := []Finding{
		{File: filepath.Join(dir, "api.yml"), Line: 4, Column: 43, Pointer: "/paths/~1bad", Operation: "/bad", LeftOut: true, Message: `the reference "paths/pets.yaml#/nope" leads nowhere`},
		{File: filepath.Join(dir, "paths/pets.yaml"), Line: 8, Column: 16, Pointer: "/get/parameters/0", Operation: "GET /pets", LeftOut: true, Message: "a parameter needs a name and a place (in)"},
	}
	if d := cmp.Diff(want, api.Findings); d != "" {
		t.Error(d)
	}
	first := api.Digest
	if err := os.WriteFile(filepath.Join(dir, "paths/pets.yaml"), []byte("get: {}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if api, err = Load(context.Background(), dir, Options{}); err != nil || api.Digest == first {
		t.Errorf("a file changed and the digest did not: %v", err)
	}
}

func TestURLs(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	defer away.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/openapi.yaml":
			fmt.Fprint(w, strings.Replace(v30, "[{url: https://api.example.com/v1}]", "[{url: v2}]", 1)+"paths: {/a: {get: {operationId: a}}, /b: {$ref: 'other.yaml'}}")
		case "/moved":
			http.Redirect(w, r, "/api/openapi.yaml", http.StatusFound)
		case "/away":
			http.Redirect(w, r, away.URL+"/x", http.StatusFound)
		}
	}))
	defer srv.Close()
	api, err := Load(context.Background(), srv.URL+"/api/openapi.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if one(t, api); api.BaseURL != srv.URL+"/api/v2" || len(api.Findings) != 1 || !strings.Contains(api.Findings[0].Message, "leads to a URL") {
		t.Errorf("%s %+v", api.BaseURL, api.Findings)
	}
	if _, err := Load(context.Background(), srv.URL+"/moved", Options{}); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{"/away": "redirects to another place", "/empty": "empty"} {
		if _, err := Load(context.Background(), srv.URL+path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestRepeatedKeys(t *testing.T) {
	api := loadText(t, v30+"paths:\n  /a:\n    get: {operationId: a}\n    get: {operationId: b}\n", Options{})
	want := Finding{File: api.Location, Line: 7, Column: 5, Pointer: "/paths/~1a/get", Message: "the key stands here for the second time; the first one counts"}
	if op := one(t, api); op.ID != "a" || len(api.Findings) != 1 || api.Findings[0] != want {
		t.Errorf("%s %+v", op.ID, api.Findings)
	}
}

func FuzzLoad(f *testing.F) {
	if testing.Short() {
		f.Skip("it takes long")
	}
	f.Add([]byte(post(`{$ref: '#/components/schemas/N'}`) + `components: {schemas: {N: {allOf: [{$ref: '#/components/schemas/N'}]}}}`))
	f.Add([]byte(`{"swagger":"2.0","paths":{"/a":{"get":{"parameters":[{"in":"body"}]}}}}`))
	f.Add([]byte("openapi: 3.2.0\npaths: {/a: {additionalOperations: {COPY: {}}, query: {requestBody: {content: {'*/*': {}}}}}}"))
	f.Add([]byte("openapi: 3.1.0\npaths: {'/a/{b}': {get: {parameters: [{name: b, in: path, schema: true}]}}}\nx: &x [*x]"))
	for _, d := range hostileDocuments {
		if text := d.text(); len(text) < 2000 {
			f.Add([]byte(text))
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(dir, "doc.yaml")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		api, err := Load(context.Background(), file, Options{})
		if err != nil {
			return
		}
		for _, x := range api.Findings {
			if x.Line < 1 || x.Line > 1+strings.Count(string(data), "\n")+strings.Count(string(data), "\r")+strings.Count(string(data), "\u0085")+strings.Count(string(data), "\u2028")+strings.Count(string(data), "\u2029") || x.Column < 1 || oneLine(x.Message+x.Pointer, 5000) != x.Message+x.Pointer {
				t.Errorf("%+v", x)
			}
		}
		names := map[string]bool{}
		for _, op := range api.Operations {
			if names[op.Name] || op.Name == "" || len(op.Name) > maxName || snake(op.Name) != op.Name || legalPath(op.wholePath()) != nil || op.Method == "TRACE" {
				t.Errorf("%q is the name of %q %q", op.Name, op.Method, op.Path)
			}
			names[op.Name] = true
			if _, err := op.input.compiled(); err != nil {
				t.Errorf("%s has an input schema that does not compile: %v: %s", op.Name, err, op.Input)
			}
			if text := op.ID + op.Summary + strings.Join(op.Tags, ""); oneLine(text, len(text)) != text {
				t.Errorf("%q holds what cannot be seen", text)
			}
			if args, err := op.Parse([]byte(`{}`)); err == nil {
				if r, err := op.Encode(args); err == nil {
					if out, err := http.NewRequest(r.Method, r.Origin+r.Target, nil); err != nil || out.URL.RequestURI() != r.Target {
						t.Errorf("%q %q: %v", r.Origin, r.Target, err)
					}
				}
			}
		}
	})
}

// BenchmarkLoad is each of the real documents. GitHub's has 13 MB and 1,223 operations.
func BenchmarkLoad(b *testing.B) {
	for _, name := range []string{"github.json", "kubernetes.json", "openai.yaml", "slack.json", "stripe.yaml", "twilio_api_v2010.json", "digitalocean-multifile"} {
		doc := "../../shared/specs/" + name
		info, err := os.Stat(doc)
		if err != nil {
			continue // the documents are not here
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			if !info.IsDir() {
				b.SetBytes(info.Size())
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var api *API
			for b.Loop() {
				if api, err = Load(context.Background(), doc, Options{BaseURL: "https://api.example.com"}); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-kept")
			runtime.KeepAlive(api)
		})
	}
}
