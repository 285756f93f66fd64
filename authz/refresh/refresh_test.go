package refresh

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var policy = Policy{After: 5 * time.Minute, Until: time.Hour, Every: 10 * time.Second, First: time.Second, Timeout: 10 * time.Second}

// place is what is read: it counts, hangs or fails as told.
type place struct {
	mu    sync.Mutex
	reads int
	fail  error
	hang  bool
}

func (p *place) set(fail error, hang bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail, p.hang = fail, hang
}

func (p *place) read(ctx context.Context) (int, error) {
	p.mu.Lock()
	p.reads++
	n, fail, hang := p.reads, p.fail, p.hang
	p.mu.Unlock()
	if hang {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return n, fail
}

func want(t *testing.T, what string, got int, err error, value int, failed error) {
	t.Helper()
	if got != value || !errors.Is(err, failed) || failed == nil && err != nil {
		t.Errorf("%s: %d, %v; want %d, %v", what, got, err, value, failed)
	}
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		p := &place{fail: down}
		c := New(policy, time.Now, p.read)
		get := func() (int, error) { return c.Get(t.Context()) }
		again := func() (int, error) { return c.Again(t.Context()) }

		got, err := get()
		want(t, "it fails", got, err, 0, down)
		p.set(nil, false)
		got, err = get()
		want(t, "too soon to try again", got, err, 0, down)
		time.Sleep(policy.First)
		got, err = get()
		want(t, "it works", got, err, 2, nil)
		got, err = again()
		want(t, "read a moment ago", got, err, 2, ErrTooSoon)
		time.Sleep(policy.Every)
		got, err = again()
		want(t, "something is missing in it", got, err, 3, nil)

		time.Sleep(policy.After + time.Second)
		got, err = get()
		want(t, "old: what there is, and a reading begins", got, err, 3, nil)
		synctest.Wait()
		got, err = get()
		want(t, "read in the background", got, err, 4, nil)

		p.set(nil, true)
		time.Sleep(policy.After + time.Second)
		got, err = get()
		want(t, "nobody waits for a place that hangs", got, err, 4, nil)
		got, err = again()
		want(t, "except who misses something in it", got, err, 4, context.DeadlineExceeded)
		p.set(down, false)
		time.Sleep(policy.Until - policy.After - time.Minute)
		got, err = get()
		want(t, "it cannot be read, and is still believed", got, err, 4, nil)
		synctest.Wait()
		time.Sleep(time.Minute)
		got, err = get()
		want(t, "and then no longer", got, err, 0, down)
	})
}

// TestWait has nobody use an old value while it can be read again.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		p, patient := &place{}, policy
		patient.Wait = true
		c := New(patient, time.Now, p.read)
		for _, step := range []struct {
			pass  time.Duration
			fail  error
			value int
			err   error
		}{{0, nil, 1, nil}, {policy.After, nil, 1, nil}, {time.Second, nil, 2, nil}, {policy.After + time.Second, down, 2, nil}, {time.Second, down, 2, nil},
			{policy.Until - policy.After - 2*time.Second, down, 2, nil}, {time.Second, down, 0, down}, {policy.Every, nil, 5, nil}} {
			time.Sleep(step.pass)
			p.set(step.fail, false)
			got, err := c.Get(t.Context())
			want(t, step.pass.String(), got, err, step.value, step.err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		time.Sleep(policy.After + time.Second)
		p.set(nil, true)
		if _, err := c.Get(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up waits: %v", err)
		}
		time.Sleep(policy.Timeout)
	})
}

func TestOneReadingForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{hang: true}
		c := New(policy, time.Now, p.read)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := c.Get(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if p.reads != 1 {
			t.Errorf("%d readings", p.reads)
		}
		time.Sleep(policy.First)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Get(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		time.Sleep(policy.Timeout)
	})
}
