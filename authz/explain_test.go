package authz

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExplainOutcomes(t *testing.T) {
	const own = `@id("own") permit (principal, action in Action::"call_tool", resource) when { context.input has force && context.input.force };`
	tests := []struct {
		name, policies string
		request        Query
		outcome        Outcome
		considered     string // id=outcome
		changes        string
	}{
		{"allowed", "", ask(t, "get_pet", pet42), Allow, "reads=satisfied", "without policy reads"},
		{"held", "", ask(t, "delete_pet", pet42), Hold, "writes-wait-for-a-person=needs approval", "an approval, for this call only or for a time"},
		{"approved", "", approved(ask(t, "delete_pet", pet42), true), Allow, "writes-wait-for-a-person=satisfied", "without policy"},
		{"held for once", `@id("o") permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.once };`,
			ask(t, "delete_pet", pet42), Hold, "o=needs approval", "for this call only; the policies take no grant"},
		{"held for a grant", `@id("g") permit (principal, action in Action::"call_tool", resource) when { context has approval && !context.approval.once };`,
			ask(t, "delete_pet", pet42), Hold, "g=needs approval", "the policies take no single approval"},
		{"arguments", own, ask(t, "delete_pet", pet42), Deny, "own=not satisfied", "other arguments"},
		{"a login", `@id("l") permit (principal, action in Action::"call_tool", resource) when { principal has auth_time && principal.auth_time > datetime("2026-01-01") };`,
			ask(t, "get_pet", pet42), Deny, "l=not satisfied", "a fresh or stronger login"},
		{"nobody", `@id("n") permit (principal == User::"bob", action in Action::"call_tool", resource);`, ask(t, "get_pet", pet42), Deny, "n=not satisfied",
			`a policy that permits Petstore::Action::"get_pet"`},
		{"in vain", `@id("v") permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.once && principal in Group::"leads" };`,
			ask(t, "get_pet", pet42), Deny, "v=not satisfied", "a policy that permits"},
		{"an error", `@id("e") permit (principal, action in Action::"call_tool", resource) when { context.usage.day + 9223372036854775807 > 1 };`, func() Query {
			r := ask(t, "get_pet", pet42)
			r.Usage.Day = 1
			return r
		}(), Deny, "e=error", "a policy that permits"},
		{"arguments that do not fit", "", ask(t, "get_pet", `{}`), Deny, "", "arguments that Cedar can hold"},
		{"a number that Cedar cannot hold", `@id("r") permit (principal, action == Petstore::Action::"get_pet", resource) when { context.input.petId > 5 };`,
			ask(t, "get_pet", `{"petId":1e300}`), Deny, "r=cannot judge an argument", "other arguments"},
		{"no such tool", "", ask(t, "none", `{}`), Deny, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := engine(t, tt.policies)
			x := e.Explain(tt.request)
			var considered []string
			for _, c := range x.Considered {
				considered = append(considered, c.ID+"="+c.Outcome)
			}
			if x.Decision.Outcome != tt.outcome || strings.Join(considered, " ") != tt.considered || !strings.Contains(strings.Join(x.Changes, "; "), tt.changes) {
				t.Errorf("%s, considered %v, changes %q", x.Decision.Outcome, considered, x.Changes)
			}
			if diff := cmp.Diff(e.Decide(tt.request), x.Decision); diff != "" {
				t.Error(diff)
			}
			if tt.considered != "" && !json.Valid(x.Request) {
				t.Errorf("the request is %q", x.Request)
			}
		})
	}
}
