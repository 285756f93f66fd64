// Package petapi is the one upstream call that bare and raw make.
package petapi

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/exeat/exeat/examples/bench/internal/mcpc"
)

// Client calls the upstream REST API.
type Client struct {
	base string
	hc   *http.Client
}

// New returns a client that keeps connections alive.
func New(base string) *Client {
	return &Client{base: base, hc: &http.Client{Transport: mcpc.NewTransport(64), Timeout: 30 * time.Second}}
}

// Get returns a pet's JSON.
func (c *Client) Get(ctx context.Context, id int64) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/pets/"+strconv.FormatInt(id, 10), nil)
	if err != nil {
		return "", err
	}
	res, err := c.hc.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("upstream: HTTP %d", res.StatusCode)
	}
	return b.String(), nil
}
