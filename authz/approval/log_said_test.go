package approval

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// forge appends an entry that fits the chain, as anybody can who can hash.
func (w *world) forge(e store.Entry) {
	w.T.Helper()
	e.Time = w.Service.Now()
	storetest.Forge(w.T, w.Raw, e)
}

// restartKnowing is another process that has what this one kept outside of the
// database: the file beside the keys.
func (w *world) restartKnowing() {
	w.T.Helper()
	said, err := w.Said(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	kept, err := json.Marshal(said)
	if err != nil {
		w.T.Fatal(err)
	}
	w.restart(func(c *Config) {
		c.Known = new(Said)
		if err := json.Unmarshal(kept, c.Known); err != nil {
			w.T.Fatal(err)
		}
	})
}

// who is alice, by the link of her terminal.
var byLink = Person{Principal: alice, AMR: []string{"otp"}}

func (w *world) approveByLink(h store.Hold) error {
	_, err := w.Decide(w.T.Context(), byLink, h.ID, Verdict{Approve: true, Digest: h.Digest})
	return err
}

// Whoever can write the database alters the log with the rows: its columns, its
// entries, its end, its seals, or all of it. A login link approves nothing then, and
// nothing that was stopped or blocked goes.
func TestLogThatIsAlteredWithTheRows(t *testing.T) {
	attacks := map[string]func(*world){
		"the kind of entries": func(w *world) {
			w.attack(`UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), '"kind":"', '"kind":"x') AS BLOB)`)
		},
		"whose entries are": func(w *world) { w.attack("UPDATE entries SET tally = 1, ref = 1") },
		"the bodies of entries": func(w *world) {
			w.attack(`UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), 'passkey', 'passkez') AS BLOB)`)
		},
		"the time of entries": func(w *world) { w.attack("UPDATE entries SET at = 0") },
		"the end of the log":  func(w *world) { w.attack("DELETE FROM entries WHERE seq > 1") },
		"all of the log":      func(w *world) { w.attack("DELETE FROM entries") },
		"a log of its own": func(w *world) {
			w.attack("DELETE FROM entries WHERE seq > 1")
			for range 9 {
				w.forge(store.Entry{Kind: store.KindOutcome})
			}
		},
		"entries of its own": func(w *world) {
			w.forge(store.Entry{Kind: store.KindPasskey, Principal: "User::alice", By: "terminal", Note: noteKeyRevoked + " " + digestOf("one")})
			w.forge(store.Entry{Kind: store.KindStart, Principal: "User::alice", Grant: w.only(KindStop)})
			w.forge(store.Entry{Kind: store.KindRevoke, Principal: "User::alice", Grant: w.only(KindBlock)})
		},
		"a start of its own": func(w *world) {
			w.forge(store.Entry{Kind: store.KindStart, Principal: "User::carol", By: "Operator::root"})
		},
		"entries of its own with old seals": func(w *world) {
			w.forge(store.Entry{Kind: store.KindPasskey, Principal: "User::alice", By: "terminal", Note: noteKeyRevoked + " " + digestOf("one")})
			w.attack("UPDATE entries SET seal = (SELECT max(seal) FROM entries)")
		},
		"nothing": func(*world) {},
	}
	for name, attack := range attacks {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarted %t", name, restarted), func(t *testing.T) {
				w := newWorld(t)
				w.Broken = true
				h := w.open(call(alice, "k1"))
				w.addKey("one")
				blocked := w.open(call(alice, "k2"))
				_, err := w.Give(t.Context(), Person{Principal: alice}, blocked, Offer{Kind: KindBlock, Reach: ReachAny, Args: ArgsAny, For: BlockMax}, Verdict{})
				_, errEnd := w.EndUser(t.Context(), End{Subject: "User::carol", By: Operator("root"), Stop: true})
				if err := errors.Join(err, errEnd, w.Stop(t.Context(), w.as(byLink), "other")); err != nil {
					t.Fatal(err)
				}
				if err := w.approveByLink(h); !errors.Is(err, ErrNeedPasskey) {
					t.Fatalf("before: %v", err)
				}
				if restarted {
					w.restartKnowing()
				}
				attack(w)
				w.attack("DELETE FROM passkeys")
				w.attack("DELETE FROM rules")
				if err := w.approveByLink(h); !errors.Is(err, ErrStale) {
					t.Errorf("a login link approves: %v", err)
				}
				if rules, err := w.RulesInForce(t.Context(), "User::carol", "x"); !errors.Is(err, ErrStale) && (err != nil || len(rules) != 1 || rules[0].Kind != KindStop) {
					t.Errorf("a stopped user goes on: %+v %v", rules, err)
				}
				for _, agent := range []string{"claude-desktop", "other"} {
					rules, err := w.RulesInForce(t.Context(), "User::alice", agent)
					if !errors.Is(err, ErrStale) && (err != nil || len(rules) != 1 || !rules[0].Damaged) {
						t.Errorf("%s goes on: %+v %v", agent, rules, err)
					}
				}
			})
		}
	}
}

// only is the id of the one rule of a kind.
func (w *world) only(kind string) (id string) {
	w.T.Helper()
	if err := w.Raw.QueryRow("SELECT id FROM rules WHERE kind = $1", kind).Scan(&id); err != nil {
		w.T.Fatal(err)
	}
	return id
}

// A grant is used as often as the log says, also one without a maximum, whose count
// within a minute is kept in its row.
func TestOlderGrantIsNoGrant(t *testing.T) {
	w := newWorld(t)
	r, _ := w.give(nil)
	w.attack("CREATE TABLE spare AS SELECT * FROM rules")
	for range GrantRate {
		if err := w.use(r); err != nil {
			t.Fatal(err)
		}
	}
	w.attack("DELETE FROM rules")
	w.attack("INSERT INTO rules SELECT * FROM spare")
	w.restart(nil)
	if err := w.use(r); !errors.Is(err, ErrNoGrant) {
		t.Errorf("it is used: %v", err)
	}
	rules, err := w.RulesInForce(t.Context(), "User::alice", "claude-desktop")
	if err != nil || len(rules) != 1 || !rules[0].Damaged {
		t.Errorf("%+v %v", rules, err)
	}
	if err := w.Revoke(t.Context(), w.as(byLink), r.ID); err != nil {
		t.Fatal(err)
	}
	if rules, err := w.RulesInForce(t.Context(), "User::alice", "claude-desktop"); err != nil || len(rules) != 0 {
		t.Errorf("it stands in the way: %+v %v", rules, err)
	}
}

// A stop or a block that was taken out of the database, or altered there, is ended by
// the person whose it is, and by nobody else.
func TestEndWhatWasTakenOut(t *testing.T) {
	for name, attack := range map[string]string{
		"taken out":       "DELETE FROM rules",
		"spoiled":         "UPDATE rules SET fixed = x'7b7d'",
		"of another kind": "UPDATE rules SET kind = 'grant'",
		"over":            "UPDATE rules SET ends = 1",
		"revoked":         "UPDATE rules SET revoked = 1",
		"somebody else's": "UPDATE rules SET subject = 'User::bob'",
		"another agent's": "UPDATE rules SET agent = 'x'",
	} {
		for _, kind := range []string{KindStop, KindBlock} {
			t.Run(name+" "+kind, func(t *testing.T) {
				w := newWorld(t)
				h := w.open(call(alice, "k1"))
				if kind == KindBlock {
					if _, err := w.Give(t.Context(), Person{Principal: alice}, h, Offer{Kind: KindBlock, Reach: ReachAny, Args: ArgsAny, For: BlockMax}, Verdict{}); err != nil {
						t.Fatal(err)
					}
				} else if err := w.Stop(t.Context(), w.as(byLink), "claude-desktop"); err != nil {
					t.Fatal(err)
				}
				w.attack(attack)
				w.restart(nil)
				state := func(subject, agent string) (damaged bool, id string) {
					t.Helper()
					rules, err := w.RulesInForce(t.Context(), subject, agent)
					if err != nil || len(rules) > 1 {
						t.Fatalf("%+v %v", rules, err)
					}
					for _, r := range rules {
						return r.Damaged && r.Kind == kind, r.ID
					}
					return false, ""
				}
				damaged, id := state("User::alice", "claude-desktop")
				if !damaged {
					t.Fatal("the agent goes on")
				}
				for _, other := range [][2]string{{"User::bob", "claude-desktop"}, {"User::alice", "x"}} {
					if _, id := state(other[0], other[1]); id != "" {
						t.Errorf("%v is in its way", other)
					}
				}
				if err := w.Revoke(t.Context(), w.as(Person{Principal: bob}), id); !errors.Is(err, ErrNotFound) {
					t.Errorf("bob ends it: %v", err)
				}
				end := func() error { return w.Revoke(t.Context(), w.as(byLink), id) }
				if kind == KindStop {
					end = func() error { return w.Start(t.Context(), w.as(byLink), "claude-desktop") }
				}
				w.addKey("one")
				if err := end(); !errors.Is(err, ErrNeedPasskey) {
					t.Errorf("without the passkey: %v", err)
				}
				if err := w.RevokePasskey(t.Context(), "User::alice", "one", "terminal"); err != nil {
					t.Fatal(err)
				}
				if err := end(); err != nil {
					t.Fatal(err)
				}
				if _, id := state("User::alice", "claude-desktop"); id != "" {
					t.Error("it is still there")
				}
			})
		}
	}
}

// What an operator does about a passkey that is spoiled or gone: it is revoked, by its
// id or by what the log calls it, and then the person begins anew.
func TestRevokeWhatIsSpoiled(t *testing.T) {
	for name, attack := range map[string]string{
		"gone":              "DELETE FROM passkeys WHERE id = 'one'",
		"spoiled":           "UPDATE passkeys SET credential = x'00' WHERE id = 'one'",
		"marked as revoked": "UPDATE passkeys SET revoked = 1 WHERE id = 'one'",
		"somebody else's":   "UPDATE passkeys SET person = 'User::bob' WHERE id = 'one'",
	} {
		for _, id := range []string{"one", digestOf("one")} {
			t.Run(name+" by "+id[:3], func(t *testing.T) {
				w := newWorld(t)
				w.addKey("one")
				w.addKey("two")
				w.attack(attack)
				w.restart(nil)
				if _, err := w.HasPasskey(t.Context(), "User::alice"); !errors.Is(err, ErrStale) {
					t.Fatal(err)
				}
				list, err := w.StrayPasskeys(t.Context())
				if err != nil || len(list) == 0 || !strings.Contains(fmt.Sprint(list), digestOf("one")) {
					t.Fatal(list, err)
				}
				if err := w.RevokePasskey(t.Context(), "User::alice", id, "terminal"); err != nil {
					t.Fatal(err)
				}
				for _, p := range list {
					if p.Person == "User::bob" {
						if err := w.RevokePasskey(t.Context(), p.Person, p.ID, "terminal"); err != nil && !errors.Is(err, ErrNotFound) {
							t.Fatal(err)
						}
					}
				}
				h, err := w.holder(t.Context(), "User::alice")
				if err != nil || len(h.keys) != 1 {
					t.Error(h, err)
				}
				if h, err := w.holder(t.Context(), "User::bob"); err != nil || len(h.keys) != 0 {
					t.Error(h, err)
				}
				if list, err := w.StrayPasskeys(t.Context()); err != nil || len(list) != 0 {
					t.Error(list, err)
				}
			})
		}
	}
}

// Two processes on one database: each sees what the other lets people say.
func TestTwoServicesOnOneLog(t *testing.T) {
	w := newWorld(t)
	db, err := store.Open(t.Context(), filepath.Clean(w.Path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c := w.config
	c.Store = db
	other, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	r, h := w.give(nil)
	_ = h
	shape := Shape{Principal: alice, Agent: authz.Agent{ID: "claude-desktop"}, Place: here, API: "petstore", Tool: "delete_pet", Path: "/pets/42", Args: []byte(`{"id":42}`)}
	entry := store.Entry{Kind: store.KindCall, Principal: "User::alice", API: "petstore", Tool: "delete_pet"}
	var all sync.WaitGroup
	for _, s := range []*Service{w.Service, other} {
		for range 4 {
			all.Go(func() {
				for range 5 {
					if err := s.Use(t.Context(), r.ID, shape, entry); err != nil {
						t.Error(err)
					}
					if rules, err := s.RulesInForce(t.Context(), "User::alice", "claude-desktop"); err != nil || len(rules) != 1 || rules[0].Damaged {
						t.Errorf("%+v %v", rules, err)
					}
				}
			})
		}
	}
	all.Wait()
	if err := w.Revoke(t.Context(), w.as(byLink), r.ID); err != nil {
		t.Fatal(err)
	}
	if err := other.Use(t.Context(), r.ID, shape, entry); !errors.Is(err, ErrNoGrant) {
		t.Errorf("revoked by another process: %v", err)
	}
	w.addKey("one")
	if has, err := other.HasPasskey(t.Context(), "User::alice"); err != nil || !has {
		t.Error(has, err)
	}
}

// A change that is undone leaves nothing behind of what was read within it.
func TestUndoneChangeIsNotRemembered(t *testing.T) {
	w := newWorld(t)
	w.addKey("one")
	undone := errors.New("undone")
	err := w.DB.Update(t.Context(), func(tx *store.Tx) error {
		if err := w.tellKey(tx, "User::alice", "x", noteKeyRevoked, digestOf("one")); err != nil {
			return err
		}
		said, err := w.follow(tx)
		if err != nil || len(said.Keys["User::alice"].Good) != 0 {
			t.Errorf("%+v %v", said, err)
		}
		return undone
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
	if has, err := w.HasPasskey(t.Context(), "User::alice"); err != nil || !has {
		t.Error(has, err)
	}
}

// A process that learns from the file beside the keys that the log lost what another
// process had noted of it goes no further, though it never saw that itself.
func TestLogOfAnotherIsLost(t *testing.T) {
	w := newWorld(t)
	h := w.open(call(alice, "k1"))
	lost := &store.ChainError{Seq: 9, Problem: "it is remembered, but the log ends before it"}
	if err := w.Keep(t.Context(), func(*Said, bool) error { return lost }); !errors.Is(err, lost) {
		t.Fatal(err)
	}
	if err := w.approveByLink(h); !errors.Is(err, ErrStale) {
		t.Errorf("a login link approves: %v", err)
	}
	if _, err := w.RulesInForce(t.Context(), "User::alice", "claude-desktop"); !errors.Is(err, ErrStale) {
		t.Errorf("calls go: %v", err)
	}
}

// An approval whose log is not what it was is not sent, signed or not.
func TestNothingIsSentOnAnotherLog(t *testing.T) {
	w := newWorld(t)
	w.Broken = true
	w.approve(w.open(call(alice, "k1")))
	w.attack("DELETE FROM entries")
	if h, err := w.Claim(t.Context(), []string{"petstore"}, anyHold, "me", time.Minute); !errors.Is(err, ErrStale) {
		t.Errorf("it is sent: %v %v", h.ID, err)
	}
}

// BenchmarkReadLog is a whole log that is read for the first time; what comes after
// costs what is new.
func BenchmarkReadLog(b *testing.B) {
	const entries = 200_000
	w := newWorld(b)
	w.addKey("one")
	e := store.Entry{Kind: store.KindCall, Txn: "txn_0123456789abcdef", Principal: "User::alice", Agent: "claude-desktop", Session: "s_0123456789abcdef", API: "petstore", Tool: "get_pet",
		Effect: "read", Method: "GET", Path: "/pets/1", Digest: strings.Repeat("a", 64), Decision: "allow", Policies: []string{"reads"}, PolicySet: strings.Repeat("b", 64), Strategy: "signed", JTI: strings.Repeat("c", 22)}
	for n := 0; n < entries; n += 1000 {
		err := w.DB.Update(b.Context(), func(tx *store.Tx) error {
			for range 1000 {
				if err := tx.Append(e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			w.restart(nil)
			if _, err := w.Said(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("known", func(b *testing.B) {
		w.restartKnowing()
		for b.Loop() {
			if _, err := w.RulesInForce(b.Context(), "User::alice", "claude-desktop"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("two new", func(b *testing.B) {
		w.restartKnowing()
		for b.Loop() {
			b.StopTimer()
			if err := w.DB.Update(b.Context(), func(tx *store.Tx) error { return errors.Join(tx.Append(e), tx.Append(e)) }); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if _, err := w.RulesInForce(b.Context(), "User::alice", "claude-desktop"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
