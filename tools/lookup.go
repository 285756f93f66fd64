package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
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
	res, reason := r.look(ctx, c, t, args, looking{note: "looks up what became of " + c.txn, same: sameThing})
	l := &Lookup{Found: CannotTell, Reason: reason, Tool: t.Name}
	if reason == "" {
		l.HTTPStatus, l.Response, l.Note = res.Envelope.HTTPStatus, res.Envelope.Response, res.Envelope.Note
		l.Found, l.Reason = finding(c, t, res)
	}
	return l
}

// counterpart is the tool that reads what c writes, and its arguments, or the
// reason why there is none.
func (r *Runner) counterpart(c *call) (*Tool, []byte, string) {
	for _, t := range r.tools {
		if t.api != c.tool.api || t.op.Method != http.MethodGet || t.op.Effect != openapi.Read {
			continue
		}
		var more map[string]any
		switch c.tool.op.Method {
		case http.MethodPut, http.MethodPatch, http.MethodDelete:
			if t.op.Path != c.tool.op.Path {
				continue
			}
		case http.MethodPost:
			name, ok := itemOf(t.op.Path, c.tool.op.Path)
			if !ok {
				continue
			}
			id := suppliedID(c.args.Value(), name)
			if id == nil {
				return nil, nil, "the API chooses the id of what this call makes, and its answer was lost"
			}
			more = map[string]any{name: id}
		default:
			continue
		}
		return t, shared(c, t, more), ""
	}
	return nil, nil, "the document has no operation that reads what this call writes"
}

// itemOf names the parameter of an item's path below its collection's.
func itemOf(item, collection string) (string, bool) {
	rest, ok := strings.CutPrefix(item, strings.TrimSuffix(collection, "/")+"/{")
	name, tail, closed := strings.Cut(rest, "}")
	return name, ok && closed && tail == ""
}

// suppliedID is the id that the caller gave to what it makes, or nil.
func suppliedID(args map[string]any, name string) any {
	body, _ := args["body"].(map[string]any)
	for _, key := range []string{name, "id"} {
		switch v := body[key].(type) {
		case string, json.Number:
			return v
		}
	}
	return nil
}

// shared are the arguments of c that t takes too, and more. Conditions stay
// behind: they were about the state before.
func shared(c *call, t *Tool, more map[string]any) []byte {
	var input struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(t.InputSchema, &input) != nil {
		return []byte("{}") // whose refusal is the answer
	}
	args := map[string]any{}
	for _, from := range []map[string]any{c.args.Value(), more} {
		for name, v := range from {
			if _, ok := input.Properties[name]; ok && name != "body" && !strings.HasPrefix(strings.ToLower(name), "if-") {
				args[name] = v
			}
		}
	}
	return mustJSON(args)
}

// looking is why a call is looked around, how it is told that the right thing is
// looked at, and where what is found goes, if that is not for the agent.
type looking struct {
	note  string
	same  func(c, q *call) bool
	state *store.Before
}

// look makes the call that looks, or says why it could not.
func (r *Runner) look(ctx context.Context, c *call, t *Tool, args []byte, l looking) (res Result, reason string) {
	if !r.Visible(c.caller, t) { // no call is made of it, so there is nothing to record
		return res, "the policies do not let this caller read it"
	}
	q, res := r.prepare(c.caller, t.Name, args)
	if q == nil {
		return res, "what reads it is not served"
	}
	q.note, q.state = l.note, l.state
	defer func() { r.observe(q, res) }()
	defer r.end(q)
	if q.digest == "" {
		r.Store.Log(q.entry("denied", string(res.Envelope.Code)))
		return res, "what would read it needs arguments that this call does not have"
	}
	if !l.same(c, q) {
		res = fail(InvalidArguments, "another thing would be looked at")
		r.Store.Log(q.entry("denied", string(res.Envelope.Code)))
		return res, "what reads it cannot name the same thing"
	}
	if r.decide(ctx, q); q.decision.Outcome != authz.Allow {
		return r.denied(q), "the policies do not let it be read without a person: " + q.decision.Reason
	}
	res = r.allowed(ctx, q)
	if res.Envelope.Status != Done {
		return res, "the look did not succeed: " + res.Envelope.Reason
	}
	return res, ""
}

// sameThing reports whether q reads what c writes: the same URL, or the same
// item, which its path names whatever options the query adds.
func sameThing(c, q *call) bool {
	switch {
	case q.request.Origin != c.request.Origin:
		return false
	case c.tool.op.Method == http.MethodPost:
		return strings.HasPrefix(q.request.Path, strings.TrimSuffix(c.request.Path, "/")+"/")
	case namesItem(c.tool.op.Path):
		return q.request.Path == c.request.Path
	}
	return q.request.Target == c.request.Target
}

// namesItem reports whether a path template ends in a parameter.
func namesItem(template string) bool { return strings.HasSuffix(template, "}") }

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
	want, err := exact(mustJSON(sent))
	have, bad := exact(response)
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
