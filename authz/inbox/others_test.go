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

// One thing has several spellings, and what is within a thing goes with it.
func TestHoldsOnNearThings(t *testing.T) {
	at := func(method, effect, path string) func(*store.Hold) {
		return func(h *store.Hold) {
			h.Request.Method, h.Request.Path, h.Request.Target, h.Effect, h.Summary = method, path, path, effect, method+" "+path+": Something"
		}
	}
	for name, c := range map[string]struct {
		method, effect, path string
		relation             string // as the other one is to DELETE /shops/s%20t/pets/1
		near                 bool
	}{
		"the same":                  {"PATCH", "write", "/shops/s%20t/pets/1", "", true},
		"a slash at its end":        {"DELETE", "delete", "/shops/s%20t/pets/1/", "", true},
		"another spelling":          {"PUT", "write", "/shops/%73%20t/pets/1", "", true},
		"deletes what holds it":     {"DELETE", "delete", "/shops/s%20t", "above", true},
		"writes what holds it":      {"PATCH", "write", "/shops/s%20t", "", false},
		"is within it":              {"POST", "write", "/shops/s%20t/pets/1/tags", "below", true},
		"a new one beside it":       {"POST", "write", "/shops/s%20t/pets", "", false},
		"reads it":                  {"GET", "read", "/shops/s%20t/pets/1", "", false},
		"begins alike":              {"DELETE", "delete", "/shops/s%20t/pets/10", "", false},
		"another thing, by a slash": {"DELETE", "delete", "/shops/s%20t/pets%2F1", "", false},
		"deletes all there is":      {"DELETE", "delete", "/", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t).login()
			held := s.change("k1", at("DELETE", "delete", "/shops/s%20t/pets/1"))
			other := s.change("k2", at(c.method, c.effect, c.path))
			page := s.get("/h/" + held.ID).body
			if near := strings.Contains(page, other.ID); near != c.near {
				t.Errorf("%s %s is told of: %t", c.method, c.path, near)
			}
			var view struct {
				Others []approval.Other `json:"others"`
			}
			if err := json.Unmarshal([]byte(s.get("/api/holds/"+held.ID).body), &view); err != nil {
				t.Fatal(err)
			}
			if got := len(view.Others); got > 0 != c.near || got > 0 && view.Others[0].Relation != c.relation {
				t.Errorf("%+v, want %q", view.Others, c.relation)
			}
			if told := strings.Contains(page, "deletes what this one is within"); told != (c.relation == "above") {
				t.Errorf("the page says that the other one deletes this: %t", told)
			}
			if spoils := strings.Contains(page, "this one will not be sent as it is"); spoils != (c.near && c.relation != "below") {
				t.Errorf("the page says that this one will be spoilt: %t", spoils)
			}
			if c.near && other.Effect == held.Effect { // others are not decided together with it
				s.want(s.get("/several?like="+held.ID), 200, "Some of them are on the same thing")
			}
		})
	}
}
