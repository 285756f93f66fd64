package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/exeat/exeat/store"
)

// stoppedText is what a stopped agent is told of its held calls.
const stoppedText = "a person stopped this agent"

// Rules lists the rules in force that a person may see and revoke: for their own
// agents, and those that they gave.
func (s *Service) Rules(ctx context.Context, who Identity) ([]Rule, error) {
	p, err := s.admit(ctx, who)
	if err != nil {
		return nil, err
	}
	all, err := s.RulesInForce(ctx, "", "")
	var out []Rule
	for _, r := range all {
		if r.of(p) {
			out = append(out, r)
		}
	}
	return out, err
}

// of reports whether a rule is a person's to see. Whose a damaged one is that the log
// does not tell of cannot be said, so it is everybody's.
func (r Rule) of(who Person) bool {
	return r.nobodys || r.Subject == who.Name() || r.By.Name() == who.Name()
}

// Revoke ends a rule at once: calls under a grant that have not left yet do not
// leave. Revoking what is revoked, or over, is no error; ErrNotFound if there is
// no such rule or it is not the person's. A damaged rule is revoked as well.
func (s *Service) Revoke(ctx context.Context, who Identity, id string) error {
	p, err := s.admit(ctx, who)
	if err != nil {
		return err
	}
	return s.update(ctx, func(tx *store.Tx) error { return s.revoke(tx, p, id) })
}

// revoke is Revoke in tx.
func (s *Service) revoke(tx *store.Tx, p Person, id string) error {
	now, err := tx.Advance(s.latest())
	if err != nil {
		return err
	}
	said, err := s.follow(tx)
	if err != nil {
		return err
	}
	row, err := tx.Rule(id)
	gone := errors.Is(err, store.ErrNotFound)
	if err != nil && !gone {
		return err
	}
	_, told := said.Rules[id]
	if gone && !told {
		return ErrNotFound
	}
	row.ID = id
	r := s.readRule(row)
	if !r.Damaged && !r.Revoked.IsZero() && !told {
		return nil
	}
	if r.Damaged || !said.agrees(r) {
		r = r.damage(said)
	}
	if !r.of(p) {
		return ErrNotFound
	}
	if r.Kind != KindGrant && !r.nobodys {
		// This gives the agent more: who has a passkey does it after signing in by it.
		signer, err := s.signers(tx, p.Name())
		if err != nil {
			return err
		}
		if len(signer.keys) > 0 && !p.Strong {
			return ErrNeedPasskey
		}
	}
	kind := store.KindRevoke
	if r.Kind == KindStop {
		kind = store.KindStart
	}
	e := store.Entry{Kind: kind, Time: now, Principal: r.Subject, Agent: r.Agent, API: r.Scope.API, Tool: r.Scope.Tool, Path: r.Scope.Path, By: p.Name(), Grant: r.ID}
	if r.Damaged {
		e.Code, e.Note = Tampered, "it was changed in the database"
	}
	if !gone {
		r.Revoked, r.RevokedBy = now, p.Name()
		if row, err = s.storeRule(r); err != nil {
			return err
		}
		if err := tx.SwapRule(row); err != nil {
			return err
		}
	}
	return s.tell(tx, e)
}

// Stop denies everything of one of the person's agents until Start, and ends its
// open holds: none of them is sent any more but those that are being sent.
// Stopping a stopped agent is no error.
func (s *Service) Stop(ctx context.Context, who Identity, agent string) error {
	p, err := s.admit(ctx, who)
	if err != nil {
		return err
	}
	if agent == "" || len(agent) > 500 {
		return ErrGrantForm
	}
	err = s.update(ctx, func(tx *store.Tx) error {
		now, err := tx.Advance(s.latest())
		if err != nil {
			return err
		}
		rows, err := tx.LiveRules(p.Name(), agent, now, 10*maxRules)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if r := s.readRule(row); r.Kind == KindStop && r.live(now) {
				return nil
			}
		}
		r := Rule{ID: newID("stop"), Kind: KindStop, Subject: p.Name(), Agent: agent, By: p.Principal, AMR: p.AMR, Created: now}
		return s.insertRule(tx, &r, now, "")
	})
	if err != nil {
		return err
	}
	_, err = s.endHolds(ctx, store.HoldFilter{Subject: p.Name(), States: waitingStates}, func(h store.Hold) bool {
		// Who else of its parties cannot be read does not keep it from ending.
		who, _ := PartiesOf(h)
		return who.Agent.ID == agent
	}, endReason{by: p.Name(), text: stoppedText, note: stoppedText})
	return err
}

// waitingStates are those in which a hold can be ended: it is not being sent yet.
var waitingStates = []store.State{store.Pending, store.Approved}

// endReason is why holds end: who says so, what their agents are told, and what the
// entries say.
type endReason struct{ by, text, note, jti string }

// endHolds denies what waits and refuses what was approved, of the holds that which
// names, and returns how many. Each is a change of its own; one that fails is refused
// at its send.
func (s *Service) endHolds(ctx context.Context, f store.HoldFilter, which func(store.Hold) bool, why endReason) (n int, errs error) {
	holds, err := s.list(ctx, f)
	if err != nil {
		return 0, err
	}
	for _, h := range holds {
		if !which(h) {
			continue
		}
		err := s.update(ctx, func(tx *store.Tx) error {
			h, err := find(tx, h.ID)
			if err != nil || !s.sealed(h) {
				return err
			}
			event, entry := Event(Deny{By: why.by, Reason: why.text}), entryOf(h, store.KindDeny)
			if h.State == store.Approved {
				event, entry = Refuse{}, entryOf(h, store.KindRefuse)
			}
			entry.By, entry.Note, entry.JTI = why.by, why.note, why.jti
			_, err = s.change(tx, h, event, s.Now(), entry)
			return err
		})
		switch {
		case err == nil:
			n++
		case !errors.Is(err, ErrDecided) && !errors.Is(err, ErrExpired):
			errs = errors.Join(errs, fmt.Errorf("end %s: %w", h.ID, err))
		}
	}
	return n, errs
}

// Start lets a stopped agent of the person's go on. Starting one that is not
// stopped is no error.
func (s *Service) Start(ctx context.Context, who Identity, agent string) error {
	if _, err := s.admit(ctx, who); err != nil {
		return err
	}
	rules, err := s.RulesInForce(ctx, who.Name(), agent)
	for _, r := range rules {
		if r.Kind == KindStop {
			err = errors.Join(err, s.Revoke(ctx, who, r.ID))
		}
	}
	return err
}

// AgentState is an agent as its person sees it.
type AgentState struct {
	Name    string    `json:"name"` // what it calls itself, unless verified
	Stopped bool      `json:"stopped"`
	Last    time.Time `json:"last,omitzero"` // its latest entry, of those looked at
}

// Agents lists the person's agents that the newest entries of the log or a rule
// name, those seen last first.
func (s *Service) Agents(ctx context.Context, who Identity) ([]AgentState, error) {
	if _, err := s.admit(ctx, who); err != nil {
		return nil, err
	}
	at := map[string]int{}
	var out []AgentState
	get := func(name string) *AgentState {
		i, ok := at[name]
		if !ok {
			i = len(out)
			at[name], out = i, append(out, AgentState{Name: name})
		}
		return &out[i]
	}
	err := s.c.Store.Newest(ctx, ActivityEntries, func(e store.Entry) error {
		if e.Principal == who.Name() && e.Agent != "" && (len(at) < maxRules || at[e.Agent] > 0) {
			get(e.Agent).Last = e.Time
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rules, err := s.RulesInForce(ctx, who.Name(), "")
	for _, r := range rules {
		a := get(r.Agent)
		a.Stopped = a.Stopped || r.Kind == KindStop
	}
	slices.SortStableFunc(out, func(a, b AgentState) int { return b.Last.Compare(a.Last) })
	return out, err
}
