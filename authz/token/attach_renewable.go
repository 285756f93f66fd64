package token

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Renewable is a standing key that can be another by now where it is kept: it is read
// anew once the API refuses it.
type Renewable struct {
	renew func(context.Context) (*Static, error)
	now   func() time.Time

	mu   sync.Mutex
	key  *Static   // what was read last; guarded by mu
	read time.Time // when it was read anew; guarded by mu
}

// NewRenewable returns a key that renew reads anew.
func NewRenewable(key *Static, renew func(context.Context) (*Static, error)) *Renewable {
	return &Renewable{key: key, renew: renew, now: time.Now}
}

// renewEvery bounds how often a key is read anew: an agent can make an API refuse
// calls as often as it likes.
const renewEvery = 10 * time.Second

// Placement says where the key goes.
func (k *Renewable) Placement() Placement {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.key.Placement
}

// Attach places the key on r as [Static.Attach] does.
func (k *Renewable) Attach(ctx context.Context, c Call, r *http.Request) (Receipt, error) {
	key, err := k.current(ctx, c.Fresh)
	if err != nil {
		return Receipt{}, err
	}
	receipt, err := key.Attach(ctx, c, r)
	receipt.Renewable = true
	return receipt, err
}

// current is the key as it is now. If fresh, it is read anew, unless it was a moment
// ago.
func (k *Renewable) current(ctx context.Context, fresh bool) (*Static, error) {
	k.mu.Lock()
	key, now := k.key, k.now()
	fresh = fresh && (k.read.IsZero() || now.Sub(k.read) >= renewEvery)
	if fresh {
		k.read = now
	}
	k.mu.Unlock()
	if !fresh {
		return key, nil
	}
	key, err := k.renew(ctx)
	if err == nil {
		err = key.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("the API refuses the standing key, and it cannot be read again: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.key = key
	return key, nil
}
