package inbox

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/claims"
)

// Whatever a provider says, nobody comes of it who is not allowed, has no name, or
// has one that hides something.
func FuzzOIDCClaims(f *testing.F) {
	for _, seed := range []string{
		`{"sub":"alice","email":"alice@example.com","email_verified":true,"groups":["keepers"],"acr":"urn:two","amr":["pwd"],"auth_time":1790000000}`,
		`{"sub":"alice","email":"alice@example.com","email_verified":"true","groups":"keepers","auth_time":1.79e9}`,
		`{"sub":null,"groups":null,"amr":[],"acr":""}`, `{"sub":["alice"],"groups":[1],"auth_time":-1}`, `{"sub":"a\u200bb","groups":[""]}`, `{"sub":"\ud800","SUB":"alice"}`,
	} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	o := &OIDC{now: func() time.Time { return now }, c: OIDCConfig{Subject: "sub", Groups: "groups", Allowed: Allowed{Groups: []string{"keepers"}, Emails: []string{"alice@example.com"}}}}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := claims.Parse([]byte(text))
		if err != nil {
			return
		}
		p, err := o.person(c)
		if err == nil {
			err = o.checkStrength(p, flow{begun: now})
		}
		if err != nil {
			return
		}
		who := p.Principal
		named := strings.Contains(strings.Join(who.Groups, "\n"), "keepers") || who.Email == "alice@example.com" && strings.Trim(string(c["email_verified"]), `"`) == "true"
		if !named || who.Type != "User" || !claims.Legible(who.ID) || !allLegible(who.Groups) || !allLegible(p.AMR) || who.AuthTime.After(now.Add(oidcClockSkew)) || p.Strong {
			t.Errorf("%q is %+v", text, p)
		}
	})
}

func allLegible(texts []string) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return !claims.Legible(s) })
}
