package main

import (
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/mcpserver"
	"github.com/exeat/exeat/tools"
)

// bearer takes the token that MCP clients send, as it is kept at the moment: one
// that was rotated is good for no other request.
type bearer struct {
	keys      *token.Keys
	principal authz.Principal
	whence    string
}

// Authenticate compares the request's token with the one that is kept.
func (b *bearer) Authenticate(r *http.Request) (tools.Caller, error) {
	secret, err := b.keys.Secret("bearer")
	if err != nil {
		return tools.Caller{}, err
	}
	return mcpserver.NewBearer(bearerText(secret), b.principal, b.whence).Authenticate(r)
}

// bearerText is the bearer token that is kept as a secret.
func bearerText(secret []byte) string { return base64.RawURLEncoding.EncodeToString(secret) }

// bearerCommand is what a person runs to see the bearer token of a key folder.
func bearerCommand(keys string) string {
	if usual, err := keyFolder(""); err == nil && usual == keys {
		return "exeat keys bearer"
	}
	return "exeat keys bearer --keys " + keys
}

func keysBearerCmd() *cobra.Command {
	var dir, alg string
	var rotate bool
	cmd := &cobra.Command{
		Use:   "bearer",
		Short: "Print the bearer token that MCP clients send to exeat http, or make a new one",
		Long: `Print the bearer token that MCP clients send to "exeat http". With --rotate make
a new one first: the one before is refused from the next request on, also by an
exeat that runs, so every client needs the new one.`,
		Example: `  claude mcp add --transport http petstore http://127.0.0.1:8420/mcp \
    --header "Authorization: Bearer $(exeat keys bearer)"
  exeat keys bearer --rotate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := openKeys(dir, alg)
			if err != nil {
				return err
			}
			get := k.Secret
			if rotate {
				get = k.RotateSecret
			}
			secret, err := get("bearer")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), bearerText(secret))
			return err
		},
	}
	keysFlags(cmd, &dir, &alg)
	cmd.Flags().BoolVar(&rotate, "rotate", false, "make a new token; the one before is refused from now on")
	return cmd
}
