package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

func manCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages into a folder",
		Long: `Write a manual page for each command into DIR, which is made if it is not there.
With DIR on MANPATH as a folder man1, "man exeat-http" shows one.`,
		Example: `  exeat man ~/.local/share/man/man1`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			n := 0
			for _, c := range commands(cmd.Root()) {
				if err := os.WriteFile(filepath.Join(args[0], manName(c)+".1"), []byte(manPage(c)), 0o644); err != nil {
					return failed(err)
				}
				n++
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d pages in %s\n", n, args[0])
			return err
		},
	}
}

// commands are c and all below it that people are shown.
func commands(c *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" && sub.Name() != "completion" {
			list = append(list, commands(sub)...)
		}
	}
	return list
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage is the command's help in the language of man(7).
func manPage(c *cobra.Command) string {
	c.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"exeat %s\" \"exeat\"\n", strings.ToUpper(roff(manName(c))), roff(version()))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(manName(c)), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(c.UseLine()))
	if c.Long != "" {
		b.WriteString(".SH DESCRIPTION\n" + roffParagraphs(c.Long))
	}
	if options := c.LocalFlags().FlagUsagesWrapped(78); options != "" {
		b.WriteString(".SH OPTIONS\n.nf\n" + roff(strings.TrimRight(options, "\n")) + "\n.fi\n")
	}
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n.nf\n" + roff(c.Example) + "\n.fi\n")
	}
	var see []string
	for _, other := range append([]*cobra.Command{c.Parent()}, c.Commands()...) {
		if other != nil && !other.Hidden && other.Name() != "help" {
			see = append(see, fmt.Sprintf(".BR %s (1)", roff(manName(other))))
		}
	}
	if len(see) > 0 {
		b.WriteString(".SH SEE ALSO\n" + strings.Join(see, "\n") + "\n")
	}
	return b.String()
}

// roffParagraphs fills paragraphs anew and leaves indented lines as they are.
func roffParagraphs(text string) string {
	var b strings.Builder
	for _, p := range strings.Split(text, "\n\n") {
		if strings.HasPrefix(p, " ") {
			b.WriteString(".PP\n.nf\n" + roff(p) + "\n.fi\n")
		} else {
			b.WriteString(".PP\n" + roff(p) + "\n")
		}
	}
	return b.String()
}

// roff is text that roff prints as it is.
func roff(text string) string {
	var b strings.Builder
	first := true // of its line
	for _, r := range text {
		switch {
		case first && (r == '.' || r == '\''):
			b.WriteString(`\&` + string(r))
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r > unicode.MaxASCII:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
		first = r == '\n'
	}
	return b.String()
}
