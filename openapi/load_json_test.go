package openapi

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// decodeWhole is the tree as encoding/json has it.
func decodeWhole(data []byte) (root any, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if dec.Decode(&root) != nil {
		return nil, false
	}
	_, err := dec.Token()
	return root, err == io.EOF
}

// readWhole is the tree with all that is unread in it.
func readWhole(data []byte) (any, *treeReader, bool) {
	r := newTreeReader(data)
	root, ok := r.document()
	readAll(root)
	return root, r, ok
}

// FuzzTree reads what encoding/json reads, as it does, and nothing else.
func FuzzTree(f *testing.F) {
	for _, s := range []string{``, `{`, `}`, `{}`, `[]`, `[1,]`, `{"a":}`, `{"a" 1}`, `{"a":1,}`, `{,}`, `[,]`, `1 2`, `{}x`, `"\ud800"`, `"\ud83d\ude00"`, `"a` + "\n" + `"`, `{"a":1,"a":2}`, `-0`, `01`, `1.`, `1e5`, `tru`, `truex`, `nul`,
		` { "a" : [ 1 , { "b" : null } ] } `, `{"components":{"schemas":{"A":{"type":"object"},"B":[1,{"a":{}}],"C":7}}}`, `{"components":{"schemas":{"A":{"type":}}}}`, `{"components":{"examples":{"A":{"x":1,"x":2}}}}`,
		`{"paths":{"/x":{"get":{"responses":{"200":{"content":{"a/b":{"schema":{}}},"schema":{"a":1},"description":"d"}}}}}}`, `{"webhooks":{"a":{}},"definitions":{"A":{"a":[]}}}`, `{"definitions":{"A":{"a":[]]}}`, `{"definitions":{"A":{"a\n":[1 2]}}}`, `{"definitions":{"A":["\x"]}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, msg := boundJSON(data); msg != "" || !utf8.Valid(data) {
			t.Skip()
		}
		want, legal := decodeWhole(data)
		got, r, ok := readWhole(data)
		if ok != legal {
			t.Fatalf("%q is read: %v, want %v", data, ok, legal)
		}
		if !ok {
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", data, diff)
		}
		w := repeats{doc: &document{}, finder: newJSONFinder(data)}
		if w.value(); len(w.doc.dupes) > 0 && !r.repeated {
			t.Errorf("%q has a key twice", data)
		}
	})
}

// The real documents are read as encoding/json reads them.
func TestTreesOfRealDocuments(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "shared", "specs", "*.json"))
	if len(files) == 0 {
		t.Skip("the real documents are not here")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := decodeWhole(data)
		if got, _, ok := readWhole(data); !ok || !cmp.Equal(want, got) {
			t.Errorf("%s is read as something else", file)
		}
	}
}

// What is left unread is there for whoever asks for it, by itself or with what is around it.
func TestUnreadIsRead(t *testing.T) {
	const doc = `{"openapi":"3.0.0","paths":{"/x":{"get":{"responses":{"200":{"description":"d","headers":{"h":{"a":1}},"content":{"a/b":{"schema":{"type":"string"}}}}}}}},` +
		`"components":{"schemas":{"A":{"properties":{"b":{"type":"integer"}}}},"examples":{"E":{"value":[{"n":1}]}}},"definitions":{"D":{"x":{"y":2}}},"webhooks":{"w":{"post":{}}}}`
	for pointer, want := range map[string]string{
		"/components/schemas/A/properties/b/type": `"integer"`, "/components/schemas": `{"A":{"properties":{"b":{"type":"integer"}}}}`, "/components": `"n":1`, "": `"y":2`,
		"/paths/~1x": `"type":"string"`, "/paths/~1x/get/responses/200": `{"a":1}`, "/paths/~1x/get/responses/200/content": `"type":"string"`, "/webhooks/w": `{"post":{}}`,
		"/paths/~1x/get/responses/200/content/a~1b/schema": `"string"`, "/components/examples/E/value/0": `{"n":1}`, "/definitions": `"y":2`,
	} {
		d, bad := parseDocument("x.json", []byte(doc))
		if bad != nil {
			t.Fatal(bad)
		}
		for range 2 {
			v, ok := d.at(pointer)
			b, err := json.Marshal(v)
			if !ok || err != nil || !strings.Contains(string(b), want) {
				t.Errorf("%q has %s, not %s", pointer, b, want)
			}
		}
	}
	for _, bad := range []string{`{"components":{"schemas":{"A":{"a":tru}}}}`, `{"webhooks":{"a":[1,]}}`, `{"definitions":{"A":{"a":1}}`} {
		if _, err := parseDocument("x.json", []byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
