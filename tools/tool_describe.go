package tools

import (
	"context"
	"fmt"

	"github.com/exeat/exeat/authz"
)

// Description is everything that a host would show of the tool if it were
// listed or, with a pointer (RFC 6901), that part of the schema of its arguments.
func (r *Runner) Description(ctx context.Context, caller Caller, name, pointer string) Result {
	if res, refused := r.refuseAgent(ctx, caller); refused {
		return res
	}
	t, ok := r.offered(caller, name)
	if !ok {
		res := fail(InvalidArguments, fmt.Sprintf("there is no tool %q; find_tools finds those that there are", name))
		res.Envelope.Remediation = authz.RemedyArgs
		return res
	}
	if pointer != "" {
		part, err := t.op.Describe(t.profile, pointer)
		if err != nil {
			res := fail(InvalidArguments, err.Error())
			res.Envelope.Remediation = authz.RemedyArgs
			return res
		}
		return Result{Envelope: Envelope{Status: Done, Response: mustJSON(map[string]any{"name": t.Name, "pointer": pointer, "schema": part})}}
	}
	return Result{Envelope: Envelope{Status: Done, Response: mustJSON(map[string]any{
		"name": t.Name, "title": t.Title, "description": describe(t.op, t.op.WholeText()), "inputSchema": t.InputSchema, "annotations": t.Annotations,
	}), Next: "Call it by its name, with arguments that fit inputSchema."}}
}
