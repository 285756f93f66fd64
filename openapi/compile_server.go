package openapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/exeat/exeat/openapi/reach"
)

// site is where a server of the document is. The origin is empty if only a base
// URL can tell it: the server is relative, and the document is a file.
type site struct {
	origin, path string // the path without a slash at its end
	relative     bool   // as it is written
}

func (s site) String() string { return cmp.Or(s.origin+s.path, "/") }

// newSite takes a URL that absolute has checked apart.
func newSite(u string) site {
	scheme, rest, _ := strings.Cut(u, "://")
	host, path, slash := strings.Cut(rest, "/")
	if slash {
		path = "/" + path
	}
	port := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return site{origin: scheme + "://" + strings.TrimSuffix(host, port), path: path}
}

// baseURL finds where requests go. A base URL stands for the document's server;
// if that is relative and the base URL has no path, it is what the server is
// relative to.
func (c *compiler) baseURL(top place) *Error {
	own, err := c.ownServer(top)
	if c.opts.BaseURL == "" {
		if err != nil {
			c.finding(top.to("servers"), "", false, err.Error()+"; --base-url names another server")
		} else if own.origin != "" {
			c.api.BaseURL = own.String()
		}
		return nil
	}
	u, bad := absolute(c.opts.BaseURL)
	if bad != nil {
		return &Error{File: c.location, Message: fmt.Sprintf("the base URL %q %v", c.opts.BaseURL, bad), Hint: "write it as https://host/prefix"}
	}
	base := newSite(u)
	c.home, c.api.BaseURL = own, u
	switch {
	case err != nil:
		c.finding(top.to("servers"), "", false, err.Error()+"; the base URL stands for it")
		c.home = site{origin: "?"} // no server of an operation is below it
	case own.relative && base.path == "":
		c.api.BaseURL = u + own.path
	case own.path != "" && own.path != base.path:
		c.finding(top.to("servers"), "", false, fmt.Sprintf("the base URL %s stands for the document's server %s, whose path is another: calls go below the base URL", u, own))
	}
	return nil
}

// ownServer is the document's first server, or what stands for one.
func (c *compiler) ownServer(top place) (site, error) {
	if c.swagger2 {
		return c.swaggerSite()
	}
	s, given, err := c.server(top, c.doc["servers"])
	if err == nil && !given {
		s, err = c.at(c.root, "/")
	}
	return s, err
}

// server is the first server of a list, with its variables' defaults.
func (c *compiler) server(p place, v any) (s site, given bool, err error) {
	if v == nil {
		return site{}, false, nil
	}
	list, ok := v.([]any)
	if !ok {
		return site{}, true, errors.New("it is not a list of servers")
	}
	if len(list) == 0 {
		return site{}, false, nil
	}
	first, _ := list[0].(map[string]any)
	text := str(first["url"])
	vars, _ := first["variables"].(map[string]any)
	switch {
	case text == "":
		return site{}, true, errors.New("the server has no url")
	case len(text) > maxServer:
		return site{}, true, fmt.Errorf("the server is longer than %d bytes", maxServer)
	}
	text = serverVariable.ReplaceAllStringFunc(text, func(name string) string {
		x, _ := vars[name[1:len(name)-1]].(map[string]any)
		switch d := x["default"].(type) {
		case string:
			return shorten(d, maxServer) // what is cut is no host
		case json.Number:
			return d.String()
		}
		return name
	})
	if strings.Contains(text, "{") {
		return site{}, true, fmt.Errorf("the server %q has a variable without default", shorten(text, 200))
	}
	if s, err = c.at(p.doc, text); err != nil {
		err = fmt.Errorf("the server %q %w", shorten(text, 200), err)
	}
	return s, true, err
}

// at resolves what a document says of a server against where the document was
// found (RFC 3986 §5.1.3); OpenAPI 3.2 says that $self does not count for it.
func (c *compiler) at(d *document, ref string) (site, error) {
	u, err := url.Parse(ref)
	switch {
	case err != nil || u.Scheme != "":
		return c.site(ref, false)
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return site{}, errors.New("holds a query or a fragment")
	}
	if base, err := url.Parse(d.foundAt()); err == nil && base.Host != "" {
		return c.site(base.ResolveReference(u).String(), u.Host == "")
	}
	if u.Host != "" {
		return site{}, errors.New("names no scheme")
	}
	// Which folder a file would be in is not known; its name is not the server's.
	s, err := c.site((&url.URL{Scheme: "https", Host: "file", Path: "/"}).ResolveReference(u).String(), true)
	s.origin = ""
	return s, err
}

// site checks an absolute URL.
func (c *compiler) site(text string, relative bool) (site, error) {
	u, err := absolute(text)
	if err == nil && c.fromOutside() && reach.Inside(u) {
		err = errors.New("is inside this network, and the document comes from outside")
	}
	if err != nil {
		return site{}, err
	}
	s := newSite(u)
	s.relative = relative
	return s, nil
}

// servers finds where the operation goes if it, or its path, has a server of its
// own: there, or nowhere.
func (b *builder) servers() error {
	if b.c.swagger2 {
		return b.schemes()
	}
	for _, from := range []struct {
		at place
		v  any
	}{{b.at, b.v["servers"]}, {b.itemAt, b.item["servers"]}} {
		s, given, err := b.c.server(from.at, from.v)
		if err == nil && given {
			b.op.baseURL, err = b.c.locate(s)
		}
		if err != nil {
			return &placedError{from.at.to("servers"), err}
		}
		if given {
			return nil
		}
	}
	return nil
}

// locate finds the URL of an operation's own server. A base URL moves it if that
// stands for a server on the same host, and it is clear how. The API's credential
// goes to one host only.
func (c *compiler) locate(s site) (string, error) {
	api := newSite(c.api.BaseURL)
	if c.opts.BaseURL != "" && s.origin == c.home.origin {
		if rest, ok := strings.CutPrefix(s.path+"/", c.home.path+"/"); ok {
			return strings.TrimSuffix(c.api.BaseURL+"/"+rest, "/"), nil
		}
		if api.path == c.home.path {
			return api.origin + s.path, nil
		}
	}
	switch {
	case s.origin == "":
		return "", fmt.Errorf("its own server %s is relative, and a file does not say to what; --base-url may", s)
	case c.api.BaseURL != "" && s.origin != api.origin:
		return "", fmt.Errorf("its own server %s is another host than %s, to which the API's calls and credential go", s, c.api.BaseURL)
	case c.opts.BaseURL != "" && s.origin == c.home.origin:
		return "", fmt.Errorf("its own server %s is not below %s, for which the base URL stands", s, c.home)
	}
	return s.String(), nil
}

// maxServer bounds a server's URL and its variables, in bytes.
const maxServer = 2048

// fromOutside reports a document that was fetched from another machine.
func (c *compiler) fromOutside() bool {
	return strings.Contains(c.location, "://") && !reach.Inside(c.location)
}

var serverVariable = regexp.MustCompile(`\{[^{}]*\}`)

// absolute checks a server URL and drops its trailing slash.
func absolute(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", errors.New("is no absolute URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("is neither https nor http")
	case u.User != nil:
		return "", errors.New("holds a user name")
	case strings.Trim(strings.ToLower(u.Host), "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]") != "":
		return "", errors.New("has a host that is not plain ASCII; write other names in Punycode (xn--)")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "", errors.New("holds a query or a fragment")
	}
	if err := legalPath(strings.TrimRight(u.EscapedPath(), "/") + "/"); err != nil || strings.ContainsAny(u.Path, "{}") {
		return "", errors.New("holds a path that could be read as another one")
	}
	return strings.ToLower(u.Scheme) + "://" + strings.ToLower(u.Host) + strings.TrimRight(u.EscapedPath(), "/"), nil
}
