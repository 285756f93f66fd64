package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A document is fetched whole only if it changed, and served from before only if
// its server says that it did not, or a pin does.
func TestCache(t *testing.T) {
	text, tag := v30+"paths: {/a: {get: {operationId: a, responses: {'200': {description: ok}}}}}\n", `"1"`
	var whole, asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			asked.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		whole.Add(1)
		w.Write([]byte(text))
	}))
	defer srv.Close()
	url, cache := srv.URL+"/openapi.yaml", filepath.Join(t.TempDir(), "cache")
	load := func(o Options) (*API, error) {
		o.Cache = cache
		return Load(t.Context(), url, o)
	}
	counts := func(what string, w, a int32) {
		t.Helper()
		if whole.Load() != w || asked.Load() != a {
			t.Errorf("%s: fetched %d times, asked %d times", what, whole.Load(), asked.Load())
		}
	}
	must := func(api *API, err error) *API {
		t.Helper()
		if err != nil || len(api.Operations) != 1 {
			t.Fatal(api, err)
		}
		return api
	}
	first := must(load(Options{}))
	counts("first", 1, 0)
	if again := must(load(Options{})); again.Digest != first.Digest {
		t.Error("it is another document")
	}
	counts("again", 1, 1)
	text, tag = strings.ReplaceAll(text, "/a", "/b"), `"2"`
	if api := must(load(Options{})); api.Operations[0].Path != "/b" {
		t.Error("the copy from before is served")
	}
	counts("changed", 2, 1)
	// A copy that is damaged is none.
	docs, err := filepath.Glob(filepath.Join(cache, "*.doc"))
	if err != nil || len(docs) != 1 {
		t.Fatal(docs, err)
	}
	if err := os.WriteFile(docs[0], []byte(strings.ReplaceAll(text, "/b", "/c")), 0o600); err != nil {
		t.Fatal(err)
	}
	if api := must(load(Options{})); api.Operations[0].Path != "/b" {
		t.Error("a damaged copy is served")
	}
	counts("damaged", 3, 1)
	info, err := os.Stat(docs[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	// Without its server, only what is pinned.
	srv.Close()
	if _, err := load(Options{}); err == nil {
		t.Error("an old copy is served without a pin")
	}
	sum := sha256.Sum256([]byte(text))
	api := must(load(Options{SHA256: hex.EncodeToString(sum[:])}))
	if len(api.Findings) != 1 || !strings.Contains(api.Findings[0].Message, "the copy from before has the pinned SHA-256") {
		t.Errorf("%+v", api.Findings)
	}
	if _, err := load(Options{SHA256: strings.Repeat("0", 64)}); err == nil {
		t.Error("a copy is served that is not the pinned one")
	}
}

func TestCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range maxCached + 10 {
		keep(dir, "https://host.example/"+strings.Repeat("x", i), "", http.Header{"Etag": {`"1"`}}, []byte("x"))
	}
	docs, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(docs) != 2*maxCached {
		t.Errorf("%d files, %v", len(docs), err)
	}
	keep(dir, "https://host.example/none", "", http.Header{}, []byte("x"))
	keep(dir, "https://host.example/odd", "", http.Header{"Etag": {"a\nb"}}, []byte("x"))
	if recall(dir, "https://host.example/none") != nil || recall(dir, "https://host.example/odd") != nil {
		t.Error("a document without a validator is kept")
	}
}
