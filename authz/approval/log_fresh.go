package approval

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/exeat/exeat/store"
)

// A row that was put back, or taken out, verifies or is not there: nothing about it
// is forged. So what rows say is held against the log, whose entries are chained and
// never taken out: whoever wants to hide behind an older row has to break the chain
// as well.

// ErrStale is what the database says of a person's passkeys or of a rule, and the
// log does not: rows were deleted, altered or put back. Nothing goes until somebody
// who runs exeat has looked.
var ErrStale = errors.New("what is stored does not agree with the log: rows were deleted, altered or put back in the database; look with exeat audit verify, and restore a backup")

// Notes of the entries that tell of passkeys; which one is behind them. Entries from
// before do not name it.
const (
	noteKeyAdded   = "added a passkey"
	noteKeyRevoked = "revoked a passkey"
)

// noteOfKey is a note with the digest of a key's id, which may be longer than a note.
func noteOfKey(note, id string) string {
	return fmt.Sprintf("%s %x", note, sha256.Sum256([]byte(id)))
}

// checkPasskeys reports rows of a person's passkeys that are not what the log says:
// just those are good that were added and not revoked, and none does not verify. Of
// entries that name no key it is only known how many there are.
func (s *Service) checkPasskeys(tx *store.Tx, person string, rows []store.Passkey) error {
	entries, err := tx.EntriesAbout(person, "", "", time.Time{}, store.KindPasskey)
	if err != nil {
		return err
	}
	added, revoked, unnamed := map[string]bool{}, map[string]bool{}, 0
	for _, e := range entries {
		switch name, isNew := strings.CutPrefix(e.Note, noteKeyAdded); {
		case isNew && name != "":
			added[e.Note] = true
		case isNew:
			unnamed++
		case e.Note == noteKeyRevoked:
			unnamed--
		default:
			name := strings.TrimPrefix(e.Note, noteKeyRevoked)
			if revoked[name] = true; !added[noteKeyAdded+name] {
				unnamed--
			}
			delete(added, noteKeyAdded+name)
		}
	}
	for _, p := range rows {
		if !p.Revoked.IsZero() {
			continue
		}
		note := noteOfKey(noteKeyAdded, p.ID)
		switch {
		case !s.goodKey(p):
			return fmt.Errorf("%w (a passkey of %s does not verify)", ErrStale, person)
		case revoked[strings.TrimPrefix(note, noteKeyAdded)]:
			return fmt.Errorf("%w (a passkey of %s is there again that was revoked)", ErrStale, person)
		case added[note]:
			delete(added, note)
		default:
			unnamed--
		}
	}
	if len(added) > 0 || unnamed != 0 {
		return fmt.Errorf("%w (the passkeys of %s are not those that the log tells of)", ErrStale, person)
	}
	return nil
}

// checkGrant reports a grant that the log knows to be revoked, or used more often
// than it says itself.
func (s *Service) checkGrant(tx *store.Tx, r Rule) error {
	revoked, err := tx.EntriesAbout(r.Subject, r.Scope.API, r.Scope.Tool, r.Created, store.KindRevoke)
	if err != nil {
		return err
	}
	for _, e := range revoked {
		if e.Grant == r.ID {
			return fmt.Errorf("%w: the log says that it was revoked", ErrNoGrant)
		}
	}
	if r.Max == 0 {
		return nil
	}
	used := int64(0)
	entries, err := tx.EntriesAbout(r.Subject, r.Scope.API, r.Scope.Tool, r.Created, store.KindCall, store.KindRetry)
	for _, e := range entries {
		if e.Grant == r.ID {
			used++
		}
	}
	if err == nil && used > r.Used {
		err = fmt.Errorf("%w: the log knows more uses of it than it does", ErrNoGrant)
	}
	return err
}

// checkStops adds to the rules in force of an agent a stop that the log tells of and
// that is not stored any more.
func (s *Service) checkStops(tx *store.Tx, subject, agent string, rules []Rule) ([]Rule, error) {
	if subject == "" || agent == "" {
		return rules, nil
	}
	entries, err := tx.EntriesAbout(subject, "", "", time.Time{}, store.KindStop, store.KindStart)
	var last store.Entry
	for _, e := range entries {
		if e.Agent == store.NameInEntry(agent) {
			last = e
		}
	}
	if err != nil || last.Kind != store.KindStop {
		return rules, err
	}
	for _, r := range rules {
		if r.Kind == KindStop || r.Damaged {
			return rules, nil
		}
	}
	return append(rules, Rule{ID: last.Grant, Kind: KindStop, Subject: subject, Agent: agent, Created: last.Time, Damaged: true}), nil
}
