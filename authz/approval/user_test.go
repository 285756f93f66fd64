package approval

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// idp is an issuer that says things of alice.
var idp = Issuer("https://idp.example.com")

// other is another process on the same database.
func (w *world) other() *Service {
	w.T.Helper()
	c := w.config
	db, err := store.Open(w.T.Context(), w.Path)
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { db.Close() })
	c.Store = db
	s, err := New(c)
	if err != nil {
		w.T.Fatal(err)
	}
	return s
}

// TestEndUser ends what waits, what is approved, what was granted and who is logged
// in, in another process than the one that was told, and leaves the rest.
func TestEndUser(t *testing.T) {
	w := newWorld(t)
	bystander := w.open(call(bob, "bobs"))
	waiting := w.open(call(alice, "waits"))
	approved := w.approve(w.open(call(alice, "approved")))
	granted, given := w.give(nil)
	login := w.as(Person{Principal: alice, Since: w.Service.Now()})
	w.Pass(time.Second)

	told := w.other()
	got, err := told.EndUser(t.Context(), End{Subject: "User::alice", By: idp, Cause: "session-revoked", JTI: "jti-1"})
	if err != nil || got != (Ended{Grants: 1, Holds: 3}) {
		t.Fatalf("%+v, %v", got, err)
	}
	for id, want := range map[string]store.State{waiting.ID: store.Denied, approved.ID: store.Refused, given.ID: store.Refused, bystander.ID: store.Pending} {
		if h := w.Stored(id); h.State != want {
			t.Errorf("%s is %s, want %s", id, h.State, want)
		}
	}
	if err := w.use(granted); !errors.Is(err, ErrNoGrant) {
		t.Errorf("the grant: %v", err)
	}
	if _, err := w.Rules(t.Context(), login); !errors.Is(err, ErrStranger) {
		t.Errorf("the login: %v", err)
	}
	before, err := w.RevokedBefore(t.Context(), "User::alice")
	if now := w.Service.Now(); err != nil || before.Before(now) || before.After(now.Add(time.Second)) {
		t.Errorf("tokens from before %s, %v", before, err)
	}
	if other, err := w.RevokedBefore(t.Context(), "User::bob"); err != nil || !other.IsZero() {
		t.Errorf("bob's tokens from before %s, %v", other, err)
	}
	want := []string{"end session-revoked Issuer::https://idp.example.com", "revoke Issuer::https://idp.example.com",
		"deny Issuer::https://idp.example.com", "refuse Issuer::https://idp.example.com", "refuse Issuer::https://idp.example.com"}
	all := w.Entries()
	slices.Sort(want[2:])
	slices.Sort(all[len(all)-3:])
	if d := cmp.Diff(want, all[len(all)-len(want):]); d != "" {
		t.Error(d)
	}

	// Whoever logs in again goes on: nobody is stopped.
	w.Pass(time.Second)
	h := w.open(call(alice, "anew"))
	if _, err := w.Decide(t.Context(), Person{Principal: alice, Since: w.Service.Now()}, h.ID, Verdict{Approve: true, Digest: h.Digest}); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Second)
	w.claim()
}

// What was approved and missed by the walk over the holds is refused at its send: the
// entry of the end is enough.
func TestEndReachesTheSend(t *testing.T) {
	for name, c := range map[string]struct {
		subject string
		policy  string
	}{
		"who asked":    {"User::bob", ""},
		"who approved": {"User::alice", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, `@id("hold") permit (principal, action, resource) when { context has approval };
@id("any") permit (principal, action == Action::"approve", resource);`)
			w.approve(w.open(call(bob, "k")))
			w.Pass(time.Second)
			err := w.DB.Update(t.Context(), func(tx *store.Tx) error {
				return tx.Append(store.Entry{Kind: store.KindEnd, Time: w.Service.Now(), Principal: c.subject, By: idp.Name(), Code: "session-revoked"})
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Claim(t.Context(), []string{"petstore"}, anyHold, "me", time.Minute); !errors.Is(err, ErrForbidden) {
				t.Errorf("%v, want %v", err, ErrForbidden)
			}
		})
	}
}

func TestStopUser(t *testing.T) {
	w := newWorld(t)
	stop := func(by authz.Principal, at time.Time) {
		t.Helper()
		w.Pass(time.Second)
		if _, err := w.EndUser(t.Context(), End{Subject: "User::alice", By: by, Cause: "x", Before: at, Stop: true}); err != nil {
			t.Fatal(err)
		}
	}
	start := func(by authz.Principal, at time.Time, want bool) {
		t.Helper()
		w.Pass(time.Second)
		if ok, err := w.StartUser(t.Context(), End{Subject: "User::alice", By: by, Cause: "y", Before: at}); err != nil || ok != want {
			t.Errorf("started %t, %v; want %t", ok, err, want)
		}
	}
	check := func(stopped bool) {
		t.Helper()
		w.Pass(time.Second)
		rules, err := w.RulesInForce(t.Context(), "User::alice", "claude-desktop")
		is := slices.ContainsFunc(rules, func(r Rule) bool { return r.Kind == KindStop && r.Agent == "" })
		if err != nil || is != stopped {
			t.Errorf("stopped %t, %v; want %t", is, err, stopped)
		}
		err = w.Check(t.Context(), w.as(Person{Principal: alice, Since: w.Service.Now()}))
		if errors.Is(err, ErrUserStopped) != stopped || !stopped && err != nil {
			t.Errorf("the login: %v", err)
		}
		if rules, err := w.RulesInForce(t.Context(), "User::bob", "claude-desktop"); err != nil || len(rules) > 0 {
			t.Errorf("bob: %v, %v", rules, err)
		}
	}
	operator, elsewhere := Operator("root"), Issuer("https://other.example.com")

	check(false)
	start(operator, time.Time{}, false)
	stop(idp, w.Service.Now())
	check(true)
	start(elsewhere, w.Service.Now(), false) // it is not the one that stopped
	check(true)
	start(idp, w.Service.Now().Add(-time.Hour), false) // it is older than the stop
	check(true)
	start(idp, w.Service.Now(), true)
	check(false)

	stop(operator, time.Time{})
	start(idp, w.Service.Now(), false) // an issuer lifts no stop of an operator
	check(true)
	stop(idp, w.Service.Now())
	start(operator, time.Time{}, true) // an operator lifts all
	check(false)

	// By another's name for itself nobody becomes an operator.
	stop(operator, time.Time{})
	start(Issuer("Operator::root"), w.Service.Now(), false)
	check(true)
}

// A stopped user decides nothing for others either, and cannot start their own agents
// to get around it.
func TestStoppedUserDecidesNothing(t *testing.T) {
	w := newWorld(t)
	h := w.open(call(alice, "k"))
	w.Pass(time.Second)
	if _, err := w.EndUser(t.Context(), End{Subject: "User::alice", By: Operator("root"), Cause: "stop", Stop: true}); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Second)
	p := Person{Principal: alice, Since: w.Service.Now()}
	if _, err := w.Decide(t.Context(), p, h.ID, Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, ErrUserStopped) {
		t.Errorf("decide: %v", err)
	}
	if err := w.Start(t.Context(), w.as(p), "claude-desktop"); !errors.Is(err, ErrUserStopped) {
		t.Errorf("start: %v", err)
	}
	users, err := w.Users(t.Context())
	if err != nil || len(users) != 1 || users[0].Subject != "User::alice" || len(users[0].Stops) != 1 || users[0].Stops[0].By != "Operator::root" {
		t.Errorf("%+v, %v", users, err)
	}
}
