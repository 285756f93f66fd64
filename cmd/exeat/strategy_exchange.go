package main

import (
	"fmt"
	"time"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
)

// exchangeConfig is what the strategy exchange takes beside what all strategies do
// that ask an authorization server.
type exchangeConfig struct {
	// Subject says of what a token is made: of the caller's (caller, the default), or
	// of what exeat says who the principal is (assertion). SameSubject is the claim of
	// the token that then has to be the principal.
	Subject     string `yaml:"subject"`
	SameSubject string `yaml:"same_subject"`
	// Actor says who acts: the agent. Details has a token be for this one request.
	Actor   bool `yaml:"actor"`
	Details bool `yaml:"details"`
	// DPoP has a token be bound to a key of its call.
	DPoP bool `yaml:"dpop"`
	// IntrospectURL is where opaque tokens are read.
	IntrospectURL string        `yaml:"introspect_url"`
	MaxTTL        time.Duration `yaml:"max_ttl"`
	// Wider is refuse (default) or note.
	Wider string `yaml:"wider"`
}

// newExchange is what has tokens exchanged.
func newExchange(use credentialUse) (token.Attacher, error) {
	server, err := newServer(use.c)
	if err != nil {
		return nil, err
	}
	c := use.c.Exchange
	if c == nil {
		c = &exchangeConfig{}
	}
	server.IntrospectURL = c.IntrospectURL
	x := &credential.Exchange{Server: server, Wants: use.c.wants(), SameSubject: c.SameSubject, Details: c.Details, DPoP: c.DPoP, MaxTTL: c.MaxTTL}
	switch c.Subject {
	case "", "caller":
	case "assertion":
		x.Subject = use.assertion()
	default:
		return nil, fmt.Errorf("exchange.subject is %q; it can be caller (default) or assertion", c.Subject)
	}
	if c.Actor {
		x.Actor = use.assertion()
	}
	switch c.Wider {
	case "", "refuse":
	case "note":
		x.NoteWider = true
	default:
		return nil, fmt.Errorf("exchange.wider is %q; it can be refuse (default) or note", c.Wider)
	}
	return x, x.Check()
}

// assertion is what exeat itself says, to the server of a credential.
func (use credentialUse) assertion() *credential.Assertion {
	return &credential.Assertion{Issuer: use.cfg.issuer(), Audience: use.c.Issuer, Keys: use.keys}
}
