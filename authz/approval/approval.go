package approval

import (
	"errors"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Errors of the service. What comes back may wrap them.
var (
	ErrNotFound  = errors.New("no such hold")
	ErrDecided   = errors.New("already decided")
	ErrExpired   = errors.New("expired")
	ErrForbidden = errors.New("the policies do not let you decide this")
	ErrTooMany   = errors.New("too many held calls")
	ErrTampered  = errors.New("the stored hold does not match its approval")
	ErrDigest    = errors.New("the digest is not that of the held request")
	ErrReason    = errors.New("the reason must be text of at most 500 characters")
)

// maxReason bounds a person's reason, in characters.
const maxReason = 500

// Person is somebody who is logged in to the inbox.
type Person struct {
	Principal authz.Principal
	AMR       []string // how, RFC 8176
	Strong    bool     // by a passkey, which no page of another can ask for
	Since     time.Time
}

// Name is the person in holds and entries.
func (p Person) Name() string { return p.Principal.Type + "::" + p.Principal.ID }

// Login is the same for entries.
func (p Person) Login() *store.Login {
	return &store.Login{ACR: p.Principal.ACR, AMR: p.AMR, AuthTime: p.Principal.AuthTime}
}

// Verdict is what a person says of a hold. Digest must be the hold's, so that
// what was shown is what is decided.
type Verdict struct {
	Approve bool
	Digest  string
	Reason  string // for a denial: told to the agent; at most 500 characters
	// Signed is the proof of a passkey for an approval. Who has a passkey needs it.
	Signed *Signed
	// Typed is what a tired person typed to approve: see [ToType].
	Typed string
}
