package openapi

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
)

func TestPartHeaders(t *testing.T) {
	doc := func(header string) string {
		return v30 + "paths: {/a: {post: {operationId: a, requestBody: {required: true, content: {multipart/form-data: {schema: {type: object, properties: {files: {type: array, items: {type: string, format: binary}}, note: {type: string}}}, encoding: {files: {contentType: 'image/png, image/*', headers: {" + header + "}}}}}}}}}"
	}
	api := loadText(t, doc("X-Kind: {schema: {enum: [scan]}}, X-Size: {schema: {default: 7}}, X-Any: {schema: {type: string}}, Content-Type: {schema: {default: text/html}}"), Options{})
	op := one(t, api)
	if len(api.Findings) != 1 || !strings.Contains(api.Findings[0].Message, "X-Any") {
		t.Errorf("findings %+v, want one about X-Any", api.Findings)
	}
	r := encode(t, op, `{"body":{"files":["YQ==",{"data":"Yg==","filename":"b.jpg","content_type":"image/jpeg"}],"note":"n"}}`)
	_, params, err := mime.ParseMediaType(r.ContentType)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for reader := multipart.NewReader(bytes.NewReader(r.Body), params["boundary"]); ; {
		p, err := reader.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(p)
		got = append(got, strings.Join([]string{p.FormName(), p.Header.Get("Content-Type"), p.Header.Get("X-Kind"), p.Header.Get("X-Size"), string(data)}, " "))
	}
	if s := strings.Join(got, "; "); s != "files image/png scan 7 a; files image/jpeg scan 7 b; note    n" {
		t.Error(s)
	}
	if bad := refusal(t, op, `{"body":{"files":[{"data":"YQ==","content_type":"text/html"}]}}`); bad.Problems[0].Pointer != "/body/files/0/content_type" {
		t.Error(bad)
	}
	for header, want := range map[string]string{
		"X-A: {required: true, schema: {type: string}}": "needs the header X-A",
		`"X-A: b": {schema: {const: x}}`:                "no legal name",
		`X-A: {schema: {const: "a\r\nb: c"}}`:           "cannot go into a header",
	} {
		api := loadText(t, doc(header), Options{})
		if len(api.Operations) != 0 || len(api.Findings) != 1 || !strings.Contains(api.Findings[0].Message, want) {
			t.Errorf("%s: %+v, want one finding with %q", header, api.Findings, want)
		}
	}
}
