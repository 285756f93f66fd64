package devissuer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/exeat/exeat/store"
)

// claims are those of an access token (RFC 9068), in the order that a person reads
// them.
type claims struct {
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"`
	Subject  string   `json:"sub"` // the principal's ID, as the inbox knows it
	ClientID string   `json:"client_id"`
	IssuedAt int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	ID       string   `json:"jti"`
	Scope    string   `json:"scope,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
}

// VerifyClient finds out which client calls. It proves nothing of itself; what it
// brings is bound to it.
func (s server) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	if r.Data.ClientSecret != "" || r.Data.ClientAssertion != "" || r.Header.Get("Authorization") != "" {
		return nil, oidc.ErrInvalidClient().WithDescription("clients have no secrets here: token_endpoint_auth_method is none")
	}
	if strings.HasPrefix(r.Data.ClientID, "https://") {
		return &client{ID: r.Data.ClientID}, nil // its document says nothing that counts here
	}
	c, err := s.i.registered(ctx, r.Data.ClientID)
	if errors.Is(err, errNoClient) {
		return nil, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("%s", err), http.StatusUnauthorized)
	}
	return c, err
}

// errGrant is what a client is told of a secret that is not good.
func errGrant(text string) *oidc.Error { return oidc.ErrInvalidGrant().WithDescription("%s", text) }

// CodeExchange gives the first tokens for a code. A code is tried once: if anything
// with it is wrong, somebody else has it.
func (s server) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	return s.i.exchange(ctx, r.Data.Code, true, r.Client.GetID(), r.PostForm.Get("resource"), nil, func(what allowed) error {
		if r.Data.RedirectURI != what.Redirect {
			return errGrant("redirect_uri is not that of the authorization request")
		}
		return op.AuthorizeCodeChallenge(r.Data.CodeVerifier, &oidc.CodeChallenge{Challenge: what.Challenge, Method: oidc.CodeChallengeMethodS256})
	})
}

// RefreshToken gives the next tokens for a refresh token.
func (s server) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	return s.i.exchange(ctx, r.Data.RefreshToken, false, r.Client.GetID(), r.PostForm.Get("resource"), r.Data.Scopes, func(allowed) error { return nil })
}

// exchange gives tokens for a secret of a client, with no more scopes than were
// allowed.
func (i *Issuer) exchange(ctx context.Context, secret string, code bool, client, resource string, scopes []string, good func(allowed) error) (*op.Response, error) {
	next, a, what, err := i.spend(ctx, secret, code, func(a store.Access, what allowed) error {
		switch {
		case a.Client != client:
			return errGrant("it is another client's")
		case what.Resource != i.c.Resource || resource != "" && !i.isResource(resource):
			return oidc.ErrInvalidTarget().WithDescription("resource (RFC 8707) has to be %s", i.c.Resource)
		}
		return good(what)
	})
	if err == nil {
		err = i.outlived(ctx, a)
	}
	var told *oidc.Error
	switch {
	case errors.Is(err, errSecret):
		return nil, errGrant(err.Error())
	case errors.As(err, &told):
		return nil, told
	case err != nil:
		i.trouble(err)
		return nil, errInside()
	}
	if len(scopes) > 0 {
		what.Scopes = slices.DeleteFunc(what.Scopes, func(s string) bool { return !slices.Contains(scopes, s) })
	}
	access, err := i.mint(a, what)
	if err != nil {
		i.trouble(err)
		return nil, errInside()
	}
	return op.NewResponse(oidc.AccessTokenResponse{AccessToken: access, TokenType: oidc.BearerToken, RefreshToken: next, ExpiresIn: uint64(tokenLife / time.Second),
		Scope: what.Scopes}), nil
}

// mint signs an access token.
func (i *Issuer) mint(a store.Access, what allowed) (string, error) {
	now := i.now()
	c := claims{Issuer: i.c.Issuer, Audience: what.Resource, Subject: what.Subject, ClientID: a.Client, IssuedAt: now.Unix(), Expires: now.Add(tokenLife).Unix(),
		ID: newSecret(), Scope: strings.Join(what.Scopes, " "), ACR: what.ACR, AMR: what.AMR}
	if !what.AuthTime.IsZero() {
		c.AuthTime = what.AuthTime.Unix()
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return i.c.Keys.Sign(payload)
}

// Revocation takes back what a refresh token is good for (RFC 7009). An access
// token ends within minutes by itself.
func (s server) Revocation(ctx context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	if strings.Count(r.Data.Token, ".") == 2 {
		return nil, &oidc.Error{ErrorType: "unsupported_token_type", Description: "an access token ends by itself within 5 minutes; revoke the refresh token"}
	}
	family, _, _ := strings.Cut(r.Data.Token, ".")
	a, err := s.i.accessOf(ctx, family)
	if err == nil && a.Client == r.Client.GetID() {
		err = s.i.c.Store.Update(ctx, func(tx *store.Tx) error { return end(tx, a, s.i.now(), "taken back by the client") })
	}
	if err != nil && !errors.Is(err, errSecret) && !errors.Is(err, store.ErrNotFound) {
		s.i.trouble(err)
		return nil, errInside()
	}
	return op.NewResponse(nil), nil
}
