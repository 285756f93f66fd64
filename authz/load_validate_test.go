package authz

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
	"github.com/google/go-cmp/cmp"
)

func TestEveryProblemInOneError(t *testing.T) {
	_, err := New([]API{pets()}, []PolicyFile{
		{Name: "b.cedar", Text: []byte("permit (principal == ?principal, action, resource);")},
		{Name: "a.cedar", Text: []byte(`@id("x") @token_ttl("9h") @redactt("/a") permit (principal, action == Petstore::Action::"delete_pet", resource);
permit (principal, action == Petstore::Action::"delete_pets", resource);
  permit (principal in Grup::"x", action in Action::"call_tool", resource);
permit (principal, action == Petstore::Action::"delete_pet", resource) when { context.input.petID == 1 };
permit (principal, action == Petstore::Action::"create_pet", resource) when { context.input.body.owner.name == "x" };
permit (principal, action == Action::"approve", resource) when { resource.requestor == principal };
permit (principal, action in Action::"call_tool", resource) when { principal.email == "x" };
permit (principal, action == Action::"read", resource);
permit (principal, action in Action::"call_tool", resource) when { context.sesion.id == "x" };
permit (principal, action in Action::"call_tool", resource) when { principal.rolez.contains("y") };`)},
	})
	var load *LoadError
	if !errors.As(err, &load) {
		t.Fatal(err)
	}
	var got []string
	for _, p := range load.Problems {
		got = append(got, fmt.Sprintf("%s:%d:%d %s | %s", p.File, p.Line, p.Column, p.Message, p.Hint))
	}
	want := []string{
		`a.cedar:1:21 @token_ttl: "9h" is not a time from 1s to 60s, like "30s" | `,
		"a.cedar:1:36 @redactt: there is no such annotation; did you mean @redact? | ",
		"a.cedar:2:48 unrecognized action `Petstore::Action::\"delete_pets\"` | did you mean Petstore::Action::\"delete_pet\"?",
		"a.cedar:3:24 unrecognized entity type `Grup` | did you mean Group?",
		"a.cedar:4:93 attribute `petID` in context for Petstore::Action::\"delete_pet\" not found | did you mean petId?",
		"a.cedar:5:98 unable to guarantee safety of access to optional attribute `input.body.owner` in context for Petstore::Action::\"create_pet\" | it may be absent; write: context.input.body has owner && …",
		"a.cedar:5:104 unable to guarantee safety of access to optional attribute `input.body.owner.name` in context for Petstore::Action::\"create_pet\" | it may be absent; write: context.input.body.owner has name && …",
		"a.cedar:6:75 attribute `requestor` on entity type `Hold` not found | did you mean requester?",
		"a.cedar:7:78 unable to guarantee safety of access to optional attribute `email` on entity type `User` (and 1 more like it) | it may be absent; write: principal has email && …",
		"a.cedar:8:1 unable to find an applicable action given the policy scope constraints | no tool takes this principal, action and resource together; exeat policy schema prints what there is",
		"a.cedar:9:76 attribute `sesion` in context for Petstore::Action::\"create_pet\" not found (and 2 more like it) | did you mean session?",
		"a.cedar:10:78 attribute `rolez` on entity type `User` not found (and 1 more like it) | did you mean roles?",
		"b.cedar:1:23 cannot be parsed: expected ident | templates (?principal, ?resource) are not taken: write the policy out",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnnotations(t *testing.T) {
	tests := []struct {
		text, want string // "" is taken
	}{
		{`@id("a") @description("b") @owner("c") @v("1") @ui("x") @ticket("OPS-1") @reason("x")`, ""},
		{`@token_ttl("1s") @grant_max("720h") @redact("/a~0b~1c, /d")`, ""},
		{`@tokenttl("1s")`, "did you mean @token_ttl?"},
		{`@grantmax("1h")`, "did you mean @grant_max?"},
		{`@redacts("/a")`, "did you mean @redact?"},
		{`@ids("a")`, "did you mean @id?"},
		{`@exeat_budget("1")`, "there is no such annotation; there are @id, "},
		{`@token_ttl("0s")`, "1s to 60s"},
		{`@token_ttl("61s")`, "1s to 60s"},
		{`@token_ttl("30")`, "1s to 60s"},
		{`@grant_max("0s")`, "at least 1s"},
		{`@grant_max("-1h")`, "at least 1s"},
		{`@redact("")`, "JSON Pointer"},
		{`@redact("/a~2")`, "JSON Pointer"},
		{`@redact("/a,b")`, "JSON Pointer"},
		{`@id("")`, "1 to 100 characters"},
	}
	for _, tt := range tests {
		_, err := New([]API{pets()}, []PolicyFile{{Name: "t", Text: []byte(tt.text + ` permit (principal, action in Action::"call_tool", resource);`)}})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}

func TestAPIsThatCannotBe(t *testing.T) {
	act := func(name, effect string) []Action { return []Action{{Name: name, Effect: effect}} }
	tests := []struct {
		name string
		apis []API
		want string
	}{
		{"a name that is none", []API{{Name: "3scale"}}, `"3scale" makes no Cedar namespace`},
		{"no name", []API{{}}, `"" makes no Cedar namespace`},
		{"one namespace twice", []API{{Name: "pet_store"}, {Name: "petStore"}}, `"pet_store" and "petStore" have the same Cedar namespace`},
		{"shadowing", []API{{Name: "p", Actions: act("read", "read")}}, `cannot be named "read"`},
		{"shadowing approve", []API{{Name: "p", Actions: act("approve", "read")}}, `cannot be named "approve"`},
		{"a tag's name", []API{{Name: "p", Actions: act("tag:x", "read")}}, `cannot be named "tag:x"`},
		{"an effect that is none", []API{{Name: "p", Actions: act("x", "maybe")}}, `the effect "maybe"`},
		{"twice", []API{{Name: "p", Actions: append(act("x", "read"), act("x", "read")...)}}, "two actions named x"},
		{"a schema that is none", []API{{Name: "p", Actions: []Action{{Name: "x", Effect: "read", Input: json.RawMessage(`{`)}}}}, "x: input schema"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.apis, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
	if _, err := New(nil, nil); err != nil {
		t.Errorf("the default policy over no API: %v", err)
	}
	reads := API{Name: "reads", Actions: act("x", "read")}
	if _, err := New([]API{reads, pets()}, nil); err != nil {
		t.Errorf("the default policy over two APIs: %v", err)
	}
	if _, err := New([]API{reads}, nil); err != nil {
		t.Errorf("the default policy over an API without writes: %v", err)
	}
}

// varied is an API of n actions whose inputs differ in ways that matter to some
// policies only.
func varied(n int) API {
	api := API{Name: "petstore"}
	for i := range n {
		input := fmt.Sprintf(`{"type":"object","properties":{"p%d":{"type":"integer"},"force":{"type":%q},"if":{"type":"string"},"x-y":{"type":%[2]q}}}`, i, []string{"boolean", "string"}[min(i%10, 1)])
		api.Actions = append(api.Actions, Action{Name: fmt.Sprintf("op_%d", i), Effect: []string{"read", "write", "delete"}[i%3], Tags: []string{fmt.Sprint("t", i%7)}, Input: json.RawMessage(input)})
	}
	return api
}

// A policy checked against representatives fares as against every action.
func TestRepresentatives(t *testing.T) {
	e, err := New([]API{varied(40), pets2()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := validate.New(e.schemaFor(e.actions, holdActions))
	for text, want := range map[string]bool{ // whether it is right
		`permit (principal, action in Action::"call_tool", resource);`:                                                                           true,
		`permit (principal, action in Action::"read", resource) when { context.input has force };`:                                               true,
		`permit (principal, action in Action::"call_tool", resource) when { context.input has force && context.input.force };`:                   false,
		`permit (principal, action in Action::"call_tool", resource) when { context.input has p7 && context.input.p7 == 1 };`:                    true,
		`permit (principal, action in Action::"call_tool", resource) when { context.input has p7 && context.input.p7 == "x" };`:                  false,
		`permit (principal, action in Action::"call_tool", resource) when { context.input has "if" && context.input["if"] == 1 };`:               false,
		`permit (principal, action in Action::"call_tool", resource) when { context.input has other && context.input.other };`:                   true,
		`permit (principal, action in Action::"call_tool", resource) when { context.input.p7 == 1 };`:                                            false,
		`permit (principal, action in Action::"call_tool", resource) when { context has input && context.usage.day < 3 };`:                       true,
		`permit (principal, action in Action::"call_tool", resource) when { action in Petstore::Action::"tag:t1" };`:                             true,
		`permit (principal, action in Action::"call_tool", resource) when { context.input has "x-y" && context.input["x-y"] };`:                  false,
		`permit (principal, action in Action::"call_tool", resource) when { action in Petstore::Action::"tag:t1" && context.usage.day == "x" };`: false,
		`permit (principal, action in Action::"call_tool", resource) when { action == Petstore::Action::"op_none" };`:                            false,
		`permit (principal, action in Action::"call_tool", resource in Shop::Path::"/x");`:                                                       true,
		`permit (principal, action in Petstore::Action::"tag:t1", resource in Shop::Path::"/x");`:                                                false,
		`permit (principal, action == Petstore::Action::"op_3", resource) when { action in [Petstore::Action::"op_4"] || true };`:                true,
		`permit (principal, action, resource) when { context has approval };`:                                                                    true,
		`permit (principal, action, resource) when { context.input has p7 };`:                                                                    false,
		`permit (principal, action in Action::"call_tool", resource) when { context.input == context.input };`:                                   true,
	} {
		list, bad := parsePolicies([]PolicyFile{{Name: "t", Text: []byte(text)}})
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		if got := len(e.checkPolicies(list)) == 0; got != want {
			t.Errorf("%s\n  is right: %t, want %t: %v", text, got, want, e.checkPolicies(list))
		}
		if got := whole.Policy("", list[0].ast) == nil; got != want {
			t.Errorf("%s\n  against every action is right: %t, want %t", text, got, want)
		}
	}
}

func pets2() API {
	return API{Name: "shop", Actions: []Action{{Name: "list", Effect: "read"}}}
}

// Loading must not be quadratic, whatever the scopes.
func BenchmarkNew(b *testing.B) {
	for name, policy := range map[string]string{
		"one action": `permit (principal, action == Petstore::Action::"op_%d", resource) when { context.usage.day < 3 };`,
		"a group":    `permit (principal in Group::"g%d", action in Action::"read", resource) when { context has approval };`,
		"arguments":  `permit (principal in Group::"g%d", action in Action::"call_tool", resource) when { context.input has force };`,
	} {
		b.Run(name, func(b *testing.B) {
			var text strings.Builder
			for i := range 1000 {
				fmt.Fprintf(&text, policy+"\n", i)
			}
			api := varied(1000)
			for b.Loop() {
				if _, err := New([]API{api}, []PolicyFile{{Name: "t", Text: []byte(text.String())}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A thousand policies over a thousand actions take 2 s and 1 GB when each is
// checked against the whole.
func TestLoadingIsNotQuadratic(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "permit (principal in Group::\"g%d\", action in Action::\"read\", resource) when { context has approval };\n", i)
	}
	e, err := New([]API{varied(1000)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, _ := parsePolicies([]PolicyFile{{Name: "t", Text: []byte(text.String())}})
	c := &checker{Engine: e, validators: map[string]*validate.Validator{}, texts: map[*inputType]string{}}
	for _, p := range list {
		actions, _, _ := e.scope(p)
		if n := len(c.representatives(p, actions)); len(actions) < 300 || n != 1 {
			t.Fatalf("%s is checked against %d of %d actions", p.id, n, len(actions))
		}
	}
}
