package approval

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/exeat/exeat/store"
)

// markPasskey makes the MAC of a passkey: who can write to the database cannot put in a
// key, or give one to somebody else.
func (s *Service) markPasskey(p store.Passkey) []byte {
	p.Version, p.Mark = 0, nil
	p.Created, p.Used, p.Revoked = p.Created.UTC(), p.Used.UTC(), p.Revoked.UTC()
	form, err := json.Marshal(p)
	if err != nil {
		return nil
	}
	return s.mac(passkeyDomain, form)
}

// PasskeysOf lists the good passkeys of a person, or of everybody if person is
// "". One whose seal is broken is left out.
func (s *Service) PasskeysOf(ctx context.Context, person string) ([]store.Passkey, error) {
	var list []store.Passkey
	err := s.c.Store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Passkeys(person)
		list = slices.DeleteFunc(all, func(p store.Passkey) bool { return !s.goodKey(p) })
		return err
	})
	return list, err
}

func (s *Service) goodKey(p store.Passkey) bool {
	return len(s.c.Key) >= 32 && p.Revoked.IsZero() && hmac.Equal(p.Mark, s.markPasskey(p))
}

// HasPasskey reports whether a person has a good passkey.
func (s *Service) HasPasskey(ctx context.Context, person string) (bool, error) {
	h, err := s.holder(ctx, person)
	return len(h.keys) > 0, err
}

func (s *Service) holder(ctx context.Context, person string) (h holder, err error) {
	err = s.view(ctx, func(tx *store.Tx) error {
		h, err = s.signers(tx, person)
		return err
	})
	return h, err
}

// RevokeOwnPasskey ends a person's own passkey. Who signed in without one cannot:
// a session that was stolen could otherwise get rid of the keys that stand in its
// way.
func (s *Service) RevokeOwnPasskey(ctx context.Context, who Identity, id string) error {
	p, err := s.admit(ctx, who)
	if err != nil {
		return err
	}
	if !p.Strong {
		return ErrMorePasskey
	}
	return s.RevokePasskey(ctx, p.Name(), id, p.Name())
}

// RevokePasskey ends a passkey, for whoever runs this exeat. by is who does it. One
// whose row is spoiled or gone is ended too; id may then be the digest of its id, by
// which the log names it.
func (s *Service) RevokePasskey(ctx context.Context, person, id, by string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		said, err := s.follow(tx)
		if err != nil {
			return err
		}
		rows, err := tx.Passkeys("")
		if err != nil {
			return err
		}
		at := slices.IndexFunc(rows, func(p store.Passkey) bool { return p.ID == id || digestOf(p.ID) == id })
		stray := slices.ContainsFunc(s.strays(said.Keys, rows), func(x StrayPasskey) bool {
			return x.Person == store.PersonInEntry(person) && (x.Digest == id || x.ID == id || digestOf(id) == x.Digest)
		})
		if !stray && (at < 0 || rows[at].Person != person || !s.goodKey(rows[at])) {
			return ErrNotFound
		}
		digest := id
		if at >= 0 {
			p := rows[at]
			p.Revoked, digest = s.Now(), digestOf(p.ID)
			p.Mark = s.markPasskey(p)
			if err := tx.SwapPasskey(p); err != nil {
				return err
			}
		} else if len(id) != 2*sha256.Size {
			digest = digestOf(id)
		}
		return s.tellKey(tx, person, by, noteKeyRevoked, digest)
	})
}

// HolderOf is whose a passkey is, by its id or the digest of that; ErrNotFound if the
// rows and the log know none.
func (s *Service) HolderOf(ctx context.Context, id string) (string, error) {
	stray, err := s.StrayPasskeys(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range stray {
		if p.ID == id || p.Digest == id || p.Digest == digestOf(id) {
			return p.Person, nil
		}
	}
	list, err := s.PasskeysOf(ctx, "")
	for _, p := range list {
		if p.ID == id {
			return p.Person, err
		}
	}
	return "", errors.Join(err, ErrNotFound)
}

// tellKey appends the entry that a person has one passkey more or less.
func (s *Service) tellKey(tx *store.Tx, person, by, note, digest string) error {
	return s.tell(tx, store.Entry{Kind: store.KindPasskey, Time: s.Now(), Principal: person, By: by, Note: note + " " + digest})
}

// signers are a person's keys as tx has them.
func (s *Service) signers(tx *store.Tx, person string) (holder, error) {
	h := holder{name: person}
	list, err := tx.Passkeys(person)
	if err != nil {
		return h, err
	}
	said, err := s.follow(tx)
	if err == nil {
		err = s.checkPasskeys(said, person, list)
	}
	if err != nil {
		return h, err
	}
	for _, p := range list {
		var c webauthn.Credential
		if s.goodKey(p) && json.Unmarshal(p.Credential, &c) == nil {
			h.keys = append(h.keys, c)
		}
	}
	return h, err
}

// count keeps a key's record after a use. A counter that went backwards means a
// copy.
func (s *Service) count(tx *store.Tx, credential *webauthn.Credential, now time.Time) error {
	if credential.Authenticator.CloneWarning {
		return fmt.Errorf("%w: its counter went backwards, as a copy's would", ErrPasskey)
	}
	record, err := json.Marshal(credential)
	if err != nil {
		return err
	}
	p, err := tx.Passkey(keyID(credential.ID))
	if err != nil || !s.goodKey(p) {
		return errors.Join(ErrPasskey, err)
	}
	p.Credential, p.Used = record, now
	p.Mark = s.markPasskey(p)
	return tx.SwapPasskey(p)
}

// StrayPasskey is a passkey whose row and the log do not agree.
type StrayPasskey struct {
	Person  string
	ID      string // of the row, or "" if there is none
	Digest  string // by which the log names it
	Problem string
}

// StrayPasskeys lists the passkeys of everybody that are not as the log says.
func (s *Service) StrayPasskeys(ctx context.Context) ([]StrayPasskey, error) {
	var list []StrayPasskey
	err := s.view(ctx, func(tx *store.Tx) error {
		list = nil
		said, err := s.follow(tx)
		if err != nil {
			return err
		}
		rows, err := tx.Passkeys("")
		if err == nil {
			list = s.strays(said.Keys, rows)
		}
		return err
	})
	return list, err
}

// strays are the rows and the keys of the log that have no like: just those are good
// that were added and not revoked, and none does not verify. Of entries that name no
// key it is only known how many there are.
func (s *Service) strays(said map[string]SaidKeys, rows []store.Passkey) (list []StrayPasskey) {
	good, unnamed := map[string]bool{}, map[string]int{}
	for _, p := range rows {
		person, digest := store.PersonInEntry(p.Person), digestOf(p.ID)
		keys := said[person]
		stray := StrayPasskey{Person: person, ID: p.ID, Digest: digest}
		switch {
		case !p.Revoked.IsZero():
			continue
		case !s.goodKey(p):
			stray.Problem = "it was changed in the database"
		case keys.Good[digest]:
			good[digest] = true
			continue
		case keys.Revoked[digest] || unnamed[person] == keys.Unnamed:
			stray.Problem = "it was revoked, or never added"
		default:
			unnamed[person]++
			continue
		}
		list = append(list, stray)
	}
	for person, keys := range said {
		for digest := range keys.Good {
			if !good[digest] {
				list = append(list, StrayPasskey{Person: person, Digest: digest, Problem: "it is missing in the database, or changed there"})
			}
		}
		for range keys.Unnamed - unnamed[person] {
			list = append(list, StrayPasskey{Person: person, Digest: digestOf("one of " + person), Problem: "one from before exeat named them is missing in the database"})
		}
	}
	slices.SortFunc(list, func(a, b StrayPasskey) int {
		return cmp.Or(cmp.Compare(a.Person, b.Person), cmp.Compare(a.Digest, b.Digest), -cmp.Compare(a.ID, b.ID))
	})
	return list
}
