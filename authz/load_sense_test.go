package authz

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func bank() API {
	return API{Name: "bank", Actions: []Action{
		{Name: "pay", Effect: "write", Path: "/accounts/{id}/payments", Input: json.RawMessage(`{"type":"object","required":["id","body"],"properties":{"id":{"type":"string"},
			"body":{"type":"object","required":["to"],"properties":{"to":{"type":"string"},"amount":{"type":"number"},"meta":{},
				"status":{"type":"string","enum":["active","closed"]},"tags":{"type":"array","items":{"enum":["a","b"]}},"level":{"type":"integer","enum":[1,2,30]}}}}}`)},
		{Name: "report", Effect: "read", Path: "/admin/reports/{name}.{ext}"},
	}}
}

// What can be true for no tool in a policy's scope is an error with its place and
// what was probably meant: a forbid would quietly forbid nothing.
func TestSenselessPolicies(t *testing.T) {
	const pay = `action == Bank::Action::"pay"`
	for _, tt := range []struct {
		action, resource, condition string
		want                        string // "" is taken
	}{
		{pay, "resource", `context.input.body has amount && context.input.body.amount.greaterThan(decimal("1.0"))`, ""},
		{pay, "resource", `context.input.body has amuont && context.input.body.amuont.greaterThan(decimal("1.0"))`,
			`context.input.body never has "amuont" for any tool that this policy is about, so the condition decides nothing; did you mean amount?`},
		{pay, "resource", `context.input.body has amount && !(context.input.body has amuont)`, "did you mean amount?"},
		{pay, "resource", `context.input has "body" && context.input has boddy`, "did you mean body?"},
		{pay, "resource", `context has aproval`, "did you mean approval?"},
		{pay, "resource", `context has approval && context.approval has onse`, "did you mean once?"},
		{pay, "resource", `principal has emial && principal.emial == "x"`, "did you mean email?"},
		{pay, "resource", `context.agent has verifed`, "did you mean verified?"},
		{pay, "resource", `context.input.body has meta`, "the document has it, but policies cannot ask about it"},
		{`action in Action::"call_tool"`, "resource", `context.input has body`, ""}, // pay has it
		{`action in Action::"call_tool"`, "resource", `context.input has bodi`, "did you mean body?"},
		{`action in Action::"read"`, "resource", `context.input has body`, `never has "body"`},

		{pay, `resource in Bank::Path::"/acounts"`, "", "no operation has the path /acounts; did you mean /accounts?"},
		{pay, `resource in Bank::Path::"/accounts/7"`, "", ""},
		{pay, `resource == Bank::Path::"/accounts/7/payments"`, "", ""},
		{pay, `resource in Bank::Path::"/accounts/my%2facc"`, "", "no operation has the path /accounts/my%2facc; paths are compared as they are sent: write /accounts/my%2Facc"},
		{pay, `resource in Bank::Path::"/accounts/my acc"`, "", "write /accounts/my%20acc"},
		{pay, `resource == Bank::Path::"/accounts/ann@example.com/payments"`, "", "write /accounts/ann%40example.com/payments"},
		{pay, `resource == Bank::Path::"/accounts/7"`, "", "no operation has the path /accounts/7"},
		{"action", `resource in Bank::Path::"/admn"`, "", "no operation has the path /admn; did you mean /admin?"},
		{`action in Action::"call_tool"`, `resource in Bank::Path::"/admin/reports/x.pdf"`, "", ""},
		{`action in Action::"call_tool"`, `resource in Bank::Path::"/admin/reports/x"`, "", "no operation has the path"},
		{`action in Action::"call_tool"`, `resource in Bank::Path::"/admin/"`, "", "no operation has the path /admin/"},
		{`action in Action::"call_tool"`, `resource in Api::"bnak"`, "", `did you mean Api::"bank"?`},
		{`action in Action::"call_tool"`, "resource", `resource in Bank::Path::"/admn"`, "did you mean /admin?"},
		{`action in Action::"call_tool"`, "resource", `resource == Bank::Path::"/admn"`, "did you mean /admin?"},
		{`action in Action::"call_tool"`, "resource", `resource in [Bank::Path::"/admin", Bank::Path::"/admn"]`, "did you mean /admin?"},
		{pay, `resource in Bank::Path::"/admin"`, "", "no call of any tool in its scope can meet this policy"},

		{pay, "resource", `context.input.body has status && context.input.body.status == "closed"`, ""},
		{pay, "resource", `context.input.body has status && context.input.body.status == "clsoed"`, `context.input.body.status is never "clsoed"; did you mean "closed"?`},
		{pay, "resource", `context.input.body has status && context.input.body.status != "clsoed"`, `did you mean "closed"?`},
		{pay, "resource", `context.input.body has status && ["active", "open"].contains(context.input.body.status)`, `is never "open"; it is one of active, closed`},
		{pay, "resource", `context.input.body has tags && context.input.body.tags.contains("c")`, `is never "c"`},
		{pay, "resource", `context.input.body.to == "anybody"`, ""},
		{pay, "resource", `context.input.body has status && context.input.body.status like "clsoed"`, `context.input.body.status is never like "clsoed"; did you mean "closed"?`},
		{pay, "resource", `context.input.body has status && context.input.body.status like "clsd*"`, `is never like "clsd*"; it is one of active, closed`},
		{pay, "resource", `context.input.body has status && context.input.body.status like "clos*"`, ""},
		{pay, "resource", `context.input.body.to like "clos*"`, ""},
		{pay, "resource", `context.session.transport like "htp*"`, "is never like"},
		{pay, "resource", `context.input.body has status && [context.input.body.status].contains("clsoed")`, `did you mean "closed"?`},
		{pay, "resource", `context.input.body has status && ["clsoed"].containsAny([context.input.body.status, "x"])`, `did you mean "closed"?`},
		{pay, "resource", `context.input.body has tags && context.input.body.tags.containsAny(["a", "c"])`, `is never "c"`},
		{pay, "resource", `context.input.body has tags && ["b", "c"].containsAll(context.input.body.tags)`, `is never "c"`},
		{pay, "resource", `context.input.body has tags && context.input.body.tags.containsAll(["a", "b"])`, ""},

		{pay, "resource", `principal is Usr || context.input.id == "x"`, "principal is never of the type Usr; did you mean User?"},
		{pay, "resource", `principal is Agent || context.input.id == "x"`, "principal is never of the type Agent; it is User or Workload"},
		{pay, "resource", `principal is Usr in Group::"x" || context.input.id == "x"`, "did you mean User?"},
		{pay, "resource", `principal is Workload in Group::"nobody-knows" && principal in [Group::"a", Group::"b"]`, ""},
		{pay, "resource", `[User::"a", User::"b"].contains(principal)`, `write: principal in [User::"a", User::"b"]`},
		{pay, "resource", `principal in [User::"a", User::"b"]`, ""},
		{pay, "resource", `principal == Group::"x" || context.input.id == "x"`, `principal is never Group::"x"`},
		{pay, "resource", `principal in Api::"bank" || context.input.id == "x"`, `principal is never in Api::"bank"`},
		{pay, "resource", `principal in User::"x" && principal != User::"y"`, ""},
		{pay, "resource", `context.agent in Group::"x" || context.input.id == "x"`, `context.agent is never in Group::"x"; it is Agent`},
		{pay, "resource", `context.agent == Agent::"x" && context has approval && context.approval.by is Workload`, ""},
		{pay, "resource", `resource is Bank::Pth || context.input.id == "x"`, "did you mean Bank::Path?"},
		{pay, "resource", `resource is Hold || context.input.id == "x"`, "resource is never of the type Hold"},
		{pay, "resource", `resource == Api::"bank" || context.input.id == "x"`, `resource is never Api::"bank"`},
		{pay, "resource", `resource in Api::"bank" && resource is Bank::Path in Bank::Path::"/accounts"`, ""},
		{"action", "resource", `resource is Hold && resource.requester in Group::"x" && resource.agent == Agent::"y"`, ""},
		{`action == Action::"approve"`, "resource", `resource.agent in Group::"x" || principal == resource.requester`, "resource.agent is never in"},
		{pay, "resource", `principal.hasTag("x") || context.input.id == "x"`, "nothing has tags"},
		{`action in Action::"call_tool"`, "resource", `action == Bank::Action::"pya" || context.agent.verified`, "did you mean Bank::Action::\"pay\"?"},
		{`action in Action::"call_tool"`, "resource", `action == Bank::Action::"pya"`, "did you mean Bank::Action::\"pay\"?"},
		{`action in Action::"call_tool"`, "resource", `action in [Action::"read", Action::"wriet"]`, "did you mean Action::\"write\"?"},
		{`action in Action::"call_tool"`, "resource", `action in [Action::"write", Action::"delete"] || action == Bank::Action::"report"`, ""},

		{pay, "resource", `context.session.transport == "htp"`, `did you mean "http"?`},
		{pay, "resource", `context.input.body has level && context.input.body.level == 4`, "context.input.body.level is never 4; it is one of 1, 2, 30"},
		{pay, "resource", `context.input.body has level && [1, 3].contains(context.input.body.level)`, "context.input.body.level is never 3"},
		{pay, "resource", `context.input.body has level && (context.input.body.level == 30 || context.input.body.level > 30)`, ""},
		{pay, "resource", `context.input.body.to == "x" && false`, "no call of any tool in its scope can meet this policy"},
		{`action == Action::"approve"`, "resource", `resource.effect == "destroy"`, "is never"},
		{`action == Action::"approve"`, "resource", `resource has requestor`, "did you mean requester?"},
	} {
		when := ""
		if tt.condition != "" {
			when = "\n  when { " + tt.condition + " }"
		}
		for _, effect := range []string{"permit", "forbid"} {
			text := "// status amuont\n@id(\"p\")\n" + effect + " (principal, " + tt.action + ", " + tt.resource + ")" + when + ";"
			_, err := New([]API{bank()}, []PolicyFile{{Name: "p.cedar", Text: []byte(text)}})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s\n%v, want %q", text, err, tt.want)
			}
			if _, err := New([]API{bank()}, []PolicyFile{{Name: "p.cedar", Text: []byte(`@not_yet("a test") ` + text)}}); err != nil && !strings.Contains(tt.condition, ".amuont") && !strings.Contains(tt.condition, ".emial") && !strings.Contains(tt.want, "Action") && !strings.Contains(tt.want, "write: ") {
				t.Errorf("marked: %v", err)
			}
		}
	}
}

// The place is where the word stands, and not where the policy begins, a comment
// or a text says it.
func TestPlaceOfProblems(t *testing.T) {
	for text, want := range map[string]string{
		"@id(\"p\") // amuont\nforbid (principal, action == Bank::Action::\"pay\", resource)\nwhen {\n  \"é\" == \"é\" && context.input.body has amuont };":            "4:40",
		"permit (principal, action in Action::\"call_tool\", resource);\n  forbid (principal, action in Action::\"call_tool\",\n\tresource in Bank::Path::\"/admn\");": "3:26",
		"forbid (principal, action == Bank::Action::\"pay\", resource) when {\n context.input.body has \"amuont\" };":                                                  "2:25",
	} {
		_, err := New([]API{bank()}, []PolicyFile{{Name: "p", Text: []byte(text)}})
		if want != "" && (err == nil || !strings.Contains(err.Error(), fmt.Sprintf("p:%s: ", want))) {
			t.Errorf("%s\n%v, want it at %s", text, err, want)
		}
	}
}

func TestTouches(t *testing.T) {
	e, err := New([]API{bank()}, []PolicyFile{{Name: "p", Text: []byte(`@id("all") permit (principal, action, resource);
@id("none") forbid (principal, action in Action::"delete", resource);
@id("admin") forbid (principal, action in Action::"call_tool", resource in Bank::Path::"/admin");
@id("by-condition") forbid (principal, action in Action::"call_tool", resource) when { action in Action::"write" };`)}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range e.Touches() {
		got = append(got, fmt.Sprintf("%s %v %t", x.ID, x.Tools, x.Approve))
	}
	want := `all [bank.pay bank.report] true; none [] false; admin [bank.report] false; by-condition [bank.pay] false`
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	if w := strings.Join(e.Warnings(), "\n"); !strings.Contains(w, "policy none (p:2) touches no operation") || strings.Contains(w, "policy admin") {
		t.Error(w)
	}
}

// A comparison of money as if it were an integer says how it is written, and where.
func TestDecimalHint(t *testing.T) {
	for _, condition := range []string{
		`context.input.body.amount > 100`,
		`100 <= context.input.body.amount`,
		`context.input.body.amount < decimal("100.0")`,
		`context.input.body.amount == 100`,
		`context.input.body.amount.greaterThan(100)`,
	} {
		_, err := New([]API{bank()}, []PolicyFile{{Name: "p", Text: []byte("forbid (principal, action == Bank::Action::\"pay\", resource)\nwhen {\n  context.input.body has amount &&\n  " + condition + "\n};")}})
		want := `write: context.input.body.amount.greaterThan(decimal("100.0"))`
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "p:4:") {
			t.Errorf("%s: %v, want %s", condition, err, want)
		}
	}
}

// What is wrong with an annotation is where it stands.
func TestPlaceOfAnnotations(t *testing.T) {
	for _, tt := range []struct{ annotation, want string }{
		{`@redact("a")`, `p:4:9: @redact: "a" is not a JSON Pointer`},
		{`@redact("/a,b\n")`, `p:4:9: @redact: `},
		{`@token_ttl("2h")`, `p:4:12: @token_ttl: `},
		{`@redcat("/a")`, `p:4:9: @redcat: there is no such annotation; did you mean @redact?`},
		{`@exeat_x("/a")`, `p:4:10: @exeat_x: there is no such annotation`},
		{`@not_yet("")`, `p:4:10: @not_yet: `},
		{`@not_yet`, `p:4:2: @not_yet: `},
		{`@grant_max("x") @id("other")`, `p:4:12: @grant_max: `},
		{`@description("redact") @redact("x/y")`, `p:4:32: @redact: `},
	} {
		text := "@id(\"first\") permit (principal, action in Action::\"call_tool\", resource);\n\n// @redact(\"a\")\n" + tt.annotation + "\npermit (principal, action in Action::\"call_tool\", resource) when { \"redact\" == \"redact\" };"
		_, err := New([]API{bank()}, []PolicyFile{{Name: "p", Text: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.annotation, err, tt.want)
		}
	}
	_, err := New([]API{bank()}, []PolicyFile{{Name: "p", Text: []byte("@id(\"a\")\npermit (principal, action in Action::\"call_tool\", resource);\n@description(\"x\")\n@id(\"a\")\npermit (principal, action in Action::\"call_tool\", resource);\n@id(\"\") permit (principal, action in Action::\"call_tool\", resource);")}})
	for _, want := range []string{`p:4:5: the id "a" is taken by the policy at p:1`, `p:6:5: @id: an id has 1 to 100 characters`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// The place of a comparison of different types is that of the attribute, however
// many others the policy has.
func TestPlaceOfTypes(t *testing.T) {
	for condition, want := range map[string]string{
		`context.input.body.to == 3`:                                        `p:2:28: the types Long and String are not compatible`,
		`context.input.id == "x" && context.input.body.to in ["a"]`:         `p:2:55: unexpected type: expected an entity or a set of them but saw Set<String>; in asks about entities; whether a text is one of several: ["a", "b"].contains(context.input.x)`,
		`context.input.id like "x" && context.input.id.contains("x")`:       `p:2:23: unexpected type: expected a set but saw String`,
		`context.input.id == "x" && context.now > "2026-01-01"`:             `p:2:44: unexpected type: expected datetime, or duration, or Long but saw String; a text has no order`,
		`context.usage.day < 3 && context.usage.minute == context.input.id`: `p:2:48: the types Long and String are not compatible`,
		`if context.input.id then true else false`:                          `p:2:26: unexpected type: expected Bool but saw String`,
	} {
		_, err := New([]API{bank()}, []PolicyFile{{Name: "p", Text: []byte("forbid (principal, action == Bank::Action::\"pay\", resource) when {\n        " + condition + "\n};")}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", condition, err, want)
		}
	}
}
