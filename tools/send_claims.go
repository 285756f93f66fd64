package tools

import (
	"errors"
	"net/http"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/token"
)

// lack notes that no credential could be had, and what the caller's token would need
// for one.
func (c *course) lack(err error) {
	c.fail(err)
	var needed *token.ClaimsError
	c.lacked = true
	if errors.As(err, &needed) {
		c.needs = authz.Stronger{Claims: needed.Claims}
	}
}

// maxChallenged bounds how often one approved call is sent to an API that answers each
// time that it wants other claims: it says that it did nothing.
const maxChallenged = 3

// wantsClaims reports whether the API refused a call since it wants other claims of the
// caller's login (error="insufficient_claims"), and a credential that is made of the
// caller's token could have them. The next one is asked for with them.
func (r *Runner) wantsClaims(c *course, status int, t token.Receipt) bool {
	a := c.asks
	if t.Challenged == nil || a == nil || status != http.StatusUnauthorized || a.Error != "insufficient_claims" || r.kept.challenged(c.handle) >= maxChallenged {
		return false
	}
	claims, err := token.DecodeClaims(a.Claims)
	if err != nil {
		c.fail(err)
		return false
	}
	t.Challenged(claims)
	c.lacked, c.needs = true, authz.Stronger{Claims: claims}
	return true
}

// wantsLogin is what an agent is told whose user has to log in again.
const wantsLogin = "the API's credential is made of your user's login, and the API wants that to be another: your user has to log in again, or in another way. Nothing was executed"

// tellNeeds adds to an answer what the caller's token needs, for the client that can get
// another.
func (c *course) tellNeeds(res Result) Result {
	if res.Needs = c.needs; len(c.needs.Claims) > 0 && res.Envelope.Status != Done {
		res.Envelope.Reason, res.Envelope.Remediation = wantsLogin, authz.RemedyStepUp
	}
	return res
}
