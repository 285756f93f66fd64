package approval

import (
	"fmt"
	"time"

	"github.com/exeat/exeat/store"
)

// What a principal can make exeat write without a person's help is bounded:
// open holds by MaxOpen, all holds by a number for each hour, and entries of
// what was refused by a number for each minute.
const (
	madeFactor   = 5  // times MaxOpen: holds that one principal may make in an hour
	missesNoted  = 10 // entries a minute about handles that are not the asker's
	refusedNoted = 1  // entries a minute about holds that were one too many
)

// noteMiss records that subject asked for a handle that is not its own. id names
// the hold if there is one.
func (s *Service) noteMiss(subject, id string) {
	now := s.Now()
	n := s.counts.Add("missed "+subject, now, time.Minute)
	if n > missesNoted {
		return
	}
	e := store.Entry{Kind: store.KindDenied, Time: now, Principal: subject, Code: "handle_not_found", Hold: id, Note: "asked for a handle that names nothing"}
	if id != "" {
		e.Note = "asked for a handle of another principal"
	}
	if n == missesNoted {
		e.Note += "; more of this minute are not recorded"
	}
	s.note(e)
}

// noteCrowd records that a call of h's principal was one too many.
func (s *Service) noteCrowd(h store.Hold, now time.Time) {
	if s.counts.Add("crowded "+h.Subject, now, time.Minute) > refusedNoted {
		return
	}
	h.ID = "" // it was not made
	e := entryOf(h, store.KindDenied)
	e.Time, e.Code, e.Note = now, "rate_limited", "too many calls wait for a person; more of this minute are not recorded"
	s.note(e)
}

// note writes an entry of something that was refused. If that fails, it is
// refused all the same.
func (s *Service) note(e store.Entry) { _ = s.c.Store.Log(e)() }

// takeSeat returns ErrTooMany if the principal has as many open holds as it may, or has
// made as many in an hour. It counts one more.
func (s *Service) takeSeat(tx *store.Tx, subject string, now time.Time) error {
	if err := s.checkSeats(tx, subject, now); err != nil {
		return err
	}
	if n := s.counts.Add("made "+subject, now, time.Hour); n > madeFactor*s.c.MaxOpen {
		return fmt.Errorf("%w: %d were made within an hour", ErrTooMany, n-1)
	}
	return nil
}

// checkSeats is takeSeat without the hour.
func (s *Service) checkSeats(tx *store.Tx, subject string, now time.Time) error {
	most := s.c.MaxOpen
	mine := store.HoldFilter{Subject: subject, States: openStates}
	n, err := tx.Count(mine)
	if err != nil {
		return err
	}
	// Some of them may be over and only wait for the next sweep. To look at all
	// of them costs too much to do it for each call that is too many.
	if n >= most && s.counts.Add("settled "+subject, now, time.Second) == 1 {
		if n, err = s.settleAll(tx, mine, now); err != nil {
			return err
		}
	}
	if n >= most {
		return fmt.Errorf("%w: %d wait already", ErrTooMany, n)
	}
	return nil
}

// settleAll settles holds and returns how many of them are open.
func (s *Service) settleAll(tx *store.Tx, f store.HoldFilter, now time.Time) (int, error) {
	holds, err := tx.Outlines(f)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, h := range holds {
		if over(h, now) {
			h, err = find(tx, h.ID)
		}
		if err == nil {
			h, err = s.settle(tx, h, now)
		}
		if err != nil {
			return 0, err
		}
		if open(h) {
			n++
		}
	}
	return n, nil
}

// withdrawnKept is how many bytes of a principal's withdrawn and expired holds are
// kept: nobody decided them, and an agent can make as many as it likes.
const withdrawnKept = 32 << 20

// forgetWithdrawn makes room for a new hold among those that came to nothing.
func (s *Service) forgetWithdrawn(tx *store.Tx, subject string, now time.Time) error {
	n, err := tx.ForgetWithdrawn(subject, withdrawnKept, sweepMost)
	if err != nil || n == 0 {
		return err
	}
	return tx.Append(store.Entry{Kind: store.KindForget, Time: now, Principal: subject,
		Note: fmt.Sprintf("%d held calls that nobody decided are not kept any more: together they were too large", n)})
}
