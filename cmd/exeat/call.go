package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/tools"
)

func now() time.Time { return time.Now() }

func callCmd() *cobra.Command {
	var f flags
	var dryRun, wait bool
	cmd := &cobra.Command{
		Use:   "call SPEC TOOL ARGS-JSON",
		Short: "Make one call from the terminal, the same way as an agent's",
		Long: `Make one call the same way as an agent's: checked, decided, recorded and sent
with a credential of its own. The answer is what the agent would get.

A call that needs a person is held: with --wait this command opens the inbox and
waits for the decision, without it the call stays in the database for another
exeat process that serves the same document.

The exit code is 0 for an answer or a held call, 1 for anything else.`,
		Example: `  exeat call petstore.yaml get_pet '{"petId": 1}'
  exeat call --dry-run petstore.yaml delete_pet '{"petId": 1}'
  exeat call --wait petstore.yaml delete_pet '{"petId": 1}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			specs, rest, err := f.specThen(args, "TOOL", "ARGS-JSON")
			if err != nil {
				return err
			}
			cfg, err := f.config(specs)
			if err != nil {
				return err
			}
			if dryRun {
				return dry(cmd, cfg, rest[0], rest[1])
			}
			g, err := openGateway(cmd.Context(), cfg, cmd.ErrOrStderr(), doors{inbox: wait})
			if err != nil {
				return err
			}
			defer g.close()
			return g.callOnce(cmd, rest[0], rest[1], wait)
		},
	}
	f.documents(cmd)
	f.policies(cmd)
	f.state(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the exact request, its digest and the decision; send and record nothing")
	cmd.Flags().BoolVar(&wait, "wait", false, "if the call is held, open the inbox and wait for the decision")
	cmd.Flags().StringVar(&f.inboxListen, "inbox-listen", "", "with --wait: serve the inbox on `ADDR`")
	return cmd
}

// terminal is the caller behind `exeat call`.
func terminal(cfg config) tools.Caller {
	return tools.Caller{Principal: principal(cfg), Agent: authz.Agent{ID: "exeat-call"}, Session: authz.Session{ID: "terminal", Transport: "stdio"}}
}

func (g *gateway) callOnce(cmd *cobra.Command, name, args string, wait bool) error {
	if _, err := findTool(g.runner.Tools(), name); err != nil {
		return err
	}
	ctx := cmd.Context()
	res := g.runner.Call(ctx, terminal(g.cfg), name, []byte(args))
	if res.Envelope.Status == tools.Pending && wait {
		fmt.Fprintf(cmd.ErrOrStderr(), "exeat: held; decide at %s\nexeat: %s\n", res.Envelope.ApprovalURL, g.wayIn())
		err := g.run(ctx, func(ctx context.Context) error {
			for res.Envelope.Status == tools.Pending && ctx.Err() == nil {
				res = g.runner.Resume(ctx, terminal(g.cfg), res.Envelope.Handle, tools.MaxWait, "")
			}
			return nil
		})
		if err != nil {
			return failed(err)
		}
	}
	if err := printEnvelope(cmd.OutOrStdout(), res); err != nil {
		return err
	}
	if res.IsError() {
		return exitError{code: 1}
	}
	return nil
}

func printEnvelope(w io.Writer, res tools.Result) error {
	return printJSON(w, json.RawMessage(res.JSON()))
}

// dry shows what a call would send, without a database or keys.
func dry(cmd *cobra.Command, cfg config, name, args string) error {
	docs, err := loadDocs(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	engine, err := newEngine(cfg, docs)
	if err != nil {
		return err
	}
	var apis []*tools.API
	for i, d := range docs {
		apis = append(apis, &tools.API{Document: d, Audience: cfg.APIs[i].audience(d)})
	}
	runner, err := tools.New(tools.Config{APIs: apis, Engine: engine})
	if err != nil {
		return err
	}
	if _, err := findTool(runner.Tools(), name); err != nil {
		return err
	}
	preview, res := runner.Preview(terminal(cfg), name, []byte(args))
	if preview == nil {
		if err := printEnvelope(cmd.OutOrStdout(), res); err != nil {
			return err
		}
		return exitError{code: 1}
	}
	return printJSON(cmd.OutOrStdout(), preview)
}
