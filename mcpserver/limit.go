package mcpserver

import (
	"cmp"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/exeat/exeat/tools"
)

// Limits bound what one agent of a principal may do to the server, over all its
// sessions, and four times as much bounds what all of the principal's agents may
// do together: an agent that asks without end leaves room for the others. A zero
// field stands for its default.
//
// Agents give themselves their names, so one that invents names gets more, up to
// what its principal has.
type Limits struct {
	PerSecond  int // requests on average, and five times as many at once; default 50
	Concurrent int // tool calls under way; default 64
}

// together is how much more a principal may do than one of its agents.
const together = 4

// limiter counts by principal, and by principal and agent.
type limiter struct {
	Limits
	mu   sync.Mutex
	by   map[whose]*usage
	next time.Time // when to forget the idle
}

type usage struct {
	bucket *rate.Limiter
	calls  int
}

func newLimiter(l Limits) *limiter {
	l.PerSecond, l.Concurrent = cmp.Or(l.PerSecond, 50), cmp.Or(l.Concurrent, 64)
	return &limiter{Limits: l, by: map[whose]*usage{}}
}

// request takes one request from the allowance of the caller's agent and from
// that of its principal. One that is refused takes from neither.
func (l *limiter) request(c tools.Caller, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.of(principalKey(c), together, now)
	return all.bucket.TokensAt(now) >= 1 && l.of(agentKey(c), 1, now).bucket.AllowN(now, 1) && all.bucket.AllowN(now, 1)
}

// call counts a tool call as under way until the returned function is called;
// that is nil if too many are.
func (l *limiter) call(c tools.Caller, now time.Time) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, own := l.of(principalKey(c), together, now), l.of(agentKey(c), 1, now)
	if own.calls >= l.Concurrent || all.calls >= together*l.Concurrent {
		return nil
	}
	all.calls++
	own.calls++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		all.calls--
		own.calls--
	}
}

// whose names a principal, or one of its agents.
type whose struct {
	kind, id, agent string
	all             bool // agents together
}

func principalKey(c tools.Caller) whose {
	return whose{kind: c.Principal.Type, id: c.Principal.ID, all: true}
}

func agentKey(c tools.Caller) whose {
	return whose{kind: c.Principal.Type, id: c.Principal.ID, agent: c.Agent.ID}
}

// of returns the usage of a key that has times the allowance of an agent. The
// caller holds mu. Who has a full bucket again is forgotten: a new one is the
// same.
func (l *limiter) of(key whose, times int, now time.Time) *usage {
	if now.After(l.next) {
		l.next = now.Add(time.Minute)
		for k, u := range l.by {
			if u.calls == 0 && u.bucket.TokensAt(now) >= float64(u.bucket.Burst()) {
				delete(l.by, k)
			}
		}
	}
	u := l.by[key]
	if u == nil {
		u = &usage{bucket: rate.NewLimiter(rate.Limit(times*l.PerSecond), 5*times*l.PerSecond)}
		l.by[key] = u
	}
	return u
}
