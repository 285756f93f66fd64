package openapi

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hostileDocument has one operation for each way that arguments go onto the wire.
const hostileDocument = v30 + `paths:
  /p/{a}/x/{b}:
    get:
      operationId: get
      parameters:
      - {name: a, in: path, required: true, schema: {type: string}}
      - {name: b, in: path, schema: {type: string}}
      - {name: q, in: query, schema: {type: string}}
      - {name: r, in: query, schema: {type: array, items: {type: string}}}
      - {name: s, in: query, explode: false, schema: {type: array, items: {type: string}}}
      - {name: d, in: query, style: deepObject, schema: {type: object, additionalProperties: {type: string}}}
      - {name: e, in: query, schema: {type: object, additionalProperties: {type: string}}}
      - {name: g, in: query, schema: {type: object, additionalProperties: {type: string}}}
      - {name: n, in: query, schema: {type: integer}}
      - {name: X-H, in: header, schema: {type: string}}
      - {name: c, in: cookie, schema: {type: string}}
  /f: {post: {operationId: form, requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object,
    properties: {x: {type: string}, list: {type: array, items: {type: string}}, o: {type: object, additionalProperties: {type: string}}}, additionalProperties: {type: string}}}}}}}
  /m: {post: {operationId: multi, requestBody: {content: {multipart/form-data: {schema: {type: object,
    properties: {x: {type: string}, list: {type: array, items: {type: string}}, file: {type: string, format: binary}}, additionalProperties: {type: string}}}}}}}
  /j: {post: {operationId: json, requestBody: {content: {application/json: {schema: {}}}}}}
`

func hostileOperations(t testing.TB) map[string]*Operation {
	ops := map[string]*Operation{}
	for _, op := range loadText(t, hostileDocument, Options{}).Operations {
		ops[op.ID] = op
	}
	if len(ops) != 4 {
		t.Fatal(ops)
	}
	return ops
}

// onWire writes a request as net/http does and reads it as a server does.
func onWire(t testing.TB, r *Request) (*http.Request, []byte) {
	t.Helper()
	out, err := http.NewRequest(r.Method, r.Origin+r.Target, bytes.NewReader(r.Body))
	if err != nil {
		t.Fatalf("%s: %v", r.Target, err)
	}
	out.Header = r.Header.Clone()
	if r.ContentType != "" {
		out.Header.Set("Content-Type", r.ContentType)
	}
	var b bytes.Buffer
	if err := out.Write(&b); err != nil {
		t.Fatalf("%s: %v", r.Target, err)
	}
	wire := bufio.NewReader(&b)
	in, err := http.ReadRequest(wire)
	if err != nil {
		t.Fatalf("%s: %v", r.Target, err)
	}
	body, err := io.ReadAll(in.Body)
	if err != nil || wire.Buffered() > 0 || b.Len() > 0 {
		t.Fatalf("%s: %v, and %d bytes are left", r.Target, err, wire.Buffered()+b.Len())
	}
	if in.RequestURI != r.Target || in.Host != "api.example.com" || in.Method != r.Method || !bytes.Equal(body, r.Body) {
		t.Fatalf("a server reads %s %s of %s, and %q", in.Method, in.RequestURI, in.Host, body)
	}
	return in, body
}

// sameOnWire checks that readers which know nothing of this package find the
// arguments in the request, exactly and nothing more.
func sameOnWire(t testing.TB, op *Operation, args map[string]any, r *Request) {
	t.Helper()
	in, body := onWire(t, r)
	header := http.Header{"Accept": in.Header["Accept"], "User-Agent": in.Header["User-Agent"]}
	if h, given := args["X-H"]; given {
		header.Set("X-H", h.(string))
	}
	if len(body) > 0 {
		header.Set("Content-Length", in.Header.Get("Content-Length"))
	}
	if _, given := args["body"]; given {
		header.Set("Content-Type", r.ContentType) // of a form without fields, too
	}
	if c, given := args["c"]; given {
		header["Cookie"] = in.Header["Cookie"]
		got := in.Cookies()
		if len(got) != 1 || got[0].Name != "c" {
			t.Fatalf("the cookies are %v", got)
		}
		if value, err := url.PathUnescape(got[0].Value); err != nil || value != c {
			t.Fatalf("the cookie is %q, want %q", value, c)
		}
	}
	if in.ContentLength == 0 {
		delete(in.Header, "Content-Length")
	}
	if d := cmp.Diff(header, in.Header); d != "" {
		t.Fatalf("headers: %s", d)
	}
	if len(in.Header["Accept"])+len(in.Header["Cookie"]) > 2 || in.Trailer != nil || in.TransferEncoding != nil {
		t.Fatalf("%v", in)
	}
	if op.ID == "get" {
		samePath(t, args, in)
		return
	}
	if v, given := args["body"]; given {
		sameBody(t, op.ID, v, in, body)
	} else if len(body) > 0 {
		t.Fatalf("a body that no argument gave: %q", body)
	}
}

func samePath(t testing.TB, args map[string]any, in *http.Request) {
	t.Helper()
	segments := strings.Split(strings.SplitN(in.RequestURI, "?", 2)[0], "/")
	if len(segments) != 6 || segments[1] != "v1" || segments[2] != "p" || segments[4] != "x" {
		t.Fatalf("the path is %q", segments)
	}
	for i, name := range map[int]string{3: "a", 5: "b"} {
		if got, err := url.PathUnescape(segments[i]); err != nil || got != args[name] {
			t.Fatalf("%s is %q (%v), want %q", name, got, err, args[name])
		}
	}
	if cleaned := in.URL.JoinPath("."); cleaned.EscapedPath() != in.URL.EscapedPath() {
		t.Fatalf("%s cleans to %s", in.URL.EscapedPath(), cleaned.EscapedPath())
	}
	want := url.Values{}
	for _, name := range []string{"q", "n", "r", "s", "d", "e", "g"} {
		switch v := args[name].(type) {
		case string:
			want.Add(name, v)
		case json.Number:
			want.Add(name, v.String())
		case []any:
			var items []string
			for _, x := range v {
				items = append(items, x.(string))
			}
			if want[name] = items; name == "s" {
				want[name] = []string{strings.Join(items, ",")}
				if strings.Count(want.Get(name), ",") != len(items)-1 {
					t.Fatalf("%q reads as other items than %q", want.Get(name), items)
				}
			}
		case map[string]any:
			for k, x := range v {
				if name == "d" {
					k = "d[" + k + "]"
				}
				if want[k] != nil {
					t.Fatalf("%q stands for two arguments", k)
				}
				want.Add(k, x.(string))
			}
		}
	}
	got, err := url.ParseQuery(in.URL.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("query %s: %s", in.URL.RawQuery, d)
	}
}

func sameBody(t testing.TB, id string, v any, in *http.Request, body []byte) {
	t.Helper()
	if id == "json" {
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		var got any
		if err := dec.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(v, got); d != "" {
			t.Fatal(d)
		}
		return
	}
	object := v.(map[string]any)
	want := url.Values{}
	for name, x := range object {
		switch x := x.(type) {
		case string:
			want.Add(name, x)
		case []any:
			for _, item := range x {
				want.Add(name, item.(string))
			}
		case map[string]any:
			for k, item := range x {
				if s, ok := item.(string); ok && id == "form" {
					want.Add(name+"["+k+"]", s)
				}
			}
		}
	}
	if id == "form" {
		got, err := url.ParseQuery(string(body))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s: %s", body, d)
		}
		return
	}
	sameParts(t, object, want, in, body)
}

func sameParts(t testing.TB, object map[string]any, want url.Values, in *http.Request, body []byte) {
	t.Helper()
	_, params, err := mime.ParseMediaType(in.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	got := url.Values{}
	var files []string
	for reader := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		p, err := reader.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		names := slices.Sorted(maps.Keys(p.Header))
		if p.FormName() != "file" {
			got.Add(p.FormName(), string(data))
			if len(names) != 1 || p.FileName() != "" {
				t.Fatalf("a text has the headers %v", p.Header)
			}
			continue
		}
		files = append(files, p.FileName())
		if d := cmp.Diff([]string{"Content-Disposition", "Content-Type"}, names); d != "" {
			t.Fatal(d)
		}
		text, name, media := object["file"], "file", "application/octet-stream"
		if m, ok := text.(map[string]any); ok {
			text = m["data"]
			if s, _ := m["filename"].(string); s != "" {
				name = s
			}
			if s, _ := m["content_type"].(string); s != "" {
				media = s
			}
		}
		if p.FileName() != name || p.Header.Get("Content-Type") != strings.TrimSpace(media) {
			t.Fatalf("the file is %q of %q, want %q of %q", p.FileName(), p.Header.Get("Content-Type"), name, media)
		}
		if !sameBytes(text.(string), data) {
			t.Fatalf("the file has other bytes: %q", data)
		}
	}
	if _, given := object["file"]; given != (len(files) == 1) {
		t.Fatalf("the files are %q", files)
	}
	delete(want, "file")
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func sameBytes(text string, data []byte) bool {
	text = strings.NewReplacer("-", "+", "_", "/", "=", "", "\r", "", "\n", "").Replace(text)
	return strings.TrimRight(base64.StdEncoding.EncodeToString(data), "=") == text
}

// FuzzEncode gives any bytes as arguments. What is not refused arrives, as
// independent readers see it, exactly and with nothing beside it.
func FuzzEncode(f *testing.F) {
	ids := []string{"get", "form", "multi", "json"}
	for _, seed := range hostileArguments {
		if len(seed.raw) > 1000 {
			continue // minimizing what grows out of it would take all the time
		}
		f.Add(byte(slices.Index(ids, seed.op)), []byte(seed.raw))
	}
	ops := hostileOperations(f)
	f.Fuzz(func(t *testing.T, id byte, raw []byte) {
		op := ops[ids[int(id)%len(ids)]]
		args, err := op.Parse(raw)
		if err != nil {
			return
		}
		r, err := op.Encode(args)
		if err != nil {
			return
		}
		sameOnWire(t, op, args.Value(), r)
		again, err := op.Parse(args.Canonical())
		if err != nil {
			t.Fatalf("%s is refused: %v", args.Canonical(), err)
		}
		second, err := op.Encode(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, second); d != "" {
			t.Fatalf("the canonical form is another request: %s", d)
		}
	})
}
