// Package refresh keeps what is read from elsewhere, such as the keys of an
// issuer: as fresh as it should be, read no more often than it may be, and for as
// long as it may be believed when it cannot be read again.
package refresh

import (
	"context"
	"sync"
	"time"
)

// Policy says how often something is read. All are needed.
type Policy struct {
	After   time.Duration // older than this, a value is read again in the background
	Until   time.Duration // older than this, a value that cannot be read again is not used
	Every   time.Duration // between two readings that callers ask for
	First   time.Duration // the same, until the first reading succeeds
	Timeout time.Duration // of one reading
}

// Cache is one value. It is safe for concurrent use; one reading is under way at a
// time, and all who need it wait for that.
type Cache[T any] struct {
	policy Policy
	now    func() time.Time
	read   func(context.Context) (T, error)

	mu     sync.Mutex
	value  T
	at     time.Time     // when it was read; zero if it never was
	ended  time.Time     // when the last reading ended
	failed error         // why that failed; nil if it did not
	flight chan struct{} // closed when the reading under way ends; nil if there is none
}

// New returns a cache of what read returns. The first Get reads it.
func New[T any](p Policy, now func() time.Time, read func(context.Context) (T, error)) *Cache[T] {
	return &Cache[T]{policy: p, now: now, read: read}
}

// Get returns the value, which is not older than the policy says. It waits for a
// reading only if there is no such value. The error is that of the last reading,
// or that of ctx.
func (c *Cache[T]) Get(ctx context.Context) (T, error) {
	c.mu.Lock()
	value, good := c.value, c.good()
	if good && c.now().Sub(c.at) > c.policy.After {
		c.takeOff()
	}
	c.mu.Unlock()
	if good {
		return value, nil
	}
	return c.Again(ctx)
}

// Again returns the value as it is now, for who found something missing in it.
// Soon after a reading, it is what that came to: the value and, if it failed, its
// error. A value that is too old to be used is the zero value, with an error.
func (c *Cache[T]) Again(ctx context.Context) (T, error) {
	c.mu.Lock()
	flight := c.takeOff()
	c.mu.Unlock()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.good() {
		var none T
		return none, c.failed
	}
	return c.value, c.failed
}

func (c *Cache[T]) good() bool {
	return !c.at.IsZero() && c.now().Sub(c.at) <= c.policy.Until
}

// takeOff returns the reading under way. It begins one, unless it is too soon for
// that: then it returns nil.
func (c *Cache[T]) takeOff() chan struct{} {
	every := c.policy.Every
	if c.at.IsZero() {
		every = c.policy.First
	}
	if c.flight != nil || !c.ended.IsZero() && c.now().Sub(c.ended) < every {
		return c.flight
	}
	c.flight = make(chan struct{})
	// Without the context of who asked: the others that wait must not fail with it.
	go func(done chan struct{}) {
		ctx, cancel := context.WithTimeout(context.Background(), c.policy.Timeout)
		defer cancel()
		value, err := c.read(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err == nil {
			c.value, c.at = value, c.now()
		}
		c.failed, c.ended, c.flight = err, c.now(), nil
		close(done)
	}(c.flight)
	return c.flight
}
