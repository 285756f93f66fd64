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
				"status":{"type":"string","enum":["active","closed"]},"tags":{"type":"array","items":{"enum":["a","b"]}}}}}}`)},
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
		{pay, "resource", `context.session.transport == "htp"`, `did you mean "http"?`},
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
			if _, err := New([]API{bank()}, []PolicyFile{{Name: "p.cedar", Text: []byte(`@not_yet("a test") ` + text)}}); err != nil && !strings.Contains(tt.condition, ".amuont") && !strings.Contains(tt.condition, ".emial") {
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
