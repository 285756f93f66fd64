package authz

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A hold is attributed to the policies that caused it, and to no other.
func TestHoldNamesItsCauses(t *testing.T) {
	const (
		anything = `@id("anything") permit (principal, action in Action::"call_tool", resource);`
		waits    = `@id("waits") permit (principal, action in Action::"call_tool", resource) when { context has approval };`
		unless   = `@id("unless") forbid (principal, action in Action::"delete", resource) unless { context has approval };`
		large    = `@id("large") forbid (principal, action in Action::"delete", resource) when { context.input.petId > 1000 } unless { context has approval };`
		bob      = `@id("bob") permit (principal == User::"bob", action in Action::"call_tool", resource) when { context has approval };`
		ttl      = `@id("short") @token_ttl("5s") permit (principal, action in Action::"call_tool", resource);`
	)
	for _, tt := range []struct {
		name, policies string
		want           []string
	}{
		{"a permit that waits", waits, []string{"waits"}},
		{"a forbid over a permit", anything + unless, []string{"unless"}},
		{"a forbid over both kinds of permit", anything + waits + unless, []string{"unless"}},
		{"both are needed", waits + unless, []string{"unless", "waits"}},
		{"a forbid that does not apply", waits + large, []string{"waits"}},
		{"somebody else's permit", waits + bob, []string{"waits"}},
		{"an obligation still counts", ttl + unless, []string{"unless"}},
	} {
		d := engine(t, tt.policies).Decide(ask(t, "delete_pet", pet42))
		if d.Outcome != Hold || !cmp.Equal(d.Policies, tt.want) || !strings.Contains(d.Reason, list(tt.want)) {
			t.Errorf("%s: %s by %v: %s", tt.name, d.Outcome, d.Policies, d.Reason)
		}
		if strings.Contains(tt.policies, "short") && d.Obligations.TokenTTL == 0 {
			t.Errorf("%s: %+v", tt.name, d.Obligations)
		}
	}
}

// Other arguments are recommended only where there are any.
func TestArgumentsThatCannotChange(t *testing.T) {
	api := API{Name: "petstore", Actions: []Action{
		{Name: "purge", Effect: "delete", Path: "/cache"},
		{Name: "purge_some", Effect: "delete", Path: "/cache", Input: []byte(`{"type":"object","properties":{"older":{"type":"integer"}}}`)},
		{Name: "purge_one", Effect: "delete", Path: "/cache/{id}", Input: []byte(`{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}`)},
		{Name: "purge_any", Effect: "delete", Path: "/cache", Input: []byte(`{"type":"object","properties":{"body":{}}}`)},
	}}
	const (
		byPath  = `permit (principal, action in Action::"call_tool", resource) when { resource in Petstore::Path::"/cache/7" };`
		byInput = `permit (principal, action == Petstore::Action::"purge_some", resource) when { context.input has older && context.input.older > 7 };`
	)
	for _, tt := range []struct {
		tool, args, policies string
		want                 Remediation
	}{
		{"purge", `{}`, byPath, RemedyNone},
		{"purge_some", `{"older":1}`, byPath, RemedyNone}, // no argument is part of the path
		{"purge_some", `{"older":1}`, byInput, RemedyArgs},
		{"purge_one", `{"id":1}`, byPath, RemedyArgs},
		{"purge_any", `{"body":{}}`, byPath, RemedyNone},
	} {
		e, err := New([]API{api}, []PolicyFile{{Name: "t", Text: []byte(tt.policies)}})
		if err != nil {
			t.Fatal(err)
		}
		d := e.Decide(Query{API: "petstore", Action: tt.tool, Principal: alice(), Agent: Agent{ID: "claude"}, Now: noon, Path: "/cache", Input: input(t, tt.args)})
		if d.Outcome != Deny || d.Remediation != tt.want {
			t.Errorf("%s: %s, remediation %s, want %s", tt.tool, d.Outcome, d.Remediation, tt.want)
		}
	}
}
