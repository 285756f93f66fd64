package approval

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/store"
)

var apis = []string{"petstore"}

func TestClaim(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing: %v", err)
	}
	h := w.open(call(alice, "k1"))
	if _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); !errors.Is(err, ErrNotFound) {
		t.Errorf("pending: %v", err)
	}
	w.approve(h)
	for _, other := range [][]string{nil, {}, {"other"}} {
		if _, err := w.Claim(t.Context(), other, anyHold, "me", time.Minute); !errors.Is(err, ErrNotFound) {
			t.Errorf("for %v: %v", other, err)
		}
	}
	got := w.claim()
	if got.ID != h.ID || got.State != store.Sending || got.Owner != "me" || !got.Lease.Equal(w.Clock().Add(time.Minute)) {
		t.Errorf("claimed %+v", got)
	}
	if d := cmp.Diff(w.Stored(h.ID), got); d != "" {
		t.Errorf("returned (-stored +returned):\n%s", d)
	}
	if _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); !errors.Is(err, ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
}

func TestClaimTooLate(t *testing.T) {
	w := newWorld(t)
	h := w.approve(w.open(call(alice, "k1")))
	w.Pass(5 * time.Minute)
	if _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); !errors.Is(err, ErrNotFound) {
		t.Errorf("after the approval's end: %v", err)
	}
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.Stored(h.ID).State; got != store.Expired {
		t.Errorf("it is %s", got)
	}
}

// The approval counts from the decision, not from the hold's own time.
func TestClaimAfterHoldTime(t *testing.T) {
	w := newWorld(t)
	h := w.open(call(alice, "k1"))
	w.Pass(time.Hour - time.Second)
	w.approve(h)
	w.Pass(time.Minute)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.claim()
}

func TestClaimOnce(t *testing.T) {
	w := newWorld(t)
	w.approve(w.open(call(alice, "k1")))
	var claimed atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			switch _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); {
			case err == nil:
				claimed.Add(1)
			case !errors.Is(err, ErrNotFound):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := claimed.Load(); n != 1 {
		t.Errorf("claimed %d times", n)
	}
}

func TestTampered(t *testing.T) {
	set := func(path, value string) string {
		return "UPDATE holds SET changing = json_set(CAST(changing AS TEXT), '" + path + "', " + value + ") WHERE state = 'approved'"
	}
	setFixed := func(path, value string) string {
		return "UPDATE holds SET fixed = json_set(CAST(fixed AS TEXT), '" + path + "', " + value + ")"
	}
	setBulk := func(path, value string) string { return strings.ReplaceAll(setFixed(path, value), "fixed", "bulk") }
	tests := []struct {
		name, sql string
		approve   bool
	}{
		{"approved by hand", "UPDATE holds SET state = 'approved'", false},
		{"another person", set("$.Approval.by", `json('{"type":"User","id":"mallory"}')`), true},
		{"another name", set("$.Approval.by_name", "'User::mallory'"), true},
		{"a longer time", set("$.Approval.expires", "'2030-01-01T00:00:00Z'"), true},
		{"an earlier time", set("$.Approval.at", "'2020-01-01T00:00:00Z'"), true},
		{"for good", set("$.Approval.once", "json('false')"), true},
		{"a stronger login", set("$.Approval.amr", `json('["hwk"]')`), true},
		{"methods that run together", set("$.Approval.amr", `json('["ot","p"]')`), true},
		{"no proof", set("$.Approval.proof", "null"), true},
		{"another proof", set("$.Approval.proof", "'AAAA'"), true},
		{"another request", setFixed("$.Digest", "'"+strings.Repeat("f", 64)+"'"), true},
		{"another tool", setFixed("$.Tool", "'get_pet'"), true},
		{"another effect", setFixed("$.Effect", "'read'"), true},
		{"another asker", setFixed("$.Principal", `json('{"type":"User","id":"mallory"}')`), true},
		{"another subject", "UPDATE holds SET subject = 'User::mallory'", true},
		{"another agent", setFixed("$.Agent", `json('{"id":"x","verified":true}')`), true},
		{"other arguments", setBulk("$.Args", `json('{"id":43}')`), true},
		{"other details", setFixed("$.Details", `json('{"a":1}')`), true},
		{"another call", setFixed("$.Txn", "'txn_2'"), true},
		{"another hold", "UPDATE holds SET id = 'hold_other'", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			h := w.open(call(alice, "k1"))
			if tt.approve {
				w.approve(h)
			}
			w.SQL(tt.sql)
			if tt.name == "another hold" {
				h.ID = "hold_other"
			}
			_, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute)
			if !errors.Is(err, ErrTampered) || !strings.Contains(err.Error(), h.ID) {
				t.Fatalf("claim: %v", err)
			}
			if got := w.Stored(h.ID); got.State != store.Refused || got.Result != nil {
				t.Errorf("it is %s with %q", got.State, got.Result)
			}
			if got := w.Entries(); got[len(got)-1] != "refuse tampered" {
				t.Errorf("entries %v", got)
			}
			if _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); !errors.Is(err, ErrNotFound) {
				t.Errorf("again: %v", err)
			}
		})
	}
}

func TestProofKeepsFieldsApart(t *testing.T) {
	w := newWorld(t)
	one := w.prove(store.Hold{ID: "ab", Digest: "c"}, store.Approval{})
	two := w.prove(store.Hold{ID: "a", Digest: "bc"}, store.Approval{})
	if string(one) == string(two) {
		t.Error("fields run together")
	}
}

// What a person reads cannot be changed before the decision either.
func TestSealed(t *testing.T) {
	for name, sql := range map[string]string{
		"a header":      `UPDATE holds SET bulk = json_set(CAST(bulk AS TEXT), '$.Request.header', json('{"X-Env":["production"]}'))`,
		"an argument":   `UPDATE holds SET bulk = json_set(CAST(bulk AS TEXT), '$.Args', json('{"petId":2}'))`,
		"the summary":   `UPDATE holds SET fixed = json_set(CAST(fixed AS TEXT), '$.Summary', 'harmless')`,
		"more groups":   `UPDATE holds SET fixed = json_set(CAST(fixed AS TEXT), '$.Principal', json('{"type":"User","id":"alice","groups":["admins"]}'))`,
		"the policies":  `UPDATE holds SET fixed = json_set(CAST(fixed AS TEXT), '$.Policies', json('["other"]'))`,
		"a longer wait": `UPDATE holds SET expires = expires + 1`,
		"another api":   `UPDATE holds SET api = 'other'`,
		"another asker": `UPDATE holds SET subject = 'User::bob'`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := w.open(call(alice, "k1"))
			w.SQL(sql)
			if _, err := w.Decide(t.Context(), Person{Principal: alice}, h.ID, Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, ErrTampered) {
				t.Errorf("decided: %v", err)
			}
		})
	}
}

// A hold that was sent is not sent again because the database says so.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	w.approve(w.open(call(alice, "k1")))
	h := w.claim()
	if _, err := w.Finish(t.Context(), h, Finish{Result: []byte("{}")}, store.Entry{Kind: store.KindOutcome}); err != nil {
		t.Fatal(err)
	}
	w.SQL("UPDATE holds SET state = 'approved', lease = 0")
	if _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); !errors.Is(err, ErrTampered) {
		t.Errorf("claimed again: %v", err)
	}
}

// The verdict of a process with other policies does not count here.
func TestOtherPoliciesDecided(t *testing.T) {
	w := newWorld(t)
	w.approve(w.open(call(alice, "k1")))
	strict := newWorld(t, `permit (principal, action == Action::"approve", resource) unless { resource.requester == principal };`)
	w.c.Engine = strict.World.Engine
	if _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); !errors.Is(err, ErrForbidden) {
		t.Errorf("claimed: %v", err)
	}
}

// A tampered hold does not keep an honest one from being sent.
func TestTamperedFirst(t *testing.T) {
	w := newWorld(t)
	w.open(call(alice, "k1"))
	w.SQL("UPDATE holds SET state = 'approved'")
	w.Pass(time.Second)
	good := w.approve(w.open(call(alice, "k2")))
	if _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); !errors.Is(err, ErrTampered) {
		t.Fatal(err)
	}
	if got := w.claim(); got.ID != good.ID {
		t.Errorf("claimed %s", got.ID)
	}
}

func TestProofOfOddNames(t *testing.T) {
	odd := authz.Principal{Type: "User", ID: "<al&ice>\u2028\"", Email: "a@b"}
	w := newWorld(t, approvaltest.Waits, `permit (principal, action == Action::"approve", resource);`)
	h := w.open(call(alice, "k1"))
	if _, err := w.Decide(t.Context(), Person{Principal: odd}, h.ID, Verdict{Approve: true, Digest: h.Digest}); err != nil {
		t.Fatal(err)
	}
	a, _, err := ApprovalOf(w.claim())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(odd, a.By); d != "" {
		t.Errorf("by (-want +got):\n%s", d)
	}
}

// Without a key nothing is proven.
func TestNoKey(t *testing.T) {
	w := newWorld(t)
	w.c.Key = nil
	h := w.open(call(alice, "k1"))
	if _, err := w.Decide(t.Context(), Person{Principal: alice}, h.ID, Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, ErrTampered) {
		t.Errorf("decided without a key: %v", err)
	}
}

func TestFinish(t *testing.T) {
	result := []byte(`{"status":"done"}`)
	for _, tt := range []struct {
		event Event
		kind  string
		want  store.State
	}{
		{Finish{Result: result}, "outcome", store.Done},
		{Refuse{Result: result}, "refuse", store.Refused},
		{Lose{Result: result}, "unknown", store.Unknown},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			w := newWorld(t)
			w.approve(w.open(call(alice, "k1")))
			h := w.claim()
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			got, err := w.Finish(gone, h, tt.event, store.Entry{Kind: store.Kind(tt.kind), Hold: h.ID})
			if err != nil {
				t.Fatal(err)
			}
			stored := w.Stored(h.ID)
			if d := cmp.Diff(stored, got); d != "" {
				t.Errorf("returned (-stored +returned):\n%s", d)
			}
			if stored.State != tt.want || string(stored.Result) != string(result) {
				t.Errorf("it is %s with %q", stored.State, stored.Result)
			}
			if got := w.Entries(); got[len(got)-1] != tt.kind {
				t.Errorf("entries %v", got)
			}
			before := len(w.Entries())
			if _, err := w.Finish(t.Context(), h, Finish{}, store.Entry{Kind: store.KindOutcome}); !errors.Is(err, ErrDecided) {
				t.Errorf("twice: %v", err)
			}
			if len(w.Entries()) != before {
				t.Error("the second wrote an entry")
			}
		})
	}
}

func TestFinishOnlyOnesOwn(t *testing.T) {
	w := newWorld(t)
	h := w.approve(w.open(call(alice, "k1")))
	if _, err := w.Finish(t.Context(), h, Refuse{}, store.Entry{Kind: store.KindRefuse}); err == nil {
		t.Error("finished without a claim")
	}
	h = w.claim()
	if _, err := w.Finish(t.Context(), h, Deny{}, store.Entry{Kind: store.KindDeny}); err == nil {
		t.Error("a send ended with a denial")
	}
	h.Owner = "another"
	if _, err := w.Finish(t.Context(), h, Finish{}, store.Entry{Kind: store.KindOutcome}); err == nil {
		t.Error("finished another's claim")
	}
}

func TestSweep(t *testing.T) {
	w := newWorld(t)
	pending := w.open(call(alice, "k1"))
	w.approve(w.open(call(alice, "k2")))
	sent := w.claim()
	approved := w.approve(w.open(call(alice, "k3")))

	states := func() [3]store.State {
		return [3]store.State{w.Stored(pending.ID).State, w.Stored(approved.ID).State, w.Stored(sent.ID).State}
	}
	for _, tt := range []struct {
		pass time.Duration
		want [3]store.State
	}{
		{time.Minute - time.Microsecond, [3]store.State{store.Pending, store.Approved, store.Sending}},
		{time.Microsecond, [3]store.State{store.Pending, store.Approved, store.Unknown}},
		{4 * time.Minute, [3]store.State{store.Pending, store.Expired, store.Unknown}},
		{time.Hour, [3]store.State{store.Expired, store.Expired, store.Unknown}},
	} {
		w.Pass(tt.pass)
		if err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := states(); got != tt.want {
			t.Errorf("after %v more: %v, want %v", tt.pass, got, tt.want)
		}
	}
	// Whoever comes back after the lease does not rewrite what was said.
	if _, err := w.Finish(t.Context(), sent, Finish{Result: []byte("late")}, store.Entry{Kind: store.KindOutcome}); !errors.Is(err, ErrDecided) {
		t.Errorf("finished after its lease: %v", err)
	}
	got := w.Entries()
	if d := cmp.Diff([]string{"unknown outcome_unknown", "expire", "expire"}, got[len(got)-3:]); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}
