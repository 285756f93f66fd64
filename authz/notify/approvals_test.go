package notify

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

const twoOfFinance = `permit (principal, action in Action::"call_tool", resource) when {
	context has approvals.second && context.approvals.first.by in Group::"finance" && context.approvals.second.by in Group::"finance" };
permit (principal, action == Action::"approve", resource);`

func of(id string, groups ...string) authz.Principal {
	return authz.Principal{Type: "User", ID: id, Groups: groups}
}

func (w *world) approveAs(who authz.Principal, h store.Hold) {
	w.T.Helper()
	p := w.door.Admit(approval.Person{Principal: who, AMR: []string{"otp"}}, w.Clock().Add(time.Hour))
	if _, err := approval.One(w.Service.Decide(w.T.Context(), p, approval.Verdict{Approve: true, Hold: h.ID, Digest: h.Digest})); err != nil {
		w.T.Fatal(err)
	}
}

// After an approval that is not enough those are told who can give the next one, and
// neither who gave it nor who could not help.
func TestToldOfTheNextApproval(t *testing.T) {
	p := newPushService(t)
	w, n := pushWorld(t, p, twoOfFinance)
	for _, who := range []authz.Principal{of("bob", "finance"), of("carol", "finance"), of("eve")} {
		w.subscribe(p, who, "/"+who.ID)
	}
	h := w.open(call(alice, "k1"))
	n.run(t)
	if got := p.taken(); len(got) != 2 {
		t.Errorf("%d are told of the call, want bob and carol: %v", len(got), got)
	}
	w.approveAs(of("bob", "finance"), h)
	n.run(t)
	if got := p.taken(); len(got) != 1 || !strings.Contains(got[0].Text, "1 approved it; another person has to") {
		t.Errorf("after bob's approval: %+v", got)
	}
	w.approveAs(of("carol", "finance"), h)
	n.run(t)
	if got := p.taken(); len(got) != 0 {
		t.Errorf("after carol's: %v", got)
	}
}

// Channels are told once more, and once where the first message was not sent yet.
func TestChannelsOfTheNextApproval(t *testing.T) {
	w, r := newWorld(t, twoOfFinance), newReceiver(t)
	n := w.notifier(machine(t, "siem", r))
	first, second := w.open(call(alice, "k1")), w.open(call(alice, "k2"))
	w.approveAs(of("bob", "finance"), second)
	n.run(t)
	if got, _ := r.taken(); len(got) != 2 {
		t.Errorf("%d messages about two calls, of which one has an approval: %v", len(got), got)
	}
	w.approveAs(of("bob", "finance"), first)
	n.run(t)
	got, _ := r.taken()
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	var body struct {
		Type string `json:"type"`
		Data event  `json:"data"`
	}
	if err := json.Unmarshal([]byte(got[0]), &body); err != nil || body.Type != "hold.waits" || body.Data.Approvals != 1 || body.Data.Hold != first.ID || strings.Contains(got[0], "bob") {
		t.Errorf("%s: %v", got[0], err)
	}
}
