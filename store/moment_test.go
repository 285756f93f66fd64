package store_test

import (
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

func moment(t testing.TB, s *store.Store) store.Moment {
	t.Helper()
	m, err := s.Moment()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Whatever changes what people have said makes another moment, whoever writes it; the
// entries of calls do not.
func TestMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, other := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rule := store.Rule{ID: "r1", Version: 1, Kind: "grant", Subject: "User::alice", Agent: "a", Created: at, Fixed: []byte("{}"), State: []byte("{}"), Mark: []byte("m")}
	by := func(s *store.Store, fn func(*store.Tx) error) func() { return func() { update(t, s, fn) } }
	seal := func(string) []byte { return []byte("seal") }
	sql := func(text string) func() { return func() { raw(t, path, text) } }
	if !moment(t, s).Sure {
		t.Fatal("a new database does not count what people say: a migration has lost triggers of 016_said.sql")
	}
	update(t, s, func(tx *store.Tx) error { return tx.Append(store.Entry{Kind: store.KindCall}) }) // the first one sees what was there
	for _, tt := range []struct {
		what string
		do   func()
		same bool
	}{
		{"nothing", func() {}, true},
		{"a call", by(s, func(tx *store.Tx) error { return tx.Append(store.Entry{Kind: store.KindCall, Grant: "r1"}) }), true},
		{"a hold", by(s, func(tx *store.Tx) error { return tx.Insert(hold("1")) }), true},
		{"a rule", by(s, func(tx *store.Tx) error { return tx.InsertRule(rule) }), false},
		{"a use of it", by(s, func(tx *store.Tx) error { return tx.SwapRule(rule) }), false},
		{"a rule of another process", by(other, func(tx *store.Tx) error { r := rule; r.ID = "r2"; return tx.InsertRule(r) }), false},
		{"the clock", by(s, func(tx *store.Tx) error { _, err := tx.Advance(at); return err }), false},
		{"what was forgotten", by(other, func(tx *store.Tx) error { _, err := tx.ForgetRules(at, 10); return err }), true},
		{"a stop", by(s, func(tx *store.Tx) error { return tx.AppendSealed(store.Entry{Kind: store.KindStop}, seal) }), false},
		{"an end, by another", by(other, func(tx *store.Tx) error { return tx.AppendSealed(store.Entry{Kind: store.KindEnd}, seal) }), false},
		{"a row, by another program", sql("UPDATE rules SET revoked = 1 WHERE id = 'r1'"), false},
		{"a row taken out", sql("DELETE FROM rules WHERE id = 'r1'"), false},
		{"the time, by another program", sql("UPDATE clock SET at = 0"), false},
		{"an entry changed", sql("UPDATE entries SET body = body || ' ' WHERE seq = 1"), false},
		{"an entry taken out", sql("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)"), false},
	} {
		before := moment(t, s)
		tt.do()
		if after := moment(t, s); before.Same(after) != tt.same || !after.Sure {
			t.Errorf("%s: the same %t, sure %t", tt.what, before.Same(after), after.Sure)
		}
	}
}

// Whoever takes the counting away, or adds to it, is noticed when something is written
// next; then nothing is relied on.
func TestMomentIsNotSure(t *testing.T) {
	for name, attack := range map[string]string{
		"dropped":  "DROP TRIGGER said_rules_insert",
		"altered":  "DROP TRIGGER said_rules_insert; CREATE TRIGGER said_rules_insert AFTER INSERT ON rules WHEN NEW.kind <> 'stop' BEGIN UPDATE said SET version = version + 1; END",
		"added":    "CREATE TRIGGER back AFTER UPDATE ON said BEGIN UPDATE said SET version = OLD.version; END",
		"no count": "DELETE FROM said",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			s := storetest.OpenAt(t, path)
			before := moment(t, s)
			raw(t, path, attack)
			if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
				t.Fatal(err)
			}
			if after := moment(t, s); after.Sure || after.Same(before) || after.Same(after) {
				t.Errorf("%+v is as %+v", after, before)
			}
			if storetest.OpenAt(t, path); moment(t, storetest.OpenAt(t, path)).Sure {
				t.Error("a process that begins is sure")
			}
		})
	}
}

// What somebody else commits unseen by the triggers makes another moment at the next
// write; the log's own end is relied on only while nobody else has committed.
func TestMomentOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, other := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	write := func(s *store.Store) {
		if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
			t.Fatal(err)
		}
	}
	write(s)
	first := moment(t, s)
	start := store.Head{}
	if end := first.After(start); end.Seq != 1 {
		t.Errorf("the log ends at %+v", end)
	}
	for range 3 {
		write(s)
	}
	if m := moment(t, s); !m.Same(first) || m.After(start).Seq != 4 || s.Contains(ctx, m.After(start)) != nil {
		t.Errorf("after entries of its own: %+v", m)
	}
	write(other)
	if m := moment(t, s); m.After(start).Seq != 4 {
		t.Errorf("it relies on an entry of another process: %+v", m)
	}
	write(s)
	if m := moment(t, s); m.Same(first) || m.After(start).Seq != 6 || s.Contains(ctx, m.After(start)) != nil {
		t.Errorf("after an entry of another process: %+v", m)
	}
	if _, err := s.Verify(ctx); err != nil {
		t.Error(err)
	}
}

// Many who ask at once share a reading, and none gets one from before they asked.
func TestMomentIsFresh(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, other := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	var all sync.WaitGroup
	for i := range 8 {
		from := s
		if i%2 == 1 {
			from = other
		}
		all.Go(func() {
			for j := range 30 {
				before, err := s.Moment()
				if err != nil {
					t.Error(err)
					return
				}
				rule := store.Rule{ID: "r" + strconv.Itoa(i*100+j), Version: 1, Fixed: []byte{}, State: []byte{}, Mark: []byte{}}
				if err := from.Update(ctx, func(tx *store.Tx) error { return tx.InsertRule(rule) }); err != nil {
					t.Error(err)
					return
				}
				if after, err := s.Moment(); err != nil || after.Same(before) {
					t.Errorf("a rule was made, and the moment is the same: %+v %v", after, err)
					return
				}
			}
		})
	}
	all.Wait()
}
