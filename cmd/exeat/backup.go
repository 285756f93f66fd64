package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/store"
)

func backupCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database whole into FILE, while exeat runs",
		Long: `Copy the database with its holds, grants, passkeys, connected accounts and audit
log into the new file FILE, as it is at one moment, and verify the copy. Whatever uses the database
goes on meanwhile. cp is not enough: it misses what is still in the journal. The
schema stays as it is: make a copy before you start a newer exeat, which changes it.

The keys are not in the database. Keep a copy of the key folder too, apart from
this one: without it nothing in the copy counts as decided by a person, and the accounts in
it, which are encrypted, have to be connected again.`,
		Example: `  exeat backup /backups/exeat-monday.db
  exeat backup --db guard.db /backups/guard-monday.db`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := existingLog(f.db)
			if err != nil {
				return err
			}
			defer tellWaiting(db, cmd.ErrOrStderr())()
			head, err := store.Backup(cmd.Context(), db, args[0])
			if broken := (*store.ChainError)(nil); errors.As(err, &broken) {
				err = fmt.Errorf("%s is a whole copy, and its audit log is broken, as the original's is: %w", args[0], err)
			}
			if err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d entries, head %d:%s\n", args[0], head.Seq, head.Seq, head.Hash)
			return err
		},
	}
	f.database(cmd)
	return cmd
}
