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
	var h store.Hold
	var refused error // and that is kept
	err := s.update(ctx, func(tx *store.Tx) (err error) {
		refused = nil
		if h, err = find(tx, id); err != nil {
			return err
		}
		now := s.now()
		if !s.sealed(h) {
			refused = ErrTampered
			h, err = s.condemn(tx, h, now)
			return err
		}
		if subtle.ConstantTimeCompare([]byte(v.Digest), []byte(h.Digest)) != 1 {
			return ErrDigest
		}
		who, err := s.sign(tx, h, who, v, now)
		if err != nil {
			return err
		}
		e, entry, err := s.verdict(h, who, v, now)
		if err != nil {
			return err
		}
		// A verdict that comes late is late whoever gives it.
		if _, err := Apply(h, e, now); err != nil {
			return err
		}
		d := s.mayDecide(h, who, now)
		entry.Policies = d.Policies // that let the person decide, or did not
		if d.Outcome != authz.Allow {
			refused = fmt.Errorf("%w: %s", ErrForbidden, d.Reason)
			entry.Code, entry.Decision = "forbidden", string(authz.Deny)
			return tx.Append(entry)
		}
		h, err = s.change(tx, h, e, now, entry)
		return err
	})
	if err == nil {
		err = refused
	}
	return h, err
}

// verdict is the event of a verdict and the entry that tells it.
func (s *Service) verdict(h store.Hold, who Person, v Verdict, now time.Time) (Event, store.Entry, error) {
	entry := entryOf(h, "deny")
	entry.Time, entry.By, entry.PolicySet, entry.Login = now, who.name(), s.Engine.Digest(), who.login()
	if !v.Approve {
		return Deny{By: who.name(), Reason: v.Reason}, entry, nil
	}
	entry.Kind = "approve"
	by, err := json.Marshal(who.Principal)
	if err != nil {
		return nil, entry, err
	}
	a := store.Approval{By: by, ByName: who.name(), Once: true, At: now, Expires: now.Add(s.approvedFor()), AMR: who.AMR}
	if v.Signed != nil {
		if a.Signed, err = json.Marshal(v.Signed); err != nil {
			return nil, entry, err
		}
		entry.Signed = a.Signed
	}
	a.Proof = s.prove(h, a)
	return Approve{Approval: a}, entry, nil
}

func (s *Service) approvedFor() time.Duration {
	if s.ApprovedFor == 0 {
		return 5 * time.Minute
	}
	return s.ApprovedFor
}

// mayDecide asks the policies whether a person may decide a hold. A denial
// needs the same permission as an approval.
func (s *Service) mayDecide(h store.Hold, who Person, now time.Time) authz.Decision {
	return s.mayChoose(h, who, true, now)
}

// mayChoose is mayDecide for an approval of this call only, or one by a grant.
func (s *Service) mayChoose(h store.Hold, who Person, once bool, now time.Time) authz.Decision {
	f, err := s.facts(h, who, once, now)
	if err != nil {
		return authz.Decision{Outcome: authz.Deny, Reason: err.Error()}
	}
	return s.Engine.MayApprove(f)
}

// facts are what the policies are told of a person's wish to decide a hold.
func (s *Service) facts(h store.Hold, who Person, once bool, now time.Time) (authz.HoldFacts, error) {
	f := authz.HoldFacts{ID: h.ID, API: h.API, Action: h.Tool, Effect: h.Effect, Now: now,
		Approval: authz.Approval{By: who.Principal, Once: once, At: now, Expires: now.Add(s.approvedFor()), AMR: who.AMR, PhishingResistant: who.Strong}}
	if json.Unmarshal(h.Principal, &f.Requester) != nil || json.Unmarshal(h.Agent, &f.Agent) != nil {
		return f, errors.New("the hold does not say who asks")
	}
	return f, nil
}
