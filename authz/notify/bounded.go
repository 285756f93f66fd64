package notify

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// direct is a transport of our own. It asks the proxy that the environment
// names, as http.DefaultTransport does.
func direct() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  sendTime,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        time.Minute,
		MaxIdleConns:           4,
		ForceAttemptHTTP2:      true,
	}
}

// maxReply bounds what is read of a channel's answer, in bytes.
const maxReply = 64 << 10

// Bounded makes a transport safe for libraries that send messages through
// http.DefaultClient, which has no bounds: what is not a GET ends after 20 s,
// yields at most 64 KiB, and is not redirected to another host, nor is what
// follows from it. A GET is as before. The command sets http.DefaultTransport to
// one.
func Bounded(next http.RoundTripper) http.RoundTripper { return bounded{next} }

type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	first := r
	for first.Response != nil && first.Response.Request != nil {
		first = first.Response.Request // that was redirected
	}
	if first.Method == http.MethodGet {
		return b.next.RoundTrip(r)
	}
	if r.URL.Host != first.URL.Host || r.URL.Scheme != first.URL.Scheme {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, errRedirect
	}
	ctx, cancel := context.WithTimeout(r.Context(), sendTime)
	resp, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &boundedBody{Reader: io.LimitReader(resp.Body, maxReply), body: resp.Body, cancel: cancel}
	// The next request must find what was redirected.
	resp.Request = r
	return resp, nil
}

type boundedBody struct {
	io.Reader
	body   io.Closer
	cancel context.CancelFunc
}

func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.body.Close()
}
