package dpop

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// nonceLife is how long a nonce is good for.
const nonceLife = 5 * time.Minute

// Nonces makes the nonces that proofs have to hold, and knows them again. Each shows
// by itself when it was made, and that it was made with this key. They have a proof
// that was made in advance, or before a restart that forgot which were used, end
// early.
type Nonces struct {
	Key   []byte    // processes that serve the same URL share it
	Since time.Time // those that were made before are not taken: since when proofs are remembered
}

// New returns a nonce.
func (n *Nonces) New(now time.Time) string {
	b := make([]byte, 16, 16+sha256.Size)
	binary.BigEndian.PutUint64(b, uint64(now.UnixNano()))
	rand.Read(b[8:])
	return base64.RawURLEncoding.EncodeToString(n.seal(b))
}

func (n *Nonces) seal(b []byte) []byte {
	h := hmac.New(sha256.New, n.Key)
	h.Write([]byte("exeat dpop nonce 1\n"))
	h.Write(b)
	return h.Sum(b)
}

// isGood reports whether a nonce was made here a short time ago.
func (n *Nonces) isGood(nonce string, now time.Time, skew time.Duration) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != 16+sha256.Size || !hmac.Equal(n.seal(b[:16:16]), b) {
		return false
	}
	made := time.Unix(0, int64(binary.BigEndian.Uint64(b)))
	return !made.Before(n.Since) && !made.After(now.Add(skew)) && now.Sub(made) <= nonceLife
}
