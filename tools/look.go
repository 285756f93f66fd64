package tools

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// look makes the call that looks, or says why it could not. same tells whether
// it looks at the right thing.
func (r *Runner) look(ctx context.Context, c *call, t *Tool, args []byte, same func(c, q *call) bool, why purpose) (q *course, res Result, reason string) {
	q = &course{call: r.newCall(c.caller, t, why)}
	if !r.Visible(c.caller, t) { // no call is made of it, so there is nothing to record
		return q, res, "the policies do not let this caller read it"
	}
	prepared, err := r.prepare(c.caller, t, args, why)
	q.call = prepared
	defer func() { r.observe(q, res) }()
	if err != nil {
		return q, r.refuseArguments(q, err), "what would read it needs arguments that this call does not have"
	}
	if !same(c, q.call) {
		res = fail(InvalidArguments, "another thing would be looked at")
		r.logNothing(q, store.KindDenied, string(res.Envelope.Code))
		return q, res, "what reads it cannot name the same thing"
	}
	defer r.end(q)
	if r.decide(ctx, q); q.decision.Outcome != authz.Allow {
		return q, r.answerDeny(q), "the policies do not let it be read without a person: " + q.decision.Reason
	}
	if res, _ = r.attempt(ctx, q, mannerOf(q)); res.Envelope.Status != Done {
		return q, res, "the look did not succeed: " + res.Envelope.Reason
	}
	return q, res, ""
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
		return t, shareArguments(c, t, more), ""
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

// shareArguments are the arguments of c that t takes too, and more. Conditions stay
// behind: they were about the state before.
func shareArguments(c *call, t *Tool, more map[string]any) []byte {
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
