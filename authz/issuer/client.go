// Package issuer reads what an OAuth or OpenID issuer publishes: its metadata and
// its keys. Whoever answers in its place may send anything, for as long as they
// like, and may want to be led into this network; none of that gets far.
package issuer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/exeat/exeat/openapi/reach"
)

// Bounds of what an issuer is asked and may answer.
const (
	Timeout   = 10 * time.Second // of a request, or of several that belong together
	maxAnswer = 1 << 20          // bytes
	maxHeader = 64 << 10         // bytes
)

// NewClient returns a client for requests to an issuer. It follows no redirects,
// uses no proxy, and dials addresses of a private network only for the hosts that
// are named, as [reach.New] takes them. roots are the authorities that it trusts;
// nil means the system's.
func NewClient(roots *x509.CertPool, named ...string) (*http.Client, error) {
	dialer, err := reach.New(net.Dialer{Timeout: Timeout}, named...)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout:       Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: reach.Quiet(&http.Transport{DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots},
			TLSHandshakeTimeout: Timeout, ResponseHeaderTimeout: Timeout, MaxResponseHeaderBytes: maxHeader,
			MaxIdleConns: 4, MaxConnsPerHost: 16, IdleConnTimeout: time.Minute}),
	}, nil
}

// Do sends a request and returns the body of an answer with status 200. The error
// says what came instead; it holds nothing of the request and of the body.
func Do(client *http.Client, r *http.Request) (http.Header, []byte, error) {
	res, err := client.Do(r)
	if err != nil {
		return nil, nil, explain(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s answered with status %d", r.URL.Redacted(), res.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the answer of %s breaks off: %w", r.URL.Redacted(), explain(err))
	case len(b) > maxAnswer:
		return nil, nil, fmt.Errorf("the answer of %s is larger than %d bytes", r.URL.Redacted(), maxAnswer)
	}
	return res.Header, b, nil
}

// explain takes the advice for operators of APIs out of an error.
func explain(err error) error {
	var inside *reach.UnreachedError
	if errors.As(err, &inside) {
		return fmt.Errorf("%s leads to %s, inside this network, where the issuer is not", inside.Host, inside.Address)
	}
	return err
}

func get(ctx context.Context, client *http.Client, location string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json, application/jwk-set+json")
	_, b, err := Do(client, r)
	return b, err
}

// ParseURL reads the URL of an issuer, or of something that it names: https, or
// http on a loopback address, where no network is between.
func ParseURL(location string) (*url.URL, error) {
	u, err := url.Parse(location)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "":
		return nil, fmt.Errorf("%q is not a URL like https://login.example.com", location)
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return nil, fmt.Errorf("%s is not https: whoever listens on the way could be anybody", u.Redacted())
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return reach.IsLocalhost(host) || ip != nil && ip.IsLoopback()
}
