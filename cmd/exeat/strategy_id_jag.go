package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
)

// idJAGConfig is the company's own identity provider, for the strategy id_jag; the keys
// beside it are the authorization server of the API.
type idJAGConfig struct {
	Issuer   string   `yaml:"issuer"`
	TokenURL string   `yaml:"token_url"`
	ClientID string   `yaml:"client_id"`
	Auth     string   `yaml:"auth"`
	Env      string   `yaml:"env"`
	File     string   `yaml:"file"`
	Command  []string `yaml:"command"`
	KeyID    string   `yaml:"key_id"`
	// Audience is what the API's authorization server calls itself.
	Audience string `yaml:"audience"`
	// Subject says of what the assertion is made: caller (default) or assertion;
	// SubjectType is what the caller's token is called to the identity provider.
	Subject     string        `yaml:"subject"`
	SubjectType string        `yaml:"subject_token_type"`
	MaxTTL      time.Duration `yaml:"max_ttl"`
}

// server is the identity provider as the configuration of a credential.
func (c idJAGConfig) server(client credentialConfig) credentialConfig {
	return credentialConfig{Strategy: "id_jag.", TokenURL: c.TokenURL, Issuer: c.Issuer, ClientID: c.ClientID, Auth: c.Auth, Env: c.Env, File: c.File, Command: c.Command, KeyID: c.KeyID, client: client.client}
}

func newIDJAG(use credentialUse) (token.Attacher, error) {
	c := use.c.IDJAG
	if c == nil {
		return nil, errors.New("id_jag needs the key id_jag with the identity provider: issuer, token_url, client_id, and audience")
	}
	provider, err := newServer(c.server(use.c))
	if err != nil {
		return nil, fmt.Errorf("id_jag: %w", err)
	}
	server, err := newServer(use.c)
	if err != nil {
		return nil, err
	}
	j := &credential.IDJAG{Provider: provider, Issuer: c.Issuer, SubjectType: c.SubjectType, Server: server, Audience: c.Audience, Client: use.c.ClientID, Wants: use.c.wants(), MaxTTL: c.MaxTTL}
	switch c.Subject {
	case "", "caller":
	case "assertion":
		use.c.Issuer = c.Issuer // for whom it is signed
		j.Subject = use.assertion()
	default:
		return nil, fmt.Errorf("id_jag.subject is %q; it can be caller (default) or assertion", c.Subject)
	}
	return j, j.Check()
}
