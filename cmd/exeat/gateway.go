package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/account"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/devissuer"
	"github.com/exeat/exeat/authz/inbox"
	"github.com/exeat/exeat/authz/notify"
	"github.com/exeat/exeat/authz/signals"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/mcpserver/edge"
	"github.com/exeat/exeat/mcpserver/oauth"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/openapi/reach"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools"
)

// gateway is everything that takes calls, wired up.
type gateway struct {
	cfg     config
	log     zerolog.Logger
	lines   *joinLines // where it goes
	docs    []*openapi.API
	gaps    []string // what credentials lack
	dialer  *reach.Dialer
	engine  *authz.Engine
	keys    *token.Keys
	store   *store.Store
	holds   *approval.Service
	door    *approval.Doorkeeper // says who may decide; the inbox has it, what takes calls has not
	inbox   *inbox.Inbox
	runner  *tools.Runner
	oauth   *oauth.Server     // nil if no issuer is configured
	issuer  *devissuer.Issuer // nil if this process is none
	notify  *notify.Notifier
	signals *signals.Receiver // nil if none are heard
	mcpL    net.Listener      // nil if this process does not serve MCP over HTTP
	inboxL  net.Listener      // nil if this process has no inbox

	mcpEdge, inboxEdge *edge.Edge // how they are reached
}

// newGateway is one that can log, and no more.
func newGateway(cfg config, errOut io.Writer) *gateway {
	g := &gateway{cfg: cfg, lines: &joinLines{next: errOut}}
	g.log = newLogger(cfg.Log, g.lines)
	g.cfg.trouble = g.troubled("TLS")
	return g
}

// openGateway wires everything up. What the input can get wrong is checked
// before anything is made on disk or a port is taken.
func openGateway(ctx context.Context, cfg config, errOut io.Writer, want doors) (_ *gateway, err error) {
	g := newGateway(cfg, errOut)
	if g.docs, err = loadDocs(ctx, cfg); err != nil {
		return nil, err
	}
	for i, d := range g.docs {
		if d.BaseURL == "" {
			return nil, fmt.Errorf("%s names no absolute server, so its calls have nowhere to go: pass --base-url https://…", cfg.APIs[i].Spec)
		}
	}
	if g.engine, err = newEngine(cfg, g.docs); err != nil {
		return nil, err
	}
	if g.dialer, err = newDialer(cfg, g.docs); err != nil {
		return nil, err
	}
	channels, err := notifyChannels(cfg)
	if err != nil {
		return nil, err
	}
	if err = g.findSecrets(); err != nil {
		return nil, err
	}
	if err = g.openEdges(want); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if err = g.open(want); err != nil {
		return nil, err
	}
	cfg = g.cfg
	if g.keys, err = token.OpenKeys(cfg.Keys, cfg.KeyAlg); err != nil {
		return nil, err
	}
	apis, err := g.serveAPIs(g.keys)
	if err != nil {
		return nil, err
	}
	for i, api := range apis {
		g.gaps = append(g.gaps, cfg.APIs[i].gaps(api.Document, api.Credentials)...)
	}
	if g.store, err = openStore(ctx, cfg.DB, errOut); err != nil {
		return nil, err
	}
	if err = g.openHolds(ctx, channels, errOut); err != nil {
		return nil, err
	}
	if err = g.newOAuth(); err != nil {
		return nil, err
	}
	g.runner, err = tools.New(tools.Config{APIs: apis, Engine: g.engine, Store: g.store, Holds: g.holds, HoldURL: g.inbox.HoldURL,
		ResponseLimit: cfg.ResponseLimit, Offer: cfg.offer(), Dial: g.dialer.DialContext, Timeout: cfg.Timeout, Observe: g.observe,
		Current: g.current})
	return g, err
}

// lacks says what has to be done before a held call can have its credential.
func (g *gateway) lacks(ctx context.Context, h store.Hold) (string, error) {
	if g.runner == nil {
		return "", errors.New("exeat has not started yet")
	}
	return g.runner.Lacks(ctx, h)
}

// findSecrets reports secrets that are missing.
func (g *gateway) findSecrets() error {
	_, err := g.serveAPIs(nil)
	if err == nil {
		_, err = g.cfg.signalIssuers(nil)
	}
	return err
}

// serveAPIs chooses how the calls of each document get their credentials.
func (g *gateway) serveAPIs(keys *token.Keys) (apis []*tools.API, err error) {
	g.cfg.accounts = account.NewBook()
	for i, d := range g.docs {
		api, err := serveAPI(g.cfg, g.cfg.APIs[i], d, keys)
		if err == nil {
			if api.Way, err = g.cfg.APIs[i].way(g.cfg, d, g.dialer, g.troubled("TLS")); err != nil {
				err = fmt.Errorf("%s: %w", d.Name, err)
			}
		}
		if err != nil {
			return nil, err
		}
		apis = append(apis, api)
	}
	return apis, nil
}

// openHolds makes what holds calls, tells people of them and lets them decide.
func (g *gateway) openHolds(ctx context.Context, channels []*notify.Channel, errOut io.Writer) error {
	cfg, url := g.cfg, inboxURL(g.cfg.Inbox, g.inboxL)
	key, err := g.keys.Secret("approvals")
	if err != nil {
		return err
	}
	push, err := newPush(cfg, g.keys)
	if err != nil {
		return err
	}
	var names []string
	for _, c := range channels {
		names = append(names, c.Name)
	}
	g.door = new(approval.Doorkeeper)
	if g.holds, err = openKept(ctx, cfg.Keys, cfg.DB, approval.Config{Door: g.door, Store: g.store, Engine: g.engine, Key: key, Notify: names, Push: push != nil, Now: cfg.now, Lacks: g.lacks,
		TTL: cfg.Holds.TTL, ApprovedFor: cfg.Holds.ApprovedFor, MaxOpen: cfg.Holds.MaxOpen, Fatigue: cfg.Inbox.Fatigue.fatigue(), Current: g.current}, g.troubled("audit log")); err != nil {
		return err
	}
	if err = g.openAccounts(); err != nil {
		return err
	}
	if g.notify, err = g.newNotifier(channels, push, url); err != nil {
		return err
	}
	provider, err := g.newOIDC(ctx, url, errOut)
	if err != nil {
		return err
	}
	if err = g.newIssuer(url); err != nil {
		return err
	}
	g.inbox, err = inbox.New(inbox.Config{Accounts: cfg.accounts, Holds: g.holds, Door: g.door, Store: g.store, Issuer: g.issuer, Person: principal(cfg), URL: url, State: stateLabel(cfg), OIDC: provider, Push: push, Notifier: g.notify,
		People: people(cfg), Announce: func(person, link string) {
			fmt.Fprintf(errOut, "exeat: log in once, as %s, with %s\n", printable(person), link)
		},
		Trouble: g.troubled("inbox")})
	if err != nil {
		return err
	}
	return g.openSignals()
}

// troubled logs what goes wrong where nobody waits for it.
func (g *gateway) troubled(where string) func(error) {
	return func(err error) { g.log.Error().Err(err).Msg(where) }
}

// stateLabel tells the inbox from others of the same user, if there is anything
// to tell.
func stateLabel(cfg config) string {
	if name := filepath.Base(cfg.DB); cfg.State == "" && name != "exeat.db" {
		return name
	}
	return cfg.State
}

// principal is who calls where no login says it.
func principal(cfg config) authz.Principal {
	return authz.Principal{Type: "User", ID: cfg.User, Groups: cfg.Groups, Email: cfg.Email}
}

// people are those who can log in to the inbox by a link, besides the user.
func people(cfg config) (list []authz.Principal) {
	for _, p := range cfg.People {
		list = append(list, authz.Principal{Type: "User", ID: p.Name, Groups: p.Groups, Email: p.Email})
	}
	return list
}

func (g *gateway) close() error {
	defer g.lines.close()
	for _, l := range []net.Listener{g.mcpL, g.inboxL} {
		if l != nil {
			l.Close()
		}
	}
	if g.runner != nil {
		g.runner.Wait()
	}
	if g.store == nil {
		return nil
	}
	if g.holds != nil {
		if err := g.rememberHead(context.Background()); err != nil {
			g.troubled("audit log")(err)
		}
	}
	return g.store.Close()
}

// run serves the inbox, if there is one, and releases approved calls while
// serve runs; when serve returns, all of it ends.
func (g *gateway) run(ctx context.Context, serve func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.runner.Run(ctx) })
	group.Go(func() error { return g.notify.Run(ctx) })
	if g.signals != nil {
		group.Go(func() error { return g.signals.Run(ctx) })
	}
	group.Go(func() error { g.rememberHeads(ctx); return nil })
	group.Go(func() error { roomForCalls(); return nil })
	if g.inboxL != nil {
		group.Go(func() error { return g.serveInbox(ctx) })
	}
	group.Go(func() error {
		defer cancel()
		return serve(ctx)
	})
	return group.Wait()
}
