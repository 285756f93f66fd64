package signals

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/authz/tally"
	"github.com/exeat/exeat/store"
)

// The forms in which a signal can name somebody (RFC 9493, section 3.2).
const (
	IssuerSubject = "iss_sub"
	Opaque        = "opaque"
	Email         = "email"
)

// Config says whose signals are heard, and what they act on.
type Config struct {
	Holds   *approval.Service
	Store   *store.Store // of the holds
	Issuers []Issuer
	Now     func() time.Time // nil means time.Now
	// Observe is told of what was done, and why something was not; nil tells nobody.
	// It hears of no more than a few signals a minute that are refused.
	Observe func(Event)
}

// Keys finds the public keys that may have signed a token: [issuer.Source].
type Keys interface {
	Keys(ctx context.Context, kid string, alg jose.SignatureAlgorithm) ([]jose.JSONWebKey, error)
}

// Issuer is a transmitter of signals about people of its own.
type Issuer struct {
	URL      string // iss of its tokens, and of the people that it speaks of
	Audience string // one that aud must name
	Keys     Keys
	// Subjects are the forms in which it names people; nil means iss_sub.
	Subjects []string
	// Named is the id here of somebody whom the issuer knows by a subject, unlike that
	// of anybody of another issuer; or why there can be none.
	Named func(subject string) (string, error)
	// Push, if not nil, takes tokens that come over HTTP.
	Push *Push
	// Poll, if not nil, is where tokens are fetched.
	Poll *Poll
}

// Push says how a transmitter shows that it is the one. Its signature does so anyway.
type Push struct {
	// Token, if not nil, is the bearer token that it has to send.
	Token func() string
}

// Poll is the endpoint of a transmitter (RFC 8936).
type Poll struct {
	Endpoint string        // https
	Token    func() string // the bearer token for it; nil sends none
	Every    time.Duration // between two requests
	Client   *http.Client  // with bounds, see [issuer.NewClient]
}

// Event tells of one signal, for a log.
type Event struct {
	Issuer string // as configured; empty if it is not known whose the signal is
	JTI    string
	Kind   string // the last part of the event's URI
	Text   string // what was done, or why nothing was
	// Unknown says that it is an event that nothing is known of.
	Unknown bool
	Err     error // something is wrong that whoever runs exeat has to see to
}

// Receiver hears signals.
type Receiver struct {
	c       Config
	issuers map[string]*Issuer
	counts  tally.Counter
}

// New is a receiver. The error says what of the configuration cannot be used.
func New(c Config) (*Receiver, error) {
	if c.Holds == nil || c.Store == nil {
		return nil, errors.New("signals: there is nothing that they could end")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Observe == nil {
		c.Observe = func(Event) {}
	}
	if err := Check(c.Issuers); err != nil {
		return nil, err
	}
	r := &Receiver{c: c, issuers: map[string]*Issuer{}}
	for _, i := range c.Issuers {
		if i.Subjects == nil {
			i.Subjects = []string{IssuerSubject}
		}
		r.issuers[i.URL] = &i
	}
	return r, nil
}

// Check says what of the issuers cannot be used. None is asked anything.
func Check(issuers []Issuer) error {
	for n, i := range issuers {
		if err := i.check(); err != nil {
			return fmt.Errorf("the issuer %s: %w", i.URL, err)
		}
		if slices.ContainsFunc(issuers[:n], func(other Issuer) bool { return other.URL == i.URL }) {
			return fmt.Errorf("the issuer %s is there twice", i.URL)
		}
	}
	return nil
}

func (i Issuer) check() error {
	switch {
	case !claims.Legible(i.URL):
		return errors.New("it has no URL")
	case i.Audience == "":
		return errors.New("it has no audience, so signals for anybody would be heard")
	case i.Keys == nil || i.Named == nil:
		return errors.New("its keys or its people are not known")
	case i.Push == nil && i.Poll == nil:
		return errors.New("its signals neither come nor are fetched: set push or poll")
	}
	for _, s := range i.Subjects {
		if !slices.Contains([]string{IssuerSubject, Opaque, Email}, s) {
			return fmt.Errorf("subjects has %q, and can have %s, %s and %s", s, IssuerSubject, Opaque, Email)
		}
	}
	if p := i.Poll; p != nil {
		u, err := issuer.ParseURL(p.Endpoint)
		switch {
		case err != nil:
			return fmt.Errorf("poll.endpoint %w", err)
		case u.Scheme != "https":
			return errors.New("poll.endpoint is not https: whoever takes that port could answer, and is sent the token")
		case p.Every <= 0 || p.Client == nil:
			return errors.New("poll has no interval, or no client")
		}
	}
	return nil
}

// lastPart is the last part of a URI, by which events are named in texts.
func lastPart(uri string) string { return uri[strings.LastIndexByte(uri, '/')+1:] }
