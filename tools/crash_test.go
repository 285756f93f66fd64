package tools

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// crashWorld is what outlives a process: the API, the keys, the database and
// the time.
type crashWorld struct {
	doc     *openapi.API
	engine  *authz.Engine
	keys    *token.Keys
	path    string
	base    string
	shop    atomic.Pointer[counter]
	forward atomic.Int64 // how much later it is than it is
}

func newCrashWorld(t testing.TB, policy string) *crashWorld {
	t.Helper()
	w := &crashWorld{}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.shop.Load().ServeHTTP(rw, r) }))
	t.Cleanup(srv.Close)
	w.base = srv.URL
	dir := t.TempDir()
	spec := filepath.Join(dir, "petstore.yaml")
	if err := os.WriteFile(spec, petstore.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.doc, err = openapi.Load(t.Context(), spec, openapi.Options{BaseURL: srv.URL}); err != nil {
		t.Fatal(err)
	}
	var files []authz.PolicyFile
	if policy != "" {
		files = []authz.PolicyFile{{Name: "test.cedar", Text: []byte(policy)}}
	}
	if w.engine, err = authz.New([]authz.API{PolicyAPI(w.doc)}, files); err != nil {
		t.Fatal(err)
	}
	if w.keys, err = token.OpenKeys(filepath.Join(dir, "keys"), "EdDSA"); err != nil {
		t.Fatal(err)
	}
	return w
}

// fresh gives the world an API that has seen nothing and a path without a
// database.
func (w *crashWorld) fresh(t testing.TB) {
	w.shop.Store(&counter{next: petstore.New()})
	w.path = filepath.Join(t.TempDir(), "exeat.db")
	w.forward.Store(0)
}

// process is one process of the world.
type process struct {
	*Runner
	w     *crashWorld
	f     *storetest.Faults
	lies  []string // of answers that were not true when they were given
	shown map[string]Result
	said  map[string]bool // handles and what the person was told to have decided
}

func (w *crashWorld) start(t testing.TB, s *store.Store, f *storetest.Faults) *process {
	t.Helper()
	key, err := w.keys.Secret("approvals")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Now().Add(time.Duration(w.forward.Load())) }
	p := &process{w: w, f: f, shown: map[string]Result{}, said: map[string]bool{}}
	transport := &http.Transport{DisableKeepAlives: true}
	p.Runner, err = New(Config{
		APIs:      []*API{{Document: w.doc, Audience: w.base, Credentials: &token.Signed{Issuer: "http://exeat.test", Keys: w.keys}}},
		Engine:    w.engine,
		Store:     s,
		Holds:     holdsOf(t, approval.Config{Store: s, Engine: w.engine, Key: key, Now: now}),
		HoldURL:   func(id string) string { return "http://inbox.test/h/" + id },
		Transport: faultyNetwork{transport, f},
		Timeout:   5 * time.Second,
		Now:       now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// faultyNetwork makes each request a step.
type faultyNetwork struct {
	http.RoundTripper
	f *storetest.Faults
}

func (n faultyNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	var resp *http.Response
	err := n.f.Step(r.Method, func() (err error) {
		resp, err = n.RoundTripper.RoundTrip(r)
		return err
	})
	if err != nil && resp != nil {
		resp.Body.Close()
		resp = nil
	}
	return resp, err
}

// tell is an answer on its way to the agent. It must be true at this moment;
// nobody hears a process that is dead.
func (p *process) tell(res Result) Result {
	if p.f.Dead() {
		return Result{}
	}
	e, writes := res.Envelope, p.w.shop.Load().writes.Load()
	text := strings.ToLower(string(res.JSON()))
	none := strings.Contains(text, "not executed") || strings.Contains(text, "nothing was executed")
	switch {
	case none && writes > 0:
		p.lies = append(p.lies, fmt.Sprintf("after %d writes: %s", writes, text))
	case e.HTTPStatus == http.StatusNoContent && writes == 0, res.Disposition == ApprovedExecuted && writes == 0:
		p.lies = append(p.lies, "nothing was written: "+text)
	case strings.Contains(text, "sqlite") || strings.Contains(text, "database") || strings.Contains(text, "injected"):
		p.lies = append(p.lies, "it shows what happened inside: "+text)
	}
	if e.Handle != "" {
		p.shown[e.Handle] = res
	}
	return res
}

func (p *process) call(tool, args string) string {
	return p.tell(p.Call(context.Background(), caller("alice"), tool, []byte(args))).Envelope.Handle
}

func (p *process) resume(handle string) {
	if handle != "" {
		p.tell(p.Resume(context.Background(), caller("alice"), handle, 0, ""))
	}
}

// person decides, and keeps what the person was told.
func (p *process) person(handle string, approve bool) {
	h, err := p.Holds.Get(context.Background(), asker("User::alice"), handle)
	if err == nil {
		_, err = approval.One(p.Holds.Decide(context.Background(), personOf("alice"), approval.Verdict{Approve: approve, Hold: handle, Digest: h.Digest}))
	}
	if err == nil && !p.f.Dead() {
		p.said[handle] = approve
	}
}

// release sends what is approved, as Run does, one after the other.
func (p *process) release() {
	for {
		h, err := p.Holds.Claim(context.Background(), []string{p.w.doc.Name}, p.serves, p.owner, p.lease())
		if err != nil {
			return
		}
		p.Runner.release(context.Background(), h, Caller{})
	}
}

// works are the pieces of work whose every step goes wrong once. What do has
// before it arms the faults is what other works have tried already. They end
// early where a real client would have nothing to go on with.
var works = []struct {
	name, policy string
	do           func(p *process, arm func())
}{
	{"a read", "", func(p *process, arm func()) { arm(); p.call("get_pet", `{"petId":1}`) }},
	{"a write that is allowed", `permit (principal, action in Action::"call_tool", resource);`, func(p *process, arm func()) {
		arm()
		p.call("delete_pet", `{"petId":1}`)
	}},
	{"a held write and its release", "", func(p *process, arm func()) {
		arm()
		h := p.call("delete_pet", `{"petId":1}`)
		p.person(h, true)
		p.release()
		p.resume(h)
	}},
	{"a denial", "", func(p *process, arm func()) {
		h := p.call("delete_pet", `{"petId":1}`)
		arm()
		p.person(h, false)
		p.release()
		p.resume(h)
	}},
	{"a cancel", "", func(p *process, arm func()) {
		h := p.call("delete_pet", `{"petId":1}`)
		arm()
		p.tell(p.Cancel(context.Background(), caller("alice"), h))
		p.person(h, true)
		p.release()
	}},
	{"an expiry", "", func(p *process, arm func()) {
		h := p.call("delete_pet", `{"petId":1}`)
		p.w.forward.Add(int64(2 * time.Hour))
		arm()
		p.Holds.Sweep(context.Background())
		p.resume(h)
		p.person(h, true)
		p.release()
	}},
	{"an approval that is over", "", func(p *process, arm func()) {
		h := p.call("delete_pet", `{"petId":1}`)
		p.person(h, true)
		p.w.forward.Add(int64(10 * time.Minute))
		arm()
		p.Holds.Sweep(context.Background())
		p.release()
		p.resume(h)
	}},
	{"a key rotation", "", func(p *process, arm func()) {
		h := p.call("delete_pet", `{"petId":1}`)
		p.person(h, true)
		arm()
		p.f.Step("rotate", func() error { return p.w.keys.Rotate(time.Now()) })
		p.release()
		p.resume(h)
	}},
}

// Every step of every piece of work goes wrong in every way. Whatever happens,
// the next process finds a store in which everything holds, sends nothing a
// second time, loses no hold, and what anybody was told is true.
func TestCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	was := finishWait
	finishWait = time.Millisecond
	t.Cleanup(func() { finishWait = was })
	for _, work := range works {
		t.Run(work.name, func(t *testing.T) {
			t.Parallel()
			w := newCrashWorld(t, work.policy)
			steps := crash(t, w, work.do, -1, 0)
			if len(steps) < 5 {
				t.Fatalf("only the steps %q", steps)
			}
			cells := 0
			for at, step := range steps {
				if raceEnabled && at%3 != 0 {
					continue // the race detector makes all of it ten times slower
				}
				faults := []storetest.Fault{storetest.Fail, storetest.Die}
				if step == "commit" || step == http.MethodDelete || step == http.MethodGet || step == "rotate" {
					faults = []storetest.Fault{storetest.Fail, storetest.FailAfter, storetest.Die, storetest.DieAfter}
				}
				for _, fault := range faults {
					cells++
					t.Run(fmt.Sprintf("%d %s %s", at, step, fault), func(t *testing.T) { crash(t, w, work.do, at, fault) })
				}
			}
			t.Logf("%d steps, %d cells", len(steps), cells)
		})
	}
}

// crash does a piece of work in one process, of which one step goes wrong, and
// then lets another process on the same database go on. It returns the steps.
func crash(t *testing.T, w *crashWorld, do func(*process, func()), at int, fault storetest.Fault) []string {
	w.fresh(t)
	f := &storetest.Faults{}
	p := w.start(t, storetest.OpenFaulty(t, w.path, f), f)
	do(p, func() { f.Arm(at, fault) })
	p.Store.Close() // with it, all that was queued has its end
	steps := f.Steps()
	if fault != 0 && len(steps) <= at {
		t.Fatalf("there was no step %d", at)
	}
	// Another process, at once and after all time is over.
	f = &storetest.Faults{}
	next := w.start(t, storetest.OpenFaulty(t, w.path, f), f)
	next.recover(t, p)
	w.forward.Add(int64(2 * time.Hour))
	next.recover(t, p)
	storetest.Check(t, next.Store)
	for _, lie := range append(p.lies, next.lies...) {
		t.Error("told", lie)
	}
	if next.w.shop.Load().writes.Load() > 1 {
		t.Errorf("the API has seen %d writes", next.w.shop.Load().writes.Load())
	}
	next.settled(t, p)
	if fault == 0 && next.unknown(t) {
		t.Error("unknown, though nothing went wrong")
	}
	return steps
}

// recover does what a process does when it starts, and what its agent does.
func (p *process) recover(t *testing.T, before *process) {
	t.Helper()
	if err := p.Holds.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	p.release()
	for handle := range before.shown {
		p.resume(handle)
		if p.shown[handle].Envelope.Handle != handle {
			t.Errorf("the hold %s that the agent knows is lost", handle)
		}
	}
}

// holds are all holds of the database.
func (p *process) all(t *testing.T) (holds []store.Hold) {
	t.Helper()
	if err := p.Store.View(t.Context(), func(tx *store.Tx) (err error) {
		holds, err = tx.Holds(store.HoldFilter{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return holds
}

func (p *process) unknown(t *testing.T) bool {
	return slices.ContainsFunc(p.all(t), func(h store.Hold) bool { return h.State == store.Unknown })
}

// settled compares where the holds have ended with what the API has seen and
// with what the person was told.
func (p *process) settled(t *testing.T, before *process) {
	t.Helper()
	writes := p.w.shop.Load().writes.Load()
	holds := p.all(t)
	if len(holds) > 1 {
		t.Errorf("%d holds of one call", len(holds))
	}
	for _, h := range holds {
		switch h.State {
		case store.Done:
			if writes != 1 {
				t.Errorf("done, and the API has seen %d writes", writes)
			}
		case store.Unknown:
		case store.Refused, store.Denied, store.Expired, store.Cancelled:
			if writes != 0 {
				t.Errorf("%s, and the API has seen %d writes", h.State, writes)
			}
		default:
			t.Errorf("it is %s after all time is over", h.State)
		}
		if yes, ok := before.said[h.ID]; ok && (yes && h.Approval == nil || !yes && h.State != store.Denied) {
			t.Errorf("the person was told that it is decided (%t), and it is %s", yes, h.State)
		}
	}
	// The keys are whole, whatever has happened to a rotation.
	if infos, err := p.w.keys.List(); err != nil || len(infos) < 2 {
		t.Errorf("keys: %v %v", infos, err)
	}
}

// The guard passes a token only if its id stays spent, and no id twice.
func TestCrashWhileSpending(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	until := time.Now().Add(time.Minute)
	spend := func(t *testing.T, at int, fault storetest.Fault) []string {
		path := filepath.Join(t.TempDir(), "exeat.db")
		f := &storetest.Faults{}
		s := storetest.OpenFaulty(t, path, f)
		f.Arm(at, fault)
		passed := 0
		for range 3 {
			if ok, err := s.Spend(t.Context(), "iss", "jti", until); ok && err == nil && !f.Dead() {
				passed++
			}
		}
		s.Close()
		s = storetest.OpenFaulty(t, path, &storetest.Faults{})
		ok, err := s.Spend(t.Context(), "iss", "jti", until)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			passed++
		}
		if passed > 1 || fault == 0 && passed != 1 {
			t.Errorf("passed %d times", passed)
		}
		return f.Steps()
	}
	for at, step := range spend(t, -1, 0) {
		for _, fault := range []storetest.Fault{storetest.Fail, storetest.FailAfter, storetest.Die, storetest.DieAfter} {
			t.Run(fmt.Sprintf("%d %s %s", at, step, fault), func(t *testing.T) { spend(t, at, fault) })
		}
	}
}
