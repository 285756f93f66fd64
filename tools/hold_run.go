package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

// releases bounds how many approved calls one process sends to one API at a time.
// If that many get no answer, the next one of that API waits for a time-out, a
// look at what became of the call, and the disk: no longer than a lease.
const releases = 8

// sweep is how often holds whose time is over are looked for.
const sweep = 5 * time.Second

// slots are what is being sent to each API, so that one which hangs keeps no
// call of another waiting.
type slots struct {
	mu    sync.Mutex
	busy  map[string]int // guarded by mu
	freed chan struct{}  // receives after a slot was given back
}

// free names the APIs to which something can be sent.
func (s *slots) free(apis []*API) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, a := range apis {
		if s.busy[a.Document.Name] < releases {
			names = append(names, a.Document.Name)
		}
	}
	return names
}

// add takes a slot, or with -1 gives it back.
func (s *slots) add(api string, n int) {
	s.mu.Lock()
	s.busy[api] += n
	s.mu.Unlock()
	if n < 0 {
		select {
		case s.freed <- struct{}{}:
		default:
		}
	}
}

// Run releases approved calls of the runner's APIs until ctx ends, then waits
// for those being sent. Whichever process claims a hold first sends it.
func (r *Runner) Run(ctx context.Context) error {
	changed, stop := r.Store.Watch()
	defer stop()
	tick := time.NewTicker(sweep)
	defer tick.Stop()
	var sending sync.WaitGroup
	defer sending.Wait()
	slots := &slots{busy: map[string]int{}, freed: make(chan struct{}, 1)}
	for {
		for ctx.Err() == nil {
			h, err := r.Holds.Claim(ctx, slots.free(r.APIs), r.releases, r.owner, r.lease())
			if errors.Is(err, approval.ErrTampered) || errors.Is(err, approval.ErrForbidden) {
				r.trouble(fmt.Errorf("refused an approved call: %w", err))
				continue // refused and recorded; there may be others
			}
			if err != nil {
				if !errors.Is(err, approval.ErrNotFound) && ctx.Err() == nil {
					r.trouble(fmt.Errorf("look for approved calls: %w", err))
				}
				break
			}
			slots.add(h.API, 1)
			sending.Go(func() {
				defer slots.add(h.API, -1)
				r.release(context.WithoutCancel(ctx), h, Caller{})
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-slots.freed:
		case <-tick.C:
			if err := r.Holds.Sweep(ctx); err != nil && ctx.Err() == nil {
				r.trouble(fmt.Errorf("expire holds: %w", err))
			}
		}
	}
}

// serves reports whether a hold is for this process: the same document, sent to
// the same place, for a principal that it knows. Another process may serve the
// same API elsewhere on the same database.
func (r *Runner) serves(h store.Hold) bool {
	t, ok := r.byOp[[2]string{h.API, h.Tool}]
	var d token.Details
	who, err := approval.PartiesOf(h)
	if !ok || err != nil || json.Unmarshal(h.Details, &d) != nil {
		return false
	}
	_, known := r.Current(who)
	return known && d.Document == t.api.Document.Digest && len(d.Locations) == 1 && d.Locations[0] == t.api.Audience
}

// lease is how long a claim holds: the whole time that a send and the looks before
// and after it may take, and some for the disk.
func (r *Runner) lease() time.Duration {
	return r.Timeout + lookWithin + 2*beforeWithin + 30*time.Second
}

// trouble tells the operator of something that belongs to no call.
func (r *Runner) trouble(err error) {
	if r.Observe != nil {
		r.Observe(Event{Time: r.Now(), Status: Failed, Code: Internal, Err: err})
	}
}
