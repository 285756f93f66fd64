package approval

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

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

// webhookClient follows no redirect.
func webhookClient(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: Bounded(t), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// NewWebhook is a channel for machines: every hold is posted to the URL as JSON,
// signed as Standard Webhooks 1.0 says (webhook-id, webhook-timestamp,
// webhook-signature v1). The secret is "whsec_" and base64 of 24 to 64 bytes.
// The URL is https, or http to this machine. Errors repeat neither.
func NewWebhook(name, rawURL, secret string) (*Channel, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Hostname())) {
		return nil, fmt.Errorf("notify: %s: the URL of a signed webhook must be https://host/path (http only on this machine)", name)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("notify: %s: the secret must be whsec_ and base64 of 24 to 64 bytes: make one with  echo whsec_$(openssl rand -base64 32)", name)
	}
	client := webhookClient(direct())
	return &Channel{Name: name, send: func(ctx context.Context, m Message) error {
		body, err := webhookBody(m)
		if err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, rawURL, bytes.NewReader(body))
		if err != nil {
			return errOther
		}
		sign(r.Header, key, m.ID, m.at, body)
		return post(client, r)
	}}, nil
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// webhookBody is the JSON that machines get.
func webhookBody(m Message) ([]byte, error) {
	kind := "hold.opened"
	if m.event == nil {
		kind = "test"
	}
	return json.Marshal(struct {
		Type string    `json:"type"`
		At   time.Time `json:"timestamp"`
		Data *event    `json:"data"`
	}{kind, m.at, m.event})
}

// sign sets the headers of Standard Webhooks. The time is that of the try.
func sign(h http.Header, key []byte, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	h.Set("Content-Type", "application/json")
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// post sends a request and takes 2xx for success.
func post(client *http.Client, r *http.Request) error {
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	switch {
	case 200 <= resp.StatusCode && resp.StatusCode < 300:
		return nil
	case 300 <= resp.StatusCode && resp.StatusCode < 400:
		return errRedirect
	}
	return statusError(resp.StatusCode)
}
