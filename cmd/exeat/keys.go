package main

import (
	"fmt"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
)

func keysCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List, rotate and publish the keys that sign tokens, and the token of MCP clients",
	}
	cmd.AddCommand(keysListCmd(), keysRotateCmd(), keysJWKSCmd(), keysBearerCmd())
	return cmd
}

// openKeys opens the key folder of the flags.
func openKeys(dir, alg string) (*token.Keys, error) {
	dir, err := keyFolder(dir)
	if err != nil {
		return nil, err
	}
	return token.OpenKeys(dir, alg)
}

// keyFolder is the folder that a command means.
func keyFolder(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	state, err := statePath()
	return filepath.Join(state, "keys"), err
}

func keysFlags(cmd *cobra.Command, dir, alg *string) {
	cmd.Flags().StringVar(dir, "keys", "", "use the key folder `DIR` (default: ~/.local/state/exeat/keys)")
	cmd.Flags().StringVar(alg, "alg", "EdDSA", "make new keys for `ALG`: EdDSA or ES256")
}

func keysListCmd() *cobra.Command {
	var dir, alg string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys; the first use makes them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := openKeys(dir, alg)
			if err != nil {
				return err
			}
			list, err := k.List()
			if err != nil {
				return err
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "STATUS\tALG\tKEY\tMADE\tPUBLISHED UNTIL")
			for _, i := range list {
				until := "-"
				if !i.Until.IsZero() {
					until = i.Until.UTC().Format(time.RFC3339)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", i.Status, i.Alg, i.ID, i.Created.UTC().Format(time.RFC3339), until)
			}
			return t.Flush()
		},
	}
	keysFlags(cmd, &dir, &alg)
	return cmd
}

func keysRotateCmd() *cobra.Command {
	var dir, alg string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Sign with the next key from now on; the old one stays published until its tokens are dead",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := openKeys(dir, alg)
			if err != nil {
				return err
			}
			if err := k.Rotate(now()); err != nil {
				return err
			}
			list, err := k.List()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "tokens are now signed with %s\nthe bearer token of MCP clients is as it was; exeat keys bearer --rotate makes a new one\n", list[0].ID)
			return err
		},
	}
	keysFlags(cmd, &dir, &alg)
	return cmd
}

func keysJWKSCmd() *cobra.Command {
	var dir, alg, file, kid string
	cmd := &cobra.Command{
		Use:   "jwks",
		Short: "Print the public keys as a JWK Set, for a guard that reads a file",
		Example: `  exeat keys jwks > jwks.json
  exeat keys jwks --of identity.pem --kid k1 > jwks.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" {
				return printJWKS(cmd, file, kid)
			}
			k, err := openKeys(dir, alg)
			if err != nil {
				return err
			}
			set, err := k.JWKS(now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", set)
			return err
		},
	}
	keysFlags(cmd, &dir, &alg)
	cmd.Flags().StringVar(&file, "of", "", "the public half of the private key in a PEM `FILE` instead, for an issuer of one's own")
	cmd.Flags().StringVar(&kid, "kid", "", "with --of: the `NAME` of the key, as key_id in the configuration")
	return cmd
}

// printJWKS prints what an issuer publishes of a private key.
func printJWKS(cmd *cobra.Command, file, kid string) error {
	key, err := credential.ReadSigningKey(file, kid)
	if err != nil {
		return err
	}
	set, err := key.JWKS()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", set)
	return err
}
