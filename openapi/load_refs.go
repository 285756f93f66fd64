package openapi

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// remote is the document that a reference leads to by a URL, or from a document
// that came from one. Only what Options.Refs names is fetched, without following
// redirects; the document's own $self (OpenAPI 3.2 §4.1.1) needs no fetching.
func (l *loader) remote(from *document, ref string) (*document, error) {
	base := &url.URL{}
	if from.url != "" {
		var err error
		if base, err = url.Parse(from.url); err != nil {
			return nil, errors.New("the document's own URL is malformed")
		}
	}
	u, err := base.Parse(ref)
	if err != nil {
		return nil, fmt.Errorf("the reference %q is malformed", ref)
	}
	u.Fragment, u.RawFragment = "", ""
	name := u.String()
	if l.root != nil && (name == l.root.url || name == l.self) {
		return l.root, nil
	}
	if from.url == name {
		return from, nil
	}
	if !allowed(u, l.refs) {
		return nil, fmt.Errorf("the reference %q leads to a URL; only files beside the document are read, and what --allow-ref or refs names", ref)
	}
	x, ok := l.docs[name]
	if !ok && len(l.docs) >= maxFiles {
		return nil, fmt.Errorf("the document has more than %d files", maxFiles)
	}
	if !ok {
		// A redirect could lead out of what is allowed.
		x.doc, err = l.fetch(l.ctx, name, l.client, 0)
		if err != nil {
			x.bad = &Error{File: name, Message: err.Error()}
			errors.As(err, &x.bad)
		}
		l.docs[name] = x
	}
	if x.bad != nil {
		return nil, fmt.Errorf("the reference %q cannot be read: %s", ref, x.bad.Message)
	}
	return x.doc, nil
}

// allowed reports whether a URL is within one of the prefixes: the same scheme,
// host and port, and below the prefix's path, segment by segment. What could be
// read as another path is not.
func allowed(u *url.URL, prefixes []string) bool {
	if u.User != nil || u.RawQuery != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return false
	}
	at := u.EscapedPath()
	if legalPath(at) != nil || at != path.Clean(at) || strings.Contains(at, "%") {
		return false
	}
	for _, p := range prefixes {
		want, err := url.Parse(p)
		if err != nil || want.Scheme != u.Scheme || !strings.EqualFold(want.Host, u.Host) {
			continue
		}
		if below := strings.TrimSuffix(want.EscapedPath(), "/"); at == below || strings.HasPrefix(at, below+"/") {
			return true
		}
	}
	return false
}

// legalRefs checks the prefixes that an operator gives.
func legalRefs(prefixes []string) error {
	for _, p := range prefixes {
		u, err := url.Parse(p)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
			u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) || strings.Contains(u.EscapedPath(), "%") || strings.Contains(u.Path, "/..") {
			return fmt.Errorf("%q is no beginning of https URLs, such as https://host/schemas/", p)
		}
	}
	return nil
}
