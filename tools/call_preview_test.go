package tools

import (
	"encoding/json"
	"strings"
	"testing"
)

// A preview shows the digest that a hold of the same call has, sends and holds
// nothing, and leaves an entry.
func TestPreviewed(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.APIs[0].Before = SnapshotOff // which would add If-Match
	args := []byte(`{"petId":1}`)
	var p Preview
	res := r.ShowPreview(t.Context(), caller("alice"), "delete_pet", args)
	if err := json.Unmarshal(res.Envelope.Response, &p); err != nil {
		t.Fatalf("%s", res.JSON())
	}
	if p.Method != "DELETE" || p.Decision.Outcome != "hold" || r.shop.writes.Load() != 0 {
		t.Errorf("%s", res.JSON())
	}
	if open := r.Open(t.Context(), caller("alice")); len(open.Envelope.Holds) != 0 {
		t.Errorf("%s", open.JSON())
	}
	r.log(t) // the entry of the preview is on disk now
	r.Call(t.Context(), caller("alice"), "delete_pet", args)
	log := r.log(t)
	if len(log) != 2 || log[0].Kind != "preview" || log[1].Kind != "hold" || log[0].Digest != p.Digest || log[1].Digest != p.Digest {
		t.Errorf("the preview has the digest %s, and the log %+v", p.Digest, log)
	}
	for _, bad := range []struct{ tool, args string }{{"delete_pet", `{"petId":"x"}`}, {"drop_table", `{}`}} {
		if res := r.ShowPreview(t.Context(), caller("alice"), bad.tool, []byte(bad.args)); res.Envelope.Code != InvalidArguments {
			t.Errorf("%s", res.JSON())
		}
	}
}

// Who previews or is refused in masses leaves a bounded number of entries.
func TestEntriesOfNothingAreBounded(t *testing.T) {
	r := newRig(t, rigOptions{policy: `permit (principal, action == Petstore::Action::"get_pet", resource) when { context.input.petId == 1 };`})
	for range 2 * notedMost {
		r.ShowPreview(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`))
		r.call(t, "alice", "get_pet", `{"petId":"x"}`)
		r.call(t, "alice", "get_pet", `{"petId":2}`)
	}
	counts := map[string]int{}
	for _, e := range r.log(t) {
		counts[strings.TrimSuffix(string(e.Kind)+":"+e.Code, ":")]++
	}
	for _, kind := range []string{"preview", "denied:invalid_arguments", "denied:policy_denied"} {
		if counts[kind] != notedMost {
			t.Errorf("%d entries %s of %d", counts[kind], kind, 2*notedMost)
		}
	}
}
