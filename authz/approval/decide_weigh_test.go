package approval

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/store"
)

const (
	twoOfFinance = `permit (principal, action in Action::"call_tool", resource) when {
		context has approvals.second && context.approvals.first.by in Group::"finance" && context.approvals.second.by in Group::"finance" };`
	ownerThenFinance = `permit (principal, action in Action::"call_tool", resource) when {
		context has approvals.second && context.approvals.first.by == principal && context.approvals.second.by in Group::"finance" };`
	anybodyDecides = `permit (principal, action == Action::"approve", resource);`
)

// of is somebody of groups, by a login link.
func of(id string, groups ...string) Person {
	return Person{Principal: authz.Principal{Type: "User", ID: id, Groups: groups}, AMR: []string{"otp"}}
}

// say gives a verdict on a hold.
func (w *world) say(p Person, h store.Hold, approve bool) (store.Hold, error) {
	w.T.Helper()
	return w.Decide(w.T.Context(), p, h.ID, Verdict{Approve: approve, Digest: h.Digest})
}

func TestTwoOfAGroup(t *testing.T) {
	w := newWorld(t, twoOfFinance, anybodyDecides)
	w.restart(func(c *Config) { c.Notify = []string{"chat"} })
	h := w.open(call(alice, "k1"))
	if got, err := w.say(of("eve"), h, true); !errors.Is(err, ErrNoHelp) || got.State != store.Pending || len(got.Earlier) != 0 {
		t.Errorf("eve of no group: %s, %v", got.State, err)
	}
	first, err := w.say(of("bob", "finance"), h, true)
	if err != nil || first.State != store.Pending || len(first.Earlier) != 1 || first.Approval != nil {
		t.Fatalf("bob: %+v, %v", first, err)
	}
	if _, err := w.Claim(t.Context(), []string{"petstore"}, anyHold, "me", time.Minute); !errors.Is(err, ErrNotFound) {
		t.Errorf("it is sent after one approval: %v", err)
	}
	for name, p := range map[string]Person{
		"again":                    of("bob", "finance"),
		"by another login of his":  {Principal: authz.Principal{Type: "User", ID: "bob", Groups: []string{"finance", "leads"}, ACR: "urn:strong"}, AMR: []string{"hwk"}},
		"as if he had no group":    of("bob"),
		"with the address of bob'": {Principal: authz.Principal{Type: "User", ID: "bob", Groups: []string{"finance"}, Email: "carol@example.com"}},
	} {
		if got, err := w.say(p, h, true); !errors.Is(err, ErrTwice) || got.State != store.Pending || len(got.Earlier) != 1 {
			t.Errorf("%s: %s, %v", name, got.State, err)
		}
	}
	w.Pass(50 * time.Minute) // longer than an approval waits for its send
	second, err := w.say(of("carol", "finance"), h, true)
	if err != nil || second.State != store.Approved {
		t.Fatalf("carol: %s, %v", second.State, err)
	}
	if _, err := w.say(of("dave", "finance"), h, true); !errors.Is(err, ErrDecided) {
		t.Errorf("dave: %v", err)
	}
	claimed := w.claim()
	last, earlier, err := ApprovalOf(claimed)
	if err != nil || len(earlier) != 1 || earlier[0].By.ID != "bob" || last.By.ID != "carol" {
		t.Errorf("%+v %+v %v", last, earlier, err)
	}
	if want := []string{"hold", "approve User::bob", "approve User::carol"}; !cmp.Equal(want, w.Entries()) {
		t.Errorf("entries %v", w.Entries())
	}
	var notices int
	if err := w.Raw.QueryRow("SELECT count(*) FROM outbox").Scan(&notices); err != nil || notices != 2 {
		t.Errorf("%d notices, %v: one of the call, one that another person has to approve it", notices, err)
	}
}

func TestOrder(t *testing.T) {
	w := newWorld(t, ownerThenFinance, anybodyDecides)
	h := w.open(call(alice, "k1"))
	if _, err := w.say(of("bob", "finance"), h, true); !errors.Is(err, ErrNoHelp) {
		t.Errorf("finance before the owner: %v", err)
	}
	if got, err := w.say(of("alice"), h, true); err != nil || got.State != store.Pending {
		t.Fatalf("the owner: %s, %v", got.State, err)
	}
	if _, err := w.say(of("eve"), h, true); !errors.Is(err, ErrNoHelp) {
		t.Errorf("somebody else: %v", err)
	}
	if got, err := w.say(of("bob", "finance"), h, true); err != nil || got.State != store.Approved {
		t.Errorf("finance after the owner: %s, %v", got.State, err)
	}
}

// What each sees of a call that has one approval of two.
func TestWeight(t *testing.T) {
	w := newWorld(t, twoOfFinance, anybodyDecides, `permit (principal in Group::"auditors", action == Action::"see", resource);
		forbid (principal in Group::"auditors", action == Action::"approve", resource);`)
	h := w.open(call(alice, "k1"))
	look := func(p Person) Sight {
		t.Helper()
		v, err := w.Show(t.Context(), w.as(p), h.ID, false)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := look(of("bob", "finance")); v.Weight != Waits || len(v.Given) != 0 {
		t.Errorf("before any: %+v", v)
	}
	if _, err := w.say(of("bob", "finance"), h, true); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		who  Person
		want Weight
	}{
		"who has approved":     {of("bob", "finance"), Twice},
		"who makes it two":     {of("carol", "finance"), Sends},
		"who is of no group":   {of("eve"), NoHelp},
		"who only looks at it": {of("ada", "auditors"), ""},
	} {
		v := look(tt.who)
		if v.Weight != tt.want || len(v.Given) != 1 || v.Given[0].By != "User::bob" || v.MayDecide != (tt.want != "") {
			t.Errorf("%s: %+v", name, v)
		}
	}
	list, _, err := w.Waiting(t.Context(), w.as(of("bob", "finance")), false)
	if err != nil || len(list) != 1 || list[0].Weight != Twice || len(list[0].Given) != 1 {
		t.Errorf("the list of who has approved: %+v, %v", list, err)
	}
}

// Anybody who may decide ends it with a no, who has approved it as well.
func TestDenyEndsApprovals(t *testing.T) {
	for _, no := range []Person{of("carol", "finance"), of("eve"), of("bob", "finance")} {
		w := newWorld(t, twoOfFinance, anybodyDecides)
		h := w.open(call(alice, "k1"))
		if _, err := w.say(of("bob", "finance"), h, true); err != nil {
			t.Fatal(err)
		}
		if got, err := w.say(no, h, false); err != nil || got.State != store.Denied {
			t.Errorf("%s: %s, %v", no.Name(), got.State, err)
		}
		if _, err := w.say(of("dave", "finance"), h, true); !errors.Is(err, ErrDecided) {
			t.Errorf("dave after it: %v", err)
		}
	}
}

// Two at the same moment are two approvals, whoever comes first, and never one.
func TestTwoApproveAtOnce(t *testing.T) {
	w := newWorld(t, twoOfFinance, anybodyDecides)
	for i := range 10 {
		h := w.open(call(alice, fmt.Sprint(i)))
		errs := make([]error, 6)
		var group sync.WaitGroup
		for n := range errs {
			group.Go(func() { _, errs[n] = w.say(of([]string{"bob", "carol"}[n%2], "finance"), h, true) })
		}
		group.Wait()
		done := slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, ErrTwice) || errors.Is(err, ErrDecided) })
		if len(done) != 2 || done[0] != nil || done[1] != nil {
			t.Fatalf("%v", errs)
		}
		got := w.Stored(h.ID)
		if got.State != store.Approved || len(got.Earlier) != 1 || got.Earlier[0].ByName == got.Approval.ByName {
			t.Errorf("%+v", got)
		}
	}
}

// Whose approval does not count any more when another comes, or when the call is to
// be sent, is none of the two.
func TestFallenApprover(t *testing.T) {
	w := newWorld(t, twoOfFinance, anybodyDecides)
	h := w.open(call(alice, "k1"))
	other := w.open(call(alice, "k2"))
	for _, h := range []store.Hold{h, other} {
		if _, err := w.say(of("bob", "finance"), h, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.say(of("carol", "finance"), other, true); err != nil {
		t.Fatal(err)
	}
	stricter := approvaltest.New(t, twoOfFinance, anybodyDecides, `forbid (principal == User::"bob", action == Action::"approve", resource);`)
	w.restart(func(c *Config) { c.Engine = stricter.Engine })
	if v, err := w.Show(t.Context(), w.as(of("carol", "finance")), h.ID, false); err != nil || len(v.Given) != 0 || v.Weight != Waits {
		t.Errorf("what carol sees: %+v, %v", v, err)
	}
	got, err := w.say(of("carol", "finance"), h, true)
	if err != nil || got.State != store.Pending || len(got.Earlier) != 1 || got.Earlier[0].ByName != "User::carol" {
		t.Fatalf("carol: %+v, %v", got, err)
	}
	if got, err = w.say(of("dave", "finance"), h, true); err != nil || got.State != store.Approved {
		t.Errorf("dave: %s, %v", got.State, err)
	}
	claimed := w.claim()
	for claimed.ID != other.ID {
		claimed = w.claim()
	}
	if last, earlier, err := ApprovalOf(claimed); err != nil || len(earlier) != 0 || last.By.ID != "carol" {
		t.Errorf("the one that both approved before has %+v and %+v, %v", earlier, last, err)
	}
}

// No row that was altered, put together from others or put back adds an approval.
func TestForgedApprovals(t *testing.T) {
	begin := func(t *testing.T) (*world, store.Hold, store.Hold) {
		w := newWorld(t, twoOfFinance, anybodyDecides)
		h, other := w.open(call(alice, "k1")), w.open(call(alice, "k2"))
		if _, err := w.say(of("bob", "finance"), h, true); err != nil {
			t.Fatal(err)
		}
		return w, h, other
	}
	refused := func(t *testing.T, w *world, id string) {
		t.Helper()
		h := w.Stored(id)
		if got, err := w.say(of("carol", "finance"), h, true); err == nil {
			t.Errorf("carol's approval makes it %s", got.State)
		}
		if h, err := w.Claim(t.Context(), []string{"petstore"}, anyHold, "me", time.Minute); err == nil {
			t.Errorf("%s is sent", h.ID)
		}
	}
	w, h, _ := begin(t)
	for _, path := range approvaltest.Paths(w.Document("changing", h.ID)) {
		if !strings.HasPrefix(path, "Earlier") {
			continue
		}
		t.Run(path, func(t *testing.T) {
			w, h, _ := begin(t)
			w.Rewrite("changing", path, h.ID, true)
			refused(t, w, h.ID)
		})
	}
	t.Run("of another call", func(t *testing.T) {
		w, h, other := begin(t)
		w.SQL("UPDATE holds SET changing = (SELECT changing FROM holds WHERE id = $1) WHERE id = $2", h.ID, other.ID)
		refused(t, w, other.ID)
	})
	t.Run("twice", func(t *testing.T) {
		w, h, _ := begin(t)
		w.SQL(`UPDATE holds SET changing = json_set(CAST(changing AS TEXT), '$.Earlier[1]', json_extract(CAST(changing AS TEXT), '$.Earlier[0]')) WHERE id = $1`, h.ID)
		refused(t, w, h.ID)
	})
	t.Run("as the last", func(t *testing.T) {
		w, h, _ := begin(t)
		w.SQL(`UPDATE holds SET state = 'approved', changing = json_set(CAST(changing AS TEXT), '$.Approval', json_extract(CAST(changing AS TEXT), '$.Earlier[0]')) WHERE id = $1`, h.ID)
		refused(t, w, h.ID)
	})
	t.Run("put back after a denial", func(t *testing.T) {
		w, h, _ := begin(t)
		var was string
		var version int
		if err := w.Raw.QueryRow("SELECT changing, version FROM holds WHERE id = $1", h.ID).Scan(&was, &version); err != nil {
			t.Fatal(err)
		}
		if _, err := w.say(of("dave", "finance"), h, false); err != nil {
			t.Fatal(err)
		}
		w.SQL("UPDATE holds SET state = 'pending', changing = $1, version = $2 WHERE id = $3", was, version, h.ID)
		refused(t, w, h.ID)
	})
}

// A hold of which others approved takes no grant: one person's would not be enough.
func TestNoGrantAfterAnApproval(t *testing.T) {
	w := newWorld(t, twoOfFinance, anybodyDecides, `permit (principal, action in Action::"call_tool", resource) when { context has approval && !context.approval.once };`)
	h := w.open(call(alice, "k1"))
	if _, err := w.say(of("bob", "finance"), h, true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Give(t.Context(), of("carol", "finance"), h, narrow(h), Verdict{}); !errors.Is(err, ErrNoChoice) {
		t.Errorf("a grant: %v", err)
	}
	deny := narrow(h)
	deny.Kind = KindBlock
	if _, err := w.Give(t.Context(), of("carol", "finance"), h, deny, Verdict{}); err != nil || w.Stored(h.ID).State != store.Denied {
		t.Errorf("a block: %v, %s", err, w.Stored(h.ID).State)
	}
}

// Approvals of several together are weighed one by one.
func TestSeveralTogetherWait(t *testing.T) {
	w := newWorld(t, twoOfFinance, anybodyDecides)
	a, b := w.open(call(alice, "k1")), w.open(call(alice, "k2"))
	if _, err := w.say(of("bob", "finance"), a, true); err != nil {
		t.Fatal(err)
	}
	both := Verdict{Approve: true, Together: []Shown{{a.ID, a.Digest}, {b.ID, b.Digest}}}
	done, err := w.Service.Decide(t.Context(), w.as(of("bob", "finance")), both)
	if err != nil || !errors.Is(done[0].Err, ErrTwice) || done[1].Err != nil || done[1].Hold.State != store.Pending {
		t.Errorf("bob: %+v, %v", done, err)
	}
	done, err = w.Service.Decide(t.Context(), w.as(of("carol", "finance")), both)
	if err != nil || done[0].Err != nil || done[1].Err != nil || done[0].Hold.State != store.Approved || done[1].Hold.State != store.Approved {
		t.Errorf("carol: %+v, %v", done, err)
	}
}

// A budget that is used up, after which two have to approve, is counted when they do.
func TestApprovalsBesideABudget(t *testing.T) {
	w := newWorld(t, twoOfFinance, anybodyDecides, `permit (principal, action in Action::"call_tool", resource) when { context.usage.hour < 1 };`)
	h := w.open(call(alice, "k1"))
	e := entryOf(h, store.KindCall)
	e.Time, e.Txn, e.Hold = w.Clock(), "txn_0", ""
	if err := w.DB.Log(e)(); err != nil {
		t.Fatal(err)
	}
	if got, err := w.say(of("bob", "finance"), h, true); err != nil || got.State != store.Pending {
		t.Errorf("bob: %s, %v", got.State, err)
	}
}

// Who sees: by policy, and nothing of what is not theirs.
func TestWhoSees(t *testing.T) {
	w := newWorld(t, approvaltest.Waits, `
permit (principal, action == Action::"approve", resource) when { resource.requester == principal };
permit (principal in Group::"team", action == Action::"see", resource) when { resource.path like "/pets/*" };`)
	h := w.open(call(alice, "k1"))
	for name, tt := range map[string]struct {
		who                 Person
		sees, decides, owns bool
	}{
		"the owner": {Person{Principal: alice}, true, true, true},
		"the team":  {of("bob", "team"), true, false, false},
		"others":    {of("eve"), false, false, false},
	} {
		v, err := w.Show(t.Context(), w.as(tt.who), h.ID, true)
		if (err == nil) != tt.sees || !tt.sees && !errors.Is(err, ErrNotFound) || v.MayDecide != tt.decides || v.Revealed != tt.owns {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		list, _, err := w.Waiting(t.Context(), w.as(tt.who), false)
		if err != nil || len(list) == 1 != tt.sees {
			t.Errorf("the list of %s: %d, %v", name, len(list), err)
		}
		if _, err := w.State(t.Context(), w.as(tt.who), h.ID); (err == nil) != tt.sees {
			t.Errorf("the state for %s: %v", name, err)
		}
		got, err := w.say(tt.who, h, true)
		if !tt.decides && (!errors.Is(err, ErrForbidden) || errors.Is(err, ErrNotFound) == tt.sees || got.ID != "" != tt.sees) {
			t.Errorf("%s decides: %+v, %v", name, got.ID, err)
		}
		if tt.decides {
			if h = w.open(call(alice, "k "+name)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Who was ended since they approved is not one of the two, before the second approves
// and after it.
func TestEndedApprover(t *testing.T) {
	w := newWorld(t, twoOfFinance, anybodyDecides)
	h, other := w.open(call(alice, "k1")), w.open(call(alice, "k2"))
	for _, h := range []store.Hold{h, other} {
		if _, err := w.say(of("bob", "finance"), h, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.say(of("carol", "finance"), other, true); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Second)
	if _, err := w.EndUser(t.Context(), End{Subject: "User::bob", By: Operator("root"), Cause: "account-disabled"}); err != nil {
		t.Fatal(err)
	}
	if got, err := w.say(of("carol", "finance"), h, true); err != nil || got.State != store.Pending || len(got.Earlier) != 1 {
		t.Errorf("with carol's approval it is %s with %d, %v", got.State, len(got.Earlier), err)
	}
	claimed := w.claim() // which asks the policies again, with what is left
	if last, earlier, err := ApprovalOf(claimed); err != nil || claimed.ID != other.ID || len(earlier) != 0 || last.By.ID != "carol" {
		t.Errorf("%s has %+v and %+v, %v", claimed.ID, earlier, last, err)
	}
}
