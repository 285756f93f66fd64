package authz

import (
	"testing"
	"time"
)

func TestStepUp(t *testing.T) {
	now := time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC)
	const own = `permit (principal, action == Action::"approve", resource) when { resource.requester == principal`
	for _, tt := range []struct {
		name   string
		policy string
		want   StepUp
	}{
		{"a stronger login", own + ` && principal has acr && principal.acr == "mfa" };`, StepUp{Login: true}},
		{"a fresher login", own + ` && principal has auth_time && context.now.durationSince(principal.auth_time) <= duration("5m") };`, StepUp{Login: true}},
		{"another way to log in", own + ` && context.approval.amr.contains("hwk") };`, StepUp{Login: true, Passkey: true}},
		{"a passkey", own + ` && context.approval.phishing_resistant };`, StepUp{Passkey: true}},
		{"either", own + ` && (context.approval.phishing_resistant || (principal has acr && principal.acr == "mfa")) };`, StepUp{Login: true, Passkey: true}},
		{"both", own + ` && context.approval.phishing_resistant && principal has acr && principal.acr == "mfa" };`, StepUp{}},
		{"a group", own + ` && principal in Group::"owners" && principal has acr && principal.acr == "mfa" };`, StepUp{}},
		{"somebody else", `permit (principal, action == Action::"approve", resource) when { resource.requester != principal && principal has acr };`, StepUp{}},
		{"forbidden anyhow", own + ` && principal has acr }; forbid (principal, action == Action::"approve", resource) when { resource.effect == "delete" };`, StepUp{}},
		{"a weak login is forbidden", own + ` }; forbid (principal, action == Action::"approve", resource) unless { principal has acr && principal.acr == "mfa" };`, StepUp{Login: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := New([]API{{Name: "petstore", Actions: []Action{{Name: "delete_pet", Effect: "delete", Path: "/pets/{id}"}}}},
				[]PolicyFile{{Name: "t.cedar", Text: []byte(tt.policy)}})
			if err != nil {
				t.Fatal(err)
			}
			alice := Principal{Type: "User", ID: "alice", ACR: "pwd", AuthTime: now.Add(-time.Hour)}
			h := HoldFacts{ID: "hold_1", API: "petstore", Action: "delete_pet", Effect: "delete", Requester: Principal{Type: "User", ID: "alice"},
				Agent: Agent{ID: "a"}, Now: now, Approval: ApprovalContext{By: alice, Once: true, At: now, Expires: now.Add(time.Minute), AMR: []string{"pwd"}}}
			if d := e.MayApprove(h); d.Outcome != Deny {
				t.Fatalf("it is %s as it stands", d.Outcome)
			}
			if got := e.StepUp(h); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
