package tools

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools/jq"
)

// readState reads what a call is about to change: a call of its own, for the
// same caller. It is nil if there is nothing to be read. What is read is for the
// person only. The look is returned, too, if one was made.
func (r *Runner) readState(ctx context.Context, c *call) (*store.Snapshot, *course) {
	t, args, why := r.subject(c)
	if t == nil && why == "" {
		return nil, nil
	}
	at := r.moment()
	if t == nil {
		return &store.Snapshot{At: at, Why: why}, nil
	}
	// An agent that hangs up must not keep the person from seeing it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beforeWithin)
	defer cancel()
	q, _, why := r.look(ctx, c, t, args, onIt, purpose{note: "reads what " + c.txn + " would change, for the person who decides", peek: true})
	var b store.Snapshot
	if q.state != nil {
		b = *q.state
	}
	if why != "" {
		b = store.Snapshot{Why: why, Txn: b.Txn}
	}
	if t.op.Path != c.tool.op.Path {
		b.ETag = "" // it is of another resource
	}
	b.At, b.Tool = at, t.op.Name
	return &b, q
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
				return t, shareArguments(c, t, nil), ""
			case t.op.Path == c.tool.op.Path:
				return nil, nil, "" // it adds to a collection
			case actsOn(c.tool.op.Path, t.op.Path):
				item = t
			}
		}
		if item != nil {
			return item, shareArguments(c, item, nil), ""
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
func (c *course) keep(a *openapi.Response, header http.Header, whole bool, res Result) {
	b := store.Snapshot{Txn: c.txn, Status: a.Status}
	content := a.Binary
	if a.JSON != nil {
		if v, err := jq.Read(a.JSON); err == nil {
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
	c.state = &b
}

func digestOf(kind string, content []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "exeat state 1\n%s\n", kind)
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}
