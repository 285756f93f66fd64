package mcpserver

import (
	"strings"
	"testing"
	"time"
)

func TestParseHandle(t *testing.T) {
	for _, tt := range []struct {
		in      string
		want    handleArgs
		pointer string
		says    string
		refused bool
	}{
		{in: `{"handle":"hold_a"}`, want: handleArgs{handle: "hold_a"}},
		{in: `{"handle":"hold_a","wait_seconds":50}`, want: handleArgs{handle: "hold_a", wait: 50 * time.Second}},
		{in: `{"handle":"hold_a","wait_seconds":null,"_select":null}`, want: handleArgs{handle: "hold_a"}},
		{in: `{"handle":"hold_a","_select":""}`, want: handleArgs{handle: "hold_a"}},
		{in: ``, refused: true},
		{in: `{}`, refused: true, pointer: "/handle"},
		{in: `{"handle":null}`, refused: true, pointer: "/handle"},
		{in: `{"handle":7}`, refused: true, pointer: "/handle"},
		{in: `{"handle":7}`, refused: true, pointer: "/handle", says: "must be a string"},
		{in: `{"handle":"a","wait_seconds":"1"}`, refused: true, pointer: "/wait_seconds", says: "must be an integer"},
		{in: `{"handle":"a","handle":"b"}`, refused: true},
		{in: `{"handle":"a","Handle":"b"}`, refused: true},
		{in: `{"handle":"a","approve":true}`, refused: true},
		{in: `{"handle":"a","wait_seconds":51}`, refused: true, pointer: "/wait_seconds"},
		{in: `{"handle":"a","wait_seconds":-1}`, refused: true, pointer: "/wait_seconds"},
		{in: `{"handle":"a","wait_seconds":1e1}`, refused: true, pointer: "/wait_seconds"},
		{in: `{"handle":"a","wait_seconds":"1"}`, refused: true, pointer: "/wait_seconds"},
	} {
		got, bad := parseHandle([]byte(tt.in))
		if tt.refused {
			if bad == nil || bad.Envelope.Code != "invalid_arguments" || bad.Envelope.Problems[0].Pointer != tt.pointer || !strings.Contains(bad.Envelope.Problems[0].Message, tt.says) {
				t.Errorf("%s: %+v %+v", tt.in, got, bad)
			}
		} else if bad != nil || got != tt.want {
			t.Errorf("%s: %+v %+v", tt.in, got, bad)
		}
	}
}
