package main

import (
	"slices"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/mcpserver"
	"github.com/exeat/exeat/mcpserver/statictoken"
)

// authenticator says who calls over HTTP.
func (g *gateway) authenticator() mcpserver.Authenticator {
	own := &bearer{keys: g.keys, principal: principal(g.cfg), whence: bearerCommand(g.cfg.Keys) + " prints the token"}
	return statictoken.New(g.readTokens, g.runner.Now, own)
}

func (g *gateway) readTokens() ([]byte, error) { return g.keys.ReadFile(statictoken.File) }

// current is a principal as it is now, for calls that waited; false if nobody
// could call as it any more.
func (g *gateway) current(p authz.Principal) (authz.Principal, bool) {
	same := func(q authz.Principal) bool { return p.Type == q.Type && p.ID == q.ID && p.Issuer == q.Issuer }
	own := append([]authz.Principal{principal(g.cfg)}, people(g.cfg)...)
	if i := slices.IndexFunc(own, same); i >= 0 {
		return own[i], true
	}
	text, err := g.readTokens()
	if err != nil {
		return p, false
	}
	list, err := statictoken.Parse(text)
	if err != nil {
		return p, false
	}
	i := slices.IndexFunc(list, func(t statictoken.Token) bool { return same(t.Principal) && g.runner.Now().Before(t.Expires) })
	if i < 0 {
		return p, false
	}
	return list[i].Principal, true
}
