package approval

import (
	"sync"
	"time"
)

// tally counts events by name, each within a span of time of its own. The zero
// value is ready to use, by several goroutines at once.
type tally struct {
	mu    sync.Mutex
	spans map[string]span
}

type span struct {
	end time.Time
	n   int
}

// maxSpans bounds a tally. Its names come from logins, of which there are few.
const maxSpans = 10_000

// count returns how often name was counted in the span that now is in, this
// time included.
func (t *tally) count(name string, now time.Time, length time.Duration) int {
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

// so returns how often name was counted in the span that now is in.
func (t *tally) so(name string, now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.spans[name]; now.Before(s.end) {
		return s.n
	}
	return 0
}
