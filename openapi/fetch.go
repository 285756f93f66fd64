package openapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

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
		client = &http.Client{Timeout: time.Minute}
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
	resp, err := client.Do(req)
	if err != nil {
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, &Error{File: location, Message: "it could not be fetched: " + err.Error(), Hint: "check the address, or download the file"}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &Error{File: location, Message: "the server answered " + resp.Status, Hint: "check the address"}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	if err != nil {
		return nil, &Error{File: location, Message: "it could not be read to its end: " + err.Error(), Hint: "try again"}
	}
	d, bad := l.add(location, data)
	if bad != nil {
		return nil, bad
	}
	d.url = location
	return d, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
