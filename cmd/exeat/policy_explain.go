package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/tools"
)

// supposed is what `exeat policy explain` takes to be so.
type supposed struct {
	agent    string
	verified bool
	usage    map[string]int64
	at       string
	approved string
	approver string
	groups   []string // of the approver
	after    []string // who approved before
	passkey  bool
}

func policyExplainCmd() *cobra.Command {
	f := flags{needsNoCalling: true}
	var asJSON bool
	var s supposed
	cmd := &cobra.Command{
		Use:   "explain SPEC TOOL ARGS-JSON",
		Short: "Say how a call would be decided, by which policies, and what would change it",
		Long: `Say how a call would be decided, by which policies, and what would change it.
Nothing is sent or recorded, and no database is read: the hour, the calls before
and an approval are what the flags say.

The exit code is 0 if the call goes or waits for a person, and 1 if it is denied.`,
		Example: `  exeat policy explain --user alice petstore.yaml delete_pet '{"petId": 42}'
  exeat policy explain --user alice --group admins --policy policies/ petstore.yaml delete_pet '{"petId": 42}'
  exeat policy explain --user alice --approved once --approver bob petstore.yaml delete_pet '{"petId": 42}'
  exeat policy explain --user alice --usage hour=5,write.day=40 --at 2026-11-28T18:30:00Z petstore.yaml create_pet '{"body": {"name": "Ada"}}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			specs, rest, err := f.specThen(args, "TOOL", "ARGS-JSON")
			if err != nil {
				return err
			}
			if f.user == "" {
				return errors.New(`required flag "user" not set: decide for whom?`)
			}
			cfg, docs, engine, err := f.compile(cmd, specs)
			if err != nil {
				return err
			}
			req, err := explainRequest(cfg, docs, s, rest[0], rest[1])
			if err != nil {
				return err
			}
			x := engine.Explain(req)
			if !engine.Visible(req.API, req.Action, req.Principal, req.Agent, req.Session, req.Now) {
				x.Changes = append(x.Changes, "until then agents are not shown this tool, and are told that there is none of this name")
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), x)
			} else {
				err = printExplanation(cmd.OutOrStdout(), req, x)
			}
			if err == nil && x.Decision.Outcome == authz.Deny {
				err = exitError{code: 1}
			}
			return err
		},
	}
	f.documents(cmd)
	f.policies(cmd)
	s.flags(cmd, &f)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the explanation as JSON, with the Cedar request")
	return cmd
}

func (s *supposed) flags(cmd *cobra.Command, f *flags) {
	fs := cmd.Flags()
	fs.StringVar(&f.user, "user", "", "decide for the principal `NAME`")
	fs.StringVar(&f.user, "as", "", "the same as --user")
	fs.MarkHidden("as")
	fs.StringArrayVar(&f.groups, "group", nil, "put the principal into the group `NAME` (repeatable)")
	fs.StringVar(&s.agent, "agent", "exeat-explain", "decide for the agent `NAME`")
	fs.BoolVar(&s.verified, "agent-verified", false, "take the agent's name for verified")
	fs.StringToInt64Var(&s.usage, "usage", nil, "suppose so many calls before, as `SPAN=N`: minute, hour, day, or of wider counts write.hour, api.day, agent.minute (repeatable)")
	fs.StringVar(&s.at, "at", "", "decide at the `TIME` (RFC 3339) instead of now")
	fs.StringVar(&s.approved, "approved", "", "suppose an approval: `once` or grant")
	fs.StringVar(&s.approver, "approver", "", "with --approved: the person who gave it, `NAME` (default: the principal)")
	fs.StringArrayVar(&s.groups, "approver-group", nil, "with --approver: put that person into the group `NAME` (repeatable)")
	fs.StringArrayVar(&s.after, "approved-before", nil, "with --approved: who approved before, in their order, `NAME=GROUP,…` (repeatable)")
	fs.BoolVar(&s.passkey, "passkey", false, "with --approved: it was signed with a passkey")
}

// explainRequest is the decision that a call with these arguments asks for.
func explainRequest(cfg config, docs []*openapi.API, s supposed, tool, args string) (authz.Query, error) {
	var apis []*tools.API
	for _, d := range docs {
		apis = append(apis, &tools.API{Document: d})
	}
	t, err := findTool(tools.FromAPIs(apis, cfg.offer()), tool)
	if err != nil {
		return authz.Query{}, err
	}
	op := t.Operation()
	parsed, err := op.Parse([]byte(args))
	if err != nil {
		return authz.Query{}, err
	}
	if op.API.BaseURL == "" {
		// The path is the same wherever the API is.
		op.API.BaseURL = "http://localhost"
	}
	req, err := op.Encode(parsed)
	if err != nil {
		return authz.Query{}, err
	}
	r := authz.Query{API: op.API.Name, Action: op.Name, Principal: principal(cfg), Agent: authz.Agent{ID: s.agent, Verified: s.verified},
		Session: authz.Session{ID: "explain", Transport: "stdio"}, Now: now(), Path: req.Path, Input: parsed.Value()}
	return r, s.apply(&r)
}

// apply puts into a call what is supposed of it.
func (s *supposed) apply(r *authz.Query) error {
	if s.at != "" {
		at, err := time.Parse(time.RFC3339Nano, s.at)
		if err != nil {
			return fmt.Errorf("--at %q is not a time like 2026-11-28T18:30:00Z", s.at)
		}
		r.Now = at
	}
	for span, n := range s.usage {
		count := spanOf(&r.Usage, span)
		if count == nil || n < 0 {
			return fmt.Errorf("--usage %s=%d: write minute, hour or day, or one of them behind read., write., delete., api. or agent., and a number", span, n)
		}
		*count = n
	}
	switch {
	case s.approved == "" && (s.approver != "" || s.groups != nil || s.after != nil || s.passkey):
		return errors.New("an approver needs an approval: add --approved once or --approved grant")
	case s.approved == "":
		return nil
	case s.approved != "once" && s.approved != "grant":
		return fmt.Errorf("--approved %q: it is once or grant", s.approved)
	}
	by := authz.Principal{Type: "User", ID: s.approver, Groups: s.groups}
	if s.approver == "" {
		by = r.Principal
	}
	given := func(by authz.Principal) authz.ApprovalContext {
		return authz.ApprovalContext{By: by, Once: s.approved == "once", At: r.Now, Expires: r.Now.Add(time.Minute), PhishingResistant: s.passkey}
	}
	for _, text := range s.after {
		name, groups, _ := strings.Cut(text, "=")
		who := authz.Principal{Type: "User", ID: name}
		if groups != "" {
			who.Groups = strings.Split(groups, ",")
		}
		r.Earlier = append(r.Earlier, given(who))
	}
	last := given(by)
	r.Approval = &last
	return nil
}

// spanOf is the count that a name like write.hour means, or nil.
func spanOf(u *authz.Usage, name string) *int64 {
	of, span, wide := strings.Cut(name, ".")
	if !wide {
		return map[string]*int64{"minute": &u.Minute, "hour": &u.Hour, "day": &u.Day}[name]
	}
	c := map[string]*authz.Counts{"read": &u.Read, "write": &u.Write, "delete": &u.Delete, "api": &u.API, "agent": &u.Agent}[of]
	if c == nil {
		return nil
	}
	return map[string]*int64{"minute": &c.Minute, "hour": &c.Hour, "day": &c.Day}[span]
}

func findTool(list []*tools.Tool, name string) (*tools.Tool, error) {
	var names []string
	for _, t := range list {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	if s := nearestWord(name, names); s != "" {
		return nil, fmt.Errorf("there is no tool %q; did you mean %q?", name, s)
	}
	return nil, fmt.Errorf("there is no tool %q; exeat tools SPEC lists them", name)
}

func printExplanation(w io.Writer, r authz.Query, x authz.Explanation) error {
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
