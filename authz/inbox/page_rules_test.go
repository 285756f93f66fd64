package inbox

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

func (s *site) choice(h store.Hold, kind string, more ...string) url.Values {
	f := url.Values{"csrf": {s.csrf}, "digest": {h.Digest}, "kind": {kind}, "reach": {approval.ReachExact}, "args": {approval.ArgsSame}, "for": {"20m0s"}, "sure": {"yes"}}
	for i := 0; i < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return f
}

// From the page of a held call to a grant, and to the page that revokes it.
func TestGrantPages(t *testing.T) {
	s := newSite(t).login()
	old := s.open(call(alice, "k0"))
	h := s.open(call(alice, "k1"))
	s.want(s.get("/h/"+h.ID), 200, `href="/h/`+h.ID+`/grant?kind=grant"`)
	form := s.get("/h/" + h.ID + "/grant?kind=grant")
	s.want(form, 200, "Which paths?")
	if body := form.body; strings.Contains(body, "method=\"post\" action=\"/h/") || !strings.Contains(body, `value="exact" checked`) || !strings.Contains(body, `value="same" checked`) {
		t.Errorf("the first step:\n%s", body)
	}
	if strings.Contains(form.body, `value="1h0m0s"`) {
		t.Error("an hour is offered where the policies take 20 minutes")
	}
	shown := s.get("/h/" + h.ID + "/grant?" + s.choice(h, approval.KindGrant).Encode())
	s.want(shown, 200, "1 of the last 1")
	s.want(shown, 200, `resource == Petstore::Path::"/pets/42"`)
	if rules, err := s.Rules(t.Context(), s.as(approval.Person{Principal: alice})); err != nil || len(rules) != 0 {
		t.Fatalf("to look at it gave %v, %v", rules, err)
	}
	a := s.post("/h/"+h.ID+"/grant", s.choice(h, approval.KindGrant))
	if a.status != http.StatusSeeOther {
		t.Fatalf("giving it: %d\n%s", a.status, a.body)
	}
	s.want(s.get("/h/"+h.ID), 200, "Approved.")
	s.want(s.get("/h/"+old.ID), 200, "Your decision")
	rules, err := s.Rules(t.Context(), s.as(approval.Person{Principal: alice}))
	if err != nil || len(rules) != 1 {
		t.Fatal(rules, err)
	}
	page := s.get("/permissions")
	s.want(page, 200, "used 0 times")
	s.want(page, 200, "unverified name")
	// A second time, it is settled.
	s.want(s.post("/h/"+h.ID+"/grant", s.choice(h, approval.KindGrant)), 409, "settled before")
	revoke := "/permissions/" + rules[0].ID + "/revoke"
	s.want(s.post(revoke, url.Values{"csrf": {"x"}}), 403, "not from this login")
	if a := s.post(revoke, url.Values{"csrf": {s.csrf}}); a.status != http.StatusSeeOther {
		t.Errorf("revoking it: %d\n%s", a.status, a.body)
	}
	if strings.Contains(s.get("/permissions").body, rules[0].ID) {
		t.Error("it is still listed")
	}
}

// Whatever a form says that the page did not offer is refused.
func TestGrantForms(t *testing.T) {
	s := newSite(t, `@id("w") @grant_max("5m") permit (principal, action == Petstore::Action::"delete_pet", resource) when { context has approval };
		@id("d") permit (principal, action == Action::"approve", resource);`).login()
	h := s.open(call(alice, "k1"))
	for _, tt := range []struct {
		name   string
		form   url.Values
		status int
	}{
		{"longer than @grant_max", s.choice(h, approval.KindGrant, "for", "6m"), 422},
		{"for ever", s.choice(h, approval.KindGrant, "for", "9999999h"), 422},
		{"less than nothing", s.choice(h, approval.KindGrant, "for", "-5m"), 422},
		{"another digest", s.choice(h, approval.KindGrant, "for", "1m", "digest", strings.Repeat("0", 64)), 409},
		{"no digest", s.choice(h, approval.KindGrant, "for", "1m", "digest", ""), 409},
		{"a stop", s.choice(h, approval.KindStop, "for", "1m"), 422},
		{"a path that is not above", s.choice(h, approval.KindGrant, "for", "1m", "reach", approval.ReachBelow, "top", "9"), 422},
		{"a path in words", s.choice(h, approval.KindGrant, "for", "1m", "reach", approval.ReachBelow, "top", "/"), 422},
		{"an argument that is not there", s.choice(h, approval.KindGrant, "for", "1m", "args", approval.ArgsSome, "keep", "7"), 422},
		{"no argument", s.choice(h, approval.KindGrant, "for", "1m", "args", approval.ArgsSome), 422},
		{"no uses", s.choice(h, approval.KindGrant, "for", "1m", "max", "0"), 422},
		{"no token", s.choice(h, approval.KindGrant, "for", "1m", "csrf", ""), 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := s.post("/h/"+h.ID+"/grant", tt.form); a.status != tt.status {
				t.Errorf("got %d, want %d:\n%s", a.status, tt.status, a.body)
			}
		})
	}
	if rules, err := s.RulesInForce(t.Context(), "", ""); err != nil || len(rules) != 0 {
		t.Errorf("there are %v, %v", rules, err)
	}
	if got := s.Stored(h.ID); got.State != store.Pending {
		t.Errorf("the hold is %s", got.State)
	}
	s.want(s.get("/h/"+h.ID+"/grant?kind=grant"), 200, `<option value="5m0s">`)
}

// A denial for a time denies the held call, and a stop ends the others.
func TestDenialAndStopPages(t *testing.T) {
	s := newSite(t).login()
	h, other := s.open(call(alice, "k1")), s.open(call(alice, "k2"))
	if a := s.post("/h/"+h.ID+"/grant", s.choice(h, approval.KindBlock, "for", "1h0m0s", "reason", "not <b>today</b>")); a.status != http.StatusSeeOther {
		t.Fatalf("denying it: %d\n%s", a.status, a.body)
	}
	if got := s.Stored(h.ID); got.State != store.Denied || got.Denial != "not <b>today</b>" {
		t.Errorf("the hold is %s: %q", got.State, got.Denial)
	}
	s.want(s.get("/permissions"), 200, "Ask me again")
	path := "/agents/" + key("claude-desktop")
	s.want(s.post(path+"/stop", url.Values{}), 403, "not from this login")
	if a := s.post(path+"/stop", url.Values{"csrf": {s.csrf}}); a.status != http.StatusSeeOther {
		t.Fatalf("stopping it: %d\n%s", a.status, a.body)
	}
	if got := s.Stored(other.ID); got.State != store.Denied || got.Denial != "a person stopped this agent" {
		t.Errorf("the other hold is %s: %q", got.State, got.Denial)
	}
	s.want(s.get("/permissions"), 200, "Let it go on")
	s.want(s.post("/agents/"+key("nobody")+"/stop", url.Values{"csrf": {s.csrf}}), 404, "no such")
	if a := s.post(path+"/start", url.Values{"csrf": {s.csrf}}); a.status != http.StatusSeeOther {
		t.Fatalf("starting it: %d\n%s", a.status, a.body)
	}
	s.want(s.get("/permissions"), 200, "Stop this agent")
}

// Names and values that an agent chose stay text on the pages of grants, and one
// that was altered says so instead of what it holds.
func TestGrantPagesHostile(t *testing.T) {
	const evil = `"><script>alert(1)</script>` + "\u202e"
	s := newSite(t).login()
	h := call(alice, "k1")
	h.Agent = []byte(`{"id":"\"><script>alert(1)</script>\u202e","verified":false}`)
	h.Args = []byte(`{"x\"><script>alert(1)</script>":"\"><script>alert(1)</script>` + "\u202e" + `"}`)
	h = s.open(h)
	pages := []answer{s.get("/h/" + h.ID + "/grant?kind=grant"), s.get("/h/" + h.ID + "/grant?" + s.choice(h, approval.KindGrant).Encode())}
	if a := s.post("/h/"+h.ID+"/grant", s.choice(h, approval.KindGrant, "seen", readWarning)); a.status != http.StatusSeeOther {
		t.Fatal(a)
	}
	for _, a := range append(pages, s.get("/permissions")) {
		if a.status != 200 || strings.Contains(a.body, "<script>") || strings.Contains(html.UnescapeString(a.body), "\u202e") {
			t.Errorf("%d:\n%s", a.status, a.body)
		}
	}
	s.SQL("UPDATE rules SET ends = ends + 1000000")
	s.want(s.get("/permissions"), 200, "was changed in the database")
	rules, err := s.RulesInForce(t.Context(), "User::alice", evil)
	if err != nil || len(rules) != 1 || !rules[0].Damaged {
		t.Fatal(rules, err)
	}
	if a := s.post("/permissions/"+rules[0].ID+"/revoke", url.Values{"csrf": {s.csrf}}); a.status != http.StatusSeeOther {
		t.Errorf("removing it: %d\n%s", a.status, a.body)
	}
	if rules, err := s.RulesInForce(t.Context(), "", ""); err != nil || len(rules) != 0 {
		t.Errorf("it is still there: %v, %v", rules, err)
	}
}

// A terminal does what the pages do.
func TestGrantsClient(t *testing.T) {
	s := newSite(t)
	c, err := Login(t.Context(), s.inbox.LoginLink())
	if err != nil {
		t.Fatal(err)
	}
	r, _ := s.give(func(o *approval.Offer) { o.For = time.Minute })
	rules, err := c.Rules(t.Context())
	if err != nil || len(rules) != 1 || rules[0].ID != r.ID || rules[0].Told() != r.Told() {
		t.Fatal(rules, err)
	}
	for _, err := range []error{c.Revoke(t.Context(), r.ID), c.Stop(t.Context(), "claude-desktop")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	agents, err := c.Agents(t.Context())
	if err != nil || len(agents) != 1 || !agents[0].Stopped || agents[0].Name != "claude-desktop" {
		t.Fatal(agents, err)
	}
	if err := c.Start(t.Context(), "claude-desktop"); err != nil {
		t.Fatal(err)
	}
	if rules, err := c.Rules(t.Context()); err != nil || len(rules) != 0 {
		t.Error(rules, err)
	}
}

// From the page of a held call to a task, and to the page that shows what was used
// of it. What the form does not offer, nobody can send.
func TestTaskPages(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	s.want(s.get("/h/"+h.ID), 200, `Allow a job…`)
	form := s.get("/h/" + h.ID + "/grant?kind=grant&job=1")
	for _, want := range []string{"What do you call the job?", `name="tool" value="0" checked> delete_pet`, `name="tool" value="1"> delete_*`, `<option value="0">/id</option>`, `value="20" required`} {
		s.want(form, 200, want)
	}
	for _, not := range []string{`value="exact"`, `value="same"`} {
		if strings.Contains(form.body, not) {
			t.Errorf("a job is offered with %s", not)
		}
	}
	chosen := func(more ...string) url.Values {
		return s.choice(h, approval.KindGrant, append([]string{"job", "1", "name", "spring cleaning", "tool", "1", "reach", approval.ReachAny, "args", approval.ArgsAny, "max", "5", "sum", "0", "most", "100"}, more...)...)
	}
	shown := s.get("/h/" + h.ID + "/grant?" + chosen().Encode())
	for _, want := range []string{"spring cleaning", "the tools delete_*", "The tools are: <strong>delete_pet</strong>.", "/id comes to 100 at most", "at most 5 times", `name="tool" value="1"`, `name="most" value="100"`} {
		s.want(shown, 200, want)
	}
	for name, bad := range map[string]url.Values{
		"a tool that is not offered": chosen("tool", "2"),
		"a tool by its name":         chosen("tool", "delete_pet"),
		"no name":                    chosen("name", " "),
		"no maximum":                 chosen("max", ""),
		"a sum of what is no amount": chosen("sum", "7"),
		"no end of the sum":          chosen("most", ""),
	} {
		if a := s.post("/h/"+h.ID+"/grant", bad); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d\n%s", name, a.status, a.body)
		}
	}
	if a := s.post("/h/"+h.ID+"/grant", chosen()); a.status != http.StatusSeeOther {
		t.Fatalf("giving it: %d\n%s", a.status, a.body)
	}
	page := s.get("/permissions")
	s.want(page, 200, "0 of 5 times, which come to 0 of 100")
	s.want(page, 200, "spring cleaning")
}
