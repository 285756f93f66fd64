package approval

import (
	"errors"
	"fmt"

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
	// ErrBetterLogin is a hold that somebody may see after a better login only.
	ErrBetterLogin = fmt.Errorf("%w that you may see as you are logged in", ErrNotFound)
	ErrReason      = errors.New("the reason must be text of at most 500 characters")
)

// maxReason bounds a person's reason, in characters.
const maxReason = 500

// Verdict is what a person says of a hold as it was shown to them.
type Verdict struct {
	Approve bool
	Hold    string
	Digest  string // of the hold, so that what was shown is what is decided
	Reason  string // for a denial: told to the agent; at most 500 characters
	// Signed is the proof of a passkey for an approval. Who has a passkey needs it.
	Signed *Signed
	// Typed is what a tired person typed to approve: see [QuestionOf].
	Typed string
	// Seen names what an approval had to be preceded by, and was, as the page that asked
	// for it says: for the entry.
	Seen []string
	// Rule is given with the verdict for calls to come: a grant with an approval,
	// a block with a denial.
	Rule *Offer
	// Together are holds that were shown on one page, of which this is said
	// instead of Hold. A passkey signs the whole list.
	Together []Shown
}

// Shown is a hold as a person saw it.
type Shown struct {
	ID     string `json:"hold"`
	Digest string `json:"digest"`
}

// Decided is what became of a hold.
type Decided struct {
	Hold store.Hold // zero if the person may not see it
	Rule Rule       // if one was given
	Err  error      // why the verdict changed nothing
}

// One is the outcome of a verdict on one hold.
func One(list []Decided, err error) (store.Hold, error) {
	if err != nil || len(list) == 0 {
		return store.Hold{}, err
	}
	return list[0].Hold, list[0].Err
}
