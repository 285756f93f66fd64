package approval

import (
	"context"
	"errors"
	"fmt"

	"github.com/exeat/exeat/store"
)

// Waits is for who has work to do before it makes a hold: it returns the hold
// that Open would return instead of a new one, ErrNotFound if Open would make
// one, and ErrTooMany if it would make none. Open asks all of it again.
func (s *Service) Waits(ctx context.Context, subject, dedupe string) (store.Hold, error) {
	var h store.Hold
	now := s.Now()
	full := false
	err := s.c.Store.View(ctx, func(tx *store.Tx) (err error) {
		if h, err = tx.OpenHold(dedupe); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		n, err := tx.Count(store.HoldFilter{Subject: subject, States: openStates})
		full = n >= s.c.MaxOpen
		return errors.Join(err, ErrNotFound)
	})
	if err == nil && (h.Subject != subject || !s.sealed(h) || !open(asOf(h, now))) {
		err = ErrNotFound // Open settles what there is to settle
	}
	if errors.Is(err, ErrNotFound) && full {
		if err := s.update(ctx, func(tx *store.Tx) error { return s.checkSeats(tx, subject, now) }); err != nil {
			return store.Hold{}, err
		}
	}
	if n := s.counts.Count("made "+subject, now); errors.Is(err, ErrNotFound) && n >= madeFactor*s.c.MaxOpen {
		return store.Hold{}, fmt.Errorf("%w: %d were made within an hour", ErrTooMany, n)
	}
	return h, err
}
