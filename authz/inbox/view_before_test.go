package inbox

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

func heldWith(method, media, was, body string) store.Hold {
	h := call(alice, rand.Text())
	h.Request.Method, h.Request.ContentType, h.Request.Body = method, media, []byte(body)
	h.Before = &store.Snapshot{At: h.Created, Tool: "get_pet", Status: 200, Digest: "x", Value: []byte(was), Checked: true}
	return h
}

// What a person reads of a change, field by field: "name: before -> after", and
// in brackets what stays.
func TestBeforeView(t *testing.T) {
	const was = `{"name":"Mia","fee":60,"tags":["shy"],"owner":{"name":"Ann","zip":1}}`
	for name, tt := range map[string]struct {
		h    store.Hold
		want string
	}{
		"delete":            {heldWith("DELETE", "", was, ""), "fee: 60 -> ; name: Mia -> ; owner.name: Ann -> ; owner.zip: 1 -> ; tags[0]: shy -> ; []"},
		"put":               {heldWith("PUT", "application/json", was, `{"name":"Rex","fee":60,"age":2}`), "age:  -> 2; name: Mia -> Rex; owner.name: Ann -> ; owner.zip: 1 -> ; tags[0]: shy -> ; [fee]"},
		"merge patch":       {heldWith("PATCH", "application/merge-patch+json", was, `{"fee":null,"owner":{"zip":2},"tags":["old","shy"]}`), "fee: 60 -> ; owner.zip: 1 -> 2; tags[0]: shy -> old; tags[1]:  -> shy; [name owner.name]"},
		"patch":             {heldWith("PATCH", "application/json; charset=utf-8", was, `{"name":"Rex"}`), "name: Mia -> Rex; [fee owner.name owner.zip tags[0]] guess"},
		"json patch":        {heldWith("PATCH", "application/json-patch+json", was, `[{"op":"replace","path":"/name","value":"Rex"},{"op":"remove","path":"/owner/zip"},{"op":"move","from":"/fee","path":"/price"}]`), "replace /name: Mia -> Rex; remove /owner/zip: 1 -> ; move /price:  -> what is at /fee; []"},
		"no json patch":     {heldWith("PATCH", "application/json-patch+json", was, `{}`), "[fee name owner.name owner.zip tags[0]]"},
		"another kind":      {heldWith("PUT", "application/json", was, `{"fee":"60"}`), "fee: 60 -> 60; name: Mia -> ; owner.name: Ann -> ; owner.zip: 1 -> ; tags[0]: shy -> ; []"},
		"every digit":       {heldWith("PUT", "application/json", `{"n":9007199254740993}`, `{"n":9007199254740992}`), "n: 9007199254740993 -> 9007199254740992; []"},
		"wrapped":           {heldWith("PUT", "application/json", `{"data":{"name":"Mia"}}`, `{"name":"Rex"}`), "[data.name]"},
		"a form":            {heldWith("PUT", "application/x-www-form-urlencoded", was, `name=Rex`), "[fee name owner.name owner.zip tags[0]]"},
		"an action":         {heldWith("POST", "application/json", `{"state":"open"}`, `{"state":"x"}`), "[state]"},
		"no JSON to delete": {heldWith("DELETE", "", `"a text"`, ""), ": a text -> ; []"},
	} {
		t.Run(name, func(t *testing.T) {
			v := beforeView(tt.h)
			var parts []string
			say := func(s *string) string {
				if s == nil {
					return ""
				}
				return *s
			}
			for _, c := range v.Changes {
				parts = append(parts, c.Name+": "+say(c.Was)+" -> "+say(c.Is))
			}
			var same []string
			for _, c := range v.Same {
				same = append(same, c.Name)
			}
			got := strings.Join(append(parts, "["+strings.Join(same, " ")+"]"), "; ")
			if v.Guess {
				got += " guess"
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	hiding := heldWith("PUT", "application/json", `{"name":"Mia"}`, `{"name":"Mia","ssn":"1"}`)
	hiding.Before.Hidden = []string{"/ssn"}
	if v := beforeView(hiding); len(v.Changes) != 1 || *v.Changes[0].Was != "hidden by a policy" {
		t.Errorf("%+v", v)
	}
}

// The page shows it, as foreign text, and what had changed if it was not sent.
func TestBeforeOnThePage(t *testing.T) {
	s := newSite(t)
	s.login()
	h := heldWith("PUT", "application/json", `{"name":"<script>Mia\u202e","fee":60}`, `{"name":"Rex","fee":60}`)
	h = s.open(h)
	page := s.get("/h/" + h.ID)
	s.want(page, http.StatusOK, "Before and after")
	for _, part := range []string{"&lt;script&gt;Mia", "⟨U+202E⟩", "Rex", "What stays as it is: 1", "sent only if this is still so"} {
		if !strings.Contains(page.body, part) {
			t.Errorf("the page has no %q", part)
		}
	}
	if found := foreign(page.body); len(found) > 0 {
		t.Errorf("the page holds %q", found)
	}
	if _, err := s.Decide(t.Context(), approval.Person{Principal: alice}, h.ID, approval.Verdict{Approve: true, Digest: h.Digest}); err != nil {
		t.Fatal(err)
	}
	claimed, err := s.Claim(t.Context(), []string{h.API}, anyHold, "us", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	after := store.Snapshot{At: h.Created, Status: 200, Digest: "y", Value: []byte(`{"name":"Tom","fee":60}`)}
	if _, err := s.Finish(t.Context(), claimed, approval.Refuse{After: &after}, entryOf(h, store.KindRefuse)); err != nil {
		t.Fatal(err)
	}
	s.want(s.get("/h/"+h.ID), http.StatusOK, "this had changed. So it was not sent")
	s.want(s.get("/h/"+h.ID), http.StatusOK, "Tom")
	// Nobody changes what it was afterwards either.
	s.SQL("UPDATE holds SET changing = replace(CAST(changing AS TEXT), 'Tom', 'Mia')")
	s.want(s.get("/h/"+h.ID), http.StatusConflict, "")
}

// A patch whose every operation names the whole document shows it a few times
// only, and says what it leaves out.
func TestBeforeOfAPatchIsBounded(t *testing.T) {
	was := `{"text":"` + strings.Repeat("x", 250<<10) + `"}`
	v := beforeView(heldWith("PATCH", "application/json-patch+json", was, "["+strings.Repeat(`{"op":"test","path":""},`, 900)+`{"op":"remove","path":"/text"}]`))
	size := 0
	for _, s := range v.texts() {
		size += len(*s)
	}
	last := v.Changes[len(v.Changes)-1]
	if size > 2*maxWas || last.Was == nil || !strings.Contains(*last.Was, "left out") {
		t.Errorf("%d bytes", size)
	}
}
