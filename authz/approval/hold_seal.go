package approval

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// These keep the MACs apart from each other and from other uses of the key.
const (
	outlineDomain = "exeat hold outline 2\n"
	sealDomain    = "exeat hold 2\n"
	markDomain    = "exeat hold state 1\n"
	proofDomain   = "exeat approval 1\n"
)

// seal is two MACs of a hold when it is made, of its outline and of all of it:
// who can write to the database cannot change what a person is going to read,
// or who asked. The outline is what lists show, so that a list need not read
// whole requests to know that it tells the truth.
func (s *Service) seal(h store.Hold) ([]byte, error) {
	// What changes later, and what the seal itself is.
	h.Version, h.State, h.Approval, h.Earlier, h.Denial, h.DeniedBy, h.Owner, h.Result, h.After, h.Seal, h.Mark = 0, "", nil, nil, "", "", "", nil, nil, nil, nil
	h.Lease, h.Changed = time.Time{}, time.Time{}
	// Nil and empty are one in the database.
	if len(h.Policies) == 0 {
		h.Policies = nil
	}
	if len(h.Request.Header) == 0 {
		h.Request.Header = nil
	}
	if len(h.Request.Body) == 0 {
		h.Request.Body = nil
	}
	whole, err := json.Marshal(h) // a struct: its fields are always in the same order
	if err != nil {
		return nil, err
	}
	h.Args, h.Request, h.Details, h.Choices, h.Before, h.Says, h.Masked, h.Waived = nil, store.Request{}, nil, nil, nil, "", nil, nil
	outline, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return append(s.mac(outlineDomain, outline), s.mac(sealDomain, whole)...), nil
}

// mark is the MAC of where a hold stands: who can write to the database cannot
// say that a call was denied, sent or answered.
func (s *Service) mark(h store.Hold) []byte {
	form, err := json.Marshal(struct {
		ID                      string
		Seal                    []byte
		Version                 int64
		State                   store.State
		Approval                *store.Approval
		Denial, DeniedBy, Owner string
		Lease                   time.Time
		Result                  []byte
		Changed                 time.Time
		After                   *store.Snapshot  `json:",omitempty"`
		Earlier                 []store.Approval `json:",omitempty"`
	}{h.ID, h.Seal, h.Version, h.State, h.Approval, h.Denial, h.DeniedBy, h.Owner, h.Lease.UTC(), h.Result, h.Changed.UTC(), h.After, h.Earlier})
	if err != nil {
		return nil // what has no mark is not sealed
	}
	return s.mac(markDomain, form)
}

func (s *Service) mac(domain string, form []byte) []byte {
	mac := hmac.New(sha256.New, s.c.Key)
	mac.Write([]byte(domain))
	mac.Write(form)
	return mac.Sum(nil)
}

// sealed reports whether the hold is as it was made, and stands where this
// service's key has put it.
func (s *Service) sealed(h store.Hold) bool {
	want, err := s.seal(h)
	return err == nil && hmac.Equal(h.Seal, want) && s.marked(h)
}

// outlined is sealed for what lists show: it says nothing of the arguments and
// the request.
func (s *Service) outlined(h store.Hold) bool {
	want, err := s.seal(h)
	return err == nil && len(h.Seal) == len(want) && hmac.Equal(h.Seal[:sha256.Size], want[:sha256.Size]) && s.marked(h)
}

func (s *Service) marked(h store.Hold) bool {
	return len(s.c.Key) >= 32 && len(h.Mark) > 0 && hmac.Equal(h.Mark, s.mark(h))
}

// prove is the MAC of an approval of this sealed hold: who can write to the
// database cannot make one, change one, or move one to another hold.
func (s *Service) prove(h store.Hold, a store.Approval) []byte {
	mac := hmac.New(sha256.New, s.c.Key)
	mac.Write([]byte(proofDomain))
	number := func(n int64) { binary.Write(mac, binary.BigEndian, n) } // a hash takes every write
	field := func(b string) {
		number(int64(len(b)))
		mac.Write([]byte(b))
	}
	for _, x := range []string{h.ID, h.Digest, string(h.Seal), string(a.By), a.ByName} {
		field(x)
	}
	once := int64(0)
	if a.Once {
		once = 1
	}
	number(once)
	number(a.At.UnixMicro())
	number(a.Expires.UnixMicro())
	number(int64(len(a.AMR)))
	for _, m := range a.AMR {
		field(m)
	}
	if len(a.Signed) > 0 {
		field(string(a.Signed))
	}
	if a.Grant != "" { // which never looks like JSON
		field(a.Grant)
	}
	return mac.Sum(nil)
}

// proven reports whether the hold's approvals were made with this service's key
// for this hold as it is.
func (s *Service) proven(h store.Hold) bool {
	if !s.sealed(h) || h.Approval == nil {
		return false
	}
	for _, a := range approvalsOf(h) {
		if !s.made(h, a) {
			return false
		}
	}
	return true
}

// made reports whether an approval was made with this service's key for this sealed
// hold.
func (s *Service) made(h store.Hold, a store.Approval) bool {
	return hmac.Equal(a.Proof, s.prove(h, a))
}

// ApprovalOf turns a hold's stored approvals into what policies see: the one at hand,
// and those before it. It does not check their proofs: Claim has.
func ApprovalOf(h store.Hold) (last *authz.ApprovalContext, earlier []authz.ApprovalContext, err error) {
	if h.Approval == nil {
		return nil, nil, errors.New("the hold has no approval")
	}
	all, err := contextsOf(approvalsOf(h))
	if err != nil {
		return nil, nil, err
	}
	return &all[len(all)-1], all[:len(all)-1], nil
}

// approvalsOf are all approvals of a hold, oldest first.
func approvalsOf(h store.Hold) []store.Approval {
	list := slices.Clone(h.Earlier)
	if h.Approval != nil {
		list = append(list, *h.Approval)
	}
	return list
}

// contextsOf turns stored approvals into what policies see.
func contextsOf(list []store.Approval) (out []authz.ApprovalContext, err error) {
	for _, a := range list {
		c := authz.ApprovalContext{Once: a.Once, At: a.At, Expires: a.Expires, AMR: a.AMR, PhishingResistant: len(a.Signed) > 0}
		if err := json.Unmarshal(a.By, &c.By); err != nil {
			return nil, fmt.Errorf("read who approved: %v", err)
		}
		out = append(out, c)
	}
	return out, nil
}
