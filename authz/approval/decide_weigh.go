package approval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Errors of approvals that bring nothing about.
var (
	ErrTwice  = errors.New("you have approved this call already: another person has to approve it, too")
	ErrNoHelp = errors.New("your approval would not let this call go")
)

// Weight is what a person's approval would do to a pending hold.
type Weight string

// What an approval can do.
const (
	Sends  Weight = "sends"   // the call goes
	Waits  Weight = "waits"   // it counts, and another person has to approve, too
	Twice  Weight = "twice"   // nothing: this person has approved already
	NoHelp Weight = "no_help" // nothing: the policies would not let the call go for it, nor with what others say after it
)

// Given is an approval that a hold has already.
type Given struct {
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Passkey bool      `json:"passkey"` // signed it
}

// givenOf are the approvals that a hold has, oldest first.
func givenOf(h store.Hold) (list []Given) {
	for _, a := range approvalsOf(h) {
		list = append(list, Given{a.ByName, a.At, len(a.Signed) > 0})
	}
	return list
}

// Stand is where a hold stands, in a word that changes with every approval.
func Stand(h store.Hold) string {
	if h.State == store.Pending && len(h.Earlier) > 0 {
		return fmt.Sprintf("%s %d", h.State, len(h.Earlier))
	}
	return string(h.State)
}

// approvedBy reports whether a person has approved a hold already.
func approvedBy(h store.Hold, person string) bool {
	return slices.ContainsFunc(approvalsOf(h), func(a store.Approval) bool { return a.ByName == person })
}

// weigh asks the policies what an approval would do to a hold, after those that it
// has: it goes, others have to approve, too, or it never goes for it. The call is
// decided once more before it is sent. What this process does not serve is for the
// one that sends to decide.
func (s *Service) weigh(ctx context.Context, h store.Hold, a authz.ApprovalContext, now time.Time) (Weight, authz.Decision, error) {
	if approvedBy(h, a.By.Name()) {
		return Twice, authz.Decision{Outcome: authz.Deny, Reason: ErrTwice.Error()}, nil
	}
	if !s.c.Engine.Knows(h.API, h.Tool) {
		return Sends, authz.Decision{Outcome: authz.Allow}, nil
	}
	q, err := s.query(ctx, h, now)
	if err != nil {
		return NoHelp, authz.Decision{}, err
	}
	q.Approval = &a
	switch d := s.c.Engine.Decide(q); d.Outcome {
	case authz.Allow:
		return Sends, d, nil
	case authz.Hold:
		return Waits, d, nil
	default:
		return NoHelp, d, nil
	}
}

// query is a held call as the policies are asked about it now.
func (s *Service) query(ctx context.Context, h store.Hold, now time.Time) (q authz.Query, err error) {
	who, err := PartiesOf(h)
	if err != nil {
		return q, err
	}
	if s.c.Current != nil {
		if now, known := s.c.Current(who); known {
			who.Principal = now
		}
	}
	q = authz.Query{API: h.API, Action: h.Tool, Principal: who.Principal, Agent: who.Agent, Session: who.Session, Now: now, Path: h.Request.Path}
	dec := json.NewDecoder(strings.NewReader(string(h.Args)))
	dec.UseNumber()
	if err := dec.Decode(&q.Input); err != nil {
		return q, fmt.Errorf("read the arguments of %s: %v", h.ID, err)
	}
	if q.Earlier, err = contextsOf(h.Earlier); err != nil {
		return q, err
	}
	q.Usage, err = s.usage(ctx, h, who, now)
	return q, err
}

// usage counts earlier calls, if a policy asks for it.
func (s *Service) usage(ctx context.Context, h store.Hold, who Parties, now time.Time) (authz.Usage, error) {
	own, all := s.c.Engine.ReadsUsage(h.API, h.Tool)
	if !own && !all {
		return authz.Usage{}, nil
	}
	list, err := s.c.Store.UsageOfAll(ctx, store.UsageOf{Principal: h.Subject, API: h.API, Tool: h.Tool, Agent: who.Agent.ID,
		Since: [3]time.Time{now.Add(-time.Minute), now.Add(-time.Hour), now.Add(-24 * time.Hour)}})
	if err != nil {
		return authz.Usage{}, fmt.Errorf("count earlier calls: %v", err)
	}
	return SumUsage(list), nil
}

// SumUsage is the usage that groups of calls add up to. A call whose effect is not
// known counts as any: a budget is rather used up than overdrawn.
func SumUsage(groups []store.Tally) authz.Usage {
	var u authz.Usage
	var own authz.Counts
	for _, g := range groups {
		for _, x := range []struct {
			counts *authz.Counts
			in     bool
		}{
			{&own, g.SameTool}, {&u.API, g.SameAPI}, {&u.Agent, g.SameAgent},
			{&u.Read, g.Effect == "read" || g.Effect == ""},
			{&u.Write, g.Effect == "write" || g.Effect == ""},
			{&u.Delete, g.Effect == "delete" || g.Effect == ""},
		} {
			if x.in {
				x.counts.Minute += g.Calls[0]
				x.counts.Hour += g.Calls[1]
				x.counts.Day += g.Calls[2]
			}
		}
	}
	u.Minute, u.Hour, u.Day = own.Minute, own.Hour, own.Day
	return u
}

// endings are the entries after which a hold is not open.
var endings = []store.Kind{store.KindDeny, store.KindCancel, store.KindExpire, store.KindRefuse}

// checkEnded is ErrTampered for a hold that the log knows to have ended, or to have
// been sent more often than the API refused it and did nothing, which its row says: the
// row, and the approvals in it, were put back.
func (s *Service) checkEnded(ctx context.Context, h store.Hold) error {
	ended, refused := false, 0
	if h.Approval != nil {
		refused = h.Approval.Refused
	}
	err := s.c.Store.Chain(ctx, h.Txn, func(e store.Entry) error {
		if e.Hold == h.ID && e.Kind == store.KindSend {
			refused--
			ended = ended || refused < 0
		}
		attempt := e.Code != "" && e.Kind != store.KindRefuse // that was refused
		ended = ended || e.Hold == h.ID && !attempt && slices.Contains(endings, e.Kind)
		return nil
	})
	if err == nil && ended {
		err = ErrTampered
	}
	return err
}

// stands is why an approval that a hold has does not count any more, or nil: the key
// that signed it is not good, who gave it was ended, or the policies do not let that person decide, after
// those who approved before. Another process may have taken it, under other policies.
func (s *Service) stands(tx *store.Tx, h store.Hold, a store.Approval, now time.Time) error {
	var by authz.Principal
	if !s.made(h, a) || json.Unmarshal(a.By, &by) != nil || by.Name() != a.ByName {
		return ErrTampered
	}
	if err := errors.Join(s.checkSigner(tx, h, a), s.checkApprover(tx, a)); err != nil {
		return err
	}
	if d := s.mayChoose(h, Person{Principal: by, AMR: a.AMR, Strong: len(a.Signed) > 0}, a.Once, now); d.Outcome != authz.Allow {
		return fmt.Errorf("%w: %s", ErrForbidden, d.Reason)
	}
	return nil
}

// dropFallen is a sealed hold without the earlier approvals that do not count any
// more. Each is asked about as of when it was given, by the policies of now: that a
// login grows old while others read is no fault of who was logged in.
func (s *Service) dropFallen(tx *store.Tx, h store.Hold) (store.Hold, error) {
	left := h
	left.Earlier = nil
	for _, a := range h.Earlier {
		switch err := s.stands(tx, left, a, a.At); {
		case err == nil:
			left.Earlier = append(left.Earlier, a)
		case !errors.Is(err, ErrForbidden):
			return h, err
		}
	}
	return left, nil
}
