package approval

import (
	"testing"
	"time"

	"github.com/exeat/exeat/store"
)

// A login that grows old while another person reads takes nothing from who approved
// in time, and one that was old already approves nothing.
func TestLoginGrowsOldMeanwhile(t *testing.T) {
	w := newWorld(t, twoOfFinance, `permit (principal, action == Action::"approve", resource)
		when { principal has auth_time && context.now.durationSince(principal.auth_time) <= duration("5m") };`)
	h := w.open(call(alice, "k1"))
	fresh := func(id string) Person {
		p := of(id, "finance")
		p.Principal.AuthTime = w.Clock()
		return p
	}
	old := fresh("dave")
	if _, err := w.say(fresh("bob"), h, true); err != nil {
		t.Fatal(err)
	}
	w.Pass(30 * time.Minute)
	if _, err := w.say(old, h, true); err == nil {
		t.Error("a login of half an hour ago approves")
	}
	if got, err := w.say(fresh("carol"), h, true); err != nil || got.State != store.Approved {
		t.Fatalf("carol: %s with %d, %v", got.State, len(got.Earlier), err)
	}
	if claimed := w.claim(); len(claimed.Earlier) != 1 {
		t.Errorf("bob's approval does not count any more: %+v", claimed.Earlier)
	}
}
