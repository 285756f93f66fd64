package mcpc

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// HTTP is a streamable-HTTP client. Its Do may be used by one worker at a time.
type HTTP struct {
	url     string
	proto   string // asked for, or negotiated by initialize
	hc      *http.Client
	session string
	header  http.Header
	buf     bytes.Buffer
	out     bytes.Buffer
}

var nextID atomic.Int64

// NewTransport returns a transport that keeps conns connections alive.
func NewTransport(conns int) *http.Transport {
	return &http.Transport{
		MaxIdleConns:        conns,
		MaxIdleConnsPerHost: conns,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
}

// NewHTTP returns a client of the MCP endpoint at url.
func NewHTTP(url, proto string, header http.Header, t *http.Transport) *HTTP {
	return &HTTP{url: url, proto: proto, header: header, hc: &http.Client{Transport: t, Timeout: 2 * time.Minute}}
}

// Proto returns the protocol version in use.
func (h *HTTP) Proto() string { return h.proto }

// Close drops idle connections.
func (h *HTTP) Close() { h.hc.CloseIdleConnections() }

// Start does the initialize handshake, or nothing for the stateless protocol.
func (h *HTTP) Start(ctx context.Context) error {
	if h.proto >= Stateless {
		return nil
	}
	r, err := NewRequest(h.proto, "initialize", fmt.Sprintf(initParams, h.proto))
	if err != nil {
		return err
	}
	msg, err := h.Do(ctx, r, 0)
	if err != nil {
		return err
	}
	if v := negotiated(msg); v != "" {
		h.proto = v
	}
	note := strings.NewReader(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	res, err := h.post(ctx, note, r)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.Body.Close()
}

func (h *HTTP) post(ctx context.Context, body io.Reader, r *Request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, body)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"},
		"Accept":       {"application/json, text/event-stream"},
	}
	for k, v := range h.header {
		req.Header[k] = v
	}
	if h.session != "" {
		req.Header.Set("Mcp-Session-Id", h.session)
	}
	if r.Method != "initialize" || h.proto >= Stateless {
		req.Header.Set("Mcp-Protocol-Version", h.proto)
	}
	if h.proto >= Stateless {
		req.Header.Set("Mcp-Method", r.Method)
		if r.Name != "" {
			req.Header.Set("Mcp-Name", r.Name)
		}
	}
	return h.hc.Do(req)
}

// Do sends r and returns its answer, from a JSON body or an event stream.
func (h *HTTP) Do(ctx context.Context, r *Request, n int64) ([]byte, error) {
	h.buf.Reset()
	tag := r.body(&h.buf, nextID.Add(1), n)
	res, err := h.post(ctx, bytes.NewReader(h.buf.Bytes()), r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if r.Method == "initialize" {
		h.session = res.Header.Get("Mcp-Session-Id")
	}
	var msg []byte
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		msg, err = h.event(res.Body, tag)
	} else {
		h.out.Reset()
		_, err = h.out.ReadFrom(res.Body)
		msg = h.out.Bytes()
	}
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d: %s", res.StatusCode, clip(msg))
	}
	return msg, r.check(msg, tag)
}

// event returns the data of the event that answers tag, and drains the stream
// so that the connection can be used again.
func (h *HTTP) event(body io.Reader, tag []byte) ([]byte, error) {
	br := bufio.NewReaderSize(body, 16<<10)
	var found []byte
	for {
		line, err := br.ReadBytes('\n')
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && found == nil && bytes.Contains(data, tag) {
			found = bytes.TrimSpace(data)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if found == nil {
		return nil, fmt.Errorf("event stream ended without an answer to %s", tag)
	}
	return found, nil
}
