package tools

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/tally"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/openapi/reach"
	"github.com/exeat/exeat/store"
)

// ownPrefix begins the names of exeat's own tools; no operation may take it.
const ownPrefix = "exeat_"

// Credentials attaches the credential of one call to its request, which is
// otherwise complete and must not be changed. It is called once for each
// request, after the decision and before the send. The receipt holds no secret.
type Credentials interface {
	Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error)
}

// API is a document as it is served.
type API struct {
	Document *openapi.API
	// Audience is the API's resource identifier (RFC 8707).
	Audience    string
	Credentials Credentials
	Mask        []string     // JSON Pointers of arguments that people are not shown unasked
	Before      SnapshotMode // what is read for the person who decides about a call
	// Way, if it is not the zero value, is how this API is reached, with connections
	// that no other API shares: by a proxy, with a certificate of ours, with whose
	// certificates are believed. It is of no use with Config.Transport.
	Way reach.Way
}

// Caller is who calls: taken from the transport, never from arguments.
type Caller struct {
	Principal authz.Principal
	Agent     authz.Agent
	Session   authz.Session
	Issued    time.Time // the credential; zero if that has no date
	// Details are the authorization_details of the credential (RFC 9396).
	Details []json.RawMessage
	// Could is what another token of the principal's issuer could have.
	Could authz.Could
	// Token is the access token of this request, which no API ever gets: an
	// authorization server exchanges it. TokenBound says that it is bound to a key of
	// the client. What is held is released without it.
	Token      token.Secret `json:"-"`
	TokenBound bool         `json:"-"`
}

// Subject names the principal in holds, entries and logs.
func (c Caller) Subject() string { return c.Principal.Name() }

// asker is the caller as what it has held knows it.
func (c Caller) asker() approval.Asker {
	return approval.Asker{Principal: c.Principal, Agent: c.Agent}
}

// Config is what a Runner works with. All fields without a default are needed.
type Config struct {
	APIs    []*API
	Engine  *authz.Engine
	Store   *store.Store // nil only for Preview
	Holds   *approval.Service
	HoldURL func(handle string) string // where a person decides
	// Dial makes the connections of the default transport; nil means any that can
	// be made.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Transport sends to the APIs; nil means one with bounds that uses no proxy.
	Transport http.RoundTripper
	// ResponseLimit bounds what is read of an answer, in bytes; 0 means 1 MiB.
	ResponseLimit int64
	// Offer says how the tools' schemas are offered.
	Offer Offer
	// Timeout bounds one request to an API, and all tries of a read together; 0
	// means 30 s.
	Timeout time.Duration
	// Observe, if not nil, is told of every call once it has an answer.
	Observe func(Event)
	Now     func() time.Time // nil means time.Now
	// Current returns the principal of a call that waited as it is now: its groups
	// may have changed. Calls of agents that could not call any more are left to
	// other processes. Nil takes principals as they were.
	Current func(approval.Parties) (authz.Principal, bool)
}

// Event tells of one call, for logs and metrics.
type Event struct {
	Time     time.Time
	Duration time.Duration
	Txn      string
	Subject  string
	Agent    string
	API      string
	Tool     string
	Decision authz.Outcome
	Policies []string
	Status   Status
	Code     Code
	HTTP     int
	Handle   string
	Asks     string // what the API said that it wants, where it refused the credential
	Err      error  // the operator's chain; the agent never sees it
}

// Runner takes calls. It is safe for concurrent use.
type Runner struct {
	Config
	tools  []*Tool
	byName map[string]*Tool
	byOp   map[[2]string]*Tool // API and operation name: how a hold names its tool
	wires  map[*API]wires
	owner  string // names this process in claims
	sleep  func(context.Context, time.Duration) error
	index  func() *index

	selects chan struct{} // what projections run
	noted   tally.Counter // entries of calls that brought nothing about

	after sync.WaitGroup // what goes on once a call has its answer
	kept  keptHolds      // approved calls for which no credential could be had

	mu     sync.Mutex
	active map[string]*call // allowed calls under way, by txn; guarded by mu
}

// New returns a runner for the tools of cfg.APIs.
func New(cfg Config) (*Runner, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ResponseLimit == 0 {
		cfg.ResponseLimit = 1 << 20
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Current == nil {
		cfg.Current = func(p approval.Parties) (authz.Principal, bool) { return p.Principal, true }
	}
	list := FromAPIs(cfg.APIs, cfg.Offer)
	byName, byOp := map[string]*Tool{}, map[[2]string]*Tool{}
	for _, t := range list {
		if _, ok := byName[t.Name]; ok {
			return nil, fmt.Errorf("two tools are named %s: give their documents different names (--name)", t.Name)
		}
		byName[t.Name], byOp[[2]string{t.api.Document.Name, t.op.Name}] = t, t
	}
	return &Runner{
		Config:  cfg,
		tools:   list,
		byName:  byName,
		byOp:    byOp,
		owner:   rand.Text(),
		wires:   cfg.newWires(),
		sleep:   sleep,
		index:   sync.OnceValue(func() *index { return newIndex(list) }),
		selects: make(chan struct{}, selecting),
		active:  map[string]*call{},
	}, nil
}

// Tools returns all tools, ordered by name.
func (r *Runner) Tools() []*Tool { return r.tools }

// Tool returns the tool with the name.
func (r *Runner) Tool(name string) (*Tool, bool) {
	t, ok := r.byName[name]
	return t, ok
}

// Visible reports whether caller could ever use the tool.
func (r *Runner) Visible(caller Caller, t *Tool) bool {
	return r.Engine.Visible(t.api.Document.Name, t.op.Name, caller.Principal, caller.Agent, caller.Session, r.Now())
}

// Hidden records that a caller tried a tool that it is not shown. The caller
// learns no more than that there is no such tool.
func (r *Runner) Hidden(caller Caller, t *Tool) {
	c := &course{call: r.newCall(caller, t, purpose{}), decision: authz.Decision{Outcome: authz.Deny}}
	if r.Store != nil {
		r.logNothing(c, store.KindDenied, string(PolicyDenied))
	}
	r.observe(c, deny(PolicyDenied, "", nil, authz.RemedyNone))
}
