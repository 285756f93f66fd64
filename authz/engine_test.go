package authz

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// pets is an API with one operation of each effect.
func pets() API {
	id := `{"type":"object","properties":{"petId":{"type":"integer"},"force":{"type":"boolean"}},"required":["petId"],"additionalProperties":false}`
	return API{Name: "petstore", Actions: []Action{
		{Name: "get_pet", Effect: "read", Tags: []string{"pets"}, Path: "/pets/{petId}", Input: json.RawMessage(id)},
		{Name: "delete_pet", Effect: "delete", Tags: []string{"pets"}, Path: "/pets/{petId}", Input: json.RawMessage(id)},
		{Name: "create_pet", Effect: "write", Tags: []string{"pets", "admin"}, Path: "/pets", Input: json.RawMessage(`{"type":"object",
			"properties":{"body":{"$ref":"#/$defs/Pet"}},"required":["body"],
			"$defs":{"Pet":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"price":{"type":"number"},
				"tags":{"type":"array","items":{"type":"string"}},"born":{"type":"string","format":"date-time"},
				"note":{"type":["string","null"]},"parent":{"$ref":"#/$defs/Pet"},"meta":{"type":"object"},"any":{},
				"owner":{"type":"object","properties":{"name":{"type":"string"}}}}}}}`)},
	}}
}

func engine(t testing.TB, policies string) *Engine {
	t.Helper()
	var files []PolicyFile
	if policies != "" {
		files = []PolicyFile{{Name: "test.cedar", Text: []byte(policies)}}
	}
	e, err := New([]API{pets()}, files)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// input decodes arguments as openapi.Args does.
func input(t testing.TB, s string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func alice() Principal { return Principal{Type: "User", ID: "alice", Groups: []string{"keepers"}} }

func ask(t testing.TB, tool, args string) Query {
	path := "/pets/42"
	if tool == "create_pet" {
		path = "/pets"
	}
	return Query{API: "petstore", Action: tool, Principal: alice(), Agent: Agent{ID: "claude"},
		Session: Session{ID: "s1", Transport: "stdio"}, Now: noon, Path: path, Input: input(t, args)}
}

// cedarForm is a call as Cedar gets it, with nothing left open.
func cedarForm(e *Engine, a *action, r Query) (cedar.Request, types.RecordMap, entities, error) {
	q, err := e.ask(a, r, e.newCaller)
	if err != nil {
		return cedar.Request{}, nil, entities{}, err
	}
	if len(q.unheld) > 0 {
		return cedar.Request{}, nil, entities{}, errors.New(q.unheld[0].problem)
	}
	return q.Request, q.context, q.ents, nil
}

func approved(r Query, once bool) Query {
	r.Approval = &ApprovalContext{By: alice(), Once: once, At: noon.Add(-time.Minute), Expires: noon.Add(time.Minute), AMR: []string{"pwd"}}
	return r
}

func TestDecide(t *testing.T) {
	const pet = `{"petId": 42}`
	allowAll := `@id("all") permit (principal, action, resource);`
	tests := []struct {
		name     string
		policies string
		request  Query
		want     Outcome
		ids      []string
		remedy   Remediation
	}{
		{"default read", "", ask(t, "get_pet", pet), Allow, []string{"reads"}, RemedyNone},
		{"default delete waits", "", ask(t, "delete_pet", pet), Hold, []string{"writes-wait-for-a-person"}, RemedyApproval},
		{"default create waits", "", ask(t, "create_pet", `{"body":{"name":"x"}}`), Hold, []string{"writes-wait-for-a-person"}, RemedyApproval},
		{"default approved delete", "", approved(ask(t, "delete_pet", pet), true), Allow, []string{"writes-wait-for-a-person"}, RemedyNone},
		{"unknown tool", "", Query{API: "petstore", Action: "nope", Principal: alice(), Path: "/"}, Deny, nil, RemedyNone},
		{"unknown api", "", Query{API: "other", Action: "get_pet", Principal: alice(), Path: "/"}, Deny, nil, RemedyNone},
		{"nothing permits", `@id("x") permit (principal == User::"bob", action, resource);`, ask(t, "get_pet", pet), Deny, nil, RemedyNone},
		{"no approval lifts a forbid", allowAll + `@id("no") forbid (principal, action == Petstore::Action::"delete_pet", resource);`,
			ask(t, "delete_pet", pet), Deny, []string{"no"}, RemedyNone},
		{"a forbid that an approval lifts", allowAll + `@id("ask") forbid (principal, action in Action::"delete", resource) unless { context has approval };`,
			ask(t, "delete_pet", pet), Hold, []string{"ask"}, RemedyApproval},
		{"the argument decides", `@id("own") permit (principal, action in Action::"call_tool", resource) when { context.input has force && context.input.force };`,
			ask(t, "delete_pet", pet), Deny, nil, RemedyArgs},
		{"this row", `@id("row") permit (principal, action, resource == Petstore::Path::"/pets/42");`, ask(t, "delete_pet", pet), Allow, []string{"row"}, RemedyNone},
		{"this subtree", `@id("tree") permit (principal, action, resource in Petstore::Path::"/pets");`, ask(t, "delete_pet", pet), Allow, []string{"tree"}, RemedyNone},
		{"this API", `@id("api") permit (principal, action, resource in Api::"petstore");`, ask(t, "delete_pet", pet), Allow, []string{"api"}, RemedyNone},
		{"another row", `@id("row") permit (principal, action, resource == Petstore::Path::"/pets/43");`, ask(t, "delete_pet", pet), Deny, nil, RemedyArgs},
		{"group", `@id("g") permit (principal in Group::"keepers", action, resource);`, ask(t, "get_pet", pet), Allow, []string{"g"}, RemedyNone},
		{"tag", `@id("t") permit (principal, action in Petstore::Action::"tag:admin", resource);`, ask(t, "create_pet", `{"body":{"name":"x"}}`), Allow, []string{"t"}, RemedyNone},
		{"agent", `@id("a") permit (principal, action in Action::"call_tool", resource) when { context.agent == Agent::"claude" && !context.agent.verified };`, ask(t, "get_pet", pet), Allow, []string{"a"}, RemedyNone},
		{"budget left", `@id("b") permit (principal, action in Action::"call_tool", resource) when { context.usage.day < 3 };`, ask(t, "get_pet", pet), Allow, []string{"b"}, RemedyNone},
		{"erroring forbid denies", allowAll + `@id("boom") forbid (principal, action == Petstore::Action::"get_pet", resource) when { context.input.petId * 9223372036854775807 > 1 };`,
			ask(t, "get_pet", pet), Deny, []string{"boom"}, RemedyNone},
		{"step up", `@id("s") permit (principal, action, resource) when { principal has acr && principal.acr == "phr" };`, ask(t, "get_pet", pet), Deny, nil, RemedyStepUp},
		{"hours", `@id("h") permit (principal, action, resource) when { context.now.toTime() < duration("17h") };`, ask(t, "get_pet", pet), Allow, []string{"h"}, RemedyNone},
		{"typed body", `@id("p") permit (principal, action == Petstore::Action::"create_pet", resource) when { context.input.body has price && context.input.body.price.lessThan(decimal("10.0")) };`,
			ask(t, "create_pet", `{"body":{"name":"x","price":9.99}}`), Allow, []string{"p"}, RemedyNone},
		{"a number that Cedar cannot hold and nobody asks for", allowAll, ask(t, "create_pet", `{"body":{"name":"x","price":0.00001}}`), Allow, []string{"all"}, RemedyNone},
		{"a huge integer that nobody asks for", allowAll, ask(t, "get_pet", `{"petId": 9223372036854775808}`), Allow, []string{"all"}, RemedyNone},
		{"null is left out", `@id("n") permit (principal, action == Petstore::Action::"create_pet", resource) unless { context.input.body has note };`,
			ask(t, "create_pet", `{"body":{"name":"x","note":null}}`), Allow, []string{"n"}, RemedyNone},
		{"entity escapes stay records", `@id("e") permit (principal, action == Petstore::Action::"create_pet", resource) when { context.input.body has owner && context.input.body.owner has name };`,
			ask(t, "create_pet", `{"body":{"name":"x","owner":{"__entity":{"type":"User","id":"admin"}}}}`), Deny, nil, RemedyArgs},
		{"a workload", `@id("w") permit (principal is Workload, action, resource);`, func() Query {
			r := ask(t, "get_pet", pet)
			r.Principal = Principal{Type: "Workload", ID: "ci"}
			return r
		}(), Allow, []string{"w"}, RemedyNone},
		{"a principal of another kind", allowAll, func() Query {
			r := ask(t, "get_pet", pet)
			r.Principal.Type = "Group"
			return r
		}(), Deny, nil, RemedyNone},
		{"an expired approval", "", func() Query {
			r := approved(ask(t, "delete_pet", pet), true)
			r.Approval.Expires = noon
			return r
		}(), Deny, nil, RemedyApproval},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := engine(t, tt.policies).Decide(tt.request)
			if tt.ids == nil {
				tt.ids = []string{}
			}
			if d.Outcome != tt.want || d.Remediation != tt.remedy || !cmp.Equal(d.Policies, tt.ids) {
				t.Errorf("got %s by %v, remediation %s (%s; %v); want %s by %v, %s", d.Outcome, d.Policies, d.Remediation, d.Reason, d.Errors, tt.want, tt.ids, tt.remedy)
			}
			if d.Reason == "" {
				t.Error("no reason")
			}
		})
	}
}

func TestChoices(t *testing.T) {
	tests := []struct {
		policy string
		want   Choices
	}{
		{`permit (principal, action, resource) when { context has approval };`, Choices{true, true}},
		{`permit (principal, action, resource) when { context has approval && context.approval.once };`, Choices{true, false}},
		{`permit (principal, action, resource) when { context has approval && !context.approval.once };`, Choices{false, true}},
		{`permit (principal, action, resource) when { context has approval && context.approval.phishing_resistant };`, Choices{true, true}},
		{`permit (principal, action, resource); forbid (principal, action, resource) unless { context has approval && context.approval.once && context.approval.by != principal };`, Choices{true, false}},
	}
	for _, tt := range tests {
		d := engine(t, tt.policy).Decide(ask(t, "delete_pet", `{"petId":1}`))
		if d.Outcome != Hold || d.Choices != tt.want {
			t.Errorf("%s\n  gives %s %+v, want hold %+v", tt.policy, d.Outcome, d.Choices, tt.want)
		}
	}
}

func TestObligations(t *testing.T) {
	e := engine(t, `@id("a") @token_ttl("20s") @grant_max("1h") @redact("/ssn") permit (principal, action, resource) when { context has approval };
		@id("b") @token_ttl("40s") @grant_max("20m") @redact("/card/number, /ssn") permit (principal, action, resource) when { context has approval };`)
	want := Obligations{TokenTTL: 20 * time.Second, GrantMax: 20 * time.Minute, Redact: []string{"/card/number", "/ssn"}}
	for _, r := range []Query{ask(t, "delete_pet", `{"petId":1}`), approved(ask(t, "delete_pet", `{"petId":1}`), true)} {
		if diff := cmp.Diff(want, e.Decide(r).Obligations); diff != "" {
			t.Error(diff)
		}
	}
}

func TestMayApprove(t *testing.T) {
	facts := HoldFacts{ID: "hold_1", API: "petstore", Action: "delete_pet", Effect: "delete", Requester: alice(), Agent: Agent{ID: "claude"},
		Approval: ApprovalContext{By: alice(), Once: true, At: noon, Expires: noon.Add(time.Hour)}, Now: noon}
	bob := facts
	bob.Approval.By = Principal{Type: "User", ID: "bob"}
	workload := facts
	workload.Approval.By = Principal{Type: "Workload", ID: "alice"}
	eyes := `@id("four-eyes") permit (principal, action == Action::"approve", resource) unless { principal == resource.requester };`
	tests := []struct {
		name, policy string
		facts        HoldFacts
		want         Outcome
	}{
		{"own", "", facts, Allow},
		{"somebody else's", "", bob, Deny},
		{"four eyes, own", eyes, facts, Deny},
		{"four eyes, another", eyes, bob, Allow},
		{"a workload approves nothing", `permit (principal, action, resource);`, workload, Deny},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := engine(t, tt.policy).MayApprove(tt.facts); d.Outcome != tt.want {
				t.Errorf("got %s (%s %v), want %s", d.Outcome, d.Reason, d.Errors, tt.want)
			}
		})
	}
}

func TestVisible(t *testing.T) {
	e := engine(t, `permit (principal in Group::"keepers", action == Petstore::Action::"delete_pet", resource == Petstore::Path::"/pets/7")
			when { context has approval && context.input has force && context.usage.day < 1 };
		permit (principal == User::"bob", action == Petstore::Action::"get_pet", resource);
		permit (principal, action == Petstore::Action::"create_pet", resource);
		forbid (principal, action == Petstore::Action::"create_pet", resource);`)
	for tool, want := range map[string]bool{"delete_pet": true, "get_pet": false, "create_pet": false, "nope": false} {
		if got := e.Visible("petstore", tool, alice(), Agent{ID: "x"}, Session{}, noon); got != want {
			t.Errorf("%s: visible %t, want %t", tool, got, want)
		}
	}
}

func TestLoadProblems(t *testing.T) {
	tests := []struct{ name, policy, want string }{
		{"syntax", "permit (principal, action, resource)\nwhen { true }", "test.cedar:"},
		{"unknown action", `permit (principal, action == Petstore::Action::"delete_pets", resource);`, `did you mean Petstore::Action::"delete_pet"?`},
		{"missing namespace", `permit (principal, action == Action::"delete_pet", resource);`, `Petstore::Action::"delete_pet"`},
		{"unknown attribute", "\n  permit (principal, action == Petstore::Action::\"delete_pet\", resource) when { context.input.petID == 1 };", "test.cedar:2:95: "},
		{"optional without has", `permit (principal, action == Petstore::Action::"delete_pet", resource) when { context.input.force };`, "optional"},
		{"type", `permit (principal, action == Petstore::Action::"delete_pet", resource) when { context.input.petId == "1" };`, "test.cedar:1:93: "},
		{"a scope too wide", `permit (principal, action, resource) when { context.input has force };`, `action in Action::"call_tool"`},
		{"id twice", `@id("a") permit (principal, action, resource); @id("a") permit (principal, action, resource);`, `the id "a" is taken`},
		{"misspelt annotation", `@token_tll("3s") permit (principal, action, resource);`, "@token_ttl"},
		{"ttl too long", `@token_ttl("2m") permit (principal, action, resource);`, "1s to 60s"},
		{"obligation on a forbid", `@token_ttl("3s") forbid (principal, action, resource);`, "only a permit"},
		{"two names after has", `permit (principal, action, resource) when { context has "a"."b" };`, `cannot be parsed: there is . where } was expected`},
		{"pointer", `@redact("ssn") permit (principal, action, resource);`, "JSON Pointer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New([]API{pets()}, []PolicyFile{{Name: "test.cedar", Text: []byte(tt.policy)}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct{ policy, want string }{
		{"", ""},
		{`permit (principal, action, resource);`, "lets everybody approve everything"},
		{`permit (principal, action in Action::"call_tool", resource);`, "what is held can only expire"},
		{`permit (principal, action in Action::"call_tool", resource); permit (principal in Group::"leads", action == Action::"approve", resource);`, ""},
	}
	for _, tt := range tests {
		got := strings.Join(engine(t, tt.policy).Warnings(), "; ")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s\n  warns %q, want %q", tt.policy, got, tt.want)
		}
	}
}
