package tools

import (
	"context"
	"fmt"
	"time"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

// spendWithin bounds how long the revocation of a credential may take.
const spendWithin = 30 * time.Second

// credentialOf is what the entry of a request says of its credential.
func credentialOf(t token.Receipt) *store.Credential {
	c := store.Credential{Issuer: t.Issuer, Audience: t.Audience, Scope: t.Scope, Expires: t.Expires.UTC(), Narrowed: t.Narrowed, Wider: t.Wider, Revocable: t.Revoke != nil}
	if c == (store.Credential{Expires: c.Expires}) {
		return nil // all there is to say is its strategy
	}
	return &c
}

// spend has the credential of a request revoked, if it can be. The answer does not
// wait for it.
func (r *Runner) spend(ctx context.Context, c *course, t token.Receipt) {
	if t.Revoke == nil {
		return
	}
	entry := c.entry(store.KindSpent, "")
	entry.Strategy, entry.JTI, entry.Credential = t.Strategy, t.JTI, credentialOf(t)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spendWithin)
	r.after.Go(func() {
		defer cancel()
		if err := t.Revoke(ctx); err != nil {
			entry.Code, entry.Note = string(CredentialFailed), err.Error()
		}
		if err := r.Store.Log(entry)(); err != nil {
			r.trouble(fmt.Errorf("record what became of a credential: %w", err))
		}
	})
}

// Wait returns once nothing goes on any more of calls that had their answer.
func (r *Runner) Wait() { r.after.Wait() }
