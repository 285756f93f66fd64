package notify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/exeat/exeat/store"
)

// Channel is where people or machines are told of held calls. Its URL is a
// secret, and is never shown: people know a channel by its name.
type Channel struct {
	Name   string
	People bool // quiet hours and digests apply

	send func(context.Context, Message) error
	sees func(store.Hold) bool // nil means every hold
}

// Errors of channels. Their texts, and those of statusError, are all that is ever
// shown of a failure: what libraries and services say can repeat the URL.
var (
	errGone     = errors.New("does not exist any more")
	errSlow     = errors.New("did not answer in time")
	errRefused  = errors.New("refuses connections")
	errNoHost   = errors.New("has a host name that leads nowhere")
	errTLS      = errors.New("has a certificate that does not verify")
	errRedirect = errors.New("redirects to another place; messages are not sent after it")
	errPanic    = errors.New("could not be used: the library that speaks to it broke")
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
	for _, known := range []error{errGone, errSlow, errRefused, errNoHost, errTLS, errRedirect, errPanic, errOther} {
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
	case errors.Is(err, syscall.ECONNREFUSED):
		return errRefused
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid):
		return errTLS
	}
	// Some services keep only the text.
	for code := 400; code < 600; code++ {
		if text := http.StatusText(code); text != "" && strings.Contains(err.Error(), strconv.Itoa(code)+" "+text) {
			return statusError(code)
		}
	}
	for _, known := range []struct {
		text string
		err  error
	}{{errRedirect.Error(), errRedirect}, {"connection refused", errRefused}, {"no such host", errNoHost}, {"x509: ", errTLS},
		{"deadline exceeded", errSlow}, {"i/o timeout", errSlow}} {
		if strings.Contains(err.Error(), known.text) {
			return known.err
		}
	}
	return errOther
}

// Send sends one message, within 20 s. Errors hold no URL and nothing that a
// service said.
func (c *Channel) Send(ctx context.Context, m Message) (err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return explainSend(c.send(ctx, m))
}

// NewChannel is a channel for people, by a URL as shoutrrr has them, such as
// ntfy://ntfy.sh/topic. Errors do not repeat the URL.
func NewChannel(name, rawURL string) (*Channel, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("notify: %s: its URL cannot be read; write it as ntfy://host/topic", name)
	}
	scheme, _, _ := strings.Cut(u.Scheme, "+")
	switch {
	case scheme == "http" || scheme == "https":
		return nil, fmt.Errorf("notify: %s: a plain %s URL is for a signed webhook, which needs secret_env or secret_file; for others the URL begins with the service, like ntfy:// or slack://", name, scheme)
	case scheme == "logger":
		return nil, fmt.Errorf("notify: %s: the log is no channel", name)
	case parseMode(u) != "" && !strings.EqualFold(parseMode(u), "none"):
		return nil, fmt.Errorf("notify: %s: take parsemode out of its URL: messages are plain text", name)
	}
	service, err := locate(rawURL)
	if err != nil {
		return nil, fmt.Errorf("notify: %s: the URL does not name a service that exeat knows, or lacks a part of it; see https://shoutrrr.nickfedor.com/services", name)
	}
	under := make(chan struct{}, maxHung)
	return &Channel{Name: name, People: true, send: func(ctx context.Context, m Message) error {
		return outside(ctx, under, func() error {
			text := m.Text + "\n" + m.Link
			return service.Send(text, &types.Params{types.TitleKey: m.Title})
		})
	}}, nil
}

func parseMode(u *url.URL) string {
	for k, v := range u.Query() {
		if strings.EqualFold(k, "parsemode") {
			return v[0]
		}
	}
	return ""
}

// locate makes the service of a URL and bounds the client of its own, if it has
// one; the others use http.DefaultClient.
func locate(rawURL string) (service types.Service, err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	if service, err = new(router.ServiceRouter).Locate(rawURL); err != nil {
		return nil, err
	}
	bounded := Bounded(direct())
	if s, ok := service.(interface{ SetHTTPClient(*http.Client) }); ok {
		s.SetHTTPClient(&http.Client{Transport: bounded, Timeout: sendTime})
	} else if s, ok := service.(interface{ GetHTTPClient() *http.Client }); ok && s.GetHTTPClient() != nil {
		s.GetHTTPClient().Transport = bounded
	}
	return service, nil
}

// maxHung bounds the tries over one channel that hang on after they were given
// up: a mail server may never answer.
const maxHung = 3

// outside runs what knows no context, and does not wait for it longer than ctx
// lasts. under has room for what may be under way. A panic in f is an error.
func outside(ctx context.Context, under chan struct{}, f func() error) error {
	select {
	case under <- struct{}{}:
	default:
		return errSlow
	}
	result := make(chan error, 1)
	go func() {
		defer func() { <-under }()
		defer func() {
			if recover() != nil {
				result <- errPanic
			}
		}()
		result <- f()
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return errSlow
	}
}
