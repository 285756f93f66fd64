package main

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
)

// entraOBOConfig is what the strategy entra_obo takes beside what all strategies do that
// ask an authorization server.
type entraOBOConfig struct {
	// Tenant is in the token endpoint, if no other is given.
	Tenant string `yaml:"tenant"`
	// Identity says who exeat is, in place of a secret or a certificate.
	Identity *identityConfig `yaml:"identity"`
	// CAE says that exeat understands claims challenges.
	CAE bool `yaml:"cae"`
	// Wider is note (default) or refuse.
	Wider string `yaml:"wider"`
}

func (c *entraOBOConfig) within(dir string) {
	if c != nil {
		c.Identity.within(dir)
	}
}

// tenantName is a tenant's id or one of its domains: a token for users of whatever
// tenant (common) has none of theirs.
var tenantName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)

// newEntraOBO is what has tokens made on behalf of the caller.
func newEntraOBO(use credentialUse) (token.Attacher, error) {
	c, own := use.c, use.c.EntraOBO
	if own == nil {
		own = &entraOBOConfig{}
	}
	if c.TokenURL == "" {
		if !tenantName.MatchString(own.Tenant) {
			return nil, errors.New("entra_obo needs the tenant (entra_obo: {tenant: …}), its id or a domain of it, or the token_url")
		}
		c.TokenURL = "https://login.microsoftonline.com/" + own.Tenant + "/oauth2/v2.0/token"
	}
	if c.Issuer == "" {
		c.Issuer = c.TokenURL // which is what Entra calls itself in assertions
	}
	if own.Identity != nil {
		if c.Auth != "" {
			return nil, errors.New("both auth and entra_obo.identity are given; keep one")
		}
		c.Auth = "none"
	}
	server, err := newServer(c)
	if err != nil {
		return nil, err
	}
	if key, ok := server.Auth.(credential.KeyAuth); ok {
		if !key.Key.Certified() {
			return nil, fmt.Errorf("%s has no certificate of its key: Entra knows keys by their certificates, so put both into the file, in PEM", c.File)
		}
		key.Key, key.NotBefore = key.Key.PSS(), true
		server.Auth = key
	}
	if own.Identity != nil {
		sign, err := own.Identity.signer("api://AzureADTokenExchange", "RS256")
		if err != nil {
			return nil, fmt.Errorf("entra_obo.identity: %w", err)
		}
		server.Auth = credential.IdentityAuth{ID: c.ClientID, Identity: sign}
	}
	e := &credential.EntraOBO{Server: server, Wants: c.wants(), CAE: own.CAE}
	switch own.Wider {
	case "", "note":
	case "refuse":
		e.RefuseWider = true
	default:
		return nil, fmt.Errorf("entra_obo.wider is %q; it can be note (default) or refuse", own.Wider)
	}
	return e, e.Check()
}
