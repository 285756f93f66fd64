package mcpserver

import (
	"cmp"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what one principal may do to the server, over all its agents and
// sessions. A zero field stands for its default.
type Limits struct {
	PerSecond  int // requests on average, and five times as many at once; default 50
	Concurrent int // tool calls under way; default 64
}

// limiter counts by principal.
type limiter struct {
	Limits
	burst int
	mu    sync.Mutex
	by    map[string]*usage
	next  time.Time // when to forget the idle
}

type usage struct {
	bucket *rate.Limiter
	calls  int
}

func newLimiter(l Limits) *limiter {
	l.PerSecond, l.Concurrent = cmp.Or(l.PerSecond, 50), cmp.Or(l.Concurrent, 64)
	return &limiter{Limits: l, burst: 5 * l.PerSecond, by: map[string]*usage{}}
}

// request takes one request of the principal from its allowance.
func (l *limiter) request(subject string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(subject, now).bucket.AllowN(now, 1)
}

// call counts a tool call as under way until the returned function is called;
// that is nil if too many are.
func (l *limiter) call(subject string, now time.Time) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.of(subject, now)
	if u.calls >= l.Concurrent {
		return nil
	}
	u.calls++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.calls--
	}
}

// of returns the usage of a principal. The caller holds mu. A principal whose
// bucket is full again is forgotten: a new one is the same.
func (l *limiter) of(subject string, now time.Time) *usage {
	if now.After(l.next) {
		l.next = now.Add(time.Minute)
		for s, u := range l.by {
			if u.calls == 0 && u.bucket.TokensAt(now) >= float64(l.burst) {
				delete(l.by, s)
			}
		}
	}
	u := l.by[subject]
	if u == nil {
		u = &usage{bucket: rate.NewLimiter(rate.Limit(l.PerSecond), l.burst)}
		l.by[subject] = u
	}
	return u
}
