package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// waiting makes a pending hold and a notice of it.
func waiting(t *testing.T, s *store.Store, id, channel string) {
	t.Helper()
	update(t, s, func(tx *store.Tx) error {
		if _, err := tx.Hold("hold_" + id); errors.Is(err, store.ErrNotFound) {
			if err := tx.Insert(hold("hold_" + id)); err != nil {
				return err
			}
		}
		return tx.Enqueue(store.Notice{ID: "msg_" + id + channel, Channel: channel, Hold: "hold_" + id, Created: noon, Due: noon})
	})
}

func claim(t *testing.T, s *store.Store, channel, owner string, now time.Time) (ids []string, list []store.Notice) {
	t.Helper()
	update(t, s, func(tx *store.Tx) (err error) {
		ids = nil
		list, err = tx.Claim(channel, owner, now, now.Add(time.Minute), 10)
		for _, n := range list {
			ids = append(ids, n.ID)
		}
		return err
	})
	return ids, list
}

func health(t *testing.T, s *store.Store, channel string) (h store.ChannelHealth) {
	t.Helper()
	if err := s.View(ctx, func(tx *store.Tx) (err error) { h, err = tx.Health(channel); return err }); err != nil {
		t.Fatal(err)
	}
	return h
}

// Two processes never have the same notice at once; after a crash the lease ends
// and the other gets it, under the same id.
func TestClaimNotices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	a, b := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	waiting(t, a, "1", "c")
	waiting(t, a, "1", "other")
	first, list := claim(t, a, "c", "a", noon)
	if diff := cmp.Diff([]string{"msg_1c"}, first); diff != "" {
		t.Fatal(diff)
	}
	if again, _ := claim(t, b, "c", "b", noon.Add(59*time.Second)); again != nil {
		t.Errorf("claimed twice: %v", again)
	}
	// a crashed here.
	second, theirs := claim(t, b, "c", "b", noon.Add(time.Minute))
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	// It did not: what it says comes too late.
	update(t, a, func(tx *store.Tx) error { return errors.Join(tx.Sent(list[0]), tx.Retry(list[0], noon)) })
	if h := health(t, b, "c"); h.Waiting != 1 {
		t.Errorf("the first owner ended the second's claim: %+v", h)
	}
	update(t, b, func(tx *store.Tx) error { return tx.Sent(theirs[0]) })
	if h := health(t, b, "c"); h.Waiting != 0 || theirs[0].Tries != 2 {
		t.Errorf("%+v, tries %d", h, theirs[0].Tries)
	}
}

func TestRetryNotices(t *testing.T) {
	s := storetest.Open(t)
	waiting(t, s, "1", "c")
	_, list := claim(t, s, "c", "a", noon)
	update(t, s, func(tx *store.Tx) error { return tx.Retry(list[0], noon.Add(time.Hour/2)) })
	if ids, _ := claim(t, s, "c", "a", noon.Add(time.Hour/2-1000)); ids != nil {
		t.Error("tried too early")
	}
	_, list = claim(t, s, "c", "a", noon.Add(time.Hour/2))
	if len(list) != 1 {
		t.Fatal("not tried again")
	}
	list[0].Failed = true
	update(t, s, func(tx *store.Tx) error { return tx.Retry(list[0], noon) })
	if ids, _ := claim(t, s, "c", "a", noon.Add(time.Hour-1000)); ids != nil {
		t.Error("a failed one is tried")
	}
	if h := health(t, s, "c"); h.Failed != 1 || h.Waiting != 0 {
		t.Errorf("%+v", h)
	}
}

// Nobody is told of a call that does not wait any more.
func TestNoticesOfSettledHolds(t *testing.T) {
	s := storetest.Open(t)
	for _, id := range []string{"1", "2", "3"} {
		waiting(t, s, id, "c")
	}
	update(t, s, func(tx *store.Tx) error {
		h, err := tx.Hold("hold_2")
		if err != nil {
			return err
		}
		h.State = store.Denied
		return tx.Swap(h)
	})
	ids, _ := claim(t, s, "c", "a", noon)
	if diff := cmp.Diff([]string{"msg_1c", "msg_3c"}, ids); diff != "" {
		t.Error(diff)
	}
	waiting(t, s, "1", "late")
	if ids, _ := claim(t, s, "late", "a", noon.Add(time.Hour+time.Second)); ids != nil {
		t.Errorf("told of what is over: %v", ids)
	}
}

// A full outbox drops the oldest, counts it, and takes the new one.
func TestFullOutbox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	waiting(t, s, "1", "other")
	raw(t, path, fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO outbox SELECT 'msg_' || i, 'c', 'hold_1', 'queued', %d + i * 1000000, %[2]d, 0, '', 0 FROM n`, store.MaxNotices-3, noon.UnixMicro()))
	update(t, s, func(tx *store.Tx) error {
		for i := store.MaxNotices - 2; i < store.MaxNotices+3; i++ {
			at := noon.Add(time.Duration(i) * time.Second)
			if err := tx.Enqueue(store.Notice{ID: fmt.Sprint("msg_", i), Channel: "c", Hold: "hold_1", Created: at, Due: at}); err != nil {
				return err
			}
		}
		return nil
	})
	if h := health(t, s, "c"); h.Waiting != store.MaxNotices || h.Dropped != 3 {
		t.Errorf("%+v", h)
	}
	if h := health(t, s, "other"); h.Waiting != 1 {
		t.Errorf("another channel: %+v", h)
	}
	ids, _ := claim(t, s, "c", "a", noon.Add(time.Hour/2))
	if len(ids) != 10 || ids[0] != "msg_3" {
		t.Errorf("the oldest that is left: %v", ids)
	}
}

func TestChannelHealth(t *testing.T) {
	s := storetest.Open(t)
	tried := func(at time.Time, problem string) {
		update(t, s, func(tx *store.Tx) error { return tx.Tried("c", at, problem) })
	}
	if diff := cmp.Diff(store.ChannelHealth{Name: "c"}, health(t, s, "c")); diff != "" {
		t.Error(diff)
	}
	tried(noon, "")
	tried(noon.Add(1*time.Second), "is down")
	tried(noon.Add(2*time.Second), "is still down")
	want := store.ChannelHealth{Name: "c", Sent: noon, Tried: noon.Add(2 * time.Second), Failures: 2, Problem: "is still down"}
	if diff := cmp.Diff(want, health(t, s, "c")); diff != "" {
		t.Error(diff)
	}
	tried(noon.Add(3*time.Second), "")
	want = store.ChannelHealth{Name: "c", Sent: noon.Add(3 * time.Second), Tried: noon.Add(3 * time.Second)}
	if diff := cmp.Diff(want, health(t, s, "c")); diff != "" {
		t.Error(diff)
	}
}

func TestNoticesDue(t *testing.T) {
	s := storetest.Open(t)
	waiting(t, s, "1", "c")
	waiting(t, s, "2", "d")
	claim(t, s, "d", "a", noon)
	update(t, s, func(tx *store.Tx) error { return tx.Postpone("c", noon.Add(5*time.Minute)) })
	var due map[string]time.Time
	if err := s.View(ctx, func(tx *store.Tx) (err error) { due, err = tx.NoticesDue(); return err }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]time.Time{"c": noon.Add(5 * time.Minute), "d": noon.Add(time.Minute)}, due); diff != "" {
		t.Error(diff)
	}
	update(t, s, func(tx *store.Tx) error { return tx.DropNotices("c") })
	if h := health(t, s, "c"); h.Waiting != 0 {
		t.Errorf("%+v", h)
	}
}

func TestSubscriptions(t *testing.T) {
	s := storetest.Open(t)
	add := func(person, id, endpoint string) {
		update(t, s, func(tx *store.Tx) error {
			return tx.Subscribe(store.Subscription{ID: id, Person: person, Principal: []byte(`{}`), Endpoint: endpoint, P256dh: "k", Auth: "a", Created: noon})
		})
	}
	ids := func(person string) (out []string) {
		if err := s.View(ctx, func(tx *store.Tx) error {
			list, err := tx.Subscriptions(person)
			for _, sub := range list {
				out = append(out, sub.ID)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	add("User::alice", "1", "https://push/1")
	add("User::bob", "2", "https://push/2")
	add("User::alice", "3", "https://push/1") // the same browser
	if diff := cmp.Diff([]string{"2", "3"}, ids("")); diff != "" {
		t.Error(diff)
	}
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.Unsubscribe("User::alice", "2") }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("somebody else's: %v", err)
	}
	update(t, s, func(tx *store.Tx) error { return tx.Unsubscribe("User::bob", "2") })
	for i := range store.MaxSubscriptions + 5 {
		add("User::carol", fmt.Sprint("c", i), fmt.Sprint("https://push/c", i))
	}
	if n := len(ids("User::carol")); n != store.MaxSubscriptions {
		t.Errorf("%d browsers", n)
	}
	if diff := cmp.Diff([]string{"3"}, ids("User::alice")); diff != "" {
		t.Error(diff)
	}
}
