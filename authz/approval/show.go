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
	// mayDecide is May while it waits for somebody to decide.
	MayDecide bool
	StepUp    StepUp // what could let them decide it, if they may not
	Revealed  bool   // they asked for the hidden values, and the log says so
	// Unseen says that there are hidden values at which they have to look before
	// they can approve.
	Unseen bool

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
	if v.Revealed = reveal; reveal && len(v.Hold.Masked) > 0 {
		e := entryOf(v.Hold, store.KindReveal)
		e.Time, e.By, e.Note = s.Now(), p.Name(), "looked at hidden values"
		if err := s.c.Store.Log(e)(); err != nil {
			return Sight{}, err
		}
	}
	if v.MayDecide {
		s.opened(p.Name(), id)
		if v.Unseen, err = s.unseen(ctx, v.Hold, p.Name()); err != nil {
			return Sight{}, err
		}
	}
	return v, nil
}

// State is where a hold stands for somebody who may see it, without showing it:
// its state, or Tampered.
func (s *Service) State(ctx context.Context, who Identity, id string) (string, error) {
	p, err := s.admit(ctx, who)
	if err != nil {
		return "", err
	}
	v, err := s.look(ctx, p, id)
	if errors.Is(err, ErrTampered) {
		return Tampered, nil
	}
	return string(v.Hold.State), err
}

// look is Show without its traces.
func (s *Service) look(ctx context.Context, p Person, id string) (v Sight, err error) {
	var h store.Hold
	var signer holder
	err = s.view(ctx, func(tx *store.Tx) (err error) {
		if h, err = find(tx, id); err == nil {
			signer, err = s.signers(tx, p.Name())
		}
		return err
	})
	if err != nil {
		return v, err
	}
	if !s.sealed(h) {
		// Whose it is cannot be told either.
		return v, s.expose(ctx, h.ID)
	}
	v = s.sight(asOf(h, s.Now()), strengthen(p, signer))
	switch {
	case v.Own || v.May:
		return v, nil
	case v.StepUp == StepUpLogin:
		return Sight{}, ErrBetterLogin
	}
	return Sight{}, ErrNotFound
}

// sight is a hold as a person sees it whose passkey, if there is one, will have
// signed what they decide.
func (s *Service) sight(h store.Hold, p Person) Sight {
	now := s.Now()
	v := Sight{person: p, Hold: h, Own: h.Subject == p.Name(), May: s.mayDecide(h, p, now).Outcome == authz.Allow}
	if v.MayDecide = v.May && h.State == store.Pending; !v.May && h.State == store.Pending {
		v.StepUp = s.stepUp(h, p)
	}
	return v
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
	case v.Own || v.May:
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
		own, may := h.Subject == p.Name(), s.mayDecide(h, p, now).Outcome == authz.Allow
		v := Sight{Hold: h, Own: own, May: may, MayDecide: may}
		switch {
		case own && !may:
			v.StepUp = s.stepUp(h, p)
		case !own && !may:
			unseen = unseen || ask && s.stepUp(h, p) == StepUpLogin
			continue
		}
		list = append(list, v)
	}
	return list, unseen, nil
}
