package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// Of two that use the same secret one wins, and what ended is not there.
func TestAccess(t *testing.T) {
	s := storetest.Open(t)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := store.Access{ID: "a1", Version: 1, Family: []byte("f"), Current: []byte("c1"), Due: at.Add(time.Minute), Code: true, Person: "User::alice", Client: "c", Body: []byte("{}"),
		Created: at, Used: at, Ends: at.Add(time.Hour)}
	update(t, s, func(tx *store.Tx) error { return tx.InsertAccess(a) })
	again := a
	again.ID = "a2"
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertAccess(again) }); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second one of its family: %v", err)
	}
	count := func(now time.Time) (n int) {
		t.Helper()
		if err := s.View(t.Context(), func(tx *store.Tx) error {
			list, err := tx.AccessBy("User::alice", now)
			n = len(list)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(at); n != 0 {
		t.Errorf("a code is listed: %d", n)
	}
	a.Code, a.Current, a.Due = false, []byte("c2"), a.Ends
	update(t, s, func(tx *store.Tx) error { return tx.SwapAccess(a) })
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.SwapAccess(a) }); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the one that was late: %v", err)
	}
	if before, after := count(at.Add(time.Hour-time.Microsecond)), count(at.Add(time.Hour)); before != 1 || after != 0 {
		t.Errorf("%d before its end and %d at it", before, after)
	}
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.EndAccess("User::bob", "a1") }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another person ends it: %v", err)
	}
	for n := range 5 {
		b := a
		b.ID, b.Family, b.Used = fmt.Sprint("b", n), []byte{byte(n)}, at.Add(time.Duration(n)*time.Second)
		update(t, s, func(tx *store.Tx) error {
			if err := tx.TrimAccess("User::alice", at, 3); err != nil {
				return err
			}
			return tx.InsertAccess(b)
		})
	}
	if n := count(at); n != 3 {
		t.Errorf("%d are kept", n)
	}
	update(t, s, func(tx *store.Tx) error { return tx.TrimAccess("User::bob", a.Ends, 3) })
	if n := count(at); n != 0 {
		t.Errorf("%d outlived their end", n)
	}
}

// Clients that end go first, then the oldest that nobody lets do anything.
func TestClients(t *testing.T) {
	s := storetest.Open(t)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n, id := range []string{"used", "old", "new", "ended"} {
		c := store.Client{ID: id, Body: []byte("{}"), Created: at.Add(time.Duration(n) * time.Second), Ends: at.Add(time.Hour)}
		if id == "ended" {
			c.Ends = at
		}
		update(t, s, func(tx *store.Tx) error { return tx.InsertClient(c) })
	}
	if err := s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.InsertClient(store.Client{ID: "used", Body: []byte("x"), Ends: at})
	}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second one of its id: %v", err)
	}
	update(t, s, func(tx *store.Tx) error {
		return tx.InsertAccess(store.Access{ID: "a", Version: 1, Family: []byte("f"), Current: []byte("c"), Due: at.Add(time.Hour), Person: "User::alice", Client: "used", Body: []byte("{}"), Ends: at.Add(time.Hour)})
	})
	for most, want := range map[int]string{4: "used old new ", 3: "used new ", 1: "used "} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			left := ""
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				if _, err := tx.TrimClients(at, most); err != nil {
					return err
				}
				left = ""
				for _, id := range []string{"used", "old", "new", "ended"} {
					if _, err := tx.Client(id, at); err == nil {
						left += id + " "
					}
				}
				return errUndo
			})
			if !errors.Is(err, errUndo) || left != want {
				t.Errorf("%q are left, %v", left, err)
			}
		})
	}
	update(t, s, func(tx *store.Tx) error { return tx.KeepClient("old", at.Add(2*time.Hour)) })
	update(t, s, func(tx *store.Tx) error { return tx.KeepClient("old", at) })
	if err := s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Client("old", at.Add(time.Hour)); return err }); err != nil {
		t.Error(err)
	}
}

var errUndo = errors.New("undo")
