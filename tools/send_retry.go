package tools

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/exeat/exeat/openapi/reach"
)

// Between two tries of a read a random time of at most firstWait, doubled each
// time, goes by, or what Retry-After asks for; if that is more than longestWait,
// the agent is told instead.
const (
	firstWait   = 200 * time.Millisecond
	longestWait = 3 * time.Second
)

// busy are the statuses of an API that may answer otherwise in a moment.
var busy = []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// again reports whether the n-th try of a call should be followed by another,
// and after which time. Only what changes nothing, by the document and by its
// method, is ever sent again: an Idempotency-Key is a promise of somebody else. But
// if the API did nothing, and asks for the same with another proof, it gets that once.
func (c *course) again(res Result, at stage, n, tries int) (time.Duration, bool) {
	if c.wants && at == answered && !c.asked {
		c.asked = true
		return 0, true
	}
	if n >= tries || !at.sent() || c.writes() || !safe(c.tool.op.Method) {
		return 0, false
	}
	if c.stale = c.refused; c.stale {
		c.renewed = true
		return 0, true
	}
	wait := firstWait << (n - 1)
	wait = wait/2 + rand.N(wait/2)
	if at == answered {
		asked := time.Duration(res.Envelope.RetryAfter) * time.Second
		return max(wait, asked), asked <= longestWait && slices.Contains(busy, res.Envelope.HTTPStatus)
	}
	hopeless := res.Envelope.Code != UpstreamUnreachable || unverified(c.err) || noSuchHost(c.err) || barred(c.err)
	return wait, !hopeless
}

// why says for the log what made a try fail. At a 401 the next one has a fresh
// credential.
func why(res Result) string {
	if res.Envelope.Code != "" {
		return "the one before was " + string(res.Envelope.Code)
	}
	return fmt.Sprintf("the one before was answered with %d", res.Envelope.HTTPStatus)
}

// safe reports whether a method is for reading (RFC 9110 §9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// sleep waits, unless ctx would end before that is over.
func sleep(ctx context.Context, d time.Duration) error {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return context.DeadlineExceeded
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// longestAfter bounds what an agent is told of a Retry-After.
const longestAfter = 24 * time.Hour

// retryAfter is what a 429 or 503 asks for, in whole seconds and at most a day:
// seconds or a date (RFC 9110 §10.2.3). It is 0 if there is none, or no sense
// in it.
func retryAfter(resp *http.Response, now time.Time) int {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	text := strings.TrimSpace(resp.Header.Get("Retry-After"))
	most := int(longestAfter / time.Second)
	if text != "" && strings.Trim(text, "0123456789") == "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return most // only too many digits can be wrong with it
		}
		return min(n, most)
	}
	at, err := http.ParseTime(text)
	if err != nil || !at.After(now) {
		return 0
	}
	// The date is without fractions of a second: one more is never too early.
	return min(int(min(at.Sub(now), longestAfter)/time.Second)+1, most)
}

// unverified reports whether TLS ended because the other side is not who it
// should be.
func unverified(err error) bool {
	var bad *tls.CertificateVerificationError
	return errors.As(err, &bad)
}

// barred reports whether the way to the API is closed, so that another try is of no
// use: it is inside this network, or the proxy does not let exeat through.
func barred(err error) bool {
	var inside *reach.UnreachedError
	var proxy *reach.ProxyError
	return errors.As(err, &inside) || errors.As(err, &proxy) && proxy.Status < http.StatusInternalServerError
}

func noSuchHost(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// tooManyHeaders reports whether net/http gave an answer up for its headers;
// there is only the text to tell it by.
func tooManyHeaders(err error) bool {
	return strings.Contains(err.Error(), "response headers exceeded") || strings.Contains(err.Error(), "response header list larger")
}
