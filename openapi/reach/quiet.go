package reach

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// Quiet is a transport for servers that are told secrets: its errors hold nothing that
// a server wrote. net/http quotes what it cannot read, and what a server, or something
// before it, repeats of a request may be the secret. Redirects are not followed through
// it: where they lead is left out.
func Quiet(next http.RoundTripper) http.RoundTripper { return quiet{next} }

type quiet struct{ next http.RoundTripper }

// RoundTrip sends r.
func (q quiet) RoundTrip(r *http.Request) (*http.Response, error) {
	var connected atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	res, err := q.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		if connected.Load() {
			err = silence(err)
		}
		return nil, err
	}
	res.Header.Del("Location") // a client would quote one that is no URL
	res.Body = quietBody{res.Body}
	return res, nil
}

// quietBody is the body of an answer, whose trailer is read with it.
type quietBody struct{ io.ReadCloser }

func (b quietBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	return n, silence(err)
}

// errUnread stands for an error that may quote a server.
var errUnread = errors.New("it broke the connection off, or what it answered is not HTTP")

// silence is err, if that is of the network.
func silence(err error) error {
	var network net.Error
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) || errors.As(err, &network) {
		return err
	}
	return errUnread
}
