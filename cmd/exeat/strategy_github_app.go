package main

import (
	"errors"
	"fmt"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
)

// githubAppConfig is a GitHub App whose installations give tokens. Its private key is
// the secret of the credential.
type githubAppConfig struct {
	AppID string `yaml:"app_id"` // its client id, or its app id
	URL   string `yaml:"url"`    // of the REST API of another GitHub than github.com
	// Installation is the only one that is used; without it, the one of the owner in
	// the path.
	Installation int64 `yaml:"installation"`
	// Permissions are asked for in place of what is known, by tool.
	Permissions map[string]map[string]string `yaml:"permissions"`
}

func newGitHubApp(use credentialUse) (token.Attacher, error) {
	c := use.c.GitHubApp
	if c == nil {
		return nil, errors.New("github_app needs the App's client id: github_app: {app_id: …}")
	}
	pem, err := readSecret(use.c)
	if err != nil {
		return nil, fmt.Errorf("the App's private key: %w", err)
	}
	key, err := credential.ParseSigningKey([]byte(pem.Reveal()), "")
	if err != nil {
		return nil, fmt.Errorf("the App's private key: %w", err)
	}
	app := &credential.GitHubApp{URL: c.URL, ID: c.AppID, Key: key, Installation: c.Installation, Permissions: c.Permissions, Client: use.c.client}
	return app, app.Check()
}
