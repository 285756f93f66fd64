// Package approvaltest is what tests of holds stand on: a database, policies over
// the petstore, and a clock that moves when it is told to.
package approvaltest

import (
	"context"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to change the database behind exeat's back

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Two people.
var (
	Alice = authz.Principal{Type: "User", ID: "alice"}
	Bob   = authz.Principal{Type: "User", ID: "bob"}
)

// Key is the key of the seals in tests.
var Key = []byte("0123456789abcdef0123456789abcdef")

// World is a database of its own, at a time of its own.
type World struct {
	T      testing.TB
	DB     *store.Store
	Raw    *sql.DB // the same database, behind its back
	Engine *authz.Engine
	Path   string // of the database
	// Broken says that the test has broken the log, which is not verified then.
	Broken bool

	mu sync.Mutex
	at time.Time
}

// New is a world with these policies, or the built-in ones. Its log is verified
// when the test ends.
func New(t testing.TB, policies ...string) *World {
	t.Helper()
	w := &World{T: t, Path: filepath.Join(t.TempDir(), "exeat.db"), at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	db, err := store.Open(t.Context(), w.Path)
	if err != nil {
		t.Fatal(err)
	}
	w.DB = db
	if w.Raw, err = sql.Open("sqlite", w.Path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(off)"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Verify(context.Background()); err != nil && !w.Broken {
			t.Errorf("the audit log: %v", err)
		}
		w.Raw.Close()
		db.Close()
	})
	var files []authz.PolicyFile
	if len(policies) > 0 {
		files = []authz.PolicyFile{{Name: "test.cedar", Text: []byte(strings.Join(policies, "\n"))}}
	}
	w.Engine, err = authz.New([]authz.API{{Name: "petstore", Actions: []authz.Action{
		{Name: "delete_pet", Effect: "delete", Path: "/pets/{id}", Input: json.RawMessage(`{"type":"object","properties":{"id":{"type":"integer"}}}`)},
	}}}, files)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Clock is the world's time.
func (w *World) Clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// Pass lets time pass.
func (w *World) Pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// details are those of a call, as far as rules look at them.
const details = `{"document":"sha-256=:doc:","locations":["https://api.example.com"]}`

// Call is a hold as tools makes one, by who for what.
func Call(who authz.Principal, dedupe string) store.Hold {
	principal, _ := json.Marshal(who)
	return store.Hold{
		API: "petstore", Tool: "delete_pet", Effect: "delete", Summary: "DELETE /pets/42: Delete a pet",
		Principal: principal, Subject: who.Name(),
		Agent:   json.RawMessage(`{"id":"claude-desktop","verified":false}`),
		Session: json.RawMessage(`{"id":"s1","transport":"stdio"}`),
		Args:    json.RawMessage(`{"id":42}`),
		Request: store.Request{Method: "DELETE", Origin: "https://api.example.com", Target: "/pets/42?force=true", Path: "/pets/42"},
		Details: json.RawMessage(details), Digest: strings.Repeat("0123456789abcdef", 4), Dedupe: dedupe,
		Policies: []string{"writes-wait-for-a-person"}, Reason: "a person has to approve this call", PolicySet: "p1",
		Choices: json.RawMessage(`{"once":true,"grant":true}`), Txn: "txn_1",
	}
}

// Rich is a call that leaves no field of a hold empty.
func Rich(dedupe string) store.Hold {
	h := Call(Alice, dedupe)
	h.Request.ContentType, h.Request.Body = "application/json", []byte(`{"note":"x"}`)
	h.Request.Header = map[string][]string{"X-Env": {"test"}}
	h.Details = json.RawMessage(`{"document":"sha-256=:doc:","locations":["https://api.example.com"],"type":"urn:exeat:call:1"}`)
	return h
}

// Waits is a policy of calls that wait for a person.
const Waits = `permit (principal, action in Action::"call_tool", resource) when { context has approval };`

// AnyHold takes every hold.
func AnyHold(store.Hold) bool { return true }

// Stored is the hold as the database has it.
func (w *World) Stored(id string) store.Hold {
	w.T.Helper()
	var h store.Hold
	err := w.DB.View(w.T.Context(), func(tx *store.Tx) (err error) {
		h, err = tx.Hold(id)
		return err
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return h
}

// Entries are kind, code and by of every entry so far.
func (w *World) Entries() []string {
	w.T.Helper()
	var out []string
	err := w.DB.Entries(w.T.Context(), 0, func(e store.Entry) error {
		out = append(out, strings.TrimSpace(string(e.Kind)+" "+strings.TrimSpace(e.Code+" "+e.By)))
		return nil
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return out
}

// SQL changes one row of the database behind the service's back.
func (w *World) SQL(query string, args ...any) {
	w.T.Helper()
	res, err := w.Raw.Exec(query, args...)
	if err != nil {
		w.T.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		w.T.Fatalf("changed %d rows, error %v", n, err)
	}
}
