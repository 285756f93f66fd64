package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/refresh"
	"github.com/exeat/exeat/openapi/reach"
)

// How a KeySource behaves.
const (
	fetchTimeout = 5 * time.Second
	refreshAfter = 5 * time.Minute  // older keys are read again, to notice removed ones
	refuseAfter  = 15 * time.Minute // older keys that cannot be read again are not believed
	refreshEvery = 10 * time.Second // between two reads, whatever asks for them
	firstEvery   = time.Second      // the same, until the first read succeeds
	unknownFor   = time.Minute      // a key id that was not found asks for no other read
	maxUnknown   = 1024             // of those that are remembered
)

// kidSyntax keeps a key id a name: nothing that a path, a query or a log could
// read differently.
var kidSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

var errUnknownKey = errors.New("unknown key")

// KeySource is a JWK Set from a URL or a file, which its place or pinned keys
// vouch for: fetched with bounds, refreshed
// for an unknown key id at most every ten seconds, negative answers cached. It
// is read again after five minutes, so that a removed key stops working, and
// when it could not be read for fifteen, no key does. Safe for concurrent use.
type KeySource struct {
	location string
	read     func(context.Context) ([]byte, error)
	pins     *Pins // whose keys vouch for what is read; nil where the place itself does
	now      func() time.Time
	timeout  time.Duration // of one reading
	keys     *refresh.Cache[map[string]jose.JSONWebKey]

	mu      sync.Mutex
	unknown map[string]time.Time // key ids that were not found, and until when that holds
}

// NewKeySource returns a source whose place vouches for it: an https URL, or a
// file path. A file is read at once, and one that is no JWK Set is an error; a
// URL is read when the first token comes.
func NewKeySource(location string) (*KeySource, error) {
	s := newKeySource(location)
	if strings.Contains(location, "://") {
		u, err := ParseLocation(location)
		if err == nil && u.Scheme != "https" {
			err = errors.New("whoever takes the port of a loopback address answers there: name a file with what \"exeat keys jwks\" prints, an https URL, or keys that were pinned (NewPinnedSource)")
		}
		if err != nil {
			return nil, fmt.Errorf("cannot use the keys of %s: %w", location, err)
		}
		s.read = s.readURL
		return s, nil
	}
	s.read = s.readFile
	if _, err := s.keys.Get(context.Background()); err != nil {
		return nil, fmt.Errorf("cannot use the keys of %s: %w", location, err)
	}
	return s, nil
}

// NewPinnedSource returns a source for an https URL, or an http URL of a loopback
// address, where anybody may answer: keys are those that are pinned, and those
// that pinned keys signed. Without any it is an ErrNotEnrolled.
func NewPinnedSource(ctx context.Context, location string, pins Pins) (*KeySource, error) {
	s := newKeySource(location)
	s.read, s.pins = s.readURL, &pins
	_, err := ParseLocation(location)
	if err == nil {
		_, _, err = pins.load(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the keys of %s: %w", location, err)
	}
	return s, nil
}

func newKeySource(location string) *KeySource {
	s := &KeySource{location: location, now: time.Now, timeout: fetchTimeout, unknown: map[string]time.Time{}}
	s.keys = refresh.New(refresh.Policy{After: refreshAfter, Until: refuseAfter, Every: refreshEvery, First: firstEvery, Timeout: fetchTimeout, Wait: true},
		func() time.Time { return s.now() }, s.fetch)
	return s
}

// ParseLocation reads the URL of something that exeat asks for keys or credentials:
// https, or http where no network is between.
func ParseLocation(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("the URL must have a host, and no user or fragment")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, errors.New("the URL must be https, or http on a loopback address")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// directClient follows no redirects and uses no proxy from the environment.
var directClient = &http.Client{
	Transport:     directTransport(),
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// directTransport uses no proxy from the environment and no compression of its
// own, and bounds every wait.
func directTransport() *http.Transport {
	return &http.Transport{
		DialContext:            reach.Within(10 * time.Second),
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  time.Minute,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    64, // there is one host
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

func (s *KeySource) readURL(ctx context.Context) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.location, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := directClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %d", res.StatusCode)
	}
	return readBounded(res.Body)
}

func (s *KeySource) readFile(context.Context) ([]byte, error) {
	f, err := os.Open(s.location)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if err == nil && len(b) > maxKeyFile {
		err = fmt.Errorf("the JWK Set is larger than %d bytes", maxKeyFile)
	}
	return b, err
}

// key returns the public key called kid. errUnknownKey says that the set does
// not have it; other errors, that the set is not known well enough to say.
func (s *KeySource) key(ctx context.Context, kid string) (jose.JSONWebKey, error) {
	keys, err := s.keys.Get(ctx)
	if err != nil {
		return jose.JSONWebKey{}, s.cannot(err)
	}
	if key, found := keys[kid]; found {
		return key, nil
	}
	if s.isUnknown(kid) {
		return jose.JSONWebKey{}, errUnknownKey
	}
	keys, err = s.keys.Again(ctx)
	if key, found := keys[kid]; found {
		return key, nil
	}
	switch {
	case err == nil:
		s.remember(kid)
	case !errors.Is(err, refresh.ErrTooSoon):
		return jose.JSONWebKey{}, s.cannot(err)
	}
	return jose.JSONWebKey{}, errUnknownKey
}

// Ready reports, as an error, that no token could be checked now. It reads the
// keys under the same bounds as tokens do.
func (s *KeySource) Ready(ctx context.Context) error {
	if _, err := s.keys.Get(ctx); err != nil {
		return s.cannot(err)
	}
	return nil
}

func (s *KeySource) cannot(err error) error {
	return fmt.Errorf("cannot read the keys of %s: %w", s.location, err)
}

func (s *KeySource) isUnknown(kid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now().Before(s.unknown[kid])
}

// remember notes that a fresh set does not have kid.
func (s *KeySource) remember(kid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unknown) >= maxUnknown {
		clear(s.unknown) // the limit between two reads still holds
	}
	s.unknown[kid] = s.now().Add(unknownFor)
}

// fetch reads the set.
func (s *KeySource) fetch(ctx context.Context) (keys map[string]jose.JSONWebKey, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	b, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	if s.pins != nil {
		return s.pins.accept(ctx, b, s.now())
	}
	_, keys, err = parseKeyDocument(b)
	return keys, err
}

// parseKeyDocument reads a JWK Set and returns its keys that can verify tokens,
// by id. Keys of other kinds are passed over (RFC 7517 §5).
func parseKeyDocument(b []byte) (d keyDocument, keys map[string]jose.JSONWebKey, err error) {
	if err := json.Unmarshal(b, &d); err != nil {
		return d, nil, fmt.Errorf("not a JWK Set: %v", err)
	}
	if d.Keys == nil {
		return d, nil, errors.New("not a JWK Set: it has no keys")
	}
	keys = make(map[string]jose.JSONWebKey, len(d.Keys))
	for _, raw := range d.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) != nil || usable(key) != nil {
			continue
		}
		if _, twice := keys[key.KeyID]; twice {
			return d, nil, fmt.Errorf("the JWK Set has two keys called %s", key.KeyID)
		}
		keys[key.KeyID] = key
	}
	return d, keys, nil
}

// usable says why key cannot verify tokens: an algorithm belongs to one kind of
// key, and both must be ours.
func usable(key jose.JSONWebKey) error {
	switch {
	case !kidSyntax.MatchString(key.KeyID):
		return errors.New("its kid is missing or not a plain name")
	case key.Use != "sig":
		return errors.New("its use is not sig")
	case !key.Valid():
		return errors.New("its numbers are not a key")
	}
	switch public := key.Key.(type) {
	case ed25519.PublicKey:
		if key.Algorithm == string(jose.EdDSA) {
			return nil
		}
	case *ecdsa.PublicKey:
		if key.Algorithm == string(jose.ES256) && public.Curve == elliptic.P256() {
			return nil
		}
	}
	return fmt.Errorf("its algorithm %q does not fit the key", key.Algorithm)
}
