package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/mcpserver/statictoken"
)

func tokensCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokens",
		Short: "Give people and programs tokens of their own for exeat http",
		Long: `Give people and programs tokens of their own for "exeat http". Each is for one
principal and one agent, and ends. Policies see the agent as "token:NAME", and
that it is verified. Only a digest is kept, in tokens.json of the key folder; an
exeat that runs sees each change at the next request.

For more than a few people, let an authorization server give tokens: see oauth
in docs/identity.md.`,
		Example: `  exeat tokens add bob-cursor --user bob --group keepers --for 720h
  exeat tokens add nightly --workload report --for 24h
  exeat tokens list
  exeat tokens revoke bob-cursor`,
	}
	cmd.AddCommand(tokensAddCmd(), tokensListCmd(), tokensRevokeCmd())
	return cmd
}

// longestToken bounds how long a token is good for.
const longestToken = 366 * 24 * time.Hour

func tokensAddCmd() *cobra.Command {
	var dir, alg, user, workload, email string
	var groups []string
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a token and print it: it is shown this once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p := authz.Principal{Type: "User", ID: user, Groups: groups, Email: email}
			switch {
			case (user == "") == (workload == ""):
				return errors.New("say for whom the token is: --user NAME for a person, or --workload NAME for a program that nobody stands behind")
			case workload != "":
				p.Type, p.ID = "Workload", workload
			}
			if lifetime <= 0 || lifetime > longestToken {
				return fmt.Errorf("--for is %s; it can be up to %s", lifetime, longestToken)
			}
			k, err := openKeys(dir, alg)
			if err != nil {
				return err
			}
			now := time.Now().UTC().Truncate(time.Second)
			var secret string
			err = k.ChangeFile(statictoken.File, func(text []byte) (changed []byte, err error) {
				changed, secret, err = statictoken.Add(text, statictoken.Token{Name: args[0], Principal: p, Created: now, Expires: now.Add(lifetime)})
				return changed, err
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "exeat: %s is %s by the agent %s%s until %s; send it as Authorization: Bearer TOKEN\n", args[0], p.Name(), authz.ByToken, args[0], now.Add(lifetime).Local().Format(time.DateTime))
			_, err = fmt.Fprintln(cmd.OutOrStdout(), secret)
			return err
		},
	}
	fs := cmd.Flags()
	keysFlags(cmd, &dir, &alg)
	fs.StringVar(&user, "user", "", "calls are made in the name of the person `NAME`")
	fs.StringVar(&workload, "workload", "", "calls are made by the program `NAME`, in nobody's name")
	fs.StringVar(&email, "email", "", "the person's email `ADDRESS`, for policies")
	fs.StringArrayVar(&groups, "group", nil, "put the principal into the group `NAME` (repeatable)")
	fs.DurationVar(&lifetime, "for", 30*24*time.Hour, "the token is good for `TIME`, at most a year")
	return cmd
}

func tokensListCmd() *cobra.Command {
	var dir, alg string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tokens and whose they are",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := openKeys(dir, alg)
			if err != nil {
				return err
			}
			text, err := k.ReadFile(statictoken.File)
			if err != nil {
				return err
			}
			list, err := statictoken.Parse(text)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "NAME\tPRINCIPAL\tUNTIL")
			for _, x := range list {
				until := x.Expires.Local().Format(time.DateTime)
				if !time.Now().Before(x.Expires) {
					until += " (over)"
				}
				fmt.Fprintf(t, "%s\t%s\t%s\n", x.Name, printable(x.Principal.Name()), until)
			}
			return t.Flush()
		},
	}
	keysFlags(cmd, &dir, &alg)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func tokensRevokeCmd() *cobra.Command {
	var dir, alg string
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Take a token back: it is refused from the next request on",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := openKeys(dir, alg)
			if err != nil {
				return err
			}
			err = k.ChangeFile(statictoken.File, func(text []byte) ([]byte, error) { return statictoken.Revoke(text, args[0]) })
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: revoked\n", printable(args[0]))
			}
			return err
		},
	}
	keysFlags(cmd, &dir, &alg)
	return cmd
}
