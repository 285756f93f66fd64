package inbox

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// severalOf are calls of one shape with different arguments.
func (w *world) severalOf(n int) (list []store.Hold) {
	for i := range n {
		h := callOf(alice, "claude", "a", "delete_pet", i)
		h.Args = []byte(fmt.Sprintf(`{"id":%d,"why":"old"}`, i))
		h.Dedupe = rand.Text()
		w.Pass(time.Millisecond)
		list = append(list, w.open(h))
	}
	return list
}

func together(s *site, verdict string, list ...store.Hold) url.Values {
	form := url.Values{"csrf": {s.csrf}, "verdict": {verdict}, "sure": {"yes"}}
	for _, h := range list {
		form.Add("hold", h.ID+" "+h.Digest)
	}
	return form
}

func (w *world) states(list ...store.Hold) string {
	var out []string
	for _, h := range list {
		out = append(out, string(w.Stored(h.ID).State))
	}
	return strings.Join(out, " ")
}

// The page shows each call in full and marks what differs; what comes after it
// was made is not decided by it.
func TestSeveral(t *testing.T) {
	for _, tt := range []struct{ verdict, state string }{{"approve", "approved"}, {"deny", "denied"}} {
		t.Run(tt.verdict, func(t *testing.T) {
			s := newSite(t)
			s.login()
			list := s.severalOf(3)
			other := s.open(callOf(alice, "claude", "a", "add_pet", 1))
			page := s.get("/several?like=" + list[1].ID)
			if page.status != http.StatusOK || strings.Count(page.body, "The exact request") != 3 || strings.Count(page.body, ">differs<") != 3 || strings.Contains(page.body, "add_pet") {
				t.Fatal(page.status, page.body)
			}
			var form url.Values = url.Values{"csrf": {s.csrf}, "verdict": {tt.verdict}, "sure": {"yes"}}
			whole, _, _ := strings.Cut(page.body, `class="deny"`)
			for _, m := range regexp.MustCompile(`name="hold" value="([^"]+)"`).FindAllStringSubmatch(whole, -1) {
				form.Add("hold", m[1])
			}
			late := s.severalOf(1)[0]
			a := s.post("/several", form)
			if got := s.states(append(list, late, other)...); a.status != http.StatusOK || got != strings.Repeat(tt.state+" ", 3)+"pending pending" {
				t.Errorf("%d: %s", a.status, got)
			}
			// Posted again, it decides nothing again and says so.
			entries := len(s.Entries())
			if a := s.post("/several", form); a.status != http.StatusOK || strings.Count(a.body, "came late") != 3 || len(s.Entries()) != entries {
				t.Errorf("again: %d %s", a.status, a.body)
			}
		})
	}
}

// One that is not to be decided stops no other, and is told.
func TestSeveralEachForItself(t *testing.T) {
	s := newSite(t)
	s.login()
	list := s.severalOf(4)
	theirs := s.open(callOf(bob, "claude", "a", "delete_pet", 9))
	s.want(s.post("/h/"+list[0].ID, s.form(list[0], "deny")), 303, "")
	list[1].Digest = "sha-256=:other:"
	s.SQL("UPDATE holds SET bulk = replace(CAST(bulk AS TEXT), '\"id\":2', '\"id\":7') WHERE id = ?", list[2].ID)
	unknown := store.Hold{ID: "hold_aaaaaaaaaaaaaaaaaaaaaaaaaa", Digest: "x"}
	a := s.post("/several", together(s, "approve", append(list, theirs, unknown)...))
	if got := s.states(list[0], list[1], list[3], theirs); a.status != http.StatusOK || got != "denied pending approved pending" {
		t.Errorf("%d: %s\n%s", a.status, got, a.body)
	}
	for text, n := range map[string]int{"came late": 1, "is not this request": 1, "no such held call": 2, "It is about to be sent": 1, theirs.ID: 0} {
		if strings.Count(a.body, text) != n {
			t.Errorf("%q is not there %d times: %s", text, n, a.body)
		}
	}
	// A signature by somebody who has no passkey is none.
	if _, err := s.Service.Decide(t.Context(), s.as(approval.Person{Principal: alice}), approval.Verdict{Approve: true, Together: []approval.Shown{{ID: list[1].ID, Digest: s.Stored(list[1].ID).Digest}},
		Signed: &approval.Signed{Origin: s.inbox.c.URL, Until: s.Clock().Add(time.Minute), Answer: json.RawMessage(`{"id":"x"}`)}}); !errors.Is(err, approval.ErrPasskey) || s.states(list[1]) != "pending" {
		t.Errorf("%v: %s", err, s.states(list[1]))
	}
	for name, form := range map[string]url.Values{
		"none": together(s, "approve"), "twice": together(s, "approve", list[3], list[3]), "no verdict": together(s, "", list[1]),
		"too many": together(s, "deny", make([]store.Hold, approval.MaxSeveral+1)...), "another form": {"verdict": {"deny"}, "hold": {list[1].ID + " " + list[1].Digest}},
	} {
		if a := s.post("/several", form); a.status < 400 {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	for _, id := range []string{theirs.ID, unknown.ID, list[0].ID, "", "%3Cscript%3E"} {
		s.want(s.get("/several?like="+id), 404, "no such held call")
	}
}

// Not more are shown, and so decided, than somebody can read.
func TestSeveralIsBounded(t *testing.T) {
	s := newSite(t)
	s.login()
	list := s.severalOf(approval.MaxSeveral + 3)
	page := s.get("/several?like=" + list[0].ID).body
	if strings.Count(page, "The exact request") != approval.MaxSeveral || !strings.Contains(page, "3 more wait") {
		t.Error(page)
	}
	s = newSite(t)
	s.login()
	for i := range 3 {
		h := callOf(alice, "claude", "a", "delete_pet", i)
		h.Request.Body = []byte(strings.Repeat("x", maxSeveralBytes/2))
		list = append(list, s.open(h))
	}
	if page := s.get("/several?like=" + list[len(list)-1].ID).body; strings.Count(page, "The exact request") != 1 || !strings.Contains(page, "2 more wait") {
		t.Errorf("%d bytes", len(page))
	}
}

// A passkey signs the whole list, and its signature counts for each of them and
// for nothing else.
func TestSeveralWithAPasskey(t *testing.T) {
	s, ctx := keyed(t)
	s.enrol(ctx)
	list := s.severalOf(2)
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/several?like="+list[0].ID), meansIt, chromedp.Click(`form.approve button`), chromedp.WaitVisible(`//h1[text()="What became of them"]`))
	if got := s.states(list...); got != "approved approved" {
		t.Fatal(got)
	}
	for range list {
		if _, err := s.Claim(t.Context(), []string{list[0].API}, anyHold, "us", time.Minute); err != nil {
			t.Errorf("claim: %v", err)
		}
	}
	pins, err := s.Pins(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	if err := s.DB.Entries(t.Context(), 0, func(e store.Entry) error {
		signed, err := approval.CheckEntry(e, pins)
		if err != nil {
			t.Error(err)
		}
		if signed {
			checked++
			if e.Digest = "x"; true {
				if _, err := approval.CheckEntry(e, pins); err == nil {
					t.Error("it stands for another request")
				}
			}
		}
		return nil
	}); err != nil || checked != 2 {
		t.Errorf("%d signed entries, %v", checked, err)
	}
	// What signed these signs no others, and nothing goes without.
	more := s.severalOf(2)
	shown := []approval.Shown{{ID: more[0].ID, Digest: more[0].Digest}, {ID: more[1].ID, Digest: more[1].Digest}}
	who := approval.Person{Principal: alice, AMR: []string{"otp"}}
	if _, err := s.Service.Decide(t.Context(), s.as(who), approval.Verdict{Approve: true, Together: shown}); !errors.Is(err, approval.ErrNeedPasskey) {
		t.Errorf("without a passkey: %v", err)
	}
	var old approval.Signed
	if a := s.Stored(list[0].ID).Approval; a == nil || json.Unmarshal(a.Signed, &old) != nil {
		t.Fatal("no signature")
	}
	if _, err := s.Service.Decide(t.Context(), s.as(who), approval.Verdict{Approve: true, Together: shown, Signed: &old}); !errors.Is(err, approval.ErrPasskey) {
		t.Errorf("with the signature of others: %v", err)
	}
	if _, err := s.Decide(t.Context(), who, more[0].ID, approval.Verdict{Approve: true, Digest: more[0].Digest, Signed: &old}); !errors.Is(err, approval.ErrPasskey) {
		t.Errorf("one, with the signature of others: %v", err)
	}
	if got := s.states(more...); got != "pending pending" {
		t.Error(got)
	}
}
