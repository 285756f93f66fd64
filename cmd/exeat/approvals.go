package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/inbox"
)

func approvalsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approvals",
		Short: "Decide held calls in a terminal",
		Long: `Decide held calls in a terminal instead of a browser. The commands talk to the
inbox of a running exeat and need the same login: "exeat approvals login" asks
for the one-time link that the inbox printed in its own terminal. Access to the
database decides nothing.`,
		Example: `  exeat approvals login
  exeat approvals list
  exeat approvals show hold_…
  exeat approvals approve hold_… --digest 1a2b3c4d
  exeat approvals deny hold_… --digest 1a2b3c4d --reason "not on Fridays"`,
	}
	cmd.AddCommand(approvalsLoginCmd(), approvalsListCmd(), approvalsShowCmd(), approvalsDecideCmd(true), approvalsDecideCmd(false), approvalsWatchCmd())
	return cmd
}

// sessionFile keeps the terminal's login between commands, readable by its
// owner only. The session itself ends after half an hour without use.
func sessionFile() (string, error) {
	dir, err := stateDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "inbox-session.json"), nil
}

func approvalsLoginCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "login",
		Short: "Log in with the one-time link of a running inbox, read from standard input",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprint(cmd.ErrOrStderr(), "paste the login link that exeat printed: ")
			// Not an argument: other processes can see those.
			link, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 4096)).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			client, err := inbox.Login(cmd.Context(), strings.TrimSpace(link))
			if err != nil {
				return fmt.Errorf("log in: %w", err)
			}
			file, err := sessionFile()
			if err != nil {
				return err
			}
			b, err := json.Marshal(client)
			if err != nil {
				return err
			}
			if err := writePrivate(file, b); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "logged in to %s as %s\n", client.Origin, client.Person)
			return err
		},
	}
}

// writePrivate replaces a file with one that only its owner can read.
func writePrivate(file string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".session-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(b); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// inboxClient restores the terminal's login.
func inboxClient() (*inbox.Client, error) {
	file, err := sessionFile()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("you are not logged in: run exeat approvals login")
	}
	if err != nil {
		return nil, err
	}
	var c inbox.Client
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, errors.New("the saved login is damaged: run exeat approvals login again")
	}
	return &c, nil
}

// loggedIn makes the RunE of a command that talks to the inbox.
func loggedIn(work func(*cobra.Command, *inbox.Client, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := inboxClient()
		if err != nil {
			return err
		}
		return work(cmd, c, args)
	}
}

func approvalsListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the calls that wait for a person",
		Args:  cobra.NoArgs,
		RunE: loggedIn(func(cmd *cobra.Command, c *inbox.Client, _ []string) error {
			holds, err := c.Holds(cmd.Context())
			if err != nil {
				return failed(err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), holds)
			}
			return printHolds(cmd.OutOrStdout(), holds)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printHolds(w io.Writer, holds []inbox.HoldView) error {
	if len(holds) == 0 {
		_, err := fmt.Fprintln(w, "nothing waits")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "HANDLE\tDIGEST\tLEFT\tAGENT\tWHAT")
	for _, h := range holds {
		left := "-"
		if h.State == "pending" {
			left = time.Until(h.Expires).Round(time.Second).String()
		}
		fmt.Fprintf(t, "%s\t%.8s\t%s\t%s\t%s\n", printable(h.ID), h.Digest, left, printable(h.Agent), printable(h.Summary))
	}
	return t.Flush()
}

func approvalsShowCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show HANDLE",
		Short: "Show a held call in full: the exact request, who asks, and why it waits",
		Args:  cobra.ExactArgs(1),
		RunE: loggedIn(func(cmd *cobra.Command, c *inbox.Client, args []string) error {
			h, err := c.Hold(cmd.Context(), args[0])
			if err != nil {
				return failed(err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), h)
			}
			return printHold(cmd.OutOrStdout(), h)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printHold shows everything that a decision is about. Text of the agent is
// quoted, so that it cannot move the cursor.
func printHold(w io.Writer, h inbox.HoldView) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var header []string
	for _, name := range slices.Sorted(maps.Keys(h.Header)) {
		header = append(header, name+": "+strings.Join(h.Header[name], ", "))
	}
	unverified := " (unverified name)"
	if h.Verified {
		unverified = ""
	}
	for _, f := range []struct{ name, value string }{
		{"what", printable(h.Summary)}, {"state", h.State}, {"request", printable(h.Method + " " + h.URL)}, {"header", printable(strings.Join(header, "; "))}, {"content type", printable(h.ContentType)},
		{"body", printable(h.Body)}, {"body (base64)", h.BodyBase64}, {"arguments", printable(string(h.Args))}, {"before and after", printable(changesOf(h.Before))}, {"asked for", printable(h.Subject)},
		{"by the agent", printable(h.Agent) + unverified}, {"held by", printable(strings.Join(h.Policies, ", "))}, {"because", printable(h.Reason)},
		{"digest", h.Digest}, {"made", h.Created.Local().Format(time.DateTime)}, {"until", h.Expires.Local().Format(time.DateTime)},
		{"decided by", printable(h.DecidedBy)}, {"the agent was told", printable(h.Denial)},
		{"the agent says, unchecked", printable(h.Says)},
	} {
		if f.value != "" {
			fmt.Fprintf(t, "%s\t%s\n", f.name, f.value)
		}
	}
	return t.Flush()
}

// changesOf are the changes of a call in a line.
func changesOf(v *inbox.BeforeView) string {
	if v == nil {
		return ""
	}
	var parts []string
	say := func(s *string) string {
		if s == nil {
			return "nothing"
		}
		return strconv.Quote(*s)
	}
	for _, c := range v.Changes {
		parts = append(parts, c.Name+": "+say(c.Was)+" becomes "+say(c.Is))
	}
	if v.Why != "" {
		parts = append(parts, "it could not be read: "+v.Why)
	}
	for _, c := range v.Since {
		parts = append(parts, "not sent, since "+c.Name+" had become "+say(c.Is))
	}
	return strings.Join(parts, "; ")
}

func approvalsDecideCmd(approve bool) *cobra.Command {
	var digest, reason, typed string
	use, short := "deny HANDLE", "Deny a held call"
	if approve {
		use, short = "approve HANDLE", "Approve a held call, once"
	}
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: loggedIn(func(cmd *cobra.Command, c *inbox.Client, args []string) error {
			h, err := c.Hold(cmd.Context(), args[0])
			if err != nil {
				return failed(err)
			}
			if len(digest) < 8 || !strings.HasPrefix(h.Digest, digest) {
				if err := printHold(cmd.ErrOrStderr(), h); err != nil {
					return err
				}
				return fmt.Errorf("pass --digest with at least the first 8 digits of what you saw, so that you decide just that: --digest %.8s", h.Digest)
			}
			h, err = c.Decide(cmd.Context(), h.ID, approval.Verdict{Approve: approve, Digest: h.Digest, Reason: reason, Typed: typed})
			if err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", h.ID, h.State)
			return err
		}),
	}
	cmd.Flags().StringVar(&digest, "digest", "", "the first 8 or more digits of the digest of what you decide")
	if approve {
		cmd.Flags().StringVar(&typed, "type", "", "if you approved many calls very fast: the last part of its path, or its tool, as `TEXT`")
	} else {
		cmd.Flags().StringVar(&reason, "reason", "", "tell the agent `WHY`")
	}
	return cmd
}
