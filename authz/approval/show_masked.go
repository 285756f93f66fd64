package approval

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/store"
)

// ErrUnseen is an approval of a call with hidden values at which the person has
// not looked.
var ErrUnseen = errors.New("this call has hidden values that you have not looked at")

// hidesSomething reports whether a call has hidden values that have to be looked
// at before it is approved: all but those that whoever runs exeat hides from
// everybody.
func hidesSomething(h store.Hold) bool {
	return slices.ContainsFunc(h.Masked, func(p string) bool {
		return !slices.ContainsFunc(h.Waived, func(w string) bool { return p == w || strings.HasPrefix(p, w+"/") })
	})
}

// looked reports whether the log says that a person looked at a hold's hidden
// values.
func (s *Service) looked(ctx context.Context, h store.Hold, person string) (found bool, err error) {
	err = s.c.Store.Chain(ctx, h.Txn, func(e store.Entry) error {
		found = found || e.Kind == store.KindReveal && e.Hold == h.ID && e.By == person
		return nil
	})
	return found, err
}

// unseen reports whether a person has to look at hidden values before they can
// approve.
func (s *Service) unseen(ctx context.Context, h store.Hold, person string) (bool, error) {
	if !hidesSomething(h) {
		return false, nil
	}
	found, err := s.looked(ctx, h, person)
	return !found, err
}

// checkSeen is ErrUnseen for an approval of what the person has not seen.
func (s *Service) checkSeen(ctx context.Context, h store.Hold, p Person, v Verdict, now time.Time) error {
	if !v.Approve || asOf(h, now).State != store.Pending {
		return nil
	}
	unseen, err := s.unseen(ctx, h, p.Name())
	if err == nil && unseen {
		err = ErrUnseen
	}
	return err
}
