package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/authz/refresh"
	"github.com/exeat/exeat/tools"
)

// maxBundle is how large a bundle may be, in bytes.
const maxBundle = 1 << 20

// bundleFresh is how long what was read of a bundle's file is good for.
var bundleFresh = refresh.Policy{After: 10 * time.Second, Until: time.Hour, Every: time.Second, First: time.Second, Timeout: 5 * time.Second}

// domain is a trust domain whose JWT-SVIDs are taken.
type domain struct {
	source
	bundle *refresh.Cache[*jwtbundle.Bundle]
}

// addDomain adds a trust domain. Its bundle is read at once, so that a mistake
// shows at the start.
func (s *Server) addDomain(i Issuer) error {
	name, err := spiffeid.TrustDomainFromString(i.SPIFFE.TrustDomain)
	if err != nil {
		return fmt.Errorf("the trust domain %q is not a name like example.org", i.SPIFFE.TrustDomain)
	}
	if s.domains[name.Name()] != nil {
		return fmt.Errorf("the trust domain %s is there twice", name.Name())
	}
	i.URL = name.IDString()
	read := func(context.Context) (*jwtbundle.Bundle, error) {
		bundle, err := readBundle(name, i.SPIFFE.Bundle)
		if err != nil {
			s.c.Report(err)
		}
		return bundle, err
	}
	d := &domain{source: source{Issuer: i}, bundle: refresh.New(bundleFresh, s.c.Now, read)}
	s.domains[name.Name()] = d
	_, err = d.bundle.Get(context.Background())
	return err
}

func readBundle(name spiffeid.TrustDomain, path string) (*jwtbundle.Bundle, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the bundle of %s: %w", name.IDString(), err)
	}
	defer f.Close()
	bundle, err := spiffebundle.Read(name, io.LimitReader(f, maxBundle))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is not a bundle of %s: %w", path, name.IDString(), err)
	case len(bundle.JWTAuthorities()) == 0:
		return nil, fmt.Errorf("%s has no keys that sign JWT-SVIDs (use: jwt-svid)", path)
	}
	return bundle.JWTBundle(), nil
}

// isSVID reports whether a token says that it is a JWT-SVID of a trust domain,
// rather than a token of one of the issuers.
func (s *Server) isSVID(c *issuer.JWS) bool {
	subject, _ := c.Payload.Text("sub")
	iss, _ := c.Payload.Text("iss")
	return len(s.domains) > 0 && s.issuers[iss] == nil && strings.HasPrefix(subject, authz.BySPIFFE)
}

// openSVID checks a JWT-SVID (the SPIFFE JWT-SVID standard, section 5).
func (s *Server) openSVID(ctx context.Context, c *issuer.JWS) (*grant, error) {
	subject, _ := c.Payload.Text("sub")
	id, err := spiffeid.FromString(subject)
	if err != nil {
		return nil, invalid("the SPIFFE id in the token is not one")
	}
	d := s.domains[id.TrustDomain().Name()]
	if d == nil {
		return nil, invalid("the token is of a trust domain that this server does not know")
	}
	bundle, err := d.bundle.Get(ctx)
	if err == nil && !bundle.HasJWTAuthority(c.Kid) {
		bundle, err = d.bundle.Again(ctx)
	}
	if bundle == nil || err != nil && !errors.Is(err, refresh.ErrTooSoon) && !bundle.HasJWTAuthority(c.Kid) {
		return nil, unavailable() // why was reported
	}
	if _, err := jwtsvid.ParseAndValidate(c.Raw, bundle, d.Audience); err != nil {
		return nil, invalid("the token is not a good JWT-SVID of its trust domain for the resource %s: get a new one", s.c.Resource)
	}
	g := &grant{&d.source, c.Payload}
	return g, s.checkClaims(g)
}

// workload is whom a JWT-SVID describes: no person, and an agent of the same name.
func workload(g *grant) (tools.Caller, error) {
	id, err := g.claims.Text("sub")
	if err != nil {
		return tools.Caller{}, invalid("%v", err)
	}
	return tools.Caller{Principal: authz.Principal{Type: "Workload", ID: id, Issuer: g.from.URL}, Agent: authz.Agent{ID: id, Verified: true, Issuer: g.from.URL}}, nil
}
