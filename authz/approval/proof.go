package approval

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// These keep the MACs apart from each other and from other uses of the key.
const (
	sealDomain  = "exeat hold 1\n"
	proofDomain = "exeat approval 1\n"
)

// seal is the MAC of a hold when it is made: who can write to the database
// cannot change what a person is going to read, or who asked.
func (s *Service) seal(h store.Hold) ([]byte, error) {
	// What changes later, and what the seal itself is.
	h.Version, h.State, h.Approval, h.Denial, h.DeniedBy, h.Owner, h.Result, h.Seal = 0, "", nil, "", "", "", nil, nil
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
	form, err := json.Marshal(h) // a struct: its fields are always in the same order
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, s.Key)
	mac.Write([]byte(sealDomain))
	mac.Write(form)
	return mac.Sum(nil), nil
}

// sealed reports whether the hold is as it was made.
func (s *Service) sealed(h store.Hold) bool {
	want, err := s.seal(h)
	return err == nil && len(s.Key) >= 32 && hmac.Equal(h.Seal, want)
}

// prove is the MAC of an approval of this sealed hold: who can write to the
// database cannot make one, change one, or move one to another hold.
func (s *Service) prove(h store.Hold, a store.Approval) []byte {
	mac := hmac.New(sha256.New, s.Key)
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
	return mac.Sum(nil)
}

// proven reports whether the hold's approval was made with this service's key
// for this hold as it is.
func (s *Service) proven(h store.Hold) bool {
	return s.sealed(h) && h.Approval != nil && hmac.Equal(h.Approval.Proof, s.prove(h, *h.Approval))
}

// ApprovalOf turns a hold's stored approval into what policies see. It does not
// check the proof: Claim has.
func ApprovalOf(h store.Hold) (*authz.Approval, error) {
	if h.Approval == nil {
		return nil, errors.New("the hold has no approval")
	}
	a := &authz.Approval{Once: h.Approval.Once, At: h.Approval.At, Expires: h.Approval.Expires, AMR: h.Approval.AMR}
	if err := json.Unmarshal(h.Approval.By, &a.By); err != nil {
		return nil, fmt.Errorf("read who approved: %v", err)
	}
	return a, nil
}
