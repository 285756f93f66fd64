package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

func auditAcceptCmd() *cobra.Command {
	var f flags
	var yes bool
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Say that a log that lacks what exeat remembers is right: a backup was put back",
		Long: `exeat serves nothing from a database whose log is not what it remembers beside its
keys: an old copy, one whose end was cut off, an empty one, or one whose head file is
gone. If you have put back a backup, or begin anew, say so here. It shows what is lost
and what counts again that was taken back, asks y/N, and leaves an entry. Stop every
exeat on the database before, and start it again after.

A log whose chain is broken cannot be accepted: put back a backup, or move the database
away and accept that exeat begins with an empty one. Passkeys and rules that are not as
the log says stay refused: exeat audit verify names them, and how each is ended.`,
		Example: `  exeat audit accept
  exeat audit accept --db /srv/exeat/exeat.db --keys /srv/exeat/keys`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			db, err := logFile(f.db)
			if err != nil {
				return err
			}
			keys, err := keyFolder(f.keys)
			if err != nil {
				return err
			}
			a, err := newAnchor(keys, db)
			if err != nil {
				return err
			}
			s, err := openStore(cmd.Context(), db, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer s.Close()
			return a.accept(cmd, s, yes)
		},
	}
	f.database(cmd)
	f.keyFolder(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// accept shows what is lost with a log that is not what is remembered of it, and takes
// it if whoever runs the command says so.
func (a anchor) accept(cmd *cobra.Command, s *store.Store, yes bool) error {
	ctx, out := cmd.Context(), cmd.ErrOrStderr()
	got, err := s.Verify(ctx)
	if err != nil {
		return failed(fmt.Errorf("the audit log is broken, and cannot be accepted: %w. Put back a backup, or move %s away and run this again to begin with an empty one", err, a.db))
	}
	holds, err := openWithKeys(s, a.keys, nil)
	if err != nil {
		return err
	}
	now, err := holds.Reread(ctx)
	if err != nil {
		return failed(err)
	}
	k, problem, err := a.remembered(ctx, s, now)
	if err != nil {
		return failed(err)
	}
	now.Forged = slices.DeleteFunc(now.Forged, func(seq int64) bool { return seq <= k.Seq }) // those are known
	if problem == nil && len(now.Forged) == 0 {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is as exeat remembers it: there is nothing to accept\n", a.db)
		return err
	}
	fmt.Fprintf(out, "%s: %d entries\n", a.db, got.Seq)
	if problem != nil {
		fmt.Fprintf(out, "not as remembered: %v\n", problem)
	}
	before := k.Said
	if before == nil {
		before = now
	}
	for _, line := range now.Lost(before) {
		fmt.Fprintf(out, "  %s\n", printableLine(line))
	}
	d := deciding{in: bufio.NewReader(cmd.InOrStdin()), out: out}
	if !yes && !d.yes("Take this log as the right one from now on?") {
		return failed(errors.New("nothing was accepted: answer y, or pass --yes in a script"))
	}
	note := "remembered no head"
	if k.Hash != "" {
		note = fmt.Sprintf("remembered %d:%s", k.Seq, k.Hash)
	}
	err = holds.Accept(ctx, operator().Name(), note, func(said *approval.Said) error {
		first, _, err := s.Ends(ctx)
		if err != nil {
			return err
		}
		return a.write(said, first.Hash)
	})
	if err != nil {
		return failed(err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "accepted; start exeat again\n")
	return err
}

// remembered is what is remembered of the log, if that can be read, and in which way
// the log is not that.
func (a anchor) remembered(ctx context.Context, s *store.Store, now *approval.Said) (k knownHead, problem, err error) {
	k, problem = a.check(ctx, s)
	chain := (*store.ChainError)(nil)
	switch {
	case errors.Is(problem, fs.ErrNotExist):
		if problem = nil; now.Sealed {
			problem = errors.New("the file beside the keys is missing that says how long it was")
		}
	case problem != nil && k.Hash == "" && !errors.As(problem, &chain):
		return k, nil, problem
	}
	return k, problem, nil
}
