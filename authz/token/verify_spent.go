package token

import (
	"container/heap"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// spend uses the token up. It is the last check, so a request that is refused
// for another reason does not cost its token.
func (v *Verifier) spend(ctx context.Context, c *Claims) *Refusal {
	if c.IssuedAt.Before(v.since) {
		return refuse(http.StatusServiceUnavailable, "spend_unavailable", "the token is from before this API was started, which does not know whether it was used")
	}
	fresh, err := v.Spend(ctx, c.Issuer, c.ID, c.Expires.Add(leeway))
	if err != nil {
		return refuse(http.StatusServiceUnavailable, "spend_unavailable", "whether the token was used before cannot be found out").because(err)
	}
	if !fresh {
		return unauthorized("spent", "the token was used before; each is good for one request")
	}
	if c.Approval == nil || !c.Approval.Once {
		return nil
	}
	// A second token must not make a second use of what a person approved once.
	fresh, err = v.Spend(ctx, c.Issuer, "approval:"+c.Approval.ID, time.Unix(c.Approval.Until, 0).Add(leeway))
	if err != nil {
		return refuse(http.StatusServiceUnavailable, "spend_unavailable", "whether the approval was used before cannot be found out").because(err)
	}
	if !fresh {
		return refuse(http.StatusForbidden, "approval_spent", "a request with this approval was let through before; it was given for one")
	}
	return nil
}

// maxSpent is how many ids a verifier without a Spend of its own remembers: a
// thousand requests a second, each for as long as its token could be used again.
const maxSpent = 1 << 16

// memory has the ids of tokens that were used, in memory, until they could not
// be used again.
type memory struct {
	limit int
	now   func() time.Time

	mu    sync.Mutex
	ids   map[memoryID]bool
	queue memoryQueue // the first is over first
}

type memoryID struct{ iss, jti string }

type memoryUntil struct {
	id    memoryID
	until time.Time
}

func newMemory(limit int, now func() time.Time) *memory {
	return &memory{limit: limit, now: now, ids: map[memoryID]bool{}}
}

// spend is a SpendFunc.
func (s *memory) spend(_ context.Context, iss, jti string, until time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for now := s.now(); len(s.queue) > 0 && s.queue[0].until.Before(now); {
		delete(s.ids, heap.Pop(&s.queue).(memoryUntil).id)
	}
	id := memoryID{iss, jti}
	switch {
	case s.ids[id]:
		return false, nil
	case len(s.queue) >= s.limit:
		return false, errors.New("too many tokens were used that could be used again")
	}
	s.ids[id] = true
	heap.Push(&s.queue, memoryUntil{id, until})
	return true, nil
}

// memoryQueue is a heap.Interface.
type memoryQueue []memoryUntil

func (q memoryQueue) Len() int           { return len(q) }
func (q memoryQueue) Less(i, j int) bool { return q[i].until.Before(q[j].until) }
func (q memoryQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *memoryQueue) Push(x any)        { *q = append(*q, x.(memoryUntil)) }
func (q *memoryQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
