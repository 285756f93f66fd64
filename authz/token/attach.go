package token

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// DefaultTTL and MaxTTL bound the life of a signed token.
const (
	DefaultTTL = 30 * time.Second
	MaxTTL     = 60 * time.Second
)

// leeway is how far the clocks of minter and verifier may differ.
const leeway = 5 * time.Second

// Call is what a credential is made for.
type Call struct {
	Txn        string // the call's id
	Subject    string // the principal
	Person     string // the same with its type, such as User::alice
	Agent      string // the agent's client id or name
	Client     string // client_id, if it is not the agent: a name that nobody verified is none
	Audience   string
	Scopes     []string
	AuthTime   time.Time
	ACR        string
	AMR        []string
	Details    Details
	TTL        time.Duration // whole seconds, rounded down; 0 means DefaultTTL, more than MaxTTL is an error
	Approval   *ApprovalClaim
	DecisionID string
	PolicySet  string // digest
	Effect     string // of the call, as it was decided: read, write or delete
	// Template is the path of the operation in the document, such as
	// /repos/{owner}/{repo}; Path holds the values of its parameters, not encoded.
	Template string
	Path     map[string]string
	// Caller is the access token that the caller called with, which is never sent
	// to an API: an authorization server exchanges it. It is zero where there is
	// none. CallerBound says that it is of use only with a key that exeat does not
	// have (cnf).
	Caller      Secret
	CallerBound bool
	// Fresh says that the API refused the credential before as stale: nothing that
	// was kept may be used.
	Fresh bool
}

// ApprovalClaim is the claim urn:exeat:approval.
type ApprovalClaim struct {
	ID      string   `json:"id"` // the hold's handle
	By      string   `json:"by"`
	At      int64    `json:"at"`    // Unix seconds
	Until   int64    `json:"until"` // Unix seconds
	Once    bool     `json:"once"`
	AMR     []string `json:"amr,omitempty"`
	Details string   `json:"details"` // digest of what the person saw
}

// Receipt says which credential a request left with. It holds no secret.
type Receipt struct {
	Strategy string    // signed, static, client_credentials, ...
	JTI      string    // signed only
	Expires  time.Time // zero for a standing key
	Standing bool      // a key that outlives the call
	// Renewable says that Call.Fresh can bring another one.
	Renewable bool
	Issuer    string // who made it: the host of an authorization server, a vendor
	Audience  string // whom it is for
	Scope     string // what it allows, as its issuer says, or else as it was asked for
	Narrowed  string // what else keeps it to this call, in words
	Wider     string // in what it is wider than the call needs, in words
	// Challenged is told which claims the API wants of the caller's token instead
	// (ClaimsError), for the next credential of the same. It is nil where that is of no
	// use.
	Challenged func(claims json.RawMessage)
	// Revoke ends the credential once the call has its answer. It is nil where that
	// cannot be done.
	Revoke func(context.Context) error
	// Answered is told of the API's answer, and reports whether that asks for the same
	// request once more with another credential, having done nothing. It is nil where
	// the credential is indifferent to answers.
	Answered func(*http.Response) (again bool)
}
