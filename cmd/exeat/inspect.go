package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz"
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

func policyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check policies, print their schema, explain a decision",
	}
	cmd.AddCommand(policyCheckCmd(), policySchemaCmd(), policyExplainCmd())
	return cmd
}

// compile loads documents and policies.
func (f *flags) compile(cmd *cobra.Command, specs []string) (config, []*openapi.API, *authz.Engine, error) {
	cfg, err := f.config(specs)
	if err != nil {
		return cfg, nil, nil, err
	}
	docs, err := loadDocs(cmd.Context(), cfg)
	if err != nil {
		return cfg, nil, nil, err
	}
	engine, err := newEngine(cfg, docs)
	return cfg, docs, engine, err
}

func policyCheckCmd() *cobra.Command {
	f := flags{needsNoCalling: true}
	cmd := &cobra.Command{
		Use:   "check SPEC...",
		Short: "Check policies against the documents' schema",
		Long: `Check Cedar policies strictly against the schema that the documents give, as a
start would. Every problem is printed with file:line:column.`,
		Example: `  exeat policy check --policy policies/ petstore.yaml`,
		RunE: func(cmd *cobra.Command, specs []string) error {
			_, docs, engine, err := f.compile(cmd, specs)
			if err != nil {
				return err
			}
			n := 0
			for _, d := range docs {
				n += len(d.Operations)
			}
			for _, w := range engine.Warnings() {
				fmt.Fprintln(cmd.ErrOrStderr(), "exeat: warning:", w)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "ok: %d policies over %d actions, policy set %.12s\n", engine.Policies(), n, engine.Digest())
			return err
		},
	}
	f.documents(cmd)
	f.policies(cmd)
	return cmd
}

func policySchemaCmd() *cobra.Command {
	f := flags{needsNoCalling: true}
	cmd := &cobra.Command{
		Use:     "schema SPEC...",
		Short:   "Print the Cedar schema that policies are checked against",
		Example: `  exeat policy schema petstore.yaml > petstore.cedarschema`,
		RunE: func(cmd *cobra.Command, specs []string) error {
			_, _, engine, err := f.compile(cmd, specs)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(engine.Schema())
			return err
		},
	}
	f.documents(cmd)
	return cmd
}

func policyExplainCmd() *cobra.Command {
	f := flags{needsNoCalling: true}
	var asJSON bool
	var as, agent string
	cmd := &cobra.Command{
		Use:   "explain SPEC TOOL ARGS-JSON",
		Short: "Say how a call would be decided, by which policies, and what would change it",
		Example: `  exeat policy explain --as alice petstore.yaml delete_pet '{"petId": 42}'
  exeat policy explain --as alice --group admins --policy policies/ petstore.yaml delete_pet '{"petId": 42}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			specs, rest, err := f.specThen(args, "TOOL", "ARGS-JSON")
			if err != nil {
				return err
			}
			f.user = as
			cfg, docs, engine, err := f.compile(cmd, specs)
			if err != nil {
				return err
			}
			req, err := explainRequest(cfg, docs, agent, rest[0], rest[1])
			if err != nil {
				return err
			}
			x := engine.Explain(req)
			if asJSON {
				return printJSON(cmd.OutOrStdout(), x)
			}
			return printExplanation(cmd.OutOrStdout(), req, x)
		},
	}
	f.documents(cmd)
	f.policies(cmd)
	fs := cmd.Flags()
	fs.StringVar(&as, "as", "", "decide for the principal `USER`")
	fs.StringArrayVar(&f.groups, "group", nil, "put the principal into the group `NAME` (repeatable)")
	fs.StringVar(&agent, "agent", "exeat-explain", "decide for the agent `NAME`")
	fs.BoolVar(&asJSON, "json", false, "print the explanation as JSON, with the Cedar request")
	cmd.MarkFlagRequired("as")
	return cmd
}

// explainRequest is the decision that a call with these arguments asks for.
func explainRequest(cfg config, docs []*openapi.API, agent, tool, args string) (authz.Request, error) {
	var apis []*tools.API
	for _, d := range docs {
		apis = append(apis, &tools.API{Document: d})
	}
	t, err := findTool(tools.FromAPIs(apis, cfg.offer()), tool)
	if err != nil {
		return authz.Request{}, err
	}
	op := t.Operation()
	parsed, err := op.Parse([]byte(args))
	if err != nil {
		return authz.Request{}, err
	}
	if op.API.BaseURL == "" {
		// The path is the same wherever the API is.
		op.API.BaseURL = "http://localhost"
	}
	req, err := op.Encode(parsed)
	if err != nil {
		return authz.Request{}, err
	}
	return authz.Request{API: op.API.Name, Action: op.Name, Principal: principal(cfg), Agent: authz.Agent{ID: agent},
		Session: authz.Session{ID: "explain", Transport: "stdio"}, Now: now(), Path: req.Path, Input: parsed.Value()}, nil
}

func findTool(list []*tools.Tool, name string) (*tools.Tool, error) {
	var names []string
	for _, t := range list {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	if s := nearest(name, names); s != "" {
		return nil, fmt.Errorf("there is no tool %q; did you mean %q?", name, s)
	}
	return nil, fmt.Errorf("there is no tool %q; exeat tools SPEC lists them", name)
}

func printExplanation(w io.Writer, r authz.Request, x authz.Explanation) error {
	d := x.Decision
	fmt.Fprintf(w, "%s  %s on %s as %s\n", strings.ToUpper(string(d.Outcome)), r.Action, r.Path, r.Principal.ID)
	fmt.Fprintf(w, "  %s\n", d.Reason)
	for _, e := range d.Errors {
		fmt.Fprintf(w, "  error: %s\n", e)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(x.Considered) > 0 {
		fmt.Fprintln(t, "\nPOLICY\tEFFECT\tOUTCOME\tWHERE")
	}
	for _, p := range x.Considered {
		mark := ""
		if slices.Contains(d.Policies, p.ID) {
			mark = " (decided)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s%s\t%s:%d\n", p.ID, p.Effect, p.Outcome, mark, p.File, p.Line)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(x.Changes) > 0 {
		fmt.Fprintln(w, "\nWhat would change it:")
	}
	for _, c := range x.Changes {
		fmt.Fprintf(w, "  - %s\n", c)
	}
	return nil
}
