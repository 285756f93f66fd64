package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/exeat/exeat/store"
)

// grantProof is the signature of a grant, and the hold on whose page it was
// given.
type grantProof struct {
	Hold   string `json:"hold"`
	Digest string `json:"digest"`
	Signed Signed `json:"signed"`
}

// hashValue names a value without telling it.
func hashValue(value string) string {
	if value == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("exeat value 1\n" + value))
	return "sha-256:" + hex.EncodeToString(sum[:])
}

// Terms are all that a passkey signs of a grant: whose calls, which, how many,
// and for how long.
func (r Rule) Terms() string {
	// The signature goes into the log, and the values of arguments do not.
	r.Scope.Same = hashValue(r.Scope.Same)
	equal := slices.Clone(r.Scope.Equal)
	for i := range equal {
		equal[i].Value = hashValue(equal[i].Value)
	}
	r.Scope.Equal = equal
	form, err := json.Marshal(struct {
		Subject  string `json:"subject"`
		Agent    string `json:"agent"`
		Verified bool   `json:"agent_verified"`
		Scope    Scope  `json:"scope"`
		Max      int64  `json:"max,omitempty"`
		For      string `json:"for"`
	}{r.Subject, r.Agent, r.Verified, r.Scope, r.Max, r.Ends.Sub(r.Created).String()})
	if err != nil {
		return "" // which nobody signs
	}
	return choiceGrant + string(form)
}

// verifyRule reports whether the key that signed a grant is good, and did sign
// it as it stands. A grant that nobody signed needs no key.
func (s *Service) verifyRule(tx *store.Tx, r Rule) (bool, error) {
	if r.proof == nil {
		return true, nil
	}
	who, err := s.signers(tx, r.By.Name())
	if err != nil || r.proof.Signed.Choice != r.Terms() {
		return false, err
	}
	_, err = verifySigned(who, r.proof.Hold, r.proof.Digest, r.proof.Signed)
	return err == nil, nil
}
