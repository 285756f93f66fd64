// Package tally counts what happens, by name, within spans of time.
package tally

import (
	"sync"
	"time"
)

// Counter counts events by name, each within a span of time of its own. The zero
// value is ready to use, by several goroutines at once.
type Counter struct {
	mu    sync.Mutex
	spans map[string]span
}

type span struct {
	end time.Time
	n   int
}

// maxSpans bounds a tally. Its names come from logins, of which there are few.
const maxSpans = 10_000

// Add returns how often name was counted in the span that now is in, this
// time included.
func (t *Counter) Add(name string, now time.Time, length time.Duration) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.spans == nil || len(t.spans) >= maxSpans {
		t.spans = map[string]span{}
	}
	s := t.spans[name]
	if !now.Before(s.end) {
		s = span{end: now.Add(length)}
	}
	s.n++
	t.spans[name] = s
	return s.n
}

// Count returns how often name was counted in the span that now is in.
func (t *Counter) Count(name string, now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.spans[name]; now.Before(s.end) {
		return s.n
	}
	return 0
}
