package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/inbox"
)

func approvalsDecideCmd(approve bool) *cobra.Command {
	d := &deciding{approve: approve}
	use, short := "deny HANDLE", "Show a held call, ask, and deny it"
	if approve {
		use, short = "approve HANDLE", "Show a held call, ask, and approve exactly that, once"
	}
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long: short + `.

It asks y/N on the terminal; what was shown is what is decided. In a script, where
nobody can answer, --digest names what was seen before, with exeat approvals show.`,
		Args: cobra.ExactArgs(1),
		RunE: loggedIn(func(cmd *cobra.Command, c *inbox.Client, args []string) error {
			d.in, d.out, d.client = bufio.NewReader(cmd.InOrStdin()), cmd.ErrOrStderr(), c
			h, err := d.run(cmd, args[0])
			if err != nil {
				return err
			}
			if others := othersOf(h); others != "" && approve {
				fmt.Fprintln(d.out, "note: on the same thing are", others)
			}
			if approve && h.State == "pending" {
				fmt.Fprintln(d.out, "note: your approval counts; another person has to approve it, too")
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", h.ID, h.State)
			return err
		}),
	}
	cmd.Flags().StringVar(&d.digest, "digest", "", "do not ask: the first 8 or more digits of the digest of what you decide")
	if approve {
		cmd.Flags().StringVar(&d.typed, "type", "", "if you approved many calls very fast: what the call says where you are asked about it, as `TEXT`")
	} else {
		cmd.Flags().StringVar(&d.reason, "reason", "", "tell the agent `WHY`")
	}
	return cmd
}

// deciding is one decision in a terminal.
type deciding struct {
	approve               bool
	digest, reason, typed string // flags
	client                *inbox.Client
	in                    *bufio.Reader
	out                   io.Writer // where the person reads
}

// run shows the call and decides it, if the person says so.
func (d *deciding) run(cmd *cobra.Command, id string) (inbox.HoldView, error) {
	h, err := d.client.Hold(cmd.Context(), id)
	if err != nil {
		return h, failed(err)
	}
	asks := !cmd.Flags().Changed("digest")
	switch {
	case asks:
		if h, err = d.ask(cmd, h); err != nil {
			return h, err
		}
	case len(d.digest) < 8 || !strings.HasPrefix(h.Digest, d.digest):
		if err := printHold(d.out, h); err != nil {
			return h, err
		}
		return h, fmt.Errorf("pass --digest with at least the first 8 digits of what you saw, so that you decide just that: --digest %.8s", h.Digest)
	}
	v := approval.Verdict{Approve: d.approve, Digest: h.Digest, Reason: d.reason, Typed: d.typed}
	after, err := d.client.Decide(cmd.Context(), h.ID, v)
	if asks && d.approve && v.Typed == "" && errors.Is(err, approval.ErrConfirm) {
		// A tired person types what they approve.
		if v.Typed = d.line("You approved many calls very fast. To approve this one, type what it says: " + whatToType(h) + ": "); v.Typed != "" {
			after, err = d.client.Decide(cmd.Context(), h.ID, v)
		}
	}
	if err != nil {
		return after, failed(err)
	}
	return after, nil
}

// whatToType names what a tired person is asked about a call.
func whatToType(h inbox.HoldView) string {
	if h.ToAsk != "" {
		return h.ToAsk
	}
	return "the end of its path, or its tool if the path has none"
}

// ask shows the whole call and asks about just that.
func (d *deciding) ask(cmd *cobra.Command, h inbox.HoldView) (inbox.HoldView, error) {
	question := "Deny it?"
	if d.approve {
		question = "Approve exactly this, once?"
		if h.Unseen && d.yes("Some values of this call are hidden. Show them? That you looked is recorded.") {
			revealed, err := d.client.Reveal(cmd.Context(), h.ID)
			if err != nil {
				return h, failed(err)
			}
			h = revealed
		}
	}
	if err := printHold(d.out, h); err != nil {
		return h, err
	}
	switch {
	case h.State != "pending":
		return h, failed(fmt.Errorf("it is %s: there is nothing to decide", h.State))
	case !h.MayDecide:
		return h, failed(errors.New("the policies do not let you decide this call; somebody else has to"))
	case d.approve && (h.Approving == string(approval.Twice) || h.Approving == string(approval.NoHelp)):
		return h, failed(errors.New("nothing was decided: your approval " + weightOf(h)))
	case d.approve && h.Unseen:
		return h, failed(errors.New("nothing was decided: look at the hidden values before you approve it"))
	}
	if d.approve {
		if h.Approving == string(approval.Waits) {
			fmt.Fprintln(d.out, "Another person has to approve it, too.")
		}
		fmt.Fprintf(d.out, "If it is approved, exeat sends this request once, to %s (%s), in the name of %s. Nothing has been sent yet.\n",
			printable(h.Origin), printable(h.API), printable(strings.TrimPrefix(h.Subject, "User::")))
	}
	if !d.yes(question) {
		return h, failed(fmt.Errorf("nothing was decided: answer y, or pass --digest %.8s in a script", h.Digest))
	}
	return h, nil
}

// yes asks a question. Nothing but a plain yes is one.
func (d *deciding) yes(question string) bool {
	switch strings.ToLower(d.line(question + " [y/N] ")) {
	case "y", "yes":
		return true
	}
	return false
}

// line is one line of what the person types, "" if there is none.
func (d *deciding) line(prompt string) string {
	fmt.Fprint(d.out, prompt)
	text, err := d.in.ReadString('\n')
	if err != nil { // a line that was not ended was not said
		return ""
	}
	return strings.TrimSpace(text)
}
