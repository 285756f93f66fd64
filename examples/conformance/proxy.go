package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// newProxy stands before exeat at the address own and adds the bearer token,
// which the suites cannot send, to requests without one. Everything else reaches
// exeat as it is, so that it is exeat that refuses foreign hosts and origins;
// only the proxy's own port in Host and Origin becomes exeat's, as in any proxy
// that has an address of its own.
func newProxy(own, exeat *url.URL, token string) http.Handler {
	moved := func(s string) string {
		if at, ok := strings.CutSuffix(s, ":"+own.Port()); ok {
			return at + ":" + exeat.Port()
		}
		return s
	}
	reverse := &httputil.ReverseProxy{
		Transport:     &http.Transport{}, // no proxy from the environment
		FlushInterval: -1,                // streams
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = exeat.Scheme, exeat.Host
			r.Out.Host = moved(r.In.Host)
			for i, origin := range r.Out.Header["Origin"] {
				r.Out.Header["Origin"][i] = moved(origin)
			}
			if _, ok := r.Out.Header["Authorization"]; !ok {
				r.Out.Header.Set("Authorization", "Bearer "+token)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "exeat did not answer: "+err.Error(), http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Read whole before it is sent: an answer that comes while the transport
		// still looks for the body's end would be cut off.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
		if err != nil {
			http.Error(w, "the request did not arrive whole", http.StatusBadRequest)
			return
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		reverse.ServeHTTP(w, r)
	})
}
