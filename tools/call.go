package tools

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools/jq"
	"github.com/exeat/exeat/tools/scrub"
)

// call is what one use of a tool is. It is fixed once it is prepared.
type call struct {
	caller   Caller
	tool     *Tool
	txn      string
	policies string // digest of the policy set
	start    time.Time
	purpose  purpose // why exeat makes it, if no agent does

	args    *openapi.Args
	request store.Request
	details token.Details
	digest  string
	program *jq.Program     // what the agent wants of the answer; nil is all
	says    string          // the agent's reason, for whoever decides; it is part of nothing else
	before  *store.Snapshot // what it changes, as a person saw it
}

// purpose is why exeat itself makes a call.
type purpose struct {
	note string // for its entries
	peek bool   // what it reads is for a person, and for no agent
}

// course is what becomes of a call on its way.
type course struct {
	*call
	decision authz.Decision
	approval *authz.ApprovalContext    // what a person said of it, or of calls like it
	earlier  []authz.ApprovalContext   // what other people said before, if several had to
	grant    string                    // the rule that the approval comes from
	handle   string                    // of its hold
	hold     *store.Hold               // that it was released from
	found    *store.Snapshot           // what it changes, when it was to be sent, if the person saw something else
	state    *store.Snapshot           // what it read, if it is a peek
	needs    authz.Stronger            // a token of another kind, with which it would not be denied
	lacks    string                    // what a person has to do before it can have a credential
	note     string                    // for its entries
	entered  *store.CallEntry          // of its newest request, if it needs no other when it goes well
	refused  bool                      // the API refused the credential, and a fresh one may help
	lacked   bool                      // there was no credential that the API takes, and nothing was executed
	asks     *Challenge                // what the API said that it wants instead
	stale    bool                      // the API refused the credential just before as stale
	renewed  bool                      // one was asked for anew already
	tell     func(*http.Response) bool // of an answer, to what made its credential
	wants    bool                      // the API did nothing, and asks for the same with another proof
	asked    bool                      // it was given that once
	err      error                     // for the operator
	secrets  []string                  // the credentials that its requests carried
	scrubber scrub.Scrubber            // that finds them
}

// fail adds to what the operator is told.
func (c *course) fail(err error) { c.err = errors.Join(c.err, err) }

// newCall is a call that has no request yet.
func (r *Runner) newCall(caller Caller, t *Tool, why purpose) *call {
	return &call{caller: caller, tool: t, txn: newTxn(), policies: r.Engine.Digest(), start: r.Now(), purpose: why}
}

// newTxn names a call: the same in its entries, its hold, its token and logs.
func newTxn() string { return "txn_" + rand.Text() }

// writes reports whether the call changes something, as far as is known.
func (c *call) writes() bool { return c.tool.op.Effect != openapi.Read }

// Call answers one use of a tool. raw are the arguments as the agent sent them.
// The answer is never an error: what the agent must not see goes to Observe.
func (r *Runner) Call(ctx context.Context, caller Caller, name string, raw []byte) (res Result) {
	t, ok := r.offered(caller, name)
	if !ok {
		return noTool(name)
	}
	prepared, err := r.prepare(caller, t, raw, purpose{})
	c := &course{call: prepared}
	defer func() { r.observe(c, res) }()
	if err != nil {
		return r.refuseArguments(c, err)
	}
	defer r.end(c)
	rules, err := r.rulesFor(ctx, c.caller)
	if err != nil {
		return r.answerStop(c, err)
	}
	switch r.decide(ctx, c); c.decision.Outcome {
	case authz.Allow:
		return r.allowed(ctx, c)
	case authz.Hold:
		return r.askOnce(ctx, c, rules)
	}
	return r.answerDeny(c)
}

// allowed answers a call that needs no person, unless it is for its credential: then
// it is held as others are.
func (r *Runner) allowed(ctx context.Context, c *course) Result {
	if r.lacking(ctx, c) {
		return r.waitForPerson(ctx, c)
	}
	res, at := r.attempt(ctx, c, mannerOf(c))
	if at == uncredited && r.lacking(ctx, c) { // only its server knew
		return r.waitForPerson(ctx, c)
	}
	return res
}

// askOnce answers a call that needs a person: by what a person has said of calls
// like it before, or it is held until one decides.
func (r *Runner) askOnce(ctx context.Context, c *course, rules []approval.Rule) Result {
	if block := blockOf(rules, c); block != nil {
		return r.answerBlock(c, *block)
	}
	if r.lacking(ctx, c) { // a rule does not connect an account
		return r.waitForPerson(ctx, c)
	}
	held := c.decision
	for _, rule := range rules {
		if !r.allowedBy(ctx, c, rule, held) {
			continue
		}
		if res, at := r.attempt(ctx, c, mannerOf(c)); at != lapsed {
			return res
		}
	}
	c.approval, c.grant, c.decision = nil, "", held
	return r.waitForPerson(ctx, c)
}

// answerDeny records and answers a deny. An entry that cannot be written changes
// nothing: the answer stays no.
func (r *Runner) answerDeny(c *course) Result {
	if err := r.logNothing(c, store.KindDenied, string(PolicyDenied))(); err != nil {
		c.fail(err)
	}
	d := c.decision
	res := deny(PolicyDenied, d.Reason, d.Policies, d.Remediation)
	res.Needs = c.needs
	return res
}
