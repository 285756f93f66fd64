package approval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/exeat/exeat/store"
)

// ErrLacks is an approval of a call that could not have its credential: the person in
// whose name it goes has to connect an account first.
var ErrLacks = errors.New("the account that this call needs is not connected")

// lacks says what a person has to do before a hold that waits, or was approved and is
// not sent yet, can have its credential.
func (s *Service) lacks(ctx context.Context, h store.Hold, now time.Time) (string, error) {
	if state := asOf(h, now).State; s.c.Lacks == nil || state != store.Pending && state != store.Approved {
		return "", nil
	}
	return s.c.Lacks(ctx, h)
}

// checkReady is why a hold cannot be approved yet: ErrUnseen, or ErrLacks where the
// call could not have its credential. That it cannot be known is an error, too:
// nothing is approved then.
func (s *Service) checkReady(ctx context.Context, h store.Hold, p Person, v Verdict, now time.Time) error {
	if err := s.checkSeen(ctx, h, p, v, now); err != nil || !v.Approve {
		return err
	}
	why, err := s.lacks(ctx, h, now)
	if err == nil && why != "" {
		err = fmt.Errorf("%w: %s", ErrLacks, why)
	}
	return err
}
