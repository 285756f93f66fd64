package approval

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/tally"
	"github.com/exeat/exeat/store"
)

// Config is what a [Service] is made of.
type Config struct {
	Store *store.Store
	// Engine holds the policies; without one nobody may decide anything.
	Engine *authz.Engine
	Key    []byte           // for the MACs of what is stored, at least 32 bytes
	Now    func() time.Time // nil means time.Now
	// TTL is how long a hold waits for a person; 0 means 1 h. ApprovedFor is
	// how long an approval waits for its send; 0 means 5 min.
	TTL, ApprovedFor time.Duration
	// MaxOpen bounds the open holds of one principal; 0 means 100.
	MaxOpen int
	// Notify are the channels that are told of new holds; Push says whether
	// browsers are told too.
	Notify []string
	Push   bool
	// Fatigue, if not nil, is when approvals have to be typed.
	Fatigue *Fatigue
	// Current is the principal of a held call as it is now; nil means as it was when
	// its agent asked, and so does false.
	Current func(Parties) (now authz.Principal, known bool)
	// Lacks, if not nil, says what a person has to do before a held call can have its
	// credential; "" is nothing. Until then nobody can approve it.
	Lacks func(context.Context, store.Hold) (string, error)
	// Door is whose identities are let in; without one nobody is.
	Door *Doorkeeper
	// Known is what was read of the log before; nil reads it from its start.
	Known *Said
	// Remember, if not nil, is called whenever the log tells of another passkey or
	// rule, so that somebody keeps what it says where the database is not.
	Remember func(context.Context)
}

// Service keeps holds. All methods are safe for concurrent use.
type Service struct {
	c Config

	pace   pace
	sent   remembered
	clock  clock
	kept   kept
	said   atomic.Pointer[Said]
	lost   atomic.Pointer[error] // why the log is not believed any more
	alarms alarms
	counts tally.Counter
}

// minKey is the length of a key that seals hold with, in bytes.
const minKey = 32

// New is a Service over a store. The error says what of the configuration it
// cannot work with.
func New(c Config) (*Service, error) {
	if c.Store == nil {
		return nil, errors.New("approval: there is no store")
	}
	if len(c.Key) < minKey {
		return nil, fmt.Errorf("approval: the key has %d bytes, and seals need %d", len(c.Key), minKey)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.TTL = cmp.Or(c.TTL, time.Hour)
	c.ApprovedFor = cmp.Or(c.ApprovedFor, 5*time.Minute)
	c.MaxOpen = cmp.Or(c.MaxOpen, 100)
	s := &Service{c: c}
	if c.Known == nil {
		c.Known = &Said{Head: store.Start()}
	}
	s.said.Store(c.Known)
	return s, nil
}

// Now is the time as the store keeps it.
func (s *Service) Now() time.Time { return s.c.Now().UTC().Truncate(time.Microsecond) }

// openStates are those in which something can still happen.
var openStates = []store.State{store.Pending, store.Approved, store.Sending}

// newID is a name that cannot be guessed: 130 random bits in lower-case base32
// behind its kind.
func newID(kind string) string { return kind + "_" + strings.ToLower(rand.Text()) }

// update repeats a transaction that lost a race, since reading again may show
// that the change is still right.
func (s *Service) update(ctx context.Context, fn func(*store.Tx) error) error {
	const tries = 5
	var err error
	told := false
	for range tries {
		err = s.c.Store.Update(ctx, func(tx *store.Tx) error {
			err := fn(tx)
			told = tx.Sealed()
			return err
		})
		if !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	if err == nil && told {
		s.remember(ctx)
	}
	return err
}

// remember has what the log says kept outside of the database.
func (s *Service) remember(ctx context.Context) {
	if s.c.Remember != nil {
		s.c.Remember(context.WithoutCancel(ctx))
	}
}

// change applies an event to a hold as it was read in tx, stores it and
// appends the entry that tells it.
func (s *Service) change(tx *store.Tx, h store.Hold, e Event, now time.Time, entry store.Entry) (store.Hold, error) {
	next, err := Apply(h, e, now)
	if err != nil {
		return h, err
	}
	if next, err = s.swap(tx, next); err != nil {
		return h, err
	}
	if entry.Time.IsZero() {
		entry.Time = now
	}
	return next, tx.Append(entry)
}

// swap stores a hold that was changed, with the mark that says so.
func (s *Service) swap(tx *store.Tx, h store.Hold) (store.Hold, error) {
	after := h
	after.Version++
	after.Mark = s.mark(after)
	h.Mark = after.Mark
	return after, tx.Swap(h)
}

// entryOf is an entry about a hold.
func entryOf(h store.Hold, kind store.Kind) store.Entry {
	who, _ := PartiesOf(h) // they only name things; an entry without them is better than none
	return store.Entry{
		Kind: kind, Txn: h.Txn, Hold: h.ID,
		Principal: h.Subject, Agent: who.Agent.ID, Session: who.Session.ID,
		API: h.API, Tool: h.Tool, Method: h.Request.Method, Path: h.Request.Path, Digest: h.Digest,
		Policies: h.Policies, PolicySet: h.PolicySet,
	}
}

// find reads a hold; what is not there is this package's ErrNotFound.
func find(tx *store.Tx, id string) (store.Hold, error) {
	h, err := tx.Hold(id)
	if errors.Is(err, store.ErrNotFound) {
		err = ErrNotFound
	}
	return h, err
}

// Open keeps a call. The caller fills everything but ID, Version, State,
// Created, Expires and Changed. If a hold with the same Dedupe key is open
// already, that hold comes back and nothing is written. ErrTooMany if the
// principal has MaxOpen, or made five times as many within an hour.
func (s *Service) Open(ctx context.Context, h store.Hold) (store.Hold, error) {
	now := s.Now()
	h.ID, h.Version, h.State = newID("hold"), 1, store.Pending
	h.Created, h.Changed, h.Expires = now, now, now.Add(s.c.TTL)
	h.Approval, h.Earlier, h.Denial, h.DeniedBy, h.Owner, h.Lease, h.Result, h.After = nil, nil, "", "", "", time.Time{}, nil, nil
	h.Path = h.Request.Path

	seal, err := s.seal(h)
	if err != nil {
		return store.Hold{}, err
	}
	h.Seal = seal
	h.Mark = s.mark(h)

	var equal store.Hold
	var waits bool
	err = s.update(ctx, func(tx *store.Tx) (err error) {
		if equal, waits, err = s.openEqual(tx, h.Dedupe, now); err != nil || waits {
			return err
		}
		return s.insert(tx, h, now)
	})
	switch {
	case errors.Is(err, ErrTooMany):
		s.noteCrowd(h, now)
		return store.Hold{}, err
	case err != nil:
		return store.Hold{}, err
	case !waits:
		return h, nil
	case !s.sealed(equal):
		return store.Hold{}, ErrTampered // until its lease is over
	case equal.Subject != h.Subject:
		return store.Hold{}, errors.New("the dedupe key belongs to another principal's hold")
	}
	return equal, nil
}

// openEqual finds the open hold with a dedupe key, if there is one. What time or
// somebody in the database has done to it is stored.
func (s *Service) openEqual(tx *store.Tx, dedupe string, now time.Time) (h store.Hold, waits bool, err error) {
	h, err = tx.OpenHold(dedupe)
	if errors.Is(err, store.ErrNotFound) {
		return h, false, nil
	}
	if err == nil {
		h, err = s.settle(tx, h, now)
	}
	if err == nil && open(h) && !s.sealed(h) {
		h, err = s.condemn(tx, h, now)
	}
	return h, open(h), err
}

// insert stores a new hold, with its notices and the entry that tells it.
func (s *Service) insert(tx *store.Tx, h store.Hold, now time.Time) error {
	if err := s.takeSeat(tx, h.Subject, now); err != nil {
		return err
	}
	if err := s.forgetWithdrawn(tx, h.Subject, now); err != nil {
		return err
	}
	if err := tx.Insert(h); err != nil {
		return err
	}
	if err := s.enqueue(tx, h, now); err != nil {
		return err
	}
	e := entryOf(h, store.KindHold)
	e.Time, e.Decision = now, string(authz.Hold)
	return tx.Append(e)
}

// Asker is whose hold it is: an agent's of a principal. Other agents of the same
// principal have no part in it; which of them it is, is known by what they call
// themselves where nothing verifies it.
type Asker struct {
	Principal authz.Principal
	Agent     authz.Agent
}

func (a Asker) subject() string { return a.Principal.Name() }

// gets reports whether a hold is for the asker: its own, or one of another agent of
// the same principal that the policies let it go on with.
func (s *Service) gets(who Asker, h store.Hold) bool {
	of, err := PartiesOf(h)
	if err != nil || h.Subject != who.subject() {
		return false
	}
	return of.Agent.Is(who.Agent) || s.c.Engine.MayResume(authz.HoldFacts{ID: h.ID, API: h.API, Action: h.Tool, Effect: h.Effect, Path: cmp.Or(h.Request.Path, h.Path), Now: s.Now(),
		Requester: of.Principal, Agent: of.Agent, By: who.Agent, Approval: authz.ApprovalContext{By: who.Principal}}).Outcome == authz.Allow
}

// Get returns who's hold, ErrNotFound if it is somebody else's and
// ErrTampered if it is not what exeat stored. An open hold whose time is over
// comes back expired, or unknown if it was being sent.
func (s *Service) Get(ctx context.Context, who Asker, id string) (store.Hold, error) {
	h, err := s.read(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		s.noteMiss(who.subject(), "")
	case err == nil && h.Subject == who.subject() && !s.sealed(h):
		err = s.expose(ctx, id) // of which agent it is, an altered one does not say
	case err == nil && !s.gets(who, h):
		s.noteMiss(who.subject(), h.ID)
		err = ErrNotFound
	}
	if err != nil {
		return store.Hold{}, err
	}
	return asOf(h, s.Now()), nil
}

// read returns a hold as it is stored, whoever asks.
func (s *Service) read(ctx context.Context, id string) (store.Hold, error) {
	var h store.Hold
	err := s.c.Store.View(ctx, func(tx *store.Tx) (err error) {
		h, err = find(tx, id)
		return err
	})
	return h, err
}

// Wait is Get, after the hold has reached one of the final states, ready says so (if
// it is not nil) or ctx ends; the end of ctx is not an error.
func (s *Service) Wait(ctx context.Context, who Asker, id string, ready func(store.Hold) bool) (store.Hold, error) {
	changed, stop := s.c.Store.Watch()
	defer stop()
	for {
		// The last look must succeed though ctx has ended.
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		h, err := s.Get(look, who, id)
		cancel()
		if err != nil || !open(h) || ctx.Err() != nil || ready != nil && ready(h) {
			return h, err
		}
		var expiry <-chan time.Time
		if end, ok := ends(h); ok {
			expiry = time.After(max(end.Sub(s.Now()), time.Millisecond))
		}
		select {
		case <-changed:
		case <-expiry:
		case <-ctx.Done():
		}
	}
}

// List returns who's open holds, oldest first.
func (s *Service) List(ctx context.Context, who Asker) ([]store.Hold, error) {
	if who.subject() == "" {
		return nil, nil
	}
	list, err := s.list(ctx, store.HoldFilter{Subject: who.subject(), States: openStates})
	return slices.DeleteFunc(list, func(h store.Hold) bool { return !s.gets(who, h) }), err
}

// list returns the outlines of holds that are open now. What is not as it was
// made is left out, and told of by alarms.
func (s *Service) list(ctx context.Context, f store.HoldFilter) ([]store.Hold, error) {
	var holds []store.Hold
	err := s.c.Store.View(ctx, func(tx *store.Tx) (err error) {
		holds, err = tx.Outlines(f)
		return err
	})
	now := s.Now()
	var list []store.Hold
	for _, h := range holds {
		if !s.outlined(h) {
			if err := s.expose(ctx, h.ID); !errors.Is(err, ErrTampered) {
				return nil, err
			}
			continue
		}
		if h = asOf(h, now); open(h) {
			list = append(list, h)
		}
	}
	return list, err
}

// Cancel withdraws who's pending hold.
func (s *Service) Cancel(ctx context.Context, who Asker, id string) (store.Hold, error) {
	var h store.Hold
	var theirs string // somebody else's
	var tampered bool
	err := s.update(ctx, func(tx *store.Tx) (err error) {
		tampered, theirs = false, ""
		if h, err = find(tx, id); err != nil {
			return err
		}
		if tampered = h.Subject == who.subject() && !s.sealed(h); tampered {
			h, err = s.condemn(tx, h, s.Now())
			return err
		}
		if !s.gets(who, h) {
			theirs, h = h.ID, store.Hold{}
			return ErrNotFound
		}
		h, err = s.change(tx, h, Cancel{}, s.Now(), entryOf(h, store.KindCancel))
		return err
	})
	switch {
	case errors.Is(err, ErrNotFound):
		s.noteMiss(who.subject(), theirs)
	case err == nil && tampered:
		err = ErrTampered
	}
	return h, err
}
