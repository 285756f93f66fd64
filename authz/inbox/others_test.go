package inbox

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// change is a call that goes only if what it changes is as it was read.
func (s *site) change(dedupe string, alter func(*store.Hold)) store.Hold {
	h := call(alice, dedupe)
	h.Before = &store.Snapshot{Tool: "get_pet", Digest: "x", Status: 200, At: s.Clock(), Checked: true, Value: json.RawMessage(`{"name":"Mia"}`)}
	if alter != nil {
		alter(&h)
	}
	return s.open(h)
}

// Of two calls on one thing each says that the other is there, when it is opened
// and when it is approved; and once one is sent, the other says so and can be
// asked for anew.
func TestTwoHoldsOnOneThing(t *testing.T) {
	s := newSite(t).login()
	first, second := s.change("k1", nil), s.change("k2", nil)
	for _, h := range []store.Hold{s.change("k3", func(h *store.Hold) { h.Request.Path = "/pets/4"; h.Summary = "DELETE /pets/4" }),
		s.change("k4", func(h *store.Hold) { h.Request.Origin = "https://other.example.com" }),
		s.change("k5", func(h *store.Hold) { h.Effect = "read" }), s.open(call(bob, "k6"))} {
		if strings.Contains(s.get("/h/"+first.ID).body, h.ID) {
			t.Errorf("%s %s%s is not the same thing, or not hers to see", h.Effect, h.Request.Origin, h.Request.Path)
		}
	}
	for _, pair := range [][2]store.Hold{{first, second}, {second, first}} {
		s.want(s.get("/h/"+pair[0].ID), 200, `<a href="/h/`+pair[1].ID+`">`)
		s.want(s.get("/h/"+pair[0].ID), 200, "Once one of them is sent, this one will not be sent as it is")
		s.want(s.get("/api/holds/"+pair[0].ID), 200, `"others":[{"id":"`+pair[1].ID+`"`)
	}
	if page := s.get("/h/" + second.ID).body; strings.Contains(page, "ask again") {
		t.Error("it is to be asked for again though nothing has changed")
	}
	s.want(s.get("/several?like="+first.ID), 200, "Some of them are on the same thing")
	// The first is approved: its page names the second.
	s.want(s.post("/h/"+first.ID, s.form(first, "approve")), 303, "")
	s.want(s.get("/h/"+first.ID), 200, `<a href="/h/`+second.ID+`">`)
	s.want(s.get("/h/"+second.ID), 200, "approved, about to be sent")
	// It is sent: the second says that it is overtaken, and is asked for anew.
	s.Pass(time.Second)
	s.finish(s.claim(), approval.Finish{Result: []byte(`{}`)})
	page := s.get("/h/" + second.ID)
	s.want(page, 200, "was sent after this one was read")
	again := page.body[strings.Index(page.body, `<form class="again"`):]
	_, reason, _ := strings.Cut(again, `name="reason" value="`)
	reason, _, _ = strings.Cut(reason, `"`)
	s.want(s.post("/h/"+second.ID, url.Values{"csrf": {s.csrf}, "digest": {second.Digest}, "verdict": {"deny"}, "reason": {reason}}), 303, "")
	if got := s.Stored(second.ID); got.State != store.Denied || !strings.Contains(got.Denial, "Make the call again: it is then read anew.") {
		t.Errorf("it is %s: %q", got.State, got.Denial)
	}
	// One that was read after that is not overtaken.
	s.Pass(time.Second)
	fresh := s.change("k7", nil)
	if page := s.get("/h/" + fresh.ID).body; strings.Contains(page, first.ID) {
		t.Errorf("it tells of what was sent before it was read: %s", page)
	}
}
