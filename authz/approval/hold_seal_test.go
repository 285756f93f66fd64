package approval

import (
	"testing"

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
