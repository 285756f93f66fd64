package tools

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// rig is a runner over the pet shop, all of it real.
type rig struct {
	*Runner
	shop *counter
	path string // of the database

	mu     sync.Mutex
	events []Event
	slept  []time.Duration // between the tries of reads; nobody waits for it
}

// counter counts the requests that may change something.
type counter struct {
	next   http.Handler
	writes atomic.Int32
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		c.writes.Add(1)
	}
	c.next.ServeHTTP(w, r)
}

type rigOptions struct {
	policy      string
	api         http.Handler // instead of the shop
	credentials Credentials  // instead of signed tokens
	base        string       // instead of a server for api
	path        string       // of the database
	keys        *token.Keys
	maxOpen     int          // holds of one principal; 0 means the default
	doc         *openapi.API // instead of the shop's
}

// door lets people of tests in.
var door approval.Doorkeeper

// holdsOf makes what keeps holds.
func holdsOf(t testing.TB, c approval.Config) *approval.Service {
	t.Helper()
	c.Door = &door
	holds, err := approval.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return holds
}

func newRig(t testing.TB, o rigOptions) *rig {
	t.Helper()
	ctx := context.Background()
	r := &rig{shop: &counter{next: petstore.New()}, path: o.path}
	if o.api == nil {
		o.api = r.shop
	}
	if o.base == "" {
		srv := httptest.NewServer(o.api)
		t.Cleanup(srv.Close)
		o.base = srv.URL
	}
	dir := t.TempDir()
	spec := filepath.Join(dir, "petstore.yaml")
	if err := os.WriteFile(spec, petstore.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Load(ctx, spec, openapi.Options{BaseURL: o.base})
	if err != nil {
		t.Fatal(err)
	}
	if o.doc != nil {
		doc = o.doc
	}
	var policies []authz.PolicyFile
	if o.policy != "" {
		policies = []authz.PolicyFile{{Name: "test.cedar", Text: []byte(o.policy)}}
	}
	engine, err := authz.New([]authz.API{PolicyAPI(doc)}, policies)
	if err != nil {
		t.Fatal(err)
	}
	if r.path == "" {
		r.path = filepath.Join(dir, "exeat.db")
	}
	st, err := store.Open(ctx, r.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if o.keys == nil {
		if o.keys, err = token.OpenKeys(filepath.Join(dir, "keys"), "EdDSA"); err != nil {
			t.Fatal(err)
		}
	}
	key, err := o.keys.Secret("approvals")
	if err != nil {
		t.Fatal(err)
	}
	if o.credentials == nil {
		o.credentials = &token.Signed{Issuer: "http://exeat.test", Keys: o.keys}
	}
	r.Runner, err = New(Config{
		APIs:    []*API{{Document: doc, Audience: o.base, Credentials: o.credentials}},
		Engine:  engine,
		Store:   st,
		Holds:   holdsOf(t, approval.Config{Store: st, Engine: engine, Key: key, MaxOpen: o.maxOpen}),
		HoldURL: func(id string) string { return "http://inbox.test/h/" + id },
		Timeout: 5 * time.Second,
		Observe: func(e Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.sleep = func(ctx context.Context, d time.Duration) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.slept = append(r.slept, d)
		return ctx.Err()
	}
	return r
}

// run releases approved calls until the test ends.
func (r *rig) run(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func caller(name string) Caller {
	return Caller{Principal: authz.Principal{Type: "User", ID: name}, Agent: authz.Agent{ID: "test-agent"},
		Session: authz.Session{ID: "s1", Transport: "stdio"}}
}

// decide says yes or no as the person who asked.
func (r *rig) decideHold(t testing.TB, handle string, approve bool, reason string) error {
	t.Helper()
	var h store.Hold
	if err := r.Store.View(context.Background(), func(tx *store.Tx) (err error) {
		h, err = tx.Hold(handle)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_, err := approval.One(r.Holds.Decide(context.Background(), personOf(strings.TrimPrefix(h.Subject, "User::")),
		approval.Verdict{Approve: approve, Hold: handle, Digest: h.Digest, Reason: reason}))
	return err
}

// wait resumes until the call is final.
func (r *rig) wait(t testing.TB, handle string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if res := r.Resume(ctx, caller("alice"), handle, 10*time.Second, ""); res.Envelope.Status != Pending {
			return res
		}
	}
	t.Fatal("the call did not become final")
	return Result{}
}

// entries lists kind:code of the audit log, which must hold.
func (r *rig) entries(t testing.TB) []string {
	t.Helper()
	// What was queued before this entry is in the log once it is.
	if err := r.Store.Log(store.Entry{Kind: store.KindLogin})(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Store.Verify(context.Background()); err != nil {
		t.Fatal(err)
	}
	var out []string
	if err := r.Store.Entries(context.Background(), 0, func(e store.Entry) error {
		if e.Kind != store.KindLogin {
			s := string(e.Kind)
			if e.Code != "" {
				s += ":" + e.Code
			}
			out = append(out, s)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCall(t *testing.T) {
	withRedact := `@id("r") @redact("/name,/note,/pets/fee") permit (principal, action in Action::"call_tool", resource);`
	tests := []struct {
		name, policy, tool, args string
		status                   Status
		code                     Code
		http                     int
		response                 string // a part of it
		log                      string
	}{
		{"read", "", "get_pet", `{"petId":1}`, Done, "", 200, `"name":"Mia"`, "call outcome"},
		{"read that posts", "", "search_pets", `{"body":{"text":"rex","fee_max":400}}`, Done, "", 200, `"name":"Rex"`, "call outcome"},
		{"read of nothing", "", "get_pet", `{"petId":99}`, Done, "", 404, `"title":"Not Found"`, "call outcome"},
		{"write is held", "", "delete_pet", `{"petId":1}`, Pending, "", 0, "", "call outcome hold"},
		{"write is allowed", `permit (principal, action in Action::"call_tool", resource);`, "delete_pet", `{"petId":1}`, Done, "", 204, "", "call outcome"},
		{"denied", `permit (principal, action in Action::"read", resource) when { context.input has petId && context.input.petId == 2 };`,
			"get_pet", `{"petId":1}`, Denied, PolicyDenied, 0, "", "denied:policy_denied"},
		{"wrong type", "", "get_pet", `{"petId":"one"}`, Failed, InvalidArguments, 0, "", "denied:invalid_arguments"},
		{"missing", "", "get_pet", ``, Failed, InvalidArguments, 0, "", "denied:invalid_arguments"},
		{"unknown argument", "", "get_pet", `{"petId":1,"admin":true}`, Failed, InvalidArguments, 0, "", "denied:invalid_arguments"},
		{"twice the same key", "", "get_pet", `{"petId":1,"petId":2}`, Failed, InvalidArguments, 0, "", "denied:invalid_arguments"},
		{"not JSON", "", "get_pet", `{"petId":`, Failed, InvalidArguments, 0, "", "denied:invalid_arguments"},
		{"readOnly is no argument", `permit (principal, action in Action::"call_tool", resource);`, "create_pet",
			`{"body":{"name":"x","species":"cat"}}`, Done, "", 201, `"id":9`, "call outcome"},
		{"redacted", withRedact, "get_pet", `{"petId":1}`, Done, "", 200, `"fee":60,"id":1,"photo"`, "call outcome"},
		{"redacted in a list", withRedact, "list_pets", `{"limit":1}`, Done, "", 200, `"pets":[{"created":"2026-01-15T09:00:00Z","id":1,`, "call outcome"},
		{"not visible", `permit (principal == User::"bob", action, resource);`, "get_pet", `{"petId":1}`, Failed, InvalidArguments, 0, "", "denied:policy_denied"},
		{"no such tool", "", "nope", `{}`, Failed, InvalidArguments, 0, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigOptions{policy: tt.policy})
			res := r.Call(context.Background(), caller("alice"), tt.tool, []byte(tt.args))
			e := res.Envelope
			if e.Status != tt.status || e.Code != tt.code || e.HTTPStatus != tt.http || !strings.Contains(string(e.Response), tt.response) {
				t.Errorf("got %s", res.JSON())
			}
			if got := strings.Join(r.entries(t), " "); got != tt.log {
				t.Errorf("the log has %q, want %q", got, tt.log)
			}
			if e.Code == InvalidArguments && strings.HasSuffix(tt.log, "arguments") && len(e.Problems) == 0 {
				t.Error("no problem is named")
			}
		})
	}
}

func TestHeldCall(t *testing.T) {
	del := []byte(`{"petId":1}`)
	ctx := context.Background()

	t.Run("approved", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.run(t)
		first := r.Call(ctx, caller("alice"), "delete_pet", del).Envelope
		again := r.Call(ctx, caller("alice"), "delete_pet", []byte(`{ "petId": 1 }`)).Envelope
		if first.Handle == "" || first.Handle != again.Handle || !strings.HasSuffix(first.ApprovalURL, first.Handle) || first.Next == "" {
			t.Fatalf("%+v\n%+v", first, again)
		}
		if res := r.Resume(ctx, caller("bob"), first.Handle, 0, ""); res.Envelope.Code != HandleNotFound {
			t.Errorf("bob sees alice's hold: %s", res.JSON())
		}
		if open := r.Open(ctx, caller("alice")).Envelope.Holds; len(open) != 1 || open[0].Tool != "delete_pet" {
			t.Errorf("open holds: %+v", open)
		}
		if err := r.decideHold(t, first.Handle, true, ""); err != nil {
			t.Fatal(err)
		}
		res := r.wait(t, first.Handle)
		if res.Envelope.HTTPStatus != 204 || res.Disposition != ApprovedExecuted || r.shop.writes.Load() != 1 {
			t.Errorf("%s %s, %d writes", res.JSON(), res.Disposition, r.shop.writes.Load())
		}
		if kept := r.Resume(ctx, caller("alice"), first.Handle, 0, ""); !bytes.Equal(kept.JSON(), res.JSON()) {
			t.Errorf("the handle yields %s, then %s", res.JSON(), kept.JSON())
		}
		if err := r.decideHold(t, first.Handle, false, ""); err == nil {
			t.Error("a late denial was taken")
		}
		if got := strings.Join(r.entries(t), " "); got != "call outcome hold denied:handle_not_found approve send outcome" {
			t.Errorf("the log has %q", got)
		}
	})
	t.Run("denied", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.run(t)
		h := r.Call(ctx, caller("alice"), "delete_pet", del).Envelope.Handle
		if err := r.decideHold(t, h, false, "not today"); err != nil {
			t.Fatal(err)
		}
		res := r.wait(t, h)
		if res.Envelope.Code != ApprovalDenied || !strings.Contains(res.Envelope.Reason, "not today") || r.shop.writes.Load() != 0 || res.Disposition != DeniedNotExecuted {
			t.Errorf("%s", res.JSON())
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		h := r.Call(ctx, caller("alice"), "delete_pet", del).Envelope.Handle
		if res := r.Cancel(ctx, caller("bob"), h); res.Envelope.Code != HandleNotFound {
			t.Errorf("bob cancels: %s", res.JSON())
		}
		if res := r.Cancel(ctx, caller("alice"), h); res.Envelope.Status != Cancelled {
			t.Errorf("%s", res.JSON())
		}
		if err := r.decideHold(t, h, true, ""); err == nil {
			t.Error("a cancelled call was approved")
		}
		if again := r.Call(ctx, caller("alice"), "delete_pet", del).Envelope.Handle; again == h {
			t.Error("a new call got the cancelled handle")
		}
	})
	t.Run("upstream error", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.run(t)
		h := r.Call(ctx, caller("alice"), "delete_pet", []byte(`{"petId":4}`)).Envelope.Handle // reserved: 409
		if err := r.decideHold(t, h, true, ""); err != nil {
			t.Fatal(err)
		}
		if res := r.wait(t, h); res.Envelope.HTTPStatus != 409 || res.Disposition != ExecutionError || !res.IsError() {
			t.Errorf("%s %s", res.JSON(), res.Disposition)
		}
	})
}

// What is stored between the yes and the send cannot be exchanged.
func TestReleaseRefusesChanges(t *testing.T) {
	ctx := context.Background()
	tests := []struct {
		name string
		from string // in the stored hold
		to   string
	}{
		{"another target", `"target":"/pets/1"`, `"target":"/pets/2"`},
		{"another argument", `"Args":{"petId":1}`, `"Args":{"petId":2}`},
		{"another principal", `{"type":"User","id":"alice"}`, `{"type":"User","id":"admin"}`},
		{"another agent", `test-agent`, `best-agent`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			h := r.Call(ctx, caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
			if err := r.decideHold(t, h, true, ""); err != nil {
				t.Fatal(err)
			}
			tamper(t, r.path, h, tt.from, tt.to)
			r.run(t)
			res := r.wait(t, h)
			if res.Envelope.Status != Denied || r.shop.writes.Load() != 0 {
				t.Errorf("%s, %d writes", res.JSON(), r.shop.writes.Load())
			}
			if got := strings.Join(r.entries(t), " "); !strings.HasPrefix(got, "call outcome hold approve refuse:") {
				t.Errorf("the log has %q", got)
			}
		})
	}
}

func TestPolicyChangesBetweenYesAndSend(t *testing.T) {
	ctx := context.Background()
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "exeat.db")
	before := newRig(t, rigOptions{path: path, keys: keys, base: "http://127.0.0.1:1"})
	h := before.Call(ctx, caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	if err := before.decideHold(t, h, true, ""); err != nil {
		t.Fatal(err)
	}
	after := newRig(t, rigOptions{path: path, keys: keys, base: "http://127.0.0.1:1",
		policy: authz.DefaultPolicy + `@id("freeze") forbid (principal, action in Action::"delete", resource);`})
	after.run(t)
	res := after.wait(t, h)
	if res.Envelope.Code != PolicyChanged || !strings.Contains(res.Envelope.Reason, "freeze") || res.Disposition != DeniedNotExecuted {
		t.Errorf("%s", res.JSON())
	}
}

// A hundred processes' worth of runners release one hold: it is sent once.
func TestSentOnce(t *testing.T) {
	ctx := context.Background()
	var sent atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			sent.Add(1)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer api.Close()
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "exeat.db")
	first := newRig(t, rigOptions{path: path, keys: keys, base: api.URL})
	for range 4 {
		newRig(t, rigOptions{path: path, keys: keys, base: api.URL}).run(t)
	}
	first.run(t)
	h := first.Call(ctx, caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	if err := first.decideHold(t, h, true, ""); err != nil {
		t.Fatal(err)
	}
	if res := first.wait(t, h); res.Envelope.HTTPStatus != 204 || sent.Load() != 1 {
		t.Errorf("%s, sent %d times", res.JSON(), sent.Load())
	}
}

// dying answers by breaking the connection.
func dying(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func TestTheTruthAboutFailures(t *testing.T) {
	ctx := context.Background()
	all := `permit (principal, action in Action::"call_tool", resource);`
	tests := []struct {
		name, tool string
		o          rigOptions
		want       Code
	}{
		{"nobody listens, read", "get_pet", rigOptions{base: "http://127.0.0.1:1"}, UpstreamUnreachable},
		{"nobody listens, write", "delete_pet", rigOptions{base: "http://127.0.0.1:1"}, UpstreamUnreachable},
		{"it dies, read", "get_pet", rigOptions{api: http.HandlerFunc(dying)}, UpstreamUnreachable},
		{"it dies, write", "delete_pet", rigOptions{api: http.HandlerFunc(dying)}, OutcomeUnknown},
		{"no credential", "delete_pet", rigOptions{credentials: &token.Signed{Issuer: ""}}, CredentialFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.policy = all
			r := newRig(t, tt.o)
			res := r.Call(ctx, caller("alice"), tt.tool, []byte(`{"petId":1}`))
			if res.Envelope.Code != tt.want {
				t.Errorf("%s", res.JSON())
			}
			if strings.Contains(string(res.JSON()), "127.0.0.1") {
				t.Errorf("the agent sees an address: %s", res.JSON())
			}
			if n := len(r.events); n == 0 || r.events[n-1].Err == nil {
				t.Errorf("the operator sees %+v", r.events)
			}
		})
	}
	t.Run("held, and it dies", func(t *testing.T) {
		r := newRig(t, rigOptions{api: http.HandlerFunc(dying)})
		r.run(t)
		h := r.Call(ctx, caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
		if err := r.decideHold(t, h, true, ""); err != nil {
			t.Fatal(err)
		}
		if res := r.wait(t, h); res.Envelope.Code != OutcomeUnknown || res.Disposition != UnknownOutcome {
			t.Errorf("%s %s", res.JSON(), res.Disposition)
		}
	})
}

// A document cannot send the API's credential to another host.
func TestCredentialStaysWithItsHost(t *testing.T) {
	var reached atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer other.Close()
	shop := httptest.NewServer(petstore.New())
	defer shop.Close()
	file := filepath.Join(t.TempDir(), "doc.yaml")
	text := "openapi: 3.1.0\ninfo: {title: t, version: '1'}\nservers: [{url: '" + other.URL + "'}]\n" +
		"paths: {/a: {get: {operationId: stray, servers: [{url: '" + other.URL + "'}]}}, /pets: {get: {operationId: stay}}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Load(context.Background(), file, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	doc.BaseURL = shop.URL // loading leaves such an operation out; here one is there all the same
	r := newRig(t, rigOptions{doc: doc})
	if res := r.Call(context.Background(), caller("alice"), "stray", nil); res.Envelope.Code != CredentialFailed || reached.Load() {
		t.Errorf("%s, reached %t", res.JSON(), reached.Load())
	}
	if res := r.Call(context.Background(), caller("alice"), "stay", nil); res.Envelope.HTTPStatus != http.StatusOK {
		t.Errorf("%s", res.JSON())
	}
}

// net/http repeats a GET whose reused connection breaks. Where the document says
// that it changes something, it must not.
func TestAWriteIsNotRepeatedByTheTransport(t *testing.T) {
	var requests atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 1 {
			dying(w, r)
		}
	}))
	defer api.Close()
	file := filepath.Join(t.TempDir(), "doc.yaml")
	text := "openapi: 3.1.0\ninfo: {title: t, version: '1'}\nservers: [{url: '" + api.URL + "'}]\n" +
		"paths: {/a: {get: {operationId: fire, x-exeat-effect: write}}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Load(context.Background(), file, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rigOptions{doc: doc, policy: `permit (principal, action in Action::"call_tool", resource);`})
	first := r.Call(context.Background(), caller("alice"), "fire", nil)
	second := r.Call(context.Background(), caller("alice"), "fire", nil)
	if first.Envelope.HTTPStatus != http.StatusOK || second.Envelope.Code != OutcomeUnknown || requests.Load() != 2 {
		t.Errorf("%s %s, %d requests for two calls", first.JSON(), second.JSON(), requests.Load())
	}
}

// A budget holds for calls at the same moment too, and refused calls are not
// taken from it.
func TestBudgetUnderConcurrency(t *testing.T) {
	r := newRig(t, rigOptions{policy: `permit (principal, action in Action::"call_tool", resource) when { context.usage.minute < 3 };`})
	for range 5 {
		r.Call(context.Background(), caller("alice"), "delete_pet", []byte(`{"petId":"no"}`))
	}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			r.Call(context.Background(), caller("alice"), "delete_pet", fmt.Appendf(nil, `{"petId":%d}`, 1+i%8))
		})
	}
	all.Wait()
	if n := r.shop.writes.Load(); n != 3 {
		t.Errorf("%d calls were made of a budget of 3", n)
	}
}

// A budget over several tools holds across them, at the same moment too: over all
// that deletes, an API, an agent.
func TestBudgetOverSeveralTools(t *testing.T) {
	for _, sum := range []string{"context.usage.write.day + context.usage.delete.day", "context.usage.api.hour", "context.usage.agent.minute"} {
		r := newRig(t, rigOptions{policy: `permit (principal, action in Action::"read", resource);
			permit (principal, action in [Action::"write", Action::"delete"], resource) when { ` + sum + ` < 3 };`})
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				r.Call(context.Background(), caller("alice"), "delete_pet", fmt.Appendf(nil, `{"petId":%d}`, 1+i%8))
			})
			all.Go(func() {
				r.Call(context.Background(), caller("alice"), "create_pet", fmt.Appendf(nil, `{"body":{"name":"n%d","species":"cat"}}`, i))
			})
		}
		all.Wait()
		if n := r.shop.writes.Load(); n != 3 {
			t.Errorf("%s: %d calls were made of a budget of 3", sum, n)
		}
		if r.Call(context.Background(), caller("bob"), "delete_pet", []byte(`{"petId":8}`)); r.shop.writes.Load() != 4 {
			t.Errorf("%s: another principal's calls were counted", sum)
		}
	}
}

// Calls that differ in a header are two calls.
func TestDedupeSeesAllArguments(t *testing.T) {
	r := newRig(t, rigOptions{})
	one := r.Call(context.Background(), caller("alice"), "update_pet", []byte(`{"petId":1,"If-Match":"\"a\"","body":{"name":"x","species":"cat"}}`)).Envelope
	two := r.Call(context.Background(), caller("alice"), "update_pet", []byte(`{"petId":1,"If-Match":"\"b\"","body":{"name":"x","species":"cat"}}`)).Envelope
	if one.Handle == "" || one.Handle == two.Handle {
		t.Errorf("%+v\n%+v", one, two)
	}
}

// A static token that took the place of another one of its name asks for itself: what
// the one before asked for is not sent any more. A newer access token of the same
// client asks for the same.
func TestDedupeSeesTheToken(t *testing.T) {
	r := newRig(t, rigOptions{})
	ask := func(agent string, issued time.Time) string {
		who := caller("alice")
		who.Agent, who.Issued = authz.Agent{ID: agent, Verified: true}, issued
		return r.Call(t.Context(), who, "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	}
	now := r.Now()
	if one, again, two := ask("token:a", now), ask("token:a", now), ask("token:a", now.Add(time.Minute)); one == "" || one != again || one == two {
		t.Errorf("tokens: %q, %q, %q", one, again, two)
	}
	if one, two := ask("oauth:a", now), ask("oauth:a", now.Add(time.Minute)); one == "" || one != two {
		t.Errorf("access tokens: %q, %q", one, two)
	}
}

// sendBy has all requests go through a transport.
func (r *rig) sendBy(t http.RoundTripper) {
	for api := range r.wires {
		r.wires[api] = wires{t, t}
	}
}

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("in the middle") }

func TestPanicWhileReleasing(t *testing.T) {
	r := newRig(t, rigOptions{})
	h := r.Call(context.Background(), caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	r.sendBy(panicking{})
	r.run(t)
	if err := r.decideHold(t, h, true, ""); err != nil {
		t.Fatal(err)
	}
	if res := r.wait(t, h); res.Envelope.Code != OutcomeUnknown {
		t.Errorf("%s", res.JSON())
	}
}

// Another process that serves the same API elsewhere leaves the call alone.
func TestOtherServersLeaveItAlone(t *testing.T) {
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "exeat.db")
	here := newRig(t, rigOptions{path: path, keys: keys})
	newRig(t, rigOptions{path: path, keys: keys}).run(t) // at another address
	h := here.Call(context.Background(), caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	if err := here.decideHold(t, h, true, ""); err != nil {
		t.Fatal(err)
	}
	here.run(t)
	if res := here.wait(t, h); res.Envelope.HTTPStatus != http.StatusNoContent || here.shop.writes.Load() != 1 {
		t.Errorf("%s", res.JSON())
	}
}

// Who left the group while the call waited is not let through by it.
func TestIdentityIsAskedAgain(t *testing.T) {
	r := newRig(t, rigOptions{policy: `permit (principal in Group::"keepers", action in Action::"call_tool", resource) when { context has approval };
		permit (principal, action == Action::"approve", resource);`})
	who := caller("alice")
	who.Principal.Groups = []string{"keepers"}
	h := r.Call(context.Background(), who, "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	if err := r.decideHold(t, h, true, ""); err != nil {
		t.Fatal(err)
	}
	r.Current = func(p approval.Parties) (authz.Principal, bool) { p.Principal.Groups = nil; return p.Principal, true }
	r.run(t)
	if res := r.wait(t, h); res.Envelope.Code != PolicyChanged || r.shop.writes.Load() != 0 {
		t.Errorf("%s", res.JSON())
	}
}

func TestTooManyHolds(t *testing.T) {
	r := newRig(t, rigOptions{maxOpen: 3})
	for i := range 5 {
		args, err := json.Marshal(map[string]any{"petId": i + 1})
		if err != nil {
			t.Fatal(err)
		}
		res := r.Call(context.Background(), caller("alice"), "delete_pet", args)
		if i < 3 && res.Envelope.Status != Pending || i >= 3 && res.Envelope.Code != RateLimited {
			t.Errorf("%d: %s", i, res.JSON())
		}
	}
}

func TestBinaryAndUpload(t *testing.T) {
	r := newRig(t, rigOptions{policy: `permit (principal, action in Action::"call_tool", resource);`})
	png := append([]byte("\x89PNG\r\n\x1a\n"), []byte(rand.Text())...)
	args, err := json.Marshal(map[string]any{"petId": 1, "body": map[string]any{"file": map[string]any{"data": png, "filename": "m.png", "content_type": "image/png"}, "caption": "Minka"}})
	if err != nil {
		t.Fatal(err)
	}
	if res := r.Call(context.Background(), caller("alice"), "upload_photo", args); res.Envelope.HTTPStatus != 200 {
		t.Fatalf("%s", res.JSON())
	}
	res := r.Call(context.Background(), caller("alice"), "get_photo", []byte(`{"petId":1}`))
	if len(res.Blocks) != 1 || res.Blocks[0].MediaType != "image/png" || !bytes.Equal(res.Blocks[0].Data, png) {
		t.Errorf("%s %+v", res.JSON(), res.Blocks)
	}
}

// BenchmarkCall is an allowed read with a decision, a signed token and durable
// entries, against a loopback API.
func BenchmarkCall(b *testing.B) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"id":1,"name":"Minka","species":"cat","price":120,"status":"available"}`))
	}))
	defer api.Close()
	for name, parallel := range map[string]bool{"C=1": false, "C=16": true} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, rigOptions{base: api.URL})
			r.Observe = nil
			call := func() {
				if res := r.Call(context.Background(), caller("alice"), "get_pet", []byte(`{"petId":1}`)); res.Envelope.HTTPStatus != 200 {
					b.Fatalf("%s", res.JSON())
				}
			}
			b.ReportAllocs()
			if !parallel {
				for b.Loop() {
					call()
				}
				return
			}
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					call()
				}
			})
		})
	}
}

// asker is the agent that the tests' callers are.
func asker(subject string) approval.Asker {
	return approval.Asker{Principal: authz.Principal{Type: "User", ID: strings.TrimPrefix(subject, "User::")}, Agent: authz.Agent{ID: "test-agent"}}
}
