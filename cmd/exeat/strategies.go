package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
)

// strategy is a way in which calls get a credential.
type strategy struct {
	name string
	make func(credentialUse) (token.Attacher, error)
	// fits says which security schemes of a document the credential can be for, where
	// nothing names one; nil is any.
	fits func(openapi.SecurityScheme) bool
	// means says to the operator what the credential is good for; safe, that this is
	// one request and no more.
	means string
	safe  bool
}

// credentialUse is one credential of the configuration and what it is for.
type credentialUse struct {
	cfg    config
	c      credentialConfig
	doc    *openapi.API
	scheme *openapi.SecurityScheme // nil: none in particular
	keys   *token.Keys             // that exeat signs with; nil if it is only checked
}

// strategies are all there are, by their names in the configuration. Each is made in
// a file of its own, strategy_NAME.go, if it takes more than a few lines.
var strategies []strategy

func init() { // newCredential reads the list that refers to it
	strategies = []strategy{
		{name: "signed", make: newSigned, safe: true, means: "a token for each request"},
		{name: "static", make: newStatic, means: "a standing key: it works for every call, for as long as it lives, for whoever reads it on this machine; exeat guard can keep it away from here"},
		{name: "client_credentials", make: newClientCredentials, fits: takesBearer, means: "tokens of an authorization server: they are not bound to one request"},
		{name: "exchange", make: newExchange, fits: takesBearer, means: "tokens that an authorization server makes of the caller's, for this API: they are bound to one request where that server takes authorization_details, and the API looks at them"},
		{name: "id_jag", make: newIDJAG, fits: takesBearer, means: "tokens that another company's authorization server gives for an assertion of who calls: they are not bound to one request"},
		{name: "connected", make: newConnected, fits: takesBearer, means: "tokens of the account that each person connects in the inbox, for the scopes of the call: they are not bound to one request"},
		{name: "aws_sts", make: newAWSSTS, fits: takesSignature, safe: true, means: "keys of AWS for each call, by a policy of its own, and a signature over its request"},
		{name: "github_app", make: newGitHubApp, fits: takesBearer, means: "tokens of GitHub for one repository and one permission, revoked after the call"},
		{name: "gcp_downscope", make: newGCPDownscope, fits: takesBearer, means: "tokens of Google that a Credential Access Boundary keeps to what the call is about; they live for up to an hour"},
		{name: "vault", make: newVault, means: "secrets of a vault, leased for each call and revoked after it; one without a lease is a standing key"},
		{name: "entra_obo", make: newEntraOBO, fits: takesBearer, means: "tokens of Microsoft Entra ID on behalf of the caller: they have all that was consented to, for an hour or more"},
		{name: "none", make: newNone, means: "none: whoever reaches the API can call it without exeat"},
	}
}

// strategyOf is the strategy of a name; "" is the first.
func strategyOf(name string) (strategy, error) {
	if name == "" {
		return strategies[0], nil
	}
	var names []string
	for _, s := range strategies {
		if s.name == name {
			return s, nil
		}
		names = append(names, s.name)
	}
	return strategy{}, fmt.Errorf("there is no strategy %q; it can be %s", name, strings.Join(names, ", "))
}

// newCredential makes one credential of the configuration.
func newCredential(use credentialUse) (token.Attacher, error) {
	s, err := strategyOf(use.c.Strategy)
	if err == nil && use.c.Binding != "" && s.name != "signed" {
		err = fmt.Errorf("binding is for the strategy signed, and this one is %s", s.name)
	}
	if err == nil {
		use.c.client, err = use.client()
	}
	if err != nil {
		return nil, err
	}
	return s.make(use)
}

func newNone(credentialUse) (token.Attacher, error) { return &token.Together{}, nil }

func newStatic(use credentialUse) (token.Attacher, error) {
	secret, err := readSecret(use.c)
	if err != nil {
		return nil, err
	}
	static, err := newStandingKey(use.c, use.scheme, secret)
	if err != nil {
		return nil, err
	}
	source := use.c.source()
	if err := static.Check(); err != nil || !source.changes() {
		return static, err
	}
	return token.NewRenewable(static, func(ctx context.Context) (*token.Static, error) {
		secret, err := source.readAgain(ctx)
		if err != nil {
			return nil, err
		}
		return newStandingKey(use.c, use.scheme, secret)
	}), nil
}

// newStandingKey places a static key where the security scheme puts it, else into
// Authorization: with a user as basic credentials, without one as a bearer token.
func newStandingKey(c credentialConfig, s *openapi.SecurityScheme, secret token.Secret) (*token.Static, error) {
	switch {
	case s == nil && c.User != "":
		return token.Basic(c.User, secret), nil
	case s == nil:
		return token.Bearer(secret), nil
	case s.Type == "apiKey":
		return &token.Static{Placement: token.Placement{In: s.In, Name: s.Name}, Secret: secret}, nil
	case s.Type == "http" && s.Scheme == "basic":
		if c.User == "" {
			return nil, errors.New("the security scheme is http basic: give its user name (user)")
		}
		return token.Basic(c.User, secret), nil
	case takesBearer(*s):
		return token.Bearer(secret), nil
	}
	return nil, fmt.Errorf("a static key cannot satisfy a security scheme of the type %s %s", s.Type, s.Scheme)
}

// newClientCredentials is what asks an authorization server for tokens.
func newClientCredentials(use credentialUse) (token.Attacher, error) {
	server, err := newServer(use.c)
	if err != nil {
		return nil, err
	}
	cc := &credential.ClientCredentials{Server: server, Wants: use.c.wants()}
	return cc, cc.Check()
}

// wants is what tokens are asked for.
func (c credentialConfig) wants() credential.Wants {
	w := credential.Wants{Scopes: c.Scopes, AlsoGranted: c.AlsoGranted, Resource: c.Resource, Params: url.Values{}}
	for name, value := range c.Params {
		w.Params.Set(name, value)
	}
	if c.Audience != "" {
		w.Params.Set("audience", c.Audience)
	}
	return w
}

// newServer is the authorization server of a strategy that asks one.
func newServer(c credentialConfig) (*credential.Server, error) {
	if c.TokenURL == "" || c.ClientID == "" && c.Auth != "file" {
		return nil, fmt.Errorf("%s needs token_url and client_id", c.Strategy)
	}
	s := &credential.Server{TokenURL: c.TokenURL, RevokeURL: c.RevokeURL, Client: c.client, Certified: c.Certificate != nil}
	var err error
	switch c.Auth {
	case "", "header", "body":
		var secret token.Secret
		secret, err = readSecret(c)
		s.Auth = credential.SecretAuth{ID: c.ClientID, Secret: secret, InBody: c.Auth == "body"}
	case "none":
		s.Auth = credential.SecretAuth{ID: c.ClientID}
	case "key":
		s.Auth, err = newKeyAuth(c)
	case "file":
		if c.File == "" {
			return nil, errors.New("auth is file: name the file with the assertion (file), such as a JWT-SVID")
		}
		s.Auth = credential.FileAuth{ID: c.ClientID, Path: c.File}
	default:
		return nil, fmt.Errorf("auth is %q; it can be header (default) or body, which is where the secret goes, key, file or none", c.Auth)
	}
	if err != nil {
		return nil, err
	}
	return s, s.Check()
}

// newKeyAuth signs assertions with the key of a file.
func newKeyAuth(c credentialConfig) (credential.ClientAuth, error) {
	if c.File == "" || c.Issuer == "" {
		return nil, errors.New("auth is key: give the private key in PEM (file), and what the server calls itself (issuer), which is the audience of what is signed")
	}
	key, err := credential.ReadSigningKey(c.File, c.KeyID)
	if err != nil {
		return nil, err
	}
	return credential.KeyAuth{ID: c.ClientID, Audience: c.Issuer, Key: key}, nil
}
