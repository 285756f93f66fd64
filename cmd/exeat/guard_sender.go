package main

import (
	"crypto/rand"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/dpop"
	"github.com/exeat/exeat/authz/token"
)

// senderOptions are the flags about who sends a request.
type senderOptions struct {
	require string
	nonce   bool
}

func (o *senderOptions) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&o.require, "require-binding", "", "refuse tokens that are good without a proof of who sends them by `BINDING`: signature or dpop")
	fs.BoolVar(&o.nonce, "dpop-nonce", false, "ask for a nonce in DPoP proofs, at the price of one more request every five minutes")
}

// apply has a verifier check senders. own is where the guard itself is called, for an
// audience that is no URL; it can be empty.
func (o *senderOptions) apply(v *token.Verifier, own string) error {
	if err := checkBinding(o.require); err != nil {
		return fmt.Errorf("--require-binding: %w", err)
	}
	v.RequireBinding = o.require
	if u, err := url.Parse(v.Audience); err != nil || u.Host == "" {
		v.Origin = own
	}
	if o.nonce {
		key := make([]byte, 32)
		rand.Read(key)
		v.Nonces = &dpop.Nonces{Key: key}
	}
	return nil
}
