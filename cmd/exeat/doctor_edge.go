package main

import (
	"fmt"
	"net/netip"
	"net/url"

	"github.com/exeat/exeat/mcpserver/edge"
)

// reached checks how MCP and the inbox are reached. No port is taken.
func (d *doctor) reached(cfg config) {
	d.edge("listen", cfg.edge())
	d.edge("inbox", cfg.Inbox.edge())
	for _, origin := range cfg.Origins {
		if u, err := url.Parse(origin); err == nil && u.Scheme == "http" {
			d.note("listen", "pages at "+origin+" may call MCP: that is whoever has that port of the person's machine")
		}
	}
}

func (d *doctor) edge(what string, c edge.Config) {
	e, err := edge.New(c)
	if err != nil {
		d.bad(what, err.Error())
		return
	}
	if c.TLS.Key != "" {
		d.private(what, c.TLS.Key)
		u, err := url.Parse(c.PublicURL)
		if err == nil {
			err = edge.CheckCertificate(c.TLS, u.Hostname(), now())
		}
		if err != nil {
			d.bad(what, c.TLS.Cert+": "+err.Error())
		} else {
			d.ok(what, c.TLS.Cert+" fits and is good for another 14 days at least")
		}
	}
	d.proxies(what, c, e.URL().Secure())
}

// proxies says what the proxies that are named do not protect against.
func (d *doctor) proxies(what string, c edge.Config, secure bool) {
	name := c.Name
	if name == nil {
		name = func(key string) string { return key }
	}
	if len(c.Proxies) == 0 && secure && c.TLS.Cert == "" {
		d.note(what, fmt.Sprintf("%s is https and there is no %s: a proxy on this machine is meant, then, and all callers have its address; name it in %s", name("public_url"), name("tls.cert"), name("proxies")))
	}
	if len(c.Proxies) > 0 && c.PublicURL == "" {
		d.bad(what, fmt.Sprintf("%s names proxies, and no %s says what clients call there", name("proxies"), name("public_url")))
	}
	for _, p := range c.Proxies {
		prefix, err := netip.ParsePrefix(p)
		if few := 16; err == nil && prefix.Addr().BitLen()-prefix.Bits() > few {
			d.note(what, fmt.Sprintf("%s are more than %d addresses, and whoever has one of them can say that somebody else calls: name those of the proxies", p, 1<<few))
		}
	}
}
