package token

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Pins is where the keys of one issuer that were enrolled are kept.
type Pins struct {
	// Load returns what was stored last; nothing if nothing was.
	Load func(context.Context) ([]byte, error)
	// Replace stores next if what is stored is still last, and tells whether it did.
	Replace func(ctx context.Context, last, next []byte) (bool, error)
}

// ErrNotEnrolled says that no key of the issuer is relied on yet.
var ErrNotEnrolled = errors.New("no keys are enrolled")

// pinTries bounds how often a change of the pins is tried when others change them, too.
const pinTries = 5

// load reads the keys that are relied on. What cannot be read is an error, and
// never no keys.
func (p Pins) load(ctx context.Context) ([]byte, *trust, error) {
	b, err := p.Load(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(b) == 0 {
		return nil, nil, ErrNotEnrolled
	}
	var t trust
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&t); err != nil || len(t.Keys) == 0 {
		return b, nil, errors.New("the enrolled keys are damaged; enroll them again with --replace")
	}
	for _, key := range t.Keys {
		if err := usable(key.JWK); err != nil {
			return b, nil, fmt.Errorf("the enrolled keys are damaged (%w); enroll them again with --replace", err)
		}
	}
	return b, &t, nil
}

// accept takes from a document what a pinned key vouches for, and keeps it.
func (p Pins) accept(ctx context.Context, document []byte, now time.Time) (map[string]jose.JSONWebKey, error) {
	d, published, err := parseKeyDocument(document)
	if err != nil {
		return nil, err
	}
	for range pinTries {
		last, t, err := p.load(ctx)
		if err != nil {
			return nil, err
		}
		known := t.Seq
		if err := d.advance(t, published); err != nil {
			return nil, err
		}
		t.forget(now)
		if t.Seq == known {
			return t.byID(), nil
		}
		if done, err := p.store(ctx, last, t); done || err != nil {
			return t.byID(), err
		}
	}
	return nil, errors.New("the enrolled keys change all the time")
}

func (p Pins) store(ctx context.Context, last []byte, t *trust) (bool, error) {
	next, err := json.Marshal(t)
	if err != nil {
		return false, err
	}
	return p.Replace(ctx, last, next)
}

func (t *trust) byID() map[string]jose.JSONWebKey {
	keys := make(map[string]jose.JSONWebKey, len(t.Keys))
	for _, key := range t.Keys {
		keys[key.JWK.KeyID] = key.JWK
	}
	return keys
}

// Enroll pins the keys of a document that a person vouches for, as
// [Keys.JWKS] makes it, and returns their ids. Over keys that are pinned it takes
// only what they signed, unless they are to be replaced.
func Enroll(ctx context.Context, p Pins, document []byte, replace bool, now time.Time) ([]string, error) {
	d, published, err := parseKeyDocument(document)
	if err != nil {
		return nil, err
	}
	last, t, err := p.load(ctx)
	switch {
	case replace || errors.Is(err, ErrNotEnrolled):
		if last == nil {
			if last, err = p.Load(ctx); err != nil {
				return nil, err
			}
		}
		t, err = d.enrollable(published)
	case err == nil:
		if err = d.advance(t, published); err != nil {
			err = fmt.Errorf("other keys are enrolled: %w; if that is meant, add --replace", err)
		}
	}
	if err != nil {
		return nil, err
	}
	t.forget(now)
	switch done, err := p.store(ctx, last, t); {
	case err != nil:
		return nil, err
	case !done:
		return nil, errors.New("somebody else enrolled keys at the same time; look at both and try again")
	}
	var ids []string
	for _, key := range t.Keys {
		ids = append(ids, key.JWK.KeyID)
	}
	return ids, nil
}
