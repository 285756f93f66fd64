package inbox

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/store"
)

// payment is a call whose document hides all that matters.
func payment(dedupe string) store.Hold {
	h := call(alice, dedupe)
	h.Args = json.RawMessage(`{"body":{"amount":"99999","to":"mallory"}}`)
	h.Request = store.Request{Method: "POST", Origin: "https://api.example.com", Path: "/payments", Target: "/payments", ContentType: "application/json",
		Body: []byte(`{"amount":"99999","to":"mallory"}`)}
	h.Masked = []string{"/body/amount", "/body/to"}
	return h
}

// approvals are all ways to approve a call. Each returns the HTTP status.
func (s *site) approvals() map[string]func(store.Hold) answer {
	return map[string]func(store.Hold) answer{
		"page": func(h store.Hold) answer { return s.post("/h/"+h.ID, s.form(h, "approve")) },
		"JSON": func(h store.Hold) answer {
			return s.json("/api/holds/"+h.ID+"/decision", `{"approve":true,"digest":"`+h.Digest+`"}`, csrfHeader+": "+s.csrf)
		},
		"several": func(h store.Hold) answer { return s.post("/several", together(s, "approve", h)) },
		"grant":   func(h store.Hold) answer { return s.post("/h/"+h.ID+"/grant", s.choice(h, approval.KindGrant)) },
	}
}

// What a document hides of a call is looked at by whoever approves it, by whatever
// way, and that leaves an entry. What the operator hides is not.
func TestApprovedUnseen(t *testing.T) {
	all := []string{"/body/amount", "/body/to"}
	for name, tt := range map[string]struct {
		waived  []string
		look    func(s *site, h store.Hold)
		allowed bool
	}{
		"not looked at":                     {nil, func(*site, store.Hold) {}, false},
		"looked at with what is hidden":     {nil, func(s *site, h store.Hold) { s.get("/h/" + h.ID) }, false},
		"shown on its page":                 {nil, func(s *site, h store.Hold) { s.get("/h/" + h.ID + "?reveal=1") }, true},
		"shown in a terminal":               {nil, func(s *site, h store.Hold) { s.get("/api/holds/" + h.ID + "?reveal=1") }, true},
		"shown with others":                 {nil, func(s *site, h store.Hold) { s.get("/several?like=" + h.ID + "&reveal=1") }, true},
		"opened by a page of another site":  {nil, func(s *site, h store.Hold) { s.get("/h/"+h.ID+"?reveal=1", "Sec-Fetch-Site: cross-site") }, false},
		"opened by a neighbour":             {nil, func(s *site, h store.Hold) { s.get("/several?like="+h.ID+"&reveal=1", "Sec-Fetch-Site: same-site") }, false},
		"its address was typed":             {nil, func(s *site, h store.Hold) { s.get("/h/"+h.ID+"?reveal=1", "Sec-Fetch-Site: none") }, true},
		"another call was shown":            {nil, func(s *site, _ store.Hold) { s.get("/h/" + s.open(payment("other")).ID + "?reveal=1") }, false},
		"shown, and then a restart":         {nil, func(s *site, h store.Hold) { s.get("/h/" + h.ID + "?reveal=1"); s.restart(nil) }, true},
		"hidden by the operator":            {all, func(*site, store.Hold) {}, true},
		"one of them by the operator":       {all[:1], func(*site, store.Hold) {}, false},
		"all around them by the operator":   {[]string{"/body"}, func(*site, store.Hold) {}, true},
		"a namesake hidden by the operator": {[]string{"/body/amou", "/amount", "/body/to"}, func(*site, store.Hold) {}, false},
	} {
		for way := range (&site{}).approvals() {
			t.Run(name+", by "+way, func(t *testing.T) {
				s := newSite(t).login()
				h := payment("k1")
				h.Waived = tt.waived
				h = s.open(h)
				tt.look(s, h)
				a := s.approvals()[way](h)
				if got := s.Stored(h.ID).State == store.Approved; got != tt.allowed {
					t.Errorf("it is %s: %d %s", s.Stored(h.ID).State, a.status, a.body)
				}
				if !tt.allowed && !strings.Contains(a.body, "hidden values that you have not looked at") {
					t.Errorf("nothing says why: %s", a.body)
				}
			})
		}
	}
}

// Whoever has not looked is led there, and can still deny.
func TestUnseenPage(t *testing.T) {
	s := newSite(t).login()
	h := s.open(payment("k1"))
	for path, link := range map[string]string{"/h/" + h.ID: "/h/" + h.ID + "?reveal=1", "/several?like=" + h.ID: "/several?like=" + h.ID + "&amp;reveal=1"} {
		before := s.get(path)
		if strings.Contains(before.body, `value="approve"`) || !strings.Contains(before.body, link) || strings.Contains(before.body, "99999") {
			t.Errorf("%s: %s", path, before.body)
		}
	}
	s.want(s.get("/api/holds/"+h.ID), 200, `"unseen":true`)
	if got := strings.Join(s.Entries(), " "); strings.Contains(got, "reveal") {
		t.Errorf("entries %s", got)
	}
	after := s.get("/h/" + h.ID + "?reveal=1")
	if !strings.Contains(after.body, `value="approve"`) || !strings.Contains(after.body, "99999") {
		t.Error(after.body)
	}
	if got := s.Entries(); got[len(got)-1] != "reveal User::alice" {
		t.Errorf("entries %v", got)
	}
	other := s.open(payment("k2"))
	s.want(s.post("/h/"+other.ID, s.form(other, "deny")), http.StatusSeeOther, "")
}

// That somebody else has looked is not that the person has.
func TestSomebodyElseLooked(t *testing.T) {
	s := newSite(t, approvaltest.Waits, `permit (principal, action == Action::"approve", resource);`)
	h := s.open(payment("k1"))
	if _, err := s.Show(t.Context(), s.as(approval.Person{Principal: bob}), h.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Decide(t.Context(), approval.Person{Principal: alice}, h.ID, approval.Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, approval.ErrUnseen) {
		t.Errorf("alice: %v", err)
	}
	if _, err := s.Decide(t.Context(), approval.Person{Principal: bob}, h.ID, approval.Verdict{Approve: true, Digest: h.Digest}); err != nil {
		t.Errorf("bob: %v", err)
	}
}
