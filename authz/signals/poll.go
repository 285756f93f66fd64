package signals

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/issuer"
)

// Bounds of polling.
const (
	pollMost  = 12              // tokens that are asked for at once
	pollSlow  = 5 * time.Minute // the longest wait after errors
	pollTries = 20              // requests in a row while there is always more
)

// Run fetches tokens from all issuers that are polled, until ctx ends.
func (r *Receiver) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, i := range r.issuers {
		if i.Poll != nil {
			all.Go(func() { r.poll(ctx, i) })
		}
	}
	all.Wait()
	return nil
}

// poll fetches the tokens of one issuer, until ctx ends. While that fails, it waits
// twice as long each time.
func (r *Receiver) poll(ctx context.Context, from *Issuer) {
	var done answers
	for failed := 0; ; {
		err := r.pollAll(ctx, from, &done)
		if ctx.Err() != nil {
			return
		}
		wait := from.Poll.Every
		if err != nil {
			r.c.Observe(Event{Issuer: from.URL, Text: "its signals cannot be fetched", Err: err})
			wait = min(wait<<min(failed, 16), pollSlow)
			failed++
		} else {
			failed = 0
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// pollAll fetches tokens as long as the issuer says that there are more, and sends
// new ones. One that repeats itself is waited for.
func (r *Receiver) pollAll(ctx context.Context, from *Issuer, done *answers) error {
	for range pollTries {
		news, more, err := r.pollOnce(ctx, from, done)
		if err != nil || !more || !news {
			return err
		}
	}
	return nil
}

// answers are what the transmitter is told of tokens with the next request.
type answers struct {
	Acks   []string               `json:"ack,omitempty"`
	Errors map[string]pollRefusal `json:"setErrs,omitempty"`
}

type pollRefusal struct {
	Code string `json:"err"`
	Text string `json:"description"`
}

// pollOnce makes one request, which also answers the tokens of the one before, and
// does what the tokens say that it brings.
func (r *Receiver) pollOnce(ctx context.Context, from *Issuer, done *answers) (news, more bool, err error) {
	tokens, more, err := from.Poll.fetch(ctx, *done)
	if err != nil {
		return false, false, err
	}
	*done = answers{Errors: map[string]pollRefusal{}}
	for _, id := range slices.Sorted(maps.Keys(tokens)) {
		fresh, err := r.acceptPolled(ctx, from, id, tokens[id])
		refused := (*refusal)(nil)
		switch {
		case errors.As(err, &refused):
			done.Errors[id] = pollRefusal{refused.code, refused.text}
		case err != nil:
			return news, false, err // it comes again
		default:
			done.Acks = append(done.Acks, id)
		}
		news = news || fresh
	}
	return news, more, nil
}

// acceptPolled does what a token says that one issuer's endpoint has under an id.
func (r *Receiver) acceptPolled(ctx context.Context, from *Issuer, id string, raw json.RawMessage) (bool, error) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return false, r.note(nil, refuse(badRequest, "what stands there is no security event token"))
	}
	return r.accept(ctx, text, func(of *Issuer) error {
		if of != from {
			return refuse(badIssuer, "it is of another issuer than the one that this endpoint is of")
		}
		return nil
	})
}

// fetch is one request for tokens, by id; more says that others wait.
func (p *Poll) fetch(ctx context.Context, done answers) (tokens claims.Set, more bool, err error) {
	body, err := json.Marshal(struct {
		answers
		Most int  `json:"maxEvents"`
		Now  bool `json:"returnImmediately"`
	}{done, pollMost, true})
	if err != nil {
		return nil, false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if p.Token != nil {
		req.Header.Set("Authorization", "Bearer "+p.Token())
	}
	header, b, err := issuer.Do(p.Client, req)
	if err != nil {
		return nil, false, err
	}
	return parsePolled(header.Get("Content-Type"), b)
}

// parsePolled reads the answer of an endpoint.
func parsePolled(contentType string, b []byte) (tokens claims.Set, more bool, err error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" {
		return nil, false, errors.New("the answer of the endpoint for signals is no JSON")
	}
	all, err := claims.Parse(b)
	if err == nil && all.Has("sets") {
		tokens, err = claims.Parse(all["sets"])
	}
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("the answer of the endpoint for signals cannot be read: %w", err)
	case len(tokens) > 2*pollMost:
		return nil, false, errors.New("the answer of the endpoint for signals has many more tokens than were asked for")
	}
	for id := range tokens {
		if !claims.Legible(id) {
			return nil, false, errors.New("the answer of the endpoint for signals names a token by no text that can be read")
		}
	}
	return tokens, all.True("moreAvailable"), nil
}
