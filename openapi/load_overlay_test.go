package openapi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const vendor = `{
  "openapi": "3.0.3",
  "info": {"title": "Shop", "version": "1"},
  "servers": [{"url": "https://shop.example.com"}],
  "paths": {
    "/orders/search": {
      "post": {"operationId": "searchOrders", "summary": "Find \u007fé \ud83d\ude00", "responses": {"200": {"description": "ok"}}}
    },
    "/old": {"get": {"operationId": "old", "responses": {"200": {"description": "ok"}}}},
    "/broken/{id}": {"get": {"operationId": "broken", "responses": {"200": {"description": "ok"}}}}
  }
}`

func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const correction = `overlay: 1.0.0
info: {title: Ours, version: "1"}
actions:
  - target: $.paths['/orders/search'].post
    update: {x-exeat-effect: read, summary: Search the orders}
  - target: $.paths['/old']
    remove: true
  - target: $.paths['/nothing'].get
    update: {summary: x}
`

func TestOverlay(t *testing.T) {
	for _, name := range []string{"shop.json", "shop.yaml"} {
		spec, fix := written(t, name, vendor), written(t, "fix.yaml", correction)
		plain, err := Load(t.Context(), spec, Options{})
		if err != nil {
			t.Fatal(err)
		}
		api, err := Load(t.Context(), spec, Options{Overlays: []string{fix}})
		if err != nil {
			t.Fatal(err)
		}
		if len(api.Operations) != 1 || api.Operations[0].Effect != Read || api.Operations[0].Summary != "Search the orders" {
			t.Errorf("%s: %+v", name, api.Operations)
		}
		if api.Digest == plain.Digest {
			t.Error("the digest does not say that there is an overlay")
		}
		// What is found has its place in the file as it was written.
		at := map[string]int{}
		for _, f := range api.Findings {
			at[filepath.Base(f.File)+f.Pointer] = f.Line
		}
		want := map[string]int{"fix.yaml/actions/2": 8, name + "/paths/~1broken~1{id}/get": 10}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestOverlayRefusals(t *testing.T) {
	spec := written(t, "shop.json", vendor)
	for name, tt := range map[string]struct{ text, want string }{
		"no overlay":     {`{"openapi": "3.0.0"}`, "it is no overlay|missing required 'overlay' field"},
		"a list":         {`[1]`, "it is no overlay"},
		"no actions":     {"overlay: 1.0.0\ninfo: {title: a, version: b}\n", "actions"},
		"no YAML":        {"overlay: [", "not valid YAML"},
		"empty":          {"", "empty"},
		"a bad path":     {"overlay: 1.0.0\ninfo: {title: a, version: b}\nactions: [{target: '$.[[', remove: true}]", "the action for $.[["},
		"too large":      {strings.Repeat(" ", maxOverlay) + "overlay: 1.0.0", "larger than 1 MiB"},
		"breaks the doc": {"overlay: 1.0.0\ninfo: {title: a, version: b}\nactions: [{target: '$.paths', remove: true}]", "it has no paths"},
	} {
		_, err := Load(t.Context(), spec, Options{Overlays: []string{written(t, "fix.yaml", tt.text)}})
		ok := false
		for w := range strings.SplitSeq(tt.want, "|") {
			ok = ok || err != nil && strings.Contains(err.Error(), w)
		}
		if !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Load(t.Context(), spec, Options{Overlays: []string{"nothing.yaml"}}); err == nil {
		t.Error("an overlay that is not there is passed over")
	}
}

func TestPin(t *testing.T) {
	spec := written(t, "shop.json", vendor)
	_, err := Load(t.Context(), spec, Options{SHA256: strings.Repeat("0", 64)})
	if err == nil || !strings.Contains(err.Error(), "not the document that was pinned") {
		t.Fatal(err)
	}
	text := err.Error()
	_, rest, _ := strings.Cut(text, "its SHA-256 is ")
	if _, err := Load(t.Context(), spec, Options{SHA256: strings.ToUpper(rest[:64])}); err != nil {
		t.Error(err)
	}
}

// Overlays apply to what vendors really write.
func TestOverlayOfRealDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	fix := written(t, "fix.yaml", "overlay: 1.0.0\ninfo: {title: a, version: b}\nactions: [{target: $.info, update: {title: Corrected}}]")
	for _, name := range []string{"petstore3.json", "twilio_api_v2010.json", "stripe.yaml", "kubernetes.json", "digitalocean-multifile"} {
		path := filepath.Join("..", "..", "shared", "specs", name)
		info, err := os.Stat(path)
		if err != nil {
			t.Skip("the real documents are not here")
		}
		if raceEnabled && (info.IsDir() || info.Size() > 1<<20) {
			continue
		}
		plain, err := Load(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		api, err := Load(t.Context(), path, Options{Overlays: []string{fix}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if api.Title != "Corrected" || len(api.Operations) != len(plain.Operations) {
			t.Errorf("%s: %q, %d operations of %d", name, api.Title, len(api.Operations), len(plain.Operations))
		}
		for i, op := range api.Operations {
			if diff := cmp.Diff(string(plain.Operations[i].Input), string(op.Input)); diff != "" {
				t.Errorf("%s: %s: %s", name, op.Name, diff)
				break
			}
		}
	}
}
