package tools

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// SnapshotMode says what exeat reads for the person who decides about a call.
type SnapshotMode string

// What can be read for a person.
const (
	SnapshotCheck SnapshotMode = ""     // what the call changes; it is not sent once that is another
	SnapshotShow  SnapshotMode = "show" // the same, and it is sent all the same
	SnapshotOff   SnapshotMode = "off"  // nothing
)

// Bounds of reading for a person: the time, how much of an answer makes its
// digest, and how much of it is kept and shown.
const (
	beforeWithin = 3 * time.Second
	maxState     = 1 << 20
	maxStateKept = 256 << 10
)

// readBefore reads what a call that is about to be held changes, for the person
// who decides, and says whether it is looked at again before the send.
func (r *Runner) readBefore(ctx context.Context, c *call) *store.Snapshot {
	if c.tool.api.Before == SnapshotOff {
		return nil
	}
	b, _ := r.readState(ctx, c)
	if b == nil {
		return nil
	}
	b.Checked = b.Digest != "" && c.tool.api.Before == SnapshotCheck
	if !b.Checked {
		b.ETag = ""
	}
	return b
}

// onlyIf is the same call for the state that a person is shown.
func (c *call) onlyIf(before *store.Snapshot) *call {
	next := *c
	next.before = before
	next.request = addCondition(c.request, before)
	next.details = next.bind()
	next.digest = next.details.Digest()
	return &next
}

// addCondition is a request that is only for the state that a person saw, where
// the API can be told so and the agent did not say which state it means.
func addCondition(q store.Request, b *store.Snapshot) store.Request {
	if b == nil || b.ETag == "" || len(q.Header["If-Match"]) > 0 {
		return q
	}
	header := map[string][]string{}
	maps.Copy(header, q.Header)
	header["If-Match"] = []string{b.ETag}
	q.Header = header
	return q
}

// matched reports whether the request names the state that the person saw.
func (c *call) matched() bool {
	return c.before != nil && c.before.ETag != "" && slices.Equal(c.request.Header["If-Match"], []string{c.before.ETag})
}

// moved is what a call changes as it is right before the send, if that is not
// what the person saw. It is nil if it is, if the person saw nothing, and if the
// API looks for itself: where the document says that it does, and not wherever
// it gives an ETag, since many give them and never look at If-Match. If there is no
// credential to look with, the call lacks one, too.
func (r *Runner) moved(ctx context.Context, c *course) *store.Snapshot {
	if b := c.before; b == nil || !b.Checked || c.matched() && takes(c.tool.op, "If-Match") {
		return nil
	}
	now, look := r.readState(ctx, c.call)
	switch {
	case now == nil:
		return &store.Snapshot{At: r.moment(), Why: "the document has no operation any more that reads it"}
	case look != nil && look.lacked:
		c.lacked, c.needs = true, look.needs
		c.fail(look.err)
		return nil
	case now.Digest == c.before.Digest:
		return nil
	}
	return now
}

// takes reports whether the operation has an argument of that name.
func takes(op *openapi.Operation, name string) bool {
	var input struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	err := json.Unmarshal(op.Input, &input)
	return err == nil && slices.ContainsFunc(slices.Collect(maps.Keys(input.Properties)), func(p string) bool { return strings.EqualFold(p, name) })
}

// stateChanged is the answer to an approved call that was for another state.
func stateChanged(after *store.Snapshot) Result {
	reason := "what this call changes is not as it was when a person looked at it; nothing was executed. Make the call again, if it is still right: it asks again, and shows how things are then"
	if after != nil && after.Digest == "" {
		reason = "what this call changes could be read when it was held and cannot be read any more, so nobody can tell whether it is still the same; nothing was executed. Making the call again asks again"
	}
	return deny(StateChanged, reason, nil, authz.RemedyApproval)
}
