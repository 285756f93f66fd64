package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/tools/jq"
)

// selectArg is the argument of every tool with JSON answers that says which part
// of the answer is wanted, as a jq program. It is not part of the request.
const selectArg = "_select"

const selectSchema = `"_select":{"type":"string","description":"jq program over the answer, to get less of it, e.g. [.items[] | {id, name}]"}`

// maxSelected bounds the answer that a program is run over, in bytes.
const maxSelected = 8 << 20

// selecting is how many projections run at a time in this process: each may need
// some hundred megabytes.
const selecting = 2

// selectWithin bounds the time of one.
const selectWithin = 5 * time.Second

// parseSelect reads the argument that says what part of the answer is wanted; nil is
// all of it.
func parseSelect(v any) (*jq.Program, error) {
	if v == nil || v == "" {
		return nil, nil
	}
	problem := func(message string) error {
		return &openapi.ArgumentError{Problems: []openapi.Problem{{Pointer: "/" + selectArg, Message: message}}}
	}
	program, ok := v.(string)
	if !ok {
		return nil, problem("must be a jq program, as a string")
	}
	p, err := jq.Parse(program)
	if err != nil {
		return nil, problem(err.Error())
	}
	return p, nil
}

// project puts in place of an answer what the program gives of it. An answer that
// is no JSON, or says that something went wrong, stays as it is. If the program
// fails the agent gets the shape of the answer, to mend its program by.
func (r *Runner) project(ctx context.Context, p *jq.Program, res *Result) {
	e := &res.Envelope
	if p == nil || e.Status != Done || e.HTTPStatus >= 300 {
		return
	}
	if e.Response == nil || len(res.Blocks) > 0 {
		e.Note = join(e.Note, selectArg+" was not applied: the answer is no JSON")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, selectWithin)
	defer cancel()
	select {
	case r.selects <- struct{}{}:
		defer func() { <-r.selects }()
	case <-ctx.Done():
		e.Response, e.Note = nil, join(e.Note, selectArg+" could not be applied: too much else is being selected; ask again")
		return
	}
	v, err := jq.Read(e.Response)
	if err == nil {
		var out json.RawMessage
		if out, err = p.Run(ctx, v); err == nil {
			e.Response = out
			r.cut(e)
			return
		}
		e.Shape = map[string]any{"response": jq.Shape(v)}
	}
	e.Response = nil
	e.Note = join(e.Note, selectArg+" "+err.Error()+"; the answer is left out, its shape is given instead")
}

// cut keeps what is selected within the limit of answers.
func (r *Runner) cut(e *Envelope) {
	if int64(len(e.Response)) <= r.ResponseLimit {
		return
	}
	size := len(e.Response)
	kept, where := openapi.Cut(e.Response, r.ResponseLimit)
	e.Response, e.Note = kept, join(e.Note, fmt.Sprintf("what was selected has %d bytes and was cut: %s", size, where))
}
