package main

import (
	"context"
	"errors"
	"strings"

	"github.com/exeat/exeat/authz/issuer"
)

// oauth checks that the issuers of access tokens can be read, and says what lets
// clients in without any.
func (d *doctor) oauth(ctx context.Context, cfg config) {
	if cfg.OAuth.ownAt() >= 0 {
		d.note("oauth", "issuer dev makes exeat an authorization server of its own, for tests and for a few people without an identity provider: whoever gets into the inbox lets clients call as themselves; an organization names its own provider (docs/identity.md)")
	}
	if len(cfg.OAuth.Issuers) == 0 && strings.HasPrefix(cfg.publicURL(), "https://") {
		d.note("listen", "the bearer token of the key folder is good from everywhere, and makes whoever has it "+cfg.User+": exeat tokens add gives each person and program one of their own")
	}
	for _, x := range cfg.OAuth.Issuers {
		if x.SPIFFE != nil || x.Issuer == ownIssuer {
			continue
		}
		keys, err := issuer.NewSource(issuer.Config{URL: x.Issuer, Report: func(error) {}})
		if err == nil {
			_, err = keys.Keys(ctx, "exeat doctor", "RS256")
		}
		if err != nil && !errors.Is(err, issuer.ErrUnknownKey) {
			d.bad("oauth", err.Error())
			continue
		}
		audience := x.Audience
		if len(audience) == 0 {
			audience = []string{cfg.publicURL() + "/mcp"}
		}
		d.ok("oauth", "access tokens of "+x.Issuer+" for "+strings.Join(audience, " or "))
	}
}
