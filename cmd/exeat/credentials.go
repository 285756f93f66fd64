package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

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
	case string(tools.BeforeShow), string(tools.BeforeOff):
		api.Before = tools.Before(a.Before)
	default:
		return nil, fmt.Errorf("%s: before is check, show or off, and not %q", doc.Name, a.Before)
	}
	c := a.Credential
	switch c.Strategy {
	case "", "signed":
		api.Credentials = &token.Signed{Issuer: cfg.issuer(), Keys: keys}
	case "static":
		secret, err := readSecret(c)
		if err != nil {
			return nil, fmt.Errorf("%s: credential: %w", doc.Name, err)
		}
		static, err := standing(c, doc, secret)
		if err == nil {
			err = static.Check()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: credential: %w", doc.Name, err)
		}
		api.Credentials = static
	case "client_credentials":
		secret, err := readSecret(c)
		if err != nil {
			return nil, fmt.Errorf("%s: credential: %w", doc.Name, err)
		}
		if c.TokenURL == "" || c.ClientID == "" {
			return nil, fmt.Errorf("%s: credential: client_credentials needs token_url and client_id", doc.Name)
		}
		api.Credentials = &token.ClientCredentials{TokenURL: c.TokenURL, ClientID: c.ClientID, Secret: secret}
	case "none":
		api.Credentials = noCredential{}
	default:
		return nil, fmt.Errorf("%s: credential: %w", doc.Name, noStrategy(c.Strategy))
	}
	return api, nil
}

func noStrategy(name string) error {
	return fmt.Errorf("there is no strategy %q; it can be signed, static, client_credentials or none", name)
}

// noCredential is for APIs that ask for none.
type noCredential struct{}

func (noCredential) Attach(context.Context, token.Call, *http.Request) (token.Receipt, error) {
	return token.Receipt{Strategy: "none"}, nil
}

// readSecret reads a key from the environment or a file.
func readSecret(c credentialConfig) (token.Secret, error) {
	switch {
	case c.Env != "" && c.File != "":
		return token.Secret{}, errors.New("both env and file are given; keep one")
	case c.Env != "":
		return token.SecretFromEnv(c.Env)
	case c.File != "":
		return token.SecretFromFile(c.File)
	}
	return token.Secret{}, errors.New("name the environment variable (env) or the file that holds the key")
}

// standing places a static key: where the document's security scheme puts it,
// else into Authorization as a bearer token.
func standing(c credentialConfig, doc *openapi.API, secret token.Secret) (*token.Static, error) {
	names := slices.Sorted(maps.Keys(doc.Security))
	name := c.Scheme
	switch {
	case name == "" && c.User != "":
		return token.Basic(c.User, secret), nil
	case name == "" && len(names) == 0:
		return token.Bearer(secret), nil
	case name == "" && len(names) > 1:
		return nil, fmt.Errorf("the document has the security schemes %s: name the one the key is for (scheme)", strings.Join(names, ", "))
	case name == "":
		name = names[0]
	}
	s, ok := doc.Security[name]
	if !ok {
		return nil, fmt.Errorf("the document has no security scheme %q; it has %s", name, strings.Join(names, ", "))
	}
	switch {
	case s.Type == "apiKey":
		return &token.Static{Placement: token.Placement{In: s.In, Name: s.Name}, Secret: secret}, nil
	case s.Type == "http" && s.Scheme == "basic":
		if c.User == "" {
			return nil, fmt.Errorf("the security scheme %s is http basic: give its user name (user)", name)
		}
		return token.Basic(c.User, secret), nil
	case s.Type == "http" && s.Scheme == "bearer", s.Type == "oauth2", s.Type == "openIdConnect":
		return token.Bearer(secret), nil
	}
	return nil, fmt.Errorf("a static key cannot satisfy the security scheme %s (%s)", name, s.Type)
}
