package approval

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// proofDomain keeps this MAC apart from other uses of a key.
const proofDomain = "exeat approval 1\n"

// prove is the MAC of an approval of this hold: who can write to the database
// cannot make one, change one, move one to another hold or request, or change
// who asked for what between the yes and the send.
func (s *Service) prove(h store.Hold, a store.Approval) []byte {
	mac := hmac.New(sha256.New, s.Key)
	mac.Write([]byte(proofDomain))
	number := func(n int64) { binary.Write(mac, binary.BigEndian, n) } // a hash takes every write
	field := func(b string) {
		number(int64(len(b)))
		mac.Write([]byte(b))
	}
	for _, x := range []string{h.ID, h.Digest, h.API, h.Tool, h.Effect, h.Subject, h.Txn, string(h.Principal), string(h.Agent), string(h.Session),
		string(h.Args), string(h.Details), string(a.By), a.ByName} {
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
	return len(s.Key) >= 32 && h.Approval != nil && hmac.Equal(h.Approval.Proof, s.prove(h, *h.Approval))
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
