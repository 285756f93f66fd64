package approval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// finishWithin bounds how long the outcome of a send may take to be stored.
const finishWithin = 30 * time.Second

// Claim takes an approved hold of one of apis that mine accepts for sending, and
// returns ErrNotFound if there is none. The claim is held until lease has
// passed; a claim that outlives its lease becomes unknown (see Sweep). The
// approval's proof is checked, that this process has not sent the hold before,
// and that the policies of this process, too, let that person decide: otherwise
// the hold is refused, with ErrTampered or ErrForbidden. A claim has no entry of
// its own: the claimant's send or refuse is it.
func (s *Service) Claim(ctx context.Context, apis []string, mine func(store.Hold) bool, owner string, lease time.Duration) (store.Hold, error) {
	if len(apis) == 0 {
		return store.Hold{}, ErrNotFound
	}
	// Claim runs after every change of the database, so it looks before it locks.
	waiting := store.HoldFilter{APIs: apis, States: []store.State{store.Approved}, Limit: 100}
	some := false
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		n, err := tx.Count(waiting)
		some = n > 0
		return err
	})
	if err != nil {
		return store.Hold{}, err
	}
	if !some {
		return store.Hold{}, ErrNotFound
	}
	var claimed store.Hold
	var refused error
	err = s.update(ctx, func(tx *store.Tx) (err error) {
		refused = nil
		holds, err := tx.Holds(waiting)
		if err != nil {
			return err
		}
		now := s.now()
		for _, h := range holds {
			if !mine(h) {
				continue // another process serves it
			}
			if why := s.releasable(h, now); why != nil {
				refused = fmt.Errorf("%s: %w", h.ID, why)
				if errors.Is(why, ErrTampered) {
					_, err = s.condemn(tx, h, now)
					return err
				}
				e := entryOf(h, "refuse")
				e.Code, e.Note = "forbidden", why.Error()
				_, err = s.change(tx, h, Refuse{}, now, e)
				return err
			}
			next, err := Apply(h, Claim{Owner: owner, Lease: now.Add(lease).Truncate(time.Microsecond)}, now)
			if errors.Is(err, ErrExpired) {
				continue // for Sweep
			}
			if err != nil {
				return err
			}
			claimed, err = s.swap(tx, next)
			return err
		}
		return ErrNotFound
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return store.Hold{}, err
	}
	s.sent.add(claimed.ID)
	return claimed, nil
}

// releasable says why an approved hold must not be sent, or nil.
func (s *Service) releasable(h store.Hold, now time.Time) error {
	if !s.proven(h) || s.sent.has(h.ID) {
		return ErrTampered
	}
	var by authz.Principal
	if err := json.Unmarshal(h.Approval.By, &by); err != nil {
		return ErrTampered
	}
	// Another process may have taken the verdict, under other policies.
	if d := s.mayDecide(h, Person{Principal: by, AMR: h.Approval.AMR}, now); d.Outcome != authz.Allow {
		return fmt.Errorf("%w: %s", ErrForbidden, d.Reason)
	}
	return nil
}

// remembered is a bounded set of holds that this process has claimed: a second
// claim of one can only come from somebody who changed the database. An approval
// lives for minutes, so old ones can be forgotten.
type remembered struct {
	mu    sync.Mutex
	ids   map[string]bool
	order []string
}

const rememberMost = 100_000

func (r *remembered) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil {
		r.ids = map[string]bool{}
	}
	r.ids[id] = true
	if r.order = append(r.order, id); len(r.order) > rememberMost {
		delete(r.ids, r.order[0])
		r.order = r.order[1:]
	}
}

func (r *remembered) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[id]
}

// Finish records the outcome of a claimed send: Finish, Refuse or Lose, with
// the entry that tells it, in one transaction. It does not stop when ctx is
// cancelled. ErrDecided if the claim was lost meanwhile.
func (s *Service) Finish(ctx context.Context, h store.Hold, e Event, entry store.Entry) (store.Hold, error) {
	switch e.(type) {
	case Finish, Refuse, Lose:
	default:
		return h, fmt.Errorf("%T is not the end of a send", e)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	out := h
	err := s.update(ctx, func(tx *store.Tx) error {
		stored, err := find(tx, h.ID)
		if err != nil {
			return err
		}
		if !s.sealed(stored) && s.marked(h) {
			// What this process claimed is the truth, whatever somebody has made
			// of the stored hold meanwhile.
			version := stored.Version
			stored = h
			stored.Version = version
		}
		if open(stored) && (stored.State != store.Sending || stored.Owner != h.Owner || !stored.Lease.Equal(h.Lease)) {
			return fmt.Errorf("%s is not claimed by %q", h.ID, h.Owner)
		}
		out, err = s.change(tx, stored, e, s.now(), entry)
		return err
	})
	return out, err
}

// Sweep expires holds whose time is over and loses claims whose lease is.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.now()
	var due []string
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		due = nil
		for _, state := range openStates {
			// The oldest end first.
			holds, err := tx.Holds(store.HoldFilter{States: []store.State{state}, Limit: 100})
			if err != nil {
				return err
			}
			for _, h := range holds {
				if ending(h, now) != nil {
					due = append(due, h.ID)
				}
			}
		}
		return nil
	})
	for _, id := range due {
		if err != nil {
			break
		}
		err = s.update(ctx, func(tx *store.Tx) error {
			h, err := find(tx, id)
			if err == nil {
				_, err = s.settle(tx, h, now)
			}
			return err
		})
	}
	return err
}

// ending is the event that time alone has brought to a hold, or nil.
func ending(h store.Hold, now time.Time) Event {
	switch {
	case h.State == store.Sending && !now.Before(h.Lease):
		return Lose{}
	case over(h, now):
		return Expire{}
	}
	return nil
}

// settle stores what time alone has done to a hold.
func (s *Service) settle(tx *store.Tx, h store.Hold, now time.Time) (store.Hold, error) {
	e := ending(h, now)
	if e != nil && !s.sealed(h) {
		return s.condemn(tx, h, now)
	}
	switch e.(type) {
	case Expire:
		return s.change(tx, h, e, now, entryOf(h, "expire"))
	case Lose:
		entry := entryOf(h, "unknown")
		entry.Code, entry.Note = "outcome_unknown", "the claim of "+h.Owner+" outlived its lease"
		return s.change(tx, h, e, now, entry)
	}
	return h, nil
}
