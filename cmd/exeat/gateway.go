package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/inbox"
	"github.com/exeat/exeat/authz/notify"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/openapi/reach"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools"
)

// gateway is everything that takes calls, wired up.
type gateway struct {
	cfg    config
	log    zerolog.Logger
	docs   []*openapi.API
	gaps   []string // what credentials lack
	engine *authz.Engine
	keys   *token.Keys
	store  *store.Store
	holds  *approval.Service
	inbox  *inbox.Inbox
	runner *tools.Runner
	notify *notify.Notifier
	mcpL   net.Listener // nil if this process does not serve MCP over HTTP
	inboxL net.Listener // nil if this process has no inbox
}

// loadDocs reads every document of the configuration.
func loadDocs(ctx context.Context, cfg config) ([]*openapi.API, error) {
	if len(cfg.APIs) == 0 {
		return nil, errors.New("no document given: name an OpenAPI file, folder or https URL, or pass --config exeat.yaml")
	}
	cache := "" // without a state folder, nothing is kept
	if dir, err := statePath(); err == nil {
		cache = filepath.Join(dir, "documents")
	}
	var docs []*openapi.API
	byName := map[string]string{}
	for _, a := range cfg.APIs {
		effects := map[string]openapi.Effect{}
		for op, e := range a.Effects {
			switch e := openapi.Effect(e); e {
			case openapi.Read, openapi.Write, openapi.Delete:
				effects[op] = e
			default:
				return nil, fmt.Errorf("effects: %s is %q; it can be read, write or delete", op, e)
			}
		}
		doc, err := openapi.Load(ctx, a.Spec, openapi.Options{Name: a.Name, BaseURL: a.BaseURL,
			Include: a.Include, Exclude: a.Exclude, Rename: a.Rename, Effects: effects, ContentTypes: a.ContentTypes, Overlays: a.Overlays, SHA256: a.SHA256, Refs: a.Refs, Cache: cache})
		if err != nil {
			return nil, err
		}
		if other, ok := byName[doc.Name]; ok {
			return nil, fmt.Errorf("%s and %s are both named %q: give one another name (name: in exeat.yaml)", other, a.Spec, doc.Name)
		}
		byName[doc.Name] = a.Spec
		docs = append(docs, doc)
	}
	return docs, nil
}

// newDialer says where in this network calls may go: to what the configuration
// names, and to what a document on this machine's disk writes out as an address
// of this machine or network.
func newDialer(cfg config, docs []*openapi.API) (*reach.Dialer, error) {
	named := slices.Clone(cfg.AllowPrivate)
	for i, d := range docs {
		a := cfg.APIs[i]
		local := !strings.Contains(a.Spec, "://")
		switch {
		case a.BaseURL != "":
			named = append(named, a.BaseURL)
		case !local:
			named = append(named, a.Spec)
		case reach.Inside(d.BaseURL):
			named = append(named, d.BaseURL)
		}
	}
	r, err := reach.New(net.Dialer{Timeout: 10 * time.Second}, named...)
	if err != nil {
		return nil, fmt.Errorf("allow_private: %w", err)
	}
	return r, nil
}

// loadPolicies reads Cedar files and the *.cedar files of folders.
func loadPolicies(paths []string) ([]authz.PolicyFile, error) {
	var files []authz.PolicyFile
	for _, p := range paths {
		names := []string{p}
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			names, err = filepath.Glob(filepath.Join(p, "*.cedar"))
			if err != nil || len(names) == 0 {
				return nil, fmt.Errorf("the policy folder %s holds no *.cedar file", p)
			}
			slices.Sort(names)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("read the policy: %w", err)
			}
			files = append(files, authz.PolicyFile{Name: name, Text: text})
		}
	}
	return files, nil
}

// newEngine compiles the policies over the documents.
func newEngine(cfg config, docs []*openapi.API) (*authz.Engine, error) {
	files, err := loadPolicies(cfg.Policy)
	if err != nil {
		return nil, err
	}
	var apis []authz.API
	for _, d := range docs {
		apis = append(apis, tools.PolicyAPI(d))
	}
	return authz.New(apis, files)
}

// doors are the listeners that a gateway opens.
type doors struct{ mcp, inbox bool }

// openGateway wires everything up. What the input can get wrong is checked
// before anything is made on disk or a port is taken.
func openGateway(ctx context.Context, cfg config, errOut io.Writer, open doors) (_ *gateway, err error) {
	g := &gateway{cfg: cfg, log: newLogger(cfg.Log, errOut)}
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
	dialer, err := newDialer(cfg, g.docs)
	if err != nil {
		return nil, err
	}
	channels, err := notifyChannels(cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if open.mcp {
		if g.mcpL, err = listen(cfg.Listen, false); err != nil {
			return nil, err
		}
		cfg.Listen = g.mcpL.Addr().String()
		g.cfg = cfg
	}
	if open.inbox {
		if g.inboxL, err = listenInbox(cfg.Inbox); err != nil {
			return nil, err
		}
	}
	if g.keys, err = token.OpenKeys(cfg.Keys, cfg.KeyAlg); err != nil {
		return nil, err
	}
	var apis []*tools.API
	for i, d := range g.docs {
		api, err := serveAPI(cfg, cfg.APIs[i], d, g.keys)
		if err != nil {
			return nil, err
		}
		apis = append(apis, api)
		g.gaps = append(g.gaps, gaps(d, api.Credentials)...)
	}
	if g.store, err = openStore(ctx, cfg.DB, errOut); err != nil {
		return nil, err
	}
	if err = g.people(ctx, channels, errOut); err != nil {
		return nil, err
	}
	g.runner, err = tools.New(tools.Config{APIs: apis, Engine: g.engine, Store: g.store, Holds: g.holds, HoldURL: g.inbox.HoldURL,
		ResponseLimit: cfg.ResponseLimit, Offer: cfg.offer(), Dial: dialer.DialContext, Timeout: cfg.Timeout, Observe: g.observe,
		Current: func(p authz.Principal) (authz.Principal, bool) {
			now := principal(cfg)
			return now, p.Type == now.Type && p.ID == now.ID
		}})
	return g, err
}

// people makes what holds calls, tells people of them and lets them decide.
func (g *gateway) people(ctx context.Context, channels []*notify.Channel, errOut io.Writer) error {
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
	if g.holds, err = approval.New(approval.Config{Store: g.store, Engine: g.engine, Key: key, Notify: names, Push: push != nil, Now: cfg.now,
		TTL: cfg.Holds.TTL, ApprovedFor: cfg.Holds.ApprovedFor, MaxOpen: cfg.Holds.MaxOpen, Fatigue: cfg.Inbox.Fatigue.fatigue()}); err != nil {
		return err
	}
	if g.notify, err = g.newNotifier(channels, push, url); err != nil {
		return err
	}
	provider, err := g.newOIDC(ctx, url, errOut)
	if err != nil {
		return err
	}
	g.inbox, err = inbox.New(inbox.Config{Holds: g.holds, Store: g.store, Person: principal(cfg), URL: url, OIDC: provider, Push: push, Notifier: g.notify,
		Announce: func(link string) { fmt.Fprintf(errOut, "exeat: log in once, as %s, with %s\n", cfg.User, link) },
		Trouble:  func(err error) { g.log.Error().Err(err).Msg("inbox") }})
	return err
}

// principal is who calls where no login says it.
func principal(cfg config) authz.Principal {
	return authz.Principal{Type: "User", ID: cfg.User, Groups: cfg.Groups, Email: cfg.Email}
}

func (g *gateway) close() error {
	for _, l := range []net.Listener{g.mcpL, g.inboxL} {
		if l != nil {
			l.Close()
		}
	}
	if g.store != nil {
		return g.store.Close()
	}
	return nil
}

// defaultInbox is the inbox's address where none is given; if it is taken, a
// free port serves as well.
const defaultInbox = "127.0.0.1:8421"

func listenInbox(c inboxConfig) (net.Listener, error) {
	if c.Listen != "" {
		return listen(c.Listen, strings.HasPrefix(c.URL, "https://"))
	}
	if l, err := listen(defaultInbox, false); err == nil {
		return l, nil
	}
	return listen("127.0.0.1:0", false)
}

// listen opens a TCP listener, on loopback addresses only unless a proxy that
// speaks TLS stands before it.
func listen(addr string, proxied bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%q is no address to listen on: write it as 127.0.0.1:8420", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && !proxied {
		return nil, fmt.Errorf("%s is not a loopback address: without TLS exeat listens on 127.0.0.1 or [::1] only", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %v; stop what uses the port or choose another (port 0 takes any)", addr, errors.Unwrap(err))
	}
	return l, nil
}

// inboxURL is the inbox's origin for people.
func inboxURL(c inboxConfig, l net.Listener) string {
	switch {
	case c.URL != "":
		return strings.TrimSuffix(c.URL, "/")
	case l != nil:
		return "http://" + l.Addr().String()
	case c.Listen != "":
		return "http://" + c.Listen
	}
	return "http://" + defaultInbox
}

// serveHTTP serves h on l until ctx ends, then lets requests finish for a while.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return base },
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog:          nil,
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		// Streams that never end by themselves end with their context.
		time.AfterFunc(5*time.Second, cancel)
		err := srv.Shutdown(grace)
		if err != nil {
			err = srv.Close()
		}
		stopped <- err
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// run serves the inbox, if there is one, and releases approved calls while
// serve runs; when serve returns, all of it ends.
func (g *gateway) run(ctx context.Context, serve func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.runner.Run(ctx) })
	group.Go(func() error { return g.notify.Run(ctx) })
	group.Go(func() error { g.rememberHeads(ctx); return nil })
	if g.inboxL != nil {
		group.Go(func() error { return serveHTTP(ctx, g.inboxL, g.inbox.Handler(ctx)) })
	}
	group.Go(func() error {
		defer cancel()
		return serve(ctx)
	})
	return group.Wait()
}

// rememberHeads notes how long the log is: now, every minute, and when ctx ends.
func (g *gateway) rememberHeads(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := rememberHead(context.WithoutCancel(ctx), g.cfg.Keys, g.cfg.DB, g.store, false); err != nil {
			g.log.Error().Err(err).Msg("audit log")
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// announce tells the terminal what is served and how the person logs in.
func (g *gateway) announce(w io.Writer) {
	for i, d := range g.docs {
		var read, left int
		for _, op := range d.Operations {
			if op.Effect == openapi.Read {
				read++
			}
		}
		for _, f := range d.Findings {
			if f.LeftOut {
				left++
			}
		}
		fmt.Fprintf(w, "exeat: %s: %d tools (%d read, %d write) to %s", d.Name, len(d.Operations), read, len(d.Operations)-read, d.BaseURL)
		if left > 0 {
			fmt.Fprintf(w, "; %d operations left out (exeat tools --lint says why)", left)
		}
		fmt.Fprintln(w)
		if hint := hintUnknownTokens(g.cfg.APIs[i], d); hint != "" {
			fmt.Fprintln(w, "exeat: warning:", hint)
		}
		for _, op := range d.Operations {
			if op.Effect == openapi.Read && !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "QUERY"}, op.Method) {
				fmt.Fprintf(w, "exeat: note: %s counts as a read although it is a %s: the document or the configuration says so\n", op.Name, op.Method)
			}
		}
	}
	if len(g.cfg.Policy) == 0 {
		fmt.Fprintln(w, "exeat: policy: the built-in default: reads are allowed, everything else waits for a person (--policy changes it)")
	} else {
		fmt.Fprintf(w, "exeat: policy: %s (%.12s)\n", strings.Join(g.cfg.Policy, ", "), g.engine.Digest())
	}
	for _, gap := range g.gaps {
		fmt.Fprintln(w, "exeat: warning:", gap)
	}
	for _, warning := range g.engine.Warnings() {
		fmt.Fprintln(w, "exeat: warning:", warning)
	}
	if g.inboxL != nil {
		fmt.Fprintf(w, "exeat: people decide at %s\n", g.inbox.URL())
		fmt.Fprintf(w, "exeat: %s\n", g.wayIn())
	}
}
