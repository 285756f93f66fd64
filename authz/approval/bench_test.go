package approval

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
)

// A call that waits, is approved, claimed and sent, while so many others wait.
func BenchmarkApproveSend(b *testing.B) {
	for _, waiting := range []int{0, 1000} {
		b.Run(fmt.Sprintf("%d waiting", waiting), func(b *testing.B) {
			w := newWorld(b)
			w.restart(func(c *Config) { c.MaxOpen = 1 << 20 })
			for range waiting {
				h := call(bob, rand.Text())
				h.Txn = h.Dedupe
				w.open(h)
			}
			b.ReportAllocs()
			for b.Loop() {
				h := call(alice, rand.Text())
				h.Txn = h.Dedupe
				h = w.open(h)
				w.Pass(100 * time.Millisecond)
				w.approve(h)
				h, err := w.Claim(b.Context(), []string{"petstore"}, anyHold, "me", time.Minute)
				if err == nil {
					_, err = w.Finish(b.Context(), h, Finish{Result: []byte("{}")}, store.Entry{Kind: store.KindOutcome, Txn: h.Txn, Hold: h.ID})
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
