package approval

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/exeat/exeat/store"
)

// A row that was put back, or taken out, verifies or is not there: nothing about it
// is forged. So what rows say is held against what the log said, which is read entry
// by entry as it grows and never from the columns that find them.

// ErrStale is what the database says of a person's passkeys or of a rule, and the
// log does not, or a log that is not what it was. Nothing goes until somebody who runs
// exeat has looked.
var ErrStale = errors.New("what is stored does not agree with the log: rows or entries were deleted, altered or put back in the database; look with exeat audit verify, and see docs/backup.md for the ways out")

// checkPasskeys reports rows of a person's passkeys that are not what the log says.
func (s *Service) checkPasskeys(said *Said, person string, rows []store.Passkey) error {
	name := store.PersonInEntry(person)
	if strays := s.strays(map[string]SaidKeys{name: said.Keys[name]}, rows); len(strays) > 0 {
		return fmt.Errorf("%w (a passkey of %s: %s)", ErrStale, person, strays[0].Problem)
	}
	return nil
}

// agrees reports whether a stored rule is the one that the log tells of, used as
// often as it tells. Every use is a version.
func (d *Said) agrees(r Rule) bool {
	known, ok := d.Rules[r.ID]
	return ok && known.Kind == r.Kind && r.stored.Version == 1+known.Uses
}

// checkRules are the rules of an agent as they are to be followed: one that is not as
// the log says is Damaged, and one that the log tells of and the rows do not is there
// and Damaged, since a row that was taken out denies no less than one that was altered.
// A grant that is gone is no harm.
func (s *Service) checkRules(tx *store.Tx, said *Said, subject, agent string, rules []Rule, now time.Time) ([]Rule, error) {
	var out []Rule
	here := map[string]bool{}
	subject, agent = store.PersonInEntry(subject), store.NameInEntry(agent)
	theirs := func(of, name string) bool { return (subject == "" || of == subject) && (agent == "" || name == agent) }
	for _, r := range rules {
		here[r.ID] = true
		if known, told := said.Rules[r.ID]; told && !theirs(known.Subject, known.Agent) {
			continue // somebody has given it to them
		}
		if r.Damaged || !said.agrees(r) {
			r = r.damage(said)
		}
		out = append(out, r)
	}
	for id, known := range said.Rules {
		if known.Kind == KindGrant || here[id] || !theirs(known.Subject, known.Agent) || !known.lasts(now) {
			continue
		}
		row, err := tx.Rule(id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		row.ID = id
		if r := s.readRule(row); r.Damaged || !said.agrees(r) {
			out = append(out, r.damage(said))
		}
	}
	return out, nil
}

// damage is a rule whose row is not to be believed: as the log tells of it, if it does.
func (r Rule) damage(said *Said) Rule {
	known, told := said.Rules[r.ID]
	if r.Damaged, r.nobodys = true, !told; r.nobodys {
		return r
	}
	r.Kind, r.Subject, r.Agent, r.Created, r.Ends = known.Kind, known.Subject, known.Agent, known.Created, known.Ends
	r.By.Type, r.By.ID, _ = strings.Cut(known.By, "::")
	return r
}
