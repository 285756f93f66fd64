package openapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func listOperation(t testing.TB) *Operation {
	op := newOperation(t, "GET", "/x", anything)
	for _, name := range []string{"colour", "per_page", "pageSize", "filter.name", "$top", "id"} {
		op.params = append(op.params, param{Property: name, Name: name, In: "query", Style: "form"})
	}
	return op
}

func answer(contentType string, body string) *http.Response {
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {contentType}}, ContentLength: int64(len(body)),
		Body: io.NopCloser(strings.NewReader(body)),
	}
}

func brackets(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

func TestDecode(t *testing.T) {
	const narrow = "; these arguments may narrow it: per_page, pageSize, filter.name, $top"
	for _, test := range []struct {
		name, media, body string
		limit             int64
		want              Response
	}{
		{name: "json", media: "application/json", body: ` {"a": 1.0, "b":12345678901234567890}` + "\n", want: Response{MediaType: "application/json", JSON: []byte(`{"a": 1.0, "b":12345678901234567890}`)}},
		{name: "problem", media: "application/problem+json; charset=utf-8", body: `{"title":"no"}`, want: Response{MediaType: "application/problem+json", JSON: []byte(`{"title":"no"}`)}},
		{name: "json scalar", media: "application/json", body: `"x"`, want: Response{MediaType: "application/json", JSON: []byte(`"x"`)}},
		{name: "json with a mark", media: "application/json", body: "\ufeff[]", want: Response{MediaType: "application/json", JSON: []byte(`[]`)}},
		{name: "json that is not UTF-8", media: "application/json", body: "[\"\xff\"]", want: Response{MediaType: "application/json", JSON: []byte("[\"\ufffd\"]"), Note: "bytes that are not UTF-8 were replaced"}},
		{name: "json that is none", media: "application/json", body: `<html>`, want: Response{MediaType: "application/json", Text: `<html>`, Note: "the API said that this is JSON, but it is not"}},
		{name: "two json values", media: "application/json", body: `{}{}`, want: Response{MediaType: "application/json", Text: `{}{}`, Note: "the API said that this is JSON, but it is not"}},
		{name: "empty", media: "application/json", body: ``, want: Response{MediaType: "application/json"}},
		{name: "text", media: "text/plain", body: "é\n", want: Response{MediaType: "text/plain", Text: "é\n"}},
		{name: "latin 1", media: "text/plain; charset=ISO-8859-1", body: "\xe9", want: Response{MediaType: "text/plain", Text: "é"}},
		{name: "utf-16", media: "text/csv; charset=utf-16le", body: "a\x00,\x00", want: Response{MediaType: "text/csv", Text: "a,"}},
		{name: "unknown charset", media: "text/plain; charset=klingon", body: "a", want: Response{MediaType: "text/plain", Text: "a", Note: `the character set "klingon" is not known, so the text was read as UTF-8`}},
		{name: "text that is not UTF-8", media: "text/plain", body: "a\xff", want: Response{MediaType: "text/plain", Text: "a\ufffd", Note: "bytes that are not UTF-8 were replaced"}},
		{name: "an image that is text", media: "image/png", body: "<!DOCTYPE html>", want: Response{MediaType: "image/png", Text: "<!DOCTYPE html>", Note: "the API said that this is image/png, but it is text"}},
		{name: "json as deep as it may be", media: "application/json", body: brackets(maxResponseDepth), want: Response{MediaType: "application/json", JSON: []byte(brackets(maxResponseDepth))}},
		{name: "json that is too deep", media: "application/json", body: brackets(maxResponseDepth + 1), limit: 2000, want: Response{MediaType: "application/json", Text: brackets(maxResponseDepth + 1),
			Note: "this is JSON nested deeper than 500, so it is given as text"}},
		{name: "brackets in a text", media: "application/json", body: `["` + strings.Repeat(`[{\"`, 200) + `"]`, want: Response{MediaType: "application/json", JSON: []byte(`["` + strings.Repeat(`[{\"`, 200) + `"]`)}},
		{name: "xml", media: "application/atom+xml", body: "<a/>", want: Response{MediaType: "application/atom+xml", Text: "<a/>"}},
		{name: "image", media: "image/png", body: "\x89PNG", want: Response{MediaType: "image/png", Binary: []byte("\x89PNG")}},
		{name: "unnamed json", media: "", body: `{"a":1}`, want: Response{MediaType: "application/json", JSON: []byte(`{"a":1}`)}},
		{name: "unnamed text", media: "", body: `hello`, want: Response{MediaType: "text/plain", Text: "hello"}},
		{name: "unnamed bytes", media: "", body: "\x00\xff", want: Response{MediaType: "application/octet-stream", Binary: []byte("\x00\xff")}},

		{name: "at the limit", media: "application/json", body: `[1,2,3]`, limit: 7, want: Response{MediaType: "application/json", JSON: []byte(`[1,2,3]`)}},
		{name: "white space over the limit", media: "application/json", body: "[1,2,3]\n", limit: 7, want: Response{MediaType: "application/json", JSON: []byte(`[1,2,3]`), Note: "the response is 8 bytes and was cut to 7: only white space is missing" + narrow}},
		{name: "a long array", media: "application/json", body: `[{"a":1},{"a":2},{"a":3}]`, limit: 20, want: Response{MediaType: "application/json", JSON: []byte(`[{"a":1},{"a":2}]`),
			Note: "the response is 25 bytes and was cut to 17: it keeps 2 whole items and the rest is missing" + narrow}},
		{name: "an array in an object", media: "application/json", body: `{"total":3,"data":[{"id":1},{"id":2},{"id":3}],"next":"x"}`, limit: 40, want: Response{MediaType: "application/json", JSON: []byte(`{"total":3,"data":[{"id":1},{"id":2}]}`),
			Note: "the response is 58 bytes and was cut to 38: /data keeps 2 whole items and the rest is missing" + narrow}},
		{name: "one long item", media: "application/json", body: `[{"a":1,"b":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}]`, limit: 20, want: Response{MediaType: "application/json", JSON: []byte(`[{"a":1}]`),
			Note: "the response is 46 bytes and was cut to 9: /0 keeps 1 whole member and the rest is missing" + narrow}},
		{name: "a number that goes on", media: "application/json", body: `[1,2345]`, limit: 5, want: Response{MediaType: "application/json", JSON: []byte(`[1]`),
			Note: "the response is 8 bytes and was cut to 3: it keeps 1 whole item and the rest is missing" + narrow}},
		{name: "one long text", media: "application/json", body: `"` + strings.Repeat("é", 20) + `"`, limit: 10, want: Response{MediaType: "application/json", Text: `"éééé`,
			Note: "the API said that this is JSON, but it is not, or it is one long text; the response is 42 bytes and was cut to 9" + narrow}},
		{name: "long text", media: "text/plain", body: strings.Repeat("é", 20), limit: 9, want: Response{MediaType: "text/plain", Text: "éééé", Note: "the response is 40 bytes and was cut to 8" + narrow}},
		{name: "long bytes", media: "image/png", body: strings.Repeat("\x00", 20), limit: 9, want: Response{MediaType: "image/png", TooLarge: true,
			Note: "the response is 20 bytes of image/png and is left out, since it is over the limit of 9 bytes" + narrow}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.limit == 0 {
				test.limit = 1000
			}
			got, err := listOperation(t).Decode(answer(test.media, test.body), test.limit)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Status = 200
			if d := cmp.Diff(&test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A coding that nobody asked for is not unpacked, and an empty body has none.
func TestDecodePacked(t *testing.T) {
	for body, want := range map[string]Response{
		"":  {Status: 200, MediaType: "application/json"},
		"x": {Status: 200, MediaType: "application/json", Note: `the response is packed as "gzip, br", which was not asked for, and is left out`},
	} {
		resp := answer("application/json", body)
		resp.Header["Content-Encoding"] = []string{"gzip", "br"}
		got, err := listOperation(t).Decode(resp, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&want, got); d != "" {
			t.Error(d)
		}
	}
}

type closer struct {
	io.Reader
	closed bool
	read   int
}

func (c *closer) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.read += n
	return n, err
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestDecodeReadsToTheLimitAndCloses(t *testing.T) {
	endless := &closer{Reader: strings.NewReader("[" + strings.Repeat("1,", 1<<20))}
	resp := &http.Response{StatusCode: 206, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: -1, Body: endless}
	got, err := listOperation(t).Decode(resp, 1000)
	if err != nil || !endless.closed || endless.read > 2000 {
		t.Fatalf("%v, closed %v, read %d", err, endless.closed, endless.read)
	}
	if !strings.HasPrefix(got.Note, "the response is more than 1000 bytes") || got.Status != 206 || len(got.JSON) > 1000 || !json.Valid(got.JSON) {
		t.Errorf("%+v", got)
	}
	broken := &closer{Reader: io.MultiReader(strings.NewReader("[1,"), iotest.ErrReader(errors.New("reset")))}
	if _, err := listOperation(t).Decode(&http.Response{Body: broken}, 1000); err == nil || !broken.closed {
		t.Errorf("a broken body gave %v, closed %v", err, broken.closed)
	}
}

func TestDecodeFromServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		defer zip.Close()
		io.WriteString(zip, "["+strings.Repeat(`{"pet":"Rex"},`, 100000)+"{}]")
	}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	got, err := listOperation(t).Decode(resp, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	var pets []map[string]string
	if err := json.Unmarshal(got.JSON, &pets); err != nil || len(pets) != (1<<16-1)/14 {
		t.Errorf("%d pets, %v", len(pets), err)
	}
}

// FuzzDecode checks that a response is never more than one form, that JSON is
// valid and not longer than its source, and that text is UTF-8.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{"a":[1,2,{"b":null}],"c":"\u00e9\ud800"}`, `[[[[`, `{"a":`, `[1,2`, "\xff\xfe", `{"a":1}}`, `tru`, `"x`, `[{"a":{"b":[{}]}}]`, `[1 2]`, `{"a" 1}`, "é", brackets(501), "<html>",
	} {
		f.Add("application/json", body, 5)
		f.Add("", body, 1000)
		f.Add("text/plain; charset=shift_jis", body, 3)
		f.Add("image/png", body, 1000)
	}
	op := listOperation(f)
	f.Fuzz(func(t *testing.T, media, body string, limit int) {
		if limit < 0 || limit > 1<<20 {
			t.Skip()
		}
		r, err := op.Decode(answer(media, body), int64(limit))
		if err != nil {
			t.Fatal(err)
		}
		forms := 0
		if r.JSON != nil {
			forms++
			if !json.Valid(r.JSON) || !utf8.Valid(r.JSON) || deep(r.JSON) {
				t.Fatalf("%q became %q", body, r.JSON)
			}
			if utf8.ValidString(body) && len(r.JSON) > len(body)+1000 {
				t.Fatalf("%d bytes became %d", len(body), len(r.JSON))
			}
		}
		if r.Text != "" {
			forms++
			if !utf8.ValidString(r.Text) {
				t.Fatalf("%q became %q", body, r.Text)
			}
		}
		if r.Binary != nil {
			forms++
			if string(r.Binary) != body {
				t.Fatalf("%q became %q", body, r.Binary)
			}
		}
		if forms > 1 {
			t.Fatalf("%d forms: %+v", forms, r)
		}
		if len(body) > limit && r.Note == "" {
			t.Fatal("a cut without a note")
		}
	})
}

// TestTruncateAnywhere cuts a document at every byte.
func TestTruncateAnywhere(t *testing.T) {
	const doc = `{"total": 12.5e1, "data": [ {"id":1,"tags":["a","\u00e9\\"]}, {"id":2,"x":{}}, true, null, [] ], "more": {"k":[{"deep":[1,2,3]}]}, "end":"x"} `
	longest := 0
	for n := range len(doc) {
		kept, where, ok := truncateJSON([]byte(doc[:n]))
		if !ok {
			if n > 0 {
				t.Errorf("%q cannot be cut", doc[:n])
			}
			continue
		}
		if !json.Valid(kept) || where == "" || !bytes.HasPrefix([]byte(doc), bytes.TrimRight(kept, "]}")) && n > 2 {
			t.Errorf("%q became %q (%s)", doc[:n], kept, where)
		}
		longest = max(longest, len(kept))
	}
	if longest < len(doc)-12 {
		t.Errorf("at most %d of %d bytes were kept", longest, len(doc))
	}
	if _, _, ok := truncateJSON([]byte(`{"a":1,,`)); ok {
		t.Error("broken JSON was cut")
	}
	if _, _, ok := truncateJSON([]byte(strings.Repeat("[", 5000))); ok {
		t.Error("endless nesting was cut")
	}
}

func BenchmarkDecode(b *testing.B) {
	op := listOperation(b)
	body := "[" + strings.Repeat(`{"id":1234,"name":"Rex","tags":["good","dog"]},`, 4000) + "{}]"
	for _, limit := range []int64{1 << 20, 1 << 16} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			b.SetBytes(min(limit, int64(len(body))))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := op.Decode(answer("application/json", body), limit); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
