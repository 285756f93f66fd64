package approval

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Which calls a rule is about: paths by whole segments, values with every digit,
// and nothing where there is a doubt.
func TestRuleMatches(t *testing.T) {
	shape := func(path, args string) Shape {
		return Shape{Principal: alice, Agent: authz.Agent{ID: "claude"}, Place: here, API: "petstore", Tool: "delete_pet", Path: path, Args: []byte(args)}
	}
	below := func(path string) Scope { return Scope{Reach: ReachBelow, Path: path, Args: ArgsAny} }
	some := func(equal ...string) Scope {
		s := Scope{Reach: ReachAny, Args: ArgsSome}
		for i := 0; i < len(equal); i += 2 {
			s.Equal = append(s.Equal, Equal{equal[i], equal[i+1]})
		}
		return s
	}
	for _, tt := range []struct {
		name  string
		scope Scope
		path  string
		args  string
		want  bool
	}{
		{"exact", Scope{Reach: ReachExact, Path: "/pets/4", Args: ArgsAny}, "/pets/4", `{}`, true},
		{"exact is no prefix", Scope{Reach: ReachExact, Path: "/pets/4", Args: ArgsAny}, "/pets/42", `{}`, false},
		{"exact is not below", Scope{Reach: ReachExact, Path: "/pets", Args: ArgsAny}, "/pets/4", `{}`, false},
		{"below itself", below("/pets"), "/pets", `{}`, true},
		{"below", below("/pets"), "/pets/4/toys", `{}`, true},
		{"below, written with a slash", below("/pets/"), "/pets/4", `{}`, true},
		{"below is by segment", below("/pets"), "/petshop", `{}`, false},
		{"below is by segment, deeper", below("/pets/4"), "/pets/42", `{}`, false},
		{"an encoded slash is none", below("/pets/4"), "/pets/4%2Ftoys", `{}`, false},
		{"dots", below("/pets"), "/pets/../owners", `{}`, false},
		{"one dot", below("/pets"), "/pets/./4", `{}`, false},
		{"empty segment", below("/pets"), "/pets//4", `{}`, false},
		{"root", below("/"), "/pets/4", `{}`, true},
		{"below nothing", below(""), "/pets", `{}`, false},
		{"no reach", Scope{Args: ArgsAny}, "/pets", `{}`, false},
		{"no args", Scope{Reach: ReachAny}, "/pets", `{}`, false},
		{"same", Scope{Reach: ReachAny, Args: ArgsSame, Same: `{"id":4}`}, "/p", `{"id":4}`, true},
		{"same and one more", Scope{Reach: ReachAny, Args: ArgsSame, Same: `{"id":4}`}, "/p", `{"force":true,"id":4}`, false},
		{"same as nothing", Scope{Reach: ReachAny, Args: ArgsSame}, "/p", ``, false},
		{"equal", some("/id", "4"), "/p", `{"force":true,"id":4}`, true},
		{"absent", some("/id", "4"), "/p", `{"force":true}`, false},
		{"absent is not null", some("/id", "null"), "/p", `{}`, false},
		{"null", some("/id", "null"), "/p", `{"id":null}`, true},
		{"a string is no number", some("/id", "4"), "/p", `{"id":"4"}`, false},
		{"every digit", some("/id", "9007199254740993"), "/p", `{"id":9007199254740992}`, false},
		{"inside", some("/body/a~1b", `"x"`), "/p", `{"body":{"a/b":"x"}}`, true},
		{"inside a string", some("/body/a", `"x"`), "/p", `{"body":"{\"a\":\"x\"}"}`, false},
		{"one of two", some("/a", "1", "/b", "2"), "/p", `{"a":1,"b":3}`, false},
		{"case", some("/id", "4"), "/p", `{"ID":4}`, false},
		{"no constraint at all", Scope{Reach: ReachAny, Args: ArgsSome}, "/p", `{}`, false},
		{"the whole", some("", `{}`), "/p", `{}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.scope.API, tt.scope.Tool, tt.scope.Place = "petstore", "delete_pet", here
			r := Rule{Kind: KindGrant, Subject: "User::alice", Agent: "claude", Scope: tt.scope}
			if got := r.Matches(shape(tt.path, tt.args)); got != tt.want {
				t.Errorf("matches: %v", got)
			}
			r.Damaged = true
			if r.Matches(shape(tt.path, tt.args)) {
				t.Error("it matches although it was altered")
			}
		})
	}
}

// A grant ends at its second, and a clock that steps back does not bring it
// back: not in this process, and not in another.
func TestGrantEnds(t *testing.T) {
	w := newWorld(t)
	r, _ := w.give(nil)
	w.Pass(10*time.Minute - time.Microsecond)
	if err := w.use(r); err != nil {
		t.Fatalf("just before its end: %v", err)
	}
	w.Pass(time.Microsecond)
	if err := w.use(r); !errors.Is(err, ErrNoGrant) {
		t.Fatalf("at its end: %v", err)
	}
	w.Pass(-9 * time.Minute)
	if err := w.use(r); !errors.Is(err, ErrNoGrant) {
		t.Errorf("after the clock went back: %v", err)
	}
}

func TestGrantClockOfAnotherProcess(t *testing.T) {
	w := newWorld(t)
	r, _ := w.give(nil)
	w.Pass(9 * time.Minute)
	if err := w.use(r); err != nil {
		t.Fatal(err)
	}
	w.Pass(-8 * time.Minute)
	w.clock.at = time.Time{} // as a process that has seen nothing
	if err := w.use(r); err != nil {
		t.Fatalf("it is not over: %v", err)
	}
	rules, err := w.Rules(t.Context(), w.as(Person{Principal: alice}))
	if err != nil || len(rules) != 1 {
		t.Fatal(rules, err)
	}
	if got := rules[0].Last.Sub(r.Created); got != 9*time.Minute {
		t.Errorf("its last use was %v after it was given: the clock that went back is believed", got)
	}
}

// Whatever is altered in a stored grant, nothing goes under it.
func TestAlteredGrant(t *testing.T) {
	for _, change := range []string{"kind = 'denial'", "subject = 'User::bob'", "agent = 'x'", "created = created - 1", "ends = ends + 1", "revoked = 1", "version = version + 1",
		`fixed = replace(CAST(fixed AS TEXT), 'exact', 'any')`, `fixed = replace(CAST(fixed AS TEXT), 'alice', 'mallory')`,
		`state = replace(CAST(state AS TEXT), '"used":0', '"used":-9')`, "mark = x'00'", "mark = x''"} {
		t.Run(change, func(t *testing.T) {
			w := newWorld(t)
			r, _ := w.give(nil)
			w.SQL("UPDATE rules SET " + change)
			if err := w.use(r); !errors.Is(err, ErrNoGrant) {
				t.Errorf("it was used: %v", err)
			}
		})
	}
}

// A row that was copied before it was used or revoked, and is put back, is an
// old one.
func TestReplayedGrant(t *testing.T) {
	w := newWorld(t)
	r, _ := w.give(func(o *Offer) { o.Max = 1 })
	if _, err := w.Raw.Exec("CREATE TABLE kept AS SELECT * FROM rules"); err != nil {
		t.Fatal(err)
	}
	if err := w.use(r); err != nil {
		t.Fatal(err)
	}
	w.SQL("DELETE FROM rules")
	w.SQL("INSERT INTO rules SELECT * FROM kept")
	if err := w.use(r); !errors.Is(err, ErrNoGrant) {
		t.Errorf("it was used twice: %v", err)
	}
}

func TestGrantRate(t *testing.T) {
	w := newWorld(t)
	r, _ := w.give(nil)
	for n := range GrantRate {
		if err := w.use(r); err != nil {
			t.Fatalf("use %d: %v", n, err)
		}
	}
	if err := w.use(r); !errors.Is(err, ErrNoGrant) {
		t.Errorf("one more within the minute: %v", err)
	}
	w.Pass(time.Minute)
	if err := w.use(r); err != nil {
		t.Errorf("in the next minute: %v", err)
	}
}

// A grant is for the place that it was given for. One that was made before grants
// knew places is for none; a block is for the tool wherever its calls go.
func TestRuleMatchesPlace(t *testing.T) {
	for name, at := range map[string]Place{
		"another audience": {"https://api.example.org", here.Origin, here.Method, here.Document},
		"another origin":   {here.Audience, "https://api.example.com:8443", here.Method, here.Document},
		"another method":   {here.Audience, here.Origin, "PUT", here.Document},
		"another document": {here.Audience, here.Origin, here.Method, "sha-256=:other:"},
		"nowhere":          {},
	} {
		call := Shape{Principal: alice, Agent: authz.Agent{ID: "claude"}, Place: at, API: "petstore", Tool: "delete_pet", Path: "/pets/4"}
		for kind, want := range map[string]bool{KindGrant: false, KindBlock: true, KindStop: true} {
			for _, place := range []Place{here, {}} {
				r := Rule{Kind: kind, Subject: "User::alice", Agent: "claude", Scope: Scope{Place: place, API: "petstore", Tool: "delete_pet", Reach: ReachAny, Args: ArgsAny}}
				if got := r.Matches(call); got != want {
					t.Errorf("%s: a %s of %v matches: %t", name, kind, place, got)
				}
			}
		}
	}
	a := Rule{Kind: KindGrant, Scope: Scope{Place: here}}
	b := Rule{Kind: KindGrant, Scope: Scope{Place: Place{here.Audience, "https://api.example.net", here.Method, here.Document}}}
	if a.Terms() == b.Terms() || a.Told() == b.Told() || a.Cedar() == b.Cedar() {
		t.Error("what is signed or shown of a grant does not say where it is for")
	}
}

// A grant is for calls of its own principal, and by whom the policies let decide
// them now.
func TestGrantGiver(t *testing.T) {
	w := newWorld(t)
	r, _ := w.give(nil)
	err := w.Use(t.Context(), r.ID, Shape{Principal: bob, Agent: authz.Agent{ID: "claude-desktop"}, Place: here, API: "petstore", Tool: "delete_pet",
		Path: "/pets/42", Args: []byte(`{"id":42}`)}, store.Entry{})
	if !errors.Is(err, ErrNoGrant) {
		t.Errorf("bob used it: %v", err)
	}
	stricter := newWorld(t, `permit (principal, action, resource) when { context has approval };
		@id("no-alice") forbid (principal == User::"alice", action == Action::"approve", resource);`)
	w.c.Engine = stricter.World.Engine
	if err := w.use(r); !errors.Is(err, ErrNoGrant) {
		t.Errorf("alice may not decide any more: %v", err)
	}
}

// Stopping and revoking are decisions with entries, and giving decides the hold.
func TestGrantEntries(t *testing.T) {
	w := newWorld(t)
	r, h := w.give(nil)
	if got := w.Stored(h.ID); got.State != store.Approved || got.Approval.Once || got.Approval.Grant != r.ID || !w.proven(got) {
		t.Errorf("the hold is %s with %+v", got.State, got.Approval)
	}
	who := w.as(Person{Principal: alice})
	for _, err := range []error{w.use(r), w.Stop(t.Context(), who, "claude-desktop"), w.Stop(t.Context(), who, "claude-desktop"),
		w.Start(t.Context(), who, "claude-desktop"), w.Revoke(t.Context(), who, r.ID), w.Revoke(t.Context(), who, r.ID)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := "hold; grant User::alice; approve User::alice; call; stop User::alice; refuse User::alice; start User::alice; revoke User::alice"
	if got := strings.Join(w.Entries(), "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What a person is shown of a rule is Cedar.
func TestRuleCedar(t *testing.T) {
	for _, s := range []Scope{
		{API: "pet_store", Tool: "delete_pet", Reach: ReachExact, Path: `/pets/"x"`, Args: ArgsSame, Same: `{"a":1.5,"b":"q\"\n","c":{"d":true},"e f":1}`},
		{API: "petstore", Tool: "delete_pet", Reach: ReachBelow, Path: "/pets/", Args: ArgsSome, Equal: []Equal{{"/body/x\n};", `"}; permit (principal, action, resource);"`}}},
		{},
	} {
		for _, kind := range []string{KindGrant, KindStop} {
			r := Rule{Kind: kind, Subject: `User::a"b`, Agent: "x\u202e\"", Scope: s, Ends: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Max: 3}
			if list, err := cedar.NewPolicyListFromBytes("rule", []byte(r.Cedar())); err != nil || len(list) != 1 {
				t.Errorf("%v, %d policies:\n%s", err, len(list), r.Cedar())
			}
		}
	}
}
