package oauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"
)

// proof is a DPoP proof that was read.
type proof struct {
	thumbprint                        string // of the key that signed it
	id, method, url, tokenHash, nonce string
	issued                            time.Time
}

// Bounds of the proofs that are remembered. One key cannot take the room of all.
const (
	maxProofs       = 100_000
	maxProofsOfOne  = 5_000
	proofRemembered = 2*skew + time.Second // longer than one can be used
)

// How an attempt to spend a proof ended.
const (
	proofFresh = iota
	proofSpent
	proofsFull // and whether it was used cannot be remembered
)

type spentProof struct {
	key string // its hash
	jkt string
	at  time.Time
}

// proofs remembers which were used. It is safe for concurrent use.
type proofs struct {
	mu    sync.Mutex
	spent map[string]bool
	of    map[string]int // how many are remembered, by thumbprint
	queue []spentProof   // oldest first
}

func newProofs() *proofs { return &proofs{spent: map[string]bool{}, of: map[string]int{}} }

// spend uses up the proof that a key made under an id.
func (p *proofs) spend(thumbprint, id string, now time.Time) int {
	sum := sha256.Sum256([]byte(thumbprint + " " + id)) // a thumbprint has no space
	key := string(sum[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 && now.Sub(p.queue[0].at) > proofRemembered {
		old := p.queue[0]
		p.queue = p.queue[1:]
		delete(p.spent, old.key)
		if p.of[old.jkt]--; p.of[old.jkt] <= 0 {
			delete(p.of, old.jkt)
		}
	}
	switch {
	case p.spent[key]:
		return proofSpent
	case len(p.queue) >= maxProofs || p.of[thumbprint] >= maxProofsOfOne:
		return proofsFull
	}
	p.spent[key] = true
	p.of[thumbprint]++
	p.queue = append(p.queue, spentProof{key, thumbprint, now})
	return proofFresh
}

// nonceLife is how long a nonce is good for.
const nonceLife = 5 * time.Minute

// newNonce returns a nonce that shows by itself when it was made, and that it was
// made here. It has a proof that was made in advance, or before a restart that
// forgot which were used, end early.
func (s *Server) newNonce(now time.Time) string {
	b := make([]byte, 16, 16+sha256.Size)
	binary.BigEndian.PutUint64(b, uint64(now.UnixNano()))
	rand.Read(b[8:])
	return base64.RawURLEncoding.EncodeToString(s.sealNonce(b))
}

func (s *Server) sealNonce(b []byte) []byte {
	h := hmac.New(sha256.New, s.c.NonceKey)
	h.Write([]byte("exeat dpop nonce 1\n"))
	h.Write(b)
	return h.Sum(b)
}

// nonceIsGood reports whether a nonce was made here a short time ago, and since this
// process began to remember proofs.
func (s *Server) nonceIsGood(nonce string, now time.Time) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != 16+sha256.Size || !hmac.Equal(s.sealNonce(b[:16:16]), b) {
		return false
	}
	made := time.Unix(0, int64(binary.BigEndian.Uint64(b)))
	return !made.Before(s.started) && !made.After(now.Add(skew)) && now.Sub(made) <= nonceLife
}
