package tools

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// An API that hangs keeps the approved calls of another one waiting for nothing.
func TestHungAPIHoldsUpNoOther(t *testing.T) {
	ctx := t.Context()
	hung, release := make(chan struct{}, 100), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hung <- struct{}{}; <-release }))
	fast := httptest.NewServer(petstore.New())
	defer fast.Close()
	var apis []*API
	var engine []authz.API
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	spec := filepath.Join(t.TempDir(), "petstore.yaml")
	if err := os.WriteFile(spec, petstore.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{"slow": slow.URL, "fast": fast.URL} {
		doc, err := openapi.Load(ctx, spec, openapi.Options{BaseURL: url, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		apis = append(apis, &API{Document: doc, Audience: url, Credentials: &token.Signed{Issuer: "http://exeat.test", Keys: keys}, Before: SnapshotOff})
		engine = append(engine, PolicyAPI(doc))
	}
	policies, err := authz.New(engine, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t)
	run, err := New(Config{APIs: apis, Engine: policies, Store: s, Timeout: time.Minute,
		Holds:   holdsOf(t, approval.Config{Store: s, Engine: policies, Key: make([]byte, 32)}),
		HoldURL: func(id string) string { return id }})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Runner: run}
	approved := func(api string, pet int) string {
		i := slices.IndexFunc(run.Tools(), func(x *Tool) bool { return x.api.Document.Name == api && x.op.Name == "delete_pet" })
		args, _ := json.Marshal(map[string]int{"petId": pet})
		h := r.Call(ctx, caller("alice"), run.Tools()[i].Name, args).Envelope.Handle
		if err := r.decideHold(t, h, true, ""); err != nil {
			t.Fatal(err)
		}
		return h
	}
	for i := range releases + 2 {
		approved("slow", i+1)
	}
	r.run(t)
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(release) }) // before anything waits for it
	for range releases {
		<-hung
	}
	if res := r.wait(t, approved("fast", 1)); res.Envelope.HTTPStatus != http.StatusNoContent {
		t.Errorf("%s", res.JSON())
	}
	if n := len(hung); n != 0 {
		t.Errorf("%d more were sent to the API that hangs", n)
	}
}

// A database that cannot be written lets nothing pass without its entry: a
// write is not sent, a read's answer is withheld, a hold is not promised. What
// was there before is whole afterwards.
func TestDatabaseThatCannotBeWritten(t *testing.T) {
	for _, tt := range []struct{ name, pragma, back, want string }{
		{"full disk", "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", "the disk is full: make room on it"},
		{"read-only", "PRAGMA query_only = 1", "PRAGMA query_only = 0", "it or its folder cannot be written: check the permissions"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newCrashWorld(t, `permit (principal, action, resource) when { context has approval || action in [Action::"read"] };
				permit (principal, action == Petstore::Action::"update_pet", resource);
				permit (principal, action == Action::"approve", resource);`)
			w.fresh(t)
			f := &storetest.Faults{}
			p := w.start(t, storetest.OpenFaulty(t, w.path, f), f)
			var mu sync.Mutex
			var errs []error
			p.Observe = func(e Event) {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, e.Err)
			}
			held := p.call("delete_pet", `{"petId":1}`)
			f.Pragma(tt.pragma)
			for _, c := range []struct{ tool, args string }{
				{"update_pet", `{"petId":2,"body":{"name":"x","species":"cat"}}`}, {"get_pet", `{"petId":1}`}, {"delete_pet", `{"petId":3}`},
			} {
				// What is full may take a few small entries more.
				var res Result
				for range 200 {
					if res = p.tell(p.Call(t.Context(), caller("alice"), c.tool, []byte(c.args))); res.Envelope.Code == Internal {
						break
					}
				}
				if res.Envelope.Code != Internal || len(res.Envelope.Response) > 0 {
					t.Errorf("%s: %s", c.tool, res.JSON())
				}
			}
			p.person(held, true)
			p.release()
			p.resume(held)
			if err := errors.Join(errs...); err == nil || !strings.Contains(err.Error(), "the database "+w.path+": "+tt.want) {
				t.Errorf("the operator is told %v", err)
			}
			f.Pragma(tt.back)
			if h, err := p.Holds.Get(t.Context(), asker("User::alice"), held); err != nil || h.State != store.Pending {
				t.Errorf("the hold is %s, %v", h.State, err)
			}
			writes := w.shop.Load().writes.Load()
			p.person(held, true)
			p.release()
			p.resume(held)
			if got := w.shop.Load().writes.Load() - writes; got != 1 || p.shown[held].Envelope.HTTPStatus != http.StatusNoContent {
				t.Errorf("afterwards, %d writes: %s", got, p.shown[held].JSON())
			}
			storetest.Check(t, p.Store)
		})
	}
}
