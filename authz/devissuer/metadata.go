package devissuer

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// metadataServer answers for one issuer, at each place where clients look for it.
type metadataServer struct {
	op.UnimplementedMetadataServer
	i *Issuer
}

// metadata is RFC 8414 with what the library's type lacks.
type metadata struct {
	oidc.DiscoveryConfiguration
	ResponseNamesIssuer bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	ProtectedResources  []string `json:"protected_resources"`                            // RFC 9728 §4
}

// AuthorizationServerMetadata is RFC 8414's.
func (s metadataServer) AuthorizationServerMetadata(_ context.Context, r *op.Request[op.MetadataRequest]) (*op.Response, error) {
	if p := r.Data.IssuerPath; p != s.i.path && p != Path {
		return nil, op.NewStatusError(oidc.ErrInvalidRequest().WithDescription("no issuer is here"), http.StatusNotFound)
	}
	return op.NewResponse(s.i.metadata()), nil
}

// OpenIDConfiguration is the same for clients that look nowhere else. Some of them
// require two members that only OpenID Connect needs; there are no ID tokens.
func (s metadataServer) OpenIDConfiguration(ctx context.Context, r *op.Request[op.MetadataRequest]) (*op.Response, error) {
	resp, err := s.AuthorizationServerMetadata(ctx, r)
	if err != nil {
		return nil, err
	}
	m := s.i.metadata()
	m.SubjectTypesSupported, m.IDTokenSigningAlgValuesSupported = []string{"public"}, []string{"ES256"}
	resp.Data = m
	return resp, nil
}

func (i *Issuer) metadata() metadata {
	none := []oidc.AuthMethod{oidc.AuthMethodNone}
	return metadata{ResponseNamesIssuer: true, ProtectedResources: []string{i.c.Resource}, DiscoveryConfiguration: oidc.DiscoveryConfiguration{
		Issuer:                                 i.c.Issuer,
		AuthorizationEndpoint:                  i.c.Inbox + AuthorizePath,
		TokenEndpoint:                          i.c.Issuer + "/token",
		RevocationEndpoint:                     i.c.Issuer + "/revoke",
		RegistrationEndpoint:                   i.c.Issuer + "/register",
		JwksURI:                                i.c.Issuer + "/jwks.json",
		ScopesSupported:                        i.c.Scopes,
		ResponseTypesSupported:                 []string{string(oidc.ResponseTypeCode)},
		ResponseModesSupported:                 []string{string(oidc.ResponseModeQuery)},
		GrantTypesSupported:                    grantTypes,
		CodeChallengeMethodsSupported:          []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		TokenEndpointAuthMethodsSupported:      none,
		RevocationEndpointAuthMethodsSupported: none,
		ClientIDMetadataDocumentSupported:      true,
	}}
}

// Keys are the public keys that its tokens are checked with.
func (s server) Keys(ctx context.Context, _ *op.Request[struct{}]) (*op.Response, error) {
	b, err := s.i.JWKS(ctx)
	if err != nil {
		s.i.trouble(err)
		return nil, errInside()
	}
	return op.NewResponse(json.RawMessage(b)), nil
}

// errInside is what a client is told of what only the operator can mend.
func errInside() error {
	return oidc.ErrServerError().WithDescription("this exeat could not do that; its log says why")
}
