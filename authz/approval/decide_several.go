package approval

import (
	"context"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/exeat/exeat/store"
)

const MaxSeveral = 20

// Shown is a hold as a person saw it.
type Shown struct {
	ID     string `json:"hold"`
	Digest string `json:"digest"`
}

// Decided is what became of one of several holds.
type Decided struct {
	Hold store.Hold
	Err  error // as of Decide
}

// ErrSeveral is a list of holds that cannot be decided together.
var ErrSeveral = errors.New("between 1 and 20 different calls can be decided together")

// ChoiceOf is what a passkey signs to approve several holds, each once.
func ChoiceOf(list []Shown) string {
	form, err := json.Marshal(list)
	if err != nil {
		return "" // strings can always be encoded
	}
	return choiceSeveral + string(form)
}

// DecideSeveral records one verdict on several holds, as Decide does for each:
// one that comes late, was altered or is not this person's to decide stops no
// other. A passkey signs the whole list, once. The error is that nothing was
// decided.
func (s *Service) DecideSeveral(ctx context.Context, who Person, list []Shown, v Verdict) ([]Decided, error) {
	if !utf8.ValidString(v.Reason) || utf8.RuneCountInString(v.Reason) > maxReason {
		return nil, ErrReason
	}
	seen := map[string]bool{}
	for _, x := range list {
		seen[x.ID] = true
	}
	if len(list) == 0 || len(list) > MaxSeveral || len(seen) != len(list) {
		return nil, ErrSeveral
	}
	if err := s.recall(ctx, who.Name()); err != nil {
		return nil, err
	}
	var out []Decided
	tired := v.Approve && s.tired(who.Name(), s.Now()) != ""
	err := s.update(ctx, func(tx *store.Tx) error {
		out = nil
		now := s.Now()
		strong, v := who, v
		signer, err := s.signers(tx, who.Name())
		if err != nil {
			return err
		}
		if len(signer.keys) > 0 {
			strong.AMR, strong.Strong = PasskeyAMR, true
		}
		if v.Approve && (len(signer.keys) > 0 || v.Signed != nil) {
			if v.Signed == nil {
				return ErrNeedPasskey
			}
			signed := *v.Signed
			signed.Choice = ChoiceOf(list) // or the signature is of something else
			v.Signed = &signed
			if err := s.signedNow(tx, signer, store.Hold{ID: list[0].ID, Digest: list[0].Digest}, signed.Choice, v.Signed, now); err != nil {
				return err
			}
		}
		if v.Approve {
			first, err := find(tx, list[0].ID)
			if err == nil {
				err = s.confirm(who.Name(), v.Signed != nil, first.Tool, v.Typed, now)
			}
			if err != nil {
				return err
			}
		}
		for _, x := range list {
			v.Digest = x.Digest
			h, refused, err := s.decideIn(tx, x.ID, v, now, func(store.Hold) (Person, error) { return strong, nil })
			if one := errors.Join(refused, err); err == nil || settles(err) {
				out = append(out, Decided{h, one})
				continue
			}
			return err
		}
		return nil
	})
	for i, d := range out {
		if err == nil && d.Err == nil {
			now := s.Now()
			s.noteDecision(who.Name(), decided{now, v.Approve, s.took(who.Name(), list[i].ID, now), tired || v.Signed != nil})
		}
	}
	return out, err
}

// settles reports whether an error is an answer about one hold, after which the
// others can still be decided.
func settles(err error) bool {
	for _, one := range []error{ErrNotFound, ErrDecided, ErrExpired, ErrForbidden, ErrTampered, ErrDigest} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}
