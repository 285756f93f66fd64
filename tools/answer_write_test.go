package tools

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz"
)

// FuzzEnvelope compares the envelope that is written by hand with that of encoding/json.
func FuzzEnvelope(f *testing.F) {
	f.Add("a", "<b>&\"\\\n\x00\x7f", "\u2028é😀\u200b\xff", `{"a": [1.0, 1e400, "\u0041 <>", null ] }`, 200, ^uint32(0))
	f.Add("", "", "", ``, 0, uint32(0))
	f.Add("x", "", "y", ` 1 `, -1, uint32(0b101010))
	f.Fuzz(func(t *testing.T, a, b, c, response string, n int, given uint32) {
		var e Envelope
		texts := []string{a, b, c}
		v := reflect.ValueOf(&e).Elem()
		for i := range v.NumField() {
			if given>>i&1 == 0 {
				continue
			}
			text := texts[i%len(texts)]
			switch f := v.Field(i); f.Interface().(type) {
			case json.RawMessage:
				if json.Valid([]byte(response)) {
					f.SetBytes([]byte(response))
				}
			case map[string]string:
				f.Set(reflect.ValueOf(map[string]string{a: b, "etag": c}))
			case map[string]any:
				f.Set(reflect.ValueOf(map[string]any{a: b}))
			case *Challenge:
				f.Set(reflect.ValueOf(&Challenge{Scheme: a, Error: b}))
			case *Page:
				f.Set(reflect.ValueOf(&Page{map[string]any{a: n, b: c}}))
			case []Problem:
				f.Set(reflect.ValueOf([]Problem{{a, b}, {}}))
			case []string:
				f.Set(reflect.ValueOf([]string{a, b}))
			case *Lookup:
				f.Set(reflect.ValueOf(&Lookup{Found: a}))
			case []Waiting:
				f.Set(reflect.ValueOf([]Waiting{{Handle: a}}[:n&1]))
			case int:
				f.SetInt(int64(n))
			case Status, Code, authz.Remediation, string:
				f.SetString(text)
			default:
				t.Fatalf("nobody writes a %s", f.Type())
			}
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		wrong := enc.Encode(e)
		got, err := e.write()
		if err != nil || wrong != nil || !bytes.Equal(got, bytes.TrimSpace(want.Bytes())) {
			t.Errorf("%s %v, want\n%s %v", got, err, want.Bytes(), wrong)
		}
	})
}

// A body is read for hints to the next page if it can hold any of their names.
func TestMayHint(t *testing.T) {
	paths := append(append([][]string{{"has_more"}}, nextURLs...), cursors...)
	for _, path := range paths {
		if !mayHint([]byte(`{"` + strings.Join(path, `":{"`))) {
			t.Errorf("%v is not looked for", path)
		}
	}
	if mayHint([]byte(`{"id":1,"name":"Minka"}`)) || !mayHint([]byte(`{"n\u0065xt":1}`)) {
		t.Error("a body without hints is read, or one with escapes is not")
	}
}

func BenchmarkAnswer(b *testing.B) {
	res := Result{Envelope: Envelope{Status: Done, HTTPStatus: 200, Headers: map[string]string{"etag": `"1"`},
		Response: json.RawMessage(`{"id":1,"name":"Minka","species":"cat","tags":["` + strings.Repeat("a b", 130) + `"]}`)}}
	b.ReportAllocs()
	for b.Loop() {
		res.JSON()
	}
}
