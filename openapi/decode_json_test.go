package openapi

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// JSON is JSON if the document says so or it parses whole, in its character set.
func TestJSONByAnotherName(t *testing.T) {
	said := one(t, loadText(t, v30+"paths: {/a: {get: {responses: {200: {content: {application/json: {}}}}}}}", Options{}))
	unsaid := one(t, loadText(t, v30+"paths: {/a: {get: {}}}", Options{}))
	const utf16be, utf16le = "\xfe\xff\x00\"\x00\xe9\x00\"", "\xff\xfe\"\x00\xe9\x00\"\x00"
	for _, tt := range []struct {
		name, header, body string
		json, text         string // with what the document says
		unsaid             string // JSON without, or "" for none
	}{
		{"text", "text/plain; charset=utf-8", `{"a":1}`, `{"a":1}`, "", `{"a":1}`},
		{"octets", "application/octet-stream", ` [1] `, `[1]`, "", `[1]`},
		{"old octets", "binary/octet-stream", `[1]`, `[1]`, "", `[1]`},
		{"a script", "text/javascript", `{"a":1}`, `{"a":1}`, "", `{"a":1}`},
		{"a number in text", "text/plain", "42", "42", "", ""},
		{"a word in text", "text/plain", "hello", "", "hello", ""},
		{"half", "text/plain", `{"a":`, "", `{"a":`, ""},
		{"two values", "text/plain", `{"a":1}{"a":2}`, "", `{"a":1}{"a":2}`, ""},
		{"a page", "text/html", `{"a":1}`, "", `{"a":1}`, ""},
		{"Latin 1", "application/json; charset=iso-8859-1", "\"\xe9\"", `"é"`, "", `"é"`},
		{"Latin 1 in text", "text/plain; charset=ISO-8859-1", "{\"a\":\"\xe9\"}", `{"a":"é"}`, "", `{"a":"é"}`},
		{"Shift JIS", "application/json; charset=Shift_JIS", "\"\x93\xfa\"", `"日"`, "", `"日"`},
		{"UTF-16", "application/json; charset=utf-16", utf16be, `"é"`, "", `"é"`},
		{"UTF-16, little end first", "application/json; charset=utf-16", utf16le, `"é"`, "", `"é"`},
		{"UTF-16LE", "application/json; charset=utf-16le", utf16le[2:], `"é"`, "", `"é"`},
		{"UTF-16 without a word", "application/json", utf16le, `"é"`, "", `"é"`},
		{"no character set", "application/json; charset=nonsense", `"é"`, `"é"`, "", `"é"`},
		{"UTF-8 by another name", "application/json; charset=UTF8", `"é"`, `"é"`, "", `"é"`},
		{"JSON by an old name", "text/x-json", `"é"`, `"é"`, "", `"é"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer := func(op *Operation) *Response {
				r, err := op.Decode(&http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {tt.header}}, Body: io.NopCloser(strings.NewReader(tt.body))}, 1000)
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			if r := answer(said); string(r.JSON) != tt.json || r.Text != tt.text {
				t.Errorf("JSON %q, text %q, %s", r.JSON, r.Text, r.Note)
			}
			if r := answer(unsaid); string(r.JSON) != tt.unsaid {
				t.Errorf("unsaid: JSON %q, text %q", r.JSON, r.Text)
			}
		})
	}
	long := `{"a":[` + strings.Repeat("1,", 100) + `1]}`
	r, err := said.Decode(&http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader(long))}, 50)
	if err != nil || len(r.JSON) == 0 || r.Note == "" {
		t.Errorf("%+v %v", r, err)
	}
}
