package authz

import "testing"

// A name that an agent gives itself is never that of a verified one.
func TestAgentNamed(t *testing.T) {
	for name, want := range map[string]string{
		"claude-code":                 "claude-code",
		"":                            "",
		"oauth:claude":                "self:oauth:claude",
		"OAuth:claude":                "self:OAuth:claude",
		"token:ci":                    "self:token:ci",
		"spiffe://example.org/robot":  "self:spiffe://example.org/robot",
		"SPIFFE://example.org/robot":  "self:SPIFFE://example.org/robot",
		"self:oauth:claude":           "self:oauth:claude",
		" oauth:claude":               " oauth:claude",
		"https://claude.ai/client.md": "https://claude.ai/client.md",
	} {
		if got := AgentNamed(name); got.ID != want || got.Verified {
			t.Errorf("AgentNamed(%q) = %+v, want the id %q, not verified", name, got, want)
		}
	}
}

// Policies see who verified an agent and through whom it acts, and who says who a
// principal is.
func TestPoliciesSeeIssuersAndChains(t *testing.T) {
	e := engine(t, `permit (principal, action in Action::"call_tool", resource) when {
		context.agent == Agent::"oauth:claude" && context.agent.verified &&
		context.agent has issuer && context.agent.issuer == "https://login.example" &&
		context.agent.chain.contains("oauth:planner") &&
		principal has issuer && principal.issuer == "https://login.example" };`)
	good := ask(t, "get_pet", `{"petId":42}`)
	good.Principal.Issuer = "https://login.example"
	good.Agent = Agent{ID: "oauth:claude", Verified: true, Issuer: "https://login.example", Chain: []string{"oauth:planner"}}
	if d := e.Decide(good); d.Outcome != Allow {
		t.Fatalf("as issued: %+v", d)
	}
	for name, change := range map[string]func(*Query){
		"self-named":          func(q *Query) { q.Agent = AgentNamed("oauth:claude") },
		"no chain":            func(q *Query) { q.Agent.Chain = nil },
		"another issuer":      func(q *Query) { q.Agent.Issuer = "https://other.example" },
		"the principal's own": func(q *Query) { q.Principal.Issuer = "" },
	} {
		q := good
		change(&q)
		if d := e.Decide(q); d.Outcome != Deny {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
