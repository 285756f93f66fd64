package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/store"
)

func backupCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database whole into FILE, while exeat runs",
		Long: `Copy the database with its holds, grants, passkeys and audit log into the new
file FILE, as it is at one moment, and verify the copy. Whatever uses the database
goes on meanwhile. cp is not enough: it misses what is still in the journal.

The keys are not in the database. Keep a copy of the key folder too, apart from
this one: without it nothing in the copy counts as decided by a person.`,
		Example: `  exeat backup /backups/exeat-monday.db
  exeat backup --db guard.db /backups/guard-monday.db`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openLog(cmd.Context(), f.db, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer s.Close()
			if err := s.Backup(cmd.Context(), args[0]); err != nil {
				return failed(err)
			}
			head, err := verifyCopy(cmd, args[0])
			if err != nil {
				return failed(fmt.Errorf("%s is a whole copy, and its audit log is broken, as the original's is: %w", args[0], err))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d entries, head %d:%s\n", args[0], head.Seq, head.Seq, head.Hash)
			return err
		},
	}
	f.database(cmd)
	return cmd
}

func verifyCopy(cmd *cobra.Command, path string) (store.Head, error) {
	s, err := store.Open(cmd.Context(), path)
	if err != nil {
		return store.Head{}, err
	}
	defer s.Close()
	return s.Verify(cmd.Context())
}
