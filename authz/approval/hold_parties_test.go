package approval

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Who cannot be read is nobody, and that is an error.
func TestPartiesOf(t *testing.T) {
	whole := store.Hold{Principal: []byte(`{"type":"User","id":"alice"}`), Agent: []byte(`{"id":"claude","verified":true}`), Session: []byte(`{"id":"s","transport":"http"}`), Created: time.Unix(1, 0)}
	want := Parties{authz.Principal{Type: "User", ID: "alice"}, authz.Agent{ID: "claude", Verified: true}, authz.Session{ID: "s", Transport: "http"}, whole.Created}
	got, err := PartiesOf(whole)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for what, spoil := range map[string]func(*store.Hold, []byte){
		"principal": func(h *store.Hold, b []byte) { h.Principal = b },
		"agent":     func(h *store.Hold, b []byte) { h.Agent = b },
		"session":   func(h *store.Hold, b []byte) { h.Session = b },
	} {
		for _, b := range []string{"", "{", `"alice"`} {
			h := whole
			spoil(&h, []byte(b))
			if _, err := PartiesOf(h); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s %q: %v", what, b, err)
			}
		}
	}
}
