package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

func kindsOf(t testing.TB, s *store.Store) string {
	t.Helper()
	var list []string
	if err := s.Entries(ctx, 0, func(e store.Entry) error {
		list = append(list, fmt.Sprint(e.Seq, " ", e.Kind, " ", e.Txn, " ", e.Status))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, ", ")
}

func read(t testing.TB, s *store.Store, txn string) *store.CallEntry {
	t.Helper()
	c := s.LogCall(store.Entry{Kind: store.KindCall, Txn: txn, Principal: "User::alice", API: "petstore", Tool: "get_pet", Effect: "read"})
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

// The next entry tells of the reads that went well, whatever it is, and every reader
// gets their outcomes.
func TestEnded(t *testing.T) {
	s := storetest.Open(t)
	a, b := read(t, s, "a"), read(t, s, "b")
	b.End(204)
	a.End(200)
	read(t, s, "c") // and exeat dies: nobody knows
	if err := s.Log(store.Entry{Kind: store.KindLogin})(); err != nil {
		t.Fatal(err)
	}
	const want = "1 call a 0, 2 call b 0, 3 outcome b 204, 3 outcome a 200, 3 call c 0, 4 login  0"
	if got := kindsOf(t, s); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for txn, want := range map[string]string{"a": "call 0, outcome 200", "b": "call 0, outcome 204", "c": "call 0", "d": ""} {
		var list []string
		if err := s.Chain(ctx, txn, func(e store.Entry) error {
			if list = append(list, fmt.Sprint(e.Kind, " ", e.Status)); e.Txn != txn || e.Principal != "User::alice" || e.Ended != nil {
				t.Errorf("%+v", e)
			}
			return nil
		}); err != nil || strings.Join(list, ", ") != want {
			t.Errorf("the chain of %s is %q, want %s: %v", txn, list, want, err)
		}
	}
	n := 0
	if err := s.Newest(ctx, 2, func(store.Entry) error { n++; return nil }); err != nil || n != 4 {
		t.Errorf("the newest two are %d with the outcomes, want 4: %v", n, err)
	}
	storetest.Check(t, s)
}

// What no entry has told of when exeat ends is told by one of its own, as is what none
// tells of for a while.
func TestEndedByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	read(t, s, "a").End(200)
	s.Close()
	s = storetest.OpenAt(t, path)
	const want = "1 call a 0, 2 outcome a 200"
	if got := kindsOf(t, s); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	changed, stop := s.Watch()
	defer stop()
	read(t, s, "b").End(200)
	for !strings.HasSuffix(kindsOf(t, s), ", 3 call b 0, 4 outcome b 200") {
		<-changed
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq != 4 {
		t.Error(head, err)
	}
}

// Many reads at once: each has its own end.
func TestEndedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() { read(t, s, fmt.Sprint("txn_", i)).End(200 + i%99) })
	}
	all.Wait()
	s.Close()
	s = storetest.OpenAt(t, path)
	calls, ends := map[string]int{}, map[string]int{}
	if err := s.Entries(ctx, 0, func(e store.Entry) error {
		if e.Kind == store.KindCall {
			calls[e.Txn]++
		} else {
			ends[e.Txn] = e.Status
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if txn := fmt.Sprint("txn_", i); calls[txn] != 1 || ends[txn] != 200+i%99 {
			t.Errorf("%s has %d entries and ended with %d", txn, calls[txn], ends[txn])
		}
	}
	if _, err := s.Verify(ctx); err != nil {
		t.Error(err)
	}
}

// Of entries that somebody has cut off, none tells: a log that is accepted then can be
// verified.
func TestEndedAndCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	read(t, s, "1")
	o := read(t, s, "2")
	raw(t, path, "DELETE FROM entries WHERE seq = 2")
	o.End(200)
	for range 2 {
		if err := s.Log(store.Entry{Kind: store.KindHold})(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Verify(ctx); err != nil {
		// What was counted of the call that is gone is all that is wrong.
		if !strings.Contains(err.Error(), "not counted") {
			t.Error(err)
		}
	}
	if err := s.Entries(ctx, 0, func(store.Entry) error { return nil }); err != nil {
		t.Error(err)
	}
}
