package tools

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/store"
)

// give has alice choose something for calls like the one that waits.
func (r *rig) give(t testing.TB, handle string, o approval.Offer) (approval.Rule, error) {
	t.Helper()
	var h store.Hold
	if err := r.Store.View(t.Context(), func(tx *store.Tx) (err error) {
		h, err = tx.Hold(handle)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	list, err := r.Holds.Decide(t.Context(), personOf("alice"), approval.Verdict{Approve: o.Kind == approval.KindGrant, Hold: handle, Digest: h.Digest, Rule: &o})
	if err != nil {
		return approval.Rule{}, err
	}
	return list[0].Rule, list[0].Err
}

func personOf(name string) approval.Identity {
	return door.Admit(approval.Person{Principal: authz.Principal{Type: "User", ID: name}, AMR: []string{"otp"}}, time.Now().Add(10_000*time.Hour))
}

func (r *rig) call(t testing.TB, who, tool, args string) Result {
	t.Helper()
	return r.Call(t.Context(), caller(who), tool, []byte(args))
}

func mustGive(t testing.TB, r *rig, o approval.Offer) approval.Rule {
	t.Helper()
	held := r.call(t, "alice", "delete_pet", `{"petId":1}`)
	rule, err := r.give(t, held.Envelope.Handle, o)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

var anyPet = approval.Offer{Kind: approval.KindGrant, Reach: approval.ReachAny, Args: approval.ArgsAny, For: 10 * time.Minute}

// Two processes on one database serve the same document, for staging and for
// production: a grant for one lets nothing go to the other.
func TestGrantIsForOnePlace(t *testing.T) {
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	staging := newRig(t, rigOptions{keys: keys})
	production := newRig(t, rigOptions{keys: keys, path: staging.path})
	mustGive(t, staging, anyPet)
	if res := production.call(t, "alice", "delete_pet", `{"petId":1}`); res.Envelope.Status != Pending {
		t.Errorf("in production: %+v", res)
	}
	if res := staging.call(t, "alice", "delete_pet", `{"petId":2}`); res.Envelope.HTTPStatus != 204 {
		t.Errorf("in staging: %+v", res)
	}
	if n := production.shop.writes.Load(); n != 0 {
		t.Errorf("%d writes in production", n)
	}
}

// A grant releases the call that it was given for and answers the next one in
// the person's name, until it is revoked; it answers for nobody else.
func TestGrant(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.run(t)
	held := r.call(t, "alice", "delete_pet", `{"petId":1}`)
	rule, err := r.give(t, held.Envelope.Handle, anyPet)
	if err != nil {
		t.Fatal(err)
	}
	if res := r.wait(t, held.Envelope.Handle); res.Envelope.HTTPStatus != 204 {
		t.Fatalf("the held call: %+v", res)
	}
	if res := r.call(t, "alice", "delete_pet", `{"petId":2}`); res.Envelope.HTTPStatus != 204 {
		t.Fatalf("under the grant: %+v", res)
	}
	var entry store.Entry
	if err := r.Store.Entries(t.Context(), 0, func(e store.Entry) error {
		if e.Kind == store.KindCall {
			entry = e
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if entry.Grant != rule.ID || entry.By != "User::alice" || entry.JTI == "" || entry.Decision != "allow" {
		t.Errorf("the entry is %+v", entry)
	}
	other := caller("alice")
	other.Agent.ID = "another agent"
	for name, c := range map[string]Caller{"somebody else": caller("bob"), "another agent": other,
		"the same name, verified": {Principal: other.Principal, Agent: authz.Agent{ID: "test-agent", Verified: true}, Session: other.Session}} {
		if res := r.Call(t.Context(), c, "delete_pet", []byte(`{"petId":3}`)); res.Envelope.Status != Pending {
			t.Errorf("%s: %+v", name, res)
		}
	}
	if res := r.call(t, "alice", "update_pet", `{"petId":3,"body":{"name":"x"}}`); res.Envelope.Status == Done {
		t.Errorf("another tool: %+v", res)
	}
	if err := r.Holds.Revoke(t.Context(), personOf("bob"), rule.ID); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("bob revokes it: %v", err)
	}
	if err := r.Holds.Revoke(t.Context(), personOf("alice"), rule.ID); err != nil {
		t.Fatal(err)
	}
	if res := r.call(t, "alice", "delete_pet", `{"petId":3}`); res.Envelope.Status != Pending {
		t.Errorf("after it was revoked: %+v", res)
	}
	if n := r.shop.writes.Load(); n != 2 {
		t.Errorf("%d requests left", n)
	}
}

// What the policies do not take from a grant, no grant gives.
func TestGrantPolicies(t *testing.T) {
	const decide = `@id("d") permit (principal, action == Action::"approve", resource);`
	const once = `@id("w") permit (principal, action in Action::"delete", resource) when { context has approval && context.approval.once };`
	const short = `@id("w") @grant_max("5m") permit (principal, action in Action::"delete", resource) when { context has approval };`
	const long = `@id("w") @grant_max("48h") permit (principal, action in Action::"delete", resource) when { context has approval };`
	const nobody = `@id("w") permit (principal, action in Action::"delete", resource) when { context has approval };
		@id("d") permit (principal, action == Action::"approve", resource) when { context.approval.once };`
	of := func(d time.Duration) approval.Offer { o := anyPet; o.For = d; return o }
	for _, tt := range []struct {
		name, policy string
		offer        approval.Offer
		want         error
	}{
		{"once only", once + decide, of(time.Minute), approval.ErrNoChoice},
		{"longer than @grant_max", short + decide, of(5*time.Minute + time.Second), approval.ErrTooLong},
		{"as long as @grant_max", short + decide, of(5 * time.Minute), nil},
		{"two days", long + decide, of(48 * time.Hour), nil},
		{"without @grant_max", "", of(21 * time.Minute), approval.ErrTooLong},
		{"may only decide once", nobody, of(time.Minute), approval.ErrForbidden},
		{"no time", "", of(0), approval.ErrGrantForm},
		{"another path", "", approval.Offer{Kind: approval.KindGrant, Reach: approval.ReachBelow, Path: "/owners", Args: approval.ArgsAny, For: time.Minute}, approval.ErrGrantForm},
		{"no such argument", "", approval.Offer{Kind: approval.KindGrant, Reach: approval.ReachExact, Args: approval.ArgsSome, Keep: []string{"/nope"}, For: time.Minute}, approval.ErrGrantForm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigOptions{policy: tt.policy})
			held := r.call(t, "alice", "delete_pet", `{"petId":1}`)
			if _, err := r.give(t, held.Envelope.Handle, tt.offer); !errors.Is(err, tt.want) {
				t.Fatalf("giving it: %v, want %v", err, tt.want)
			}
			want := Pending
			if tt.want == nil {
				want = Done
			}
			if res := r.call(t, "alice", "delete_pet", `{"petId":2}`); res.Envelope.Status != want {
				t.Errorf("the next call: %+v", res)
			}
		})
	}
}

// A grant that was revoked, or an agent that was stopped, after the hold was
// approved by it and before it was sent: nothing is sent.
func TestGrantTakenBack(t *testing.T) {
	for name, take := range map[string]func(*rig, approval.Rule) error{
		"revoked": func(r *rig, rule approval.Rule) error {
			return r.Holds.Revoke(t.Context(), personOf("alice"), rule.ID)
		},
		"stopped": func(r *rig, _ approval.Rule) error {
			return r.Holds.Stop(t.Context(), personOf("alice"), "test-agent")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			held := r.call(t, "alice", "delete_pet", `{"petId":1}`)
			rule, err := r.give(t, held.Envelope.Handle, anyPet)
			if err != nil {
				t.Fatal(err)
			}
			if err := take(r, rule); err != nil {
				t.Fatal(err)
			}
			r.run(t)
			want := map[string]Code{"revoked": PolicyChanged, "stopped": PolicyDenied}[name]
			if res := r.wait(t, held.Envelope.Handle); res.Envelope.Code != want {
				t.Errorf("it was answered with %+v", res)
			}
			if n := r.shop.writes.Load(); n != 0 {
				t.Errorf("%d requests left", n)
			}
		})
	}
}

// A call whose grant is revoked while its credential is made does not leave; it
// waits for a person.
func TestGrantRevokedAtTheLastMoment(t *testing.T) {
	r := newRig(t, rigOptions{})
	rule := mustGive(t, r, anyPet)
	before := r.APIs[0].Credentials
	r.APIs[0].Credentials = attach(func(ctx context.Context, c token.Call, req *http.Request) (token.Receipt, error) {
		if err := r.Holds.Revoke(ctx, personOf("alice"), rule.ID); err != nil {
			t.Error(err)
		}
		return before.Attach(ctx, c, req)
	})
	if res := r.call(t, "alice", "delete_pet", `{"petId":2}`); res.Envelope.Status != Pending || res.Envelope.Handle == "" {
		t.Errorf("it was answered with %+v", res)
	}
	if n := r.shop.writes.Load(); n != 0 {
		t.Errorf("%d requests left", n)
	}
}

type attach func(context.Context, token.Call, *http.Request) (token.Receipt, error)

func (a attach) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	return a(ctx, c, r)
}

// A stopped user's agents do nothing, whatever they are called, in each process on
// the database; what waited is over, and what was approved is not sent.
func TestStoppedUser(t *testing.T) {
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.Secret("approvals")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rigOptions{keys: keys})
	held := r.call(t, "alice", "delete_pet", `{"petId":1}`)
	mustGive(t, r, anyPet)
	elsewhere, err := approval.New(approval.Config{Store: r.Store, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	end := approval.End{Subject: "User::alice", By: approval.Operator("root"), Cause: "stopped", Stop: true}
	if ended, err := elsewhere.EndUser(t.Context(), end); err != nil || ended != (approval.Ended{Grants: 1, Holds: 1}) {
		t.Fatalf("%+v, %v", ended, err)
	}
	r.run(t)
	for _, agent := range []string{"test-agent", "another"} {
		who := caller("alice")
		who.Agent.ID = agent
		for name, res := range map[string]Result{
			"resume":   r.Resume(t.Context(), who, held.Envelope.Handle, 0, ""),
			"cancel":   r.Cancel(t.Context(), who, held.Envelope.Handle),
			"holds":    r.Open(t.Context(), who),
			"preview":  r.ShowPreview(t.Context(), who, "get_pet", []byte(`{"petId":1}`)),
			"find":     r.Find(t.Context(), who, "", 0),
			"describe": r.Description(t.Context(), who, "get_pet", ""),
			"a read":   r.Call(t.Context(), who, "get_pet", []byte(`{"petId":1}`)),
			"a write":  r.Call(t.Context(), who, "delete_pet", []byte(`{"petId":2}`)),
		} {
			if res.Envelope.Code != PolicyDenied || !strings.Contains(res.Envelope.Reason, "this user was stopped") {
				t.Errorf("%s, %s: %+v", agent, name, res)
			}
		}
	}
	if n := r.shop.writes.Load(); n != 0 {
		t.Errorf("%d requests left", n)
	}
	if res := r.call(t, "bob", "get_pet", `{"petId":1}`); res.Envelope.Status != Done {
		t.Errorf("bob: %+v", res)
	}
	if _, err := elsewhere.StartUser(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	if res := r.call(t, "alice", "get_pet", `{"petId":1}`); res.Envelope.Status != Done {
		t.Errorf("started again: %+v", res)
	}
	if res := r.call(t, "alice", "delete_pet", `{"petId":3}`); res.Envelope.Status != Pending {
		t.Errorf("the grant from before: %+v", res)
	}
}

// A stopped agent does nothing, reads neither, and gets nothing from exeat's own
// tools, until it is started; its held calls are over.
func TestStoppedAgent(t *testing.T) {
	r := newRig(t, rigOptions{})
	held := r.call(t, "alice", "delete_pet", `{"petId":1}`)
	if err := r.Holds.Stop(t.Context(), personOf("alice"), "test-agent"); err != nil {
		t.Fatal(err)
	}
	who := caller("alice")
	for name, res := range map[string]Result{
		"resume":   r.Resume(t.Context(), who, held.Envelope.Handle, 0, ""),
		"cancel":   r.Cancel(t.Context(), who, held.Envelope.Handle),
		"holds":    r.Open(t.Context(), who),
		"preview":  r.ShowPreview(t.Context(), who, "get_pet", []byte(`{"petId":1}`)),
		"find":     r.Find(t.Context(), who, "", 0),
		"describe": r.Description(t.Context(), who, "get_pet", ""),
	} {
		if res.Envelope.Code != PolicyDenied || !strings.Contains(res.Envelope.Reason, "stopped this agent") {
			t.Errorf("%s: %+v", name, res)
		}
	}
	for _, tool := range []string{"get_pet", "delete_pet"} {
		if res := r.call(t, "alice", tool, `{"petId":1}`); res.Envelope.Code != PolicyDenied || !strings.Contains(res.Envelope.Reason, "a person stopped this agent") {
			t.Errorf("%s: %+v", tool, res)
		}
	}
	if res := r.call(t, "bob", "get_pet", `{"petId":1}`); res.Envelope.Status != Done {
		t.Errorf("bob's agent of the same name: %+v", res)
	}
	if err := r.Holds.Start(t.Context(), personOf("alice"), "test-agent"); err != nil {
		t.Fatal(err)
	}
	if res := r.Resume(t.Context(), who, held.Envelope.Handle, 0, ""); res.Envelope.Code != ApprovalDenied || !strings.Contains(res.Envelope.Reason, "stopped this agent") {
		t.Errorf("its held call: %+v", res)
	}
	if res := r.call(t, "alice", "get_pet", `{"petId":1}`); res.Envelope.Status != Done {
		t.Errorf("after the start: %+v", res)
	}
}

// A hold is its agent's: another agent of the same principal does not see it, read
// its result or withdraw it, whether its name is verified or not.
func TestAgentsAreApart(t *testing.T) {
	r := newRig(t, rigOptions{})
	held := r.call(t, "alice", "delete_pet", `{"petId":1}`).Envelope.Handle
	other, verified, session := caller("alice"), caller("alice"), caller("alice")
	other.Agent.ID, verified.Agent.Verified, session.Session.ID = "another", true, "another"
	for name, who := range map[string]Caller{"another name": other, "the same name, verified": verified} {
		if res := r.Open(t.Context(), who); len(res.Envelope.Holds) != 0 {
			t.Errorf("%s sees %+v", name, res.Envelope.Holds)
		}
		for _, res := range []Result{r.Resume(t.Context(), who, held, 0, ""), r.Cancel(t.Context(), who, held)} {
			if res.Envelope.Code != HandleNotFound {
				t.Errorf("%s: %+v", name, res)
			}
		}
		if again := r.Call(t.Context(), who, "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle; again == held || again == "" {
			t.Errorf("%s: the same call has the handle %q", name, again)
		}
	}
	if res := r.Open(t.Context(), session); len(res.Envelope.Holds) != 1 {
		t.Errorf("the agent in another session sees %+v", res.Envelope.Holds)
	}
	if res := r.Resume(t.Context(), session, held, 0, ""); res.Envelope.Status != Pending {
		t.Errorf("it waits no more: %+v", res)
	}
}

// Another agent of the same principal goes on with a held call if a policy names the
// action for it; a policy that permits everything does not, nor does one about agents
// of others.
func TestAnotherAgentResumes(t *testing.T) {
	const writes = `@id("w") permit (principal, action in Action::"call_tool", resource) when { context has approval };
		@id("u") forbid (principal, action in Action::"call_tool", resource) unless { context has approval };`
	dashboard := caller("alice")
	dashboard.Agent = authz.Agent{ID: "oauth:dashboard", Verified: true}
	selfNamed, stranger := caller("alice"), dashboard
	selfNamed.Agent = authz.AgentNamed("oauth:dashboard")
	stranger.Principal.ID = "bob"
	named := `@id("r") permit (principal, action == Action::"resume", resource)
		when { context.agent == Agent::"oauth:dashboard" && context.agent.verified && resource.agent == Agent::"test-agent" && resource.path like "/pets/*" };`
	for name, tt := range map[string]struct {
		policy string
		who    Caller
		may    bool
	}{
		"named":                   {named, dashboard, true},
		"it only says so":         {named, selfNamed, false},
		"of somebody else":        {named, stranger, false},
		"everything is permitted": {`@id("all") permit (principal, action, resource);`, dashboard, false},
		"of another path":         {strings.Replace(named, "/pets/*", "/owners/*", 1), dashboard, false},
		"forbidden":               {named + `@id("f") forbid (principal, action == Action::"resume", resource) when { resource.effect == "delete" };`, dashboard, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{policy: writes + tt.policy})
			held := r.call(t, "alice", "delete_pet", `{"petId":1}`).Envelope.Handle
			list := r.Open(t.Context(), tt.who).Envelope.Holds
			res := r.Resume(t.Context(), tt.who, held, 0, "")
			if may := len(list) == 1; may != tt.may || (res.Envelope.Status == Pending) != tt.may {
				t.Fatalf("it sees %v and is told %s", list, res.JSON())
			}
			if res := r.Cancel(t.Context(), tt.who, held); (res.Envelope.Status == Cancelled) != tt.may {
				t.Errorf("it withdraws: %s", res.JSON())
			}
		})
	}
}

// Who does not want to be asked again is not, and the agent reads why.
func TestStandingDenial(t *testing.T) {
	r := newRig(t, rigOptions{})
	rule := mustGive(t, r, approval.Offer{Kind: approval.KindBlock, Reach: approval.ReachBelow, Path: "/pets", Args: approval.ArgsAny, For: time.Hour, Reason: "not this week"})
	for range 2 {
		if res := r.call(t, "alice", "delete_pet", `{"petId":2}`); res.Envelope.Code != ApprovalDenied || !strings.Contains(res.Envelope.Reason, "not this week") {
			t.Errorf("it was answered with %+v", res)
		}
	}
	if err := r.Holds.Revoke(t.Context(), personOf("alice"), rule.ID); err != nil {
		t.Fatal(err)
	}
	if res := r.call(t, "alice", "delete_pet", `{"petId":2}`); res.Envelope.Status != Pending {
		t.Errorf("after it was revoked: %+v", res)
	}
}

// Two processes on one database never use a grant more often than it says.
func TestGrantUsesAreCounted(t *testing.T) {
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	a := newRig(t, rigOptions{keys: keys})
	o := anyPet
	o.Max = 5
	rule := mustGive(t, a, o)
	b := newRig(t, rigOptions{path: a.path, base: a.APIs[0].Audience, keys: keys})
	var calls sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i := range 16 {
		r := []*rig{a, b}[i%2]
		calls.Go(func() {
			if res := r.call(t, "alice", "delete_pet", `{"petId":99}`); res.Envelope.Status == Done {
				mu.Lock()
				defer mu.Unlock()
				done++
			}
		})
	}
	calls.Wait()
	if n := a.shop.writes.Load(); n != 5 || done != 5 {
		t.Errorf("%d calls were answered and %d requests left; the grant is for 5 (%s)", done, n, rule.ID)
	}
}

// A send that crashes is a use all the same: the count never says less than what
// may have left.
func TestGrantCountsLostSends(t *testing.T) {
	shop := petstore.New()
	r := newRig(t, rigOptions{api: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodDelete {
			panic(http.ErrAbortHandler) // breaks the connection
		}
		shop.ServeHTTP(w, q)
	})})
	o := anyPet
	o.Max = 1
	mustGive(t, r, o)
	if res := r.call(t, "alice", "delete_pet", `{"petId":2}`); res.Envelope.Code != OutcomeUnknown {
		t.Fatalf("it was answered with %+v", res)
	}
	if res := r.call(t, "alice", "delete_pet", `{"petId":2}`); res.Envelope.Status != Pending {
		t.Errorf("the grant was good for a second call: %+v", res)
	}
}
