package notify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/openapi/reach"
)

// Channel is where people or machines are told of held calls. Its URL is a
// secret, and is never shown: people know a channel by its name.
type Channel struct {
	Name   string
	People bool // quiet hours and digests apply

	send func(context.Context, Message) error
	to   *approval.Addressee // nil means that it is told of every hold
}

// Errors of channels. Their texts, and those of statusError, are all that is ever
// shown of a failure: what services say can repeat the URL.
var (
	errGone     = errors.New("does not exist any more")
	errSlow     = errors.New("did not answer in time")
	errRefused  = errors.New("refuses connections")
	errNoHost   = errors.New("has a host name that leads nowhere")
	errTwoUsers = errors.New("is called localhost, where two users listen: write 127.0.0.1 or [::1]")
	errTLS      = errors.New("has a certificate that does not verify")
	errRedirect = errors.New("redirects to another place; messages are not sent after it")
	errOther    = errors.New("did not take the message")
)

// statusError is an HTTP status that means no.
type statusError int

func (s statusError) Error() string {
	return fmt.Sprintf("answered with status %d (%s)", int(s), http.StatusText(int(s)))
}

// explainSend says in our own words why a message could not be sent.
func explainSend(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{errGone, errSlow, errRefused, errNoHost, errTwoUsers, errTLS, errRedirect, errOther} {
		if errors.Is(err, known) {
			return known
		}
	}
	var status statusError
	var timeout interface{ Timeout() bool }
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &status):
		return status
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errSlow
	case errors.As(err, &dns):
		return errNoHost
	case errors.Is(err, reach.ErrTwoUsers):
		return errTwoUsers
	case errors.Is(err, syscall.ECONNREFUSED):
		return errRefused
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid):
		return errTLS
	}
	return errOther
}

// Send sends one message, within 20 s. Errors hold no URL and nothing that a
// service said.
func (c *Channel) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return explainSend(c.send(ctx, m))
}
