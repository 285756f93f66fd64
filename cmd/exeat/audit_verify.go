package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

func auditVerifyCmd() *cobra.Command {
	var f flags
	var v verification
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that no entry was changed, removed, moved or put in, and that rows agree",
		Long: `Check the whole chain and print its head as SEQ:HASH. A chain cannot say by itself
that its end was cut off, so exeat remembers beside its keys how long the log was,
and the log must hold that. Note the head outside this machine, too: --head SEQ:HASH
later proves that nothing was cut off up to there.

With the keys, the passkeys and rules of the database are held against the log as
well: one that was deleted, altered or put back gives nobody anything, and is named.

--passkeys FILE checks each approval that a passkey signed against the public
keys that "exeat passkeys export" printed, and says how many were not signed.`,
		Args: cobra.NoArgs,
		RunE: onLog(&f, func(cmd *cobra.Command, s *store.Store) error { return v.run(cmd, s, f) }),
	}
	f.database(cmd)
	f.keyFolder(cmd)
	cmd.Flags().StringVar(&v.passkeys, "passkeys", "", "also check the approvals that passkeys signed against the public keys in `FILE`")
	cmd.Flags().StringVar(&v.head, "head", "", "also check that the log still holds the noted head `SEQ:HASH`")
	cmd.Flags().BoolVar(&v.older, "older", false, "do not compare it with the head that exeat remembers: it is an older copy")
	return cmd
}

// verification is what "exeat audit verify" was asked to check besides the chain.
type verification struct {
	head, passkeys string
	older          bool
}

func (v verification) run(cmd *cobra.Command, s *store.Store, f flags) error {
	ctx := cmd.Context()
	db, err := logFile(f.db)
	if err != nil {
		return err
	}
	keys, err := keyFolder(f.keys)
	if err != nil {
		return err
	}
	got, err := s.Verify(ctx)
	if err == nil && !v.older {
		err = checkKnown(ctx, keys, db, s)
	}
	if err == nil && v.head != "" {
		var noted store.Head
		if noted, err = parseHead(v.head); err != nil {
			return err
		}
		err = s.Contains(ctx, noted)
	}
	switch {
	case err != nil:
		return failed(fmt.Errorf("the audit log is broken: %w", err))
	case got.Seq == 0:
		return failed(fmt.Errorf(`%s holds no entries, so there is nothing to verify. If exeat has made calls, this is not the database that it used, or a copy without its journal: "exeat backup" makes a whole one`, db))
	}
	if v.passkeys != "" {
		if err := v.checkPasskeys(cmd, s); err != nil {
			return err
		}
	}
	if err := v.checkRows(cmd, s, keys, db); err != nil {
		return failed(err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "ok: %d entries, head %d:%s\n", got.Seq, got.Seq, got.Hash)
	return err
}

// checkRows holds the rows of the database against its log, if the keys are there, and
// notes how long that is.
func (v verification) checkRows(cmd *cobra.Command, s *store.Store, keys, db string) error {
	ctx := cmd.Context()
	if _, err := os.Stat(filepath.Join(keys, "approvals.secret")); errors.Is(err, fs.ErrNotExist) {
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "exeat: the keys are not in %s: passkeys and rules were not compared with the log\n", keys)
		return err
	}
	a, err := newAnchor(keys, db)
	if err != nil {
		return err
	}
	k, err := a.check(ctx, s)
	if err != nil {
		k.Said = nil // an older copy, or one that is not known: from its first entry on
	}
	holds, err := openWithKeys(s, keys, k.Said)
	if err != nil {
		return err
	}
	stray, err := holds.CheckRows(ctx)
	if err == nil && len(stray) > 0 {
		err = fmt.Errorf("the audit log is whole, and rows of the database are not as it says:\n  %s", printableLines(stray))
	}
	if _, known := readHead(a.path()); err == nil && known == nil && !v.older {
		err = a.keep(ctx, s, holds)
	}
	return err
}

func printableLines(list []string) string {
	var b strings.Builder
	for i, line := range list {
		if i > 0 {
			b.WriteString("\n  ")
		}
		b.WriteString(printableLine(line))
	}
	return b.String()
}

// openWithKeys is the service of a database, by what is known of its log.
func openWithKeys(s *store.Store, keys string, known *approval.Said) (*approval.Service, error) {
	k, err := token.OpenKeys(keys, "")
	if err != nil {
		return nil, err
	}
	key, err := k.Secret("approvals")
	if err != nil {
		return nil, err
	}
	return approval.New(approval.Config{Store: s, Key: key, Known: known})
}

// checkKnown reports, as an error if not, that the log holds what is remembered of it.
func checkKnown(ctx context.Context, keys, db string, s *store.Store) error {
	a, err := newAnchor(keys, db)
	if err == nil {
		_, err = a.check(ctx, s)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		err = fmt.Errorf(`%w. If it is an older copy on purpose, verify it with --older; "exeat audit accept" takes it into use`, err)
	}
	return err
}

func parseHead(text string) (store.Head, error) {
	seq, hash, _ := strings.Cut(text, ":")
	n, err := strconv.ParseInt(seq, 10, 64)
	if err != nil || len(hash) != 64 {
		return store.Head{}, fmt.Errorf("--head %q is no head: write it as SEQ:HASH, as audit verify printed it", text)
	}
	return store.Head{Seq: n, Hash: hash}, nil
}

func (v verification) checkPasskeys(cmd *cobra.Command, s *store.Store) error {
	b, err := os.ReadFile(v.passkeys)
	if err != nil {
		return err
	}
	var pins []approval.Pinned
	if err := json.Unmarshal(b, &pins); err != nil {
		return fmt.Errorf("%s is not what exeat passkeys export prints: %w", v.passkeys, err)
	}
	signed, unsigned, err := checkSigned(cmd, s, pins)
	if err != nil {
		return failed(fmt.Errorf("the audit log is not what people signed: %w", err))
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d approvals are signed by pinned passkeys, %d are not signed\n", signed, unsigned)
	return err
}
