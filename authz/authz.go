package authz

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// API is what the policies may know of one document.
type API struct {
	Name    string // openapi.API.Name, e.g. "petstore"
	Actions []Action
	// Zone is where times without an offset are meant, if the operator says so.
	Zone *time.Location
}

// Action is one operation as policies see it.
type Action struct {
	Name   string          // tool name
	Effect string          // read, write or delete
	Tags   []string        // the document's tags, as written
	Path   string          // path template, for error texts
	Input  json.RawMessage // input schema, JSON Schema 2020-12
}

// PolicyFile is one file of Cedar policies.
type PolicyFile struct {
	Name string
	Text []byte
}

// Problem is one thing wrong with a policy file.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Policy  string `json:"policy,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// LoadError lists everything wrong with a policy set.
type LoadError struct{ Problems []Problem }

// Principal is the verified identity a call is made for.
type Principal struct {
	Type string `json:"type"` // User or Workload
	ID   string `json:"id"`   // one among all issuers: see docs/identity.md
	// Issuer is who said so; "" is this exeat itself, of its own user.
	Issuer   string    `json:"issuer,omitempty"`
	Groups   []string  `json:"groups,omitempty"`
	Email    string    `json:"email,omitempty"`
	Roles    []string  `json:"roles,omitempty"`
	Scopes   []string  `json:"scopes,omitempty"`
	ACR      string    `json:"acr,omitempty"`
	AuthTime time.Time `json:"auth_time,omitzero"`
}

// Name is the principal in one word, like User::alice: whose holds, entries and
// rules there are.
func (p Principal) Name() string { return p.Type + "::" + p.ID }

// Agent is the program that calls. ID is what it calls itself unless Verified: a
// verified one's begins with a name space of its own ([AgentNamed]).
type Agent struct {
	ID       string `json:"id"`
	Verified bool   `json:"verified"`
	Issuer   string `json:"issuer,omitempty"` // who verified it
	// Chain are those that it acts through, the nearest first (RFC 8693, section 4.1).
	Chain []string `json:"chain,omitempty"`
}

// Is reports whether it is the same agent, reached by the same way.
func (a Agent) Is(b Agent) bool {
	return a.ID == b.ID && a.Verified == b.Verified && a.Issuer == b.Issuer && slices.Equal(a.Chain, b.Chain)
}

// The name spaces of verified agents.
const (
	ByClient = "oauth:"    // an OAuth client: the client_id follows
	ByToken  = "token:"    // who has a static token: its name follows
	BySPIFFE = "spiffe://" // a workload: this is the beginning of its SPIFFE id
)

// AgentNamed is an agent that calls itself so. No such name is a verified agent's:
// one that would be begins with "self:".
func AgentNamed(name string) Agent {
	folded := strings.ToLower(name)
	for _, space := range []string{ByClient, ByToken, BySPIFFE} {
		if strings.HasPrefix(folded, space) {
			return Agent{ID: "self:" + name}
		}
	}
	return Agent{ID: name}
}

// Session is the conversation a call belongs to.
type Session struct {
	ID        string   `json:"id"`
	Transport string   `json:"transport"` // stdio or http
	Labels    []string `json:"labels,omitempty"`
}

// Counts are numbers of calls in the last minute, hour and day.
type Counts struct{ Minute, Hour, Day int64 }

// Usage counts earlier calls by the same principal: those of the same action, and
// wider ones.
type Usage struct {
	Minute, Hour, Day   int64
	Read, Write, Delete Counts // all calls with that effect, of any API
	API                 Counts // all calls of the same API
	Agent               Counts // all calls through the same agent
}

// ApprovalContext is what a person said of a call, with the proof of who said it.
type ApprovalContext struct {
	By                Principal `json:"by"`
	Once              bool      `json:"once"`
	At                time.Time `json:"at"`
	Expires           time.Time `json:"expires"`
	AMR               []string  `json:"amr"` // RFC 8176
	PhishingResistant bool      `json:"phishing_resistant"`
}

// Query is one call to decide.
type Query struct {
	API       string
	Action    string
	Principal Principal
	Agent     Agent
	Session   Session
	Usage     Usage
	Now       time.Time
	Path      string         // the real path below the base URL, e.g. /pets/42
	Exact     bool           // the caller's access token names exactly this request (RFC 9396)
	Input     map[string]any // arguments: nil, bool, string, json.Number, []any, map[string]any
	Approval  *ApprovalContext
	// Earlier are the approvals before Approval, oldest first, each by another person.
	Earlier []ApprovalContext
}

// Outcome is allow, deny or hold.
type Outcome string

// The outcomes of a decision.
const (
	Allow Outcome = "allow"
	Deny  Outcome = "deny"
	Hold  Outcome = "hold"
)

// Remediation says whether asking would help.
type Remediation string

// The remediations.
const (
	RemedyNone     Remediation = "none"
	RemedyApproval Remediation = "approval"
	RemedyStepUp   Remediation = "step_up"
	RemedyArgs     Remediation = "change_arguments"
)

// Decision is what the policies say of a call.
type Decision struct {
	Outcome     Outcome     `json:"outcome"`
	Policies    []string    `json:"policies"` // ids that decided, sorted
	Reason      string      `json:"reason"`   // one sentence, safe for the agent
	Remediation Remediation `json:"remediation"`
	Errors      []string    `json:"errors,omitempty"` // for the operator only
	Obligations Obligations `json:"obligations,omitzero"`
	// Choices are what an approval may say for the policies to accept it; only
	// set for hold.
	Choices Choices `json:"choices,omitzero"`
	// People is how many have to approve before the policies could accept it, those
	// who did among them; only set for hold, and if they are several.
	People int `json:"people,omitempty"`
}

// Obligations are annotations on the permits that decided.
type Obligations struct {
	TokenTTL time.Duration `json:"token_ttl,omitempty"` // shortest; 0 if none
	GrantMax time.Duration `json:"grant_max,omitempty"` // longest time of a grant; 0 if none
	Redact   []string      `json:"redact,omitempty"`    // JSON Pointers cut from the response
}

// Choices say which approvals the policies would accept.
type Choices struct {
	Once  bool `json:"once"`  // approve only this call
	Grant bool `json:"grant"` // a grant for a time
}

// HoldFacts are what the actions on holds, approve and see, know of a hold.
type HoldFacts struct {
	ID        string
	API       string
	Action    string
	Effect    string
	Path      string // of the request, below the base URL
	Requester Principal
	Agent     Agent
	Approval  ApprovalContext   // the choice and its proof; to see, only by whom
	Earlier   []ApprovalContext // that there are already, oldest first
	By        Agent             // that wants to go on with it
	Now       time.Time
}

// Explanation is a decision with what a policy author wants to know of it.
type Explanation struct {
	Decision Decision `json:"decision"`
	// Considered lists every policy that the index offered for the action, with
	// how it came out.
	Considered []PolicyOutcome `json:"considered"`
	// Changes says in sentences what would change the decision.
	Changes []string `json:"changes"`
	// Request is the Cedar request: principal, action, resource, context.
	Request json.RawMessage `json:"request"`
}

// PolicyOutcome is how one policy came out for one request.
type PolicyOutcome struct {
	ID      string `json:"id"`
	Effect  string `json:"effect"` // permit or forbid
	File    string `json:"file"`
	Line    int    `json:"line"`
	Outcome string `json:"outcome"` // satisfied, not satisfied, needs approval, cannot judge an argument, error
}
