package notify

import (
	"io"
	"net/http"
	"time"

	"github.com/exeat/exeat/openapi/reach"
)

// maxReply bounds what is read of a channel's answer, in bytes.
const maxReply = 64 << 10

// direct is a transport of our own, so that no bound of ours binds anybody else.
// It asks the proxy that the environment names.
func direct() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            reach.Within(10 * time.Second),
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  sendTime,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        time.Minute,
		MaxIdleConns:           4,
		ForceAttemptHTTP2:      true,
	}
}

// newClient follows no redirect: a POST that is redirected is either a GET, which
// tells nobody, or the message in other hands.
func newClient(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, Timeout: sendTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// post sends a request, takes 2xx for success, and gives what it read of the
// answer: 64 KiB at most.
func post(client *http.Client, r *http.Request) ([]byte, error) {
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	switch {
	case 300 <= resp.StatusCode && resp.StatusCode < 400:
		return nil, errRedirect
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, statusError(resp.StatusCode)
	}
	return answer, err
}
