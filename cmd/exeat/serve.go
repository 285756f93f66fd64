package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/mcpserver"
)

func stdioCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "stdio SPEC...",
		Short: "Serve documents over stdio, for a host that starts exeat itself",
		Long: `Serve OpenAPI documents as MCP tools on stdin and stdout.

SPEC is a file, a folder or an https URL. Put this command into the host's
configuration; log lines and the person's login link go to stderr, which hosts
keep in a log file. If that is out of the way, run "exeat inbox" in a terminal.`,
		Example: `  exeat stdio petstore.yaml
  exeat stdio --policy policies/ --include 'tag:pets' petstore.yaml
  exeat stdio --config exeat.yaml`,
		RunE: func(cmd *cobra.Command, specs []string) error {
			return f.serve(cmd, specs, doors{inbox: true}, func(ctx context.Context, g *gateway) error {
				s, err := g.mcp()
				if err != nil {
					return err
				}
				return s.ServeStdio(ctx, cmd.InOrStdin(), cmd.OutOrStdout())
			})
		},
	}
	f.documents(cmd)
	f.offer(cmd)
	f.policies(cmd)
	f.state(cmd)
	f.profiles(cmd)
	cmd.Flags().StringVar(&f.inboxListen, "inbox-listen", "", "serve the inbox on `ADDR` (default: 127.0.0.1:8421, or a free port)")
	return cmd
}

// serve opens the gateway of the flags, with its inbox, and runs it until work
// ends.
func (f *flags) serve(cmd *cobra.Command, specs []string, open doors, work func(context.Context, *gateway) error) error {
	cfg, err := f.config(specs)
	if err != nil {
		return err
	}
	g, err := openGateway(cmd.Context(), cfg, cmd.ErrOrStderr(), open)
	if err != nil {
		return err
	}
	defer g.close()
	defer ignoreHangup(g.log)()
	g.announce(cmd.ErrOrStderr())
	return g.run(cmd.Context(), func(ctx context.Context) error {
		if err := serveProfiles(ctx, f.pprof, g.log); err != nil {
			return err
		}
		return work(ctx, g)
	})
}

func httpCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "http SPEC...",
		Short: "Serve documents over streamable HTTP",
		Long: `Serve OpenAPI documents as MCP tools over streamable HTTP: on loopback, or with
TLS of its own or behind a proxy anywhere else, as the configuration says.
Whether it lives and is ready is told at /healthz and /readyz.

Clients need a bearer token, which "exeat keys bearer" prints; it stays
the same until "exeat keys bearer --rotate". Others get tokens of their own: by
"exeat tokens", or from an authorization server (oauth in the configuration; see
docs/identity.md). The public keys for checking exeat's tokens are at
/.well-known/jwks.json.`,
		Example: `  exeat http petstore.yaml
  exeat http --listen 127.0.0.1:9000 --policy policies/ petstore.yaml
  exeat http --config exeat.yaml`,
		RunE: func(cmd *cobra.Command, specs []string) error {
			return f.serve(cmd, specs, doors{mcp: true, inbox: true}, func(ctx context.Context, g *gateway) error {
				handler, _, err := g.http(ctx)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "exeat: MCP at %s %s\n", g.mcpEdge.URL().Join("/mcp"), g.whoMayCall())
				return g.serveMCP(ctx, handler)
			})
		},
	}
	f.documents(cmd)
	f.offer(cmd)
	f.policies(cmd)
	f.state(cmd)
	f.profiles(cmd)
	cmd.Flags().StringVar(&f.listen, "listen", "", "serve MCP on `ADDR` (default: 127.0.0.1:8420)")
	cmd.Flags().StringVar(&f.inboxListen, "inbox-listen", "", "serve the inbox on `ADDR` (default: 127.0.0.1:8421, or a free port)")
	return cmd
}

// mcp is the gateway's MCP server.
func (g *gateway) mcp() (*mcpserver.Server, error) {
	return mcpserver.New(mcpserver.Config{
		Runner:  g.runner,
		Version: version(),
		Local:   principal(g.cfg),
		Limits:  mcpserver.Limits{PerSecond: g.cfg.Limits.PerSecond, Concurrent: g.cfg.Limits.Concurrent},
		Mode:    mcpserver.Mode(g.cfg.Mode),
		Pinned:  g.cfg.Pin,
		OnPanic: func(tool string, value any) {
			g.log.Error().Str("tool", tool).Interface("panic", value).Stack().Msg("panic")
		},
	})
}

// http is the MCP endpoint of cfg.Listen, which serves until ctx ends, and the
// bearer token it asks for.
func (g *gateway) http(ctx context.Context) (http.Handler, string, error) {
	token, err := g.keys.Secret("bearer")
	if err != nil {
		return nil, "", err
	}
	sessions, err := g.keys.Secret("sessions")
	if err != nil {
		return nil, "", err
	}
	s, err := g.mcp()
	if err != nil {
		return nil, "", err
	}
	return s.Handler(ctx, mcpserver.HTTPConfig{
		Auth:       g.authenticator(),
		SessionKey: sessions,
		JWKS:       func() ([]byte, error) { return g.keys.JWKS(g.runner.Now()) },
		Open:       g.openPaths(),
		Challenge:  g.challenge(),
	}), bearerText(token), nil
}

func inboxCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "inbox SPEC...",
		Short: "Open the inbox in this terminal and release what is approved",
		Long: `Serve only the inbox, on the same database as other exeat processes, and print
a login link in this terminal. Approved calls are sent by whichever process
serves their document, this one included: give it the same SPEC and policies.`,
		Example: `  exeat inbox petstore.yaml
  exeat inbox --config exeat.yaml --inbox-listen 127.0.0.1:8500`,
		RunE: func(cmd *cobra.Command, specs []string) error {
			return f.serve(cmd, specs, doors{inbox: true}, func(ctx context.Context, _ *gateway) error {
				<-ctx.Done()
				return nil
			})
		},
	}
	f.documents(cmd)
	f.policies(cmd)
	f.state(cmd)
	f.profiles(cmd)
	cmd.Flags().StringVar(&f.inboxListen, "inbox-listen", "", "serve the inbox on `ADDR` (default: 127.0.0.1:8421, or a free port)")
	return cmd
}
