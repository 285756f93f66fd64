package main

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/inbox"
)

func grantsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "Show and revoke what people said of calls to come",
		Long: `Show and revoke what people said of calls to come: grants, blocks and
stops. They are given on the page of a held call. The commands talk to the inbox
of a running exeat and need its login: exeat approvals login.`,
		Example: `  exeat grants list
  exeat grants revoke grant_…
  exeat grants revoke "the refund run"`,
	}
	cmd.AddCommand(grantsListCmd(), grantsRevokeCmd())
	return cmd
}

func grantsListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the grants, blocks and stops in force",
		Args:  cobra.NoArgs,
		RunE: loggedIn(func(cmd *cobra.Command, c *inbox.Client, _ []string) error {
			rules, err := c.Rules(cmd.Context())
			if err != nil {
				return failed(err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), rules)
			}
			return printRules(cmd.OutOrStdout(), rules)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printRules(w io.Writer, rules []approval.Rule) error {
	if len(rules) == 0 {
		_, err := fmt.Fprintln(w, "nothing was said of calls to come")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tAGENT\tLEFT\tUSED\tTOOL\tWHAT")
	for _, r := range rules {
		left, what := "-", r.Told()
		if !r.Ends.IsZero() {
			left = time.Until(r.Ends).Round(time.Second).String()
		}
		switch {
		case r.Damaged:
			what = "changed in the database: nothing of this agent goes until you revoke it"
		case r.Kind == approval.KindStop:
			what = "everything is denied"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", printable(r.ID), printable(r.Agent), left, r.Used, printable(r.Scope.Tool), printable(what))
	}
	return t.Flush()
}

func grantsRevokeCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID|JOB",
		Short: "End a grant or a block at once, or the job of that name",
		Args:  cobra.ExactArgs(1),
		RunE: loggedIn(func(cmd *cobra.Command, c *inbox.Client, args []string) error {
			id, err := ruleNamed(cmd, c, args[0])
			if err == nil {
				err = c.Revoke(cmd.Context(), id)
			}
			if err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: revoked\n", printable(args[0]))
			return err
		}),
	}
}

// ruleNamed is the id of the job that is called so, if there is one of that name.
func ruleNamed(cmd *cobra.Command, c *inbox.Client, name string) (string, error) {
	rules, err := c.Rules(cmd.Context())
	if err != nil {
		return "", err
	}
	id := ""
	for _, r := range rules {
		switch {
		case r.ID == name:
			return name, nil
		case r.Scope.Task == nil || r.Scope.Task.Name != name:
		case id != "":
			return "", fmt.Errorf("there are several jobs called %s: revoke each by its id, which \"exeat grants list\" shows", printable(name))
		default:
			id = r.ID
		}
	}
	return cmp.Or(id, name), nil
}
