// Package refresh keeps what is read from elsewhere, such as the keys of an
// issuer: as fresh as it should be, read no more often than it may be, and for as
// long as it may be believed when it cannot be read again.
//
//	refresh.go  what is fetched
//	files.go    what is made of files on this machine
package refresh

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrTooSoon says that a value was read a moment ago, and is not read again.
var ErrTooSoon = errors.New("too soon to read again")

// Policy says how often something is read. All times are needed.
type Policy struct {
	After   time.Duration // older than this, a value is read again in the background
	Until   time.Duration // older than this, a value that cannot be read again is not used
	Every   time.Duration // between two readings that callers ask for
	First   time.Duration // the same, until the first reading succeeds
	Timeout time.Duration // of one reading
	// Wait has who gets a value that is older than After wait for the reading, so
	// that nothing older is used while it can be read.
	Wait bool
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
// reading only if there is no such value, or the policy says so. The error is that
// of the last reading, or that of ctx.
func (c *Cache[T]) Get(ctx context.Context) (T, error) {
	c.mu.Lock()
	value, good, old := c.value, c.good(), c.now().Sub(c.at) > c.policy.After
	if good && old && !c.policy.Wait {
		c.takeOff()
	}
	c.mu.Unlock()
	if good && (!old || !c.policy.Wait) {
		return value, nil
	}
	value, good, err := c.again(ctx)
	if good {
		err = nil // it may be that it could not be read again, and is still believed
	}
	return value, err
}

// Again returns the value as it is now, for who found something missing in it. An
// error with a value says why that was not read now: because the reading failed,
// or with ErrTooSoon. A value that is too old to be used is the zero value, with an
// error.
func (c *Cache[T]) Again(ctx context.Context) (T, error) {
	value, _, err := c.again(ctx)
	return value, err
}

func (c *Cache[T]) again(ctx context.Context) (value T, good bool, err error) {
	var none T
	c.mu.Lock()
	flight := c.takeOff()
	c.mu.Unlock()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return none, false, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.good():
		return none, false, c.failed
	case flight == nil && c.failed == nil:
		return c.value, true, ErrTooSoon
	}
	return c.value, true, c.failed
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
