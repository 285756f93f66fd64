package store

import (
	"context"
	"sync"
	"time"
)

// pollEvery is how often other processes' changes are looked for, while
// somebody watches.
var pollEvery = 100 * time.Millisecond

// watcher wakes those who wait for a change: of this process at once, of
// another by polling SQLite's data_version, which changes when somebody else
// commits.
type watcher struct {
	store *Store
	mu    sync.Mutex
	chans map[chan struct{}]bool
	stop  context.CancelFunc // ends the poll; nil while nobody watches
	poll  sync.WaitGroup
	over  bool
}

func newWatcher(s *Store) *watcher {
	return &watcher{store: s, chans: map[chan struct{}]bool{}}
}

// changed wakes everybody. A channel holds one wake-up, so none is lost.
func (w *watcher) changed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.chans {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Watch returns a channel that receives after something in the database has
// changed, by this process or another, and a function to stop watching. Several
// changes may come as one.
func (s *Store) Watch() (<-chan struct{}, func()) {
	w := s.watch
	ch := make(chan struct{}, 1)
	// What changed before the first poll must be seen too.
	ch <- struct{}{}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.chans[ch] = true
	if w.stop == nil && !w.over {
		ctx, cancel := context.WithCancel(context.Background())
		w.stop = cancel
		w.poll.Go(func() { w.run(ctx) })
	}
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.chans, ch)
		if len(w.chans) == 0 && w.stop != nil {
			w.stop()
			w.stop = nil
		}
	}
}

// run polls on the one connection of its pool, since data_version is relative to it. If
// it cannot poll, everybody is woken each time, and looks for themselves.
func (w *watcher) run(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := int64(-1)
	for {
		v := last - 1
		if err := w.store.poll.QueryRowContext(ctx, "PRAGMA data_version").Scan(&v); err != nil {
			v = last - 1
		}
		if v != last && ctx.Err() == nil {
			last = v
			w.changed()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *watcher) close() {
	w.mu.Lock()
	w.over = true
	if w.stop != nil {
		w.stop()
	}
	w.mu.Unlock()
	w.poll.Wait()
}
