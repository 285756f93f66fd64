package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/exeat/exeat/authz/inbox"
)

// oidcConfig is the OpenID provider that people log in to the inbox with. Its
// secret is in a file or the environment.
type oidcConfig struct {
	Issuer           string `yaml:"issuer"`
	ClientID         string `yaml:"client_id"`
	ClientSecretEnv  string `yaml:"client_secret_env"` // neither: a public client
	ClientSecretFile string `yaml:"client_secret_file"`

	ClientSecretCommand []string `yaml:"client_secret_command"`

	Scopes []string `yaml:"scopes"` // besides openid; default: email
	// Subject and Groups name claims: who the person is to the policies (default:
	// sub), and in which groups (default: none).
	Subject string        `yaml:"subject"`
	Groups  string        `yaml:"groups"`
	Allowed allowedConfig `yaml:"allowed"` // who may log in
	// ACRValues and MaxAge are what each login must have; StepUp is what is asked
	// for when a policy wants more.
	ACRValues []string      `yaml:"acr_values"`
	StepUp    []string      `yaml:"step_up"`
	MaxAge    time.Duration `yaml:"max_age"`
	Local     bool          `yaml:"local"` // keeps the login by link
}

// source is where the secret of the client is; nowhere for a public one.
func (c oidcConfig) source() secretSource {
	return secretSource{c.ClientSecretEnv, c.ClientSecretFile, c.ClientSecretCommand}
}

type allowedConfig struct {
	Subjects []string `yaml:"subjects"`
	Emails   []string `yaml:"emails"`
	Groups   []string `yaml:"groups"`
	Everyone bool     `yaml:"everyone"`
}

// login makes the login of an inbox at origin.
func (c oidcConfig) login(origin string, now func() time.Time) (*inbox.OIDC, error) {
	set := inbox.OIDCConfig{Issuer: c.Issuer, ClientID: c.ClientID, Scopes: c.Scopes, Subject: c.Subject, Groups: c.Groups,
		Allowed: inbox.Allowed(c.Allowed), ACR: c.ACRValues, StepUp: c.StepUp, MaxAge: c.MaxAge, Local: c.Local, Now: now}
	secret, err := c.source().read("client_secret_")
	if err != nil {
		return nil, fmt.Errorf("inbox.oidc: %w", err)
	}
	if !c.source().isZero() {
		set.Secret = secret.Reveal
	}
	o, err := inbox.NewOIDC(origin, set)
	if err != nil {
		return nil, fmt.Errorf("inbox.oidc: %w", err)
	}
	return o, nil
}

// newOIDC is the login to an inbox at origin with the configured provider, or nil
// if there is none. A provider that does not answer now is asked again when
// somebody logs in.
func (g *gateway) newOIDC(ctx context.Context, origin string, errOut io.Writer) (*inbox.OIDC, error) {
	if g.cfg.Inbox.OIDC == nil || g.inboxL == nil {
		return nil, nil
	}
	o, err := g.cfg.Inbox.OIDC.login(origin, g.cfg.now)
	if err != nil {
		return nil, err
	}
	if g.cfg.Inbox.URL == "" && g.cfg.Inbox.Listen == "" && g.inboxL.Addr().String() != defaultInbox {
		fmt.Fprintf(errOut, "exeat: warning: %s is taken, and the provider may not send people back to %s: use the inbox of the process that has it, or set inbox.listen\n", defaultInbox, o.RedirectURL())
	}
	if err := o.Discover(ctx); err != nil {
		fmt.Fprintf(errOut, "exeat: warning: nobody can log in to the inbox now; it asks again with each try: %v\n", err)
	}
	return o, nil
}

// wayIn says how the person gets into the inbox.
func (g *gateway) wayIn() string {
	if !g.inbox.TakesLinks() {
		return "log in there with " + g.cfg.Inbox.OIDC.Issuer
	}
	return fmt.Sprintf("log in once, as %s, with %s", g.cfg.User, g.inbox.LoginLink())
}
