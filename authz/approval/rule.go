package approval

import (
	"bytes"
	"crypto/hmac"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// The kinds of a [Rule].
const (
	KindGrant = "grant"  // these calls may go until its end
	KindBlock = "denial" // these calls are denied until its end, without asking
	KindStop  = "stop"   // nothing of this agent goes until a person starts it again
)

// How far a rule reaches from its path.
const (
	ReachExact = "exact" // this path
	ReachBelow = "below" // this path and those below it, segment by segment
	ReachAny   = "any"   // every path of the tool
)

// Which arguments a rule wants.
const (
	ArgsSame = "same" // all of them exactly so, and no others
	ArgsSome = "some" // the chosen ones exactly so
	ArgsAny  = "any"
)

// Equal is an argument that must have exactly one value.
type Equal struct {
	Pointer string `json:"pointer"` // RFC 6901, into the canonical arguments
	Value   string `json:"value"`   // canonical JSON
}

// Scope is which calls a rule is about.
type Scope struct {
	Place Place   `json:"place,omitzero"`
	API   string  `json:"api,omitempty"`
	Tool  string  `json:"tool,omitempty"`
	Reach string  `json:"reach,omitempty"`
	Path  string  `json:"path,omitempty"`
	Args  string  `json:"args,omitempty"`
	Same  string  `json:"same,omitempty"`  // canonical JSON, for ArgsSame
	Equal []Equal `json:"equal,omitempty"` // for ArgsSome
	// Task makes it several tools, in the place of Tool.
	Task *Task `json:"task,omitempty"`
}

// Place is where calls go, and by which document. The same tool of the same
// document can be another system's under another base URL, and another request
// under another document of the same name.
type Place struct {
	Audience string `json:"audience,omitempty"` // the API's resource identifier (RFC 8707)
	Origin   string `json:"origin,omitempty"`   // scheme and host
	Method   string `json:"method,omitempty"`
	Document string `json:"document,omitempty"` // its digest
}

// whole reports whether nothing of a place is missing.
func (p Place) whole() bool {
	return p.Audience != "" && p.Origin != "" && p.Method != "" && p.Document != ""
}

// Shape is a call as rules see it.
type Shape struct {
	Principal authz.Principal
	Agent     authz.Agent
	Place     Place
	API       string
	Tool      string
	Effect    string
	Path      string
	Args      []byte // canonical JSON
}

func (c Shape) subject() string { return c.Principal.Name() }

// Rule is what a person said of calls to come: a grant, a block or
// the stop of an agent.
type Rule struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind"`
	Subject   string          `json:"subject"` // "User::alice": whose agents
	Agent     string          `json:"agent"`   // what the agent calls itself, unless verified
	Verified  bool            `json:"agent_verified"`
	Scope     Scope           `json:"scope,omitzero"`
	Effect    string          `json:"effect,omitempty"` // of the tool
	Max       int64           `json:"max,omitempty"`    // uses; 0 is no maximum
	By        authz.Principal `json:"by"`
	AMR       []string        `json:"amr,omitempty"`
	Reason    string          `json:"reason,omitempty"` // of a block or stop, told to the agent
	Created   time.Time       `json:"created"`
	Ends      time.Time       `json:"ends,omitzero"` // zero: not by itself
	Revoked   time.Time       `json:"revoked,omitzero"`
	RevokedBy string          `json:"revoked_by,omitempty"`
	Used      int64           `json:"used"`
	Sum       string          `json:"sum,omitempty"` // what the calls of a task come to so far
	Last      time.Time       `json:"last,omitzero"` // its latest use
	// Signed says that a passkey signed it; it is in force while that key is good.
	Signed bool `json:"signed,omitempty"`
	// Damaged says that the stored rule is not what was made: it allows nothing,
	// and while it is there nothing of its agent goes.
	Damaged bool `json:"damaged,omitempty"`

	// Masked are the pointers of arguments that are not shown unasked.
	Masked []string `json:"-"`

	burst   burst
	proof   *grantProof
	stored  store.Rule
	nobodys bool // it is damaged, and the log does not say whose it is
}

// burst counts the uses within one minute.
type burst struct {
	Since time.Time `json:"since,omitzero"`
	N     int       `json:"n,omitempty"`
}

// ruleFixed and ruleState are the JSON columns of a rule.
type ruleFixed struct {
	Verified bool            `json:"verified"`
	Scope    Scope           `json:"scope"`
	Effect   string          `json:"effect,omitempty"`
	Max      int64           `json:"max,omitempty"`
	By       authz.Principal `json:"by"`
	AMR      []string        `json:"amr,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	Proof    *grantProof     `json:"proof,omitempty"`
	Masked   []string        `json:"masked,omitempty"`
}

type ruleState struct {
	Used      int64     `json:"used"`
	Sum       string    `json:"sum,omitempty"`
	Last      time.Time `json:"last,omitzero"`
	Burst     burst     `json:"burst,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
}

const ruleDomain = "exeat rule 1\n"

// ruleMark is the MAC of a whole stored rule: who can write to the database
// cannot make one, widen one, or bring one back.
func (s *Service) ruleMark(r store.Rule) []byte {
	r.Mark = nil
	r.Created, r.Ends, r.Revoked = r.Created.UTC(), r.Ends.UTC(), r.Revoked.UTC()
	form, err := json.Marshal(r)
	if err != nil {
		return nil
	}
	return s.mac(ruleDomain, form)
}

// storeRule is a rule with its mark, as it is to be stored.
func (s *Service) storeRule(r Rule) (store.Rule, error) {
	out := store.Rule{ID: r.ID, Version: r.stored.Version, Kind: r.Kind, Subject: r.Subject, Agent: r.Agent,
		Created: r.Created, Ends: r.Ends, Revoked: r.Revoked, Fixed: r.stored.Fixed}
	var err error
	if out.Fixed == nil {
		out.Fixed, err = json.Marshal(ruleFixed{r.Verified, r.Scope, r.Effect, r.Max, r.By, r.AMR, r.Reason, r.proof, r.Masked})
	}
	if err == nil {
		out.State, err = json.Marshal(ruleState{r.Used, r.Sum, r.Last, r.burst, r.RevokedBy})
	}
	after := out
	if r.stored.Version == 0 {
		out.Version, after.Version = 1, 1
	} else {
		after.Version++
	}
	out.Mark = s.ruleMark(after)
	return out, err
}

// readRule is a stored rule; one that is not as it was made comes back Damaged.
func (s *Service) readRule(r store.Rule) Rule {
	out := Rule{ID: r.ID, Kind: r.Kind, Subject: r.Subject, Agent: r.Agent, Created: r.Created, Ends: r.Ends, Revoked: r.Revoked, stored: r}
	var f ruleFixed
	var st ruleState
	good := len(s.c.Key) >= 32 && len(r.Mark) > 0 && hmac.Equal(r.Mark, s.ruleMark(r)) &&
		json.Unmarshal(r.Fixed, &f) == nil && json.Unmarshal(r.State, &st) == nil
	if !good {
		out.Damaged = true
		return out
	}
	out.Verified, out.Scope, out.Effect, out.Max, out.By, out.AMR, out.Reason = f.Verified, f.Scope, f.Effect, f.Max, f.By, f.AMR, f.Reason
	out.proof, out.Signed, out.Masked = f.Proof, f.Proof != nil, f.Masked
	out.Used, out.Sum, out.Last, out.burst, out.RevokedBy = st.Used, st.Sum, st.Last, st.Burst, st.RevokedBy
	return out
}

// live reports whether a rule is in force. A clock that is before what it has
// seen already proves nothing, so such a rule is in force only where it denies.
func (r Rule) live(now time.Time) bool {
	switch {
	case r.Damaged || !r.Revoked.IsZero():
		return false
	case r.Kind == KindGrant:
		return now.Before(r.Ends) && !now.Before(r.Created) && !now.Before(r.Last) && (r.Max == 0 || r.Used < r.Max)
	}
	return r.Ends.IsZero() || now.Before(r.Ends)
}

// Matches reports whether a rule is about a call.
func (r Rule) Matches(c Shape) bool {
	if r.Damaged || r.Subject != c.subject() || r.Agent != c.Agent.ID {
		return false
	}
	switch r.Kind {
	case KindStop:
		return true
	case KindGrant:
		// A grant is for one place; a block, which only takes away, for the tool
		// wherever its calls go. Nobody was shown through whom an agent would act.
		if len(c.Agent.Chain) > 0 || r.Verified != c.Agent.Verified || !c.Place.whole() || r.Scope.Place != r.Scope.placed(c.Place) {
			return false
		}
	case KindBlock:
	default:
		return false
	}
	if t := r.Scope.Task; t != nil {
		if _, within := t.add(r.Sum, c.Args); !within || !t.names(c.Tool) {
			return false
		}
	} else if r.Scope.Tool != c.Tool {
		return false
	}
	return r.Scope.API == c.API && r.Scope.covers(c.Path) && r.Scope.fits(c.Args)
}

// placed is a place as the scope names it: the tools of a task have methods of
// their own.
func (s Scope) placed(p Place) Place {
	if s.Task != nil {
		p.Method = ""
	}
	return p
}

// covers matches a path by whole segments as they stand in the request: %2F is
// no slash. A path with empty segments or dots is below nothing.
func (s Scope) covers(path string) bool {
	switch s.Reach {
	case ReachAny:
		return true
	case ReachExact:
		return path == s.Path
	case ReachBelow:
		top := strings.TrimSuffix(s.Path, "/")
		return plainPath(path) && strings.HasPrefix(s.Path, "/") && (path == top || strings.HasPrefix(path, top+"/"))
	}
	return false
}

func plainPath(path string) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for i, segment := range strings.Split(path[1:], "/") {
		last := i == strings.Count(path[1:], "/")
		if segment == "" && !last || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// fits compares arguments byte for byte: the canonical form has one way to write
// each value, with every digit.
func (s Scope) fits(args []byte) bool {
	switch s.Args {
	case ArgsAny:
		return true
	case ArgsSame:
		return s.Same != "" && s.Same == string(args)
	case ArgsSome:
		for _, e := range s.Equal {
			if v, ok := ValueAt(args, e.Pointer); !ok || string(v) != e.Value {
				return false
			}
		}
		return len(s.Equal) > 0
	}
	return false
}

// ValueAt is the value that a JSON Pointer (RFC 6901) names in canonical JSON.
func ValueAt(doc []byte, pointer string) ([]byte, bool) {
	if !strings.HasPrefix(pointer, "/") {
		return nil, false
	}
	for step := range strings.SplitSeq(pointer[1:], "/") {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		var object map[string]json.RawMessage
		if len(doc) == 0 || doc[0] != '{' || json.Unmarshal(doc, &object) != nil {
			return nil, false
		}
		v, ok := object[step]
		if !ok {
			return nil, false
		}
		doc = v
	}
	return doc, true
}

// Pointers lists what a rule can want to be equal: every argument, and within
// objects every member, three levels deep. Lists are compared whole.
func Pointers(args []byte) []Equal {
	var out []Equal
	var walk func(at string, doc []byte, depth int)
	walk = func(at string, doc []byte, depth int) {
		var object map[string]json.RawMessage
		if depth < 3 && len(doc) > 2 && doc[0] == '{' && json.Unmarshal(doc, &object) == nil {
			var names []string
			for name := range object {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				walk(at+"/"+strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1"), object[name], depth+1)
			}
			return
		}
		if at != "" && len(out) < maxEqual {
			out = append(out, Equal{at, string(doc)})
		}
	}
	walk("", bytes.TrimSpace(args), 0)
	return out
}

// maxEqual bounds the arguments that one rule can want to be equal.
const maxEqual = 50

// Approval is what the policies see of a grant: what its giver said, once and
// for all of its calls, and whether a passkey signed that.
func (r Rule) Approval() *authz.ApprovalContext {
	return &authz.ApprovalContext{By: r.By, Once: false, At: r.Created, Expires: r.Ends, AMR: r.AMR, PhishingResistant: r.Signed}
}
