package oauth

import (
	"time"

	"github.com/exeat/exeat/authz"
)

// maxLatest is how many principals are remembered.
const maxLatest = 10_000

// seen is what a token said of somebody.
type seen struct {
	who    authz.Principal
	issued time.Time // the token
}

// issued is when a token was; if it does not say so, it is taken to be the oldest
// that could still be good, which an end of its user always ends.
func issued(g *grant) time.Time {
	t, err := g.claims.Time("iat")
	if err != nil || t.IsZero() {
		return time.Unix(0, 0)
	}
	return t
}

// remember keeps what the newest token said of somebody.
func (s *Server) remember(who authz.Principal, issued time.Time) {
	s.latest.put(who.Name(), seen{who, issued}, func(old seen) bool { return old.issued.After(issued) })
}

// Latest is what the newest token that was seen says of a principal, by
// [authz.Principal.Name]: for who decides again about a call that was held. ok is
// false if none was seen since the start, or not for long.
func (s *Server) Latest(name string) (who authz.Principal, ok bool) {
	v, ok := s.latest.get(name)
	return v.who, ok
}
