package mcpserver

import (
	"context"
	"errors"
	"sync"
)

var errCancelled = errors.New("cancelled by the client")

// running are the requests that are being answered, by a key that no two clients
// share.
type running struct {
	mu sync.Mutex
	by map[string]context.CancelCauseFunc
}

func newRunning() *running { return &running{by: map[string]context.CancelCauseFunc{}} }

// begin adds a request until the returned function is called. It is nil if there
// is one of that key, or as many as most.
func (r *running) begin(key string, most int, cancel context.CancelCauseFunc) (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by[key] != nil || len(r.by) >= most {
		return nil
	}
	r.by[key] = cancel
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.by, key)
	}
}

// has reports whether there is a request of the key.
func (r *running) has(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[key] != nil
}

// cancel ends a request for its client, which then gets no answer.
func (r *running) cancel(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cancel := r.by[key]; cancel != nil {
		cancel(errCancelled)
	}
}
