package oauth

import (
	"errors"
	"slices"
	"time"

	"github.com/exeat/exeat/authz/claims"
)

// skew is how far clocks may differ.
const skew = time.Minute

// checkClaims checks for whom and for when a token is. Who it is of was checked.
func (s *Server) checkClaims(g *grant) error {
	audience, err := g.claims.Texts("aud")
	if err != nil {
		return invalid("%v", err)
	}
	if !slices.ContainsFunc(g.from.Audience, func(a string) bool { return slices.Contains(audience, a) }) {
		return invalid("the token is for another server: get one for the resource %s", s.c.Resource)
	}
	return checkTimes(g.claims, s.c.Now())
}

// checkTimes checks when a token may be used.
func checkTimes(set claims.Set, now time.Time) error {
	expires, err1 := set.Time("exp")
	before, err2 := set.Time("nbf")
	issued, err3 := set.Time("iat")
	switch err := errors.Join(err1, err2, err3); {
	case err != nil:
		return invalid("%v", err)
	case expires.IsZero():
		return invalid("the token does not say when it ends (exp)")
	case !now.Before(expires.Add(skew)):
		return invalid("the token has expired: get a new one")
	case before.After(now.Add(skew)) || issued.After(now.Add(skew)):
		return invalid("the token is not valid yet: compare the clocks of its issuer and of this server")
	}
	return nil
}
