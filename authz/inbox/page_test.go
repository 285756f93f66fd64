package inbox

import (
	"bytes"
	"encoding/json"
	"html"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/store"
)

func TestDecidePages(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	s.want(s.get("/"), 200, "DELETE /pets/42: Delete a pet")
	page := s.get("/h/" + h.ID)
	for _, want := range []string{"DELETE /pets/42: Delete a pet", "https://api.example.com/pets/42?force=true", "claude-desktop", "unverified name",
		"writes-wait-for-a-person", "a person has to approve this call", "stdio s1", "<span>01234567</span>", "Approve once", "60 min</b> left"} {
		s.want(page, 200, want)
	}
	if n := strings.Count(page.body, `value="`+h.Digest+`"`); n != 2 {
		t.Errorf("%d forms carry the digest", n)
	}

	wrong := s.form(h, "approve")
	wrong.Set("digest", strings.Repeat("f", 64))
	s.want(s.post("/h/"+h.ID, wrong), 409, "is not this request")
	s.want(s.post("/h/"+h.ID, s.form(h, "")), 400, "not complete")
	a := s.post("/h/"+h.ID, s.form(h, "approve"))
	if a.status != 303 || a.header.Get("Location") != "/h/"+h.ID {
		t.Fatalf("approve: %d %s", a.status, a.body)
	}
	s.want(s.get("/h/"+h.ID), 200, "It is about to be sent")
	s.want(s.post("/h/"+h.ID, s.form(h, "approve")), 409, "came late and changed nothing")
	s.want(s.post("/h/"+h.ID, s.form(h, "deny")), 409, "Approved.")
	s.want(s.get("/"), 200, "Nothing waits for you")

	other := s.open(call(alice, "k2"))
	form := s.form(other, "deny")
	form.Set("reason", strings.Repeat("x", 501))
	s.want(s.post("/h/"+other.ID, form), 422, "at most 500")
	form.Set("reason", "not on\r\nFridays ")
	s.want(s.post("/h/"+other.ID, form), 303, "")
	s.want(s.get("/h/"+other.ID), 200, "The agent was told: ")
	if got := s.Stored(other.ID).Denial; got != "not on\nFridays" {
		t.Errorf("the reason is %q", got)
	}

	late := s.open(call(alice, "k3"))
	s.Pass(idleEnd - time.Second)
	s.get("/")
	s.Pass(idleEnd - time.Second)
	s.get("/")
	s.Pass(time.Minute)
	s.want(s.post("/h/"+late.ID, s.form(late, "approve")), 409, "Nobody decided in time")
	want := []string{"login User::alice", "hold", "approve User::alice", "hold", "deny User::alice", "hold"}
	if d := cmp.Diff(want, s.Entries()); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

// Every state has a page without a form, and says what came of the call.
func TestOutcomes(t *testing.T) {
	s := newSite(t).login()
	finish := func(e approval.Event) string {
		h := s.approve(s.open(call(alice, "k")))
		if _, err := s.Finish(t.Context(), s.claim(), e, store.Entry{Kind: store.KindOutcome}); err != nil {
			t.Fatal(err)
		}
		return h.ID
	}
	check := func(id, text string) {
		t.Helper()
		a := s.get("/h/" + id)
		s.want(a, 200, text)
		if strings.Contains(a.body, `name="verdict"`) {
			t.Error("the page still has a form")
		}
	}
	check(finish(approval.Finish{Result: []byte(`{"envelope":{"status":"done","http_status":204}}`)}), "answered with status 204")
	check(finish(approval.Finish{}), "The API answered.")
	check(finish(approval.Refuse{}), "It was refused when it was checked again")
	check(finish(approval.Lose{}), "It may have been executed")
	check(finish(approval.Lose{Result: []byte(`{"envelope":{"code":"outcome_unknown","lookup":{"found":"it_is_not","reason":"it is <gone>"}}}`)}), "exeat looked afterwards: it is <gone>")
	check(finish(approval.Lose{Result: []byte(`{"envelope":{"code":"outcome_unknown","lookup":{"found":"cannot_tell","reason":"no way"}}}`)}), "It cannot be told whether it was: no way")
	h := s.open(call(alice, "k"))
	if _, err := s.Cancel(t.Context(), asAgent("User::alice"), h.ID); err != nil {
		t.Fatal(err)
	}
	check(h.ID, "The agent withdrew it.")
	h = s.approve(s.open(call(alice, "k")))
	check(h.ID, "about to be sent")
	s.Pass(5 * time.Minute)
	check(h.ID, "not sent in time")
	h = s.approve(s.open(call(alice, "k")))
	s.claim()
	check(h.ID, "being sent")
}

// A hold that is not the person's to see is not found, as one that never was.
func TestNotFoundLooksTheSame(t *testing.T) {
	s := newSite(t).login()
	hidden := s.open(call(bob, "k1"))
	s.want(s.get("/"), 200, "Nothing waits for you")
	never := s.get("/h/hold_" + strings.Repeat("a", 26))
	s.want(never, 404, "no such held call")
	for _, a := range []answer{s.get("/h/" + hidden.ID), s.get("/h/x"), s.get("/h/" + strings.Repeat("y", 3000)), s.post("/h/"+hidden.ID, s.form(hidden, "approve"))} {
		if a.status != never.status || a.body != never.body {
			t.Errorf("%d is not %d:\n%s", a.status, never.status, a.body)
		}
	}
	if got := s.Entries(); got[len(got)-1] != "approve forbidden User::alice" {
		t.Errorf("the attempt was not recorded: %v", got)
	}
}

// Who sees a hold but may not decide it gets no form.
func TestFourEyesPage(t *testing.T) {
	s := newSite(t, approvaltest.Waits, `permit (principal, action == Action::"approve", resource) unless { principal == resource.requester };`).login()
	own, other := s.open(call(alice, "k1")), s.open(call(bob, "k2"))
	if n := strings.Count(s.get("/").body, "somebody else has to decide"); n != 1 {
		t.Errorf("%d of 2 in the list are for somebody else", n)
	}
	a := s.get("/h/" + own.ID)
	s.want(a, 200, "somebody else has to")
	if strings.Contains(a.body, `name="verdict"`) {
		t.Error("the page has a form")
	}
	s.want(s.post("/h/"+own.ID, s.form(own, "approve")), 403, "Your attempt was recorded")
	s.want(s.get("/h/"+other.ID), 200, "Approve once")
}

func TestHostileText(t *testing.T) {
	s := newSite(t).login()
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'{{.CSRF}} שלום ` + "\u202e\u2066\u200b\x1b[2J\x00\u2028"
	quoted, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	h := call(alice, "k1")
	h.Summary, h.API, h.Tool, h.Reason, h.Policies = evil, evil, evil, evil, []string{evil}
	h.Agent = json.RawMessage(`{"id":` + string(quoted) + `,"verified":false}`)
	h.Session = json.RawMessage(`{"id":` + string(quoted) + `,"transport":` + string(quoted) + `}`)
	h.Args = json.RawMessage(`{` + string(quoted) + `:` + string(quoted) + `,"list":[[` + string(quoted) + `]],"n":1e400}`)
	h.Request = store.Request{Method: evil, Origin: "https://" + evil, Target: evil, Path: evil, ContentType: "text/plain" + evil,
		Header: map[string][]string{evil: {evil}}, Body: []byte(evil)}
	h.Effect = evil
	h = s.open(h)
	form := s.form(h, "deny")
	form.Set("reason", evil)
	before := s.get("/h/" + h.ID)
	s.want(before, 200, "invisible or look like others")
	s.want(before, 200, `<bdi class="other">`)
	list := s.get("/")
	s.want(list, 200, "alert(1)")
	s.want(s.post("/h/"+h.ID, form), 303, "")
	for name, a := range map[string]answer{"list": list, "hold": before, "denied": s.get("/h/" + h.ID)} {
		checkHeaders(t, name, a)
		for _, bad := range []string{"<script", "<img", s.csrf + `'`} {
			if strings.Contains(strings.NewReplacer(liveScript, "", pageScript, "").Replace(a.body), bad) {
				t.Errorf("%s: the page holds %q", name, bad)
			}
		}
		for _, r := range a.body {
			if r != '\n' && r != ' ' && hides(r) {
				t.Errorf("%s: the page holds %+q", name, r)
			}
		}
		for _, code := range []string{"⟨U+202E⟩", "⟨U+2066⟩", "⟨U+200B⟩", "⟨U+001B⟩", "⟨U+0000⟩", "⟨U+2028⟩"} {
			if !strings.Contains(html.UnescapeString(a.body), `<span class="code">`+code+`</span>`) {
				t.Errorf("%s: %s is not shown", name, code)
			}
		}
	}
}

func TestLongValuesAreWhole(t *testing.T) {
	s := newSite(t).login()
	h := call(alice, "k1")
	long := strings.Repeat("word ", 100_000) + "the very end"
	h.Args, _ = json.Marshal(map[string]string{"note": long})
	h.Request.ContentType, h.Request.Body = "application/json", h.Args
	a := s.get("/h/" + s.open(h).ID)
	if n := strings.Count(a.body, long); n != 2 {
		t.Errorf("the value is whole %d times", n)
	}
	s.want(a, 200, "500,012 characters")
	binary := call(alice, "k2")
	binary.Request.ContentType, binary.Request.Body = "image/png", bytes.Repeat([]byte{0x89, 'P', 0}, 1000)
	a = s.get("/h/" + s.open(binary).ID)
	s.want(a, 200, "3,000 bytes")
	if strings.Contains(a.body, "iVAAiVAA") {
		t.Error("the page shows base64")
	}
}
