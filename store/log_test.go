package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// Two processes, eight callers each, everything at once: no caller hears that
// the database is busy, and nothing is lost or out of order.
func TestUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	const callers, rounds = 16, 10
	path := filepath.Join(t.TempDir(), "db")
	stores := []*store.Store{storetest.OpenAt(t, path), storetest.OpenAt(t, path)}
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			s := stores[i%2]
			for j := range rounds {
				h := hold(fmt.Sprintf("%d.%d", i, j))
				wait := s.Log(store.Entry{Kind: store.KindCall, Note: "call " + h.ID})
				err := s.Update(ctx, func(tx *store.Tx) error {
					return errors.Join(tx.Insert(h), tx.Append(store.Entry{Kind: store.KindHold, Hold: h.ID, Note: "hold " + h.ID}))
				})
				h.State = store.Cancelled
				err = errors.Join(err, wait(), s.Update(ctx, func(tx *store.Tx) error {
					return errors.Join(tx.Append(store.Entry{Kind: store.KindCancel, Hold: h.ID, Note: "cancel " + h.ID}), tx.Swap(h))
				}), s.View(ctx, func(tx *store.Tx) error {
					got, err := tx.Hold(h.ID)
					if err == nil && got.State != store.Cancelled {
						err = fmt.Errorf("hold %s is still %s", h.ID, got.State)
					}
					return err
				}))
				if ok, serr := s.Spend(ctx, "iss", h.ID, time.Now().Add(time.Minute)); !ok || serr != nil {
					err = errors.Join(err, fmt.Errorf("spend: %v %w", ok, serr))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for _, n := range notes(t, stores[0]) {
		seen[n] = true
	}
	const want = callers * rounds * 3
	if head, err := stores[1].Verify(ctx); err != nil || head.Seq != want || len(seen) != want {
		t.Errorf("head %+v, %d entries, want %d: %v", head, len(seen), want, err)
	}
	storetest.Check(t, stores[1])
}

func TestCloseDrains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	for range 100 {
		s.Log(store.Entry{Kind: store.KindOutcome})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Log(store.Entry{Kind: "late"})(); err == nil {
		t.Error("a closed store took an entry")
	}
	if head, err := storetest.OpenAt(t, path).Verify(ctx); err != nil || head.Seq != 100 {
		t.Error(head, err)
	}
}

func TestSpend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	stores := []*store.Store{storetest.OpenAt(t, path), storetest.OpenAt(t, path)}
	var fresh atomic.Int32
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			ok, err := stores[i%2].Spend(ctx, "iss", "jti", time.Now().Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if ok {
				fresh.Add(1)
			}
		})
	}
	all.Wait()
	if fresh.Load() != 1 {
		t.Errorf("spent %d times", fresh.Load())
	}
	if ok, err := stores[0].Spend(ctx, "other", "jti", time.Now()); !ok || err != nil {
		t.Error("another issuer's id is another id", err)
	}
	s := storetest.OpenAt(t, path)
	s.Close()
	if ok, err := s.Spend(ctx, "iss", "x", time.Now()); ok || err == nil {
		t.Error("a store that cannot answer must refuse")
	}
}

// notes are the notes of all entries in order.
func notes(t testing.TB, s *store.Store) []string {
	t.Helper()
	var all []string
	if err := s.Entries(ctx, 0, func(e store.Entry) error { all = append(all, e.Note); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLogKeepsTheOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, other := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	unlock := store.Lock(t, other) // so that groups form
	var want []string
	var wait func() error
	for i := range 3*store.BatchMost + 1 {
		want = append(want, strconv.Itoa(i))
		wait = s.Log(store.Entry{Kind: store.KindCall, Note: strconv.Itoa(i)})
	}
	if got := notes(t, other); len(got) != 0 {
		t.Errorf("%d entries were committed in spite of the lock", len(got))
	}
	unlock()
	for range 2 {
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, notes(t, other)); diff != "" {
		t.Error(diff)
	}
	storetest.Check(t, s)
}

func TestLogDuringClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	var all sync.WaitGroup
	var kept atomic.Int64
	begun := make(chan struct{}, 8)
	for range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
					return
				}
				kept.Add(1)
				if i == 0 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range 8 {
		<-begun
	}
	for range 2 {
		all.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	again := storetest.OpenAt(t, path)
	if head, err := again.Verify(ctx); err != nil || head.Seq != kept.Load() {
		t.Errorf("%d entries, %d were said to be kept: %v", head.Seq, kept.Load(), err)
	}
}

// An entry that finds no room is an error for its caller, and the next one that
// finds room again continues the chain.
func TestDiskFull(t *testing.T) {
	s := storetest.Open(t)
	store.LimitPages(t, s, 4)
	big := store.Entry{Kind: store.KindCall, Signed: json.RawMessage(`"` + strings.Repeat("x", 64<<10) + `"`)} // texts are cut
	if err := s.Log(big)(); err == nil || !strings.Contains(err.Error(), "full") {
		t.Fatalf("an entry without room: %v", err)
	}
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.Append(big) }); err == nil {
		t.Fatal("a transaction without room")
	}
	if ok, err := s.Spend(ctx, "iss", strings.Repeat("x", 64<<10), time.Now().Add(time.Minute)); ok || err == nil {
		t.Errorf("a token was spent without room: %v %v", ok, err)
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq != 0 {
		t.Error(head, err)
	}
	store.LimitPages(t, s, 1000)
	if err := s.Log(big)(); err != nil {
		t.Error("there is room again:", err)
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq != 1 {
		t.Error(head, err)
	}
}

// A cancelled transaction leaves nothing, says so, and is out of the way.
func TestCancelledContext(t *testing.T) {
	for name, fn := range map[string]func(*store.Tx, func()) error{
		"before the change": func(tx *store.Tx, cancel func()) error { cancel(); return tx.Append(store.Entry{Kind: store.KindHold}) },
		"after the change": func(tx *store.Tx, cancel func()) error {
			err := tx.Append(store.Entry{Kind: store.KindHold})
			cancel()
			return err
		},
		"in the middle of changes": func(tx *store.Tx, cancel func()) error {
			for i := 0; ; i++ {
				if err := tx.Append(store.Entry{Kind: store.KindHold}); err != nil {
					return err
				}
				if i == 10 {
					cancel()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.Open(t)
			c, cancel := context.WithCancel(ctx)
			if err := s.Update(c, func(tx *store.Tx) error { return fn(tx, cancel) }); !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want context canceled", err)
			}
			if err := s.Update(c, func(*store.Tx) error { t.Error("ran"); return nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want context canceled", err)
			}
			if err := s.Log(store.Entry{Kind: store.KindCall, Note: "next"})(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"next"}, notes(t, s)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// While another process keeps the lock, a caller waits no longer than it wants.
func TestLockedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, other := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	unlock := store.Lock(t, other)
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := s.Update(short, func(*store.Tx) error { t.Error("ran without the lock"); return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want deadline exceeded", err)
	}
	if ok, err := s.Spend(short, "iss", "jti", time.Now().Add(time.Minute)); ok || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("spent: %v %v", ok, err)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("gave up after %v", took)
	}
	wait := s.Log(store.Entry{Kind: store.KindCall, Note: "patient"})
	unlock()
	if err := wait(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"patient"}, notes(t, other)); diff != "" {
		t.Error(diff)
	}
}

// A token id is kept for more than a day after its token has ended, so that a
// clock that steps back does not make the token good again, and no longer.
func TestSpendForgets(t *testing.T) {
	s := storetest.Open(t)
	now := time.Now()
	steps := []struct {
		jti   string
		until time.Time
		want  bool
	}{
		{"old", now.Add(-26 * time.Hour), true},
		{"short", now.Add(-24 * time.Hour), true},
		{"long", now.Add(time.Hour), true},
		{"old", now.Add(time.Hour), true},
		{"old", now.Add(time.Hour), false},
		{"short", now.Add(time.Hour), false},
		{"long", now.Add(time.Hour), false},
	}
	for i, st := range steps {
		if ok, err := s.Spend(ctx, "iss", st.jti, st.until); ok != st.want || err != nil {
			t.Errorf("step %d: %v %v, want %v", i, ok, err, st.want)
		}
	}
}
