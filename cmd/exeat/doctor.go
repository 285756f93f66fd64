package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/account"
	"github.com/exeat/exeat/authz/notify"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

func doctorCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "doctor SPEC...",
		Short: "Check the configuration, and say what it does not protect against",
		Long: `Check what exeat would be started with: documents, policies, credentials, keys,
the database, channels. Nothing is sent, and no key or database is made; commands that
print secrets are run.
The exit code is 1 if something is wrong. Lines that begin with "note" are about
what works as it should and still does not protect.`,
		Example: `  exeat doctor --config exeat.yaml
  exeat doctor petstore.yaml`,
		RunE: func(cmd *cobra.Command, specs []string) error {
			d := doctor{w: cmd.OutOrStdout()}
			cfg, err := f.config(specs)
			if err != nil {
				d.bad("configuration", err.Error())
			} else {
				d.examine(cmd.Context(), cfg)
			}
			if d.wrong > 0 {
				return failed(fmt.Errorf("%d of the checks found something wrong", d.wrong))
			}
			return nil
		},
	}
	f.documents(cmd)
	f.policies(cmd)
	f.state(cmd)
	return cmd
}

// doctor writes what checks find, one line each.
type doctor struct {
	w     io.Writer
	wrong int
}

func (d *doctor) say(kind, what, text string) {
	fmt.Fprintf(d.w, "%-5s %s: %s\n", kind, what, strings.Join(strings.Fields(text), " "))
}

func (d *doctor) ok(what, text string)   { d.say("ok", what, text) }
func (d *doctor) note(what, text string) { d.say("note", what, text) }
func (d *doctor) bad(what, text string)  { d.wrong++; d.say("WRONG", what, text) }

func (d *doctor) examine(ctx context.Context, cfg config) {
	d.credentials(cfg, d.documents(ctx, cfg))
	d.keys(cfg)
	d.reached(cfg)
	d.oauth(ctx, cfg)
	channels, err := notifyChannels(cfg)
	if err != nil {
		d.bad("channels", err.Error())
	}
	if _, err := notify.ParseQuiet(cfg.Quiet.From, cfg.Quiet.To, cfg.Quiet.Zone); err != nil {
		d.bad("channels", err.Error())
	}
	d.database(ctx, cfg, channels)
	for i, n := range cfg.Notify {
		if n.URL != "" {
			d.bad("channels", fmt.Sprintf("notify[%d] has its URL, which is a secret, in the configuration file: use url_env or url_file", i))
		}
	}
	if len(cfg.Notify) == 0 && cfg.Inbox.Push == "" {
		d.note("channels", "none: a held call waits until somebody looks at the inbox; add some under notify")
	}
	d.login(ctx, cfg)
	d.signals(ctx, cfg)
}

// documents returns those that could be read.
func (d *doctor) documents(ctx context.Context, cfg config) []*openapi.API {
	docs, err := loadDocs(ctx, cfg)
	if err != nil {
		d.bad("documents", err.Error())
		return nil
	}
	for i, doc := range docs {
		if doc.BaseURL == "" {
			d.bad("documents", cfg.APIs[i].Spec+" names no absolute server: set base_url")
			continue
		}
		d.ok("documents", fmt.Sprintf("%s: %d operations to %s", doc.Name, len(doc.Operations), doc.BaseURL))
		if hint := hintUnknownTokens(cfg.APIs[i], doc); hint != "" {
			d.note("credentials", hint)
		}
		if u, err := url.Parse(doc.BaseURL); err == nil && u.Scheme == "http" && !loopbackHost(u.Hostname()) {
			d.note("documents", doc.Name+" is called without TLS: who can listen on the way reads its calls and credentials")
		}
	}
	engine, err := newEngine(cfg, docs)
	if err != nil {
		d.bad("policies", err.Error())
		return docs
	}
	if len(cfg.Policy) == 0 {
		d.note("policies", "the built-in default: every read is allowed, also of what is confidential")
	} else {
		d.ok("policies", fmt.Sprintf("%d policies", engine.Policies()))
	}
	for _, w := range engine.Warnings() {
		d.note("policies", w)
	}
	for _, t := range engine.Touches() {
		d.ok("policies", t.ID+" decides about "+touched(t))
	}
	if hidden := hiddenTools(engine, docs, principal(cfg)); len(hidden) > 0 {
		d.note("policies", fmt.Sprintf("no agent of %s is shown %s: nothing permits them; exeat policy explain says why", cfg.User, someOf(hidden)))
	}
	return docs
}

// hiddenTools are the tools that the policies never let a principal call.
func hiddenTools(engine *authz.Engine, docs []*openapi.API, who authz.Principal) []string {
	var hidden []string
	for _, doc := range docs {
		for _, op := range doc.Operations {
			if !engine.Visible(doc.Name, op.Name, who, authz.Agent{ID: "doctor"}, authz.Session{ID: "doctor", Transport: "stdio"}, now()) {
				hidden = append(hidden, op.Name)
			}
		}
	}
	return hidden
}

func (d *doctor) credentials(cfg config, docs []*openapi.API) {
	for i, a := range cfg.APIs {
		if len(a.Credentials) == 0 {
			d.credential(cfg, a.Spec, a.single())
		}
		for _, scheme := range slices.Sorted(maps.Keys(a.Credentials)) {
			d.credential(cfg, a.Spec+": "+scheme, a.Credentials[scheme])
		}
		for i, f := range a.CredentialFor {
			if len(f.Credentials) == 0 {
				d.credential(cfg, fmt.Sprintf("%s: credential_for[%d]", a.Spec, i), apiConfig{Credential: f.Credential}.single())
			}
			for _, scheme := range slices.Sorted(maps.Keys(f.Credentials)) {
				d.credential(cfg, fmt.Sprintf("%s: credential_for[%d]: %s", a.Spec, i, scheme), f.Credentials[scheme])
			}
		}
		if i >= len(docs) {
			d.note("credentials", a.Spec+": whether they fit was not checked, since a document cannot be read")
			continue
		}
		cfg.accounts = account.NewBook()
		attacher, err := a.attacher(cfg, docs[i], nil)
		if err != nil {
			d.bad("credentials", a.Spec+": "+err.Error())
		}
		d.way(cfg, a, docs[i])
		d.headers(a)
		for _, p := range cfg.accounts.Providers() {
			d.ok("credentials", fmt.Sprintf("%s: people connect their accounts at %s, which must know the redirect URI %s", p.API, p.Host(), p.RedirectURI(inboxURL(cfg.Inbox, nil))))
		}
		for _, gap := range a.gaps(docs[i], attacher) {
			d.note("credentials", gap)
		}
	}
	for _, n := range cfg.Notify {
		for _, file := range []string{n.URLFile, n.SecretFile} {
			if file != "" {
				d.private("channels", file)
			}
		}
	}
}

// credential says what one credential protects.
func (d *doctor) credential(cfg config, of string, c credentialConfig) {
	if c.ofCaller() && len(cfg.OAuth.Issuers) == 0 {
		d.bad("credentials", of+": it is made of the access token that the caller came with, and oauth.issuers names nobody who gives callers any: every call would end with credential_failed (docs/identity.md)")
	}
	if c.File != "" {
		d.private("credentials", c.File)
	}
	d.tlsFiles(of, c.tlsFiles())
	switch s, err := strategyOf(c.Strategy); {
	case err != nil: // which is said once it is tried to be made
	case s.safe:
		d.ok("credentials", of+": "+s.means)
	default:
		d.note("credentials", of+": "+s.means)
	}
}

// private checks that others of this machine cannot read a file or folder.
func (d *doctor) private(what, path string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		d.bad(what, err.Error())
	case info.Mode().Perm()&0o077 != 0:
		d.bad(what, fmt.Sprintf("%s can be read by others (mode %04o): run chmod go= %s", path, info.Mode().Perm(), path))
	}
}

func (d *doctor) keys(cfg config) {
	if _, err := os.Stat(filepath.Join(cfg.Keys, "keys.json")); errors.Is(err, fs.ErrNotExist) {
		d.note("keys", "none yet in "+cfg.Keys+"; the first use makes them")
		return
	}
	before := d.wrong
	err := filepath.WalkDir(cfg.Keys, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			d.private("keys", path)
		}
		return err
	})
	if err != nil {
		d.bad("keys", err.Error())
	}
	if d.wrong > before {
		return
	}
	keys, err := token.OpenKeys(cfg.Keys, cfg.KeyAlg)
	if err != nil {
		d.bad("keys", err.Error())
		return
	}
	list, err := keys.List()
	if err != nil {
		d.bad("keys", err.Error())
		return
	}
	d.ok("keys", fmt.Sprintf("%d in %s, only for you", len(list), cfg.Keys))
}

func (d *doctor) database(ctx context.Context, cfg config, channels []*notify.Channel) {
	if _, err := os.Stat(cfg.DB); errors.Is(err, fs.ErrNotExist) {
		d.note("database", "none yet at "+cfg.DB+"; the first use makes it")
		return
	}
	s, err := openStore(ctx, cfg.DB, d.w)
	if err != nil {
		d.bad("database", err.Error())
		return
	}
	defer s.Close()
	head, err := s.Verify(ctx)
	if err == nil {
		err = checkKnown(ctx, cfg.Keys, cfg.DB, s)
	}
	if err != nil {
		d.bad("database", err.Error())
	} else {
		d.ok("database", fmt.Sprintf("%s: the chain of %d entries holds", cfg.DB, head.Seq))
	}
	if err := d.looseCalls(ctx, s); err != nil {
		d.bad("database", err.Error())
	}
	list, err := notify.Health(ctx, s, channels)
	if err != nil {
		d.bad("channels", err.Error())
	}
	for _, h := range list {
		switch {
		case h.Problem != "":
			d.bad("channels", fmt.Sprintf("%s %s; %d messages wait, %d were given up", h.Name, h.Problem, h.Waiting, h.Failed))
		case h.Sent.IsZero():
			d.note("channels", h.Name+" was never used: run exeat notify test")
		default:
			d.ok("channels", h.Name+" took its last message")
		}
	}
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// login says what the inbox's login does not protect against.
func (d *doctor) login(ctx context.Context, cfg config) {
	if o := cfg.Inbox.OIDC; o != nil {
		d.provider(ctx, cfg, *o)
	}
	if cfg.Inbox.OIDC == nil || cfg.Inbox.OIDC.Local {
		link := "logs in whoever has the link from exeat's terminal or log, as " + cfg.User + ": it does not keep out an agent that has a shell as the same user of this machine"
		if d.keyed(ctx, cfg) {
			link += "; what such a login can do is look, deny and revoke: " + cfg.User + " has a passkey, and approves only with it"
		} else {
			link += "; a passkey does (docs/passkeys.md), as far as approvals go"
		}
		d.note("inbox", link)
	}
	if cfg.Inbox.Push != "" {
		d.note("inbox", "push services of browser makers see when a call waits, and for which browser, not what it is")
	}
}

// provider checks the OpenID provider that people log in with, by asking it.
func (d *doctor) provider(ctx context.Context, cfg config, c oidcConfig) {
	o, err := c.login(inboxURL(cfg.Inbox, nil), nil)
	if err == nil {
		err = o.Discover(ctx)
	}
	if err != nil {
		d.bad("inbox", err.Error())
		return
	}
	if c.ClientSecretFile != "" {
		d.private("inbox", c.ClientSecretFile)
	}
	d.ok("inbox", fmt.Sprintf("people log in with %s, which must know the redirect URI %s", c.Issuer, o.RedirectURL()))
}

// keyed reports whether the local user has a passkey.
func (d *doctor) keyed(ctx context.Context, cfg config) bool {
	if _, err := os.Stat(cfg.DB); err != nil {
		return false
	}
	s, err := store.Open(ctx, cfg.DB)
	if err != nil {
		return false // said above
	}
	defer s.Close()
	found := false
	err = s.View(ctx, func(tx *store.Tx) error {
		keys, err := tx.Passkeys("User::" + cfg.User)
		found = slices.ContainsFunc(keys, func(k store.Passkey) bool { return k.Revoked.IsZero() })
		return err
	})
	return err == nil && found
}
