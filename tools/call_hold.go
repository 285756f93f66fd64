package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// maxHeld bounds the body of a call that waits, since all that waits is kept and
// shown.
const maxHeld = 1 << 20

// waitForPerson keeps the call until a person decides.
func (r *Runner) waitForPerson(ctx context.Context, c *course) Result {
	if len(c.request.Body) > maxHeld {
		res := fail(InvalidArguments, "a call that needs a person can have a body of at most 1 MiB")
		res.Envelope.Remediation = authz.RemedyArgs
		return res
	}
	if c.tool.needsCaller() && c.caller.Token.IsZero() {
		return noToken()
	}
	h, err := r.openHold(ctx, c)
	switch {
	case errors.Is(err, approval.ErrTooMany):
		c.fail(err)
		return fail(RateLimited, "too many of your calls wait for a person, or waited within the last hour: wait for decisions before you make more")
	case err != nil:
		c.fail(err)
		return fail(Internal, "the call was not executed, and it is not sure that it waits for a person: make the same call again, which asks only once")
	}
	c.handle = h.ID
	return r.pending(ctx, h)
}

// openHold is the open hold of the same call, or a new one, of which what the
// call changes is part as it is now.
func (r *Runner) openHold(ctx context.Context, c *course) (store.Hold, error) {
	asks := []string{c.caller.Subject(), c.caller.Agent.ID, strconv.FormatBool(c.caller.Agent.Verified), c.caller.Agent.Issuer, strings.Join(c.caller.Agent.Chain, "\n"), c.digest, string(c.args.Canonical())}
	if c.caller.Agent.Verified && strings.HasPrefix(c.caller.Agent.ID, authz.ByToken) {
		asks = append(asks, stamp(c.caller.Issued)) // what an earlier token of its name asked for is not sent
	}
	asked := dedupe(asks...)
	h, err := r.Holds.Waits(ctx, c.caller.Subject(), asked)
	switch {
	case err == nil, !errors.Is(err, approval.ErrNotFound) && !errors.Is(err, approval.ErrTooMany):
		return h, err
	case errors.Is(err, approval.ErrNotFound):
		c.call = c.onlyIf(r.readBefore(ctx, c.call))
	}
	if h, err = c.asHold(asked); err != nil {
		return h, err
	}
	return r.Holds.Open(ctx, h) // which refuses what are too many, and records it
}

// asHold is the call as a hold; asked is equal for equal calls.
func (c *course) asHold(asked string) (store.Hold, error) {
	parts := [...]any{c.caller.Principal, c.caller.Agent, c.caller.Session, c.details, c.decision.Choices}
	var blobs [len(parts)]json.RawMessage
	for i, v := range parts {
		b, err := json.Marshal(v)
		if err != nil {
			return store.Hold{}, err
		}
		blobs[i] = b
	}
	hidden := c.tool.op.Secrets(c.args, c.tool.api.Mask...)
	sentence, err := json.Marshal(tell(c.tool.op, c.args, c.before, hidden, c.tool.api.Mask))
	if err != nil {
		return store.Hold{}, err
	}
	return store.Hold{
		API:       c.tool.api.Document.Name,
		Tool:      c.tool.op.Name,
		Effect:    string(c.tool.op.Effect),
		Summary:   c.summary(),
		Principal: blobs[0],
		Subject:   c.caller.Subject(),
		Agent:     blobs[1],
		Session:   blobs[2],
		Args:      c.args.Canonical(),
		Request:   c.request,
		Details:   blobs[3],
		Digest:    c.digest,
		Dedupe:    asked,
		Policies:  c.decision.Policies,
		Reason:    c.reason(),
		PolicySet: c.policies,
		Choices:   blobs[4],
		Txn:       c.txn,
		Before:    c.before,
		Says:      c.says,
		Phrase:    sentence,
		Marks:     c.tool.op.Hints.Marks,
		Masked:    hidden,
		Waived:    c.tool.op.Places(c.args, c.tool.api.Mask...),
	}, nil
}

// reason is why the call waits, for as long as it does. What a person has to do before
// it can have a credential is looked up whenever it is told.
func (c *course) reason() string {
	if c.lacks != "" && c.decision.Outcome == authz.Allow {
		return "the policies allow this call, but an account that it needs was not connected"
	}
	return c.decision.Reason
}

// summary says what the call does in words of the document and the request.
func (c *course) summary() string {
	s := c.request.Method + " " + c.request.Path
	if c.tool.op.Summary != "" {
		s += ": " + c.tool.op.Summary
	}
	return s
}

// dedupe is equal for equal calls of one agent of one principal.
func dedupe(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
