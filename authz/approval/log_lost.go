package approval

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/exeat/exeat/store"
)

// Accept takes the log as it is, whatever was remembered of it, for whoever runs this
// exeat, and returns what it says then. The entry tells of it. Entries that no exeat
// has written are passed over. keep puts it where the database is not. The log must
// have been verified.
func (s *Service) Accept(ctx context.Context, by, note string, keep func(*Said) error) error {
	err := s.c.Store.Update(ctx, func(tx *store.Tx) error {
		return s.tell(tx, store.Entry{Kind: store.KindAccept, Time: s.Now(), By: by, Note: note})
	})
	if err != nil {
		return err
	}
	said, err := s.Reread(ctx)
	if err != nil {
		return err
	}
	said.Forged = nil
	s.said.Store(said)
	return keep(said)
}

// Reread is what the log says from its first entry on, whatever was remembered of it.
// In Forged are those entries that no exeat has written, which do not count.
func (s *Service) Reread(ctx context.Context) (*Said, error) {
	var said Said
	err := s.c.Store.View(ctx, func(tx *store.Tx) (err error) {
		said, err = s.readLog(tx, Said{Head: store.Start()}, true)
		return err
	})
	return &said, err
}

// Lost says in words what somebody loses, or has again, if a log that says d is taken
// in the place of one that said before.
func (d *Said) Lost(before *Said) []string {
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for person, keys := range before.Keys {
		for digest := range keys.Good {
			if !d.Keys[person].Good[digest] {
				say("%s: the passkey %.12s… is lost", person, digest)
			}
		}
		if n := keys.Unnamed - d.Keys[person].Unnamed; n > 0 {
			say("%s: %d passkeys are lost", person, n)
		}
	}
	for person, keys := range d.Keys {
		for digest := range keys.Good {
			if !before.Keys[person].Good[digest] {
				say("%s: the passkey %.12s… is good again, which was revoked", person, digest)
			}
		}
		if n := keys.Unnamed - before.Keys[person].Unnamed; n > 0 {
			say("%s: %d passkeys are good again, which were revoked", person, n)
		}
	}
	for id, was := range before.Rules {
		is, ok := d.Rules[id]
		switch {
		case !ok && was.Kind == KindGrant:
			say("%s: the grant %s is lost", was.Subject, id)
		case !ok:
			say("%s: %s of the agent %s is lost: it goes on", was.Subject, id, was.Agent)
		case is.Uses != was.Uses:
			say("%s: the grant %s was used %d times, and counts %d", was.Subject, id, was.Uses, is.Uses)
		}
	}
	for id, is := range d.Rules {
		if _, ok := before.Rules[id]; !ok {
			say("%s: %s for the agent %s is in force again", is.Subject, id, is.Agent)
		}
	}
	for name, was := range before.Users {
		if is := d.Users[name]; len(is.Stops) < len(was.Stops) || is.Before.Before(was.Before) {
			say("%s: was stopped, or older tokens were ended, and is not any more", name)
		}
	}
	slices.Sort(list)
	for _, seq := range d.Forged {
		say("entry %d tells of rights, and no exeat with these keys has written it: it does not count", seq)
	}
	return list
}

// CheckRows says in words which passkeys and rules of the database are not as its log
// says. None of those gives anybody anything.
func (s *Service) CheckRows(ctx context.Context) ([]string, error) {
	var list []string
	err := s.view(ctx, func(tx *store.Tx) error {
		list = nil
		said, err := s.follow(tx)
		if err != nil {
			return err
		}
		keys, err := tx.Passkeys("")
		if err != nil {
			return err
		}
		for _, x := range s.strays(said.Keys, keys) {
			list = append(list, fmt.Sprintf("a passkey of %s: %s (exeat passkeys revoke %s ends it)", x.Person, x.Problem, x.Digest))
		}
		now, err := tx.Latest(s.latest())
		if err != nil {
			return err
		}
		rows, err := tx.LiveRules("", "", now, rememberMost)
		if err != nil {
			return err
		}
		var rules []Rule
		for _, row := range rows {
			rules = append(rules, s.readRule(row))
		}
		rules, err = s.checkRules(tx, said, "", "", rules, now)
		for _, r := range rules {
			if r.Damaged {
				list = append(list, fmt.Sprintf("%s of the agent %s of %s: it was changed, put back or taken out (exeat grants revoke %s ends it)", r.ID, r.Agent, strings.TrimSpace(r.Subject), r.ID))
			}
		}
		return err
	})
	return list, err
}
