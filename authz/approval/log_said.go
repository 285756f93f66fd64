package approval

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/exeat/exeat/store"
)

// Said is what the log says of passkeys and rules up to its head: who has which, and
// how often each rule was used. Whoever can write the database can change every row
// and every entry of it, but neither what was read of the log before nor what is
// sealed: so rows are held against this. It does not change once it is made.
type Said struct {
	Head store.Head `json:"head"`
	// Sealed says that all entries after the head that tell of passkeys and rules are
	// sealed. Those of an exeat that did not seal yet come before.
	Sealed bool `json:"sealed"`
	// Keys are people's passkeys. Its size is bounded by how many a person may have.
	Keys map[string]SaidKeys `json:"keys,omitempty"`
	// Rules are those that were not taken back and did not end long ago, by id.
	Rules map[string]SaidRule `json:"rules,omitempty"`
	// Users are those whose things were ended, or who were stopped.
	Users map[string]UserState `json:"users,omitempty"`
	// Forged are entries that were passed over: see Service.Reread.
	Forged []int64 `json:"forged,omitempty"`

	changes bool // the maps are not shared with another
}

// SaidKeys are a person's passkeys, by the digests of their ids.
type SaidKeys struct {
	Good map[string]bool `json:"good,omitempty"` // added and not revoked
	// Unnamed is how many more are good that old entries do not name, and Revoked
	// those that were among them.
	Unnamed int             `json:"unnamed,omitempty"`
	Revoked map[string]bool `json:"revoked,omitempty"`
}

// SaidRule is a rule as the log tells of it.
type SaidRule struct {
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
	Agent   string    `json:"agent"` // as it is named in entries
	By      string    `json:"by"`
	Created time.Time `json:"created"`
	Ends    time.Time `json:"ends,omitzero"`
	Uses    int64     `json:"uses,omitempty"`
}

// lasts reports whether a rule is in force at a time, but for its uses.
func (r SaidRule) lasts(now time.Time) bool { return r.Ends.IsZero() || now.Before(r.Ends) }

const entryDomain = "exeat entry 1\n"

// tell appends an entry that gives or takes a right, with its seal.
func (s *Service) tell(tx *store.Tx, e store.Entry) error {
	return tx.AppendSealed(e, func(hash string) []byte { return s.mac(entryDomain, []byte(hash)) })
}

// follow is what the log says as tx sees it. Only what is new since the last time is
// read, and checked against what was read before. ErrStale says that the log is not
// what it was.
func (s *Service) follow(tx *store.Tx) (*Said, error) {
	if why := s.lost.Load(); why != nil {
		return nil, *why
	}
	// What this process wrote itself may not have been followed yet.
	if err := asStale(tx.Whole()); err != nil {
		return nil, err
	}
	known := s.said.Load()
	next, err := s.readLog(tx, *known, false)
	if err != nil {
		return nil, err
	}
	if next.Head != known.Head && !tx.Wrote() {
		s.said.CompareAndSwap(known, &next) // if it fails, somebody else was faster
	}
	return &next, nil
}

// readLog goes on from what is known to the log's end. passOver says that entries which
// no exeat has sealed are passed over, and are no error.
func (s *Service) readLog(tx *store.Tx, known Said, passOver bool) (Said, error) {
	next := known
	next.changes = false
	head, err := tx.Follow(known.Head, ofRights, func(e store.Entry, seal []byte) error {
		switch sealed := hmac.Equal(seal, s.mac(entryDomain, []byte(e.Hash))); {
		case sealed:
			next.Sealed = true
		case isUse(e.Kind): // it takes away only
		case next.Sealed && passOver:
			next.Forged = append(next.Forged, e.Seq)
			return nil
		case next.Sealed:
			return &store.ChainError{Seq: e.Seq, Problem: fmt.Sprintf("it tells of a %s, and no exeat with these keys has written it", e.Kind)}
		}
		next.add(e)
		return nil
	})
	next.Head = head
	return next, asStale(err)
}

// asStale says of an error of the log that it is not what it was.
func asStale(err error) error {
	if chain := (*store.ChainError)(nil); errors.As(err, &chain) {
		err = fmt.Errorf("%w (the log: %w)", ErrStale, err)
	}
	return err
}

// view is a View in which follow is right although others go on writing.
func (s *Service) view(ctx context.Context, fn func(*store.Tx) error) error {
	const tries = 4
	var err error
	for range tries {
		// What another has just followed may be newer than what this one sees.
		if err = s.c.Store.View(ctx, fn); !errors.Is(err, ErrStale) {
			break
		}
	}
	return err
}

// isUse reports whether entries of a kind may tell of the use of a grant.
func isUse(k store.Kind) bool {
	return k == store.KindCall || k == store.KindRetry || k == store.KindSend
}

// ofRights reports whether an entry of a kind changes what the log says of passkeys and
// rules. One of a rule's kind that names no rule tells of somebody who may not.
func ofRights(k store.Kind, named bool) bool {
	switch k {
	case store.KindPasskey, store.KindStop, store.KindStart, store.KindEnd, store.KindAccept:
		return true
	case store.KindGrant, store.KindBlock, store.KindRevoke:
		return named
	}
	return isUse(k) && named
}

// add takes in an entry that tells something.
func (d *Said) add(e store.Entry) {
	r, known := d.Rules[e.Grant]
	if isUse(e.Kind) && !known {
		return
	}
	if !d.changes {
		d.Keys, d.Rules, d.Users, d.changes = cloneMap(d.Keys), cloneMap(d.Rules), cloneMap(d.Users), true
	}
	switch e.Kind {
	case store.KindEnd:
		d.Users[e.Principal] = d.Users[e.Principal].after(e)
	case store.KindPasskey:
		d.Keys[e.Principal] = d.Keys[e.Principal].after(e.Note)
	case store.KindStop, store.KindStart:
		if e.Grant == "" && e.Agent == "" {
			d.Users[e.Principal] = d.Users[e.Principal].after(e)
			return
		}
		d.addRule(e)
	case store.KindGrant, store.KindBlock, store.KindRevoke:
		d.addRule(e)
	case store.KindCall, store.KindRetry, store.KindSend:
		r.Uses++
		d.Rules[e.Grant] = r
	}
}

// addRule takes in that a rule was made or taken back.
func (d *Said) addRule(e store.Entry) {
	switch e.Kind {
	case store.KindGrant, store.KindBlock, store.KindStop:
		maps.DeleteFunc(d.Rules, func(_ string, r SaidRule) bool { return !r.lasts(e.Time.Add(-KeptFor)) })
		d.Rules[e.Grant] = ruleOf(e)
	case store.KindStart, store.KindRevoke:
		delete(d.Rules, e.Grant)
	}
}

// cloneMap is a map of its own with what is in m.
func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// Notes of the entries that tell of passkeys; which one is behind them. Entries from
// before do not name it. noteGiven is of the entries of rules; for how long is behind
// it.
const (
	noteKeyAdded   = "added a passkey"
	noteKeyRevoked = "revoked a passkey"
	noteGiven      = "a person gave it for "
)

// digestOf names a passkey in notes: its id may be longer than a note.
func digestOf(id string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(id))) }

// after are the keys after an entry with a note.
func (k SaidKeys) after(note string) SaidKeys {
	k.Good, k.Revoked = cloneMap(k.Good), cloneMap(k.Revoked)
	if name, ok := strings.CutPrefix(note, noteKeyAdded); ok {
		if name = strings.TrimSpace(name); name != "" {
			k.Good[name] = true
		} else {
			k.Unnamed++
		}
		return k
	}
	name := strings.TrimSpace(strings.TrimPrefix(note, noteKeyRevoked))
	switch {
	case k.Good[name]:
		delete(k.Good, name)
	case k.Unnamed > 0:
		if k.Unnamed--; name != "" {
			k.Revoked[name] = true
		}
	}
	return k
}

// ruleOf is the rule that an entry tells of.
func ruleOf(e store.Entry) SaidRule {
	r := SaidRule{Subject: e.Principal, Agent: e.Agent, By: e.By, Created: e.Time}
	longest := time.Duration(0)
	switch e.Kind {
	case store.KindGrant:
		r.Kind, longest = KindGrant, grantLongest
	case store.KindBlock:
		r.Kind, longest = KindBlock, BlockMax
	case store.KindStop:
		r.Kind = KindStop
	}
	if text, ok := strings.CutPrefix(e.Note, noteGiven); ok {
		if d, err := time.ParseDuration(text); err == nil {
			longest = d
		}
	}
	if longest > 0 {
		r.Ends = e.Time.Add(longest)
	}
	return r
}

// Said follows the log to its end and returns what it says. ErrStale says that it is
// not the log that it was, or has entries that no exeat with these keys has written.
func (s *Service) Said(ctx context.Context) (*Said, error) {
	var said *Said
	err := s.view(ctx, func(tx *store.Tx) (err error) {
		said, err = s.follow(tx)
		return err
	})
	return said, err
}

// rights is Said but for its head, which may be an earlier one that says the same.
func (s *Service) rights(ctx context.Context) (*Said, error) {
	m, err := s.moment()
	if err != nil {
		return nil, err
	}
	if said := s.kept.log(m); said != nil {
		s.moveOn(m)
		return said, nil
	}
	said, err := s.Said(ctx)
	if err == nil {
		s.kept.keep(m, said)
	}
	return said, err
}

// Keep gives what the log says to keep, which puts it into a file, within a transaction
// that lets nobody else write: it is never older than what another process has put
// there before. If the log is not what it was any more, keep gets what it said before
// that, and the error is ErrStale: nobody is to begin anew on what is left. If keep
// says so with a [store.ChainError], this service goes no further either.
func (s *Service) Keep(ctx context.Context, keep func(said *Said, stale bool) error) error {
	err := s.c.Store.Update(ctx, func(tx *store.Tx) error {
		said, err := s.follow(tx)
		switch {
		case errors.Is(err, ErrStale):
			return errors.Join(err, keep(s.said.Load(), true))
		case err != nil:
			return err
		}
		return keep(said, false)
	})
	if chain := (*store.ChainError)(nil); errors.As(err, &chain) && s.lost.Load() == nil {
		lost := fmt.Errorf("%w (%w)", ErrStale, err)
		s.lost.Store(&lost)
	}
	return err
}
