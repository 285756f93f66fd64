package approval

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// ErrUserStopped is somebody in whose name nothing goes, and who may decide nothing,
// until they are started again.
var ErrUserStopped = errors.New("this user was stopped: nothing is executed in their name until whoever runs exeat starts them again")

// endedText is what an agent is told of calls that waited when their user was ended.
const endedText = "what waited in the name of this user was ended"

// End says whose things end, and why.
type End struct {
	Subject string          // "User::bob"
	By      authz.Principal // who says so: see Operator and Issuer
	Cause   string          // a word or two, such as session-revoked
	JTI     string          // of the signal, if one says so
	// Before is when it was to end: tokens that were issued earlier count no more.
	// Zero, or a time to come, is now.
	Before time.Time
	// Stop keeps all from going until somebody starts the user again.
	Stop bool
}

// Operator is whoever runs this exeat, by the name that the machine knows them by.
func Operator(name string) authz.Principal { return authz.Principal{Type: "Operator", ID: name} }

// Issuer is who says who somebody is.
func Issuer(url string) authz.Principal { return authz.Principal{Type: "Issuer", ID: url} }

// Ended is what an End has ended, beside logins and tokens.
type Ended struct{ Grants, Holds int }

// UserState is what the log says of a user's ends.
type UserState struct {
	Subject string     `json:"subject"`
	Stops   []UserStop `json:"stops,omitempty"` // in force, the oldest first
	Ended   time.Time  `json:"ended,omitzero"`  // when all that there was ended for the last time
	Before  time.Time  `json:"before,omitzero"` // tokens that were issued earlier count no more
}

// UserStop is why nothing goes in somebody's name.
type UserStop struct {
	By    string    `json:"by"`
	Cause string    `json:"cause"`
	At    time.Time `json:"at"`
	Since time.Time `json:"since"` // as who said it tells
}

// after is the state after an entry. Those of stops and starts that tell of a user name
// no agent.
func (u UserState) after(e store.Entry) UserState {
	u.Subject = e.Principal
	switch {
	case e.Kind == store.KindEnd:
		if e.Time.After(u.Ended) {
			u.Ended = e.Time
		}
		if e.Before.After(u.Before) {
			u.Before = e.Before
		}
	case e.Kind == store.KindStop:
		u.Stops = append(slices.DeleteFunc(slices.Clone(u.Stops), func(s UserStop) bool { return s.By == e.By }),
			UserStop{By: e.By, Cause: e.Code, At: e.Time, Since: e.Before})
	case e.Kind == store.KindStart:
		u.Stops = slices.DeleteFunc(slices.Clone(u.Stops), func(s UserStop) bool { return liftedBy(s, e.By) })
	}
	return u
}

// liftedBy reports whether somebody can lift a stop: an operator every one, an
// issuer its own.
func liftedBy(s UserStop, by string) bool {
	return s.By == by || strings.HasPrefix(by, Operator("").Name())
}

// over reports whether something that was there since a time has ended.
func (u UserState) over(since time.Time) bool {
	return len(u.Stops) > 0 || !u.Ended.IsZero() && !since.After(u.Ended)
}

// Over reports whether what somebody's name carried since a time has ended, or they
// were stopped.
func (u UserState) Over(since time.Time) bool { return u.over(since) }

// user is what the log says of a user.
func (s *Service) user(tx *store.Tx, subject string) (UserState, error) {
	said, err := s.follow(tx)
	if err != nil {
		return UserState{}, err
	}
	return said.user(subject), nil
}

func (d *Said) user(subject string) UserState {
	u := d.Users[store.PersonInEntry(subject)]
	u.Subject = subject
	return u
}

// EndUser ends at once what somebody's name carries: their grants, those that they
// gave, what waits or is approved and not sent, their logins to the inbox, and tokens
// that are older. Every process on the database goes by it. Whatever fails on the
// way, what has ended does not go any more; the error says that calls still look as
// if they waited.
func (s *Service) EndUser(ctx context.Context, e End) (Ended, error) {
	var out Ended
	if e.Subject == "" || e.By.ID == "" {
		return out, errors.New("an end needs somebody, and somebody who says so")
	}
	err := s.update(ctx, func(tx *store.Tx) (err error) {
		out.Grants = 0
		now, err := tx.Advance(s.latest())
		if err != nil {
			return err
		}
		entry := store.Entry{Kind: store.KindEnd, Time: now, Principal: e.Subject, By: e.By.Name(), Code: e.Cause, JTI: e.JTI, Before: e.Before}
		if entry.Before.IsZero() || entry.Before.After(now) {
			entry.Before = now
		}
		// Tokens tell their time in whole seconds: one of the same second is older.
		entry.Before = entry.Before.UTC().Truncate(time.Second).Add(time.Second)
		if err := s.tell(tx, entry); err != nil {
			return err
		}
		if e.Stop {
			entry.Kind = store.KindStop
			if err := s.tell(tx, entry); err != nil {
				return err
			}
		}
		out.Grants, err = s.revokeOf(tx, e, now)
		return err
	})
	if err != nil {
		return out, err
	}
	out.Holds, err = s.endHoldsOf(ctx, e)
	return out, err
}

// revokeOf revokes the grants of somebody's agents, and those that they gave.
func (s *Service) revokeOf(tx *store.Tx, e End, now time.Time) (n int, err error) {
	rows, err := tx.LiveRules("", "", now, 10*maxRules)
	if err != nil {
		return 0, err
	}
	own, err := tx.LiveRules(e.Subject, "", now, 10*maxRules)
	if err != nil {
		return 0, err
	}
	done := map[string]bool{}
	for _, row := range append(own, rows...) {
		r := s.readRule(row)
		if done[r.ID] || r.Damaged || r.Kind != KindGrant || r.Subject != e.Subject && r.By.Name() != e.Subject {
			continue
		}
		done[r.ID] = true
		r.Revoked, r.RevokedBy = now, e.By.Name()
		if row, err = s.storeRule(r); err != nil {
			return n, err
		}
		if err := tx.SwapRule(row); err != nil {
			return n, err
		}
		entry := store.Entry{Kind: store.KindRevoke, Time: now, Principal: r.Subject, Agent: r.Agent, API: r.Scope.API, Tool: r.Scope.Tool, Path: r.Scope.Path,
			By: e.By.Name(), Grant: r.ID, Note: e.Cause, JTI: e.JTI}
		if err := s.tell(tx, entry); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// endHoldsOf ends what waits in somebody's name, and what they approved.
func (s *Service) endHoldsOf(ctx context.Context, e End) (int, error) {
	end := endReason{by: e.By.Name(), text: endedText, note: e.Cause, jti: e.JTI}
	own, err := s.endHolds(ctx, store.HoldFilter{Subject: e.Subject, States: waitingStates}, func(store.Hold) bool { return true }, end)
	given, errGiven := s.endHolds(ctx, store.HoldFilter{States: []store.State{store.Approved}},
		func(h store.Hold) bool { return h.Approval != nil && h.Approval.ByName == e.Subject }, end)
	return own + given, errors.Join(err, errGiven)
}

// StartUser lets somebody go on who was stopped: an operator lifts every stop, an
// issuer those that it made, if what it says is no older than they are. It reports
// whether there was one. What has ended stays so.
func (s *Service) StartUser(ctx context.Context, e End) (started bool, err error) {
	err = s.update(ctx, func(tx *store.Tx) error {
		started = false
		now, err := tx.Advance(s.latest())
		if err != nil {
			return err
		}
		u, err := s.user(tx, e.Subject)
		if err != nil {
			return err
		}
		by := store.PersonInEntry(e.By.Name())
		for _, stop := range u.Stops {
			// The time of a stop was rounded up to a whole second.
			late := !e.Before.IsZero() && e.Before.Add(time.Second).Before(stop.Since)
			started = started || liftedBy(stop, by) && !late
		}
		if !started {
			return nil
		}
		return s.tell(tx, store.Entry{Kind: store.KindStart, Time: now, Principal: e.Subject, By: by, Code: e.Cause, JTI: e.JTI})
	})
	return started, err
}

// RevokedBefore is the time before which a token of somebody must have been issued to
// count no more; zero if nothing was said. Who takes tokens asks it for each.
func (s *Service) RevokedBefore(ctx context.Context, subject string) (time.Time, error) {
	u, err := s.User(ctx, subject)
	return u.Before, err
}

// User is what the log says of one user's ends.
func (s *Service) User(ctx context.Context, subject string) (UserState, error) {
	said, err := s.rights(ctx)
	if err != nil {
		return UserState{}, err
	}
	return said.user(subject), nil
}

// Users lists those of whom the log tells that they were stopped, or ended.
func (s *Service) Users(ctx context.Context) ([]UserState, error) {
	said, err := s.Said(ctx)
	if err != nil {
		return nil, err
	}
	var out []UserState
	for _, name := range slices.Sorted(maps.Keys(said.Users)) {
		out = append(out, said.Users[name])
	}
	return out, nil
}

// stopOfUser is the rule by which nothing of a stopped user goes.
func (d *Said) stopOfUser(subject string) []Rule {
	u := d.user(subject)
	if subject == "" || len(u.Stops) == 0 {
		return nil
	}
	return []Rule{{Kind: KindStop, Subject: subject, Created: u.Stops[0].At}}
}

// checkUser says why a held call must not be sent that was approved: its user was
// ended since.
func (s *Service) checkUser(tx *store.Tx, h store.Hold) error {
	u, err := s.user(tx, h.Subject)
	if err == nil && u.over(h.Created) {
		err = fmt.Errorf("%w: %s was stopped, or what waited in that name was ended", ErrForbidden, h.Subject)
	}
	return err
}

// checkApprover says why an approval does not count any more: who gave it was ended
// since.
func (s *Service) checkApprover(tx *store.Tx, a store.Approval) error {
	u, err := s.user(tx, a.ByName)
	if err == nil && u.over(a.At) {
		err = fmt.Errorf("%w: %s, who approved it, was stopped, or their login was ended", ErrForbidden, a.ByName)
	}
	return err
}

// grantOver reports whether the user of a grant, or who gave it, was ended since.
func (d *Said) grantOver(r Rule) bool {
	return d.user(r.Subject).over(r.Created) || d.user(r.By.Name()).over(r.Created)
}
