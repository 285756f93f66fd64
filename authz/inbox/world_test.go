package inbox

import (
	"context"
	"crypto/rand"
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
	rich       = approvaltest.Rich
	anyHold    = approvaltest.AnyHold
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

// as is somebody who has just logged in.
func (w *world) as(p approval.Person) approval.Identity {
	return w.door.Admit(p, w.Service.Now().Add(365*24*time.Hour))
}

func (w *world) Decide(ctx context.Context, p approval.Person, id string, v approval.Verdict) (store.Hold, error) {
	v.Hold = id
	return approval.One(w.Service.Decide(ctx, w.as(p), v))
}

func (w *world) Give(ctx context.Context, p approval.Person, h store.Hold, o approval.Offer, v approval.Verdict) (approval.Rule, error) {
	v.Approve, v.Hold, v.Digest, v.Rule = o.Kind == approval.KindGrant, h.ID, h.Digest, &o
	list, err := w.Service.Decide(ctx, w.as(p), v)
	if err != nil {
		return approval.Rule{}, err
	}
	return list[0].Rule, list[0].Err
}

func (w *world) open(h store.Hold) store.Hold {
	w.T.Helper()
	h, err := w.Open(w.T.Context(), h)
	if err != nil {
		w.T.Fatal(err)
	}
	return h
}

func (w *world) approve(h store.Hold) store.Hold {
	w.T.Helper()
	h, err := w.Decide(w.T.Context(), approval.Person{Principal: alice, AMR: []string{"otp"}}, h.ID, approval.Verdict{Approve: true, Digest: h.Digest})
	if err != nil {
		w.T.Fatal(err)
	}
	return h
}

func (w *world) claim() store.Hold {
	w.T.Helper()
	h, err := w.Claim(w.T.Context(), []string{"petstore"}, anyHold, "me", time.Minute)
	if err != nil {
		w.T.Fatal(err)
	}
	return h
}

func narrow(h store.Hold) approval.Offer {
	return approval.Offer{Kind: approval.KindGrant, Reach: approval.ReachExact, Args: approval.ArgsSame, For: 10 * time.Minute}
}

func (w *world) give(o func(*approval.Offer)) (approval.Rule, store.Hold) {
	w.T.Helper()
	h := w.open(call(alice, "k"+rand.Text()))
	offer := narrow(h)
	if o != nil {
		o(&offer)
	}
	r, err := w.Give(w.T.Context(), approval.Person{Principal: alice, AMR: []string{"otp"}}, h, offer, approval.Verdict{})
	if err != nil {
		w.T.Fatal(err)
	}
	return r, h
}

func (w *world) use(r approval.Rule) error {
	return w.Use(w.T.Context(), r.ID, approval.Shape{Principal: alice, Agent: authz.Agent{ID: "claude-desktop"}, Place: approval.Place{Audience: "https://api.example.com", Origin: "https://api.example.com", Method: "DELETE", Document: "sha-256=:doc:"}, API: "petstore", Tool: "delete_pet",
		Path: "/pets/42", Args: []byte(`{"id":42}`)}, store.Entry{Kind: store.KindCall})
}

// entryOf is an entry about a hold, as who sends it writes one.
func entryOf(h store.Hold, kind store.Kind) store.Entry {
	return store.Entry{Kind: kind, Txn: h.Txn, Hold: h.ID, Principal: h.Subject, Agent: "claude-desktop", Session: "s1",
		API: h.API, Tool: h.Tool, Method: h.Request.Method, Path: h.Request.Path, Digest: h.Digest, Policies: h.Policies, PolicySet: h.PolicySet}
}

// asAgent is the agent that the tests' holds are of.
func asAgent(subject string) approval.Asker {
	return approval.Asker{Principal: authz.Principal{Type: "User", ID: strings.TrimPrefix(subject, "User::")}, Agent: authz.Agent{ID: "claude-desktop"}}
}
