package openapi

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/exeat/exeat/openapi/reach"
)

// fetcher is the client of who gives none.
var fetcher = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
	Proxy: http.ProxyFromEnvironment, DialContext: reach.Within(10 * time.Second), TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
	MaxIdleConns: 4, IdleConnTimeout: time.Minute,
}}

// fetch reads a document from a URL, within bounds, after at most so many
// redirects, without leaving its host.
func (l *loader) fetch(ctx context.Context, location string, client *http.Client, redirects int) (*document, error) {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, &Error{File: location, Message: "it is no URL that can be fetched", Hint: "write it as https://host/path"}
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, &Error{File: location, Message: "documents are fetched by https only", Hint: "use https, or download the file"}
	}
	if client == nil {
		client = fetcher
	}
	own := *client // whoever gives one says how to connect, not where to
	own.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) > redirects || r.URL.Host != u.Host || r.URL.Scheme != u.Scheme {
			return errors.New("it redirects to another place")
		}
		return nil
	}
	client = &own
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, &Error{File: location, Message: err.Error()}
	}
	req.Header.Set("Accept", "application/yaml, application/json, */*")
	before := recall(l.cache, location)
	before.ask(req.Header)
	resp, err := client.Do(req)
	if err != nil {
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err
		}
		if before != nil && l.pinned(before) {
			l.notes = append(l.notes, Finding{File: location, Message: "it could not be fetched (" + oneLine(err.Error(), 200) + "); the copy from before has the pinned SHA-256 and is served"})
			return l.parseFetched(location, before.Found, before.data)
		}
		return nil, &Error{File: location, Message: "it could not be fetched: " + err.Error(), Hint: "check the address, or download the file"}
	}
	defer resp.Body.Close()
	found := resp.Request.URL.String()
	if resp.StatusCode == http.StatusNotModified && before != nil {
		return l.parseFetched(location, found, before.data)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &Error{File: location, Message: "the server answered " + resp.Status, Hint: "check the address"}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	if err != nil {
		return nil, &Error{File: location, Message: "it could not be read to its end: " + err.Error(), Hint: "try again"}
	}
	d, bad := l.parseFetched(location, found, data)
	if bad == nil {
		keep(l.cache, location, found, resp.Header, data)
	}
	return d, bad
}

// parseFetched takes in what came from a URL, after redirects from found.
func (l *loader) parseFetched(location, found string, data []byte) (*document, error) {
	d, bad := l.add(location, data)
	if bad != nil {
		return nil, bad
	}
	d.url, d.found = location, found
	return d, nil
}

// foundAt is the URL that servers in a document are relative to; "" for a file.
func (d *document) foundAt() string { return cmp.Or(d.found, d.url) }

// pinned reports whether a document is the one that the pin names.
func (l *loader) pinned(k *keptDocument) bool {
	return l.pin != "" && strings.EqualFold(l.pin, k.SHA256)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
