package inbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// manyFields are arguments that no screen holds.
func manyFields(n int) json.RawMessage {
	fields := map[string]string{}
	for i := range n {
		fields[fmt.Sprintf("field_%04d", i)] = "x"
	}
	b, _ := json.Marshal(map[string]any{"body": fields}) // strings can always be encoded
	return b
}

// What has to be looked at is asked for on the page, an approval without it is refused
// on every page, and the entry says that it was looked at.
func TestUnreadCallIsNotApproved(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(h *store.Hold)
		musts  []string
	}{
		"nothing special":      {func(*store.Hold) {}, nil},
		"as many as fit":       {func(h *store.Hold) { h.Args = manyFields(shownRows) }, nil},
		"one more":             {func(h *store.Hold) { h.Args = manyFields(shownRows + 1) }, []string{readFields}},
		"1,500 fields":         {func(h *store.Hold) { h.Args = manyFields(1500) }, []string{readFields}},
		"characters":           {func(h *store.Hold) { h.Args = json.RawMessage(`{"to":"p\u0430ypal"}`) }, []string{readWarning}},
		"characters elsewhere": {func(h *store.Hold) { h.Says = "\u202etrust me" }, []string{readWarning}},
		"both":                 {func(h *store.Hold) { h.Args = manyFields(20); h.Says = "\u200b" }, []string{readWarning, readFields}},
	} {
		for _, way := range []string{"page", "grant"} {
			s := newSite(t).login()
			h := call(alice, "k")
			h.Effect = "write"
			tt.change(&h)
			h = s.open(h)
			page := s.get("/h/" + h.ID).body
			for _, m := range []string{readWarning, readChanged, readFields} {
				if asks, must := strings.Contains(page, `name="seen" value="`+m+`"`), strings.Contains(strings.Join(tt.musts, " "), m); asks != must {
					t.Errorf("%s: the page asks for %s: %v", name, m, asks)
				}
			}
			approve := func(seen ...string) answer {
				form := s.form(h, "approve")
				if way == "grant" {
					form = s.choice(h, approval.KindGrant)
				}
				form.Del("sure")
				form["seen"] = seen
				return s.post("/h/"+h.ID+map[string]string{"grant": "/grant"}[way], form)
			}
			for i := range tt.musts {
				s.want(approve(append([]string{"other"}, tt.musts[:i]...)...), http.StatusConflict, "have not looked at")
			}
			if s.Stored(h.ID).State != store.Pending {
				t.Fatalf("%s: it is decided", name)
			}
			s.want(approve(append(tt.musts, "and whatever else")...), http.StatusSeeOther, "")
			note := ""
			if err := s.DB.Entries(t.Context(), 0, func(e store.Entry) error {
				if e.Kind == store.KindApprove {
					note = e.Note
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			want := ""
			if tt.musts != nil {
				want = "seen: " + strings.Join(tt.musts, ", ")
			}
			if way == "page" && note != want {
				t.Errorf("%s: the entry says %q, not %q", name, note, want)
			}
		}
	}
}

// A call that deletes is approved by a second motion; to deny it takes none.
func TestSureOfADelete(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k"))
	for path, form := range map[string]map[string][]string{"/h/" + h.ID: s.form(h, "approve"), "/h/" + h.ID + "/grant": s.choice(h, approval.KindGrant)} {
		for _, sure := range []string{"", "no", "1"} {
			form["sure"] = []string{sure}
			s.want(s.post(path, form), http.StatusConflict, "Say that you mean it")
		}
	}
	if s.Stored(h.ID).State != store.Pending {
		t.Fatal("it is decided")
	}
	form := s.form(h, "deny")
	form.Del("sure")
	s.want(s.post("/h/"+h.ID, form), http.StatusSeeOther, "")
}

// What one of several calls needs, all of them need together.
func TestSeveralUnread(t *testing.T) {
	s := newSite(t).login()
	list := s.severalOf(2)
	odd := callOf(alice, "claude", "a", "delete_pet", 99)
	odd.Says = "\u202e"
	list = append(list, s.open(odd))
	s.want(s.get("/several?like="+list[0].ID), http.StatusOK, `name="seen" value="warning"`)
	form := together(s, "approve", list...)
	s.want(s.post("/several", form), http.StatusConflict, "have not looked at")
	form["seen"] = []string{readWarning}
	form.Del("sure")
	s.want(s.post("/several", form), http.StatusConflict, "Say that you mean it")
	if got := s.states(list...); got != "pending pending pending" {
		t.Fatal(got)
	}
	form.Set("sure", "yes")
	s.want(s.post("/several", form), http.StatusOK, "")
	if got := s.states(list...); got != "approved approved approved" {
		t.Error(got)
	}
}
