package approval

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// RulesInForce returns the rules in force for an agent of a principal, newest first.
// One that was altered in the database comes back Damaged, whatever it claims. That
// the principal itself was stopped is a stop of no agent.
func (s *Service) RulesInForce(ctx context.Context, subject, agent string) ([]Rule, error) {
	m, err := s.moment()
	if err != nil {
		return nil, err
	}
	w := whose{subject, agent}
	if out, ok := s.kept.of(m, w, s.latest()); ok {
		s.moveOn(m)
		return out, nil
	}
	var said *Said
	var clock time.Time
	var f inForce
	err = s.view(ctx, func(tx *store.Tx) (err error) {
		if said, err = s.follow(tx); err != nil {
			return err
		}
		if clock, err = tx.Latest(time.Time{}); err != nil {
			return err
		}
		f, err = s.readRules(tx, said, w, clock)
		return err
	})
	if err == nil {
		s.kept.keepRules(m, said, clock, w, f)
	}
	return f.rules, err
}

// readRules reads the rules in force for an agent, and holds them against the log.
func (s *Service) readRules(tx *store.Tx, said *Said, w whose, clock time.Time) (inForce, error) {
	f := inForce{from: s.latest()}
	if f.from.Before(clock) {
		f.from = clock
	}
	rows, err := tx.LiveRules(w.subject, w.agent, f.from, 10*maxRules)
	for _, row := range rows {
		r := s.readRule(row)
		f.endAt(r.Created, r.Ends, r.Last)
		if r.Damaged || r.live(f.from) {
			f.rules = append(f.rules, r)
		}
	}
	for _, r := range said.Rules {
		f.endAt(r.Ends)
	}
	if err == nil {
		f.rules, err = s.checkRules(tx, said, w.subject, w.agent, f.rules, f.from)
	}
	f.rules = append(f.rules, said.stopOfUser(w.subject)...)
	return f, err
}

// Use counts a call under a grant and appends the entry that tells it, in one
// transaction: right before each send. ErrNoGrant if the grant was revoked, is
// over, used up or for other calls, if its giver may not decide such calls any
// more, if the agent was stopped meanwhile, or if there were GrantRate calls
// within a minute.
func (s *Service) Use(ctx context.Context, id string, c Shape, e store.Entry) error {
	limited := false
	err := s.update(ctx, func(tx *store.Tx) error {
		now, err := tx.Advance(s.latest())
		if err != nil {
			return err
		}
		r, err := s.findUsable(tx, id, c, now)
		if err != nil {
			return err
		}
		if now.Sub(r.burst.Since) >= time.Minute {
			r.burst = burst{Since: now}
		}
		if r.burst.N++; r.burst.N > GrantRate {
			return fmt.Errorf("%w: there were %d calls under it within a minute", ErrNoGrant, GrantRate)
		}
		r.Used, r.Last = r.Used+1, now
		if t := r.Scope.Task; t != nil {
			r.Sum, _ = t.add(r.Sum, c.Args) // which is within, or the grant would not be for the call
		}
		row, err := s.storeRule(r)
		if err != nil {
			return err
		}
		limited = r.Max > 0
		if err := tx.SwapRule(row); err != nil {
			return err
		}
		e.Grant = id
		return tx.Append(e)
	})
	if err == nil && limited {
		s.remember(ctx)
	}
	return err
}

// findUsable returns the grant if it lets the call go now.
func (s *Service) findUsable(tx *store.Tx, id string, c Shape, now time.Time) (Rule, error) {
	row, err := tx.Rule(id)
	if errors.Is(err, store.ErrNotFound) {
		err = ErrNoGrant
	}
	if err != nil {
		return Rule{}, err
	}
	r := s.readRule(row)
	if r.Kind != KindGrant || !r.live(now) || !r.Matches(c) {
		return r, ErrNoGrant
	}
	said, err := s.follow(tx)
	if err != nil {
		return r, err
	}
	if !said.agrees(r) {
		return r, fmt.Errorf("%w: the log says that it was revoked, or used more often", ErrNoGrant)
	}
	if good, err := s.verifyRule(tx, r); err != nil || !good {
		return r, errors.Join(err, fmt.Errorf("%w: the passkey that signed it does not stand for it any more", ErrNoGrant))
	}
	if said.grantOver(r) {
		return r, fmt.Errorf("%w: its user, or who gave it, was stopped or ended since", ErrNoGrant)
	}
	if d := s.mayGive(r.inTask(c), c.Principal, now); d.Outcome != authz.Allow {
		return r, fmt.Errorf("%w: who gave it may not decide such calls any more", ErrNoGrant)
	}
	rows, err := tx.LiveRules(c.subject(), c.Agent.ID, now, 10*maxRules)
	var others []Rule
	for _, row := range rows {
		others = append(others, s.readRule(row))
	}
	if err == nil {
		others, err = s.checkRules(tx, said, c.subject(), c.Agent.ID, others, now)
	}
	for _, other := range others {
		if other.Damaged || other.Kind != KindGrant && other.Matches(c) {
			return r, fmt.Errorf("%w: a person stopped or denied such calls", ErrNoGrant)
		}
	}
	return r, err
}

// latest is the latest time that this process has seen: a clock that steps back
// gives no grant more time. The database keeps it for other processes whenever a
// rule is made, used or revoked.
func (s *Service) latest() time.Time {
	now := s.Now()
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	if now.Before(s.clock.at) {
		return s.clock.at
	}
	s.clock.at = now
	return now
}

// clock is the latest time that this process has seen.
type clock struct {
	mu sync.Mutex
	at time.Time
}
