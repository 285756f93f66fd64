package approval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/exeat/exeat/store"
)

// KeptFor is how long a hold that has ended, with its request and its result, is
// kept for its handle. Its entries stay in the log.
const KeptFor = 30 * 24 * time.Hour

// sweepMost bounds the holds that one sweep ends, and those that it forgets.
const sweepMost = 100

// Sweep expires holds whose time is over, loses claims whose lease is, and
// forgets holds that ended more than KeptFor ago, some of each at a time. A hold
// that cannot be ended does not keep the others from it.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Now()
	s.latest() // so that it is known to grants
	var due []string
	errs := s.c.Store.View(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.Due(now, sweepMost)
		return err
	})
	for _, id := range due {
		err := s.update(ctx, func(tx *store.Tx) error {
			h, err := find(tx, id)
			if err == nil {
				_, err = s.settle(tx, h, now)
			}
			return err
		})
		if err != nil && ctx.Err() != nil {
			return err
		}
		errs = errors.Join(errs, err)
	}
	return errors.Join(errs, s.forget(ctx, now))
}

// forget deletes holds that ended long ago, with one entry that counts them.
func (s *Service) forget(ctx context.Context, now time.Time) error {
	before := now.Add(-KeptFor)
	some := false
	err := s.c.Store.View(ctx, func(tx *store.Tx) (err error) {
		some, err = tx.Forgettable(before)
		return err
	})
	if err != nil || !some {
		return err
	}
	return s.update(ctx, func(tx *store.Tx) error {
		n, err := tx.Forget(before, sweepMost)
		if err != nil || n == 0 {
			return err
		}
		return tx.Append(store.Entry{Kind: store.KindForget, Time: now,
			Note: fmt.Sprintf("%d held calls that ended before %s are not kept any more", n, before.Format(time.RFC3339))})
	})
}

// ending is the event that time alone has brought to a hold, or nil.
func ending(h store.Hold, now time.Time) Event {
	switch {
	case !over(h, now):
		return nil
	case h.State == store.Sending:
		return Lose{}
	}
	return Expire{}
}

// settle stores what time alone has done to a hold.
func (s *Service) settle(tx *store.Tx, h store.Hold, now time.Time) (store.Hold, error) {
	e := ending(h, now)
	if e != nil && !s.sealed(h) {
		return s.condemn(tx, h, now)
	}
	switch e.(type) {
	case Expire:
		return s.change(tx, h, e, now, entryOf(h, store.KindExpire))
	case Lose:
		entry := entryOf(h, store.KindUnknown)
		entry.Code, entry.Note = "outcome_unknown", "the claim of "+h.Owner+" outlived its lease"
		return s.change(tx, h, e, now, entry)
	}
	return h, nil
}
