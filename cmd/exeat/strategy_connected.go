package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/exeat/exeat/authz/account"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
)

// connectedConfig is what the strategy connected takes beside what all strategies do
// that ask an authorization server.
type connectedConfig struct {
	// AuthorizeURL is where people log in; the document's authorization code flow says
	// it too.
	AuthorizeURL string `yaml:"authorize_url"`
	// Scopes say how long each is good for, once a person connected it.
	Scopes map[string]time.Duration `yaml:"scopes"`
	// Always are scopes that are asked for with every connection.
	Always []string `yaml:"always"`
	// Params are further parameters of the authorization request.
	Params map[string]string `yaml:"params"`
}

// newConnected is what makes tokens of the accounts that people connect.
func newConnected(use credentialUse) (token.Attacher, error) {
	c := use.c.Connected
	if c == nil {
		c = &connectedConfig{}
	}
	flow := &openapi.CodeFlow{}
	if use.scheme != nil && use.scheme.Code != nil {
		flow = use.scheme.Code
	}
	if use.c.TokenURL == "" {
		use.c.TokenURL = flow.TokenURL
	}
	server, err := newServer(use.c)
	if err != nil {
		return nil, err
	}
	p := &account.Provider{API: use.doc.Name, Server: server, ClientID: use.c.ClientID, AuthorizeURL: c.AuthorizeURL, Issuer: use.c.Issuer,
		Always: c.Always, AlsoGranted: use.c.AlsoGranted, Params: c.Params}
	if p.AuthorizeURL == "" {
		p.AuthorizeURL = flow.AuthorizeURL
	}
	if use.c.Resource != nil {
		p.Resource = *use.c.Resource
	}
	if len(use.c.Scopes) > 0 || use.c.Audience != "" || len(use.c.Params) > 0 {
		return nil, errors.New("scopes, audience and params are of other strategies; here there are connected.scopes and connected.params")
	}
	if p.Scopes, err = c.scopesOf(use.doc, flow); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	book := use.cfg.accounts
	if book == nil { // nothing is sent from here
		book = account.NewBook()
	}
	if err := book.Add(p); err != nil {
		return nil, err
	}
	return &account.Connected{Book: book, Provider: p}, nil
}

// scopesOf are the scopes that the operations of a document name, with what they mean
// and how long each is good for. One that only reads need lives longer.
func (c *connectedConfig) scopesOf(doc *openapi.API, flow *openapi.CodeFlow) (list []account.Scope, err error) {
	by := map[string]account.Scope{}
	for _, op := range doc.Operations {
		for _, alternative := range op.Security {
			for _, need := range alternative {
				if !doc.Security[need.Scheme].TakesBearer() {
					continue
				}
				for _, name := range need.Scopes {
					s, known := by[name]
					if !known {
						s = account.Scope{Name: name, Says: flow.Scopes[name], Life: account.ReadLife}
					}
					if op.Effect != openapi.Read {
						s.Life = account.WriteLife
					}
					if !slices.Contains(s.Tools, op.Name) {
						s.Tools = append(s.Tools, op.Name)
					}
					by[name] = s
				}
			}
		}
	}
	for name, life := range c.Scopes {
		s, known := by[name]
		if !known {
			return nil, fmt.Errorf("connected.scopes: no operation that is served needs the scope %q", name)
		}
		s.Life = life
		by[name] = s
	}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		list = append(list, by[name])
	}
	return list, nil
}

// openAccounts makes the accounts of people ready for use.
func (g *gateway) openAccounts() error {
	return g.cfg.accounts.Open(account.Config{Store: g.store, Folder: g.keys, Now: g.cfg.now, Ended: g.ended})
}

// ended reports whether what somebody's name carried since a time has ended.
func (g *gateway) ended(ctx context.Context, person string, since time.Time) (bool, error) {
	u, err := g.holds.User(ctx, person)
	return u.Over(since), err
}
