package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/exeat/exeat/tools/jq"
)

// Lookup is what one look at the API showed after a write whose outcome is
// unknown: how it stands now, not what made it so.
type Lookup struct {
	Found  string `json:"found"` // one of the three below
	Reason string `json:"reason"`
	// Tool is the one that looked; HTTPStatus, Response and Note are its answer.
	Tool       string          `json:"tool,omitempty"`
	HTTPStatus int             `json:"http_status,omitempty"`
	Response   json.RawMessage `json:"response,omitempty"`
	Note       string          `json:"note,omitempty"`
}

// What a look can find of the thing that the write was about.
const (
	ItIsThere  = "it_is_there"
	ItIsNot    = "it_is_not"
	CannotTell = "cannot_tell"
)

// lookWithin bounds a look. The person or agent has waited a whole time-out
// already.
const lookWithin = 10 * time.Second

// lookUp looks once at what a write with an unknown outcome was about. It is a
// call of its own: decided for the same caller, with its own credential and
// entries, which name the write by its txn.
func (r *Runner) lookUp(ctx context.Context, c *call) *Lookup {
	t, args, reason := r.counterpart(c)
	if t == nil {
		return &Lookup{Found: CannotTell, Reason: reason}
	}
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	_, res, reason := r.look(ctx, c, t, args, sameThing, purpose{note: "looks up what became of " + c.txn})
	l := &Lookup{Found: CannotTell, Reason: reason, Tool: t.Name}
	if reason == "" {
		l.HTTPStatus, l.Response, l.Note = res.Envelope.HTTPStatus, res.Envelope.Response, res.Envelope.Note
		l.Found, l.Reason = finding(c, t, res)
	}
	return l
}

// finding says what the answer to a look means.
func finding(c *call, t *Tool, res Result) (what, reason string) {
	const caution = ". This is how it stands now; it does not prove what made it so"
	e, method := res.Envelope, c.tool.op.Method
	list := len(e.Response) > 0 && e.Response[0] == '[' && !namesItem(t.op.Path)
	switch {
	case e.HTTPStatus == http.StatusNotFound || e.HTTPStatus == http.StatusGone:
		what, reason = ItIsNot, "there is nothing at its path: the call seems not to have been executed"
		if method == http.MethodDelete {
			reason = "what was to be deleted is not there: the call seems to have been executed, unless it was gone before"
		}
	case e.HTTPStatus < 200 || e.HTTPStatus > 299:
		return CannotTell, fmt.Sprintf("the look was answered with %d", e.HTTPStatus)
	case list:
		return CannotTell, "its path holds a list of things"
	case method == http.MethodDelete:
		what, reason = ItIsThere, "what was to be deleted is there: the call seems not to have been executed, or not yet"
	case method == http.MethodPost:
		what, reason = ItIsThere, "there is something under the id that the call gave: compare it with what was sent"
	case holds(e.Response, c.args.Value()["body"]):
		what, reason = ItIsThere, "it is there and has everything that was sent"
	default:
		what, reason = ItIsThere, "it is there, and not all of it is as it was sent, or that cannot be compared: look at the response"
	}
	return what, reason + caution
}

// holds reports whether an answer has all that was sent: every member of an
// object, with the same value.
func holds(response json.RawMessage, body any) bool {
	sent, ok := body.(map[string]any)
	if !ok || len(sent) == 0 {
		return false
	}
	want, err := jq.Read(mustJSON(sent))
	have, bad := jq.Read(response)
	if err != nil || bad != nil {
		return false
	}
	all, ok := have.(map[string]any)
	for name, w := range want.(map[string]any) {
		h, there := all[name]
		ok = ok && there && reflect.DeepEqual(w, h)
	}
	return ok
}
