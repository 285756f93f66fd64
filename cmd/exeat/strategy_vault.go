package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
)

// vaultConfig is a secret of a vault. What exeat logs in with is the secret of the
// credential.
type vaultConfig struct {
	URL       string `yaml:"url"`
	Namespace string `yaml:"namespace"`
	// Auth is how exeat logs in: token (default), approle, jwt or kubernetes; Mount is
	// where that is mounted, its name unless said otherwise. Role is the role, of approle
	// the role id. Audience is that of a JWT that exeat signs.
	Auth     string `yaml:"auth"`
	Mount    string `yaml:"mount"`
	Role     string `yaml:"role"`
	Audience string `yaml:"audience"`
	// Path is read, or written with Data; Field and UserField are what is taken of the
	// answer.
	Path      string         `yaml:"path"`
	Data      map[string]any `yaml:"data"`
	Field     string         `yaml:"field"`
	UserField string         `yaml:"user_field"`
}

// kubernetesToken is where Kubernetes puts the token of a pod's service account.
const kubernetesToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

func newVault(use credentialUse) (token.Attacher, error) {
	c := use.c.Vault
	if c == nil {
		return nil, errors.New("vault needs its settings: vault: {url: …, path: …, field: …}")
	}
	login, err := c.login(use)
	if err != nil {
		return nil, err
	}
	put := func(user string, secret token.Secret) (*token.Static, error) {
		key := use.c
		key.User = cmp.Or(user, key.User)
		return newStandingKey(key, use.scheme, secret)
	}
	like, err := put(c.UserField, token.NewSecret("secret")) // where it will go
	if err != nil {
		return nil, err
	}
	v := &credential.Vault{URL: c.URL, Namespace: c.Namespace, Login: login, Path: c.Path, Data: c.Data, Field: c.Field, UserField: c.UserField,
		Put: put, Place: like.Placement.String(), Client: use.c.client}
	return v, v.Check()
}

// login is how exeat logs in to the vault.
func (c *vaultConfig) login(use credentialUse) (credential.VaultLogin, error) {
	source := use.c.source()
	read := func(ctx context.Context, _ token.Call) (token.Secret, error) {
		if source.changes() {
			return source.readAgain(ctx)
		}
		return source.read("")
	}
	ours := c.Auth == "jwt" && source.isZero()
	login := credential.VaultLogin{Mount: cmp.Or(c.Mount, c.Auth), Fields: map[string]string{"role": c.Role}, Field: "jwt", Secret: read}
	switch c.Auth {
	case "", "token":
		login = credential.VaultLogin{Secret: read}
	case "approle":
		login.Fields, login.Field = map[string]string{"role_id": c.Role}, "secret_id"
	case "jwt":
		if ours {
			login.PerCall = true
			login.Secret = func(_ context.Context, call token.Call) (token.Secret, error) { return c.assert(use, call) }
		}
	case "kubernetes":
		if source.isZero() {
			source.file = kubernetesToken
		}
	default:
		return login, fmt.Errorf("auth is %q; it can be token (default), approle, jwt or kubernetes", c.Auth)
	}
	switch {
	case source.isZero() && !ours:
		return login, errors.New("say where the secret is with which exeat logs in to the vault: env, file or command")
	case login.Mount != "" && c.Role == "":
		return login, fmt.Errorf("auth: %s needs the role to log in with (role)", c.Auth)
	}
	return login, nil
}

// assert signs who calls what, for a vault that trusts exeat's keys.
func (c *vaultConfig) assert(use credentialUse, call token.Call) (token.Secret, error) {
	if use.keys == nil || len(call.Details.Actions) != 1 {
		return token.Secret{}, errors.New("there is no key to sign the login with, or no call")
	}
	now := time.Now().Unix()
	payload, err := json.Marshal(map[string]any{
		"iss": use.cfg.issuer(), "aud": cmp.Or(c.Audience, c.URL), "sub": call.Subject, "act": map[string]string{"sub": call.Agent},
		"iat": now, "nbf": now - 60, "exp": now + 60, "jti": rand.Text(), "txn": call.Txn,
		"tool": call.Details.Identifier, "effect": call.Effect, "method": call.Details.Actions[0], "path": call.Path,
	})
	if err != nil {
		return token.Secret{}, err
	}
	signed, err := use.keys.Sign(payload)
	return token.NewSecret(signed), err
}
