package notify

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"

	_ "modernc.org/sqlite"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

var (
	alice = authz.Principal{Type: "User", ID: "alice"}
	bob   = authz.Principal{Type: "User", ID: "bob"}
)

// world is a service on a database of its own, at a time of its own.
type world struct {
	*approval.Service
	t   testing.TB
	raw *sql.DB // the same database, behind the service's back
	mu  sync.Mutex
	at  time.Time
}

func newWorld(t testing.TB, policies ...string) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "exeat.db")
	w := &world{t: t, at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	db, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if w.raw, err = sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(off)"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Verify(context.Background()); err != nil {
			t.Errorf("the audit log: %v", err)
		}
		w.raw.Close()
		db.Close()
	})
	var files []authz.PolicyFile
	if len(policies) > 0 {
		files = []authz.PolicyFile{{Name: "test.cedar", Text: []byte(strings.Join(policies, "\n"))}}
	}
	engine, err := authz.New([]authz.API{{Name: "petstore", Actions: []authz.Action{
		{Name: "delete_pet", Effect: "delete", Path: "/pets/{id}", Input: json.RawMessage(`{"type":"object","properties":{"id":{"type":"integer"}}}`)},
	}}}, files)
	if err != nil {
		t.Fatal(err)
	}
	w.Service = &approval.Service{Store: db, Engine: engine, Key: []byte("0123456789abcdef0123456789abcdef"), Now: w.clock}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// call is a hold as tools makes one, by who for what.
func call(who authz.Principal, dedupe string) store.Hold {
	principal, _ := json.Marshal(who)
	return store.Hold{
		API: "petstore", Tool: "delete_pet", Effect: "delete", Summary: "DELETE /pets/42: Delete a pet",
		Principal: principal, Subject: who.Type + "::" + who.ID,
		Agent:   json.RawMessage(`{"id":"claude-desktop","verified":false}`),
		Session: json.RawMessage(`{"id":"s1","transport":"stdio"}`),
		Args:    json.RawMessage(`{"id":42}`),
		Request: store.Request{Method: "DELETE", Origin: "https://api.example.com", Target: "/pets/42?force=true", Path: "/pets/42"},
		Details: json.RawMessage(`{}`), Digest: strings.Repeat("0123456789abcdef", 4), Dedupe: dedupe,
		Policies: []string{"writes-wait-for-a-person"}, Reason: "a person has to approve this call", PolicySet: "p1",
		Choices: json.RawMessage(`{"once":true,"grant":true}`), Txn: "txn_1",
	}
}

func (w *world) open(h store.Hold) store.Hold {
	w.t.Helper()
	h, err := w.Open(w.t.Context(), h)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w *world) approve(h store.Hold) store.Hold {
	w.t.Helper()
	h, err := w.Decide(w.t.Context(), approval.Person{Principal: alice, AMR: []string{"otp"}}, h.ID, approval.Verdict{Approve: true, Digest: h.Digest})
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w *world) claim() store.Hold {
	w.t.Helper()
	h, err := w.Claim(w.t.Context(), []string{"petstore"}, anyHold, "me", time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// stored is the hold as the database has it.
func (w *world) stored(id string) store.Hold {
	w.t.Helper()
	var h store.Hold
	err := w.Store.View(w.t.Context(), func(tx *store.Tx) (err error) {
		h, err = tx.Hold(id)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// entries are kind, code and by of every entry so far.
func (w *world) entries() []string {
	w.t.Helper()
	var out []string
	err := w.Store.Entries(w.t.Context(), 0, func(e store.Entry) error {
		out = append(out, strings.TrimSpace(e.Kind+" "+strings.TrimSpace(e.Code+" "+e.By)))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// sql changes the database behind the service's back.
func (w *world) sql(query string, args ...any) {
	w.t.Helper()
	res, err := w.raw.Exec(query, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		w.t.Fatalf("changed %d rows, error %v", n, err)
	}
}

func anyHold(store.Hold) bool { return true }

func narrow(h store.Hold) approval.Offer {
	return approval.Offer{Kind: approval.KindGrant, Digest: h.Digest, Reach: approval.ReachExact, Args: approval.ArgsSame, For: 10 * time.Minute}
}

func (w *world) give(o func(*approval.Offer)) (approval.Rule, store.Hold) {
	w.t.Helper()
	h := w.open(call(alice, "k"+rand.Text()))
	offer := narrow(h)
	if o != nil {
		o(&offer)
	}
	r, err := w.Give(w.t.Context(), approval.Person{Principal: alice, AMR: []string{"otp"}}, h.ID, offer)
	if err != nil {
		w.t.Fatal(err)
	}
	return r, h
}

func (w *world) use(r approval.Rule) error {
	return w.Use(w.t.Context(), r.ID, approval.Shape{Principal: alice, Agent: authz.Agent{ID: "claude-desktop"}, API: "petstore", Tool: "delete_pet",
		Path: "/pets/42", Args: []byte(`{"id":42}`)}, store.Entry{Kind: "call"})
}
