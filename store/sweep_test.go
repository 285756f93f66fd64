package store_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// in is a hold in a state that time alone ends, or has ended, at a time.
func in(id string, state store.State, end time.Time) store.Hold {
	h := hold(id)
	h.State, h.Changed = state, end
	switch state {
	case store.Pending:
		h.Expires = end
	case store.Approved:
		h.Approval = &store.Approval{Expires: end}
	case store.Sending:
		h.Approval, h.Lease = &store.Approval{Expires: end.Add(-time.Hour)}, end
	}
	return h
}

func TestDue(t *testing.T) {
	s := storetest.Open(t)
	now := hold("").Created
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	holds := []store.Hold{
		in("p1", store.Pending, at(-3)), in("p2", store.Pending, at(1)), in("p3", store.Pending, now),
		in("a1", store.Approved, at(-2)), in("a2", store.Approved, at(1)), in("a3", store.Approved, at(-9)),
		in("s1", store.Sending, at(-1)), in("s2", store.Sending, at(1)),
		in("d", store.Done, at(-5)), in("e", store.Expired, at(-5)),
	}
	holds[5].Approval = nil // not what exeat stores: always over
	update(t, s, func(tx *store.Tx) error {
		for _, h := range holds {
			if err := tx.Insert(h); err != nil {
				return err
			}
		}
		// Swap keeps what Due looks at.
		h := in("p2", store.Approved, at(-4))
		return tx.Swap(h)
	})
	for _, tt := range []struct {
		limit int
		want  []string
	}{{100, []string{"a3", "p2", "p1", "a1", "s1", "p3"}}, {2, []string{"a3", "p2"}}} {
		var got []string
		if err := s.View(ctx, func(tx *store.Tx) (err error) { got, err = tx.Due(now, tt.limit); return err }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestForget(t *testing.T) {
	s := storetest.Open(t)
	now := hold("").Created
	states := []store.State{store.Pending, store.Approved, store.Sending, store.Done, store.Refused, store.Unknown, store.Denied, store.Expired, store.Cancelled}
	update(t, s, func(tx *store.Tx) error {
		for _, state := range states {
			for age := range 3 {
				if err := tx.Insert(in(fmt.Sprint(state, age), state, now.Add(-time.Duration(age)*time.Hour))); err != nil {
					return err
				}
			}
		}
		return nil
	})
	var left, gone int64 = 27, 0
	for _, want := range []int64{4, 2, 0} {
		update(t, s, func(tx *store.Tx) (err error) {
			some, err := tx.Forgettable(now.Add(-time.Hour))
			if err != nil || some != (want > 0) {
				t.Errorf("%t %v before %d are forgotten", some, err, want)
			}
			gone, err = tx.Forget(now.Add(-time.Hour), 4)
			return err
		})
		if left -= gone; gone != want {
			t.Errorf("forgot %d, want %d", gone, want)
		}
	}
	if err := s.View(ctx, func(tx *store.Tx) error {
		n, err := tx.Count(store.HoldFilter{})
		open, oerr := tx.Count(store.HoldFilter{States: states[:3]})
		if int64(n) != left || open != 9 {
			t.Errorf("%d holds are left, %d of them open", n, open)
		}
		return errors.Join(err, oerr)
	}); err != nil {
		t.Fatal(err)
	}
}

// What Sweep and the watchers ask for all the time needs no look at every hold.
func TestSweepUsesIndexes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{store.DueQuery, store.ForgetQuery} {
		rows, err := db.Query("EXPLAIN QUERY PLAN "+query, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(detail, "SCAN holds") {
				t.Errorf("%s: %s", query, detail)
			}
		}
		rows.Close()
	}
	storetest.Check(t, s)
}

func TestOutlines(t *testing.T) {
	s := storetest.Open(t)
	want := hold("1")
	want.Request.Body = bytes.Repeat([]byte("x"), 1<<20)
	update(t, s, func(tx *store.Tx) error { return tx.Insert(want) })
	want.Args, want.Choices, want.Request = nil, nil, store.Request{}
	var got []store.Hold
	if err := s.View(ctx, func(tx *store.Tx) (err error) { got, err = tx.Outlines(store.HoldFilter{}); return err }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]store.Hold{want}, got); diff != "" {
		t.Error(diff)
	}
}

// A hold of the second schema is read as it was written, and goes on.
func TestMigrateHolds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	want := in("1", store.Approved, hold("").Created.Add(time.Minute))
	want.Request.Body = []byte{0xff}
	update(t, s, func(tx *store.Tx) error { return tx.Insert(want) })
	s.Close()
	raw(t, path, "UPDATE holds SET fixed = json_patch(CAST(fixed AS TEXT), CAST(bulk AS TEXT)); "+undo3+" PRAGMA user_version = 2")
	s = storetest.OpenAt(t, path)
	want.Approval.By = json.RawMessage("null")
	if diff := cmp.Diff(want, get(t, s, "1")); diff != "" {
		t.Error(diff)
	}
	now := want.Approval.Expires
	if err := s.View(ctx, func(tx *store.Tx) error {
		due, err := tx.Due(now, 1)
		if len(due) != 1 {
			t.Error("it is not due")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkOutlines lists 100 holds with a body of 100 kB each, as the inbox
// does, against reading them whole.
func BenchmarkOutlines(b *testing.B) {
	s := storetest.Open(b)
	update(b, s, func(tx *store.Tx) error {
		for i := range 100 {
			h := hold(fmt.Sprint(i))
			h.Request.Body = make([]byte, 100_000)
			if err := tx.Insert(h); err != nil {
				return err
			}
		}
		return nil
	})
	for name, list := range map[string]func(*store.Tx, store.HoldFilter) ([]store.Hold, error){"outlines": (*store.Tx).Outlines, "holds": (*store.Tx).Holds} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.View(ctx, func(tx *store.Tx) error { _, err := list(tx, store.HoldFilter{}); return err }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
