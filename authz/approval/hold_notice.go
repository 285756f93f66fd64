package approval

import (
	"context"
	"errors"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// enqueue writes a notice of a hold for every channel: of a new one, or of one that
// needs another person's approval, too.
func (s *Service) enqueue(tx *store.Tx, h store.Hold, now time.Time) error {
	channels := s.c.Notify
	if s.c.Push {
		subs, err := tx.Subscriptions("")
		if err != nil {
			return err
		}
		for _, sub := range subs {
			channels = append(channels[:len(channels):len(channels)], PushChannel(sub.ID))
		}
	}
	for _, c := range channels {
		if err := tx.Enqueue(store.Notice{ID: newID("msg"), Channel: c, Hold: h.ID, Created: now, Due: now}); err != nil {
			return err
		}
	}
	return nil
}

// PushPrefix begins the names of channels that are browsers.
const PushPrefix = "push:"

// PushChannel is the name of the channel that is the browser of a subscription.
func PushChannel(id string) string { return PushPrefix + id }

// Addressee is whom a notice goes to, where that is one person: their browser.
type Addressee struct {
	Name      string
	Principal authz.Principal
	Since     time.Time // they asked for it; an end of theirs ends it
}

// Told is the hold that a notice is about, in outline, or false if nobody is to
// be told of it: it is not what was made, or there is nothing in it for its
// addressee. A nil addressee is a channel that the operator chose, which is told of
// every hold.
func (s *Service) Told(ctx context.Context, tx *store.Tx, id string, to *Addressee) (store.Hold, bool, error) {
	h, err := find(tx, id)
	if errors.Is(err, ErrNotFound) {
		return h, false, nil
	}
	if err != nil {
		return h, false, err
	}
	if !s.sealed(h) {
		return store.Hold{}, false, nil
	}
	if to != nil {
		u, err := s.user(tx, to.Name)
		if err != nil || u.over(to.Since) {
			return store.Hold{}, false, err
		}
		concerned, err := s.concerns(ctx, tx, h, *to)
		if err != nil || !concerned {
			return store.Hold{}, false, err
		}
	}
	return outlineOf(h), true, nil
}

// concerns reports whether a hold is news for somebody: one of their own that nobody
// has decided about, or one that their approval would bring on.
func (s *Service) concerns(ctx context.Context, tx *store.Tx, h store.Hold, to Addressee) (bool, error) {
	if h.Subject == to.Name && len(h.Earlier) == 0 {
		return true, nil
	}
	signer, err := s.signers(tx, to.Name)
	if errors.Is(err, ErrStale) {
		return false, nil // they decide nothing until somebody has looked
	}
	if err != nil {
		return false, err
	}
	who, now := strengthen(Person{Principal: to.Principal}, signer), s.Now()
	if s.mayDecide(h, who, now).Outcome != authz.Allow {
		return false, nil
	}
	f, err := s.facts(h, who, true, now)
	if err != nil {
		return false, err
	}
	w, _, err := s.weigh(ctx, h, f.Approval, now)
	return w == Sends || w == Waits, err
}

// outlineOf is a hold without what is asked of the API and why.
func outlineOf(h store.Hold) store.Hold {
	h.Args, h.Details, h.Choices, h.Before, h.After, h.Says, h.Result = nil, nil, nil, nil, nil, "", nil
	h.Request = store.Request{Method: h.Request.Method}
	return h
}
