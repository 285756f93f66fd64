package approval

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Errors of grants.
var (
	ErrNoGrant   = errors.New("the grant is not in force any more, or not for this call")
	ErrTooLong   = errors.New("the policies do not let a grant last that long")
	ErrNoChoice  = errors.New("the policies do not take a grant for this call")
	ErrGrantForm = errors.New("this is no grant that can be given")
)

const (
	// GrantMax is how long a grant may last where no @grant_max says otherwise.
	GrantMax = 20 * time.Minute
	// grantLongest is how long one may last whatever that says.
	grantLongest = 366 * 24 * time.Hour
	// BlockMax is how long a block may last.
	BlockMax = 30 * 24 * time.Hour
	// GrantRate bounds the calls under one grant within a minute. The next one
	// is held, so that a person hears of an agent that runs away.
	GrantRate = 60
	// maxRules bounds the rules in force for one agent.
	maxRules = 200
)

// Offer is what a person chooses for calls like a held one.
type Offer struct {
	Kind   string // KindGrant or KindDenial
	Reach  string
	Path   string   // for ReachBelow: the path of the call or one above it
	Args   string   // which arguments
	Keep   []string // JSON Pointers, for ArgsSome
	For    time.Duration
	Max    int64
	Reason string // of a block, told to the agent
	Task   *Task  // of a grant, instead of the tool alone
}

// newRule is the rule that an offer amounts to for a hold.
func newRule(h store.Hold, who Person, o Offer, now time.Time) (Rule, error) {
	parties, err := PartiesOf(h)
	if err != nil {
		return Rule{}, err
	}
	agent := parties.Agent
	r := Rule{ID: newID(o.Kind), Kind: o.Kind, Subject: h.Subject, Agent: agent.ID, Verified: agent.Verified, Effect: h.Effect,
		Max: o.Max, By: who.Principal, AMR: who.AMR, Reason: o.Reason, Masked: h.Masked, Created: now, Ends: now.Add(o.For).Truncate(time.Microsecond)}
	r.Scope = Scope{API: h.API, Tool: h.Tool, Reach: o.Reach, Args: o.Args, Task: o.Task}
	r.Scope.Place = r.Scope.placed(placeOf(h))
	if o.Task != nil {
		if err := o.Task.check(o.Max); err != nil || o.Kind != KindGrant || o.Args == ArgsSame || o.Reach == ReachExact {
			return Rule{}, cmp.Or(err, ErrGrantForm)
		}
		r.Scope.Tool = ""
	}
	bad := o.For < time.Second || o.For > grantLongest || o.Max < 0 || o.Kind != KindGrant && o.Kind != KindBlock ||
		!utf8.ValidString(o.Reason) || utf8.RuneCountInString(o.Reason) > maxReason
	switch o.Reach {
	case ReachExact:
		r.Scope.Path = h.Request.Path
	case ReachBelow:
		r.Scope.Path = o.Path
	case ReachAny:
	default:
		bad = true
	}
	switch o.Args {
	case ArgsSame:
		r.Scope.Same = string(h.Args)
	case ArgsSome:
		for _, p := range o.Keep {
			v, ok := ValueAt(h.Args, p)
			if bad = bad || !ok || len(o.Keep) > maxEqual; !bad {
				r.Scope.Equal = append(r.Scope.Equal, Equal{p, string(v)})
			}
		}
		bad = bad || len(o.Keep) == 0
	case ArgsAny:
	default:
		bad = true
	}
	// What does not even cover the call that it was made from was made up.
	if bad || !r.Matches(shapeOf(h, parties)) {
		return Rule{}, ErrGrantForm
	}
	return r, nil
}

func shapeOf(h store.Hold, who Parties) Shape {
	return Shape{Principal: who.Principal, Agent: who.Agent, Place: placeOf(h), API: h.API, Tool: h.Tool, Effect: h.Effect, Path: h.Request.Path, Args: h.Args}
}

// placeOf is where a held call goes; what its details do not say is missing, and
// no grant can be for it.
func placeOf(h store.Hold) Place {
	var details struct {
		Locations []string `json:"locations"`
		Document  string   `json:"document"`
	}
	p := Place{Origin: h.Request.Origin, Method: h.Request.Method}
	if json.Unmarshal(h.Details, &details) == nil && len(details.Locations) == 1 {
		p.Audience, p.Document = details.Locations[0], details.Document
	}
	return p
}

// Longest is how long a grant from this hold may last, as the policies are now.
func (s *Service) Longest(h store.Hold, now time.Time) (time.Duration, error) {
	r := authz.Query{API: h.API, Action: h.Tool, Now: now, Path: h.Request.Path}
	dec := json.NewDecoder(strings.NewReader(string(h.Args)))
	dec.UseNumber()
	who, err := PartiesOf(h)
	r.Principal, r.Agent, r.Session = who.Principal, who.Agent, who.Session
	if err = errors.Join(err, dec.Decode(&r.Input)); err != nil {
		return 0, fmt.Errorf("%w: %v", ErrNoChoice, err)
	}
	d := s.c.Engine.Decide(r)
	if d.Outcome != authz.Hold || !d.Choices.Grant {
		return 0, ErrNoChoice
	}
	return LongestGrant(d.Obligations), nil
}

// LongestGrant is how long a grant may last under what the policies ask for.
func LongestGrant(o authz.Obligations) time.Duration {
	if o.GrantMax == 0 {
		return GrantMax
	}
	return o.GrantMax
}

// Draft is the rule that an offer on the page of a hold would make.
func (s *Service) Draft(ctx context.Context, who Identity, h store.Hold, o Offer) (Rule, error) {
	p, err := s.admit(ctx, who)
	if err != nil {
		return Rule{}, err
	}
	signer, err := s.holder(ctx, p.Name())
	if err != nil {
		return Rule{}, err
	}
	return s.draft(h, strengthen(p, signer), o)
}

func (s *Service) draft(h store.Hold, who Person, o Offer) (Rule, error) {
	now := s.Now()
	r, err := newRule(h, who, o, now)
	if err != nil {
		return r, err
	}
	if d := s.mayChoose(h, who, false, now); d.Outcome != authz.Allow {
		return r, fmt.Errorf("%w: %s", ErrForbidden, d.Reason)
	}
	if o.Kind == KindBlock {
		if o.For > BlockMax {
			return r, ErrTooLong
		}
		return r, nil
	}
	longest, err := s.Longest(h, now)
	if err == nil && o.For > longest {
		err = ErrTooLong // and not cut: the person chose another time
	}
	return r, err
}

// mayGive asks the policies whether the giver of a rule may decide such calls.
func (s *Service) mayGive(r Rule, requester authz.Principal, now time.Time) authz.Decision {
	return s.c.Engine.MayApprove(authz.HoldFacts{ID: r.ID, API: r.Scope.API, Action: r.Scope.Tool, Effect: r.Effect, Now: now,
		Requester: requester, Agent: authz.Agent{ID: r.Agent, Verified: r.Verified}, Approval: *r.Approval()})
}

// give makes the rule that a person chose on the page of a pending hold, and
// decides the hold with it: a grant approves it, a block denies it. ErrTooLong,
// ErrNoChoice and ErrGrantForm say why not.
func (s *Service) give(ctx context.Context, tx *store.Tx, p Person, v Verdict) ([]Decided, error) {
	if v.Approve != (v.Rule.Kind == KindGrant) {
		return nil, ErrGrantForm
	}
	now, err := tx.Advance(s.latest())
	if err != nil {
		return nil, err
	}
	var r Rule
	d, err := s.decideIn(ctx, tx, p, v, Shown{v.Hold, v.Digest}, now, func(h *store.Hold) (refused, err error) {
		r, refused, err = s.giveFrom(tx, h, p, v, now)
		return refused, err
	})
	if d.Err == nil {
		d.Rule = r
	}
	return []Decided{d}, err
}

// giveFrom is what give does with a hold that is what was made.
func (s *Service) giveFrom(tx *store.Tx, h *store.Hold, p Person, v Verdict, now time.Time) (r Rule, refused, err error) {
	if _, err := Apply(*h, Deny{}, now); err != nil {
		return r, nil, err // it is settled, or over
	}
	signer, err := s.signers(tx, p.Name())
	if err != nil {
		return r, nil, err
	}
	p = strengthen(p, signer) // or nothing comes of it
	r, err = s.draft(*h, p, *v.Rule)
	if errors.Is(err, ErrForbidden) {
		e := entryOf(*h, ruleKinds[v.Rule.Kind])
		e.Time, e.By, e.Code, e.Decision = now, p.Name(), "forbidden", string(authz.Deny)
		return r, err, tx.Append(e)
	}
	if err == nil && r.Kind == KindGrant {
		err = s.signRule(tx, &r, *h, p, signer, v, now)
	}
	if err != nil {
		return r, nil, err
	}
	if live, err := tx.LiveRules(h.Subject, r.Agent, now, maxRules); err != nil || len(live) >= maxRules {
		return r, nil, errors.Join(err, ErrTooMany)
	}
	if err := s.insertRule(tx, &r, now, noteGiven+v.Rule.For.String()); err != nil {
		return r, nil, err
	}
	*h, err = s.decideBy(tx, *h, p, r, now)
	return r, nil, err
}

// signRule checks that who has a passkey has signed a grant with it, and that a
// tired person without one has typed.
func (s *Service) signRule(tx *store.Tx, r *Rule, h store.Hold, p Person, signer holder, v Verdict, now time.Time) error {
	if len(signer.keys) == 0 {
		return s.confirm(p.Name(), false, QuestionOf(h), v.Typed, now)
	}
	if v.Signed == nil {
		return ErrNeedPasskey
	}
	signed := *v.Signed
	signed.Choice = r.Terms() // or the signature is of something else
	r.Signed, r.proof = true, &grantProof{h.ID, h.Digest, signed}
	return s.checkSignature(tx, signer, h, signed.Choice, &signed, now)
}

// decideBy decides the hold that a rule was made from.
func (s *Service) decideBy(tx *store.Tx, h store.Hold, who Person, r Rule, now time.Time) (store.Hold, error) {
	if r.Kind == KindBlock {
		e, entry, err := s.verdict(h, who, Verdict{Reason: r.Reason}, now)
		if err != nil {
			return h, err
		}
		entry.Grant = r.ID
		return s.change(tx, h, e, now, entry)
	}
	by, err := json.Marshal(who.Principal)
	if err != nil {
		return h, err
	}
	a := store.Approval{By: by, ByName: who.Name(), At: now, Expires: earlier(now.Add(s.ApprovalLife()), r.Ends), AMR: who.AMR, Grant: r.ID}
	entry := entryOf(h, store.KindApprove)
	if r.proof != nil {
		if a.Signed, err = json.Marshal(r.proof.Signed); err != nil {
			return h, err
		}
		entry.Signed = a.Signed
	}
	a.Proof = s.prove(h, a)
	entry.Time, entry.By, entry.PolicySet, entry.Grant, entry.Login = now, who.Name(), s.c.Engine.Digest(), r.ID, who.Login()
	return s.change(tx, h, Approve{Approval: a}, now, entry)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// insertRule stores a new rule with the entry that tells it.
func (s *Service) insertRule(tx *store.Tx, r *Rule, now time.Time, note string) error {
	row, err := s.storeRule(*r)
	if err != nil {
		return err
	}
	if err := tx.InsertRule(row); err != nil {
		return err
	}
	if _, err := tx.ForgetRules(now.Add(-KeptFor), sweepMost); err != nil {
		return err
	}
	r.stored = row
	return s.tell(tx, s.ruleEntry(*r, now, note))
}

// ruleKinds are the kinds of entries that tell of rules.
var ruleKinds = map[string]store.Kind{KindGrant: store.KindGrant, KindBlock: store.KindBlock, KindStop: store.KindStop}

// ruleEntry tells of a rule that was made.
func (s *Service) ruleEntry(r Rule, now time.Time, note string) store.Entry {
	e := store.Entry{Kind: ruleKinds[r.Kind], Time: now, Principal: r.Subject, Agent: r.Agent, API: r.Scope.API, Tool: r.Scope.Tool, Path: r.Scope.Path,
		By: r.By.Name(), Grant: r.ID, PolicySet: s.c.Engine.Digest(), Note: note}
	if r.proof != nil {
		e.Hold, e.Digest = r.proof.Hold, r.proof.Digest
		e.Signed, _ = json.Marshal(r.proof.Signed) // strings and a time
	}
	return e
}
