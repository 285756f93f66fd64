package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/store"
)

var (
	alice, bob = approvaltest.Alice, approvaltest.Bob
	call       = approvaltest.Call
)

// world is a service on a database of its own, at a time of its own.
type world struct {
	*approval.Service
	*approvaltest.World
	config approval.Config
	door   *approval.Doorkeeper
}

func newWorld(t testing.TB, policies ...string) *world {
	t.Helper()
	w := &world{World: approvaltest.New(t, policies...), door: new(approval.Doorkeeper)}
	w.config = approval.Config{Store: w.DB, Engine: w.World.Engine, Key: approvaltest.Key, Now: w.Clock, Door: w.door}
	w.restart(nil)
	return w
}

// restart is another process on the same database, with other settings.
func (w *world) restart(change func(*approval.Config)) {
	w.T.Helper()
	if change != nil {
		change(&w.config)
	}
	var err error
	if w.Service, err = approval.New(w.config); err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) open(h store.Hold) store.Hold {
	w.T.Helper()
	h, err := w.Open(w.T.Context(), h)
	if err != nil {
		w.T.Fatal(err)
	}
	return h
}

func (w *world) approve(h store.Hold) {
	w.T.Helper()
	who := w.door.Admit(approval.Person{Principal: alice, AMR: []string{"otp"}}, w.Clock().Add(time.Hour))
	if _, err := approval.One(w.Service.Decide(w.T.Context(), who, approval.Verdict{Approve: true, Hold: h.ID, Digest: h.Digest})); err != nil {
		w.T.Fatal(err)
	}
}

// asker is the agent that the tests' holds are of.
func asker(subject string) approval.Asker {
	return approval.Asker{Principal: authz.Principal{Type: "User", ID: strings.TrimPrefix(subject, "User::")}, Agent: authz.Agent{ID: "claude-desktop"}}
}
