package token

import "time"

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
	Strategy string    // signed, static, client_credentials
	JTI      string    // signed only
	Expires  time.Time // zero for a standing key
	Standing bool      // a key that outlives the call
}
