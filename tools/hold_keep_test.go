package tools

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

// faulty is an authorization server that is down for some time, and that makes its
// credential of the caller's token if it is to.
type faulty struct {
	needs   bool
	down    atomic.Bool
	asked   atomic.Int32
	revoked chan string
	fails   error // of the revocation
}

func (f *faulty) NeedsCaller(string) bool { return f.needs }

func (f *faulty) Attach(_ context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	f.asked.Add(1)
	if f.down.Load() {
		return token.Receipt{}, errors.New("the authorization server cannot be reached")
	}
	made := "made-of-" + c.Caller.Reveal() + "-for-" + c.Path["petId"]
	r.Header.Set("Authorization", "Bearer "+made)
	return token.Receipt{Strategy: "exchange", Issuer: "as.example", Audience: c.Audience, Scope: "pets:write", Narrowed: "one pet", Expires: time.Now().Add(time.Minute),
		Revoke: func(context.Context) error {
			if f.revoked != nil {
				f.revoked <- made
			}
			return f.fails
		}}, nil
}

// entriesOf are the entries of one call.
func (r *rig) entriesOf(t *testing.T, handle string) (list []store.Entry) {
	t.Helper()
	txn := r.hold(t, handle).Txn
	if err := r.Store.Entries(t.Context(), 0, func(e store.Entry) error {
		if e.Txn == txn {
			list = append(list, e)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

func kinds(list []store.Entry) string {
	var out []string
	for _, e := range list {
		out = append(out, string(e.Kind))
	}
	return strings.Join(out, " ")
}

// An approved call for which no credential can be had stays approved, and goes as
// soon as one can be had.
func TestKeptUntilThereIsACredential(t *testing.T) {
	f := &faulty{revoked: make(chan string, 1)}
	f.down.Store(true)
	r := newRig(t, rigOptions{credentials: f})
	var clock atomic.Int64
	clock.Store(time.Now().UnixNano())
	r.Now = func() time.Time { return time.Unix(0, clock.Load()) }
	handle := r.call(t, "alice", "delete_pet", `{"petId":1}`).Envelope.Handle
	if err := r.decideHold(t, handle, true, ""); err != nil {
		t.Fatal(err)
	}
	sendNext := func() bool {
		h, err := r.Holds.Claim(t.Context(), []string{r.APIs[0].Document.Name}, r.releases, r.owner, r.lease())
		if err == nil {
			r.release(t.Context(), h, Caller{})
		}
		return err == nil
	}
	if !sendNext() {
		t.Fatal("the call was not tried")
	}
	if h := r.hold(t, handle); h.State != store.Approved || r.shop.writes.Load() != 0 {
		t.Fatalf("without a credential it is %s, %d writes", h.State, r.shop.writes.Load())
	}
	if sendNext() {
		t.Error("it was tried again at once")
	}
	res := r.Resume(t.Context(), caller("alice"), handle, 0, "")
	if e := res.Envelope; e.Status != Pending || e.Code != CredentialFailed || !strings.Contains(e.Next, "NOT executed") || !strings.Contains(e.Next, "by itself") {
		t.Errorf("the agent learns %+v", e)
	}
	clock.Add(int64(firstKept))
	f.down.Store(false)
	if !sendNext() {
		t.Fatal("it was not tried again")
	}
	if res := r.wait(t, handle); res.Envelope.Status != Done || r.shop.writes.Load() != 1 {
		t.Errorf("%+v, %d writes", res.Envelope, r.shop.writes.Load())
	}
	if got := <-f.revoked; got != "made-of--for-1" {
		t.Errorf("revoked %q", got)
	}
	r.Runner.Wait()
	list := r.entriesOf(t, handle)
	if got := kinds(list); got != "hold approve kept send outcome spent" && got != "hold approve kept send spent outcome" { // the answer does not wait
		t.Errorf("entries: %s", got)
	}
	for _, e := range list {
		if c := e.Credential; (e.Kind == store.KindSend || e.Kind == store.KindSpent) && (c == nil || c.Issuer != "as.example" || c.Scope != "pets:write" || c.Narrowed != "one pet" || !c.Revocable || c.Expires.IsZero()) {
			t.Errorf("%s says of its credential: %+v", e.Kind, c)
		}
	}
}

// A credential that is made of the caller's token is made when the agent comes back
// for its call, of the token that it comes with; nobody else's will do.
func TestReleasedOnResume(t *testing.T) {
	f := &faulty{needs: true}
	r := newRig(t, rigOptions{credentials: f})
	r.run(t)
	with := func(who, secret string) Caller {
		c := caller(who)
		c.Token = token.NewSecret(secret)
		return c
	}
	if res := r.call(t, "alice", "delete_pet", `{"petId":1}`); res.Envelope.Code != CredentialFailed || res.Envelope.Handle != "" {
		t.Errorf("a caller without a token: %+v", res.Envelope)
	}
	handle := r.Call(t.Context(), with("alice", "first"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	f.asked.Store(0) // what it changes was read
	if res := r.Resume(t.Context(), with("alice", "early"), handle, 0, ""); res.Envelope.Status != Pending || f.asked.Load() != 0 {
		t.Errorf("before a person decided: %+v", res.Envelope)
	}
	if err := r.decideHold(t, handle, true, ""); err != nil {
		t.Fatal(err)
	}
	other := with("alice", "others")
	other.Agent = authz.Agent{ID: "other"}
	for name, who := range map[string]Caller{"without a token": caller("alice"), "another person": with("bob", "bobs"), "another agent": other} {
		if res := r.Resume(t.Context(), who, handle, 0, ""); res.Envelope.Status == Done || r.shop.writes.Load() != 0 || f.asked.Load() != 0 {
			t.Errorf("%s: %+v", name, res.Envelope)
		}
	}
	if h := r.hold(t, handle); h.State != store.Approved {
		t.Fatalf("it is %s before its agent came", h.State)
	}
	var group sync.WaitGroup
	results := make([]Result, 8)
	for i := range results {
		group.Go(func() { results[i] = r.Resume(t.Context(), with("alice", "live"), handle, MaxWait, "") })
	}
	group.Wait()
	for _, res := range results {
		if res.Envelope.Status != Done {
			t.Errorf("%+v", res.Envelope)
		}
	}
	if n := r.shop.writes.Load(); n != 1 || f.asked.Load() != 1 {
		t.Errorf("sent %d times, %d credentials", n, f.asked.Load())
	}
	if kept := string(mustJSON(r.hold(t, handle))); strings.Contains(kept, "live") || strings.Contains(kept, "first") {
		t.Error("a caller's token is kept with the hold")
	}
}

// The authorization server fails while an agent comes back, and is there again when
// it comes once more.
func TestResumeTriesAgain(t *testing.T) {
	f := &faulty{needs: true, fails: errors.New("cannot be reached")}
	f.down.Store(true)
	r := newRig(t, rigOptions{credentials: f})
	r.run(t)
	alice := caller("alice")
	alice.Token = token.NewSecret("live")
	handle := r.Call(t.Context(), alice, "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	if err := r.decideHold(t, handle, true, ""); err != nil {
		t.Fatal(err)
	}
	if res := r.Resume(t.Context(), alice, handle, MaxWait, ""); res.Envelope.Status != Pending || res.Envelope.Code != CredentialFailed || !strings.Contains(res.Envelope.Next, "which tries again") || r.shop.writes.Load() != 0 {
		t.Errorf("%+v", res.Envelope)
	}
	f.down.Store(false)
	if res := r.Resume(t.Context(), alice, handle, MaxWait, ""); res.Envelope.Status != Done || r.shop.writes.Load() != 1 {
		t.Errorf("%+v", res.Envelope)
	}
	r.Runner.Wait()
	// Before or after the entry of the outcome: nothing waits for a revocation.
	list := slices.DeleteFunc(r.entriesOf(t, handle), func(e store.Entry) bool { return e.Kind != store.KindSpent })
	if len(list) == 0 {
		t.Fatal("no entry tells of the revocation that failed")
	}
	if last := list[len(list)-1]; last.Code != string(CredentialFailed) || !strings.Contains(last.Note, "cannot be reached") {
		t.Errorf("of the revocation that failed: %+v", last)
	}
}
