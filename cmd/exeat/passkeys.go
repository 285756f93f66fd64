package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

func passkeysCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "passkeys",
		Short: "List, export and revoke the passkeys of the people who approve",
		Long: `Passkeys are added in the inbox, on its page "Passkeys": the first one by whoever
logged in with the link of the terminal, others by whoever signed in with one.
Browsers use passkeys on https and on http://localhost: set inbox.url.

The person whose passkey is lost gets rid of it here. Whoever can run this as the
user that exeat runs as can do so too: it is a key to the door, not a wall.`,
		Example: `  exeat passkeys list
  exeat passkeys export > pinned.json
  exeat audit verify --passkeys pinned.json
  exeat passkeys revoke 3q2-7wEX…`,
	}
	cmd.AddCommand(passkeysListCmd(), passkeysExportCmd(), passkeysRevokeCmd())
	return cmd
}

// onApprovals makes the RunE of a command that works on what people said, with the keys.
func onApprovals(f *flags, work func(*cobra.Command, *approval.Service, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cfg, err := config{DB: f.db, Keys: f.keys}.withDefaults()
		if err != nil {
			return err
		}
		s, err := openLog(cmd.Context(), cfg.DB, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer s.Close()
		keys, err := token.OpenKeys(cfg.Keys, cfg.KeyAlg)
		if err != nil {
			return err
		}
		key, err := keys.Secret("approvals")
		if err != nil {
			return err
		}
		holds, err := openKept(cmd.Context(), cfg.Keys, cfg.DB, approval.Config{Store: s, Key: key}, func(err error) { fmt.Fprintln(cmd.ErrOrStderr(), "exeat:", err) })
		if err != nil {
			return err
		}
		return work(cmd, holds, args)
	}
}

func passkeysListCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the good passkeys",
		Args:  cobra.NoArgs,
		RunE: onApprovals(&f, func(cmd *cobra.Command, s *approval.Service, _ []string) error {
			list, err := s.PasskeysOf(cmd.Context(), "")
			if err != nil {
				return failed(err)
			}
			stray, err := s.StrayPasskeys(cmd.Context())
			if err != nil {
				return failed(err)
			}
			if len(list) == 0 && len(stray) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "nobody has a passkey")
				return err
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "ID\tPERSON\tNAME\tSINCE\tUSED")
			for _, p := range list {
				used := "never"
				if !p.Used.IsZero() {
					used = p.Used.Local().Format(time.DateTime)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", printable(p.ID), printable(p.Person), printable(p.Name), p.Created.Local().Format(time.DateTime), used)
			}
			for _, p := range stray {
				fmt.Fprintf(t, "%s\t%s\tNOT AS THE LOG SAYS: %s\t\t\n", p.Digest, printable(p.Person), p.Problem)
			}
			return t.Flush()
		}),
	}
	f.database(cmd)
	f.keyFolder(cmd)
	return cmd
}

func passkeysExportCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the public keys as JSON, to be kept elsewhere for audit verify --passkeys",
		Args:  cobra.NoArgs,
		RunE: onApprovals(&f, func(cmd *cobra.Command, s *approval.Service, _ []string) error {
			pins, err := s.Pins(cmd.Context(), "")
			if err != nil {
				return failed(err)
			}
			return printJSON(cmd.OutOrStdout(), pins)
		}),
	}
	f.database(cmd)
	f.keyFolder(cmd)
	return cmd
}

func passkeysRevokeCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a passkey; calls that it approved and that are not sent yet are not sent",
		Long: `End a passkey. Calls that it approved and that are not sent yet are not sent.

One that is not as the log says, since somebody changed the database, keeps its
person from deciding anything. It is ended by the ID that "exeat passkeys list"
shows for it. Who has none left then adds one as the first time.`,
		Args: cobra.ExactArgs(1),
		RunE: onApprovals(&f, func(cmd *cobra.Command, s *approval.Service, args []string) error {
			person, err := s.HolderOf(cmd.Context(), args[0])
			if err == nil {
				err = s.RevokePasskey(cmd.Context(), person, args[0], "terminal")
			}
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "revoked %s of %s\n", printable(args[0]), printable(person))
				return err
			}
			if !errors.Is(err, approval.ErrNotFound) {
				return failed(err)
			}
			return errors.New("there is no such passkey; exeat passkeys list lists them")
		}),
	}
	f.database(cmd)
	f.keyFolder(cmd)
	return cmd
}

// checkSigned checks every approval of the log that a passkey signed.
func checkSigned(cmd *cobra.Command, s *store.Store, pins []approval.Pinned) (signed, unsigned int, err error) {
	err = s.Entries(cmd.Context(), 0, func(e store.Entry) error {
		ok, err := approval.CheckEntry(e, pins)
		switch {
		case err != nil:
			return err
		case ok:
			signed++
		case e.Kind == store.KindApprove && e.Code == "":
			unsigned++
		}
		return nil
	})
	return signed, unsigned, err
}
