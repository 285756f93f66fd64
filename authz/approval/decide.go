package approval

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Decide records a person's verdict, if the policies let that person decide. It
// is the only way to a decision, whatever way somebody says it: pages, terminals,
// several holds at once, a rule for calls to come.
//
// The error is that nothing was decided. What became of each hold is in the list:
// ErrDigest if something else was shown, ErrDecided or ErrExpired if it comes
// late, ErrUnseen if hidden values were not looked at, ErrLacks if an account has to be connected first, ErrForbidden if the policies say no and ErrTampered if the hold is not
// what was made; the last two are recorded. Who may not see a hold learns nothing
// of it: what comes back is ErrNotFound or ErrBetterLogin as well.
func (s *Service) Decide(ctx context.Context, who Identity, v Verdict) ([]Decided, error) {
	p, err := s.admit(ctx, who)
	if err != nil {
		return nil, err
	}
	if !utf8.ValidString(v.Reason) || utf8.RuneCountInString(v.Reason) > maxReason {
		return nil, ErrReason
	}
	decide := s.decideOne
	switch {
	case v.Rule != nil:
		decide = s.give
	case v.Together != nil:
		if err := checkTogether(v.Together); err != nil {
			return nil, err
		}
		decide = s.decideTogether
	}
	if err := s.recall(ctx, p.Name()); err != nil {
		return nil, err
	}
	var out []Decided
	typed := false
	err = s.update(ctx, func(tx *store.Tx) (err error) {
		typed = v.Signed != nil || v.Approve && s.tired(p.Name(), s.Now()).Key != ""
		out, err = decide(ctx, tx, p, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	now := s.Now()
	for _, d := range out {
		if d.Err == nil {
			s.noteDecision(p.Name(), decided{now, v.Approve, s.took(p.Name(), d.Hold.ID, now), typed})
		}
	}
	return out, nil
}

// decideOne records a verdict on one hold in tx.
func (s *Service) decideOne(ctx context.Context, tx *store.Tx, p Person, v Verdict) ([]Decided, error) {
	now := s.Now()
	d, err := s.decideIn(ctx, tx, p, v, Shown{v.Hold, v.Digest}, now, func(h *store.Hold) (refused, err error) {
		strong, err := s.sign(tx, *h, p, v, now)
		if err == nil && v.Approve {
			err = s.confirm(p.Name(), v.Signed != nil, QuestionOf(*h), v.Typed, now)
		}
		if err != nil {
			return nil, err
		}
		return s.record(ctx, tx, h, strong, v, now)
	})
	return []Decided{d}, err
}

// decideIn decides one hold in tx, if it is what was made and all that was shown.
// decide does it; refused is why it changed nothing, if that is to be kept. What
// is the matter with this hold alone is in what comes back; the error undoes all.
func (s *Service) decideIn(ctx context.Context, tx *store.Tx, p Person, v Verdict, shown Shown, now time.Time, decide func(*store.Hold) (refused, err error)) (Decided, error) {
	h, err := find(tx, shown.ID)
	if errors.Is(err, ErrNotFound) {
		return Decided{Err: err}, nil
	}
	if err != nil {
		return Decided{}, err
	}
	good := s.sealed(h)
	if good && open(h) && v.Approve {
		if err := s.checkEnded(ctx, h); errors.Is(err, ErrTampered) {
			good = false
		} else if err != nil {
			return Decided{}, err
		}
	}
	if !good {
		_, err = s.condemn(tx, h, now)
		return Decided{Hold: store.Hold{ID: h.ID}, Err: ErrTampered}, err // nothing else of it is to be believed
	}
	before := h
	var refused error
	if subtle.ConstantTimeCompare([]byte(shown.Digest), []byte(h.Digest)) != 1 {
		err = ErrDigest
	} else if err = s.checkReady(ctx, h, p, v, now); err == nil {
		if h.State == store.Pending {
			h, err = s.dropFallen(tx, h)
		}
		if v.Rule != nil && v.Approve && len(h.Earlier) > 0 {
			err = ErrNoChoice // where several have to approve, no grant of one is enough
		}
		if err == nil {
			refused, err = decide(&h)
		}
	}
	if err == nil && refused == nil {
		return Decided{Hold: h}, nil
	}
	why := errors.Join(refused, err)
	hidden, lookErr := s.hides(tx, before, p, now)
	if lookErr != nil {
		return Decided{}, lookErr
	}
	if hidden != nil {
		h, why = store.Hold{}, fmt.Errorf("%w: %w", hidden, why)
	}
	if err != nil && !settles(err) {
		return Decided{}, why
	}
	return Decided{Hold: h, Err: why}, nil
}

// record stores a verdict of a person, whose passkey was checked, and the entry
// that tells it.
func (s *Service) record(ctx context.Context, tx *store.Tx, h *store.Hold, who Person, v Verdict, now time.Time) (refused, err error) {
	e, entry, err := s.verdict(*h, who, v, now)
	if err != nil {
		return nil, err
	}
	// A verdict that comes late is late whoever gives it.
	if _, err := Apply(*h, e, now); err != nil {
		return nil, err
	}
	d := s.mayDecide(*h, who, now)
	entry.Policies = d.Policies // that let the person decide, or did not
	entry.Took = s.took(who.Name(), h.ID, now).Milliseconds()
	if v.Approve {
		entry.Note = noteOf(v, s.tired(who.Name(), now).Key != "")
	}
	if d.Outcome != authz.Allow {
		entry.Code, entry.Decision = "forbidden", string(authz.Deny)
		return fmt.Errorf("%w: %s", ErrForbidden, d.Reason), tx.Append(entry)
	}
	yes, ok := e.(Approve)
	if !ok {
		*h, err = s.change(tx, *h, e, now, entry)
		return nil, err
	}
	return nil, s.join(ctx, tx, h, yes.Approval, now, entry)
}

// join adds an approval to those that a hold has: it goes, or waits for another
// person and says so.
func (s *Service) join(ctx context.Context, tx *store.Tx, h *store.Hold, a store.Approval, now time.Time, entry store.Entry) error {
	said, err := contextsOf([]store.Approval{a})
	if err != nil {
		return err
	}
	weight, d, err := s.weigh(ctx, *h, said[0], now)
	switch {
	case err != nil:
		return err
	case weight == Twice:
		return ErrTwice
	case weight == NoHelp:
		return fmt.Errorf("%w: %s", ErrNoHelp, d.Reason)
	case weight == Waits:
		// It counts for as long as others can still approve, and until the call is sent then.
		a.Expires = h.Expires.Add(s.c.ApprovedFor)
		a.Proof = s.prove(*h, a)
		entry.Decision = string(authz.Hold)
	}
	if *h, err = s.change(tx, *h, Approve{Approval: a, Waits: weight == Waits}, now, entry); err == nil && weight == Waits {
		err = s.enqueue(tx, *h, now)
	}
	return err
}

// settles reports whether an error is an answer about one hold, after which
// others can still be decided.
func settles(err error) bool {
	for _, one := range []error{ErrDecided, ErrExpired, ErrDigest, ErrUnseen, ErrLacks, ErrTwice, ErrNoHelp} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// verdict is the event of a verdict and the entry that tells it.
func (s *Service) verdict(h store.Hold, who Person, v Verdict, now time.Time) (Event, store.Entry, error) {
	entry := entryOf(h, store.KindDeny)
	entry.Time, entry.By, entry.PolicySet, entry.Login = now, who.Name(), s.c.Engine.Digest(), who.Login()
	if !v.Approve {
		return Deny{By: who.Name(), Reason: v.Reason}, entry, nil
	}
	entry.Kind = store.KindApprove
	by, err := json.Marshal(who.Principal)
	if err != nil {
		return nil, entry, err
	}
	a := store.Approval{By: by, ByName: who.Name(), Once: true, At: now, Expires: now.Add(s.c.ApprovedFor), AMR: who.AMR}
	if v.Signed != nil {
		if a.Signed, err = json.Marshal(v.Signed); err != nil {
			return nil, entry, err
		}
		entry.Signed = a.Signed
	}
	a.Proof = s.prove(h, a)
	return Approve{Approval: a}, entry, nil
}

// ApprovalLife is how long an approval waits for its send.
func (s *Service) ApprovalLife() time.Duration { return s.c.ApprovedFor }

// mayDecide asks the policies whether a person may decide a hold. A denial
// needs the same permission as an approval.
func (s *Service) mayDecide(h store.Hold, who Person, now time.Time) authz.Decision {
	return s.mayChoose(h, who, true, now)
}

// mayChoose is mayDecide for an approval of this call only, or one by a grant.
func (s *Service) mayChoose(h store.Hold, who Person, once bool, now time.Time) authz.Decision {
	f, err := s.facts(h, who, once, now)
	if err == nil && s.c.Engine == nil {
		err = errors.New("there are no policies")
	}
	if err != nil {
		return authz.Decision{Outcome: authz.Deny, Reason: err.Error()}
	}
	return s.c.Engine.MayApprove(f)
}

// facts are what the policies are told of a person's wish to decide a hold.
func (s *Service) facts(h store.Hold, who Person, once bool, now time.Time) (authz.HoldFacts, error) {
	f := authz.HoldFacts{ID: h.ID, API: h.API, Action: h.Tool, Effect: h.Effect, Path: cmp.Or(h.Request.Path, h.Path), Now: now,
		Approval: authz.ApprovalContext{By: who.Principal, Once: once, At: now, Expires: now.Add(s.c.ApprovedFor), AMR: who.AMR, PhishingResistant: who.Strong}}
	parties, err := PartiesOf(h)
	f.Requester, f.Agent = parties.Principal, parties.Agent
	if err == nil {
		f.Earlier, err = contextsOf(h.Earlier)
	}
	return f, err
}
