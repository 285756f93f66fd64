package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/devissuer"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/mcpserver"
	"github.com/exeat/exeat/tools"
)

// ownIssuer stands in the configuration for the authorization server of this process.
const ownIssuer = "dev"

// ownAt is which issuer is the own one, or -1.
func (c oauthConfig) ownAt() int {
	return slices.IndexFunc(c.Issuers, func(x issuerConfig) bool { return x.Issuer == ownIssuer })
}

// checkOwn refuses what the own issuer cannot be told.
func (c issuerConfig) checkOwn() error {
	if !reflect.DeepEqual(c, issuerConfig{Issuer: ownIssuer}) {
		return errors.New("issuer: dev takes no other keys: its people are those of the inbox, and its tokens are for this exeat")
	}
	return nil
}

// newIssuer makes the own issuer, if the configuration wants it, and puts its URL
// into the configuration. There is one in the process that serves MCP over HTTP.
func (g *gateway) newIssuer(inbox string) error {
	at := g.cfg.OAuth.ownAt()
	if at < 0 {
		return nil
	}
	x := issuerConfig{Issuer: g.cfg.publicURL() + devissuer.Path, local: func(context.Context) ([]byte, error) {
		return nil, errors.New("the issuer is in the process that serves MCP over HTTP")
	}}
	if g.mcpL != nil {
		// ES256 is what every client and gateway can check.
		keys, err := token.OpenKeys(issuerKeys(g.cfg), "ES256")
		if err != nil {
			return fmt.Errorf("oauth: the keys of issuer dev: %w", err)
		}
		g.issuer, err = devissuer.New(devissuer.Config{Issuer: x.Issuer, Resource: g.cfg.publicURL() + "/mcp", Inbox: inbox, Scopes: g.cfg.OAuth.Scopes, Keys: keys,
			Store: g.store, Holds: g.holds, Trouble: func(err error) { g.log.Error().Err(err).Msg("oauth") }})
		if err != nil {
			return fmt.Errorf("oauth: %w", err)
		}
		x.local = g.issuer.JWKS
	}
	g.cfg.OAuth.Issuers = slices.Clone(g.cfg.OAuth.Issuers)
	g.cfg.OAuth.Issuers[at] = x
	return nil
}

// issuerKeys is the folder of the own issuer's keys, within that of exeat's.
func issuerKeys(cfg config) string { return filepath.Join(cfg.Keys, "issuer") }

// ownPeople says who the people of the own issuer are: those of the inbox, as the
// configuration has them at this moment.
type ownPeople struct {
	g    *gateway
	next mcpserver.Authenticator
}

func (o *ownPeople) Authenticate(r *http.Request) (tools.Caller, error) {
	caller, err := o.next.Authenticate(r)
	if err != nil || caller.Principal.Issuer != o.g.issuer.URL() {
		return caller, err
	}
	p := caller.Principal
	known := localPeople(o.g.cfg)
	at := slices.IndexFunc(known, func(q authz.Principal) bool { return q.Name() == p.Name() })
	switch {
	case at >= 0:
		caller.Principal = known[at]
		caller.Principal.ACR, caller.Principal.AuthTime, caller.Principal.Scopes = p.ACR, p.AuthTime, p.Scopes
	case o.g.cfg.Inbox.OIDC == nil:
		return tools.Caller{}, o.g.oauth.Complete(&mcpserver.Challenge{Code: "invalid_token", Help: "nobody of that name is known here any more: ask who runs exeat"})
	}
	return caller, nil
}

// localPeople are those whom the configuration names.
func localPeople(cfg config) []authz.Principal {
	return append([]authz.Principal{principal(cfg)}, people(cfg)...)
}
