package strictjson_test

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/openapi/strictjson"
)

func TestMembers(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want map[string]json.RawMessage
		err  error
	}{
		{in: `{}`, want: map[string]json.RawMessage{}},
		{in: ` { "a" : [1, {"b":"}"}] , "\u0062":null} `, want: map[string]json.RawMessage{"a": []byte(`[1, {"b":"}"}]`), "b": []byte("null")}},
		{in: `{"a":1,"\u0061":2}`, err: strictjson.ErrTwice},
		{in: `{"\ud800":1,"\ud801":2}`, err: strictjson.ErrTwice},
		{in: `[]`, err: strictjson.ErrNoObject},
		{in: ``, err: strictjson.ErrNoObject},
		{in: `{"a":1`, err: strictjson.ErrEnds},
		{in: `{"a":1,`, err: strictjson.ErrEnds},
		{in: `{"a" 1}`, err: strictjson.ErrSyntax},
	} {
		got, err := strictjson.Members([]byte(tt.in))
		if !errors.Is(err, tt.err) && !(tt.err == strictjson.ErrEnds && err != nil) {
			t.Errorf("%s: %v, want %v", tt.in, err, tt.err)
		}
		if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
			t.Errorf("%s: %s", tt.in, diff)
		}
	}
}

// FuzzMembers compares what is read with what encoding/json reads.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[{"c":"\"}"}]}`, `{"a":{},"a":1}`, `{"x":"\ud800"}`, `[]`, `{`, `{"a":-0.5e-7, "b" :true}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := strictjson.Members(raw)
		if !utf8.Valid(raw) || !json.Valid(raw) {
			return // it must only come to an end
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(raw, &want) != nil || want == nil {
			if !errors.Is(err, strictjson.ErrNoObject) {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		if errors.Is(err, strictjson.ErrTwice) {
			return // the decoder takes the last one
		}
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: %s", raw, diff)
		}
	})
}
