package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/mcpserver/oauth"
)

// oauthConfig says whose access tokens `exeat http` takes.
type oauthConfig struct {
	Scopes  []string       `yaml:"scopes"` // that a client should ask for first
	Issuers []issuerConfig `yaml:"issuers"`
}

type issuerConfig struct {
	Issuer   string   `yaml:"issuer"`
	Prefix   string   `yaml:"prefix"`   // what the names of its people begin with
	Audience []string `yaml:"audience"` // default: the URL that clients call
	// Types is rfc9068 (default), or any: of Keycloak, Entra and others whose tokens
	// do not say that they are access tokens.
	Types         string               `yaml:"types"`
	Subject       string               `yaml:"subject"`
	Groups        []string             `yaml:"groups"`
	Roles         []string             `yaml:"roles"`
	Agent         string               `yaml:"agent"`
	Workload      workloadConfig       `yaml:"workload"`
	StepUp        []string             `yaml:"step_up"` // acr values that a client can be told to ask for
	Algorithms    []string             `yaml:"algorithms"`
	DPoP          string               `yaml:"dpop"` // accept (default), require or off
	Introspection *introspectionConfig `yaml:"introspection"`
	SPIFFE        *spiffeConfig        `yaml:"spiffe"`

	local func(context.Context) ([]byte, error) // the keys, if it is in this process
}

// workloadConfig says which tokens no person stands behind.
type workloadConfig struct {
	Claim string `yaml:"claim"`
	Value string `yaml:"value"`
}

type introspectionConfig struct {
	Endpoint         string `yaml:"endpoint"`
	ClientID         string `yaml:"client_id"`
	ClientSecretEnv  string `yaml:"client_secret_env"`
	ClientSecretFile string `yaml:"client_secret_file"`

	ClientSecretCommand []string `yaml:"client_secret_command"`
}

// source is where the secret is.
func (c introspectionConfig) source() secretSource {
	return secretSource{c.ClientSecretEnv, c.ClientSecretFile, c.ClientSecretCommand}
}

type spiffeConfig struct {
	TrustDomain string `yaml:"trust_domain"`
	Bundle      string `yaml:"bundle"` // a JWK Set in a file
}

// id is the trust domain as the issuer of its workloads.
func (c spiffeConfig) id() string { return authz.BySPIFFE + c.TrustDomain }

// within makes the paths of the files relative to the configuration's folder.
func (c *oauthConfig) within(dir string) {
	for i := range c.Issuers {
		if n := c.Issuers[i].Introspection; n != nil {
			s := n.source().within(dir)
			n.ClientSecretFile, n.ClientSecretCommand = s.file, s.command
		}
		if s := c.Issuers[i].SPIFFE; s != nil {
			s.Bundle = relative(dir, s.Bundle)
		}
	}
}

// check reports issuers whose people could be taken for others: those of the
// inbox's provider, or its local ones.
func (c oauthConfig) check(inbox inboxConfig) error {
	for i, x := range c.Issuers {
		at := fmt.Sprintf("oauth.issuers[%d]", i)
		switch {
		case x.Issuer == ownIssuer:
			if err := x.checkOwn(); err != nil || i != c.ownAt() {
				return fmt.Errorf("%s: %w", at, cmp.Or(err, errors.New("issuer: dev is there twice")))
			}
		case x.SPIFFE != nil:
			if x.Issuer != "" {
				return fmt.Errorf("%s has an issuer and spiffe; a trust domain is an entry of its own", at)
			}
		case x.Issuer == "":
			return fmt.Errorf("%s has no issuer: write the URL that the authorization server calls itself", at)
		case x.Types != "" && x.Types != "rfc9068" && x.Types != "any":
			return fmt.Errorf("%s.types is %q; it can be rfc9068 or any", at, x.Types)
		case inbox.OIDC != nil && inbox.OIDC.Issuer == x.Issuer:
			if a, b := cmp.Or(x.Subject, "sub"), cmp.Or(inbox.OIDC.Subject, "sub"); a != b || x.Prefix != "" {
				return fmt.Errorf("%s is the provider of the inbox, so its people are the same: it must have no prefix, and the subject of inbox.oidc, %s", at, b)
			}
		case x.Prefix == "" && inbox.OIDC != nil:
			return fmt.Errorf("%s has no prefix, and people log in to the inbox with another provider: whoever has the same name at both would be the same person; give it a prefix", at)
		case x.Prefix == "":
			return fmt.Errorf("%s has no prefix, and the inbox knows people by links: whoever calls themselves like one of them at %s would be that person; give it a prefix, or let people log in to the inbox with it (inbox.oidc)", at, x.Issuer)
		}
	}
	return nil
}

// server makes the resource server at the URL that clients call.
func (c oauthConfig) server(resource string, base oauth.Config) (*oauth.Server, error) {
	base.Resource, base.Scopes = resource, c.Scopes
	for i, x := range c.Issuers {
		issuer := oauth.Issuer{URL: x.Issuer, Prefix: x.Prefix, Audience: x.Audience, AnyType: x.Types == "any", Subject: x.Subject, Groups: x.Groups, Roles: x.Roles,
			Agent: x.Agent, Workload: oauth.Workload(x.Workload), ACR: x.StepUp, Algorithms: x.Algorithms, DPoP: oauth.Binding(x.DPoP), Local: x.local}
		if x.SPIFFE != nil {
			issuer.SPIFFE = &oauth.SPIFFE{TrustDomain: x.SPIFFE.TrustDomain, Bundle: x.SPIFFE.Bundle}
		}
		if n := x.Introspection; n != nil {
			secret, err := n.secret()
			if err != nil {
				return nil, fmt.Errorf("oauth.issuers[%d].introspection: %w", i, err)
			}
			issuer.Introspection = &oauth.Introspection{Endpoint: n.Endpoint, ClientID: n.ClientID, Secret: secret.Reveal}
		}
		base.Issuers = append(base.Issuers, issuer)
	}
	s, err := oauth.New(base)
	if err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	return s, nil
}

func (c introspectionConfig) secret() (token.Secret, error) {
	return c.source().readNeeded("client_secret_")
}
