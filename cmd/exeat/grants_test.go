package main

import (
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/tools"
)

func TestGrantsInATerminal(t *testing.T) {
	g, _ := newShopGateway(t)
	who := terminal(g.cfg)
	if code, out := exeat(t, g.inbox.LoginLink()+"\n", "approvals", "login"); code != 0 {
		t.Fatal(code, out)
	}
	if code, out := exeat(t, "", "grants", "list"); code != 0 || !strings.Contains(out, "nothing was said") {
		t.Error(code, out)
	}
	handle := g.runner.Call(t.Context(), who, "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	h, err := g.holds.Get(t.Context(), approval.Asker{Principal: who.Principal, Agent: who.Agent}, handle)
	if err != nil {
		t.Fatal(err)
	}
	alice := g.door.Admit(approval.Person{Principal: authz.Principal{Type: "User", ID: "alice"}, AMR: []string{"otp"}}, time.Now().Add(time.Hour))
	list, err := g.holds.Decide(t.Context(), alice, approval.Verdict{Approve: true, Hold: handle, Digest: h.Digest,
		Rule: &approval.Offer{Kind: approval.KindGrant, Reach: approval.ReachAny, Args: approval.ArgsAny, For: time.Minute}})
	if err != nil || list[0].Err != nil {
		t.Fatal(err, list)
	}
	rule := list[0].Rule
	if code, out := exeat(t, "", "grants", "list"); code != 0 || !strings.Contains(out, rule.ID) || !strings.Contains(out, "any arguments") {
		t.Error(code, out)
	}
	if code, out := exeat(t, "", "grants", "revoke", rule.ID); code != 0 {
		t.Error(code, out)
	}
	if code, out := exeat(t, "", "grants", "revoke", "grant_nothing"); code != 1 {
		t.Error(code, out)
	}
	if code, out := exeat(t, "", "agents", "stop", who.Agent.ID); code != 0 || !strings.Contains(out, "stopped") {
		t.Error(code, out)
	}
	if code, out := exeat(t, "", "agents", "list"); code != 0 || !strings.Contains(out, "stopped") {
		t.Error(code, out)
	}
	if res := g.runner.Call(t.Context(), who, "get_pet", []byte(`{"petId":2}`)); res.Envelope.Code != tools.PolicyDenied {
		t.Errorf("%s", res.JSON())
	}
	if code, out := exeat(t, "", "agents", "start", who.Agent.ID); code != 0 {
		t.Error(code, out)
	}
	if res := g.runner.Call(t.Context(), who, "get_pet", []byte(`{"petId":2}`)); res.Envelope.Status != tools.Done {
		t.Errorf("%s", res.JSON())
	}
}
