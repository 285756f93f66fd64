package tools

import (
	"context"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

// Lacks says what a person has to do before a held call can have its credential, such
// as connecting an account; "" if there is nothing, or if another process knows.
func (r *Runner) Lacks(ctx context.Context, h store.Hold) (string, error) {
	t, ok := r.byOp[[2]string{h.API, h.Tool}]
	if !ok {
		return "", nil
	}
	return t.lacks(ctx, h.Subject)
}

// lacks says what a person has to do before the calls of this tool in their name can
// have a credential.
func (t *Tool) lacks(ctx context.Context, person string) (string, error) {
	c, ok := t.api.Credentials.(interface {
		Lacks(context.Context, token.Call) (string, error)
	})
	if !ok {
		return "", nil
	}
	return c.Lacks(ctx, token.Call{Person: person, Scopes: scopes(t.op), Details: token.Details{Identifier: t.op.Name}})
}

// lacking is the same for a call. Where it cannot be known, the call goes on, and has
// no credential.
func (r *Runner) lacking(ctx context.Context, c *course) bool {
	why, err := c.tool.lacks(ctx, c.caller.Subject())
	if err != nil {
		c.fail(err)
	}
	c.lacks = why
	return why != ""
}
