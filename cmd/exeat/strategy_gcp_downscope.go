package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
)

// gcpDownscopeConfig is tokens of Google that are cut down to one call.
type gcpDownscopeConfig struct {
	// KeyFile is the key of a service account; Machine is the service account of this
	// machine at Google; Provider is a workload identity pool's, that trusts Identity.
	KeyFile  string          `yaml:"key_file"`
	Machine  bool            `yaml:"machine"`
	Provider string          `yaml:"provider"`
	Identity *identityConfig `yaml:"identity"`
	// ServiceAccount is impersonated, for Lasts.
	ServiceAccount string        `yaml:"service_account"`
	Lasts          time.Duration `yaml:"lasts"`
	Universe       string        `yaml:"universe_domain"`
	Rules          []gcpRule     `yaml:"rules"`
}

// gcpRule is a rule of the boundary of a call.
type gcpRule struct {
	Effects     []string `yaml:"effects"`
	Methods     []string `yaml:"methods"`
	Bucket      string   `yaml:"bucket"`
	Object      string   `yaml:"object"`
	Prefix      string   `yaml:"prefix"`
	Permissions []string `yaml:"permissions"`
}

func (c *gcpDownscopeConfig) within(dir string) {
	if c != nil {
		c.KeyFile = relative(dir, c.KeyFile)
		c.Identity.within(dir)
	}
}

func newGCPDownscope(use credentialUse) (token.Attacher, error) {
	c := use.c.GCPDownscope
	if c == nil {
		return nil, errors.New("gcp_downscope needs its settings: gcp_downscope: {key_file: …, rules: …}")
	}
	source, err := c.source(use.c.client)
	if err != nil {
		return nil, err
	}
	g := &credential.GCP{Source: source, Impersonate: c.ServiceAccount, Lasts: c.Lasts, Universe: c.Universe, Client: use.c.client}
	for _, r := range c.Rules {
		g.Rules = append(g.Rules, credential.BoundaryRule{Which: credential.Which{Effects: r.Effects, Methods: r.Methods}, Bucket: r.Bucket, Object: r.Object, Prefix: r.Prefix, Permissions: r.Permissions})
	}
	return g, g.Check()
}

// source is where the token comes from that is cut down.
func (c *gcpDownscopeConfig) source(client *http.Client) (oauth2.TokenSource, error) {
	given := 0
	for _, is := range []bool{c.KeyFile != "", c.Machine, c.Provider != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, errors.New("give one of key_file (of a service account), machine: true (at Google) and provider (of a workload identity pool, with an identity)")
	case c.KeyFile != "":
		return credential.GoogleKeyFile(c.KeyFile, client)
	case c.Machine:
		return credential.GoogleMachine(nil), nil // which no proxy can reach
	case c.Identity == nil:
		return nil, errors.New("provider needs the identity that it trusts: {file: …} or {key: …, issuer: …, subject: …}")
	}
	identity, err := c.Identity.signer("https:"+strings.TrimPrefix(c.Provider, "https:"), "RS256", "ES256")
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return credential.GoogleFederation(c.Provider, c.Universe, identity, client)
}
