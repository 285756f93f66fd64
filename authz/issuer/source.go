package issuer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/refresh"
)

// fresh is how long what an issuer publishes is good for. A key that it takes
// back works for at most After, and for at most Until while it does not answer.
var fresh = refresh.Policy{After: 5 * time.Minute, Until: time.Hour, Every: 10 * time.Second, First: time.Second, Timeout: Timeout}

// ErrUnknownKey says that the issuer does not publish the key of a token.
var ErrUnknownKey = errors.New("the issuer publishes no such key")

// Config says where an issuer is.
type Config struct {
	URL   string         // as its tokens name it; https, or http on a loopback address
	Roots *x509.CertPool // nil means the system's
	// Also are hosts besides the issuer's own that may be inside a private network,
	// as [reach.New] takes them: those that the operator wrote down.
	Also []string
	JWKS string // where its keys are; "" means where its metadata says
	// Local, if set, returns the JWK Set of an issuer that is in this process, and
	// nothing is fetched.
	Local  func(context.Context) ([]byte, error)
	Now    func() time.Time // nil means time.Now
	Report func(error)      // is told each time the issuer cannot be read; nil tells nobody
}

// Source is what an issuer publishes, as it was read last. It is safe for
// concurrent use.
type Source struct {
	c      Config
	client *http.Client
	cache  *refresh.Cache[published]
}

type published struct {
	Metadata
	keys KeySet
}

// NewSource returns a source. The error says why the configuration cannot be used;
// the issuer is asked when the first token comes.
func NewSource(c Config) (*Source, error) {
	u, err := ParseURL(c.URL)
	if err == nil && u.RawQuery != "" {
		err = fmt.Errorf("%q has a query", c.URL)
	}
	if err != nil {
		return nil, fmt.Errorf("the issuer %w", err)
	}
	named := append([]string{c.URL}, c.Also...)
	if c.JWKS != "" {
		if _, err := ParseURL(c.JWKS); err != nil {
			return nil, fmt.Errorf("the place of its keys %w", err)
		}
		named = append(named, c.JWKS)
	}
	client, err := NewClient(c.Roots, named...)
	if err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Report == nil {
		c.Report = func(error) {}
	}
	s := &Source{c: c, client: client}
	s.cache = refresh.New(fresh, c.Now, s.read)
	return s, nil
}

// Client is the client that the issuer is asked with.
func (s *Source) Client() *http.Client { return s.client }

// Metadata is the issuer's metadata.
func (s *Source) Metadata(ctx context.Context) (Metadata, error) {
	p, err := s.cache.Get(ctx)
	return p.Metadata, err
}

// Keys returns the keys that may have signed a token with this key id, which can
// be "", and algorithm. ErrUnknownKey says that there is none; any other error,
// that the issuer cannot be asked.
func (s *Source) Keys(ctx context.Context, kid string, alg jose.SignatureAlgorithm) ([]jose.JSONWebKey, error) {
	p, err := s.cache.Get(ctx)
	if keys := p.keys.For(kid, alg); len(keys) > 0 {
		return keys, nil
	}
	if err == nil {
		p, err = s.cache.Again(ctx)
	}
	if keys := p.keys.For(kid, alg); len(keys) > 0 {
		return keys, nil
	}
	if err == nil || errors.Is(err, refresh.ErrTooSoon) {
		err = ErrUnknownKey
	}
	return nil, err
}

func (s *Source) read(ctx context.Context) (published, error) {
	p, err := s.fetch(ctx)
	if err != nil {
		err = fmt.Errorf("cannot read the keys of the issuer %s: %w", s.c.URL, err)
		s.c.Report(err)
	}
	return p, err
}

func (s *Source) fetch(ctx context.Context) (published, error) {
	if s.c.Local != nil {
		b, err := s.c.Local(ctx)
		if err != nil {
			return published{}, err
		}
		keys, err := ParseKeys(b)
		return published{Metadata{Issuer: s.c.URL}, keys}, err
	}
	m := Metadata{Issuer: s.c.URL, JWKS: s.c.JWKS}
	if m.JWKS == "" {
		var err error
		if m, err = Discover(ctx, s.client, s.c.URL); err != nil {
			return published{}, err
		}
	}
	if m.JWKS == "" {
		return published{Metadata: m}, nil // its tokens can be introspected
	}
	b, err := get(ctx, s.client, m.JWKS)
	if err != nil {
		return published{}, err
	}
	keys, err := ParseKeys(b)
	if err != nil {
		return published{}, fmt.Errorf("what %s answers is no key set: %w", m.JWKS, err)
	}
	return published{m, keys}, nil
}
