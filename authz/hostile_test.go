package authz

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// hostilePolicies do not load, and say where and why.
var hostilePolicies = []struct{ name, text, want string }{
	{"a huge file", strings.Repeat("// x\n", 1+maxPolicyFile/5), "f.cedar:1:1: the file is larger than"},
	{"a huge policy", `permit (principal, action, resource) when { true` + strings.Repeat(" && true", maxPolicy/8) + ` };`, "f.cedar:1:65538: the policy is longer than"},
	{"deep brackets", `permit (principal, action, resource) when { ` + strings.Repeat("(", 1e6) + "true" + strings.Repeat(")", 1e6) + ` };`, "f.cedar:1:145: brackets nest deeper than 100"},
	{"deep lists", "permit (principal, action, resource)\nwhen { " + strings.Repeat("[", 1e6), "f.cedar:2:108: brackets nest deeper"},
	{"deep records", `permit (principal, action, resource) when { ` + strings.Repeat(`{"a":`, 1e5), "nest deeper"},
	{"brackets in a string are none", `permit (principal, action, resource) when { "` + strings.Repeat("(", 1000) + `\"" };`, "f.cedar:1:1: "},
	{"a template slot", "\npermit (principal == ?principal, action, resource);", "f.cedar:2:23: cannot be parsed: expected ident; templates"},
	{"an unknown attribute", `permit (principal, action == Petstore::Action::"get_pet", resource) when { principal.admin };`, "f.cedar:1:86: attribute `admin`"},
	{"an unknown function", `permit (principal, action, resource) when { eval("true") };`, "f.cedar:1:"},
	{"an include", `include "other.cedar";`, "f.cedar:1:9: cannot be parsed"},
	{"a policy that never ends", `permit (principal, action, resource) when { "`, "f.cedar:1:"},
	{"an id twice", "@id(\"x\") permit (principal, action in Action::\"read\", resource);\n@id(\"x\") permit (principal, action in Action::\"read\", resource);", `f.cedar:2:5: the id "x" is taken by the policy at f.cedar:1`},
	{"an annotation twice", `@id("x") @id("y") permit (principal, action in Action::"read", resource);`, "f.cedar:1:"},
	{"an id that is another's place", "@id(\"f.cedar:2\") permit (principal, action in Action::\"read\", resource);\npermit (principal, action in Action::\"read\", resource);", "f.cedar:2:1: the id"},
	{"an id in another direction", `@id("\u{202e}x") permit (principal, action in Action::"read", resource);`, "f.cedar:1:5: @id: an id has no characters that cannot be seen"},
	{"an id with a zero width", `@id("rea\u{200b}ds") permit (principal, action in Action::"read", resource);`, "cannot be seen"},
	{"an id with a line break", `@id("a\nb") permit (principal, action in Action::"read", resource);`, "cannot be seen"},
	{"an id with an escape sequence", `@id("\u{1b}[2J") permit (principal, action in Action::"read", resource);`, "cannot be seen"},
	{"a long id", `@id("` + strings.Repeat("x", 101) + `") permit (principal, action in Action::"read", resource);`, "1 to 100 characters"},
	{"bidi in a comment", "permit (principal, action in Action::\"read\", resource)\n// \u202e } nehw {\n;", "f.cedar:2:4: the character U+202E cannot be seen; take it out"},
	{"bidi in a string", "permit (principal == User::\"\u2066x\", action, resource);", "f.cedar:1:29: the character U+2066"},
	{"zero width in a name", "permit (principal, action == Petstore::Action::\"get_\u200bpet\", resource);", "U+200B"},
	{"a byte order mark", "\ufeffpermit (principal, action, resource);", "f.cedar:1:1: the character U+FEFF"},
	{"NUL", "permit (principal, action, resource);\x00", "f.cedar:1:38: the character U+0000"},
	{"a bare escape", "// \x1b[2J", "U+001B"},
	{"not UTF-8", "// \xff", "f.cedar:1:4: the file is not UTF-8"},
	{"an escape in a message", `permit (principal == Us\u{202e}er::"x", action, resource);`, "f.cedar:1:"},
	{"a type of invisible name", `permit (principal, action == Action::"\u{202e}\u{1b}[2J", resource);`, "f.cedar:1:38: unrecognized action"},
	{"a number beyond int64", `permit (principal, action in Action::"call_tool", resource) when { context.usage.day < 9223372036854775808 };`, "f.cedar:1:"},
	{"an argument as an address", `permit (principal, action == Petstore::Action::"create_pet", resource) when { ip(context.input.body.name).isLoopback() };`, "f.cedar:1:101: extension constructors may not be called with non-literal"},
	{"an address that is none", `permit (principal, action in Action::"call_tool", resource) when { ip("999.1.1.1").isLoopback() };`, "f.cedar:1:71: "},
	{"a decimal that is none", `permit (principal, action in Action::"call_tool", resource) when { decimal("1.00001") == decimal("1.0") };`, "f.cedar:1:76: "},
}

func TestHostilePolicies(t *testing.T) {
	for _, tt := range hostilePolicies {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New([]API{pets()}, []PolicyFile{{Name: "f.cedar", Text: []byte(tt.text)}})
			var load *LoadError
			if !errors.As(err, &load) || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 5000 {
				t.Fatalf("%.300v, want %q", err, tt.want)
			}
			for _, p := range load.Problems {
				if text := p.Message + p.Hint; comment(text) != text || p.Line < 1 || p.Column < 1 {
					t.Errorf("%+v", p)
				}
			}
		})
	}
}

// What nests without brackets is bounded by the length of a policy.
func TestLongPolicies(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, (maxPolicy-1000)/len(s)) }
	for name, condition := range map[string]string{
		"and":  "true" + fill(" && true"),
		"or":   "context.now == context.now" + fill(" || context has approval"),
		"if":   fill("if true then true else ") + "true",
		"plus": "context.usage.day" + fill(" + 1") + " > 0",
		"set":  "[" + fill("1,") + "1].contains(1)",
	} {
		e, err := New([]API{pets()}, []PolicyFile{{Name: "f", Text: []byte(`permit (principal, action in Action::"call_tool", resource) when { ` + condition + " };")}})
		if err != nil {
			t.Errorf("%s: %.200v", name, err)
			continue
		}
		if d := e.Decide(ask(t, "get_pet", `{"petId":1}`)); d.Outcome != Allow {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// Arguments reach the policies as what the schema says of them, or the call is
// refused: no escape of Cedar's JSON is taken, and no error lets a call through.
func TestHostileContext(t *testing.T) {
	const all = `@id("all") permit (principal, action in Action::"call_tool", resource);`
	const named = `@id("x") forbid (principal, action == Petstore::Action::"create_pet", resource) when { `
	deep := func(n int) string { return strings.Repeat(`{"parent":`, n) + `{"name":"x"}` + strings.Repeat("}", n) }
	tests := []struct {
		name, policy, args string
		want               Outcome
		reason             string
	}{
		{"a name", named + `context.input.body.name == "bad" };`, `{"body":{"name":"x"}}`, Allow, ""},
		{"an entity as a name", named + `context.input.body.name == "bad" };`, `{"body":{"name":{"__entity":{"type":"User","id":"bad"}}}}`, Deny, "/body/name "},
		{"an extension as a decimal", named + `context.input.body != context.input.body };`, `{"body":{"name":"x","price":{"__extn":{"fn":"decimal","arg":"1.0"}}}}`, Deny, "/body/price "},
		{"an entity as an owner", named + `context.input.body has owner && context.input.body.owner has name };`, `{"body":{"name":"x","owner":{"__entity":{"type":"User","id":"bad"}}}}`, Allow, ""},
		{"a sum that overflows", `@id("x") forbid (principal, action == Petstore::Action::"create_pet", resource) when { context.usage.day + 9223372036854775807 > 1 };`, `{"body":{"name":"x"}}`, Deny, "could not be evaluated"},
		{"a text that is an expression", named + `context.input.body.name == "x" };`, `{"body":{"name":"x\" || true || \""}}`, Allow, ""},
		{"a decimal at the limit", named + `context.input.body has price && context.input.body.price.lessThan(decimal("0.0")) };`, `{"body":{"name":"x","price":922337203685477.5807}}`, Allow, ""},
		{"a decimal beyond it", named + `context.input.body != context.input.body };`, `{"body":{"name":"x","price":922337203685477.5808}}`, Deny, "/body/price "},
		{"a fifth digit", named + `context.input.body != context.input.body };`, `{"body":{"name":"x","price":0.00001}}`, Deny, "/body/price "},
		{"a set of many", named + `context.input.body has tags && context.input.body.tags.contains("bad") };`, `{"body":{"name":"x","tags":["bad"` + strings.Repeat(`,"a"`, maxSet) + `]}}`, Deny, "/body/tags has more than"},
		{"a set of mixed types", named + `context.input.body != context.input.body };`, `{"body":{"name":"x","tags":["a",{"__extn":{"fn":"ip","arg":"::1"}}]}}`, Deny, "/body/tags has an item that does not have the type"},
		{"what is not typed", named + `context.input.body != context.input.body };`, `{"body":{"name":"x","parent":` + deep(60) + `,"any":` + deep(60) + `}}`, Allow, ""},
		{"a leap second", named + `context.input.body has born && context.input.body.born > context.now };`, `{"body":{"name":"x","born":"2016-12-31T23:59:60Z"}}`, Deny, "/body/born "},
		{"a date of five digits", named + `context.input.body != context.input.body };`, `{"body":{"name":"x","born":"12026-11-23T12:00:00Z"}}`, Deny, "/body/born "},
		{"a like with a star in the value", named + `context.input.body.name like "admin*" };`, `{"body":{"name":"*"}}`, Allow, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(t, "create_pet", tt.args)
			r.Usage.Day = 1
			d := engine(t, all+tt.policy).Decide(r)
			if d.Outcome != tt.want || !strings.Contains(d.Reason, tt.reason) {
				t.Errorf("%s: %s, want %s with %q", d.Outcome, d.Reason, tt.want, tt.reason)
			}
		})
	}
}

// An integer keeps each of its digits, and one too many refuses.
func TestIntegersAreExact(t *testing.T) {
	e := engine(t, `permit (principal, action in Action::"call_tool", resource) when { context.input has petId && context.input.petId == 9007199254740993 };`)
	for literal, want := range map[string]Outcome{"9007199254740993": Allow, "9007199254740992": Deny, "9.007199254740993e15": Allow, "9223372036854775808": Deny, "-9223372036854775809": Deny, "1e19": Deny} {
		if d := e.Decide(ask(t, "get_pet", fmt.Sprintf(`{"petId":%s}`, literal))); d.Outcome != want {
			t.Errorf("%s: %+v", literal, d)
		}
	}
}
