package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

// maxKeyDocument bounds what exeat guard enroll reads.
const maxKeyDocument = 64 << 10

func guardEnrollCmd() *cobra.Command {
	var issuer, db string
	var replace bool
	cmd := &cobra.Command{
		Use:   "enroll [FILE]",
		Short: "Tell a guard whose tokens to believe, from what exeat keys jwks prints",
		Long: `Take exeat's public keys from FILE or stdin and keep them in the guard's
database. From then on the guard believes these keys, and the ones that each
rotation puts in their place, since the key before signs which ones follow.

Do it once, before the guard's first start. Do it again with --replace if the
guard missed more than 32 rotations, after an old copy of the key folder was put
back, and after a signing key was stolen: whoever has it could name the next
keys. A running guard takes the new keys when it reads keys the next time.`,
		Example: `  exeat keys jwks | exeat guard enroll
  sudo -u exeat exeat keys jwks | sudo -u guard exeat guard enroll
  ssh agents.example.com exeat keys jwks | exeat guard enroll --issuer https://agents.example.com`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			document, err := readKeyDocument(cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			state, err := openGuardStore(cmd, db)
			if err != nil {
				return err
			}
			defer state.Close()
			ids, err := token.Enroll(cmd.Context(), issuerPins(state, issuer), document, replace, now())
			if err != nil {
				return fmt.Errorf("enroll the keys of %s: %w", issuer, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "enrolled for %s: %s\n", issuer, strings.Join(ids, ", "))
			return err
		},
	}
	cmd.Flags().StringVar(&issuer, "issuer", "http://127.0.0.1:8420", "the keys are those of the issuer `URL`")
	cmd.Flags().StringVar(&db, "db", "", "keep them in the guard's SQLite file `PATH` (default: ~/.local/state/exeat/guard.db)")
	cmd.Flags().BoolVar(&replace, "replace", false, "believe them in the place of the keys that are enrolled")
	return cmd
}

// enrollLine is what a person runs to enroll the keys of an issuer.
func enrollLine(issuer, db string) string {
	line := "exeat keys jwks | exeat guard enroll --issuer " + issuer
	if db != "" {
		line += " --db " + db
	}
	return line
}

func readKeyDocument(in io.Reader, args []string) ([]byte, error) {
	if len(args) == 1 {
		f, err := os.Open(args[0])
		if err != nil {
			return nil, fmt.Errorf("read the keys: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxKeyDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the keys: %w", err)
	case len(b) == 0:
		return nil, fmt.Errorf("there are no keys to read: pipe what exeat keys jwks prints, or name a file that holds it")
	case len(b) > maxKeyDocument:
		return nil, fmt.Errorf("the keys take more than %d bytes, which exeat keys jwks does not print", maxKeyDocument)
	}
	return b, nil
}

// openGuardStore opens the guard's database, or that of path.
func openGuardStore(cmd *cobra.Command, path string) (*store.Store, error) {
	if path == "" {
		dir, err := stateDir()
		if err != nil {
			return nil, err
		}
		path = filepath.Join(dir, "guard.db")
	}
	return openStore(cmd.Context(), path, cmd.ErrOrStderr())
}

// issuerPins are the keys of an issuer that a guard's database holds.
func issuerPins(state *store.Store, issuer string) token.Pins {
	return token.Pins{
		Load: func(ctx context.Context) ([]byte, error) { return state.Pins(ctx, issuer) },
		Replace: func(ctx context.Context, last, next []byte) (bool, error) {
			return state.SwapPins(ctx, issuer, last, next)
		},
	}
}
