package approval

import (
	"testing"

	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/store"
)

const byPasskey = `permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.phishing_resistant };`

// Who has the passkey that a policy asks for is told of others' calls, and who has none
// is not: they could do nothing about them.
func TestToldWhoHasAPasskey(t *testing.T) {
	w := newWorld(t, byPasskey, anybodyDecides)
	h := w.open(call(bob, "k1"))
	told := func() (tell bool) {
		t.Helper()
		err := w.DB.View(t.Context(), func(tx *store.Tx) (err error) {
			_, tell, err = w.Told(t.Context(), tx, h.ID, &Addressee{Name: alice.Name(), Principal: alice})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return tell
	}
	if told() {
		t.Error("alice is told, and has no passkey")
	}
	w.addKey("one")
	if !told() {
		t.Error("alice is not told, and has a passkey")
	}
	w.attack("DELETE FROM passkeys")
	if told() {
		t.Error("alice is told, and her passkeys are not as the log says")
	}
}

// Where the call wants a passkey that the person has not, they are told so before they
// approve it in vain.
func TestAPasskeyWouldHelp(t *testing.T) {
	for name, tt := range map[string]struct {
		policy string
		want   StepUp
	}{
		"a passkey would":     {byPasskey, StepUpPasskey},
		"nor would a passkey": {twoOfFinance, NoStepUp},
		"it goes as it is":    {approvaltest.Waits, NoStepUp},
	} {
		w := newWorld(t, tt.policy, anybodyDecides)
		v, err := w.Show(t.Context(), w.as(of("bob")), w.open(call(alice, "k1")).ID, false)
		if err != nil || v.StepUp != tt.want || (v.Weight == NoHelp) != (name != "it goes as it is") {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}
