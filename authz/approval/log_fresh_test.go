package approval

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/exeat/exeat/store"
)

// addKey gives alice a passkey, as its registration does.
func (w *world) addKey(id string) {
	w.T.Helper()
	w.insertKey(id, func(tx *store.Tx) error {
		return w.tellKey(tx, "User::alice", "User::alice", noteKeyAdded, digestOf(id))
	})
}

// addKeyUnnamed gives her one as exeat did before entries named and sealed it.
func (w *world) addKeyUnnamed(id string) {
	w.T.Helper()
	w.insertKey(id, func(tx *store.Tx) error {
		return tx.Append(store.Entry{Kind: store.KindPasskey, Principal: "User::alice", By: "User::alice", Note: noteKeyAdded})
	})
}

func (w *world) insertKey(id string, tell func(*store.Tx) error) {
	w.T.Helper()
	err := w.DB.Update(w.T.Context(), func(tx *store.Tx) error {
		p := store.Passkey{ID: id, Version: 1, Person: "User::alice", Name: id, Credential: []byte(`{}`), Created: w.Service.Now()}
		p.Mark = w.markPasskey(p)
		return errors.Join(tx.InsertPasskey(p), tell(tx))
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// attack is somebody who can write the database.
func (w *world) attack(statement string) {
	w.T.Helper()
	if _, err := w.Raw.Exec(statement); err != nil {
		w.T.Fatal(err)
	}
}

// Whoever can write the database takes a person's passkeys out of it, spoils one or
// puts an old one back: that is never less than a forged one, also for a process
// that has just begun.
func TestPasskeysAreAsTheLogSays(t *testing.T) {
	for name, attack := range map[string]func(*world){
		"all deleted":       func(w *world) { w.attack("DELETE FROM passkeys") },
		"one deleted":       func(w *world) { w.attack("DELETE FROM passkeys WHERE id = 'one'") },
		"spoiled":           func(w *world) { w.attack("UPDATE passkeys SET credential = CAST('{ }' AS BLOB) WHERE id = 'one'") },
		"somebody else's":   func(w *world) { w.attack("UPDATE passkeys SET person = 'User::bob'") },
		"marked as revoked": func(w *world) { w.attack("UPDATE passkeys SET revoked = 1 WHERE id = 'one'") },
		"a revoked one put back": func(w *world) {
			w.attack("CREATE TABLE spare AS SELECT * FROM passkeys WHERE id = 'one'")
			if err := w.RevokePasskey(w.T.Context(), "User::alice", "one", "the operator"); err != nil {
				w.T.Fatal(err)
			}
			w.attack("DELETE FROM passkeys WHERE id = 'one'")
			w.attack("INSERT INTO passkeys SELECT * FROM spare")
		},
		"a revoked one in the place of a good one": func(w *world) {
			w.attack("CREATE TABLE spare AS SELECT * FROM passkeys WHERE id = 'one'")
			if err := w.RevokePasskey(w.T.Context(), "User::alice", "one", "the operator"); err != nil {
				w.T.Fatal(err)
			}
			w.attack("DELETE FROM passkeys")
			w.attack("INSERT INTO passkeys SELECT * FROM spare")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.addKey("one")
			w.addKey("two")
			h := w.open(call(alice, "k1"))
			if _, err := w.Decide(t.Context(), Person{Principal: alice, AMR: []string{"otp"}}, h.ID, Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, ErrNeedPasskey) {
				t.Fatalf("before: %v", err)
			}
			attack(w)
			w.restart(nil)
			if _, err := w.Decide(t.Context(), Person{Principal: alice, AMR: []string{"otp"}}, h.ID, Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, ErrStale) {
				t.Errorf("a login link approves: %v", err)
			}
			if got := w.Stored(h.ID); got.State != store.Pending {
				t.Errorf("it is %s", got.State)
			}
		})
	}
}

// A grant that was revoked or used up, put back as it was before, lets nothing go in
// a process that has just begun; a stop that is taken out still stops.
func TestRulesAreAsTheLogSays(t *testing.T) {
	t.Run("revoked", func(t *testing.T) {
		w := newWorld(t)
		r, _ := w.give(nil)
		w.attack("CREATE TABLE spare AS SELECT * FROM rules")
		if err := w.Revoke(t.Context(), w.as(Person{Principal: alice, AMR: []string{"otp"}}), r.ID); err != nil {
			t.Fatal(err)
		}
		w.attack("DELETE FROM rules")
		w.attack("INSERT INTO rules SELECT * FROM spare")
		w.restart(nil)
		if err := w.use(r); !errors.Is(err, ErrNoGrant) {
			t.Errorf("it is used: %v", err)
		}
	})
	t.Run("used up", func(t *testing.T) {
		w := newWorld(t)
		r, _ := w.give(func(o *Offer) { o.Max = 2 })
		w.attack("CREATE TABLE spare AS SELECT * FROM rules")
		for range 2 {
			if err := w.use(r); err != nil {
				t.Fatal(err)
			}
		}
		w.attack("DELETE FROM rules")
		w.attack("INSERT INTO rules SELECT * FROM spare")
		w.restart(nil)
		if err := w.use(r); !errors.Is(err, ErrNoGrant) {
			t.Errorf("it is used once more: %v", err)
		}
	})
	for _, agent := range []string{"claude-desktop", strings.Repeat("a", 300), "a\xff"} {
		t.Run(fmt.Sprintf("a stop of %.20q", agent), func(t *testing.T) {
			w := newWorld(t)
			who := w.as(Person{Principal: alice, AMR: []string{"otp"}})
			if err := w.Stop(t.Context(), who, agent); err != nil {
				t.Fatal(err)
			}
			w.attack("DELETE FROM rules")
			w.restart(nil)
			rules, err := w.RulesInForce(t.Context(), "User::alice", agent)
			if err != nil || len(rules) != 1 || rules[0].Kind != KindStop {
				t.Errorf("the agent goes on: %v %v", rules, err)
			}
		})
	}
	t.Run("a stop, at the use of a grant", func(t *testing.T) {
		w := newWorld(t)
		r, _ := w.give(nil)
		if err := w.Stop(t.Context(), w.as(Person{Principal: alice, AMR: []string{"otp"}}), "claude-desktop"); err != nil {
			t.Fatal(err)
		}
		w.attack("DELETE FROM rules WHERE kind = 'stop'")
		w.restart(nil)
		if err := w.use(r); !errors.Is(err, ErrNoGrant) {
			t.Errorf("it is used: %v", err)
		}
	})
}

// Entries from before do not name the key that they tell of: how many there are
// still counts, and keys that are named stand beside them.
func TestPasskeysOfUnnamedEntries(t *testing.T) {
	w := newWorld(t)
	w.addKeyUnnamed("old")
	w.addKey("new")
	check := func(want bool) {
		t.Helper()
		if _, err := w.holder(t.Context(), "User::alice"); errors.Is(err, ErrStale) == want || err != nil && !errors.Is(err, ErrStale) {
			t.Errorf("good is to be %t: %v", want, err)
		}
	}
	check(true)
	w.attack("CREATE TABLE spare AS SELECT * FROM passkeys")
	if err := w.RevokePasskey(t.Context(), "User::alice", "old", "the operator"); err != nil {
		t.Fatal(err)
	}
	check(true)
	w.attack("DELETE FROM passkeys")
	check(false)
	w.attack("INSERT INTO passkeys SELECT * FROM spare WHERE id = 'old'")
	check(false) // The way out: the one that is missing, and the one that was put back.
	for range 2 {
		list, err := w.StrayPasskeys(t.Context())
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		for _, p := range list {
			if err := w.RevokePasskey(t.Context(), p.Person, p.Digest, "terminal"); err != nil {
				t.Fatal(p, err)
			}
		}
		if list, err = w.StrayPasskeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			check(true)
			return
		}
	}
	t.Error("there is no way out")
}
