package dpop

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// Bounds of the proofs that are remembered. One key cannot take the room of all.
const (
	maxSpent      = 100_000
	maxSpentOfOne = 5_000
)

// ErrFull says that whether a proof was used cannot be remembered for now.
var ErrFull = errors.New("too many proofs are remembered")

type spentProof struct {
	key   string // its hash
	jkt   string
	until time.Time
}

// Spent remembers in memory which proofs were used. It is safe for concurrent use.
type Spent struct {
	now   func() time.Time
	mu    sync.Mutex
	spent map[string]bool
	of    map[string]int // how many are remembered, by thumbprint
	queue []spentProof   // oldest first
}

// NewSpent returns a memory that is empty.
func NewSpent(now func() time.Time) *Spent {
	return &Spent{now: now, spent: map[string]bool{}, of: map[string]int{}}
}

// Spend uses up the proof that a key made under an id, and remembers it until then.
// It is that of a [Checker]; the error is ErrFull.
func (s *Spent) Spend(_ context.Context, thumbprint, id string, until time.Time) (fresh bool, err error) {
	sum := sha256.Sum256([]byte(thumbprint + " " + id)) // a thumbprint has no space
	key := string(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for len(s.queue) > 0 && now.After(s.queue[0].until) {
		old := s.queue[0]
		s.queue = s.queue[1:]
		delete(s.spent, old.key)
		if s.of[old.jkt]--; s.of[old.jkt] <= 0 {
			delete(s.of, old.jkt)
		}
	}
	switch {
	case s.spent[key]:
		return false, nil
	case len(s.queue) >= maxSpent || s.of[thumbprint] >= maxSpentOfOne:
		return false, ErrFull
	}
	s.spent[key] = true
	s.of[thumbprint]++
	s.queue = append(s.queue, spentProof{key, thumbprint, until})
	return true, nil
}
