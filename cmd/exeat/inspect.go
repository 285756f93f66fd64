package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/mcpserver"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/tools"
)

func toolsCmd() *cobra.Command {
	f := flags{needsNoCalling: true}
	var asJSON, lint bool
	cmd := &cobra.Command{
		Use:   "tools SPEC...",
		Short: "Print the tools that documents become",
		Long: `Print the tools that OpenAPI documents become: their effect, name, operation,
and the size of what a model has to read of each. More than 40 are not listed but
searched by hosts, see --mode.`,
		Example: `  exeat tools petstore.yaml
  exeat tools --lint github.json
  exeat tools --mode all github.json
  exeat tools --json --include tag:pets petstore.yaml`,
		RunE: func(cmd *cobra.Command, specs []string) error {
			cfg, err := f.config(specs)
			if err != nil {
				return err
			}
			docs, err := loadDocs(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			var apis []*tools.API
			for _, d := range docs {
				apis = append(apis, &tools.API{Document: d})
			}
			list := tools.FromAPIs(apis, cfg.offer())
			out := cmd.OutOrStdout()
			switch {
			case lint && asJSON:
				return printJSON(out, findings(docs))
			case lint:
				return printFindings(out, docs)
			case asJSON:
				b, err := mcpserver.ListJSON(list)
				if err != nil {
					return err
				}
				_, err = out.Write(append(b, '\n'))
				return err
			}
			if err := printTools(out, docs, list); err != nil {
				return err
			}
			return printOffered(out, list, mcpserver.Mode(cfg.Mode), cfg.Pin)
		},
	}
	f.documents(cmd)
	f.offer(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object with tools as tools/list gives them (with --lint: the findings)")
	cmd.Flags().BoolVar(&lint, "lint", false, "print what was left out or changed, and where in the document")
	return cmd
}

func printTools(w io.Writer, docs []*openapi.API, list []*tools.Tool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "EFFECT\tTOOL\tOPERATION\tBYTES\tSUMMARY")
	total, cut := 0, 0
	for _, x := range list {
		b, err := json.Marshal(mcpserver.Describe(x))
		if err != nil {
			return err
		}
		total += len(b)
		op := x.Operation()
		size := strconv.Itoa(len(b))
		if x.Cut {
			size, cut = size+"*", cut+1
		}
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%s\t%s\n", op.Effect, x.Name, op.Method, op.Path, size, oneLine(op.Summary, 60))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	left := 0
	all := findings(docs)
	for _, f := range all {
		if f.LeftOut {
			left++
		}
	}
	if cut > 0 {
		fmt.Fprintf(w, "\n* the schemas of %d tools are cut to --tool-budget; agents describe the rest on demand\n", cut)
	}
	// Four bytes a token is a rule of thumb, not a measurement.
	_, err := fmt.Fprintf(w, "\n%d tools, %d bytes (about %d tokens); %d operations left out, %d findings (--lint)\n",
		len(list), total, total/4, left, len(all))
	return err
}

// printOffered says what a host lists: under search, less than there is.
func printOffered(w io.Writer, list []*tools.Tool, mode mcpserver.Mode, pinned []string) error {
	offered, err := mcpserver.List(list, mode, pinned)
	if err != nil {
		return err
	}
	b, err := json.Marshal(offered)
	if err != nil {
		return err
	}
	how := "all"
	if mode.Searches(len(list)) {
		how = "search"
	}
	_, err = fmt.Fprintf(w, "a host lists %d tools (--mode %s), %d bytes (about %d tokens), exeat's own among them\n", len(offered), how, len(b), len(b)/4)
	return err
}

func findings(docs []*openapi.API) []openapi.Finding {
	all := []openapi.Finding{}
	for _, d := range docs {
		all = append(all, d.Findings...)
	}
	return all
}

func printFindings(w io.Writer, docs []*openapi.API) error {
	all := findings(docs)
	for _, f := range all {
		kind := "note"
		if f.LeftOut {
			kind = "left out"
		}
		if f.Operation != "" {
			kind += " " + f.Operation
		}
		fmt.Fprintf(w, "%s:%d:%d: %s: %s (%s)\n", f.File, f.Line, f.Column, kind, f.Message, f.Pointer)
	}
	_, err := fmt.Fprintf(w, "%d findings\n", len(all))
	return err
}

func oneLine(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	// What does not show in a terminal, or moves its cursor.
	_, err := w.Write(tools.EscapeJSON(b.Bytes(), func(r rune) bool { return !unicode.IsPrint(r) }))
	return err
}
