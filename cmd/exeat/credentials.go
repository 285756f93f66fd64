package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/tools"
)

// audience is the API's resource identifier: its base URL, unless said otherwise.
func (a apiConfig) audience(doc *openapi.API) string {
	if a.Audience != "" {
		return a.Audience
	}
	return doc.BaseURL
}

// serveAPI chooses how the calls of a document get their credentials.
func serveAPI(cfg config, a apiConfig, doc *openapi.API, keys *token.Keys) (*tools.API, error) {
	api := &tools.API{Document: doc, Audience: a.audience(doc)}
	api.Mask = a.Mask
	for _, p := range a.Mask {
		if !strings.HasPrefix(p, "/") {
			return nil, fmt.Errorf("%s: mask: %q is no JSON Pointer to an argument; write /name or /body/name", doc.Name, p)
		}
	}
	switch a.Before {
	case "", "check":
	case string(tools.SnapshotShow), string(tools.SnapshotOff):
		api.Before = tools.SnapshotMode(a.Before)
	default:
		return nil, fmt.Errorf("%s: before is check, show or off, and not %q", doc.Name, a.Before)
	}
	var err error
	if api.Certificate, err = a.clientCertificate(doc); err != nil {
		return nil, fmt.Errorf("%s: client_certificate: %w", doc.Name, err)
	}
	if api.Credentials, err = a.attacher(cfg, doc, keys); err != nil {
		return nil, fmt.Errorf("%s: %w", doc.Name, err)
	}
	return api, nil
}

// clientCertificate reads what exeat shows to the API in TLS; nil is nothing.
func (a apiConfig) clientCertificate(doc *openapi.API) (*tls.Certificate, error) {
	c := a.Certificate
	switch {
	case c == nil:
		return nil, nil
	case c.Cert == "" || c.Key == "":
		return nil, errors.New("give both files, cert and key, in PEM")
	case !strings.HasPrefix(doc.BaseURL, "https://"):
		return nil, fmt.Errorf("calls go to %s, which has no TLS to show it in", doc.BaseURL)
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, err
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		return nil, fmt.Errorf("%s is valid from %s to %s, and not now", c.Cert, pair.Leaf.NotBefore.Format(time.DateOnly), pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	return &pair, nil
}

// attacher is what attaches credentials to the calls of a document. A token of
// exeat's own goes with every call, since a guard asks for it; all others go
// where the document wants them.
func (a apiConfig) attacher(cfg config, doc *openapi.API, keys *token.Keys) (tools.Credentials, error) {
	if len(a.Credentials) == 0 {
		switch a.single().Strategy {
		case "", "signed":
			return &token.Signed{Issuer: cfg.issuer(), Keys: keys}, nil
		case "none":
			return token.Together{}, nil
		}
	}
	ring, err := a.keyring(cfg, doc, keys)
	if err != nil {
		return nil, err
	}
	by := token.ByOperation{}
	for _, op := range doc.Operations {
		by[op.Name] = ring.credential(op)
	}
	return by, nil
}

// single is the one credential of an API, if there are not several.
func (a apiConfig) single() credentialConfig {
	if a.Credential == nil {
		return credentialConfig{}
	}
	return *a.Credential
}

// newCredential makes one credential of the configuration, for a security scheme
// of the document; nil means none in particular.
func newCredential(cfg config, c credentialConfig, s *openapi.SecurityScheme, keys *token.Keys) (token.Attacher, error) {
	switch c.Strategy {
	case "", "signed":
		return &token.Signed{Issuer: cfg.issuer(), Keys: keys}, nil
	case "none":
		return &token.Together{}, nil
	case "static", "client_credentials":
	default:
		return nil, noStrategy(c.Strategy)
	}
	secret, err := readSecret(c)
	if err != nil {
		return nil, err
	}
	if c.Strategy == "client_credentials" {
		return newClientCredentials(c, secret)
	}
	static, err := newStandingKey(c, s, secret)
	if err == nil {
		err = static.Check()
	}
	return static, err
}

// newClientCredentials is what asks an authorization server for tokens.
func newClientCredentials(c credentialConfig, secret token.Secret) (token.Attacher, error) {
	if c.TokenURL == "" || c.ClientID == "" {
		return nil, errors.New("client_credentials needs token_url and client_id")
	}
	cc := &token.ClientCredentials{TokenURL: c.TokenURL, ClientID: c.ClientID, Secret: secret,
		Scopes: c.Scopes, AlsoGranted: c.AlsoGranted, Resource: c.Resource, Params: url.Values{}}
	for name, value := range c.Params {
		cc.Params.Set(name, value)
	}
	if c.Audience != "" {
		cc.Params.Set("audience", c.Audience)
	}
	switch c.Auth {
	case "", "header":
	case "body":
		cc.SecretInBody = true
	default:
		return nil, fmt.Errorf("auth is %q; it can be header (default) or body, which is where the secret goes", c.Auth)
	}
	return cc, cc.Check()
}

func noStrategy(name string) error {
	return fmt.Errorf("there is no strategy %q; it can be signed, static, client_credentials or none", name)
}

// readSecret reads a key from the environment or a file.
func readSecret(c credentialConfig) (token.Secret, error) {
	if c.Env == "" && c.File == "" {
		return token.Secret{}, errors.New("name the environment variable (env) or the file that holds the key")
	}
	return secretNamed("env", c.Env, "file", c.File)
}

// secretNamed reads a secret that the configuration names by one of two keys. Without
// either there is none.
func secretNamed(envKey, env, fileKey, file string) (token.Secret, error) {
	switch {
	case env != "" && file != "":
		return token.Secret{}, fmt.Errorf("both %s and %s are given; keep one", envKey, fileKey)
	case env != "":
		return token.SecretFromEnv(env)
	case file != "":
		return token.SecretFromFile(file)
	}
	return token.Secret{}, nil
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

// takesBearer reports whether a security scheme takes a bearer token.
func takesBearer(s openapi.SecurityScheme) bool {
	return s.Type == "http" && s.Scheme == "bearer" || s.Type == "oauth2" || s.Type == "openIdConnect"
}
