package approval

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/exeat/exeat/store"
)

// tampered is how a hold that was changed in the database is listed: no state
// that a hold can have.
const Tampered = "tampered"

// Bounds of what the inbox tells of tampering.
const (
	alarmShown = 24 * time.Hour
	maxAlarms  = 100
)

// Alarm is a hold that was found to be tampered with.
type Alarm struct {
	ID string
	At time.Time
}

// Alarms lists the holds that this process has found to be tampered with within
// the last day, oldest first.
func (s *Service) Alarms() []Alarm { return s.alarms.since(s.Now().Add(-alarmShown)) }

// alarms are the holds that this process has found to be tampered with, oldest
// first.
type alarms struct {
	mu   sync.Mutex
	list []Alarm
}

// raise reports whether the hold is new among the alarms.
func (a *alarms) raise(id string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.ContainsFunc(a.list, func(x Alarm) bool { return x.ID == id }) {
		return false
	}
	if a.list = append(a.list, Alarm{id, now}); len(a.list) > maxAlarms {
		a.list = a.list[1:]
	}
	return true
}

// since lists the alarms from a time on.
func (a *alarms) since(t time.Time) []Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.list), func(x Alarm) bool { return x.At.Before(t) })
}

// condemn ends a hold that is not what exeat stored and writes the entry of it.
// One that was to be decided or sent is refused, one that was being sent has an
// unknown outcome once its lease is over, and one that was settled stays so: its
// request is gone or will never go. None of them gets a mark: what is stored of
// them is never believed again.
func (s *Service) condemn(tx *store.Tx, h store.Hold, now time.Time) (store.Hold, error) {
	e := entryOf(h, store.KindRefuse)
	e.Time, e.Code, e.Note = now, Tampered, ErrTampered.Error()
	e.Policies, e.PolicySet = nil, ""
	switch {
	case h.State == store.Pending || h.State == store.Approved:
		h.State = store.Refused
	case h.State == store.Sending && !now.Before(h.Lease):
		h.State, e.Kind = store.Unknown, store.KindUnknown
	default:
		// The entry is all there is to write, once for each process.
		if e.Kind = Tampered; !s.alarms.raise(h.ID, now) {
			return h, nil
		}
		return h, tx.Append(e)
	}
	h.Result, h.Mark, h.Changed = nil, nil, now
	if err := tx.Swap(h); err != nil {
		return h, err
	}
	h.Version++
	s.alarms.raise(h.ID, now)
	return h, tx.Append(e)
}

// expose condemns a hold that was read and found to be tampered with. It returns
// ErrTampered, or why the hold could not be condemned.
func (s *Service) expose(ctx context.Context, id string) error {
	err := s.update(ctx, func(tx *store.Tx) error {
		h, err := find(tx, id)
		if err != nil {
			return err
		}
		if s.sealed(h) {
			return nil // somebody has put it back
		}
		_, err = s.condemn(tx, h, s.Now())
		return err
	})
	if err == nil {
		err = ErrTampered
	}
	return err
}
