package main

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/exeat/exeat/mcpserver/edge"
)

// tlsConfig names PEM files.
type tlsConfig struct {
	Cert     string `yaml:"cert"` // with its chain
	Key      string `yaml:"key"`
	ClientCA string `yaml:"client_ca"` // for tokens that are bound to a client's certificate
}

func (c tlsConfig) within(dir string) tlsConfig {
	return tlsConfig{Cert: relative(dir, c.Cert), Key: relative(dir, c.Key), ClientCA: relative(dir, c.ClientCA)}
}

// scheme is that of what listens with c.
func (c tlsConfig) scheme() string {
	if c == (tlsConfig{}) {
		return "http"
	}
	return "https"
}

// publicURL is what clients of MCP call, without a slash at its end.
func (c config) publicURL() string {
	if u, err := edge.ParsePublicURL(c.PublicURL); err == nil {
		return u.String()
	}
	return c.TLS.scheme() + "://" + c.Listen
}

// edge is how MCP is reached.
func (c config) edge() edge.Config {
	return edge.Config{Listen: c.Listen, PublicURL: c.PublicURL, TLS: edge.Files(c.TLS), Proxies: c.Proxies, Hosts: c.Hosts, Origins: c.Origins, Prefix: true}
}

// edge is how the inbox is reached, which is no place for a path prefix: its
// cookies and passkeys belong to a whole host.
func (c inboxConfig) edge() edge.Config {
	return edge.Config{Listen: c.Listen, PublicURL: c.URL, TLS: edge.Files(c.TLS), Proxies: c.Proxies, OwnNames: true,
		Name: func(key string) string { return "inbox." + strings.TrimPrefix(key, "public_") }}
}

// openEdges checks how the doors that are wanted are reached.
func (g *gateway) openEdges(want doors) (err error) {
	trouble := func(err error) { g.log.Error().Err(err).Msg("edge") }
	if want.mcp {
		c := g.cfg.edge()
		c.Trouble = trouble
		if g.mcpEdge, err = edge.New(c); err != nil {
			return err
		}
	}
	if want.inbox {
		c := g.cfg.Inbox.edge()
		c.Trouble = trouble
		g.inboxEdge, err = edge.New(c)
	}
	return err
}

// open takes the ports, or the sockets that there are for them already, and notes
// the one of MCP where the configuration left it open.
func (g *gateway) open(want doors) (err error) {
	sockets := want.sockets
	if sockets == nil {
		if sockets, err = edge.Sockets(want.names()...); err != nil {
			return err
		}
	}
	g.mcpL, g.inboxL = sockets["mcp"], sockets["inbox"]
	if want.mcp {
		if g.mcpL == nil {
			if g.mcpL, err = listen(g.cfg.Listen); err != nil {
				return err
			}
		}
		g.cfg.Listen = g.mcpL.Addr().String()
		if g.mcpL, err = g.mcpEdge.Bind(g.mcpL, hostNames(g.cfg.Listen, g.mcpL)); err != nil {
			return err
		}
	}
	if want.inbox {
		if g.inboxL == nil {
			if g.inboxL, err = listenInbox(g.cfg.Inbox); err != nil {
				return err
			}
		}
		g.inboxL, err = g.inboxEdge.Bind(g.inboxL, nil)
	}
	return err
}

// doors are the listeners that a gateway opens.
type doors struct {
	mcp, inbox bool
	sockets    map[string]net.Listener // by name, if they are open already
}

// names are what the sockets of a service manager can be called.
func (d doors) names() (all []string) {
	if d.mcp {
		all = append(all, "mcp")
	}
	if d.inbox {
		all = append(all, "inbox")
	}
	return all
}

// checks are what has to work for calls to be taken. Documents and policies are
// read before anything listens.
func (g *gateway) checks() []edge.Check {
	return []edge.Check{
		{Name: "database", Ready: func(ctx context.Context) error { _, _, err := g.store.Ends(ctx); return err }},
		{Name: "keys", Ready: func(context.Context) error { _, err := g.keys.List(); return err }},
	}
}

// serveInbox serves the inbox until ctx ends.
func (g *gateway) serveInbox(ctx context.Context) error {
	return serveHTTP(ctx, g.inboxL, g.inboxEdge.Handler(g.inbox.Handler(ctx), g.checks()...), g.log)
}

// serveMCP serves what takes MCP until ctx ends.
func (g *gateway) serveMCP(ctx context.Context, h http.Handler) error {
	return serveHTTP(ctx, g.mcpL, g.mcpEdge.Handler(h, g.checks()...), g.log)
}
