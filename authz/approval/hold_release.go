package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/exeat/exeat/store"
)

// finishWithin bounds how long the outcome of a send may take to be stored.
const finishWithin = 30 * time.Second

// claimPage is how many approved holds are looked at together.
const claimPage = 16

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
	// Claim runs after every change of the database, so it looks before it locks, and
	// at few at a time: many may be approved, and the first is taken as a rule.
	page := store.HoldFilter{APIs: apis, States: []store.State{store.Approved}, Limit: claimPage}
	for {
		var holds []store.Hold
		err := s.c.Store.View(ctx, func(tx *store.Tx) (err error) {
			holds, err = tx.Outlines(page)
			return err
		})
		if err != nil {
			return store.Hold{}, err
		}
		for _, h := range holds {
			// One that is over is for Sweep; one of another process is for that.
			if !mine(h) || h.Approval != nil && over(h, s.Now()) {
				continue
			}
			if h, err := s.claim(ctx, h.ID, mine, owner, lease); !errors.Is(err, ErrNotFound) {
				return h, err
			}
		}
		if len(holds) < claimPage {
			return store.Hold{}, ErrNotFound
		}
		page.After = &holds[len(holds)-1]
	}
}

// claim takes one hold, and returns ErrNotFound if it is not to be taken any
// more.
func (s *Service) claim(ctx context.Context, id string, mine func(store.Hold) bool, owner string, lease time.Duration) (store.Hold, error) {
	var claimed store.Hold
	var refused error
	err := s.update(ctx, func(tx *store.Tx) error {
		refused = nil
		h, err := find(tx, id)
		if err != nil {
			return err
		}
		now := s.Now()
		if h.State != store.Approved || !mine(h) {
			return ErrNotFound
		}
		if _, err := s.follow(tx); err != nil {
			return err // who may decide cannot be told
		}
		if h, err = s.releasable(ctx, tx, h, now); err != nil {
			why := err
			refused = fmt.Errorf("%s: %w", h.ID, why)
			if errors.Is(why, ErrTampered) {
				_, err = s.condemn(tx, h, now)
				return err
			}
			e := entryOf(h, store.KindRefuse)
			e.Code, e.Note = "forbidden", why.Error()
			_, err = s.change(tx, h, Refuse{}, now, e)
			return err
		}
		next, err := Apply(h, Claim{Owner: owner, Lease: now.Add(lease).Truncate(time.Microsecond)}, now)
		if errors.Is(err, ErrExpired) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		claimed, err = s.swap(tx, next)
		return err
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

// releasable is an approved hold as it may be sent so far as those who approved it
// go: without earlier approvals that do not count any more, of which the policies are
// asked again. The error says why it must not be sent.
func (s *Service) releasable(ctx context.Context, tx *store.Tx, h store.Hold, now time.Time) (store.Hold, error) {
	if !s.proven(h) || s.sent.has(h.ID) {
		return h, ErrTampered
	}
	if err := errors.Join(s.checkEnded(ctx, h), s.checkUser(tx, h)); err != nil {
		return h, err
	}
	h, err := s.dropFallen(tx, h)
	if err == nil {
		err = s.stands(tx, h, *h.Approval, now)
	}
	return h, err
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

func (r *remembered) remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ids, id)
	r.order = slices.DeleteFunc(r.order, func(other string) bool { return other == id })
}

func (r *remembered) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[id]
}

// Finish records the outcome of a claimed send: Keep, Finish, Refuse or Lose, with
// the entry that tells it, in one transaction. It does not stop when ctx is
// cancelled. ErrDecided if the claim was lost meanwhile.
func (s *Service) Finish(ctx context.Context, h store.Hold, e Event, entry store.Entry) (store.Hold, error) {
	switch e.(type) {
	case Keep, Finish, Refuse, Lose:
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
		out, err = s.change(tx, stored, e, s.Now(), entry)
		return err
	})
	if _, kept := e.(Keep); kept && err == nil {
		s.sent.remove(h.ID)
	}
	return out, err
}
