package tools

import (
	"net/http"
	"strings"
	"testing"
)

// What is selected is no part of the call: the request, the digest and the hold
// are the same, and the policy's cuts come first.
func TestSelectInACall(t *testing.T) {
	r := newRig(t, rigOptions{policy: `@redact("/note,/pets/note") permit (principal, action in Action::"read", resource);
permit (principal, action, resource) when { context has approval };`})
	r.run(t)
	call := func(tool, args string) Envelope {
		t.Helper()
		return r.Call(t.Context(), caller("alice"), tool, []byte(args)).Envelope
	}
	for _, tt := range []struct{ tool, args, response, note string }{
		{"get_pet", `{"petId":1,"_select":"{id, name}"}`, `{"id":1,"name":"Mia"}`, ""},
		{"get_pet", `{"petId":1,"_select":".note"}`, `null`, ""},
		{"get_pet", `{"petId":1,"_select":"[.. | strings | select(test(\"paw\"))]"}`, `[]`, ""},
		{"list_pets", `{"_select":"[.pets[].note]"}`, `[null,null,null,null,null,null,null,null]`, ""},
		{"list_pets", `{"_select":".pets | length"}`, `8`, ""},
		{"get_pet", `{"petId":1,"_select":".name + 1"}`, "", "_select cannot add"},
		{"get_pet", `{"petId":1,"_select":"empty"}`, "", "_select gives nothing"},
		{"get_pet", `{"petId":404,"_select":".name"}`, "whole", ""},
	} {
		e := call(tt.tool, tt.args)
		if tt.response == "whole" {
			if e.HTTPStatus != 404 || !strings.Contains(string(e.Response), "title") {
				t.Errorf("%s: %s", tt.args, e.Response)
			}
			continue
		}
		if string(e.Response) != tt.response || !strings.Contains(e.Note, tt.note) || (tt.note == "") != (e.Shape == nil) {
			t.Errorf("%s: %s, %q, %v", tt.args, e.Response, e.Note, e.Shape)
		}
	}
	for _, bad := range []string{`1`, `"env"`, `".["`, `["."]`} {
		if e := call("get_pet", `{"petId":1,"_select":`+bad+`}`); e.Code != InvalidArguments || len(e.Problems) != 1 || e.Problems[0].Pointer != "/_select" {
			t.Errorf("%s: %+v", bad, e)
		}
	}
	before := r.shop.writes.Load()
	first := call("update_pet", `{"petId":1,"body":{"name":"Mia","species":"cat","status":"available"},"_select":".name"}`)
	second := call("update_pet", `{"petId":1,"body":{"name":"Mia","species":"cat","status":"available"},"_select":".id"}`)
	if first.Status != Pending || first.Handle != second.Handle || r.shop.writes.Load() != before {
		t.Fatalf("%+v %+v", first, second)
	}
	if err := r.decideHold(t, first.Handle, true, ""); err != nil {
		t.Fatal(err)
	}
	whole := r.wait(t, first.Handle).Envelope
	part := r.Resume(t.Context(), caller("alice"), first.Handle, 0, ".name").Envelope
	if string(part.Response) != `"Mia"` || !strings.Contains(string(whole.Response), `"species"`) {
		t.Errorf("%s, %s", part.Response, whole.Response)
	}
	if e := r.Resume(t.Context(), caller("alice"), first.Handle, 0, "env").Envelope; e.Code != InvalidArguments {
		t.Errorf("%+v", e)
	}
}

// A program that shares what it makes is small until its answer is written. Each
// way that a projection runs is bounded: of an answer, of a stream, of a page, and
// of what a held call has kept.
func TestSelectBombs(t *testing.T) {
	bomb := "[.,.]" + strings.Repeat("|[.,.]", 39)
	answer := func(media, body string, header ...string) Result {
		api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			for _, h := range header {
				w.Header().Set("Link", h)
			}
			_, _ = w.Write([]byte(body))
		})
		r := newRig(t, rigOptions{api: api, policy: permitAll})
		return r.Call(t.Context(), caller("alice"), "list_pets", []byte(`{"_select":"`+bomb+`"}`))
	}
	results := map[string]Result{
		"an answer": answer("application/json", `{"a":1}`),
		"a stream":  answer("text/event-stream", "event: x\ndata: {\"a\":1}\n\n"),
		"lines":     answer("application/x-ndjson", "{\"a\":1}\n"),
		"a page":    answer("application/json", `{"a":1,"next":"/pets?limit=9"}`, `</pets?limit=9>; rel="next"`),
	}
	r := newRig(t, rigOptions{})
	r.run(t)
	held := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope
	update := r.Call(t.Context(), caller("alice"), "update_pet", []byte(`{"petId":2,"body":{"name":"Mia","species":"cat","status":"available"}}`)).Envelope
	for _, handle := range []string{held.Handle, update.Handle} {
		if err := r.decideHold(t, handle, true, ""); err != nil {
			t.Fatal(err)
		}
		r.wait(t, handle)
	}
	results["a held call"] = r.Resume(t.Context(), caller("alice"), update.Handle, 0, bomb)
	for name, res := range results {
		if e := res.Envelope; e.Response != nil || !strings.Contains(e.Note, "_select gives more than") && !strings.Contains(e.Note, "_select takes too long") || len(res.JSON()) > 64<<10 {
			t.Errorf("%s: %d bytes, %s", name, len(res.JSON()), e.Note)
		}
	}
}
