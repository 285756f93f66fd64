package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

func hold(id string) store.Hold {
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)
	return store.Hold{
		ID: id, State: store.Pending, API: "petstore", Tool: "delete_pet", Effect: "delete", Summary: "DELETE /pets/1 <b>",
		Principal: json.RawMessage(`{"type":"User","id":"alice"}`), Subject: "User::alice", Agent: json.RawMessage(`{"id":"x<y>"}`),
		Session: json.RawMessage(`{"id":"s"}`), Args: json.RawMessage(`{"a":"<&>","n":9007199254740993}`),
		Request: store.Request{Method: "DELETE", Origin: "http://api", Target: "/pets/1", Path: "/pets/1", Header: map[string][]string{"Accept": {"*/*"}}, Body: []byte{0, 255}},
		Details: json.RawMessage(`{"type":"t"}`), Digest: strings.Repeat("a", 64), Dedupe: "d" + id, Policies: []string{"p"}, Reason: "r", PolicySet: "ps",
		Choices: json.RawMessage(`{"once":true}`), Txn: "txn_" + id, Created: at, Expires: at.Add(time.Hour), Changed: at,
	}
}

func TestHoldRoundtrip(t *testing.T) {
	zone := time.FixedZone("", 3600)
	tests := []struct {
		name      string
		in, want  func(*store.Hold)
		insertErr string
	}{
		{"full", func(*store.Hold) {}, nil, ""},
		{"only what must be", func(h *store.Hold) { *h = store.Hold{ID: h.ID, State: store.Pending} }, nil, ""},
		{"times", func(h *store.Hold) { h.Created = h.Created.Add(789).In(zone) }, func(h *store.Hold) { h.Created = h.Created.UTC().Truncate(time.Microsecond) }, ""},
		{"before 1970", func(h *store.Hold) { h.Created = time.Date(1, 2, 3, 4, 5, 6, 7000, time.UTC) }, nil, ""},
		{"text that SQL and HTML care for", func(h *store.Hold) { h.Subject, h.API, h.Dedupe = "a\x00b'\"$1", "\u2028<>&", "\x00" }, nil, ""},
		{"large", func(h *store.Hold) { h.Request.Body = bytes.Repeat([]byte{0xff}, 64<<10) }, nil, ""},
		{"space between tokens", func(h *store.Hold) { h.Args = json.RawMessage("{ \"a\": [1,\n2] }") }, func(h *store.Hold) { h.Args = json.RawMessage(`{"a":[1,2]}`) }, ""},
		{"no JSON", func(h *store.Hold) { h.Args = json.RawMessage("{") }, nil, "unexpected end"},
		{"a target that is not UTF-8", func(h *store.Hold) { h.Request.Target = "/\xff" }, nil, "not valid UTF-8"},
		{"a header that is not UTF-8", func(h *store.Hold) { h.Request.Header = map[string][]string{"X": {"ok", "\xe4"}} }, nil, "not valid UTF-8"},
	}
	s := storetest.Open(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := hold(tt.name)
			tt.in(&h)
			err := s.Update(ctx, func(tx *store.Tx) error { return tx.Insert(h) })
			if tt.insertErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.insertErr) {
					t.Errorf("%v, want %q", err, tt.insertErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.want != nil {
				tt.want(&h)
			}
			if diff := cmp.Diff(h, get(t, s, h.ID)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Swap changes what may change, bumps the version, and outlives the process.
func TestSwap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	want := hold("1")
	update(t, s, func(tx *store.Tx) error { return tx.Insert(want) })
	other := hold("another")
	other.ID, other.State, other.Changed = want.ID, store.Approved, want.Changed.Add(time.Second)
	other.Subject, other.API, other.Tool, other.Effect, other.Summary = "x", "x", "x", "x", "x"
	other.Principal, other.Args, other.Details, other.Digest = json.RawMessage("1"), json.RawMessage("1"), json.RawMessage("1"), "x"
	other.Request, other.Policies, other.Created, other.Expires = store.Request{}, nil, time.Time{}, time.Time{}
	approval := &store.Approval{By: json.RawMessage(`{"id":"<bob>"}`), ByName: "User::bob", Once: true, At: want.Created, Expires: want.Expires, AMR: []string{"otp"}, Proof: []byte{1}}
	for _, h := range []*store.Hold{&other, &want} {
		h.Approval, h.Owner, h.Lease, h.Result, h.Denial, h.DeniedBy, h.Mark = approval, "me", want.Expires, []byte{0, 255}, "no", "User::bob", []byte{7}
	}
	update(t, s, func(tx *store.Tx) error { return tx.Swap(other) })
	want.State, want.Changed, want.Version = other.State, other.Changed, 1
	if diff := cmp.Diff(want, get(t, s, "1")); diff != "" {
		t.Error(diff)
	}
	for name, change := range map[string]func(*store.Hold){
		"stale":   func(h *store.Hold) { h.Version = 0 },
		"early":   func(h *store.Hold) { h.Version = 2 },
		"missing": func(h *store.Hold) { h.ID = "2" },
	} {
		h := want
		change(&h)
		if err := s.Update(ctx, func(tx *store.Tx) error { return tx.Swap(h) }); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
	}
	s.Close()
	if diff := cmp.Diff(want, get(t, storetest.OpenAt(t, path), "1")); diff != "" {
		t.Errorf("opened again: %s", diff)
	}
}

func TestViewCannotWrite(t *testing.T) {
	s := storetest.Open(t)
	if err := s.View(ctx, func(tx *store.Tx) error { return tx.Insert(hold("1")) }); err == nil || errors.Is(err, store.ErrConflict) {
		t.Error("a view inserted:", err)
	}
	if err := s.View(ctx, func(tx *store.Tx) error { return tx.Append(store.Entry{Kind: store.KindCall}) }); err == nil {
		t.Error("a view appended")
	}
	storetest.Check(t, s)
}

func TestInsertConflicts(t *testing.T) {
	s := storetest.Open(t)
	a, b := hold("1"), hold("2")
	b.Dedupe = a.Dedupe
	update(t, s, func(tx *store.Tx) error { return tx.Insert(a) })
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.Insert(b) }); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second open hold of one call: %v", err)
	}
	a.State = store.Denied
	update(t, s, func(tx *store.Tx) error { return tx.Swap(a) })
	update(t, s, func(tx *store.Tx) error { return tx.Insert(b) })
	if err := s.View(ctx, func(tx *store.Tx) error { _, err := tx.OpenHold("nothing"); return err }); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func TestSwapHasOneWinner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, other := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	update(t, s, func(tx *store.Tx) error { return tx.Insert(hold("1")) })
	var won, lost atomic.Int32
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			h := hold("1")
			h.State = store.Cancelled
			err := []*store.Store{s, other}[i%2].Update(ctx, func(tx *store.Tx) error { return tx.Swap(h) })
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, store.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || lost.Load() != 31 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
}

func TestFilters(t *testing.T) {
	s := storetest.Open(t)
	update(t, s, func(tx *store.Tx) error {
		for i := range 6 {
			h := hold(fmt.Sprint(i))
			h.Created = h.Created.Add(-time.Duration(i) * time.Minute)
			if i%2 == 1 {
				h.Subject = "User::bob"
			}
			if i > 3 {
				h.API = "other"
			}
			if err := tx.Insert(h); err != nil {
				return err
			}
		}
		return nil
	})
	tests := []struct {
		f    store.HoldFilter
		want string
	}{
		{store.HoldFilter{}, "5 4 3 2 1 0"},
		{store.HoldFilter{Subject: "User::bob"}, "5 3 1"},
		{store.HoldFilter{APIs: []string{"other"}}, "5 4"},
		{store.HoldFilter{APIs: []string{"other", "petstore"}, Limit: 2}, "5 4"},
		{store.HoldFilter{States: []store.State{store.Done}}, ""},
		{store.HoldFilter{Subject: "User::alice", States: []store.State{store.Pending, store.Done}}, "4 2 0"},
	}
	for _, tt := range tests {
		var ids []string
		if err := s.View(ctx, func(tx *store.Tx) error {
			holds, err := tx.Holds(tt.f)
			for _, h := range holds {
				ids = append(ids, h.ID)
			}
			if n, cerr := tx.Count(tt.f); cerr == nil && tt.f.Limit == 0 && n != len(holds) {
				t.Errorf("%+v: counts %d, lists %d", tt.f, n, len(holds))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.f, got, tt.want)
		}
	}
}
