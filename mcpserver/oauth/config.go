package oauth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/dpop"
	"github.com/exeat/exeat/authz/issuer"
)

// Config says what tokens are for, and whose are taken.
type Config struct {
	// Resource is the canonical URL of this server (RFC 8707), which clients call:
	// https://host/prefix/mcp.
	Resource string
	Issuers  []Issuer
	// Scopes are those that a client should ask for first. They are published, and
	// part of each 401.
	Scopes []string
	Name   string // of this server, for people; "" means exeat
	// NonceKey seals the nonces that DPoP proofs have to hold. Processes that serve
	// the same URL share one; nil means a random key. Which proofs were used, each
	// process remembers for itself, and takes no nonce from before its start.
	NonceKey []byte
	Roots    *x509.CertPool // whom requests to issuers trust; nil means the system's
	Now      func() time.Time
	// Report is told why an issuer cannot be asked; nil tells nobody.
	Report func(error)
}

// Issuer is one that gives tokens, and how its tokens are read.
type Issuer struct {
	URL string // as its tokens name it
	// Prefix is what the ids of its people and clients begin with here. It is what
	// keeps two issuers' apart, so one issuer at most may do without.
	Prefix   string
	Audience []string // any of which a token must have; nil means the resource
	// AnyType takes JWTs that do not say that they are access tokens (RFC 9068
	// wants them to): for Keycloak, Entra and others that write typ JWT, or none.
	AnyType bool
	// Subject, Groups, Roles and Agent say which claims name the person, their
	// groups, their roles and the client: each a claim's name, or a JSON Pointer to
	// a value within one. The default is sub, none, none, and azp or client_id.
	Subject       string
	Groups, Roles []string
	Agent         string
	Workload      Workload
	ACR           []string // what its logins can be asked for (acr_values), the usual one first
	Algorithms    []string // nil means RS256, PS256, ES256 and EdDSA
	DPoP          Binding  // "" means Accept
	Introspection *Introspection
	// Local, if set, returns the JWK Set of an issuer within this process.
	Local func(context.Context) ([]byte, error)
	// SPIFFE makes this a trust domain instead, whose JWT-SVIDs are taken. Of the
	// rest, only Audience counts.
	SPIFFE *SPIFFE
}

// Workload says which tokens no person stands behind: those whose claim has the
// value. Those whose subject is the client itself are anyway.
type Workload struct{ Claim, Value string }

// Binding says whether tokens must be bound to a key of the client (RFC 9449).
type Binding string

// What Issuer.DPoP can be. Off refuses tokens that are bound so.
const (
	Accept  Binding = "accept"
	Require Binding = "require"
	Off     Binding = "off"
)

// Introspection asks the issuer about tokens that are no JWTs (RFC 7662).
type Introspection struct {
	Endpoint string // "" means where the issuer's metadata says
	ClientID string
	Secret   func() string // reveals the client's secret
}

// SPIFFE is a trust domain, and the file that has its bundle.
type SPIFFE struct{ TrustDomain, Bundle string }

// Server is the resource server.
type Server struct {
	c        Config
	issuers  map[string]*source // by URL
	domains  map[string]*domain // by trust domain
	opaque   *source            // the one that is asked about tokens that are no JWTs; nil if none is
	prefixes []string
	metadata []byte
	answers  *recent[introspected]
	latest   *recent[seen]
	proofs   *dpop.Checker
	asking   chan struct{} // introspections under way
}

// source is an issuer with what it publishes.
type source struct {
	Issuer
	*issuer.Source
	algorithms []jose.SignatureAlgorithm
}

// New returns a resource server. The error says what of the configuration cannot
// be used. No issuer is asked yet.
func New(c Config) (*Server, error) {
	if err := checkResource(c.Resource); err != nil {
		return nil, err
	}
	if len(c.Issuers) == 0 {
		return nil, errors.New("there is no issuer, so there could be no token: name one")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Report == nil {
		c.Report = func(error) {}
	}
	if len(c.NonceKey) == 0 {
		c.NonceKey = make([]byte, 32)
		rand.Read(c.NonceKey)
	}
	s := &Server{c: c, issuers: map[string]*source{}, domains: map[string]*domain{}, answers: newRecent[introspected](maxAnswers), latest: newRecent[seen](maxLatest),
		proofs: &dpop.Checker{Skew: skew, Nonces: &dpop.Nonces{Key: c.NonceKey, Since: c.Now()}, Spend: dpop.NewSpent(c.Now).Spend}, asking: make(chan struct{}, maxAsking)}
	for _, i := range c.Issuers {
		if err := s.add(i); err != nil {
			return nil, err
		}
	}
	if err := checkPrefixes(s.prefixes); err != nil {
		return nil, err
	}
	var err error
	s.metadata, err = s.newMetadata()
	return s, err
}

// checkResource admits what a client can name as resource (RFC 8707, section 2).
func checkResource(resource string) error {
	u, err := url.Parse(resource)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(resource, "/") {
		return fmt.Errorf("the resource %q is not a URL like https://exeat.example.com/mcp", resource)
	}
	if u.Host != strings.ToLower(u.Host) || u.String() != resource {
		return fmt.Errorf("the resource %q is not written in its one form: tokens name it to the letter, so write %s", resource, strings.ToLower(u.Scheme+"://"+u.Host)+u.EscapedPath())
	}
	return nil
}

func (s *Server) add(i Issuer) error {
	if i.Audience == nil {
		i.Audience = []string{s.c.Resource}
	}
	if i.SPIFFE != nil {
		return s.addDomain(i)
	}
	if s.issuers[i.URL] != nil {
		return fmt.Errorf("the issuer %s is there twice", i.URL)
	}
	i.Subject, i.DPoP = cmp.Or(i.Subject, "sub"), cmp.Or(i.DPoP, Accept)
	if err := checkIssuer(i); err != nil {
		return fmt.Errorf("the issuer %s: %w", i.URL, err)
	}
	out := &source{Issuer: i}
	for _, a := range i.Algorithms {
		out.algorithms = append(out.algorithms, jose.SignatureAlgorithm(a))
	}
	if i.Algorithms == nil {
		out.algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
	}
	config := issuer.Config{URL: i.URL, Roots: s.c.Roots, Local: i.Local, Now: s.c.Now, Report: s.c.Report}
	if i.Introspection != nil {
		if s.opaque != nil {
			return fmt.Errorf("the issuers %s and %s have introspection: whichever did not make a token would be shown it", s.opaque.URL, i.URL)
		}
		if i.Introspection.Endpoint != "" {
			config.Also = []string{i.Introspection.Endpoint}
		}
		s.opaque = out
	}
	var err error
	if out.Source, err = issuer.NewSource(config); err != nil {
		return err
	}
	s.issuers[i.URL], s.prefixes = out, append(s.prefixes, i.Prefix)
	return nil
}

func checkIssuer(i Issuer) error {
	for _, a := range i.Algorithms {
		if !slices.Contains(issuer.Algorithms, jose.SignatureAlgorithm(a)) {
			return fmt.Errorf("the algorithm %q is none of %s", a, joinAlgorithms(issuer.Algorithms))
		}
	}
	switch {
	case i.Algorithms != nil && len(i.Algorithms) == 0:
		return errors.New("its algorithms are an empty list, so no token could be signed")
	case len(i.Audience) == 0 || slices.Contains(i.Audience, ""):
		return errors.New("its audience is empty: tokens for any server would be taken")
	case i.DPoP != Accept && i.DPoP != Require && i.DPoP != Off:
		return fmt.Errorf("dpop is %q, and can be accept, require or off", i.DPoP)
	case i.Prefix != "" && !claims.Legible(i.Prefix):
		return fmt.Errorf("its prefix %q is not a text of at most %d characters", i.Prefix, claims.MaxText)
	case (i.Workload.Claim == "") != (i.Workload.Value == ""):
		return errors.New("workload needs a claim and a value")
	}
	if n := i.Introspection; n != nil {
		if n.ClientID == "" || n.Secret == nil {
			return errors.New("introspection needs a client_id and a client secret")
		}
		if n.Endpoint != "" {
			_, err := issuer.ParseURL(n.Endpoint)
			return err
		}
	}
	return nil
}

// checkPrefixes refuses prefixes by which two issuers could name the same id.
func checkPrefixes(prefixes []string) error {
	for i, p := range prefixes {
		for j, q := range prefixes {
			switch {
			case i == j:
			case p == "" && q == "":
				return errors.New("two issuers have no prefix, so people of both would be the same person: give one a prefix")
			case p != "" && strings.HasPrefix(q, p):
				return fmt.Errorf("the prefix %q begins with the prefix %q of another issuer, so people of both could be the same person", q, p)
			}
		}
	}
	return nil
}

func joinAlgorithms(list []jose.SignatureAlgorithm) string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = string(a)
	}
	return strings.Join(out, " ")
}
