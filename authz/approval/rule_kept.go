package approval

import (
	"slices"
	"sync"
	"time"

	"github.com/exeat/exeat/store"
)

// keptMost bounds the agents whose rules are kept.
const keptMost = 1024

// kept is what was read of rules and of the log, and held against each other: it is as
// good as new for as long as the database is at the same moment.
type kept struct {
	mu     sync.Mutex
	moment store.Moment
	said   *Said
	clock  time.Time // the latest time that the database knows
	rules  map[whose]inForce
}

// whose is an agent of a principal.
type whose struct{ subject, agent string }

// inForce are the rules of an agent in a span of time, in which none begins or ends.
type inForce struct {
	rules       []Rule
	from, until time.Time // until is zero if none of them ends
}

func (f inForce) holds(now time.Time) bool {
	return !now.Before(f.from) && (f.until.IsZero() || now.Before(f.until))
}

// endAt ends the span with the first of the times that are to come.
func (f *inForce) endAt(times ...time.Time) {
	for _, t := range times {
		if t.After(f.from) && (f.until.IsZero() || t.Before(f.until)) {
			f.until = t
		}
	}
}

// of returns the rules of an agent at a moment and a time, if they are known.
func (k *kept) of(m store.Moment, w whose, now time.Time) ([]Rule, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.moment.Same(m) {
		return nil, false
	}
	if now.Before(k.clock) {
		now = k.clock
	}
	f, ok := k.rules[w]
	if !ok || !f.holds(now) {
		return nil, false
	}
	return slices.Clone(f.rules), true
}

// log returns what the log says at a moment, if it is known.
func (k *kept) log(m store.Moment) *Said {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.moment.Same(m) {
		return nil
	}
	return k.said
}

// keep takes in what was read after the moment m: it may be newer, and then the next
// moment is another.
func (k *kept) keep(m store.Moment, said *Said) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begin(m, said)
}

func (k *kept) begin(m store.Moment, said *Said) {
	if !k.moment.Same(m) {
		k.moment, k.clock, k.rules = m, time.Time{}, map[whose]inForce{}
	}
	k.said = said
}

// keepRules is keep, for the rules of an agent as well.
func (k *kept) keepRules(m store.Moment, said *Said, clock time.Time, w whose, f inForce) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begin(m, said)
	if len(k.rules) >= keptMost {
		clear(k.rules)
	}
	f.rules = slices.Clone(f.rules)
	k.clock, k.rules[w] = clock, f
}

// moment is that of now, while the log is believed.
func (s *Service) moment() (store.Moment, error) {
	m, err := s.c.Store.Moment()
	if why := s.lost.Load(); why != nil {
		err = *why
	}
	return m, err
}

// behind is how many entries what the log says may lag behind its end without being
// moved there. Who follows it then reads so many.
const behind = 64

// moveOn keeps what the log says near to its end while nothing is said in it: the
// entries between are not read, since this process wrote them.
func (s *Service) moveOn(m store.Moment) {
	base := s.kept.log(m)
	if base == nil {
		return
	}
	known := s.said.Load()
	if known.Head.Seq > base.Head.Seq {
		base = known
	}
	if head := m.After(base.Head); head.Seq-base.Head.Seq > behind {
		next := *base
		next.Head = head
		s.said.CompareAndSwap(known, &next)
	}
}
