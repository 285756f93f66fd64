package authz

import (
	"strings"
	"testing"
	"time"
)

// yes is what a person said of a call, for this call only.
func yes(id string, groups ...string) ApprovalContext {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	return ApprovalContext{By: Principal{Type: "User", ID: id, Groups: groups}, Once: true, At: at, Expires: at.Add(time.Hour), AMR: []string{"otp"}}
}

func given(list ...ApprovalContext) func(*Query) {
	return func(q *Query) {
		q.Now = list[0].At
		q.Earlier, q.Approval = list[:len(list)-1], &list[len(list)-1]
	}
}

const (
	twoOfFinance = `permit (principal, action in Action::"call_tool", resource) when {
		context has approvals.second &&
		context.approvals.first.by in Group::"finance" &&
		context.approvals.second.by in Group::"finance" };`
	ownerThenFinance = `permit (principal, action in Action::"call_tool", resource) when {
		context has approvals.second &&
		context.approvals.first.by == principal &&
		context.approvals.second.by in Group::"finance" };`
	counted = `permit (principal, action in Action::"call_tool", resource) when { context has approvals && context.approvals.count >= 3 };`
	byKey   = `forbid (principal, action in Action::"call_tool", resource) unless { context has approval && context.approval.phishing_resistant };`
)

func TestSeveralApprovals(t *testing.T) {
	bob, carol, eve, alice := yes("bob", "finance"), yes("carol", "finance"), yes("eve"), yes("alice")
	key := func(a ApprovalContext) ApprovalContext { a.PhishingResistant = true; return a }
	grant := bob
	grant.Once = false
	over := carol
	over.Expires = over.At
	twice := bob
	twice.By.Groups = []string{"finance", "others"}
	six := []ApprovalContext{yes("a"), yes("b"), yes("c"), yes("d"), yes("e"), yes("f")}
	for name, tt := range map[string]struct {
		policies string
		given    []ApprovalContext
		want     Outcome
		people   int
	}{
		"nobody yet":                               {twoOfFinance, nil, Hold, 2},
		"one of finance is not enough":             {twoOfFinance, []ApprovalContext{bob}, Hold, 2},
		"two are":                                  {twoOfFinance, []ApprovalContext{bob, carol}, Allow, 0},
		"in any order":                             {twoOfFinance, []ApprovalContext{carol, bob}, Allow, 0},
		"somebody else cannot begin":               {twoOfFinance, []ApprovalContext{eve}, Deny, 0},
		"nor go on":                                {twoOfFinance, []ApprovalContext{bob, eve}, Deny, 0},
		"the same person twice":                    {twoOfFinance, []ApprovalContext{bob, bob}, Deny, 0},
		"with other attributes":                    {twoOfFinance, []ApprovalContext{bob, twice}, Deny, 0},
		"one that has expired":                     {twoOfFinance, []ApprovalContext{over, bob}, Deny, 0},
		"the last has expired":                     {twoOfFinance, []ApprovalContext{bob, over}, Deny, 0},
		"a grant is one person's":                  {twoOfFinance, []ApprovalContext{grant}, Deny, 0},
		"the owner first":                          {ownerThenFinance, []ApprovalContext{alice}, Hold, 2},
		"then finance":                             {ownerThenFinance, []ApprovalContext{alice, bob}, Allow, 0},
		"finance does not begin":                   {ownerThenFinance, []ApprovalContext{bob}, Deny, 0},
		"the other way round":                      {ownerThenFinance, []ApprovalContext{bob, alice}, Deny, 0},
		"three of anybody, none yet":               {counted, nil, Hold, 3},
		"two of three":                             {counted, []ApprovalContext{alice, bob}, Hold, 3},
		"three":                                    {counted, []ApprovalContext{alice, bob, carol}, Allow, 0},
		"more than that":                           {counted, six[:5], Allow, 0},
		"more than there can be":                   {counted, six, Deny, 0},
		"what is asked of the approval, of each":   {twoOfFinance + byKey, []ApprovalContext{bob}, Deny, 0},
		"each by a key":                            {twoOfFinance + byKey, []ApprovalContext{key(bob)}, Hold, 2},
		"both by a key":                            {twoOfFinance + byKey, []ApprovalContext{key(bob), key(carol)}, Allow, 0},
		"the second without":                       {twoOfFinance + byKey, []ApprovalContext{key(bob), carol}, Deny, 0},
		"no further approval turns a plain forbid": {twoOfFinance + `forbid (principal, action in Action::"call_tool", resource);`, []ApprovalContext{bob}, Deny, 0},
		"six are too many to hold for":             {`permit (principal, action in Action::"call_tool", resource) when { context has approvals && context.approvals.count >= 6 };`, nil, Deny, 0},
		"one is enough where nobody counts":        {`permit (principal, action in Action::"call_tool", resource) when { context has approval };`, []ApprovalContext{eve}, Allow, 0},
		"who is not it does not wait for others":   {`permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.by in Group::"finance" };`, []ApprovalContext{eve}, Deny, 0},
	} {
		t.Run(name, func(t *testing.T) {
			q := ask(t, "delete_pet", `{"petId": 42}`)
			q.Principal = Principal{Type: "User", ID: "alice"}
			if tt.given != nil {
				given(tt.given...)(&q)
			}
			d := engine(t, tt.policies).Decide(q)
			if d.Outcome != tt.want || d.People != tt.people {
				t.Errorf("got %s of %d, want %s of %d: %s %v", d.Outcome, d.People, tt.want, tt.people, d.Reason, d.Errors)
			}
		})
	}
}

// A choice that one person has is offered although others exist, and a grant is not
// where several have to approve.
func TestSeveralAreNoGrant(t *testing.T) {
	q := ask(t, "delete_pet", `{"petId": 42}`)
	if d := engine(t, twoOfFinance).Decide(q); d.Choices != (Choices{Once: true}) || !strings.Contains(d.Reason, "2 people") {
		t.Errorf("%+v", d)
	}
	either := twoOfFinance + `permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.by in Group::"leads" };`
	if d := engine(t, either).Decide(q); d.Choices != (Choices{Once: true, Grant: true}) || d.People != 0 {
		t.Errorf("%+v", d)
	}
}

// Earlier approvals without one at hand are nobody's.
func TestEarlierAlone(t *testing.T) {
	q := ask(t, "delete_pet", `{"petId": 42}`)
	q.Earlier = []ApprovalContext{yes("bob", "finance")}
	if d := engine(t, twoOfFinance).Decide(q); d.Outcome != Deny {
		t.Errorf("%+v", d)
	}
}

func TestWhoMaySeeAndDecide(t *testing.T) {
	const policies = `
permit (principal, action in Action::"call_tool", resource) when { context has approval };
permit (principal in Group::"team", action == Action::"see", resource) when { resource.requester in Group::"team" };
permit (principal in Group::"finance", action == Action::"approve", resource)
when { resource.path like "/payments/*" && context has approvals && context.approvals.first.by == resource.requester };
forbid (principal in Group::"interns", action == Action::"see", resource);`
	alice := Principal{Type: "User", ID: "alice", Groups: []string{"team"}}
	for name, tt := range map[string]struct {
		person       ApprovalContext
		path         string
		earlier      []ApprovalContext
		see, approve Outcome
	}{
		"of the team":                 {yes("bob", "team"), "/payments/1", nil, Allow, Deny},
		"of no team":                  {yes("eve"), "/payments/1", nil, Deny, Deny},
		"of the team and an intern":   {yes("bob", "team", "interns"), "/payments/1", nil, Deny, Deny},
		"finance, before the owner":   {yes("carol", "finance"), "/payments/1", nil, Deny, Deny},
		"finance, after the owner":    {yes("carol", "finance"), "/payments/1", []ApprovalContext{yes("alice")}, Deny, Allow},
		"finance, after another":      {yes("carol", "finance"), "/payments/1", []ApprovalContext{yes("eve")}, Deny, Deny},
		"finance, on another path":    {yes("carol", "finance"), "/pets/1", []ApprovalContext{yes("alice")}, Deny, Deny},
		"who is said to be two":       {yes("carol", "finance"), "/payments/1", []ApprovalContext{yes("alice"), yes("alice")}, Deny, Deny},
		"no person but a workload":    {ApprovalContext{By: Principal{Type: "Workload", ID: "job", Groups: []string{"finance"}}}, "/payments/1", []ApprovalContext{yes("alice")}, Deny, Deny},
		"a workload of the same team": {ApprovalContext{By: Principal{Type: "Workload", ID: "job", Groups: []string{"team"}}}, "/payments/1", nil, Deny, Deny},
	} {
		t.Run(name, func(t *testing.T) {
			f := HoldFacts{ID: "hold_1", API: "petstore", Action: "delete_pet", Effect: "delete", Path: tt.path, Requester: alice,
				Agent: Agent{ID: "claude-code"}, Approval: tt.person, Earlier: tt.earlier, Now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
			e := engine(t, policies)
			if d := e.MaySee(f); d.Outcome != tt.see {
				t.Errorf("see: %s, want %s: %s %v", d.Outcome, tt.see, d.Reason, d.Errors)
			}
			if d := e.MayApprove(f); d.Outcome != tt.approve {
				t.Errorf("approve: %s, want %s: %s %v", d.Outcome, tt.approve, d.Reason, d.Errors)
			}
		})
	}
	if d := engine(t, DefaultPolicy).MaySee(HoldFacts{Approval: yes("alice")}); d.Outcome != Deny {
		t.Errorf("by default others see %v", d)
	}
}

// What is written wrong about approvals is found at the start.
func TestApprovalsAreValidated(t *testing.T) {
	permit := func(c string) string {
		return `permit (principal, action in Action::"call_tool", resource) when { ` + c + ` };`
	}
	for name, tt := range map[string]struct{ policies, want string }{
		"without has":            {permit(`context.approvals.first.once`), "context has approvals"},
		"without has second":     {permit(`context has approvals && context.approvals.second.once`), "has second"},
		"a misspelt ordinal":     {permit(`context has approvals.secnd && true`), "second"},
		"a sixth":                {permit(`context has approvals.sixth && context.approvals.count > 5`), "sixth"},
		"a choice to see":        {`permit (principal, action == Action::"see", resource) when { context.approval.once };`, `Action::"see"`},
		"both actions on holds":  {`permit (principal, action in [Action::"approve", Action::"see"], resource) when { context.approval.once };`, `Action::"see"`},
		"a misspelt action":      {`permit (principal, action == Action::"sea", resource);`, `Action::"see"`},
		"a tool's argument":      {`permit (principal, action == Action::"see", resource) when { context.input.petId == 1 };`, ""},
		"an effect there is not": {`permit (principal, action == Action::"see", resource) when { resource.effect == "wirte" };`, `"write"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New([]API{pets()}, []PolicyFile{{Name: "t.cedar", Text: []byte(tt.policies)}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	for _, good := range []string{
		permit(`context has approvals.second && context has approvals.third && context.approvals.third.at > context.approvals.second.at`),
		`permit (principal, action in [Action::"approve", Action::"see"], resource) when { resource.path like "/pets/*" && !(context has approvals) };`,
		`forbid (principal, action, resource) when { principal in Group::"out" };`,
	} {
		engine(t, good)
	}
}
