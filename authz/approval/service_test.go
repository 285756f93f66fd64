package approval

import (
	"context"
	"errors"
	"fmt"
	"regexp"
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

func TestOpen(t *testing.T) {
	w := newWorld(t)
	want := call(alice, "k1")
	h := w.open(want)
	if !regexp.MustCompile(`^hold_[a-z2-7]{26}$`).MatchString(h.ID) {
		t.Errorf("handle %q", h.ID)
	}
	want.ID, want.Version, want.State = h.ID, 1, store.Pending
	want.Created, want.Changed, want.Expires = w.Clock(), w.Clock(), w.Clock().Add(time.Hour)
	want.Seal, want.Mark, want.Path = h.Seal, h.Mark, "/pets/42"
	if d := cmp.Diff(want, w.Stored(h.ID)); d != "" {
		t.Errorf("stored (-want +got):\n%s", d)
	}
	var got store.Entry
	if err := w.c.Store.Entries(t.Context(), 0, func(e store.Entry) error { got = e; return nil }); err != nil {
		t.Fatal(err)
	}
	entry := store.Entry{Seq: 1, Time: w.Clock(), Kind: "hold", Txn: "txn_1", Principal: "User::alice", Agent: "claude-desktop", Session: "s1",
		API: "petstore", Tool: "delete_pet", Method: "DELETE", Path: "/pets/42", Digest: h.Digest, Decision: "hold",
		Policies: h.Policies, PolicySet: "p1", Hold: h.ID, Prev: got.Prev, Hash: got.Hash}
	if d := cmp.Diff(entry, got); d != "" {
		t.Errorf("entry (-want +got):\n%s", d)
	}
}

func TestOpenAgain(t *testing.T) {
	w := newWorld(t)
	first := w.open(call(alice, "k1"))
	for range 3 {
		if again := w.open(call(alice, "k1")); again.ID != first.ID {
			t.Fatalf("%s is a second hold, after %s", again.ID, first.ID)
		}
	}
	if other := w.open(call(alice, "k2")); other.ID == first.ID {
		t.Error("another call got the same hold")
	}
	if h, err := w.Open(t.Context(), call(bob, "k1")); err == nil {
		t.Errorf("bob got alice's hold %s by its key", h.ID)
	}
	// One that is over makes room for a new one, though no sweep has seen it.
	w.Pass(time.Hour)
	second := w.open(call(alice, "k1"))
	if second.ID == first.ID {
		t.Error("an expired hold came back")
	}
	if got := w.Stored(first.ID).State; got != store.Expired {
		t.Errorf("the first is %s", got)
	}
	if d := cmp.Diff([]string{"hold", "hold", "expire", "hold"}, w.Entries()); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

func TestOpenManyAtOnce(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	ids := map[string]bool{}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			h, err := w.Open(t.Context(), call(alice, "k1"))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[h.ID] = true
		})
	}
	group.Wait()
	if len(ids) != 1 || len(w.Entries()) != 1 {
		t.Errorf("%d holds and %v for one call", len(ids), w.Entries())
	}
}

func TestOpenTooMany(t *testing.T) {
	w := newWorld(t)
	w.c.MaxOpen = 2
	first := w.open(call(alice, "k1"))
	w.Pass(time.Minute)
	w.open(call(alice, "k2"))
	if _, err := w.Open(t.Context(), call(alice, "k3")); !errors.Is(err, ErrTooMany) {
		t.Fatalf("a third: %v", err)
	}
	w.open(call(bob, "k4"))
	w.Pass(59 * time.Minute) // the first is over
	w.open(call(alice, "k3"))
	if got := w.Stored(first.ID).State; got != store.Expired {
		t.Errorf("the first is %s", got)
	}
}

func TestGet(t *testing.T) {
	w := newWorld(t)
	h := w.open(call(alice, "k1"))
	if _, err := w.Get(t.Context(), asker("User::bob"), h.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("bob reads it: %v", err)
	}
	if _, err := w.Get(t.Context(), asker("User::alice"), "hold_nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such handle: %v", err)
	}
	if _, err := w.Cancel(t.Context(), asker("User::bob"), h.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("bob cancels it: %v", err)
	}
	w.Pass(time.Hour - time.Microsecond)
	if got, err := w.Get(t.Context(), asker("User::alice"), h.ID); err != nil || got.State != store.Pending {
		t.Errorf("a moment before its end: %s, %v", got.State, err)
	}
	w.Pass(time.Microsecond)
	if got, err := w.Get(t.Context(), asker("User::alice"), h.ID); err != nil || got.State != store.Expired {
		t.Errorf("at its end: %s, %v", got.State, err)
	}
	if list, err := w.List(t.Context(), asker("User::alice")); err != nil || len(list) != 0 {
		t.Errorf("the list still has %d, %v", len(list), err)
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 3 {
		want = append(want, w.open(call(alice, fmt.Sprint(i))).ID)
		w.Pass(time.Second)
	}
	w.open(call(bob, "b"))
	list, err := w.List(t.Context(), asker("User::alice"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range list {
		got = append(got, h.ID)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("oldest first (-want +got):\n%s", d)
	}
	if list, err := w.List(t.Context(), asker("")); err != nil || len(list) != 0 {
		t.Errorf("nobody has %d holds, %v", len(list), err)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	h := w.open(call(alice, "k1"))
	if got, err := w.Cancel(t.Context(), asker("User::alice"), h.ID); err != nil || got.State != store.Cancelled {
		t.Fatalf("%s, %v", got.State, err)
	}
	if _, err := w.Decide(t.Context(), Person{Principal: alice}, h.ID, Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, ErrDecided) {
		t.Errorf("approved after it was withdrawn: %v", err)
	}
	other := w.approve(w.open(call(alice, "k2")))
	if _, err := w.Cancel(t.Context(), asker("User::alice"), other.ID); !errors.Is(err, ErrDecided) {
		t.Errorf("cancelled after the approval: %v", err)
	}
	if d := cmp.Diff([]string{"hold", "cancel", "hold", "approve User::alice"}, w.Entries()); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

func TestDecide(t *testing.T) {
	person := Person{Principal: alice, AMR: []string{"otp"}}
	digest := call(alice, "").Digest
	tests := []struct {
		name    string
		who     authz.Principal
		verdict Verdict
		after   time.Duration
		want    error
		state   store.State
		entry   string
	}{
		{"approve", alice, Verdict{Approve: true, Digest: digest}, 0, nil, store.Approved, "approve User::alice"},
		{"deny", alice, Verdict{Digest: digest, Reason: "not on Fridays"}, 0, nil, store.Denied, "deny User::alice"},
		{"another digest", alice, Verdict{Approve: true, Digest: strings.Repeat("0", 64)}, 0, ErrDigest, store.Pending, ""},
		{"no digest", alice, Verdict{Approve: true}, 0, ErrDigest, store.Pending, ""},
		{"part of the digest", alice, Verdict{Approve: true, Digest: digest[:8]}, 0, ErrDigest, store.Pending, ""},
		{"late", alice, Verdict{Approve: true, Digest: digest}, time.Hour, ErrExpired, store.Pending, ""},
		{"somebody else", bob, Verdict{Approve: true, Digest: digest}, 0, ErrForbidden, store.Pending, "approve forbidden User::bob"},
		{"somebody else's no", bob, Verdict{Digest: digest}, 0, ErrForbidden, store.Pending, "deny forbidden User::bob"},
		{"a workload", authz.Principal{Type: "Workload", ID: "alice"}, Verdict{Approve: true, Digest: digest}, 0, ErrForbidden, store.Pending, "approve forbidden Workload::alice"},
		{"long reason", alice, Verdict{Digest: digest, Reason: strings.Repeat("é", 501)}, 0, ErrReason, store.Pending, ""},
		{"longest reason", alice, Verdict{Digest: digest, Reason: strings.Repeat("é", 500)}, 0, nil, store.Denied, "deny User::alice"},
		{"reason that is no text", alice, Verdict{Digest: digest, Reason: "\xff"}, 0, ErrReason, store.Pending, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			h := w.open(call(alice, "k1"))
			w.Pass(tt.after)
			person.Principal = tt.who
			got, err := w.Decide(t.Context(), person, h.ID, tt.verdict)
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			stored := w.Stored(h.ID)
			if stored.State != tt.state {
				t.Errorf("it is %s, want %s", stored.State, tt.state)
			}
			if err == nil {
				if d := cmp.Diff(stored, got); d != "" {
					t.Errorf("returned (-stored +returned):\n%s", d)
				}
			}
			want := []string{"hold"}
			if tt.entry != "" {
				want = append(want, tt.entry)
			}
			if d := cmp.Diff(want, w.Entries()); d != "" {
				t.Errorf("entries (-want +got):\n%s", d)
			}
		})
	}
}

func TestDecideFourEyes(t *testing.T) {
	w := newWorld(t, approvaltest.Waits, `permit (principal, action == Action::"approve", resource) unless { principal == resource.requester };`)
	h := w.open(call(alice, "k1"))
	if _, err := w.Decide(t.Context(), Person{Principal: alice}, h.ID, Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, ErrForbidden) {
		t.Errorf("alice decides her own: %v", err)
	}
	got, err := w.Decide(t.Context(), Person{Principal: bob, AMR: []string{"otp"}}, h.ID, Verdict{Approve: true, Digest: h.Digest})
	if err != nil || got.State != store.Approved {
		t.Fatalf("bob: %s, %v", got.State, err)
	}
	a, _, err := ApprovalOf(got)
	if err != nil {
		t.Fatal(err)
	}
	want := &authz.ApprovalContext{By: bob, Once: true, At: w.Clock(), Expires: w.Clock().Add(5 * time.Minute), AMR: []string{"otp"}}
	if d := cmp.Diff(want, a); d != "" {
		t.Errorf("approval (-want +got):\n%s", d)
	}
}

func TestDecideOnce(t *testing.T) {
	w := newWorld(t, approvaltest.Waits, `permit (principal, action == Action::"approve", resource);`)
	for i := range 10 {
		h := w.open(call(alice, fmt.Sprint(i)))
		errs := make([]error, 2)
		var group sync.WaitGroup
		for n, who := range []authz.Principal{alice, bob} {
			group.Go(func() {
				_, errs[n] = w.Decide(t.Context(), Person{Principal: who}, h.ID, Verdict{Approve: n == 0, Digest: h.Digest})
			})
		}
		group.Wait()
		winner := slices.Index(errs, nil)
		if winner < 0 || !errors.Is(errs[1-winner], ErrDecided) {
			t.Fatalf("alice: %v, bob: %v", errs[0], errs[1])
		}
		want := []store.State{store.Approved, store.Denied}[winner]
		if got := w.Stored(h.ID).State; got != want {
			t.Errorf("it is %s, want %s", got, want)
		}
	}
}

func TestWait(t *testing.T) {
	w := newWorld(t)
	h := w.open(call(alice, "k1"))
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := w.Wait(short, asker("User::alice"), h.ID, nil); err != nil || got.State != store.Pending {
		t.Errorf("after the end of ctx: %s, %v", got.State, err)
	}
	if _, err := w.Wait(t.Context(), asker("User::bob"), h.ID, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("bob waits: %v", err)
	}
	got := make(chan store.Hold)
	go func() {
		h, err := w.Wait(t.Context(), asker("User::alice"), h.ID, nil)
		if err != nil {
			t.Error(err)
		}
		got <- h
	}()
	w.approve(h)
	if _, err := w.Finish(t.Context(), w.claim(), Finish{Result: []byte("{}")}, store.Entry{Kind: store.KindOutcome}); err != nil {
		t.Fatal(err)
	}
	if h := <-got; h.State != store.Done {
		t.Errorf("waited for %s", h.State)
	}
}

func TestWaitExpiry(t *testing.T) {
	w := newWorld(t)
	w.c.Now, w.c.TTL = time.Now, 20*time.Millisecond
	h := w.open(call(alice, "k1"))
	if h, err := w.Wait(t.Context(), asker("User::alice"), h.ID, nil); err != nil || h.State != store.Expired {
		t.Errorf("waited for %s, %v", h.State, err)
	}
}

func TestTimes(t *testing.T) {
	w := newWorld(t)
	w.c.TTL, w.c.ApprovedFor = time.Minute, time.Second
	h := w.open(call(alice, "k1"))
	if !h.Expires.Equal(w.Clock().Add(time.Minute)) {
		t.Errorf("waits until %v", h.Expires)
	}
	if h = w.approve(h); !h.Approval.Expires.Equal(w.Clock().Add(time.Second)) {
		t.Errorf("approved until %v", h.Approval.Expires)
	}
}

// A hold that does not say who asks is nobody's to decide, and an approval that
// does not say who gave it is none.
func TestUnreadable(t *testing.T) {
	w := newWorld(t, `permit (principal, action == Action::"approve", resource);`)
	h := call(alice, "k1")
	h.Principal = []byte(`[]`)
	h = w.open(h)
	if _, err := w.Decide(t.Context(), Person{Principal: alice}, h.ID, Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, ErrForbidden) {
		t.Errorf("decided: %v", err)
	}
	if _, _, err := ApprovalOf(h); err == nil {
		t.Error("no approval was read")
	}
	h.Approval = &store.Approval{By: []byte(`[]`)}
	if _, _, err := ApprovalOf(h); err == nil {
		t.Error("an approval by nobody was read")
	}
}

// BenchmarkHold is the whole life of a held call: four commits.
func BenchmarkHold(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		w.approve(w.open(call(alice, "k")))
		if _, err := w.Finish(b.Context(), w.claim(), Finish{}, store.Entry{Kind: store.KindOutcome}); err != nil {
			b.Fatal(err)
		}
	}
}
