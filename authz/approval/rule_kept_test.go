package approval

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
)

// kinds are those of the rules in force for claude-desktop of alice.
func (w *world) kinds(s *Service) []string {
	w.T.Helper()
	var out []string
	for range 2 { // as it is read, and as it is kept
		out = nil
		rules, err := s.RulesInForce(w.T.Context(), "User::alice", "claude-desktop")
		if err != nil {
			w.T.Fatal(err)
		}
		for _, r := range rules {
			kind := r.Kind
			if r.Damaged {
				kind = "damaged"
			}
			out = append(out, kind)
		}
	}
	slices.Sort(out)
	return out
}

// What is kept of rules is no other than what is read: a change counts at once, made
// by this process, by another, by time, or by somebody who writes to the database.
func TestRulesThatAreKept(t *testing.T) {
	w := newWorld(t)
	who := w.as(Person{Principal: alice, AMR: []string{"otp"}})
	other := w.other()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, want ...string) {
		t.Helper()
		for name, s := range map[string]*Service{"here": w.Service, "in another process": other} {
			if got := w.kinds(s); !slices.Equal(got, want) {
				t.Errorf("%s, %s: %v, want %v", what, name, got, want)
			}
		}
	}
	log := func() {
		for range 3 * behind {
			must(w.DB.Log(store.Entry{Kind: store.KindCall, Principal: "User::alice"})())
		}
	}
	check("nothing")
	r, _ := w.give(func(o *Offer) { o.Max = 2 })
	check("a grant", KindGrant)
	log()
	check("a grant, after calls", KindGrant)
	must(w.use(r))
	check("used once", KindGrant)
	must(w.use(r))
	check("used up")
	must(other.Stop(t.Context(), who, "claude-desktop"))
	check("stopped by another", KindStop)
	log()
	must(w.Start(t.Context(), who, "claude-desktop"))
	check("started here")
	r, _ = w.give(nil)
	w.Pass(r.Ends.Sub(w.Clock()) - time.Microsecond)
	check("right before its end", KindGrant)
	w.Pass(2 * time.Microsecond)
	check("at its end")
	_, err := other.EndUser(t.Context(), End{Subject: "User::alice", By: Operator("root"), Cause: "x", Stop: true})
	must(err)
	check("the user was stopped by another", KindStop)
	if u, err := w.User(t.Context(), "User::alice"); err != nil || len(u.Stops) != 1 || u.Before.IsZero() {
		t.Errorf("the user here: %+v %v", u, err)
	}
	_, err = w.StartUser(t.Context(), End{Subject: "User::alice", By: Operator("root")})
	must(err)
	check("the user goes on")
	must(w.Stop(t.Context(), w.as(Person{Principal: alice, AMR: []string{"otp"}, Since: w.Clock().Add(time.Hour)}), "claude-desktop"))
	check("stopped", KindStop)
	w.attack("UPDATE rules SET kind = 'grant' WHERE kind = 'stop'")
	check("altered by somebody", "damaged")
	w.attack("DELETE FROM rules")
	check("taken out by somebody", "damaged")
	if head := w.said.Load().Head; w.DB.Contains(t.Context(), head) != nil {
		t.Errorf("the log has no %v", head)
	}
}

// An entry that is altered is noticed at the next call, whatever is kept, and by whom
// the counting was taken away before, after the next entry.
func TestKeptRulesAndAnAlteredLog(t *testing.T) {
	for name, attack := range map[string]func(*world){
		"altered": func(w *world) {
			w.attack("UPDATE entries SET body = body || ' ' WHERE seq = (SELECT max(seq) FROM entries)")
		},
		"cut off": func(w *world) { w.attack("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)") },
		"uncounted": func(w *world) {
			w.attack("DROP TRIGGER said_entries_delete")
			w.attack("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)")
			if err := w.DB.Log(store.Entry{Kind: store.KindCall})(); err != nil {
				w.T.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Broken = true
			for range 2 {
				if err := w.DB.Log(store.Entry{Kind: store.KindCall})(); err != nil {
					t.Fatal(err)
				}
				w.kinds(w.Service)
			}
			if err := w.DB.Log(store.Entry{Kind: store.KindCall})(); err != nil {
				t.Fatal(err)
			}
			attack(w)
			if rules, err := w.RulesInForce(t.Context(), "User::alice", "claude-desktop"); !errors.Is(err, ErrStale) {
				t.Errorf("%v %v, want %v", rules, err, ErrStale)
			}
		})
	}
}

// What another process says counts for the next call, also if somebody has taken the
// counting away before, or has put the count back after it.
func TestKeptRulesUncounted(t *testing.T) {
	var drop strings.Builder
	for _, table := range []string{"rules", "clock", "entries"} {
		for _, what := range []string{"insert", "update", "delete"} {
			fmt.Fprintf(&drop, "DROP TRIGGER said_%s_%s;", table, what)
		}
	}
	for name, attack := range map[string][2]string{
		"taken away": {drop.String(), ""},
		"put back":   {"CREATE TABLE kept AS SELECT version FROM said", "UPDATE said SET version = (SELECT version FROM kept)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			other := w.other()
			who := w.as(Person{Principal: alice, AMR: []string{"otp"}})
			here := w.Service
			for _, say := range []struct {
				do   func() error
				want []string
			}{
				{func() error { return other.Stop(t.Context(), who, "claude-desktop") }, []string{KindStop}},
				{func() error { return other.Start(t.Context(), who, "claude-desktop") }, nil},
				{func() error { return other.Stop(t.Context(), who, "claude-desktop") }, []string{KindStop}},
				{func() error { return here.Start(t.Context(), who, "claude-desktop") }, nil},
				{func() error { return here.Stop(t.Context(), who, "claude-desktop") }, []string{KindStop}},
			} {
				call := func() {
					if err := w.DB.Log(store.Entry{Kind: store.KindCall})(); err != nil {
						t.Fatal(err)
					}
					w.kinds(w.Service)
				}
				call()
				w.attack(attack[0])
				if attack[1] != "" {
					call() // then it was noticed before that somebody had written
				}
				if err := say.do(); err != nil {
					t.Fatal(err)
				}
				w.attack(attack[1])
				if got := w.kinds(w.Service); !slices.Equal(got, say.want) {
					t.Errorf("%v, want %v", got, say.want)
				}
				attack = [2]string{"", attack[1]} // done once
				if attack[1] != "" {
					attack[0] = "UPDATE kept SET version = (SELECT version FROM said)"
				}
			}
		})
	}
}

func BenchmarkRulesInForce(b *testing.B) {
	for name, changes := range map[string]bool{"kept": false, "read": true} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			w.give(nil)
			b.ReportAllocs()
			for b.Loop() {
				if changes {
					w.kept.begin(store.Moment{}, nil)
				}
				if _, err := w.RulesInForce(b.Context(), "User::alice", "claude-desktop"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
