package approval

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/store"
)

// What only looks different in the database is the same hold: the rows above
// fail because of what they alter.
func TestRewrittenHold(t *testing.T) {
	for _, stage := range stages {
		w := newWorld(t)
		h := stage.to(w, w.open(rich("k1")))
		for _, column := range []string{"fixed", "bulk", "changing"} {
			for _, path := range approvaltest.Paths(w.Document(column, h.ID)) {
				w.Rewrite(column, path, h.ID, false)
			}
		}
		if got := w.Stored(h.ID); !w.sealed(got) || !w.outlined(got) {
			t.Errorf("%s: %+v", stage.name, got)
		}
	}
}

// What somebody does to a hold while it is being sent does not keep its outcome
// from the record.
func TestAlteredWhileSending(t *testing.T) {
	for name, sql := range map[string]string{
		"owner":   `UPDATE holds SET changing = json_set(CAST(changing AS TEXT), '$.Owner', 'me too')`,
		"lease":   "UPDATE holds SET lease = 0",
		"state":   "UPDATE holds SET state = 'pending'",
		"version": "UPDATE holds SET version = 77",
		"denied":  "UPDATE holds SET state = 'denied'",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.approve(w.open(call(alice, "k1")))
			h := w.claim()
			w.SQL(sql)
			w.finish(h, Finish{Result: []byte("{}")})
			got, err := w.Get(t.Context(), asker("User::alice"), h.ID)
			if err != nil || got.State != store.Done || string(got.Result) != "{}" {
				t.Errorf("it is %s with %q, %v", got.State, got.Result, err)
			}
			if got := w.Entries(); got[len(got)-1] != "outcome" {
				t.Errorf("entries %v", got)
			}
		})
	}
}

// What was kept before several people could approve a hold verifies as it did: the
// seal, the proof and the mark below were made by the exeat of then.
func TestSealsOfBefore(t *testing.T) {
	w := newWorld(t)
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	h := approvaltest.Rich("k1")
	h.ID, h.Created, h.Expires, h.Changed, h.Version, h.State = "hold_old", at, at.Add(time.Hour), at, 2, store.Approved
	seal, err := w.seal(h)
	if err != nil {
		t.Fatal(err)
	}
	h.Seal = seal
	a := store.Approval{By: []byte(`{"type":"User","id":"alice"}`), ByName: "User::alice", Once: true, At: at, Expires: at.Add(time.Minute), AMR: []string{"otp"}}
	a.Proof = w.prove(h, a)
	h.Approval = &a
	for _, x := range []struct {
		what string
		got  []byte
		want string
	}{
		{"seal", h.Seal, "1407ac73e287dea91186876f3c6deb1db29549b2939b9767429a56cffd5f1f019c21dd3ab04ebc0d51964e3be29e651946548776d50eabeabd8a03fa7d4375f4"},
		{"proof", a.Proof, "f552f0c9bd6bf3a00cecda1228bf2767865c6b6b3867f44128ff775136328494"},
		{"mark", w.mark(h), "2a8f403e22ea5bfbcb6cbc5ed7d05d4c575de4b7b356422496f57578bfea8a72"},
	} {
		if got := fmt.Sprintf("%x", x.got); got != x.want {
			t.Errorf("the %s is %s, and was %s", x.what, got, x.want)
		}
	}
}

// A hold that was kept before outlines had a path is shown by it, and decided.
func TestHoldWithoutAPath(t *testing.T) {
	w := newWorld(t, approvaltest.Waits, `permit (principal, action == Action::"approve", resource) when { resource.path like "/pets/*" };`)
	h := w.open(call(alice, "k1"))
	old := w.Stored(h.ID)
	old.Path = ""
	var err error
	if old.Seal, err = w.seal(old); err != nil {
		t.Fatal(err)
	}
	old.Mark = w.mark(old)
	w.SQL(`UPDATE holds SET fixed = json_set(json_remove(CAST(fixed AS TEXT), '$.Path'), '$.Seal', $1), changing = json_set(CAST(changing AS TEXT), '$.Mark', $2) WHERE id = $3`,
		base64.StdEncoding.EncodeToString(old.Seal), base64.StdEncoding.EncodeToString(old.Mark), h.ID)
	if got := w.Stored(h.ID); got.Path != "" || !w.sealed(got) {
		t.Fatalf("the row is not as it was then: %+v", got)
	}
	list, _, err := w.Waiting(t.Context(), w.as(Person{Principal: bob}), false)
	if err != nil || len(list) != 1 || !list[0].May {
		t.Errorf("the list: %+v, %v", list, err)
	}
	if got, err := w.say(of("bob"), h, true); err != nil || got.State != store.Approved {
		t.Errorf("%s, %v", got.State, err)
	}
	w.claim()
}
