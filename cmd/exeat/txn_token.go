package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/tools"
)

// txnTokenConfig has transaction tokens go with the calls of an API.
type txnTokenConfig struct {
	TrustDomain string `yaml:"trust_domain"`
	// Workload is what exeat is called in that domain; the default is its issuer.
	Workload string `yaml:"workload"`
	// Service is the transaction token service of the domain, in the keys of a
	// credential; without it exeat signs them itself.
	Service *credentialConfig `yaml:"service"`
	// Subject is what the service makes them of: caller (default) or assertion.
	Subject string `yaml:"subject"`
}

// within makes the paths those of files in dir.
func (c *txnTokenConfig) within(dir string) {
	if c != nil {
		within(dir, c.Service, nil)
	}
}

// withTxnToken has transaction tokens go with credentials, if the configuration of the
// API says so.
func (a apiConfig) withTxnToken(cfg config, keys *token.Keys, credentials tools.Credentials) (tools.Credentials, error) {
	if a.TxnToken == nil {
		return credentials, nil
	}
	made, err := a.TxnToken.attacher(a.proxied(cfg), keys)
	if err != nil {
		return nil, fmt.Errorf("txn_token: %w", err)
	}
	with, ok := credentials.(token.WithHeaders)
	if !ok {
		with = token.WithHeaders{Attacher: credentials}
	}
	with.Headers = append(with.Headers, made)
	return with, nil
}

func (c *txnTokenConfig) attacher(cfg config, keys *token.Keys) (token.Attacher, error) {
	if c.Service == nil {
		if c.Subject != "" {
			return nil, errors.New("subject is what a service makes them of, and there is no service")
		}
		own := &credential.TxnToken{Domain: c.TrustDomain, Workload: cmp.Or(c.Workload, cfg.issuer()), Issuer: cfg.issuer(), Keys: keys}
		return own, own.Check()
	}
	if c.Service.Strategy != "" || c.Workload != "" {
		return nil, errors.New("a service has no strategy, and knows itself what exeat is called: leave strategy and workload out")
	}
	use := credentialUse{cfg: cfg, c: *c.Service, keys: keys}
	use.c.Strategy = "a service"
	var err error
	if use.c.client, err = use.client(); err != nil {
		return nil, err
	}
	asks := &credential.TxnService{Domain: c.TrustDomain}
	if asks.Server, err = newServer(use.c); err != nil {
		return nil, err
	}
	switch c.Subject {
	case "", "caller":
	case "assertion":
		asks.Subject = use.assertion()
	default:
		return nil, fmt.Errorf("subject is %q; it can be caller (default) or assertion", c.Subject)
	}
	return asks, asks.Check()
}
