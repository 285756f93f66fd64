package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/openapi"
)

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
start would. Every problem is printed with file:line:column. Of each policy it is
said which operations it can decide about.`,
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
			for _, t := range engine.Touches() {
				fmt.Fprintf(cmd.OutOrStdout(), "%s:%d: %s %s: %s\n", t.File, t.Line, t.Effect, t.ID, touched(t))
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

// touched says in a few words what a policy can decide about.
func touched(t authz.Touched) string {
	text := fmt.Sprintf("%d operations: %s", len(t.Tools), someOf(t.Tools))
	var holds []string
	if t.Approve {
		holds = append(holds, "who may approve")
	}
	if t.See {
		holds = append(holds, "who may see what waits")
	}
	switch n := len(t.Tools); {
	case n == 0 && len(holds) > 0:
		return strings.Join(holds, " and ")
	case n == 0:
		return "no operation"
	case n == 1:
		text = "1 operation: " + t.Tools[0]
	}
	if len(holds) > 0 {
		text += "; and " + strings.Join(holds, " and ")
	}
	return text
}

// someOf names the first few of a list.
func someOf(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
