package openapi

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func bodyOperation(t testing.TB, media string, fields map[string]field) *Operation {
	op := newOperation(t, "POST", "/x", anything)
	op.body = &body{Media: media, Essence: essence(media), Fields: fields, Bytes: rank(essence(media)) == rankBytes}
	return op
}

func TestBodies(t *testing.T) {
	for _, test := range []struct {
		name, media string
		fields      map[string]field
		body        string
		contentType string
		want        string
		refused     string // the pointer, if it is
	}{
		{name: "json", media: "application/json", body: `{"b":[1.0,null,12345678901234567890],"a":"é"}`, want: `{"a":"é","b":[1,null,12345678901234567890]}`},
		{name: "json scalar", media: "application/json", body: `"x"`, want: `"x"`},
		{name: "json null", media: "application/json", body: `null`, want: `null`},
		{name: "json with parameters", media: "application/vnd.api+json; ext=x", body: `{}`, want: `{}`},
		{name: "merge patch", media: "application/merge-patch+json", body: `{"a":null}`, want: `{"a":null}`},
		{name: "json patch", media: "application/json-patch+json", body: `[{"op":"remove","path":"/a"}]`, want: `[{"op":"remove","path":"/a"}]`},
		{name: "text", media: "text/plain", body: `"Grüße"`, contentType: "text/plain; charset=utf-8", want: "Grüße"},
		{name: "text with charset", media: "text/markdown; charset=UTF-8", body: `"# x"`, want: "# x"},
		{name: "text is no object", media: "text/plain", body: `{}`, refused: "/body"},
		{name: "octets", media: "application/octet-stream", body: `"AAH/"`, want: "\x00\x01\xff"},
		{name: "octets in the URL alphabet", media: "application/octet-stream", body: `"-_8"`, want: "\xfb\xff"},
		{name: "octets that are none", media: "application/octet-stream", body: `"***"`, refused: "/body"},

		{name: "form", media: formType, body: `{"b":"x y&z","a":1,"c":true,"d":["1","2"],"ü":"é"}`, want: "a=1&b=x+y%26z&c=true&d=1&d=2&%C3%BC=%C3%A9"},
		{name: "form with nested objects", media: formType, body: `{"card":{"number":"42","exp":{"month":1}},"items":[{"price":"p","quantity":2}],"expand":["a"]}`,
			fields: map[string]field{"expand": {Style: "deepObject", Explode: true}},
			want:   "card%5Bexp%5D%5Bmonth%5D=1&card%5Bnumber%5D=42&expand%5B%5D=a&items%5B0%5D%5Bprice%5D=p&items%5B0%5D%5Bquantity%5D=2"},
		{name: "form styles", media: formType, body: `{"a":["1","2"],"b":["1","2"],"c":{"x":1},"d":"/?"}`,
			fields: map[string]field{"a": {Style: "form"}, "b": {Style: "pipeDelimited"}, "c": {ContentType: "application/json"}, "d": {Style: "form", Explode: true, AllowReserved: true}},
			want:   "a=1,2&b=1%7C2&c=%7B%22x%22%3A1%7D&d=/?"},
		{name: "form with null", media: formType, body: `{"a":null}`, refused: "/body/a"},
		{name: "form that says a thing twice", media: formType, body: `{"card":{"number":"1"},"card[number]":"2"}`, refused: "/body/card[number]"},
		{name: "form that says it deeper", media: formType, body: `{"a[b]":{"c":"1"},"A[B][c]":"2"}`, refused: "/body/A[B][c]"},
		{name: "form with brackets of its own", media: formType, body: `{"a[b]":"1","a[c]":["2"],"[d]":"3"}`, want: "%5Bd%5D=3&a%5Bb%5D=1&a%5Bc%5D=2"},
		{name: "form with nothing", media: formType, body: `{}`, want: ""},
		{name: "form that is none", media: formType, body: `[]`, refused: "/body"},
		{name: "multipart that is none", media: multipartType, body: `"x"`, refused: "/body"},
		{name: "multipart without parts", media: multipartType, body: `{}`, refused: "/body"},
	} {
		t.Run(test.name, func(t *testing.T) {
			op := bodyOperation(t, test.media, test.fields)
			if test.refused != "" {
				if bad := refusal(t, op, `{"body":`+test.body+`}`); bad.Problems[0].Pointer != test.refused {
					t.Errorf("refused with %v, want %s", bad, test.refused)
				}
				return
			}
			r := encode(t, op, `{"body":`+test.body+`}`)
			if test.contentType == "" {
				test.contentType = test.media
			}
			if r.ContentType != test.contentType {
				t.Errorf("content type %q, want %q", r.ContentType, test.contentType)
			}
			if got := string(r.Body); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			in, body := send(t, r)
			if !bytes.Equal(body, r.Body) || in.Header.Get("Content-Type") != r.ContentType {
				t.Errorf("on the wire: %s %q", in.Header.Get("Content-Type"), body)
			}
		})
	}
	if r := encode(t, bodyOperation(t, "application/json", nil), `{}`); r.Body != nil || r.ContentType != "" {
		t.Errorf("without a body: %q %q", r.ContentType, r.Body)
	}
}

func TestFormReadsBack(t *testing.T) {
	r := encode(t, bodyOperation(t, formType, nil), `{"body":{"a":"1&b=2","c d":["x+y","é%"],"e":{"f=":"g"}}}`)
	got, err := url.ParseQuery(string(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(url.Values{"a": {"1&b=2"}, "c d": {"x+y", "é%"}, "e[f=]": {"g"}}, got); d != "" {
		t.Error(d)
	}
}

// multipartFields has one property of each kind.
var multipartFields = map[string]field{
	"photo": {Binary: true, ContentType: "image/png, image/jpeg"}, "files": {Binary: true},
	"meta": {ContentType: "application/json"}, "note": {Style: "form", Explode: true}, "html": {ContentType: "text/html"},
}

func TestMultipart(t *testing.T) {
	op := bodyOperation(t, multipartType, multipartFields)
	const arguments = `{"body":{"photo":{"data":"AAH/","filename":"Grüße 1.jpg","content_type":"image/jpeg"},
		"files":["YQ==",{"data":"Yg==","filename":"b.txt","content_type":"text/plain; charset=utf-8"}],
		"meta":{"b":1,"a":[2]},"note":"hello","html":"<p>","count":3,"extra":{"x":1},"list":["p","q"]}}`
	r := encode(t, op, arguments)
	if again := encode(t, op, arguments); !bytes.Equal(again.Body, r.Body) || again.ContentType != r.ContentType {
		t.Error("equal arguments gave other bytes")
	}
	media, params, err := mime.ParseMediaType(r.ContentType)
	if err != nil || media != multipartType {
		t.Fatal(media, err)
	}
	type got struct{ Name, File, Type, Data string }
	var parts []got
	reader := multipart.NewReader(bytes.NewReader(r.Body), params["boundary"])
	for {
		p, err := reader.NextPart()
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
		parts = append(parts, got{p.FormName(), p.FileName(), p.Header.Get("Content-Type"), string(data)})
	}
	want := []got{
		{"count", "", "", "3"}, {"extra", "", "application/json", `{"x":1}`},
		{"files", "files", "application/octet-stream", "a"}, {"files", "b.txt", "text/plain; charset=utf-8", "b"},
		{"html", "", "text/html", "<p>"}, {"list", "", "", "p"}, {"list", "", "", "q"},
		{"meta", "", "application/json", `{"a":[2],"b":1}`}, {"note", "", "", "hello"},
		{"photo", "Grüße 1.jpg", "image/jpeg", "\x00\x01\xff"},
	}
	if d := cmp.Diff(want, parts); d != "" {
		t.Error(d)
	}
}

func TestMultipartRefuses(t *testing.T) {
	op := bodyOperation(t, multipartType, multipartFields)
	for body, pointer := range map[string]string{
		`{"files":[{"data":"YQ==","filename":"a\"; name=\"b"}]}`:         "/body/files/0/filename",
		`{"files":[{"data":"YQ==","filename":"a\r\nX: y"}]}`:             "/body/files/0/filename",
		`{"files":[{"data":"YQ==","filename":"../../etc/passwd"}]}`:      "/body/files/0/filename",
		`{"files":[{"data":"YQ==","filename":"a\\b"}]}`:                  "/body/files/0/filename",
		`{"files":[{"data":"YQ==","filename":".."}]}`:                    "/body/files/0/filename",
		`{"files":[{"data":"YQ==","content_type":"text/html\r\nX: y"}]}`: "/body/files/0/content_type",
		`{"files":[{"data":"YQ==","content_type":"nothing"}]}`:           "/body/files/0/content_type",
		`{"photo":{"data":"YQ==","content_type":"text/html"}}`:           "/body/photo/content_type",
		`{"photo":{"filename":"a.png"}}`:                                 "/body/photo/data",
		`{"photo":"not base64"}`:                                         "/body/photo",
		`{"photo":7}`:                                                    "/body/photo",
		`{"a\"b":"x"}`:                                                   `/body/a"b`,
		`{"a\r\nb":"x"}`:                                                 "/body/a\r\nb",
		`{"html":{"a":1}}`:                                               "/body/html",
		`{"note":null}`:                                                  "/body/note",
		`{"files":[]}`:                                                   "/body/files",
	} {
		if bad := refusal(t, op, `{"body":`+body+`}`); bad.Problems[0].Pointer != pointer {
			t.Errorf("%s: %v, want %s", body, bad, pointer)
		}
	}
}

// TestBoundaryIsInNoPart gives a part the boundary that its content leads to.
func TestBoundaryIsInNoPart(t *testing.T) {
	parts := []part{{disposition: "form-data", data: []byte("x")}}
	first := newBoundary(parts)
	if held(parts, []byte(first)) {
		t.Fatal("the boundary is in its part")
	}
	if !held([]part{{data: []byte("--" + first + "--")}}, []byte(first)) || !held([]part{{disposition: first}}, []byte(first)) {
		t.Error("a part that holds the boundary goes unnoticed")
	}
	parts[0].data = []byte("y")
	if newBoundary(parts) == first {
		t.Error("other content has the same boundary")
	}
}

func TestUploadReachesServer(t *testing.T) {
	op := bodyOperation(t, multipartType, multipartFields)
	data := strings.Repeat("\r\n--exeat-", 1000)
	r := encode(t, op, `{"body":{"files":"`+base64.StdEncoding.EncodeToString([]byte(data))+`"}}`)
	in, body := send(t, r)
	in.Body = io.NopCloser(bytes.NewReader(body))
	if err := in.ParseMultipartForm(1 << 20); err != nil {
		t.Fatal(err)
	}
	f, err := in.MultipartForm.File["files"][0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != data {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if in.Method != http.MethodPost {
		t.Error(in.Method)
	}
}
