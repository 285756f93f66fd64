package main

import (
	"errors"
	"fmt"
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
	case string(tools.SnapshotShow), string(tools.SnapshotOff):
		api.Before = tools.SnapshotMode(a.Before)
	default:
		return nil, fmt.Errorf("%s: before is check, show or off, and not %q", doc.Name, a.Before)
	}
	var err error
	if api.Credentials, err = a.attacher(cfg, doc, keys); err == nil {
		api.Credentials, err = a.withHeaders(api.Credentials)
	}
	if err == nil {
		api.Credentials, err = a.withTxnToken(cfg, keys, api.Credentials)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doc.Name, err)
	}
	return api, nil
}

// attacher is what attaches credentials to the calls of a document. A token of
// exeat's own goes with every call, since a guard asks for it; all others go
// where the document wants them.
func (a apiConfig) attacher(cfg config, doc *openapi.API, keys *token.Keys) (tools.Credentials, error) {
	cfg = a.proxied(cfg)
	if len(a.Credentials) == 0 && len(a.CredentialFor) == 0 {
		switch c := a.single(); c.Strategy {
		case "", "signed", "none":
			return newCredential(credentialUse{cfg: cfg, c: c, keys: keys})
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
	for i, f := range slices.Backward(a.CredentialFor) { // the first that fits counts
		if err := f.override(by, a, cfg, doc, keys); err != nil {
			return nil, fmt.Errorf("credential_for[%d]: %w", i, err)
		}
	}
	return by, nil
}

// override gives the operations that f is for its credentials.
func (f credentialForConfig) override(by token.ByOperation, a apiConfig, cfg config, doc *openapi.API, keys *token.Keys) error {
	if len(f.Tools) == 0 && len(f.Effects) == 0 {
		return errors.New("name the tools or the effects that it is for")
	}
	for _, effect := range f.Effects {
		if !slices.Contains([]openapi.Effect{openapi.Read, openapi.Write, openapi.Delete}, openapi.Effect(effect)) {
			return fmt.Errorf("there is no effect %q; it can be read, write or delete", effect)
		}
	}
	a.Credential, a.Credentials = f.Credential, f.Credentials
	ring, err := a.keyring(cfg, doc, keys)
	if err != nil {
		return err
	}
	missing := slices.Clone(f.Tools)
	for _, op := range doc.Operations {
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == op.Name })
		if slices.Contains(f.Tools, op.Name) || slices.Contains(f.Effects, string(op.Effect)) {
			by[op.Name] = ring.credential(op)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the document has no tool %s", strings.Join(missing, ", "))
	}
	return nil
}

// single is the one credential of an API, if there are not several.
func (a apiConfig) single() credentialConfig {
	if a.Credential == nil {
		return credentialConfig{}
	}
	return *a.Credential
}

// readSecret reads the key or the client secret of a credential.
func readSecret(c credentialConfig) (token.Secret, error) { return c.source().readNeeded("") }

// takesBearer reports whether a security scheme takes a bearer token.
func takesBearer(s openapi.SecurityScheme) bool { return s.TakesBearer() }
