package inbox

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
)

func TestArguments(t *testing.T) {
	deep := strings.Repeat("[", 8) + "1" + strings.Repeat("]", 8)
	name := strings.Repeat("n", 150)
	for in, want := range map[string][]arg{
		``:   nil,
		`{}`: nil,
		`{"b":2.50,"a":"x","t":true,"n":null,"e":"","o":{},"l":[]}`: {{"a", "text", "x"}, {"b", "number", "2.50"}, {"e", "text", ""}, {"l", "array", "[]"},
			{"n", "null", "null"}, {"o", "object", "{}"}, {"t", "boolean", "true"}},
		`{"body":{"tags":["a",1],"a.b":{"x y":12345678901234567890}}}`: {{`body["a.b"]["x y"]`, "number", "12345678901234567890"},
			{"body.tags[0]", "text", "a"}, {"body.tags[1]", "number", "1"}},
		`{"a[0]":1,"":2,"a":[3]}`:                   {{`[""]`, "number", "2"}, {"a[0]", "number", "3"}, {`["a[0]"]`, "number", "1"}},
		`{"d":` + deep + `}`:                        {{"d[0][0][0][0][0]", "array", "[[[1]]]"}},
		`{"a":{"` + name + `":{"` + name + `":1}}}`: {{"a." + name, "object", `{"` + name + `":1}`}},
		`{"` + name + name + `":[1]}`:               {{name + name, "array", "[1]"}},
		`[1]`:                                       {{"[0]", "number", "1"}},
		`{"broken`:                                  {{"", "object", `{"broken`}},
	} {
		if d := cmp.Diff(want, arguments(json.RawMessage(in))); d != "" {
			t.Errorf("%s (-want +got):\n%s", in, d)
		}
	}
}

func TestTextual(t *testing.T) {
	for _, tt := range []struct {
		contentType, body string
		want              bool
	}{
		{"application/json", `{}`, true},
		{"Application/JSON; charset=utf-8", `{}`, true},
		{"application/merge-patch+json", `{}`, true},
		{"application/x-www-form-urlencoded", "a=b", true},
		{"multipart/form-data; boundary=x", "--x", true},
		{"multipart/form-data; boundary=x", "\xff\xd8", false},
		{"text/plain", "x", true},
		{"application/json", "\xff", false},
		{"image/png", "x", false},
		{"application/octet-stream", "x", false},
		{"", "", true},
	} {
		if got := textual(store.Request{ContentType: tt.contentType, Body: []byte(tt.body)}); got != tt.want {
			t.Errorf("%s %q: %v", tt.contentType, tt.body, got)
		}
	}
}

// The sentence and the marks are on the page and in the list, and a marked call needs the
// second motion.
func TestSentenceOnPages(t *testing.T) {
	s := newSite(t).login()
	h := call(alice, "sentence")
	h.Effect, h.Marks = "write", []string{"money"}
	h.Phrase = json.RawMessage(`{"verb":"delete","things":[{"noun":"pet","id":{"from":"agent","kind":"number","text":"42"},"title":{"from":"api","text":"<b>Bruno"}}]}`)
	h = s.open(h)
	const want = `Delete pet <b class="said agent">42</b> <b class="said api">&lt;b&gt;Bruno</b>`
	for _, page := range []string{"/", "/h/" + h.ID} {
		body := s.get(page).body
		if !strings.Contains(body, want) || !strings.Contains(body, `<span class="tag warn">money</span>`) {
			t.Errorf("%s does not say it: %s", page, body)
		}
	}
	if body := s.get("/h/" + h.ID).body; !strings.Contains(body, `name="sure"`) {
		t.Error("a marked call needs no second motion")
	}
}
