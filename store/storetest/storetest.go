// Package storetest helps tests that keep state: a store on a temporary file,
// and a check of everything that must hold of it at any time.
package storetest

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/exeat/exeat/store"
)

// Open opens a store on a temporary file that is closed with the test.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return OpenAt(t, filepath.Join(t.TempDir(), "exeat.db"))
}

// OpenAt opens a store that other tests or processes may share.
func OpenAt(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// endings are the kinds of the entries that end a hold.
var endings = []store.Kind{store.KindOutcome, store.KindRefuse, store.KindUnknown, store.KindDeny, store.KindExpire, store.KindCancel}

// Check reports, as errors of t, everything in the stored state that must not
// be there at any time. What must hold:
//   - The audit log's chain verifies.
//   - A hold is in a state that exists, has an id, and its times are in order:
//     it expires after it was created, and was not changed before.
//   - Equal calls have one open hold.
//   - A hold that is approved, being sent or done has an approval with a proof.
//     One that waits, was denied or was cancelled has none; one may be refused
//     because its proof is bad.
//   - A hold that is being sent has an owner and a lease. One that was not
//     claimed has neither; one whose send is over keeps them as a record.
//   - A hold that is still to be decided or sent has no result.
//   - A hold has at most one send entry, and one that is done has exactly one.
//     One that never was approved has none.
//   - A hold ends once, and is not sent after its end: nobody claims it again.
//   - No hold is lost: each that has an entry is there, or was forgotten by Sweep
//     long after its end.
func Check(t testing.TB, s *store.Store) {
	t.Helper()
	ctx := context.Background()
	if _, err := s.Verify(ctx); err != nil {
		t.Errorf("the chain does not hold: %v", err)
	}
	sent, ended, made, forgotten := readEntries(ctx, t, s)
	checkHolds(ctx, t, s, sent, made)
	for id := range made {
		if len(made) > forgotten || ended[id] == "" {
			t.Errorf("hold %s is lost", id)
		}
	}
}

// readEntries counts the sends of each hold, how each ended and which were made,
// and how many were forgotten.
func readEntries(ctx context.Context, t testing.TB, s *store.Store) (sent map[string]int, ended map[string]string, made map[string]bool, forgotten int) {
	t.Helper()
	sent, ended, made = map[string]int{}, map[string]string{}, map[string]bool{}
	if err := s.Entries(ctx, 0, func(e store.Entry) error {
		end, over := ended[e.Hold]
		switch {
		case e.Kind == store.KindForget:
			var n int
			if _, err := fmt.Sscanf(e.Note, "%d ", &n); err != nil {
				t.Errorf("entry %d does not say how many holds were forgotten: %s", e.Seq, e.Note)
			}
			forgotten += n
		case e.Hold == "":
		case e.Kind == store.KindHold:
			made[e.Hold] = true
		case e.Kind == store.KindSend:
			sent[e.Hold]++
			if over {
				t.Errorf("entry %d sends the hold %s after its end (%s)", e.Seq, e.Hold, end)
			}
		case e.Kind == store.KindKept:
			sent[e.Hold] = 0 // the API did nothing, or nothing was sent
		case slices.Contains(endings, e.Kind):
			if over {
				t.Errorf("entry %d (%s) ends the hold %s a second time, after %s", e.Seq, e.Kind, e.Hold, end)
			}
			ended[e.Hold] = string(e.Kind)
		}
		return nil
	}); err != nil {
		t.Errorf("read the entries: %v", err)
	}
	return sent, ended, made, forgotten
}

// checkHolds checks those that are there, and takes them out of made.
func checkHolds(ctx context.Context, t testing.TB, s *store.Store, sent map[string]int, made map[string]bool) {
	t.Helper()
	var holds []store.Hold
	if err := s.View(ctx, func(tx *store.Tx) (err error) {
		holds, err = tx.Holds(store.HoldFilter{Limit: 1 << 20})
		return err
	}); err != nil {
		t.Errorf("read the holds: %v", err)
	}
	open := map[string]string{}
	for _, h := range holds {
		delete(made, h.ID)
		for _, problem := range problems(h, sent[h.ID]) {
			t.Errorf("hold %s is %s and %s", h.ID, h.State, problem)
		}
		if h.State == store.Pending || h.State == store.Approved || h.State == store.Sending {
			if other, ok := open[h.Dedupe]; ok {
				t.Errorf("holds %s and %s are open for one call", other, h.ID)
			}
			open[h.Dedupe] = h.ID
		}
	}
}

// rule is what must hold of a hold in one state.
type rule struct {
	approval, claim, result presence
	sends                   [2]int // least and most
}

type presence int

const (
	may presence = iota
	must
	mustNot
)

var rules = map[store.State]rule{
	store.Pending:   {mustNot, mustNot, mustNot, [2]int{0, 0}},
	store.Approved:  {must, mustNot, mustNot, [2]int{0, 0}},
	store.Sending:   {must, must, mustNot, [2]int{0, 1}},
	store.Done:      {must, must, may, [2]int{1, 1}},
	store.Refused:   {may, may, may, [2]int{0, 1}},
	store.Unknown:   {must, must, may, [2]int{0, 1}},
	store.Denied:    {mustNot, mustNot, may, [2]int{0, 0}},
	store.Expired:   {may, mustNot, may, [2]int{0, 0}},
	store.Cancelled: {mustNot, mustNot, may, [2]int{0, 0}},
}

// problems says what is wrong with a hold that was sent so many times.
func problems(h store.Hold, sends int) (found []string) {
	r, ok := rules[h.State]
	if !ok {
		return []string{"no hold can be that"}
	}
	check := func(p presence, has bool, what string) {
		switch {
		case p == must && !has:
			found = append(found, "has no "+what)
		case p == mustNot && has:
			found = append(found, "has "+what)
		}
	}
	check(r.approval, h.Approval != nil, "approval")
	if r.approval == must && h.Approval != nil && len(h.Approval.Proof) == 0 {
		found = append(found, "has no proof of its approval")
	}
	check(r.claim, h.Owner != "", "owner")
	check(r.claim, !h.Lease.IsZero(), "lease")
	check(r.result, len(h.Result) > 0, "result")
	check(must, h.ID != "", "id")
	check(must, h.Expires.After(h.Created), "time between its creation and its expiry")
	check(mustNot, h.Changed.Before(h.Created), "a change before its creation")
	if sends < r.sends[0] || sends > r.sends[1] {
		found = append(found, fmt.Sprintf("was sent %d times", sends))
	}
	return found
}
