package tools

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

const twoOfFinance = `
permit (principal, action in Action::"read", resource);
@id("two") permit (principal, action in [Action::"write", Action::"delete"], resource) when {
	context has approvals.second && context.approvals.first.by in Group::"finance" && context.approvals.second.by in Group::"finance" };
permit (principal, action == Action::"approve", resource);
`

// approveAs approves a hold as somebody of groups.
func (r *rig) approveAs(t *testing.T, handle, name string, groups ...string) (store.Hold, error) {
	t.Helper()
	var h store.Hold
	if err := r.Store.View(context.Background(), func(tx *store.Tx) (err error) {
		h, err = tx.Hold(handle)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	who := door.Admit(approval.Person{Principal: authz.Principal{Type: "User", ID: name, Groups: groups}, AMR: []string{"otp"}}, time.Now().Add(time.Hour))
	return approval.One(r.Holds.Decide(context.Background(), who, approval.Verdict{Approve: true, Hold: handle, Digest: h.Digest}))
}

// A call for two goes when the second has approved it, once, with both.
func TestTwoApprovalsSendOnce(t *testing.T) {
	r := newRig(t, rigOptions{policy: twoOfFinance})
	r.run(t)
	res := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`))
	h := res.Envelope.Handle
	if h == "" {
		t.Fatalf("%s", res.JSON())
	}
	if got, err := r.approveAs(t, h, "bob", "finance"); err != nil || got.State != store.Pending {
		t.Fatalf("bob: %s, %v", got.State, err)
	}
	if res := r.Resume(t.Context(), caller("alice"), h, 0, ""); res.Envelope.Status != Pending || strings.Contains(string(res.JSON()), "bob") || r.shop.writes.Load() != 0 {
		t.Errorf("after one approval the agent gets %s, %d writes", res.JSON(), r.shop.writes.Load())
	}
	if _, err := r.approveAs(t, h, "carol", "finance"); err != nil {
		t.Fatal(err)
	}
	if res := r.wait(t, h); res.Envelope.HTTPStatus != 204 || r.shop.writes.Load() != 1 {
		t.Errorf("%s, %d writes", res.JSON(), r.shop.writes.Load())
	}
}

// Whoever sends asks its own policies about all approvals.
func TestTwoApprovalsAndOtherPolicies(t *testing.T) {
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string]string{
		"three are wanted":                `forbid (principal, action in Action::"delete", resource) unless { context has approvals && context.approvals.count >= 3 };`,
		"the first may not decide":        `forbid (principal == User::"bob", action == Action::"approve", resource);`,
		"the second has to be of another": `forbid (principal, action in Action::"delete", resource) unless { context has approvals.second && context.approvals.second.by in Group::"leads" };`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "exeat.db")
			before := newRig(t, rigOptions{path: path, keys: keys, base: "http://127.0.0.1:1", policy: twoOfFinance})
			h := before.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
			for _, who := range []string{"bob", "carol"} {
				if _, err := before.approveAs(t, h, who, "finance"); err != nil {
					t.Fatal(err)
				}
			}
			after := newRig(t, rigOptions{path: path, keys: keys, base: "http://127.0.0.1:1", policy: twoOfFinance + more})
			after.run(t)
			if res := after.wait(t, h); res.Envelope.Code != PolicyChanged || res.Disposition != DeniedNotExecuted {
				t.Errorf("%s", res.JSON())
			}
		})
	}
}

// What one person granted is no second approval, and a hold of two takes no grant.
func TestGrantIsNoSecondApproval(t *testing.T) {
	r := newRig(t, rigOptions{policy: twoOfFinance})
	res := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`))
	var h store.Hold
	if err := r.Store.View(t.Context(), func(tx *store.Tx) (err error) { h, err = tx.Hold(res.Envelope.Handle); return err }); err != nil {
		t.Fatal(err)
	}
	who := door.Admit(approval.Person{Principal: authz.Principal{Type: "User", ID: "bob", Groups: []string{"finance"}}, AMR: []string{"otp"}}, time.Now().Add(time.Hour))
	grant := approval.Offer{Kind: approval.KindGrant, Reach: approval.ReachExact, Args: approval.ArgsSame, For: time.Minute}
	if _, err := approval.One(r.Holds.Decide(t.Context(), who, approval.Verdict{Approve: true, Hold: h.ID, Digest: h.Digest, Rule: &grant})); err == nil {
		t.Error("one person's grant is taken where two have to approve")
	}
}
