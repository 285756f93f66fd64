package devissuer

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/exeat/exeat/authz/tally"
)

// Bounds of clients' documents (draft-ietf-oauth-client-id-metadata-document).
const (
	maxDocument  = 5 << 10 // bytes
	documentTime = 5 * time.Second
	documentLife = 10 * time.Minute // in the cache
	maxDocuments = 256
	maxFetches   = 60 // a minute
)

// documents fetches clients' documents, and keeps them for a while.
type documents struct {
	http    *http.Client
	fetches *tally.Counter
	mu      *sync.Mutex
	kept    map[string]document
}

type document struct {
	client *client
	until  time.Time
}

// newDocuments fetches from public addresses only, and follows no redirects: what
// a document is was to be read at the very URL that names its client.
func newDocuments(c Config) documents {
	return documents{fetches: new(tally.Counter), mu: new(sync.Mutex), kept: map[string]document{}, http: &http.Client{
		Timeout:       documentTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DialContext: c.Reach.DialContext, TLSClientConfig: &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: documentTime, MaxResponseHeaderBytes: 8 << 10, DisableKeepAlives: true, DisableCompression: true},
	}}
}

// checkClientURL refuses a URL that is no client_id.
func checkClientURL(id string) error {
	u, err := url.Parse(id)
	switch {
	case err != nil || len(id) > maxURI || u.Scheme != "https" || u.User != nil || !hostForm.MatchString(u.Hostname()) || !portForm.MatchString(u.Port()) || strings.ContainsAny(id, "#\\ \"'<>`{}|^"):
		return errors.New("the client_id is no plain https URL")
	case u.Path == "" || u.Path == "/" || u.RawQuery != "" || u.ForceQuery || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/"):
		return errors.New("a client_id that is a URL needs a path without . and .., and no query")
	}
	return nil
}

// client returns the client whose document is at a URL. The error can be told to
// anybody who asks; where a name leads to in this network it does not say.
func (d documents) client(ctx context.Context, id string, now time.Time) (*client, error) {
	if err := checkClientURL(id); err != nil {
		return nil, err
	}
	d.mu.Lock()
	had, ok := d.kept[id]
	d.mu.Unlock()
	if ok && now.Before(had.until) {
		return had.client, nil
	}
	if d.fetches.Add("", now, time.Minute) > maxFetches {
		return nil, errors.New("too many documents of clients were asked for within a minute; try again in a minute")
	}
	c, err := d.fetch(ctx, id)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for other, x := range d.kept {
		if len(d.kept) >= maxDocuments || !now.Before(x.until) {
			delete(d.kept, other)
		}
	}
	d.kept[id] = document{c, now.Add(documentLife)}
	return c, nil
}

// fetch reads the document of a client.
func (d documents) fetch(ctx context.Context, id string) (*client, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, id, nil)
	if err != nil {
		return nil, errors.New("the client_id is no URL")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, errors.New("the document that the client_id names could not be fetched: it has to be at a public address, with a certificate that is good, and answer within 5 s")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the document that the client_id names was answered with the status %d; it has to be 200, without a redirect", resp.StatusCode)
	case err != nil:
		return nil, errors.New("the document that the client_id names did not come whole")
	case len(body) > maxDocument:
		return nil, fmt.Errorf("the document that the client_id names has more than %d bytes", maxDocument)
	case kind != "application/json" && !strings.HasSuffix(kind, "+json"):
		return nil, errors.New("the document that the client_id names is not JSON by its Content-Type")
	}
	return parseDocument(id, body)
}

// parseDocument reads a client from its document.
func parseDocument(id string, body []byte) (*client, error) {
	var doc struct {
		ID         string `json:"client_id"`
		AuthMethod string `json:"token_endpoint_auth_method"`
		client
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, errors.New("the document that the client_id names is no JSON object of client metadata")
	}
	if doc.ID != id {
		return nil, errors.New("the document that the client_id names is that of another client: its client_id has to be its own URL")
	}
	c := doc.client
	c.ID = id
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("the document that the client_id names: %w", err)
	}
	return &c, nil
}
