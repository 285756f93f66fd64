package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/openapi/reach"
)

// way checks how an API is reached: its proxy, and the files of its TLS.
func (d *doctor) way(cfg config, a apiConfig, doc *openapi.API) {
	if _, err := a.way(cfg, doc, nil, nil); err != nil {
		d.bad("credentials", a.Spec+": "+err.Error())
	}
	if files, err := a.tlsFiles(doc); err == nil {
		d.tlsFiles(a.Spec, files)
	}
	d.proxy(a.Spec, a.proxied(cfg).Proxy, doc.BaseURL)
}

// proxy says by which proxy calls go, without what is secret of it.
func (d *doctor) proxy(of string, v *valueConfig, base string) {
	proxy, err := v.proxy()
	u, bad := url.Parse(base)
	if err != nil || bad != nil || proxy == nil || u.Scheme != "https" {
		return
	}
	switch via, err := proxyOf(proxy, u); {
	case err != nil: // which was said
	case via == nil:
		d.note("proxy", fmt.Sprintf("%s: calls go to %s without a proxy: the environment names none for it (HTTPS_PROXY, NO_PROXY), or it is on this machine", of, u.Host))
	default:
		d.ok("proxy", fmt.Sprintf("%s: calls go to %s by the proxy %s", of, u.Host, via.Host))
		if via.User != nil && via.Scheme == "http" && !onLoopback(via) {
			d.note("proxy", "the password for the proxy "+via.Host+" goes there without TLS: who can listen on the way reads it")
		}
	}
}

func onLoopback(u *url.URL) bool {
	return loopbackHost(u.Hostname()) || reach.IsLocalhost(u.Hostname())
}

// soon is how long before its end a certificate is spoken of.
const soon = 14 * 24 * time.Hour

// tlsFiles checks certificates, whose end stops all calls.
func (d *doctor) tlsFiles(of string, f tlsFiles) {
	if f.key != "" {
		d.private("credentials", f.key)
	}
	for _, file := range []string{f.ca, f.cert} {
		if file == "" {
			continue
		}
		list, err := readCertificates(file)
		if err != nil {
			continue // which was said where it is used
		}
		good := true
		for _, c := range list {
			switch left := c.NotAfter.Sub(now()); {
			case left <= 0:
				d.bad("credentials", fmt.Sprintf("%s: %s: the certificate of %s ended on %s: renew it", of, file, printableLine(c.Subject.String()), c.NotAfter.Format(time.DateOnly)))
			case left < soon:
				d.note("credentials", fmt.Sprintf("%s: %s: the certificate of %s ends on %s: renew it; a running exeat takes the new file by itself", of, file, printableLine(c.Subject.String()), c.NotAfter.Format(time.DateOnly)))
			default:
				continue
			}
			good = false
		}
		if good {
			d.ok("credentials", fmt.Sprintf("%s: %s is good for another 14 days at least", of, file))
		}
	}
}

// headers checks the secrets that go with every call.
func (d *doctor) headers(a apiConfig) {
	if _, err := a.withHeaders(nil); err != nil {
		d.bad("credentials", a.Spec+": "+err.Error())
	}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		h := a.Headers[name]
		if !h.isSecret() {
			continue
		}
		if h.File != "" {
			d.private("credentials", h.File)
		}
		d.note("credentials", fmt.Sprintf("%s: headers: %s is a secret that goes with every call, and outlives it; no token is bound to it", a.Spec, name))
	}
}
