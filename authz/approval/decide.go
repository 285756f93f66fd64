package approval

import (
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

// Decide records a person's verdict, if the policies let that person decide:
// ErrDigest if something else was shown, ErrDecided or ErrExpired if it comes
// late, ErrForbidden if the policies say no and ErrTampered if the hold is not
// what was made; both are recorded.
func (s *Service) Decide(ctx context.Context, who Person, id string, v Verdict) (store.Hold, error) {
	if !utf8.ValidString(v.Reason) || utf8.RuneCountInString(v.Reason) > maxReason {
		return store.Hold{}, ErrReason
	}
	if err := s.recall(ctx, who.Name()); err != nil {
		return store.Hold{}, err
	}
	var h store.Hold
	var refused error // and that is kept
	var now time.Time
	typed := false
	err := s.update(ctx, func(tx *store.Tx) (err error) {
		now = s.Now()
		typed = v.Approve && s.tired(who.Name(), now) != ""
		h, refused, err = s.decideIn(tx, id, v, now, func(h store.Hold) (Person, error) {
			strong, err := s.sign(tx, h, who, v, now)
			if err == nil && v.Approve {
				err = s.confirm(who.Name(), v.Signed != nil, ToType(h), v.Typed, now)
			}
			return strong, err
		})
		return err
	})
	if err == nil {
		err = refused
	}
	if err == nil {
		s.noteDecision(who.Name(), decided{now, v.Approve, s.took(who.Name(), id, now), typed || v.Signed != nil})
	}
	return h, err
}

// decideIn records a verdict on one hold in tx. signed tells who gives it once
// their passkey is checked. refused is why it changed nothing, if that is to be
// kept.
func (s *Service) decideIn(tx *store.Tx, id string, v Verdict, now time.Time, signed func(store.Hold) (Person, error)) (h store.Hold, refused, err error) {
	if h, err = find(tx, id); err != nil {
		return h, nil, err
	}
	if !s.Sealed(h) {
		h, err = s.condemn(tx, h, now)
		return h, ErrTampered, err
	}
	if subtle.ConstantTimeCompare([]byte(v.Digest), []byte(h.Digest)) != 1 {
		return h, nil, ErrDigest
	}
	who, err := signed(h)
	if err != nil {
		return h, nil, err
	}
	e, entry, err := s.verdict(h, who, v, now)
	if err != nil {
		return h, nil, err
	}
	// A verdict that comes late is late whoever gives it.
	if _, err := Apply(h, e, now); err != nil {
		return h, nil, err
	}
	d := s.MayDecide(h, who, now)
	entry.Policies = d.Policies // that let the person decide, or did not
	entry.Took = s.took(who.Name(), h.ID, now).Milliseconds()
	if v.Approve && v.Signed == nil && s.tired(who.Name(), now) != "" {
		entry.Note = typedNote
	}
	if d.Outcome != authz.Allow {
		entry.Code, entry.Decision = "forbidden", string(authz.Deny)
		return h, fmt.Errorf("%w: %s", ErrForbidden, d.Reason), tx.Append(entry)
	}
	h, err = s.change(tx, h, e, now, entry)
	return h, nil, err
}

// verdict is the event of a verdict and the entry that tells it.
func (s *Service) verdict(h store.Hold, who Person, v Verdict, now time.Time) (Event, store.Entry, error) {
	entry := EntryOf(h, "deny")
	entry.Time, entry.By, entry.PolicySet, entry.Login = now, who.Name(), s.c.Engine.Digest(), who.Login()
	if !v.Approve {
		return Deny{By: who.Name(), Reason: v.Reason}, entry, nil
	}
	entry.Kind = "approve"
	by, err := json.Marshal(who.Principal)
	if err != nil {
		return nil, entry, err
	}
	a := store.Approval{By: by, ByName: who.Name(), Once: true, At: now, Expires: now.Add(s.ApprovalLife()), AMR: who.AMR}
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
func (s *Service) ApprovalLife() time.Duration {
	return s.c.ApprovedFor
}

// MayDecide asks the policies whether a person may decide a hold. A denial
// needs the same permission as an approval.
func (s *Service) MayDecide(h store.Hold, who Person, now time.Time) authz.Decision {
	return s.mayChoose(h, who, true, now)
}

// mayChoose is mayDecide for an approval of this call only, or one by a grant.
func (s *Service) mayChoose(h store.Hold, who Person, once bool, now time.Time) authz.Decision {
	f, err := s.Facts(h, who, once, now)
	if err != nil {
		return authz.Decision{Outcome: authz.Deny, Reason: err.Error()}
	}
	return s.c.Engine.MayApprove(f)
}

// Facts are what the policies are told of a person's wish to decide a hold.
func (s *Service) Facts(h store.Hold, who Person, once bool, now time.Time) (authz.HoldFacts, error) {
	f := authz.HoldFacts{ID: h.ID, API: h.API, Action: h.Tool, Effect: h.Effect, Now: now,
		Approval: authz.Approval{By: who.Principal, Once: once, At: now, Expires: now.Add(s.ApprovalLife()), AMR: who.AMR, PhishingResistant: who.Strong}}
	if json.Unmarshal(h.Principal, &f.Requester) != nil || json.Unmarshal(h.Agent, &f.Agent) != nil {
		return f, errors.New("the hold does not say who asks")
	}
	return f, nil
}

// StepUp says what a person who may not decide a hold could do about it.
func (s *Service) StepUp(h store.Hold, who Person) authz.StepUp {
	f, err := s.Facts(h, who, true, s.Now())
	if err != nil {
		return authz.StepUp{}
	}
	return s.c.Engine.StepUp(f)
}
