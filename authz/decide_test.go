package authz

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/google/go-cmp/cmp"
)

const pet42 = `{"petId": 42}`

// The traps of cedar-go that were found by trying (authorization of an agent
// must not depend on them).
func TestTraps(t *testing.T) {
	t.Run("a forbid that errors does not let the call through", func(t *testing.T) {
		text := `@id("all") permit (principal, action in Action::"call_tool", resource);
			@id("boom") forbid (principal, action in Action::"call_tool", resource) when { context.usage.day * 9223372036854775807 > 1 };`
		r := ask(t, "get_pet", pet42)
		r.Usage.Day = 2
		e := engine(t, text)
		// This is what Cedar itself says of it.
		a := e.byUID[actionUID("petstore", "get_pet")]
		req, context, ents, err := cedarForm(e, a, r)
		if err != nil {
			t.Fatal(err)
		}
		req.Context = types.NewRecord(context)
		if outcome, diag := cedar.Authorize(a.candidates, ents, req); outcome != cedar.Allow || len(diag.Errors) != 1 {
			t.Fatalf("Cedar says %v %v now: this guard may be outdated", outcome, diag)
		}
		d := e.Decide(r)
		if d.Outcome != Deny || !cmp.Equal(d.Policies, []string{"boom"}) || len(d.Errors) != 1 || strings.Contains(d.Reason, "overflow") {
			t.Errorf("%+v", d)
		}
	})
	t.Run("a permit that errors denies what another permits", func(t *testing.T) {
		r := ask(t, "get_pet", pet42)
		r.Usage.Day = 2
		d := engine(t, `@id("all") permit (principal, action in Action::"call_tool", resource);
			@id("boom") permit (principal, action in Action::"call_tool", resource) when { context.usage.day * 9223372036854775807 > 1 };`).Decide(r)
		if d.Outcome != Deny || d.Remediation != RemedyNone {
			t.Errorf("%+v", d)
		}
	})
	t.Run("arguments never become entities", func(t *testing.T) {
		api := API{Name: "petstore", Actions: []Action{{Name: "give", Effect: "write", Path: "/give", Input: json.RawMessage(`{"type":"object","properties":{
			"owner":{"type":"object","properties":{"__entity":{"type":"object","properties":{"type":{"type":"string"},"id":{"type":"string"}}},"name":{"type":"string"}}},
			"to":{"type":"string"}}}`)}}}
		e, err := New([]API{api}, []PolicyFile{{Name: "t", Text: []byte(`permit (principal, action == Petstore::Action::"give", resource)
			when { context.input has owner && context.input.owner has "__entity" && context.input.owner["__entity"] has type && context.input.owner["__entity"].type == "User" };`)}})
		if err != nil {
			t.Fatal(err)
		}
		r := Query{API: "petstore", Action: "give", Principal: alice(), Now: noon, Path: "/give",
			Input: input(t, `{"owner":{"__entity":{"type":"User","id":"admin"}},"to":"x"}`)}
		if d := e.Decide(r); d.Outcome != Allow {
			t.Errorf("the record did not stay a record: %+v", d)
		}
		r.Input = input(t, `{"to":{"__entity":{"type":"User","id":"admin"}}}`)
		if d := e.Decide(r); d.Outcome != Deny || d.Remediation != RemedyArgs {
			t.Errorf("an object in place of a string: %+v", d)
		}
		r.Input = input(t, `{"to":{"__extn":{"fn":"ip","arg":"127.0.0.1"}}}`)
		if d := e.Decide(r); d.Outcome != Deny {
			t.Errorf("an extension in place of a string: %+v", d)
		}
	})
	t.Run("deciding policies are sorted, every time", func(t *testing.T) {
		var text strings.Builder
		for _, id := range []string{"e", "b", "a", "d", "c"} {
			text.WriteString(`@id("` + id + `") permit (principal, action in Action::"call_tool", resource);` + "\n")
		}
		e := engine(t, text.String())
		for range 20 {
			if d := e.Decide(ask(t, "get_pet", pet42)); strings.Join(d.Policies, "") != "abcde" || d.Reason != "allowed by policies a, b, c, d, e" {
				t.Fatalf("%+v", d)
			}
		}
	})
	t.Run("default deny says so", func(t *testing.T) {
		d := engine(t, `permit (principal == User::"bob", action in Action::"call_tool", resource);`).Decide(ask(t, "get_pet", pet42))
		if d.Outcome != Deny || d.Reason != "no policy permits this call" || d.Policies == nil {
			t.Errorf("%+v", d)
		}
	})
	t.Run("a forbid that no approval lifts names itself", func(t *testing.T) {
		d := engine(t, DefaultPolicy+`@id("never") forbid (principal, action in Action::"delete", resource);`).Decide(ask(t, "delete_pet", pet42))
		if d.Outcome != Deny || d.Reason != "forbidden by policy never" {
			t.Errorf("%+v", d)
		}
	})
}

// What cannot be judged is refused, with the place and without the value, if a
// policy asks for it; what is not as the schema says is refused at once.
func TestArgumentsThatCannotBeJudged(t *testing.T) {
	e := engine(t, `permit (principal, action in Action::"call_tool", resource);`)
	asks := engine(t, `@id("asks") permit (principal, action == Petstore::Action::"create_pet", resource) when { context.input.body == context.input.body };`)
	for args, pointer := range map[string]string{
		`{"body":{"name":"x","price":1e400}}`:                             "/body/price ",
		`{"body":{"name":"x","price":0.12345}}`:                           "/body/price ",
		`{"body":{"name":"x","price":922337203685477.5808}}`:              "/body/price ",
		`{"body":{"name":"x","price":1` + strings.Repeat("0", 100) + `}}`: "/body/price ",
		`{"body":{"name":"x","tags":["a",1]}}`:                            "/body/tags ",
		`{"body":{"name":"x","born":"secret"}}`:                           "/body/born ",
		`{"body":null}`:                                                   "/body ",
		`{"body":{"name":null}}`:                                          "/body/name ",
		`{"body":{"name":"x","owner":"secret"}}`:                          "/body/owner ",
	} {
		r := ask(t, "create_pet", args)
		if d := e.Decide(r); d.Outcome != Allow {
			t.Errorf("%s: nobody asks for it: %+v", args, d)
		}
		for range 2 {
			d := asks.Decide(r)
			if d.Outcome != Deny || d.Remediation != RemedyArgs || !strings.Contains(d.Reason, "policy asks asks about an argument that policies cannot compare: "+pointer) ||
				strings.Contains(d.Reason, "secret") {
				t.Errorf("%s: %s, remediation %s: %s", args, d.Outcome, d.Remediation, d.Reason)
			}
			r = approved(r, true) // an approval changes nothing
		}
	}
	for args, pointer := range map[string]string{`{"body":{}}`: "/body/name ", `{}`: "/body "} {
		if d := e.Decide(ask(t, "create_pet", args)); d.Outcome != Deny || d.Remediation != RemedyArgs || !strings.Contains(d.Reason, "the argument "+pointer) {
			t.Errorf("%s: %+v", args, d)
		}
	}
	r := ask(t, "get_pet", `{"a~b/c": 1, "petId": 1}`)
	if d := e.Decide(r); d.Outcome != Allow {
		t.Errorf("an argument that the schema does not type: %+v", d)
	}
}

func TestPaths(t *testing.T) {
	tests := []struct {
		scope, path string
		want        Outcome
	}{
		{`resource == Petstore::Path::"/pets/42"`, "/pets/42", Allow},
		{`resource == Petstore::Path::"/pets/42"`, "/pets/42/", Allow},
		{`resource == Petstore::Path::"/pets/42"`, "/pets/420", Deny},
		{`resource == Petstore::Path::"/pets/42"`, "/pets/42/toys", Deny},
		{`resource in Petstore::Path::"/pets/42"`, "/pets/42/toys/1", Allow},
		{`resource in Petstore::Path::"/pets"`, "/pets", Allow},
		{`resource in Petstore::Path::"/pets"`, "/petshop/1", Deny},
		{`resource in Petstore::Path::"/pets"`, "//pets", Deny},
		{`resource in Petstore::Path::"/pets"`, "/pets%2F42", Deny},
		{`resource == Petstore::Path::"/"`, "/", Allow},
		{`resource in Petstore::Path::"/"`, "/pets/42", Allow},
		{`resource in Api::"petstore"`, "/", Allow},
		{`resource in Api::"petstore"`, "//pets", Allow},
		{`resource`, "pets", Deny},
		{`resource`, "", Deny},
		{`resource`, strings.Repeat("/a", maxPath), Allow},
		{`resource`, strings.Repeat("/a", maxPath+1), Deny},
	}
	for _, tt := range tests {
		r := ask(t, "get_pet", pet42)
		r.Path = tt.path
		if d := engine(t, `@not_yet("any path") permit (principal, action in Action::"call_tool", `+tt.scope+`);`).Decide(r); d.Outcome != tt.want {
			t.Errorf("%s for %.30q: %s (%v), want %s", tt.scope, tt.path, d.Outcome, d.Errors, tt.want)
		}
	}
}

func TestAgentAndSession(t *testing.T) {
	e := engine(t, `@id("a") permit (principal, action == Petstore::Action::"get_pet", resource) when {
		context.agent == Agent::"claude-code" && context.agent.client like "claude*" && context.agent.verified &&
		context.session.transport == "http" && context.session.labels.contains("read:mail") && context.session.id == "s9" };`)
	r := ask(t, "get_pet", pet42)
	r.Agent = Agent{ID: "claude-code", Verified: true}
	r.Session = Session{ID: "s9", Transport: "http", Labels: []string{"read:mail"}}
	if d := e.Decide(r); d.Outcome != Allow {
		t.Errorf("%+v", d)
	}
	r.Agent.Verified = false
	if d := e.Decide(r); d.Outcome != Deny {
		t.Errorf("unverified: %+v", d)
	}
}

func TestBudget(t *testing.T) {
	e := engine(t, `@id("few") permit (principal, action in Petstore::Action::"tag:pets", resource) when { context.usage.hour < 2 };
		@id("read") permit (principal, action == Petstore::Action::"get_pet", resource);`)
	r := ask(t, "delete_pet", pet42)
	for hour, want := range []Outcome{Allow, Allow, Deny} {
		r.Usage.Hour = int64(hour)
		if d := e.Decide(r); d.Outcome != want {
			t.Errorf("after %d calls: %s, want %s", hour, d.Outcome, want)
		}
	}
	only := engine(t, `permit (principal, action == Petstore::Action::"get_pet", resource); permit (principal, action == Petstore::Action::"delete_pet", resource) when { context.usage.day < 1 };`)
	for tool, want := range map[string]bool{"get_pet": false, "delete_pet": true, "none": false} {
		if got, _ := only.ReadsUsage("petstore", tool); got != want {
			t.Errorf("%s uses usage: %t, want %t", tool, got, want)
		}
	}
	if n := only.Policies(); n != 2 {
		t.Errorf("%d policies", n)
	}
}

// Two APIs have the same words without getting in each other's way.
func TestTwoAPIs(t *testing.T) {
	other := pets()
	other.Name = "other_store"
	e, err := New([]API{pets(), other}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, api := range []string{"petstore", "other_store"} {
		r := ask(t, "get_pet", pet42)
		r.API = api
		if d := e.Decide(r); d.Outcome != Allow {
			t.Errorf("%s read: %+v", api, d)
		}
		r.Action = "delete_pet"
		if d := e.Decide(r); d.Outcome != Hold {
			t.Errorf("%s delete: %+v", api, d)
		}
	}
	e, err = New([]API{pets(), other}, []PolicyFile{{Name: "t", Text: []byte(`permit (principal, action in Action::"read", resource in Api::"petstore");`)}})
	if err != nil {
		t.Fatal(err)
	}
	r := ask(t, "get_pet", pet42)
	if d := e.Decide(r); d.Outcome != Allow {
		t.Errorf("%+v", d)
	}
	r.API = "other_store"
	if d := e.Decide(r); d.Outcome != Deny || e.Visible(r.API, r.Action, r.Principal, r.Agent, r.Session, r.Now) {
		t.Errorf("%+v", d)
	}
}

func TestApprovals(t *testing.T) {
	bobs := approved(ask(t, "delete_pet", pet42), true)
	bobs.Approval.By = Principal{Type: "User", ID: "bob", Groups: []string{"leads"}}
	workload := approved(ask(t, "delete_pet", pet42), true)
	workload.Approval.By.Type = "Workload"
	nobody := approved(ask(t, "delete_pet", pet42), true)
	nobody.Approval.By.ID = ""
	hardware := approved(ask(t, "delete_pet", pet42), false)
	hardware.Approval.AMR, hardware.Approval.PhishingResistant = []string{"hwk", "user"}, true
	byLead := `permit (principal, action in Action::"delete", resource) when { context has approval && context.approval.by in Group::"leads" };`
	strong := `permit (principal, action in Action::"delete", resource) when { context has approval && context.approval.phishing_resistant && context.approval.amr.contains("hwk") };`
	tests := []struct {
		name, policy string
		request      Query
		want         Outcome
	}{
		{"by a lead", byLead, bobs, Allow},
		{"not by a lead", byLead, approved(ask(t, "delete_pet", pet42), true), Deny},
		{"with the proof", strong, hardware, Allow},
		{"without the proof", strong, bobs, Deny},
		{"by a workload", "", workload, Deny},
		{"by nobody", "", nobody, Deny},
		{"an approval never leads to another hold", `permit (principal, action in Action::"delete", resource) when { context has approval && context.approval.once };`, hardware, Deny},
	}
	for _, tt := range tests {
		if d := engine(t, tt.policy).Decide(tt.request); d.Outcome != tt.want {
			t.Errorf("%s: %s (%s %v), want %s", tt.name, d.Outcome, d.Reason, d.Errors, tt.want)
		}
	}
}

func TestMayApproveDoubts(t *testing.T) {
	facts := HoldFacts{ID: "h", API: "petstore", Action: "delete_pet", Effect: "delete", Requester: alice(), Agent: Agent{ID: "x"},
		Approval: ApprovalContext{By: alice(), Once: true, At: noon, Expires: noon.Add(time.Hour)}, Now: noon}
	boom := `permit (principal, action == Action::"approve", resource);
		@id("boom") forbid (principal, action == Action::"approve", resource) when { context.now.toTime() < duration("1h") && 9223372036854775807 + (if principal.roles.contains("x") then 2 else 1) > 1 };`
	midnight := facts
	midnight.Now = noon.Add(12 * time.Hour)
	if d := engine(t, boom).MayApprove(midnight); d.Outcome != Deny || !cmp.Equal(d.Policies, []string{"boom"}) || len(d.Errors) == 0 {
		t.Errorf("an error: %+v", d)
	}
	if d := engine(t, boom).MayApprove(facts); d.Outcome != Allow {
		t.Errorf("%+v", d)
	}
	// A workload named as a user is not that user.
	machine := facts
	machine.Requester = Principal{Type: "Workload", ID: "alice"}
	if d := engine(t, "").MayApprove(machine); d.Outcome != Deny {
		t.Errorf("alice decides for a workload of her name: %+v", d)
	}
	nobody := facts
	nobody.Requester.ID = ""
	if d := engine(t, "").MayApprove(nobody); d.Outcome != Deny || len(d.Errors) == 0 {
		t.Errorf("a hold of nobody: %+v", d)
	}
	nobody = facts
	nobody.Approval.By.ID = ""
	if d := engine(t, "").MayApprove(nobody); d.Outcome != Deny {
		t.Errorf("nobody approves: %+v", d)
	}
	onlyGrants := engine(t, `permit (principal, action == Action::"approve", resource) when { context.approval.once || resource.effect != "delete" };`)
	grant := facts
	grant.Approval.Once = false
	if a, b := onlyGrants.MayApprove(facts).Outcome, onlyGrants.MayApprove(grant).Outcome; a != Allow || b != Deny {
		t.Errorf("once %s, grant %s", a, b)
	}
}

// What is remembered of one caller is never used for another.
func TestVisibleKeepsCallersApart(t *testing.T) {
	e := engine(t, `permit (principal in Group::"keepers", action == Petstore::Action::"get_pet", resource);
		permit (principal, action == Petstore::Action::"delete_pet", resource) when { principal.roles.contains("admin") && context.agent.verified };
		permit (principal, action == Petstore::Action::"create_pet", resource) when { context.session.labels.contains("x") };`)
	admin := Principal{Type: "User", ID: "alice", Roles: []string{"admin"}}
	see := func(tool string, p Principal, a Agent, s Session) bool {
		return e.Visible("petstore", tool, p, a, s, noon)
	}
	check := func() {
		tests := []struct {
			tool string
			p    Principal
			a    Agent
			s    Session
			want bool
		}{
			{"get_pet", alice(), Agent{}, Session{}, true},
			{"get_pet", admin, Agent{}, Session{}, false},
			{"delete_pet", admin, Agent{Verified: true}, Session{}, true},
			{"delete_pet", admin, Agent{}, Session{}, false},
			{"delete_pet", alice(), Agent{Verified: true}, Session{}, false},
			{"create_pet", alice(), Agent{}, Session{Labels: []string{"x"}}, true},
			{"create_pet", alice(), Agent{}, Session{}, false},
			{"get_pet", Principal{Type: "Group", ID: "keepers"}, Agent{}, Session{}, false},
		}
		for _, tt := range tests {
			if got := see(tt.tool, tt.p, tt.a, tt.s); got != tt.want {
				t.Errorf("%s for %+v %+v %+v: %t", tt.tool, tt.p, tt.a, tt.s, got)
			}
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				check()
			}
		})
	}
	wg.Wait()
	// A caller's own list may change under it.
	p := Principal{Type: "User", ID: "carol", Groups: []string{"keepers"}}
	if !see("get_pet", p, Agent{}, Session{}) {
		t.Error("a keeper does not see it")
	}
	p.Groups[0] = "guests"
	if see("get_pet", p, Agent{}, Session{}) {
		t.Error("the old group was remembered")
	}
}
