package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run is main with an exit code, so that testscript can call it.
func run() int {
	quietLibraries()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// quietLibraries keeps what libraries write to slog's default out of our log: the
// issuer's writes a line for whatever a stranger sends. The log of net/http, which
// slog would take over, stays.
func quietLibraries() {
	out, flags := log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	log.SetOutput(out)
	log.SetFlags(flags)
}

// execute runs one command line. The exit code is 0 for success, 1 for a call
// or check that came out badly, 2 for input that cannot be used.
func execute(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var code exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		if code.err != nil {
			fmt.Fprintln(errOut, "exeat:", code.err)
		}
		return code.code
	}
	fmt.Fprintln(errOut, "exeat:", err)
	return 2
}

// exitError ends the program with a code of its own; err may be nil if all has
// been said.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// failed is an error that is not the fault of the input.
func failed(err error) error { return exitError{code: 1, err: err} }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "exeat",
		Short: "Serve REST APIs to agents over MCP, with a decision and a token for every call",
		Long: `exeat stands between an LLM host and a REST API. It turns an OpenAPI document
into MCP tools, asks Cedar policies about every call, sends an allowed call with
a token made for that one request, and holds a call that needs a person until
that person has decided in the inbox.

Try it first:  exeat demo`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(demoCmd(), stdioCmd(), httpCmd(), toolsCmd(), callCmd(), policyCmd(), approvalsCmd(), grantsCmd(), agentsCmd(), passkeysCmd(), tokensCmd(), usersCmd(), inboxCmd(),
		auditCmd(), backupCmd(), keysCmd(), guardCmd(), notifyCmd(), doctorCmd(), versionCmd(), manCmd())
	return root
}
