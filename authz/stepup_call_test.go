package authz

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What a token needs is found by deciding the call with it, and is no more than
// that.
func TestStrengthen(t *testing.T) {
	could := Could{Scopes: []string{"pets:read", "pets:write", "pets"}, ACR: []string{"pwd", "mfa", "phr"}}
	fresh := `principal has auth_time && context.now.durationSince(principal.auth_time) <= duration("20m")`
	for _, c := range []struct {
		name, policy string
		change       func(*Principal)
		want         Stronger
	}{
		{"nothing helps", `forbid (principal, action in Action::"call_tool", resource);`, nil, Stronger{}},
		{"a scope", `permit (principal, action in Action::"call_tool", resource) when { principal.scopes.contains("pets:read") };`, nil, Stronger{Scopes: []string{"pets:read"}}},
		{"two scopes", `permit (principal, action in Action::"call_tool", resource) when { principal.scopes.containsAll(["pets", "pets:write"]) };`, nil, Stronger{Scopes: []string{"pets:write", "pets"}}},
		{"one of two scopes, which it has", `permit (principal, action in Action::"call_tool", resource) when { principal.scopes.containsAll(["pets", "pets:write"]) };`,
			func(p *Principal) { p.Scopes = []string{"pets"} }, Stronger{Scopes: []string{"pets:write"}}},
		{"a scope of no operation", `permit (principal, action in Action::"call_tool", resource) when { principal.scopes.contains("admin") };`, nil, Stronger{}},
		{"a recent login", `permit (principal, action in Action::"call_tool", resource) when { ` + fresh + ` };`, nil, Stronger{MaxAge: 15 * time.Minute}},
		{"a more recent login", `permit (principal, action in Action::"call_tool", resource) when { ` + fresh + ` };`,
			func(p *Principal) { p.AuthTime = noon.Add(-time.Hour) }, Stronger{MaxAge: 15 * time.Minute}},
		{"any login time", `permit (principal, action in Action::"call_tool", resource) when { principal has auth_time };`, nil, Stronger{MaxAge: 7 * 24 * time.Hour}},
		{"a stronger login", `permit (principal, action in Action::"call_tool", resource) when { principal has acr && (principal.acr == "mfa" || principal.acr == "phr") };`,
			func(p *Principal) { p.ACR = "pwd" }, Stronger{ACR: []string{"mfa", "phr"}}},
		{"stronger and recent", `permit (principal, action in Action::"call_tool", resource) when { principal has acr && principal.acr == "phr" && ` + fresh + ` };`, nil, Stronger{ACR: []string{"phr"}, MaxAge: 15 * time.Minute}},
		{"a login that nobody has", `permit (principal, action in Action::"call_tool", resource) when { principal has acr && principal.acr == "gold" };`, nil, Stronger{}},
		{"then a person decides", `permit (principal, action in Action::"call_tool", resource) when { context has approval && principal.scopes.contains("pets") };`, nil, Stronger{Scopes: []string{"pets"}}},
		{"a forbid that a login lifts", `permit (principal, action in Action::"call_tool", resource); forbid (principal, action in Action::"call_tool", resource) unless { ` + fresh + ` };`, nil, Stronger{MaxAge: 15 * time.Minute}},
		{"a token for exactly this", `permit (principal, action in Action::"call_tool", resource) when { context.exact };`, nil, Stronger{Exact: true}},
		{"a person, and a token for exactly this", `permit (principal, action in Action::"call_tool", resource) when { context.exact && context has approval };`, nil, Stronger{Exact: true}},
		{"another group is no matter of tokens", `permit (principal in Group::"vets", action in Action::"call_tool", resource);`, nil, Stronger{}},
	} {
		q := ask(t, "get_pet", `{"petId":42}`)
		if c.change != nil {
			c.change(&q.Principal)
		}
		before := q.Principal
		if d := cmp.Diff(c.want, engine(t, c.policy).Strengthen(q, could)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if d := cmp.Diff(before, q.Principal); d != "" {
			t.Errorf("%s: the principal changed: %s", c.name, d)
		}
	}
}

// A tool that only another token would let somebody call is on their list, if they
// can get another token.
func TestVisibleByAnotherToken(t *testing.T) {
	e := engine(t, `permit (principal, action == Petstore::Action::"get_pet", resource) when { principal has acr && principal.acr == "mfa" };
		permit (principal, action == Petstore::Action::"delete_pet", resource) when { principal.scopes.contains("pets") };
		permit (principal in Group::"vets", action == Petstore::Action::"create_pet", resource);`)
	for name, want := range map[string]bool{"get_pet": true, "delete_pet": true, "create_pet": false} {
		p := alice()
		p.ACR = "pwd"
		if e.Visible("petstore", name, p, Agent{ID: "a"}, Session{}, noon) {
			t.Errorf("%s: visible to an agent without an issuer", name)
		}
		for _, p.Issuer = range []string{"", "https://login.example"} { // issuer dev gives tokens to people of the inbox
			if e.Visible("petstore", name, p, Agent{ID: "oauth:a", Verified: true, Issuer: "https://login.example"}, Session{}, noon) != want {
				t.Errorf("%s of somebody of %q: visible %v", name, p.Issuer, !want)
			}
		}
	}
}
