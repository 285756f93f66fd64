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
		fmt.Fprintf(t, "%s\t%.8s\t%s\t%s\t%s\n", printable(h.ID), h.Digest, left, printable(h.Agent), h.What())
	}
	return t.Flush()
}

func approvalsShowCmd() *cobra.Command {
	var asJSON, reveal bool
	cmd := &cobra.Command{
		Use:   "show HANDLE",
		Short: "Show a held call in full: the exact request, who asks, and why it waits",
		Args:  cobra.ExactArgs(1),
		RunE: loggedIn(func(cmd *cobra.Command, c *inbox.Client, args []string) error {
			look := c.Hold
			if reveal {
				look = c.Reveal
			}
			h, err := look(cmd.Context(), args[0])
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
	cmd.Flags().BoolVar(&reveal, "reveal", false, "show values that are hidden, which is recorded")
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
		{"what", h.What()}, {"marks", printable(strings.Join(h.Marks, ", "))}, {"effect", printable(h.Effect)}, {"state", stateOf(h)}, {"API, tool", printable(h.API) + ", " + printable(h.Tool)}, {"request", printable(h.Method + " " + h.URL)}, {"header", printable(strings.Join(header, "; "))}, {"content type", printable(h.ContentType)},
		{"body", printable(h.Body)}, {"body (base64)", h.BodyBase64}, {"arguments", printable(string(h.Args))}, {"before and after", printable(changesOf(h.Before))}, {"files", printable(filesOf(h))}, {"on the same thing", othersOf(h)}, {"asked for", printable(h.Subject)},
		{"by the agent", printable(h.Agent) + unverified}, {"in the session", printable(h.Session)}, {"held by", printable(strings.Join(h.Policies, ", "))}, {"because", printable(h.Reason)},
		{"hidden", hiddenIn(h)}, {"approved by", givenIn(h)}, {"your approval", weightOf(h)}, {"handle", printable(h.ID)}, {"digest", h.Digest}, {"made", h.Created.Local().Format(time.DateTime)}, {"until", h.Expires.Local().Format(time.DateTime)},
		{"decided by", printable(h.DecidedBy)}, {"the agent was told", printable(h.Denial)},
		{"the agent says, unchecked", printable(h.Says)},
	} {
		if f.value != "" {
			fmt.Fprintf(t, "%s\t%s\n", f.name, f.value)
		}
	}
	return t.Flush()
}

// stateOf is where a call stands, as its page says it.
func stateOf(h inbox.HoldView) string {
	text := h.State
	if h.HTTPStatus != 0 {
		text += fmt.Sprintf(", the API answered with status %d", h.HTTPStatus)
	}
	if h.Lookup != "" {
		text += ". " + printable(h.Lookup)
	}
	return text
}

// givenIn says who has approved a call already.
func givenIn(h inbox.HoldView) string {
	var parts []string
	for _, a := range h.Approvals {
		text := printable(strings.TrimPrefix(a.By, "User::"))
		if a.Passkey {
			text += " with a passkey"
		}
		parts = append(parts, text+" at "+a.At.Local().Format(time.DateTime))
	}
	return strings.Join(parts, ", ")
}

// weightOf says what the person's approval would do, where it does not simply send
// the call.
func weightOf(h inbox.HoldView) string {
	switch approval.Weight(h.Approving) {
	case approval.Waits:
		return "counts, and another person has to approve it, too"
	case approval.Twice:
		return "is given; another person has to approve it, too"
	case approval.NoHelp:
		return "would not let it go: " + printable(h.Why)
	}
	return ""
}

// hiddenIn says whether there is more to see.
func hiddenIn(h inbox.HoldView) string {
	switch {
	case h.Unseen:
		return "some values; look at them before you approve (exeat approvals show --reveal), which is recorded"
	case h.Masked:
		return "some values (exeat approvals show --reveal, which is recorded)"
	}
	return ""
}

// othersOf says which other calls are on the same thing, and what that means.
func othersOf(h inbox.HoldView) string {
	var parts []string
	for _, o := range h.Others {
		state := o.State
		if o.Sent {
			state = "sent since this was read"
		}
		switch o.Relation {
		case approval.Above:
			state += "; it deletes what this one is within"
		case approval.Below:
			state += "; it is within what this one deletes"
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s)", printable(o.ID), printable(o.Summary), state))
	}
	switch {
	case len(parts) == 0:
		return ""
	case h.Overtaken():
		parts = append(parts, "so this call will not be sent as it is: deny it and have the agent ask again, and it is read anew")
	case h.Contended():
		parts = append(parts, "once one of them is sent, this one will not be sent as it is")
	default:
		parts = append(parts, "what they change may have been read before this one is sent, and then they will not be sent as they are")
	}
	return strings.Join(parts, "; ")
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
	for _, c := range v.Told() {
		parts = append(parts, c.Name+": "+say(c.Was)+" becomes "+say(c.Is))
	}
	if v.Nothing {
		parts = append(parts, "nothing changes")
	}
	if v.Refused != "" {
		parts = append(parts, "as things stand, the API will refuse it: "+v.Refused)
	}
	if v.Why != "" {
		parts = append(parts, "it could not be read: "+v.Why)
	}
	for _, c := range v.ToldSince() {
		parts = append(parts, "not sent, since "+c.Name+" had become "+say(c.Is))
	}
	return strings.Join(parts, "; ")
}

// filesOf are the files that a call sends, in a line.
func filesOf(h inbox.HoldView) string {
	var parts []string
	for _, f := range h.Files {
		text := fmt.Sprintf("%q, %d bytes of %s, sent as %q, SHA-256 %s", f.Name, f.Size, f.Sniffed, f.Claimed, f.SHA256)
		if f.Hidden {
			text = fmt.Sprintf("a hidden one of %d bytes", f.Size)
		}
		for _, w := range f.Warnings {
			text += "; warning: " + string(w)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
