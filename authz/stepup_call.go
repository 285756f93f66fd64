package authz

import (
	"encoding/json"
	"slices"
	"time"
)

// Could is what another access token could have, beyond a caller's own.
type Could struct {
	Scopes []string // that the operation is for
	ACR    []string // that a login can have, the usual one first
}

// Stronger is what an access token needs for a call to be allowed, or held for a
// person. The zero value is that no token helps.
type Stronger struct {
	Scopes []string // what it may do, besides what the caller's token may
	ACR    []string // any of these ways to log in
	// MaxAge is how old the login may be, where that matters: in whole seconds, one
	// at least.
	MaxAge time.Duration
	// Exact wants a token for this very request: Details are the
	// authorization_details (RFC 9396) to ask for, one JSON array.
	Exact   bool
	Details json.RawMessage
	// Claims is a claims request (OpenID Connect Core §5.5) that the token has to be
	// asked for with, since the API's credential is made of it: one JSON object.
	Claims json.RawMessage
}

// IsZero reports that no token helps.
func (s Stronger) IsZero() bool {
	return len(s.Scopes) == 0 && len(s.ACR) == 0 && s.MaxAge == 0 && !s.Exact && len(s.Claims) == 0
}

// ages are how old logins may be that are asked for, the oldest first.
var ages = []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, 12 * time.Hour, 8 * time.Hour, 4 * time.Hour, time.Hour, 30 * time.Minute,
	15 * time.Minute, 10 * time.Minute, 5 * time.Minute, 2 * time.Minute, time.Minute, 30 * time.Second, time.Second}

// Strengthen finds out what a token needs for a denied call not to be denied, by
// deciding the call as such tokens would have it decided. It asks for one thing
// before two, and for no more than is needed; it permits nothing.
func (e *Engine) Strengthen(q Query, could Could) Stronger {
	passes := func(p Principal) bool {
		q := q
		q.Principal = p
		return e.decide(q, e.newCaller).Outcome != Deny
	}
	if scopes := moreScopes(q.Principal, could.Scopes, passes); len(scopes) > 0 {
		return Stronger{Scopes: scopes}
	}
	if age := oldest(q.Principal, q.Now, passes); age > 0 {
		return Stronger{MaxAge: age}
	}
	var s Stronger
	for _, acr := range could.ACR {
		p := q.Principal
		if p.ACR = acr; passes(p) {
			s.ACR = append(s.ACR, acr)
		}
	}
	if len(s.ACR) > 0 {
		return s
	}
	for _, acr := range could.ACR {
		p := q.Principal
		p.ACR = acr
		if age := oldest(p, q.Now, passes); age > 0 && (s.MaxAge == 0 || age == s.MaxAge) {
			s.ACR, s.MaxAge = append(s.ACR, acr), age
		}
	}
	if s.IsZero() && !q.Exact {
		q.Exact = true
		s.Exact = passes(q.Principal)
	}
	return s
}

// moreScopes are those of the candidates without which a call does not pass.
func moreScopes(p Principal, candidates []string, passes func(Principal) bool) []string {
	missing := slices.DeleteFunc(slices.Clone(candidates), func(s string) bool { return slices.Contains(p.Scopes, s) })
	with := func(scopes []string) Principal {
		q := p
		q.Scopes = slices.Concat(p.Scopes, scopes)
		return q
	}
	if len(missing) == 0 || !passes(with(missing)) {
		return nil
	}
	for i := 0; i < len(missing); {
		less := slices.Delete(slices.Clone(missing), i, i+1)
		if !passes(with(less)) {
			i++
			continue
		}
		missing = less
	}
	return missing
}

// oldest is how old a login may be for a call to pass; zero if no age helps.
func oldest(p Principal, now time.Time, passes func(Principal) bool) time.Duration {
	for _, age := range ages {
		if p.AuthTime = now.Add(-age); passes(p) {
			return age
		}
	}
	return 0
}
