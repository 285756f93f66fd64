package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/mcpserver/edge"
	"github.com/exeat/exeat/store"
)

// guardOptions are the guard's flags.
type guardOptions struct {
	upstream, jwks, issuer, audience, listen, db string
	inject, injectFile, injectHeader             string
	requireApproval                              bool
	bodyLimit                                    int64
	bodies                                       string
	streams, effects                             []string
	streamLife                                   time.Duration
	api                                          tlsFiles
	logFormat                                    string
	tls                                          tlsConfig
	proxies                                      []string
	check                                        checkOptions
	sender                                       senderOptions
}

func guardCmd() *cobra.Command {
	var o guardOptions
	cmd := &cobra.Command{
		Use:   "guard --jwks URL|FILE --upstream URL | --check ADDR",
		Short: "Stand in front of an API and let through only requests with a token made for exactly them",
		Long: `A reverse proxy for an API that cannot check exeat's tokens itself. It verifies
the token, checks that method, target and body are the ones signed, spends the
token, takes it off, and adds the API's own key, which then never has to be
where agents are. Refusals are problem+json (RFC 9457).

With --check it answers nginx, HAProxy, Envoy and other proxies that ask before they
pass a request on: alone, or beside --upstream with the same tokens, each good once.

It listens on loopback; anywhere else it needs a certificate, or a proxy with TLS
that is named, with an --audience that is https. /healthz and /readyz answer
requests that have no Authorization.

Over http it believes only keys that "exeat guard enroll" was given, and those
that they signed: anybody on this machine can take a port that is free.`,
		Example: `  exeat keys jwks | exeat guard enroll     # once: whose tokens to believe
  PETSTORE_KEY=… exeat guard --upstream http://127.0.0.1:9100 \
    --jwks http://127.0.0.1:8420/.well-known/jwks.json \
    --audience http://127.0.0.1:8430 --inject-env PETSTORE_KEY --require-approval`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringVar(&o.upstream, "upstream", "", "send what passes to the API at `URL`")
	fs.StringVar(&o.jwks, "jwks", "", "take exeat's public keys from `URL|FILE`")
	fs.StringVar(&o.issuer, "issuer", "", "accept tokens of the issuer `URL` (default: where --jwks points, without /.well-known/…)")
	fs.StringVar(&o.audience, "audience", "", "accept tokens for the resource `URL` (default: http:// or https:// and --listen)")
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8430", "listen on `ADDR`")
	fs.StringVar(&o.tls.Cert, "tls-cert", "", "speak TLS with the certificate in the PEM `FILE`, which is read again when it changes")
	fs.StringVar(&o.tls.Key, "tls-key", "", "take the certificate's key from the PEM `FILE`")
	fs.StringArrayVar(&o.proxies, "proxy", nil, "believe X-Forwarded-* of the proxy at `ADDR`, an address or a prefix, and beyond loopback without TLS take requests of no one else (repeatable)")
	fs.StringVar(&o.db, "db", "", "keep enrolled keys and spent tokens in the SQLite file `PATH` (default: ~/.local/state/exeat/guard.db)")
	fs.StringVar(&o.inject, "inject-env", "", "add the API's key from the environment variable `NAME`")
	fs.StringVar(&o.injectFile, "inject-file", "", "add the API's key from `FILE`")
	fs.StringVar(&o.injectHeader, "inject-as", "Authorization: Bearer", "put the key into `PLACE`: \"Header: prefix\", \"query:NAME\" or \"cookie:NAME\"")
	fs.BoolVar(&o.requireApproval, "require-approval", false, "refuse calls whose token does not say that a person approved exactly this request, unless it says that the call only reads")
	fs.StringSliceVar(&o.effects, "effects", nil, "refuse calls that were not decided to be one of `LIST`: read, write, delete (default: any)")
	fs.Int64Var(&o.bodyLimit, "body-limit", 0, "refuse request bodies of more than `BYTES` (default: 1 MiB)")
	fs.StringVar(&o.bodies, "bodies", "memory", "keep bodies of more than 1 MiB in `PLACE` until they are checked: memory or file; or stream, which sends them on as they come, and the end only if they are right")
	fs.StringSliceVar(&o.streams, "streams", []string{"sse"}, "pass on `LIST`, which go on after their request: sse, websocket, or none")
	fs.DurationVar(&o.streamLife, "stream-life", 15*time.Minute, "end each of them after `DURATION`")
	fs.StringVar(&o.api.ca, "upstream-ca", "", "believe the API if its certificate is of the authorities in the PEM `FILE`, and not if of the system's")
	fs.StringVar(&o.api.cert, "upstream-cert", "", "show the API the certificate in the PEM `FILE`")
	fs.StringVar(&o.api.key, "upstream-key", "", "take that certificate's key from the PEM `FILE`")
	fs.StringVar(&o.logFormat, "log", "console", "write the log on stderr as `FORMAT`: console or json")
	o.check.flags(cmd)
	o.sender.flags(cmd)
	cmd.MarkFlagRequired("jwks")
	cmd.AddCommand(guardEnrollCmd())
	return cmd
}

func (o *guardOptions) run(cmd *cobra.Command) error {
	if o.issuer == "" {
		before, _, ok := strings.Cut(o.jwks, "/.well-known/")
		if !ok {
			return errors.New("pass --issuer: it cannot be told from --jwks")
		}
		o.issuer = before
	}
	if err := o.checkBodies(); err != nil {
		return err
	}
	streams, err := o.passing()
	if err != nil {
		return err
	}
	if o.upstream == "" && o.check.addr == "" {
		return errors.New("pass --upstream, where requests are sent on to, or --check, where a proxy asks, or both")
	}
	if o.check.addr == "" && (!o.check.secret.isZero() || len(o.check.unseen) > 0) {
		return errors.New("--check-secret-env, --check-secret-file and --check-unseen-body are for --check, which says where a proxy asks")
	}
	inject, err := o.injection()
	if err != nil {
		return err
	}
	log := newLogger(o.logFormat, cmd.ErrOrStderr())
	reached, err := edge.New(o.edge(log))
	if err != nil {
		return err
	}
	state, err := openGuardStore(cmd, o.db)
	if err != nil {
		return err
	}
	defer state.Close()
	source, err := o.keySource(cmd.Context(), state)
	if err != nil {
		return err
	}
	lines := guardLog{log: log}
	g := &token.Guard{
		Verifier: &token.Verifier{Issuer: o.issuer, Keys: source, Spend: state.Spend,
			RequireApproval: o.requireApproval, Effects: o.effects, BodyLimit: o.bodyLimit},
		Bodies:     bodyPlaces[o.bodies],
		Streams:    streams,
		Upstream:   o.upstream,
		Inject:     inject,
		OnDecision: lines.decision, OnFailure: lines.failure,
	}
	defer ignoreHangup(log)()
	return o.serve(cmd, g, reached, log,
		edge.Check{Name: "database", Ready: func(ctx context.Context) error { _, _, err := state.Ends(ctx); return err }},
		edge.Check{Name: "keys", Ready: source.Ready})
}

// serve opens the doors of the guard, the one that requests go through and the one
// where a proxy asks, until the program is told to stop.
func (o *guardOptions) serve(cmd *cobra.Command, g *token.Guard, reached *edge.Edge, log zerolog.Logger, checks ...edge.Check) error {
	jobs, ctx := errgroup.WithContext(cmd.Context())
	var through, asked net.Listener
	var own string
	var err error
	if o.upstream != "" {
		if through, err = o.bind(reached); err != nil {
			return err
		}
		defer through.Close()
		own = reached.URL().String()
		if o.audience == "" {
			o.audience = own
		}
	}
	if o.audience == "" {
		return errors.New("pass --audience: with --check alone it cannot be told for which API the tokens are")
	}
	g.Verifier.Audience = o.audience
	if err := o.sender.apply(g.Verifier, own); err != nil {
		return err
	}
	if o.check.addr != "" {
		h, err := o.check.handler(g)
		if err != nil {
			return err
		}
		if asked, err = o.check.listen(); err != nil {
			return err
		}
		defer asked.Close()
		fmt.Fprintf(cmd.ErrOrStderr(), "exeat: guard answers checks at %s; tokens of %s for %s\n", o.check.at(asked), o.issuer, o.audience)
		jobs.Go(func() error { return serveHTTP(ctx, asked, h, log) })
	}
	if through != nil {
		if g.Way.TLS, err = o.apiTLS(log); err != nil {
			return err
		}
		h, err := g.Handler()
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "exeat: guard for %s at %s://%s; tokens of %s for %s\n", o.upstream, o.tls.scheme(), through.Addr(), o.issuer, o.audience)
		jobs.Go(func() error { return serveWith(ctx, through, newHTTPServer(reached.Handler(h, checks...), log)) })
	}
	return jobs.Wait()
}

// edge is how the guard is reached: by its audience, where that is a URL that
// clients can call.
func (o *guardOptions) edge(log zerolog.Logger) edge.Config {
	c := edge.Config{Listen: o.listen, TLS: edge.Files(o.tls), Proxies: o.proxies, OwnNames: true, Foreign: true, HTTP2: true,
		Trouble: func(err error) { log.Error().Err(err).Msg("edge") },
		Name: func(key string) string {
			if key == "public_url" {
				return "--audience"
			}
			return "--" + strings.ReplaceAll(strings.Replace(key, "proxies", "proxy", 1), ".", "-")
		}}
	if u, err := edge.ParsePublicURL(o.audience); err == nil && u.Secure() {
		c.PublicURL = u.Origin()
	}
	return c
}

// bind takes the guard's port, or the socket that there is for it already.
func (o *guardOptions) bind(e *edge.Edge) (net.Listener, error) {
	sockets, err := edge.Sockets("guard")
	if err != nil {
		return nil, err
	}
	l := sockets["guard"]
	if l == nil {
		if l, err = listen(o.listen); err != nil {
			return nil, err
		}
	}
	return e.Bind(l, nil)
}

// keySource is where the guard has keys from: a place that vouches for them, or
// an address where only enrolled keys do.
func (o *guardOptions) keySource(ctx context.Context, state *store.Store) (*token.KeySource, error) {
	if !strings.HasPrefix(strings.ToLower(o.jwks), "http://") {
		return token.NewKeySource(o.jwks)
	}
	source, err := token.NewPinnedSource(ctx, o.jwks, issuerPins(state, o.issuer))
	if errors.Is(err, token.ErrNotEnrolled) {
		return nil, fmt.Errorf(`%w of %s: whoever takes that port could answer with keys of their own, so this guard believes only keys that it was given, and those that they sign. Give them once:

  %s

the part before | as the user that runs exeat, the other as the one that runs this guard`, token.ErrNotEnrolled, o.issuer, enrollLine(o.issuer, o.db))
	}
	return source, err
}

// ctxErr is nil if the program was told to stop.
func ctxErr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
