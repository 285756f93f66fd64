package tools

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// Before says what exeat reads for the person who decides about a call.
type Before string

// What can be read for a person.
const (
	BeforeCheck Before = ""     // what the call changes; it is not sent once that is another
	BeforeShow  Before = "show" // the same, and it is sent all the same
	BeforeOff   Before = "off"  // nothing
)

// Bounds of reading for a person: the time, how much of an answer makes its
// digest, and how much of it is kept and shown.
const (
	beforeWithin = 3 * time.Second
	maxState     = 1 << 20
	maxStateKept = 256 << 10
)

// waits is the open hold of the same call, or, if a new one is to be made, what
// the call changes is read and becomes part of it. It is for calls that would be
// held only.
func (r *Runner) waits(ctx context.Context, c *call) (h store.Hold, ok bool, err error) {
	h, err = r.Holds.Waits(ctx, c.caller.Subject(), c.asked)
	switch {
	case err == nil:
		return h, true, nil
	case errors.Is(err, approval.ErrTooMany):
		return h, false, nil // for Open to refuse
	case !errors.Is(err, approval.ErrNotFound):
		return h, false, err
	}
	if c.tool.api.Before != BeforeOff {
		c.before = r.readState(ctx, c)
	}
	if b := c.before; b != nil {
		b.Checked = b.Digest != "" && c.tool.api.Before == BeforeCheck
		if !b.Checked {
			b.ETag = ""
		}
	}
	c.request = conditioned(c.request, c.before)
	c.details = c.bind()
	c.digest = c.details.Digest()
	return h, false, nil
}

// conditioned is a request that is only for the state that a person saw, where
// the API can be told so and the agent did not say which state it means.
func conditioned(q store.Request, b *store.Before) store.Request {
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
// it gives an ETag, since many give them and never look at If-Match.
func (r *Runner) moved(ctx context.Context, c *call) *store.Before {
	if b := c.before; b == nil || !b.Checked || c.matched() && takes(c.tool.op, "If-Match") {
		return nil
	}
	now := r.readState(ctx, c)
	switch {
	case now == nil:
		return &store.Before{At: r.moment(), Why: "the document has no operation any more that reads it"}
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
func stateChanged(after *store.Before) Result {
	reason := "what this call changes is not as it was when a person looked at it; nothing was executed. Make the call again, if it is still right: it asks again, and shows how things are then"
	if after != nil && after.Digest == "" {
		reason = "what this call changes could be read when it was held and cannot be read any more, so nobody can tell whether it is still the same; nothing was executed. Making the call again asks again"
	}
	return deny(StateChanged, reason, nil, authz.RemedyApproval)
}

// readState reads what a call is about to change: a call of its own, for the
// same caller. It is nil if there is nothing to be read. What is read is for the
// person only.
func (r *Runner) readState(ctx context.Context, c *call) *store.Before {
	t, args, why := r.subject(c)
	if t == nil && why == "" {
		return nil
	}
	b := &store.Before{At: r.moment(), Why: why}
	if t == nil {
		return b
	}
	// An agent that hangs up must not keep the person from seeing it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beforeWithin)
	defer cancel()
	at := b.At
	_, why = r.look(ctx, c, t, args, looking{note: "reads what " + c.txn + " would change, for the person who decides", same: onIt, state: b})
	if why != "" {
		*b = store.Before{Why: why, Txn: b.Txn}
	}
	if t.op.Path != c.tool.op.Path {
		b.ETag = "" // it is of another resource
	}
	b.At, b.Tool = at, t.op.Name
	return b
}

// moment is now as the store keeps it.
func (r *Runner) moment() time.Time { return r.Now().UTC().Truncate(time.Microsecond) }

// subject is the tool that reads what c changes, and its arguments, or the reason
// why there is none; there is no reason where nothing is expected.
func (r *Runner) subject(c *call) (t *Tool, args []byte, why string) {
	if !c.writes() {
		return nil, nil, ""
	}
	switch c.tool.op.Method {
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
		return r.counterpart(c)
	case http.MethodPost:
		var item *Tool
		for _, t := range r.tools {
			if t.api != c.tool.api || t.op.Method != http.MethodGet || t.op.Effect != openapi.Read {
				continue
			}
			switch {
			case t.op.Path == c.tool.op.Path && namesItem(t.op.Path):
				return t, shared(c, t, nil), ""
			case t.op.Path == c.tool.op.Path:
				return nil, nil, "" // it adds to a collection
			case actsOn(c.tool.op.Path, t.op.Path):
				item = t
			}
		}
		if item != nil {
			return item, shared(c, item, nil), ""
		}
	}
	return nil, nil, ""
}

// actsOn reports whether a path like /orders/{id}/cancel is below that of an item.
func actsOn(action, item string) bool {
	name, ok := strings.CutPrefix(action, item+"/")
	return ok && namesItem(item) && name != "" && !strings.ContainsAny(name, "/{")
}

// onIt reports whether q reads what c changes.
func onIt(c, q *call) bool {
	if c.tool.op.Method != http.MethodPost {
		return sameThing(c, q)
	}
	return q.request.Origin == c.request.Origin && (q.request.Path == c.request.Path || strings.HasPrefix(c.request.Path, q.request.Path+"/"))
}

// strong are the ETags that If-Match can name (RFC 9110 §8.8.3, without obs-text).
var strong = regexp.MustCompile(`^"[\x21\x23-\x7e]{1,256}"$`)

// keep takes what a call has read, so far as a person may see it. Whole is false
// if not all of the answer could be read.
func (c *call) keep(a *openapi.Response, header http.Header, whole bool, res Result) {
	b := store.Before{Txn: c.txn, Status: a.Status}
	content := a.Binary
	if a.JSON != nil {
		if v, err := exact(a.JSON); err == nil {
			content = mustJSON(v) // members in order, nothing between them
		}
	} else if a.Text != "" {
		content = []byte(a.Text)
	}
	switch {
	case a.Status == http.StatusNotFound || a.Status == http.StatusGone:
		b.Digest = digestOf("absent", nil)
	case a.Status < 200 || a.Status > 299:
		b.Why = fmt.Sprintf("the API answered with %d", a.Status)
	case !whole:
		b.Why = fmt.Sprintf("it is larger than %d bytes, or of a kind that cannot be compared", maxState)
	default:
		b.Digest, b.Size = digestOf("present", content), len(content)
		if tags := header.Values("ETag"); len(tags) == 1 && strong.MatchString(tags[0]) {
			b.ETag = tags[0]
		}
		var value bytes.Buffer
		if json.Compact(&value, res.Envelope.Response) == nil && value.Len() <= maxStateKept {
			b.Value = value.Bytes()
		}
		b.Hidden = c.decision.Obligations.Redact
	}
	*c.state = b
}

func digestOf(kind string, content []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "exeat state 1\n%s\n", kind)
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}
