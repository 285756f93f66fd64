package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/inbox"
)

func agentsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "agents",
		Short: "Stop an agent at once, and let it go on",
		Long: `Stop an agent at once, and let it go on. A stopped agent is denied everything,
reads too, and what waited of it is over. An agent that is not verified is known
by the name that it gives itself. The commands talk to the inbox of a running
exeat and need its login: exeat approvals login.`,
		Example: `  exeat agents list
  exeat agents stop claude-desktop
  exeat agents start claude-desktop`,
	}
	cmd.AddCommand(agentsListCmd(),
		agentsTurnCmd("stop", "Deny everything of an agent and end what waits of it", "stopped", (*inbox.Client).Stop),
		agentsTurnCmd("start", "Let a stopped agent go on", "not stopped", (*inbox.Client).Start))
	return cmd
}

func agentsListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List your agents, those seen last first",
		Args:  cobra.NoArgs,
		RunE: loggedIn(func(cmd *cobra.Command, c *inbox.Client, _ []string) error {
			agents, err := c.Agents(cmd.Context())
			if err != nil {
				return failed(err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), agents)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "AGENT\tSTATE\tSEEN")
			for _, a := range agents {
				state, seen := "may call", "-"
				if a.Stopped {
					state = "stopped"
				}
				if !a.Last.IsZero() {
					seen = a.Last.Local().Format(time.DateTime)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\n", printable(a.Name), state, seen)
			}
			return t.Flush()
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func agentsTurnCmd(use, short, state string, turn func(*inbox.Client, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use:   use + " NAME",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: loggedIn(func(cmd *cobra.Command, c *inbox.Client, args []string) error {
			if err := turn(c, cmd.Context(), args[0]); err != nil {
				return failed(err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", printable(args[0]), state)
			return err
		}),
	}
}
