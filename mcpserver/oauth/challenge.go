package oauth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/dpop"
	"github.com/exeat/exeat/mcpserver"
)

// retryAfter is when it makes sense to ask again while an issuer does not answer.
const retryAfter = 5 * time.Second

// invalid refuses a token. What it says goes to whoever sent it, so it holds
// nothing that they could not know.
func invalid(format string, args ...any) *mcpserver.Challenge {
	return &mcpserver.Challenge{Code: "invalid_token", Help: fmt.Sprintf(format, args...)}
}

// malformed refuses a request that no token could help.
func malformed(format string, args ...any) *mcpserver.Challenge {
	return &mcpserver.Challenge{Status: http.StatusBadRequest, Code: "invalid_request", Help: fmt.Sprintf(format, args...)}
}

// unavailable answers while it cannot be found out whether a token is good.
func unavailable() *mcpserver.Challenge {
	return &mcpserver.Challenge{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", RetryAfter: retryAfter,
		Help: "the issuer of the token cannot be asked at the moment, so it is not known whether the token is good: try again in a few seconds"}
}

// Complete adds to a challenge what each one of this server says: where a client
// learns who gives it a token, and by which schemes it can send that.
func (s *Server) Complete(c *mcpserver.Challenge) *mcpserver.Challenge {
	c.ResourceMetadata = s.metadataURL()
	about := c.Code != "" && !strings.HasPrefix(c.Code, "insufficient_") // that it came by one scheme
	if c.Scope == "" && (c.Code == "" || about) {
		c.Scope = strings.Join(s.c.Scopes, " ")
	}
	bearer, proven := s.schemes()
	if !bearer {
		c.Scheme = schemeDPoP
	}
	if bearer && proven {
		other := *c
		if other.Scheme = schemeDPoP; c.Scheme == schemeDPoP {
			other.Scheme = ""
		}
		if about {
			other.Code = ""
		}
		c.Also = &other
	}
	for one := c; one != nil; one = one.Also {
		if one.Scheme == schemeDPoP {
			one.Params = append(slices.Clone(one.Params), mcpserver.Param{Name: "algs", Value: dpop.Algorithms()})
		}
	}
	return c
}

// schemes are those by which a token of some issuer can be sent.
func (s *Server) schemes() (bearer, proven bool) {
	bearer = len(s.domains) > 0
	for _, i := range s.issuers {
		bearer = bearer || i.DPoP != Require
		proven = proven || i.DPoP != Off
	}
	return bearer, proven
}

// Insufficient is the answer to a call that another access token would let go.
func (s *Server) Insufficient(needs authz.Stronger) *mcpserver.Challenge {
	if needs.Exact {
		c, err := s.InsufficientAuthorization(needs.Details)
		if err != nil {
			s.c.Report(err)
			return nil
		}
		return c
	}
	if len(needs.Claims) > 0 {
		return s.InsufficientClaims(needs.Claims)
	}
	if len(needs.Scopes) > 0 {
		return s.InsufficientScope(needs.Scopes)
	}
	return s.InsufficientAuthentication(needs.ACR, needs.MaxAge)
}

// InsufficientScope is the answer to a call that the token's scopes do not allow:
// it names those that this one operation needs (RFC 6750, section 3.1).
func (s *Server) InsufficientScope(needed []string) *mcpserver.Challenge {
	return s.Complete(&mcpserver.Challenge{Status: http.StatusForbidden, Code: "insufficient_scope", Scope: strings.Join(needed, " "),
		Help: "this operation needs a token with the scopes that are named here"})
}

// InsufficientAuthentication is the answer to a call that would be allowed if the
// person had logged in another way, or more recently (RFC 9470, section 3). Either
// can be left out.
func (s *Server) InsufficientAuthentication(acr []string, maxAge time.Duration) *mcpserver.Challenge {
	return s.Complete(&mcpserver.Challenge{Code: "insufficient_user_authentication", ACRValues: acr, MaxAge: maxAge,
		Help: "this operation needs a token of a stronger or more recent login: log in again"})
}

// InsufficientClaims is the answer to a call whose API wants other claims of the
// person's login: a claims request, one JSON object (OpenID Connect Core §5.5). The
// error and its parameter are those of Microsoft's claims challenges.
func (s *Server) InsufficientClaims(claims json.RawMessage) *mcpserver.Challenge {
	return s.Complete(&mcpserver.Challenge{Code: "insufficient_claims", Params: []mcpserver.Param{{Name: "claims", Value: base64.StdEncoding.EncodeToString(claims)}},
		Help: "the API behind this operation wants other claims of the login: ask the issuer for a token with the claims that are named here"})
}

// InsufficientAuthorization is the answer to a call that would be allowed with a
// token for these authorization_details, one JSON array (RFC 9396; the error and its
// parameter are those of draft-ietf-oauth-rar-metadata-remediation-00, section 4).
func (s *Server) InsufficientAuthorization(details json.RawMessage) (*mcpserver.Challenge, error) {
	b, err := json.Marshal(map[string]json.RawMessage{"authorization_details": details})
	if err != nil {
		return nil, fmt.Errorf("the authorization_details are no JSON: %w", err)
	}
	return s.Complete(&mcpserver.Challenge{Code: "insufficient_authorization",
		Params: []mcpserver.Param{{Name: "authorization_remediation", Value: base64.RawURLEncoding.EncodeToString(b)}},
		Help:   "this operation needs a token for exactly it: ask for the authorization_details that this answer names"}), nil
}
