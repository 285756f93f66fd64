package main

import (
	"fmt"
	"sync"

	"github.com/exeat/exeat/authz/dpop"
	"github.com/exeat/exeat/authz/token"
)

// processKey is the key of this process that tokens are bound to.
var processKey = sync.OnceValues(dpop.NewKey)

// newSigned is what makes tokens of exeat's own.
func newSigned(use credentialUse) (token.Attacher, error) {
	s := &token.Signed{Issuer: use.cfg.issuer(), Keys: use.keys, SignRequests: use.c.Binding == token.BindSignature}
	err := checkBinding(use.c.Binding)
	if use.c.Binding == token.BindDPoP {
		s.DPoP, err = processKey()
	}
	return s, err
}

// checkBinding refuses a binding that there is not. None is none.
func checkBinding(binding string) error {
	if binding == "" || binding == token.BindSignature || binding == token.BindDPoP {
		return nil
	}
	return fmt.Errorf("there is no binding %q; it can be %s or %s", binding, token.BindSignature, token.BindDPoP)
}
