package tools

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// An approved call for which no credential could be had is tried again after
// firstKept, twice that, and so on up to longestKept, until its approval ends.
const (
	firstKept   = 5 * time.Second
	longestKept = time.Minute
	keptMost    = 10_000 // that are remembered; of another there is only the entry
)

// keptHolds are approved calls for which this process could not have a credential.
type keptHolds struct {
	mu sync.Mutex
	by map[string]*keptHold
}

type keptHold struct {
	tries  int
	next   time.Time
	reason string
	needs  authz.Stronger // of the caller's token

	challenged int // how often the API wanted other claims
}

// challenged is how often the API of a hold wanted other claims.
func (k *keptHolds) challenged(id string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h := k.by[id]; h != nil {
		return h.challenged
	}
	return 0
}

// why is what an agent is told of it.
func (k *keptHolds) why(id string) (reason string, needs authz.Stronger, kept bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h, ok := k.by[id]
	if !ok {
		return "", authz.Stronger{}, false
	}
	return h.reason, h.needs, true
}

// due reports whether a hold may be tried.
func (k *keptHolds) due(id string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	h, ok := k.by[id]
	return !ok || !now.Before(h.next)
}

// keep notes that a hold could not be sent for want of a credential.
func (r *Runner) keep(c *course) {
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	h := r.kept.by[c.handle]
	if h == nil {
		if r.kept.by == nil || len(r.kept.by) >= keptMost {
			r.kept.by = map[string]*keptHold{}
		}
		h = new(keptHold)
		r.kept.by[c.handle] = h
	}
	if h.reason, h.needs = noCredential.Envelope.Reason, c.needs; len(c.needs.Claims) > 0 {
		h.reason = wantsLogin
	}
	h.next = r.Now().Add(min(firstKept<<min(h.tries, 10), longestKept))
	h.tries++
	if c.asks != nil {
		h.challenged++
	}
}

// forget is for a hold that has come to its end.
func (k *keptHolds) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.by, id)
}

// releases reports whether this process sends a hold once it is approved, without
// anybody asking for it.
func (r *Runner) releases(h store.Hold) bool {
	return r.serves(h) && !r.byOp[[2]string{h.API, h.Tool}].needsCaller() && r.kept.due(h.ID, r.Now())
}

// needsCaller reports whether the credential of the tool is made of the token of its
// caller, so that a held call can only be sent when its agent resumes it.
func (t *Tool) needsCaller() bool {
	c, ok := t.api.Credentials.(interface{ NeedsCaller(operation string) bool })
	return ok && c.NeedsCaller(t.op.Name)
}

// waitsForCaller reports whether a hold is approved, and goes as soon as its agent
// comes for it.
func (r *Runner) waitsForCaller(h store.Hold) bool {
	return h.State == store.Approved && r.serves(h) && r.byOp[[2]string{h.API, h.Tool}].needsCaller()
}

// isKept reports whether a hold is approved and was tried: there is nothing to wait
// for.
func (r *Runner) isKept(h store.Hold) bool {
	_, _, kept := r.kept.why(h.ID)
	return h.State == store.Approved && kept
}

// releaseWith sends an approved hold with the token of the caller who resumes it.
// Another who does so at the same time waits for what comes of it. Only the agent
// whose call it is can send it: its token says who acts.
func (r *Runner) releaseWith(ctx context.Context, h store.Hold, caller Caller) {
	of, err := approval.PartiesOf(h)
	if err != nil || !of.Agent.Is(caller.Agent) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	this := func(other store.Hold) bool { return other.ID == h.ID && r.waitsForCaller(other) }
	claimed, err := r.Holds.Claim(ctx, []string{h.API}, this, r.owner, r.lease())
	switch {
	case errors.Is(err, approval.ErrNotFound):
	case err != nil:
		r.trouble(fmt.Errorf("release %s: %w", h.ID, err))
	default:
		r.release(ctx, claimed, caller)
	}
}

// noToken is the answer to a caller without the token that a credential is made of.
func noToken() Result {
	return fail(CredentialFailed, "the API's credential is made of your user's own access token, and this connection has none: connect to exeat over HTTP with OAuth. Nothing was executed")
}
