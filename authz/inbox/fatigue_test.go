package inbox

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// tiring approves n calls, each after having had it before the eyes for a time.
func (s *site) tiring(n int, look time.Duration) (last answer) {
	s.T.Helper()
	for range n {
		h := s.open(call(alice, rand.Text()))
		s.want(s.get("/h/"+h.ID), http.StatusOK, "")
		s.Pass(look)
		last = s.post("/h/"+h.ID, s.form(h, "approve"))
		s.want(last, http.StatusSeeOther, "")
	}
	return last
}

// After a streak of fast approvals, or very many, the next one has to be typed,
// on every way; then it begins anew.
func TestFatigue(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	who := approval.Person{Principal: alice, AMR: []string{"otp"}}
	for name, tt := range map[string]struct {
		before func(s *site)
		tired  bool
	}{
		"rested":               {func(s *site) { s.tiring(4, time.Second) }, false},
		"a fast streak":        {func(s *site) { s.tiring(5, 2*time.Second) }, true},
		"read":                 {func(s *site) { s.tiring(20, 3*time.Second) }, false},
		"one was read":         {func(s *site) { s.tiring(4, time.Second); s.tiring(1, time.Minute); s.tiring(4, time.Second) }, false},
		"very many":            {func(s *site) { s.tiring(30, 5*time.Second) }, true},
		"very many, long ago":  {func(s *site) { s.tiring(30, 5*time.Second); s.Pass(10 * time.Minute) }, false},
		"the clock went back":  {func(s *site) { s.tiring(5, time.Second); s.Pass(-time.Hour) }, true},
		"it went back, slowly": {func(s *site) { s.tiring(30, 5*time.Second); s.Pass(-time.Hour) }, true},
		"without the page": {func(s *site) {
			for range 5 {
				s.approve(s.open(call(alice, rand.Text())))
			}
		}, true},
		"a denial between": {func(s *site) {
			s.tiring(4, time.Second)
			h := s.open(call(alice, rand.Text()))
			s.want(s.post("/h/"+h.ID, s.form(h, "deny")), http.StatusSeeOther, "")
			s.tiring(4, time.Second)
		}, false},
		"after a restart":    {func(s *site) { s.tiring(5, time.Second); s.restart(nil) }, true},
		"another login":      {func(s *site) { s.tiring(5, time.Second); s.login() }, true},
		"typed":              {func(s *site) { s.tiring(5, time.Second); s.typeOne(); s.tiring(4, time.Second) }, false},
		"typed, and a start": {func(s *site) { s.tiring(5, time.Second); s.typeOne(); s.restart(nil) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.restart(func(c *approval.Config) { c.MaxOpen, c.Fatigue = 1000, &approval.Fatigue{} })
			s.login()
			tt.before(s)
			h := s.open(call(alice, rand.Text()))
			page := s.get("/h/" + h.ID).body
			if asks := strings.Contains(page, `name="typed"`); asks != tt.tired {
				t.Errorf("the page asks: %v", asks)
			}
			if !tt.tired {
				s.want(s.post("/h/"+h.ID, s.form(h, "approve")), http.StatusSeeOther, "")
				return
			}
			s.Pass(time.Minute) // reading it does not make up for the others
			for _, typed := range []string{"", "4", "delete_pet", "42 or so"} {
				form := s.form(h, "approve")
				form.Set("typed", typed)
				s.want(s.post("/h/"+h.ID, form), http.StatusForbidden, "approved many calls very fast")
			}
			if _, err := s.Decide(t.Context(), who, h.ID, approval.Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, approval.ErrConfirm) {
				t.Errorf("decide: %v", err)
			}
			if _, err := s.Service.Decide(t.Context(), s.as(who), approval.Verdict{Approve: true, Typed: "42", Together: []approval.Shown{{ID: h.ID, Digest: h.Digest}}}); !errors.Is(err, approval.ErrConfirm) {
				t.Errorf("several: %v", err)
			}
			if _, err := s.Give(t.Context(), who, h, narrow(h), approval.Verdict{}); !errors.Is(err, approval.ErrConfirm) {
				t.Errorf("a grant: %v", err)
			}
			if s.Stored(h.ID).State != store.Pending {
				t.Fatal("it is decided")
			}
			form := s.form(h, "approve")
			form.Set("typed", " 42 ")
			s.want(s.post("/h/"+h.ID, form), http.StatusSeeOther, "")
			s.tiring(1, time.Second)
		})
	}
}

func (s *site) typeOne() {
	s.T.Helper()
	h := s.open(call(alice, rand.Text()))
	form := s.form(h, "approve")
	form.Set("typed", "42")
	s.want(s.post("/h/"+h.ID, form), http.StatusSeeOther, "")
}

// Denying is never made harder, several count for as many, and it can be off.
func TestFatigueIsForApprovals(t *testing.T) {
	s := newSite(t)
	s.restart(func(c *approval.Config) { c.Fatigue = &approval.Fatigue{} })
	s.login()
	list := s.severalOf(5)
	s.want(s.post("/several", together(s, "approve", list...)), http.StatusOK, "")
	next := s.open(call(alice, "next"))
	s.want(s.post("/h/"+next.ID, s.form(next, "approve")), http.StatusForbidden, "approved many calls")
	more := s.severalOf(2)
	form := together(s, "approve", more...)
	s.want(s.post("/several", form), http.StatusForbidden, "approved many calls")
	form.Set("typed", "delete_pet")
	s.want(s.post("/several", form), http.StatusOK, "")
	s.want(s.post("/h/"+next.ID, s.form(next, "deny")), http.StatusSeeOther, "")

	s = newSite(t)
	s.login()
	s.tiring(8, 0)
	var took int64
	if err := s.DB.Entries(t.Context(), 0, func(e store.Entry) error { took = max(took, e.Took); return nil }); err != nil || took != 0 {
		t.Errorf("%d ms, %v", took, err)
	}
	s.tiring(1, 1500*time.Millisecond)
	if err := s.DB.Entries(t.Context(), 0, func(e store.Entry) error { took = max(took, e.Took); return nil }); err != nil || took != 1500 {
		t.Errorf("the log says %d ms, %v", took, err)
	}
	s.want(s.get("/activity"), http.StatusOK, "9 decisions in the last 7 days, 100 % of them approvals. The median time from page to decision is 1.5s; 1 of 1 were very fast.")
}

// What is asked is about the call: a number of it, or else a short text, by turns, and
// the end of its path where it has neither.
func TestQuestion(t *testing.T) {
	for name, tt := range map[string]struct {
		path, args string
		masked     []string
		want       []approval.Question
	}{
		"the path":            {"/pets/42", `{}`, nil, []approval.Question{{Answer: "42"}}},
		"a slash at its end":  {"/pets/42/", ``, nil, []approval.Question{{Answer: "42"}}},
		"no path":             {"/", `{}`, nil, []approval.Question{{Answer: "t"}}},
		"as it is shown":      {"/a%20b", `[]`, nil, []approval.Question{{Answer: "a%20b"}}},
		"an amount":           {"/pay", `{"body":{"to":"mallory","amount":1240.50}}`, nil, []approval.Question{{Field: "body.amount", Answer: "1240.50"}}},
		"an amount as text":   {"/pay", `{"body":{"to":"mallory","amount":"1240.50"}}`, nil, []approval.Question{{Field: "body.amount", Answer: "1240.50"}}},
		"one of two":          {"/pay", `{"amount":7,"to":"mallory","fee":8}`, nil, []approval.Question{{Field: "amount", Answer: "7"}, {Field: "fee", Answer: "8"}}},
		"a text":              {"/pay", `{"to":"mallory","yes":true,"no":null}`, nil, []approval.Question{{Field: "to", Answer: "mallory"}}},
		"hidden":              {"/pay", `{"body":{"to":"mallory","amount":7}}`, []string{"/body/amount"}, []approval.Question{{Field: "body.to", Answer: "mallory"}}},
		"everything hidden":   {"/pay", `{"body":{"amount":7}}`, []string{""}, []approval.Question{{Answer: "pay"}}},
		"all hidden":          {"/pay", `{"body":{"amount":7}}`, []string{"/body"}, []approval.Question{{Answer: "pay"}}},
		"what deceives":       {"/pay", `{"a":"p\u0430y","b":"a ","c":"\u202e","d":"` + strings.Repeat("x", 50) + `","e f":1,"g.h":2,"":3}`, nil, []approval.Question{{Answer: "pay"}}},
		"too deep to be read": {"/pay", `{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}`, nil, []approval.Question{{Answer: "pay"}}},
	} {
		got := map[approval.Question]bool{}
		for i := range 50 {
			got[approval.QuestionOf(store.Hold{ID: fmt.Sprint(i), Tool: "t", Args: json.RawMessage(tt.args), Masked: tt.masked, Request: store.Request{Path: tt.path}})] = true
		}
		want := map[approval.Question]bool{}
		for _, q := range tt.want {
			want[q] = true
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
