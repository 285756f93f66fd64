package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/store"
)

func auditCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read, verify and export the audit log",
		Long: `The audit log has an entry for every call, decision, approval and send. Each
entry holds the hash of the one before, so a change is found by "audit verify";
that its end was cut off only by comparing with a head that was noted earlier.`,
	}
	cmd.AddCommand(auditTailCmd(), auditVerifyCmd(), auditAcceptCmd(), auditExportCmd())
	return cmd
}

// logFile is the database that a command about the log means.
func logFile(db string) (string, error) {
	if db != "" {
		return db, nil
	}
	dir, err := statePath()
	return filepath.Join(dir, "exeat.db"), err
}

// existingLog is logFile, and an error if there is none: reading a log must not
// make one.
func existingLog(db string) (string, error) {
	db, err := logFile(db)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(db); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("there is no database at %s: name the one that exeat uses with --db", db)
	}
	return db, nil
}

func openLog(ctx context.Context, db string, errOut io.Writer) (*store.Store, error) {
	db, err := existingLog(db)
	if err != nil {
		return nil, err
	}
	return openStore(ctx, db, errOut)
}

// onLog makes the RunE of a command that works on an existing audit log.
func onLog(f *flags, work func(*cobra.Command, *store.Store) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		s, err := openLog(cmd.Context(), f.db, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer s.Close()
		return work(cmd, s)
	}
}

func auditTailCmd() *cobra.Command {
	var f flags
	var n int
	var follow bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print the last entries, and new ones as they come with --follow",
		Args:  cobra.NoArgs,
		RunE: onLog(&f, func(cmd *cobra.Command, s *store.Store) error {
			changed, stop := s.Watch()
			defer stop()
			var last []store.Entry
			after := int64(0)
			err := s.Entries(cmd.Context(), 0, func(e store.Entry) error {
				after = e.Seq
				if last = append(last, e); len(last) > n {
					last = last[1:]
				}
				return nil
			})
			if err != nil {
				return failed(err)
			}
			for _, e := range last {
				printEntry(cmd.OutOrStdout(), e)
			}
			for follow {
				select {
				case <-cmd.Context().Done():
					return nil
				case <-changed:
				}
				err := s.Entries(cmd.Context(), after, func(e store.Entry) error {
					after = e.Seq
					return printEntry(cmd.OutOrStdout(), e)
				})
				if err != nil {
					return ctxErr(cmd.Context(), failed(err))
				}
			}
			return nil
		}),
	}
	f.database(cmd)
	cmd.Flags().IntVarP(&n, "lines", "n", 20, "print the last `N` entries")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on printing new entries")
	return cmd
}

// printEntry writes an entry as one line for people.
func printEntry(w io.Writer, e store.Entry) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%6d  %s  %-7s", e.Seq, e.Time.Local().Format(time.DateTime), e.Kind)
	if e.Decision != "" {
		fmt.Fprintf(&b, " %-5s", e.Decision)
	}
	if e.Tool != "" {
		fmt.Fprintf(&b, " %s.%s %s %s", e.API, e.Tool, e.Method, e.Path)
	}
	for _, f := range []struct{ name, value string }{
		{"principal", e.Principal}, {"agent", e.Agent}, {"policies", strings.Join(e.Policies, ",")}, {"by", e.By}, {"code", e.Code},
		{"credential", e.Credentials()}, {"hold", e.Hold}, {"txn", e.Txn}, {"note", e.Note},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, " %s=%s", f.name, printable(f.value))
		}
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, " http=%d", e.Status)
	}
	if e.Standing {
		b.WriteString(" STANDING-KEY")
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

// printable quotes what could move a terminal's cursor or hide text.
func printable(s string) string {
	if q := strconv.QuoteToASCII(s); q != `"`+s+`"` || strings.Contains(s, " ") {
		return q
	}
	return s
}

// printableLine is printable for a sentence with foreign names in it.
func printableLine(s string) string {
	q := strconv.QuoteToGraphic(s)
	return q[1 : len(q)-1]
}

func auditExportCmd() *cobra.Command {
	var f flags
	var after int64
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the entries as JSON, one a line",
		Long: `Print the entries as JSON, one a line, as the very bytes that are hashed: docs/audit.md
says how to verify them without exeat. A read that went well has no entry for that: a
later one has, in "ended", its number and the HTTP status of its answer.`,
		Args: cobra.NoArgs,
		RunE: onLog(&f, func(cmd *cobra.Command, s *store.Store) error {
			out := bufio.NewWriter(cmd.OutOrStdout())
			if err := errors.Join(s.Export(cmd.Context(), after, out), out.Flush()); err != nil {
				return failed(err)
			}
			return nil
		}),
	}
	f.database(cmd)
	cmd.Flags().Int64Var(&after, "after", 0, "begin after the entry `SEQ`")
	return cmd
}
