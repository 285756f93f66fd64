package inbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/openapi/reach"
)

// Client is a terminal's login to an inbox. Its JSON form keeps it for later
// and holds the session's secrets: store it where only its owner can read it.
type Client struct {
	Origin string `json:"origin"`
	Person string `json:"person"` // who is logged in
	Cookie string `json:"cookie"`
	CSRF   string `json:"csrf"`
}

// Error is an inbox's refusal.
type Error struct {
	Status int    // HTTP
	Code   string // decided, expired, forbidden, digest, login, …
	Detail string
}

func (e *Error) Error() string { return e.Detail }

// Is makes an Error match the service's errors.
func (e *Error) Is(target error) bool {
	for _, f := range failures {
		if f.err == target {
			return e.Code == f.code
		}
	}
	return false
}

const (
	clientTimeout = 30 * time.Second
	maxAnswer     = 64 << 20 // bytes: a held request in full
)

// terminal is the HTTP client of all Clients. It asks no proxy and follows no
// redirect: the session is for one origin.
var terminal = &http.Client{
	Transport:     &http.Transport{DialContext: reach.Within(clientTimeout), ForceAttemptHTTP2: true, MaxIdleConns: 4, IdleConnTimeout: time.Minute},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       clientTimeout,
}

// Login spends a one-time link as the inbox prints it.
func Login(ctx context.Context, link string) (*Client, error) {
	u, err := url.Parse(link)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "/login" || u.Query().Get("code") == "" {
		return nil, errors.New("this is not a login link; one looks like http://127.0.0.1:8421/login?code=…")
	}
	c := &Client{Origin: u.Scheme + "://" + u.Host}
	var answer loginAnswer
	header, err := c.do(ctx, http.MethodPost, "/api/login", map[string]string{"code": u.Query().Get("code")}, &answer)
	if err != nil {
		return nil, err
	}
	cookies := (&http.Response{Header: header}).Cookies()
	if len(cookies) != 1 || answer.CSRF == "" {
		return nil, fmt.Errorf("%s answered, but not as an inbox does", c.Origin)
	}
	c.Cookie, c.CSRF, c.Person = cookies[0].Name+"="+cookies[0].Value, answer.CSRF, answer.Person
	return c, nil
}

// Holds lists what waits for a person, oldest first, in outline.
func (c *Client) Holds(ctx context.Context) ([]HoldView, error) {
	var views []HoldView
	_, err := c.do(ctx, http.MethodGet, "/api/holds", nil, &views)
	return views, err
}

// Hold returns one hold in full, but for values that are hidden.
func (c *Client) Hold(ctx context.Context, id string) (HoldView, error) { return c.hold(ctx, id, "") }

// Reveal is Hold with the hidden values. That somebody looked is recorded.
func (c *Client) Reveal(ctx context.Context, id string) (HoldView, error) {
	return c.hold(ctx, id, "?reveal=1")
}

func (c *Client) hold(ctx context.Context, id, query string) (HoldView, error) {
	var v HoldView
	_, err := c.do(ctx, http.MethodGet, "/api/holds/"+url.PathEscape(id)+query, nil, &v)
	return v, err
}

// Decide gives a verdict and returns the hold as it is then.
func (c *Client) Decide(ctx context.Context, id string, v approval.Verdict) (HoldView, error) {
	var after HoldView
	d := decision{Approve: &v.Approve, Digest: v.Digest, Reason: v.Reason, Typed: v.Typed}
	_, err := c.do(ctx, http.MethodPost, "/api/holds/"+url.PathEscape(id)+"/decision", d, &after)
	return after, err
}

// do sends one request and decodes the answer into out. An answer that is not
// 200 is an *Error.
func (c *Client) do(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Origin+path, body)
	if err != nil {
		return nil, fmt.Errorf("the saved login names no inbox: %v", err)
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Cookie != "" {
		req.Header.Set("Cookie", c.Cookie)
		req.Header.Set(csrfHeader, c.CSRF)
	}
	resp, err := terminal.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, fmt.Errorf("the inbox at %s does not answer: %w", c.Origin, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the inbox's answer: %w", err)
	case len(b) > maxAnswer:
		return nil, fmt.Errorf("the inbox's answer is larger than %d bytes; use its pages", maxAnswer)
	case resp.StatusCode != http.StatusOK:
		return nil, refusal(resp.StatusCode, b)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return nil, fmt.Errorf("%s answered, but not as an inbox does", c.Origin)
	}
	return resp.Header, nil
}

func refusal(status int, body []byte) error {
	const prefix = "urn:exeat:inbox:"
	var p problem
	if json.Unmarshal(body, &p) != nil || len(p.Type) <= len(prefix) || p.Type[:len(prefix)] != prefix {
		return &Error{Status: status, Code: "internal", Detail: fmt.Sprintf("the inbox answered with status %d", status)}
	}
	return &Error{Status: status, Code: p.Type[len(prefix):], Detail: p.Detail}
}
