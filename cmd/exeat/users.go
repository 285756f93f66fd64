package main

import (
	"fmt"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
)

func usersCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "users",
		Short: "Stop a user at once, and let them go on",
		Long: `Stop a user at once, and let them go on. Nothing goes in the name of a stopped
user, reads neither, whichever agent asks. Their grants end, those that they gave
to others too, and what waits or was approved and is not sent; their logins to the
inbox end, and tokens from before count no more. They decide nothing and cannot
log in.

The commands work on the database with the keys: no inbox has to run, and every
exeat on that database goes by it at once. SUBJECT is the name that policies and
exeat audit show, such as bob or Workload::report.`,
		Example: `  exeat users stop bob
  exeat users list
  exeat users start bob`,
	}
	cmd.AddCommand(usersStopCmd(), usersStartCmd(), usersListCmd())
	return cmd
}

// subjectOf is the principal that a command means: a person, unless it says a type.
func subjectOf(arg string) string {
	if strings.HasPrefix(arg, "User::") || strings.HasPrefix(arg, "Workload::") {
		return arg
	}
	return "User::" + arg
}

// operator is who runs a command, as the machine knows them.
func operator() authz.Principal {
	u, err := user.Current()
	if err != nil {
		return approval.Operator("unknown")
	}
	return approval.Operator(u.Username)
}

func usersStopCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "stop SUBJECT",
		Short: "Let nothing go in a user's name, and end what waits, is granted or is logged in",
		Args:  cobra.ExactArgs(1),
		RunE: onApprovals(&f, func(cmd *cobra.Command, s *approval.Service, args []string) error {
			subject := subjectOf(args[0])
			ended, err := s.EndUser(cmd.Context(), approval.End{Subject: subject, By: operator(), Cause: "by-hand", Stop: true})
			if err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: stopped; ended: grants %d, waiting or approved calls %d, all logins and tokens\n", printable(subject), ended.Grants, ended.Holds)
			return err
		}),
	}
	f.database(cmd)
	f.keyFolder(cmd)
	return cmd
}

func usersStartCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "start SUBJECT",
		Short: "Let a stopped user go on; what has ended stays so",
		Args:  cobra.ExactArgs(1),
		RunE: onApprovals(&f, func(cmd *cobra.Command, s *approval.Service, args []string) error {
			subject := subjectOf(args[0])
			started, err := s.StartUser(cmd.Context(), approval.End{Subject: subject, By: operator(), Cause: "by-hand"})
			if err != nil {
				return failed(err)
			}
			text := "may call again; logins and tokens from before count no more"
			if !started {
				text = "was not stopped"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", printable(subject), text)
			return err
		}),
	}
	f.database(cmd)
	f.keyFolder(cmd)
	return cmd
}

func usersListCmd() *cobra.Command {
	var f flags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the users that were stopped, or ended by a signal of their issuer",
		Args:  cobra.NoArgs,
		RunE: onApprovals(&f, func(cmd *cobra.Command, s *approval.Service, _ []string) error {
			list, err := s.Users(cmd.Context())
			if err != nil {
				return failed(err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			if len(list) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "nobody was stopped, and no issuer said that somebody's sessions ended")
				return err
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "USER\tSTATE\tENDED\tBY\tWHY")
			for _, u := range list {
				state, by, why := "may call", "-", "-"
				for i, stop := range u.Stops {
					state = "stopped"
					if i == 0 {
						by, why = stop.By, stop.Cause
						continue
					}
					by, why = by+", "+stop.By, why+", "+stop.Cause
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", printable(u.Subject), state, u.Ended.Local().Format(time.DateTime), printable(by), printable(why))
			}
			return t.Flush()
		}),
	}
	f.database(cmd)
	f.keyFolder(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
