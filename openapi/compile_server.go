package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// baseURL finds where requests go.
func (c *compiler) baseURL(top place) *Error {
	if c.opts.BaseURL != "" {
		u, err := absolute(c.opts.BaseURL)
		if err != nil {
			return &Error{File: c.location, Message: fmt.Sprintf("the base URL %q %v", c.opts.BaseURL, err), Hint: "write it as https://host/prefix"}
		}
		c.api.BaseURL = u
		return nil
	}
	if c.swagger2 {
		c.api.BaseURL = c.swaggerBase()
		return nil
	}
	if s, err := c.server(top, c.doc["servers"]); err != nil {
		c.finding(top.to("servers"), "", false, err.Error()+"; --base-url names another server")
	} else {
		c.api.BaseURL = s
	}
	if _, listed := c.doc["servers"]; !listed && strings.Contains(c.location, "://") {
		c.api.BaseURL = c.againstLocation("/")
	}
	return nil
}

// server is the first server of a list, with its variables' defaults. It is ""
// if there is none or it is relative to a file.
func (c *compiler) server(p place, v any) (string, error) {
	list, _ := v.([]any)
	if len(list) == 0 {
		return "", nil
	}
	s, _ := list[0].(map[string]any)
	text := str(s["url"])
	vars, _ := s["variables"].(map[string]any)
	if len(text) > maxServer {
		return "", fmt.Errorf("the server is longer than %d bytes", maxServer)
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
		return "", fmt.Errorf("the server %q has a variable without default", shorten(text, 200))
	}
	if !strings.Contains(text, "://") {
		return c.againstLocation(text), nil
	}
	u, err := absolute(text)
	if err == nil && c.fromOutside() && Inside(u) {
		err = errors.New("is inside this network, and the document comes from outside")
	}
	if err != nil {
		return "", fmt.Errorf("the server %q %v", shorten(text, 200), err)
	}
	return u, nil
}

// maxServer bounds a server's URL and its variables, in bytes.
const maxServer = 2048

// fromOutside reports a document that was fetched from another machine.
func (c *compiler) fromOutside() bool {
	return strings.Contains(c.location, "://") && !Inside(c.location)
}

// Inside reports a URL whose host is this machine or an address of a private
// network, as written.
func Inside(location string) bool {
	u, err := url.Parse(location)
	if err != nil {
		return true
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") ||
		ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast())
}

var serverVariable = regexp.MustCompile(`\{[^{}]*\}`)

// againstLocation resolves a relative server against where the document is.
func (c *compiler) againstLocation(ref string) string {
	base, err := url.Parse(c.location)
	if err != nil || base.Host == "" {
		return ""
	}
	u, err := base.Parse(ref)
	if err != nil {
		return ""
	}
	s, err := absolute(u.String())
	if err != nil {
		return ""
	}
	return s
}

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
