package approval

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/exeat/exeat/store"
)

// MaxSeveral bounds what is decided together.
const MaxSeveral = 20

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

func checkTogether(list []Shown) error {
	seen := map[string]bool{}
	for _, x := range list {
		seen[x.ID] = true
	}
	if len(list) == 0 || len(list) > MaxSeveral || len(seen) != len(list) {
		return ErrSeveral
	}
	return nil
}

// decideTogether records one verdict on several holds: one that comes late, was
// altered or is not this person's to decide stops no other. A passkey signs the
// whole list, once.
func (s *Service) decideTogether(ctx context.Context, tx *store.Tx, p Person, v Verdict) ([]Decided, error) {
	now := s.Now()
	first := v.Together[0]
	strong, err := s.signTogether(tx, p, &v, now)
	if err != nil {
		return nil, err
	}
	if v.Approve {
		h, err := find(tx, first.ID)
		if err == nil {
			err = s.confirm(p.Name(), v.Signed != nil, Question{"", h.Tool}, v.Typed, now)
		}
		if err != nil {
			return nil, err
		}
	}
	var out []Decided
	for _, x := range v.Together {
		d, err := s.decideIn(ctx, tx, p, v, x, now, func(h *store.Hold) (refused, err error) { return s.record(ctx, tx, h, strong, v, now) })
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// signTogether is the person once their passkey is checked, if they have one and
// approve. What it signed becomes the list that is decided.
func (s *Service) signTogether(tx *store.Tx, p Person, v *Verdict, now time.Time) (Person, error) {
	signer, err := s.signers(tx, p.Name())
	if err != nil {
		return p, err
	}
	if v.Approve && (len(signer.keys) > 0 || v.Signed != nil) {
		if v.Signed == nil {
			return p, ErrNeedPasskey
		}
		signed := *v.Signed
		signed.Choice = ChoiceOf(v.Together) // or the signature is of something else
		v.Signed = &signed
		first := v.Together[0]
		if err := s.checkSignature(tx, signer, store.Hold{ID: first.ID, Digest: first.Digest}, signed.Choice, v.Signed, now); err != nil {
			return p, err
		}
	}
	return strengthen(p, signer), nil
}
