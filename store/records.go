package store

import (
	"encoding/json"
	"time"
)

// State is where a hold stands; package approval owns the transitions.
type State string

// The states of a hold.
const (
	Pending   State = "pending"
	Approved  State = "approved"
	Sending   State = "sending"
	Done      State = "done"
	Refused   State = "refused"
	Unknown   State = "unknown"
	Denied    State = "denied"
	Expired   State = "expired"
	Cancelled State = "cancelled"
)

// Request is a stored HTTP request, byte for byte, without credentials. Its
// strings are valid UTF-8; Insert refuses others.
type Request struct {
	Method      string              `json:"method"`
	Origin      string              `json:"origin"`
	Target      string              `json:"target"`
	Path        string              `json:"path"`
	ContentType string              `json:"content_type,omitempty"`
	Header      map[string][]string `json:"header,omitempty"`
	Body        []byte              `json:"body,omitempty"`
}

// Approval is what a person said of a hold, and the proof of who said it.
type Approval struct {
	By      json.RawMessage `json:"by"`      // authz.Principal
	ByName  string          `json:"by_name"` // for people
	Once    bool            `json:"once"`
	At      time.Time       `json:"at"`
	Expires time.Time       `json:"expires"`
	AMR     []string        `json:"amr"`
	// Signed is the proof of a passkey, if one signed: approval.Signed as JSON.
	Signed json.RawMessage `json:"signed,omitempty"`
	// Refused is how often the call was sent, and the API refused it and did nothing,
	// since it wants another login. The hold's mark is over it.
	Refused int `json:"refused,omitempty"`
	// Grant is the grant that was given with it, and must be in force for it.
	Grant string `json:"grant,omitempty"`
	// Proof is a MAC over the hold's id, digest and the fields above but Refused, made
	// with a key that is not in the database.
	Proof []byte `json:"proof"`
}

// Hold is a call kept until a person decides. Times are kept to the microsecond
// and JSON values without the space between their tokens, so make them compact
// if their bytes matter.
type Hold struct {
	ID        string // handle: "hold_" and 128 random bits
	Version   int64  // counts changes; what compare-and-swap compares
	State     State
	API       string
	Tool      string
	Effect    string
	Summary   string          // one sentence from the document and the request
	Principal json.RawMessage // authz.Principal
	Subject   string          // "User::alice": whose hold it is
	Agent     json.RawMessage // authz.Agent
	Session   json.RawMessage // authz.Session
	Args      json.RawMessage // canonical arguments
	Request   Request
	Details   json.RawMessage // token.Details, as bound
	Digest    string          // of Details: 64 hex digits
	Dedupe    string          // equal for equal calls of one principal
	Policies  []string        // that held it
	Reason    string          // why it was held
	PolicySet string          // digest of the policies that held it
	Choices   json.RawMessage // authz.Choices
	Txn       string
	// Before is what the call changes as it stood when the call was held, or nil.
	Before *Snapshot `json:",omitempty"`
	// Masked are the JSON Pointers of arguments that are not for everybody's eyes.
	Masked []string `json:",omitempty"`
	// Waived are those that whoever runs exeat has hidden from all who approve. The
	// others are looked at before the call can be approved.
	Waived []string `json:",omitempty"`
	// Says is the agent's own reason, which nobody has checked.
	Says string `json:",omitempty"`
	// Path is that of Request, for outlines; holds from before this was kept have none.
	Path string `json:",omitempty"`
	// Phrase is the sentence that says what it does (phrase.Sentence), without hidden
	// values; Marks are words for what kind of danger there is. Older holds have none.
	Phrase json.RawMessage `json:",omitempty"`
	Marks  []string        `json:",omitempty"`
	// Seal is a MAC over all of the above that never changes, made with a key
	// that is not in the database.
	Seal     []byte
	Created  time.Time
	Expires  time.Time
	Approval *Approval
	// Earlier are approvals of other people that were not enough alone, oldest first.
	Earlier  []Approval `json:",omitempty"`
	Denial   string     // the person's reason, told to the agent
	DeniedBy string
	Owner    string    // process that claimed the send
	Lease    time.Time // until when the claim holds
	Result   []byte    // what the handle yields, once final
	// After is what Before had become when a call was refused for it, or nil.
	After   *Snapshot `json:",omitempty"`
	Changed time.Time
	// Mark is a MAC over where the hold stands: all that changes, and Seal.
	Mark []byte
}

// Login is how a person was recognised, as whoever did it says.
type Login struct {
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`      // RFC 8176
	AuthTime time.Time `json:"auth_time,omitzero"` // when
}

// Credential is what is known of the credential of a call. It holds no secret.
type Credential struct {
	Issuer   string    `json:"issuer,omitempty"` // the host of who made it
	Audience string    `json:"audience,omitempty"`
	Scope    string    `json:"scope,omitempty"`
	Expires  time.Time `json:"expires,omitzero"`
	Narrowed string    `json:"narrowed,omitempty"` // what else keeps it to this call
	Wider    string    `json:"wider,omitempty"`    // in what it is wider than the call needs
	// Revocable says that it is revoked after the call, of which another entry tells.
	Revocable bool `json:"revocable,omitempty"`
}

// Entry is one line of the audit log.
type Entry struct {
	Seq       int64     `json:"seq"`
	Time      time.Time `json:"time"`
	Kind      Kind      `json:"kind"`
	Txn       string    `json:"txn,omitempty"`
	Principal string    `json:"principal,omitempty"`
	Agent     string    `json:"agent,omitempty"`
	Session   string    `json:"session,omitempty"`
	API       string    `json:"api,omitempty"`
	Tool      string    `json:"tool,omitempty"`
	Effect    string    `json:"effect,omitempty"` // read, write, delete
	Method    string    `json:"method,omitempty"`
	Path      string    `json:"path,omitempty"` // without the query: it may hold secrets
	Digest    string    `json:"digest,omitempty"`
	Decision  string    `json:"decision,omitempty"` // allow, deny, hold
	Policies  []string  `json:"policies,omitempty"`
	PolicySet string    `json:"policy_set,omitempty"`
	Hold      string    `json:"hold,omitempty"`
	By        string    `json:"by,omitempty"` // the person who decided
	Code      string    `json:"code,omitempty"`
	Status    int       `json:"http_status,omitempty"`
	Strategy  string    `json:"strategy,omitempty"` // of the credential
	JTI       string    `json:"jti,omitempty"`
	Standing  bool      `json:"standing,omitempty"` // the credential outlives the call
	// Credential says more of the credential that the request left with.
	Credential *Credential `json:"credential,omitempty"`
	Grant      string      `json:"grant,omitempty"` // by which it was allowed, or which it is about
	Note       string      `json:"note,omitempty"`
	// Signed is the proof of a passkey for an approval: approval.Signed as JSON.
	Signed json.RawMessage `json:"signed,omitempty"`
	// Took is how many milliseconds the person who decides had the hold before
	// their eyes; 0 if that is not known.
	Took int64 `json:"took_ms,omitempty"`
	// Login is how the person who logs in or decides was recognised.
	Login *Login `json:"login,omitempty"`
	// Before is the time before which tokens of a user that was ended count no more.
	Before time.Time `json:"before,omitzero"`
	// Ended are reads that went well since the entry before: the Seq of the entry of
	// each, and the HTTP status of its answer.
	Ended [][2]int64 `json:"ended,omitempty"`

	Prev string `json:"prev"` // hash of the entry before
	Hash string `json:"hash"`
}
