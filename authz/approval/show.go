package approval

import (
	"context"
	"errors"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Sight is a hold before the eyes of somebody who may see it.
type Sight struct {
	Hold store.Hold // as it stands now; lists have outlines, without the arguments and the request
	Own  bool       // one of their own agents asks
	May  bool       // the policies let them decide it
	Sees bool       // they may see it: it is their own, theirs to decide, or the policies show it to them
	// mayDecide is May while it waits for somebody to decide.
	MayDecide bool
	Given     []Given // approvals that it has
	// Weight is what their approval would do, if they may decide it, and Why. Of
	// outlines it is only known of who has approved already.
	Weight   Weight
	Why      string
	StepUp   StepUp // what could let them decide it, if they may not
	Revealed bool   // they asked for the hidden values, and the log says so
	// Unseen says that there are hidden values at which they have to look before
	// they can approve.
	Unseen bool
	// Lacks is what has to be done before anybody can approve it, or, if somebody did,
	// before it can be sent.
	Lacks string

	person Person // as their decision will have recognised them
}

// StepUp is what could let a person decide a hold who may not as they are
// logged in.
type StepUp string

// What could help.
const (
	NoStepUp      StepUp = ""
	StepUpLogin   StepUp = "login"
	StepUpPasskey StepUp = "passkey"
)

// Show is the only way to a hold for anybody's eyes. It checks that the hold is
// what was made (ErrTampered), that this person may see it (ErrNotFound, as if it
// never was, or ErrBetterLogin), and with reveal writes the entry of somebody who
// looks at values that are hidden.
func (s *Service) Show(ctx context.Context, who Identity, id string, reveal bool) (Sight, error) {
	p, err := s.admit(ctx, who)
	if err != nil {
		return Sight{}, err
	}
	v, err := s.look(ctx, p, id)
	if err != nil {
		return Sight{}, err
	}
	// Who only sees has no reason to see what is hidden.
	if v.Revealed = reveal && (v.Own || v.May); v.Revealed && len(v.Hold.Masked) > 0 {
		e := entryOf(v.Hold, store.KindReveal)
		e.Time, e.By, e.Note = s.Now(), p.Name(), "looked at hidden values"
		if err := s.c.Store.Log(e)(); err != nil {
			return Sight{}, err
		}
	}
	if v.Lacks, err = s.lacks(ctx, v.Hold, s.Now()); err != nil {
		return Sight{}, err
	}
	if v.MayDecide {
		s.opened(p.Name(), id)
		if v.Unseen, err = s.unseen(ctx, v.Hold, p.Name()); err != nil {
			return Sight{}, err
		}
	}
	return v, nil
}

// State is where a hold stands for somebody who may see it, without showing it: see
// [Stand], or Tampered.
func (s *Service) State(ctx context.Context, who Identity, id string) (string, error) {
	p, err := s.admit(ctx, who)
	if err != nil {
		return "", err
	}
	v, err := s.look(ctx, p, id)
	if errors.Is(err, ErrTampered) {
		return Tampered, nil
	}
	return Stand(v.Hold), err
}

// look is Show without its traces.
func (s *Service) look(ctx context.Context, p Person, id string) (v Sight, err error) {
	var h store.Hold
	var signer holder
	sealed, now := false, s.Now()
	err = s.view(ctx, func(tx *store.Tx) (err error) {
		if h, err = find(tx, id); err == nil {
			signer, err = s.signers(tx, p.Name())
		}
		if sealed = s.sealed(h); sealed && err == nil && h.State == store.Pending {
			h, err = s.dropFallen(tx, h)
		}
		return err
	})
	if err != nil {
		return v, err
	}
	if !sealed {
		// Whose it is cannot be told either.
		return v, s.expose(ctx, h.ID)
	}
	v = s.sight(asOf(h, now), strengthen(p, signer))
	switch {
	case v.Sees:
		return s.weighFor(ctx, v, now)
	case v.StepUp == StepUpLogin:
		return Sight{}, ErrBetterLogin
	}
	return Sight{}, ErrNotFound
}

// sight is a hold as a person sees it whose passkey, if there is one, will have
// signed what they decide.
func (s *Service) sight(h store.Hold, p Person) Sight {
	now := s.Now()
	v := Sight{person: p, Hold: h, Own: h.Subject == p.Name(), May: s.mayDecide(h, p, now).Outcome == authz.Allow, Given: givenOf(h)}
	v.Sees = v.Own || v.May || s.maySee(h, p, now)
	if v.MayDecide = v.May && h.State == store.Pending; !v.May && h.State == store.Pending {
		v.StepUp = s.stepUp(h, p)
	}
	return v
}

// maySee asks the policies whether a person may see a hold that is not theirs to
// decide.
func (s *Service) maySee(h store.Hold, who Person, now time.Time) bool {
	f, err := s.facts(h, who, true, now)
	return err == nil && s.c.Engine != nil && s.c.Engine.MaySee(f).Outcome == authz.Allow
}

// weighFor is what somebody sees with what their approval would do, and whether one
// by a passkey would do more.
func (s *Service) weighFor(ctx context.Context, v Sight, now time.Time) (Sight, error) {
	if !v.MayDecide {
		return v, nil
	}
	f, err := s.facts(v.Hold, v.person, true, now)
	if err != nil {
		return v, err
	}
	weight, d, err := s.weigh(ctx, v.Hold, f.Approval, now)
	v.Weight, v.Why = weight, d.Reason
	if err != nil || weight != NoHelp || v.person.Strong {
		return v, err
	}
	f.Approval.AMR, f.Approval.PhishingResistant = passkeyAMR, true
	if weight, _, err = s.weigh(ctx, v.Hold, f.Approval, now); weight != NoHelp {
		v.StepUp = StepUpPasskey
	}
	return v, err
}

// stepUp says what could let a person decide a hold who may not.
func (s *Service) stepUp(h store.Hold, p Person) StepUp {
	f, err := s.facts(h, p, true, s.Now())
	if err != nil || s.c.Engine == nil {
		return NoStepUp
	}
	switch could := s.c.Engine.StepUp(f); {
	case could.Login:
		return StepUpLogin
	case could.Passkey:
		return StepUpPasskey
	}
	return NoStepUp
}

// hides is ErrNotFound or ErrBetterLogin for a hold that a person may not see.
func (s *Service) hides(tx *store.Tx, h store.Hold, p Person, now time.Time) (hidden, err error) {
	signer, err := s.signers(tx, p.Name())
	if err != nil {
		return nil, err
	}
	switch v := s.sight(asOf(h, now), strengthen(p, signer)); {
	case v.Sees:
		return nil, nil
	case v.StepUp == StepUpLogin:
		return ErrBetterLogin, nil
	}
	return ErrNotFound, nil
}

// maxWaiting bounds the holds that are looked at for a list.
const maxWaiting = 10_000

// Waiting lists the pending holds that a person may see, oldest first, in
// outline. What is not as it was made is left out, and is among Alarms. unseen
// says that there are others, which a better login could show; it costs a look at
// each of them, and is false if it is not asked for.
func (s *Service) Waiting(ctx context.Context, who Identity, ask bool) (list []Sight, unseen bool, err error) {
	p, err := s.admit(ctx, who)
	if err != nil {
		return nil, false, err
	}
	signer, err := s.holder(ctx, p.Name())
	if err != nil {
		return nil, false, err
	}
	holds, err := s.list(ctx, store.HoldFilter{States: []store.State{store.Pending}, Limit: maxWaiting})
	if err != nil {
		return nil, false, err
	}
	p = strengthen(p, signer)
	now := s.Now()
	for _, h := range holds {
		if h.Path == "" { // it was made before outlines had one
			whole, err := s.read(ctx, h.ID)
			if err != nil || !s.sealed(whole) {
				continue
			}
			h.Path = whole.Request.Path
		}
		own, may := h.Subject == p.Name(), s.mayDecide(h, p, now).Outcome == authz.Allow
		v := Sight{Hold: h, Own: own, May: may, MayDecide: may, Given: givenOf(h)}
		v.Sees = own || may || s.maySee(h, p, now)
		switch {
		case !v.Sees:
			unseen = unseen || ask && s.stepUp(h, p) == StepUpLogin
			continue
		case !may:
			v.StepUp = s.stepUp(h, p)
		case approvedBy(h, p.Name()):
			v.Weight = Twice
		}
		list = append(list, v)
	}
	return list, unseen, nil
}
