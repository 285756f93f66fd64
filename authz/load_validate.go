package authz

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/exeat/exeat/openapi/nearest"
)

// checker validates policies. Checking every policy against every action is
// quadratic, so a policy is checked against as few actions as can differ for it.
type checker struct {
	*Engine
	validators map[string]*validate.Validator // by the actions of their schema
	whole      *validate.Validator            // made when first needed
	known      []string                       // names to suggest, likewise
	texts      map[*inputType]string          // types of arguments as text
}

// checkPolicies validates each policy strictly against the actions in its scope.
func (e *Engine) checkPolicies(policies []*policy) []Problem {
	c := &checker{Engine: e, validators: map[string]*validate.Validator{}, texts: map[*inputType]string{}}
	var problems []Problem
	for _, p := range policies {
		actions, holds, groups := e.scope(p)
		if len(actions) == 0 && len(holds) == 0 && groups {
			continue // these documents have, say, no deletes: nothing is wrong with it
		}
		if c.validator(c.representatives(p, actions), holds).Policy(p.id, p.ast) == nil {
			continue
		}
		// A condition may name other actions than the scope does.
		if c.whole == nil {
			c.whole = validate.New(e.schemaFor(e.actions, holdActions))
		}
		if err := c.whole.Policy(p.id, p.ast); err != nil {
			problems = append(problems, c.problems(p, err)...)
		}
	}
	return problems
}

func (c *checker) validator(actions []*action, holds []types.EntityUID) *validate.Validator {
	var key strings.Builder
	fmt.Fprint(&key, holds)
	for _, a := range actions {
		key.WriteString(" " + a.uid.String())
	}
	v := c.validators[key.String()]
	if v == nil {
		v = validate.New(c.schemaFor(actions, holds))
		c.validators[key.String()] = v
	}
	return v
}

// reads is what a policy's text can look at, more rather than less.
type reads struct {
	actions bool            // the action, or the context as a whole
	words   map[string]bool // every word, so every argument that it can name
}

var (
	word        = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
	knownAccess = regexp.MustCompile(`context(\.| has )(agent|session|usage|now|approvals?|input|rounded)\b`)
	bareInput   = regexp.MustCompile(`context\.(?:input|rounded)\b(?:[^.\[ ]| [^h]|$)`)
	literal     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

// readBy finds what a policy in Cedar's own formatting reads. The scope says
// "action" once.
func readBy(text string) reads {
	r := reads{words: map[string]bool{}}
	for _, w := range word.FindAllString(text, -1) {
		r.words[w] = true
	}
	for _, l := range literal.FindAllString(text, -1) {
		r.words[l] = true
	}
	rest := knownAccess.ReplaceAllString(text, "")
	scope, conditions, _ := strings.Cut(rest, "\n)")
	r.actions = strings.Contains(scope, "context") || strings.Contains(conditions, "context") ||
		strings.Contains(conditions, "action") || bareInput.MatchString(text)
	return r
}

// representatives are the actions of a scope that can differ for the policy:
// one for each API and type of the arguments that it can name.
func (c *checker) representatives(p *policy, actions []*action) []*action {
	if p.reads.actions || len(actions) < 2 {
		return actions
	}
	var out []*action
	seen := map[string]bool{}
	for _, a := range actions {
		key := a.api
		for _, f := range a.input.fields {
			if p.reads.words[f.name] || p.reads.words[f.quoted] {
				key += fmt.Sprintf(" %q %t %s", f.name, f.required, c.text(f.typ))
			}
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, a)
		}
	}
	return out
}

func (c *checker) text(t *inputType) string {
	s, ok := c.texts[t]
	if !ok {
		s = typeText(t.cedar(), 0)
		c.texts[t] = s
	}
	return s
}

var (
	forPolicy = regexp.MustCompile("^\\s*for policy `[^`]*`, ")
	// inPlace is the part of a message that differs for each action or entity type.
	inPlace = regexp.MustCompile(" (?:in context for \\S+|on entity type `[^`]*`)")
)

const noAction = "unable to find an applicable action given the policy scope constraints"

// problems makes one problem of each thing that is wrong, however many actions
// it is wrong for.
func (c *checker) problems(p *policy, err error) []Problem {
	messages := messagesOf(err)
	if len(messages) > 1 {
		// What is not there has no applicable action either.
		messages = slices.DeleteFunc(messages, func(m string) bool { return m == noAction })
	}
	var out []Problem
	more := map[string]int{}
	at := map[string]int{}
	for _, m := range messages {
		kind := inPlace.ReplaceAllString(m, "")
		if _, ok := at[kind]; ok {
			more[kind]++
			continue
		}
		at[kind] = len(out)
		out = append(out, p.problemAt(plainTypes.Replace(m), c.hint(p, m), c.runsIn(p, m)...))
	}
	for kind, n := range more {
		out[at[kind]].Message += fmt.Sprintf(" (and %d more like it)", n)
	}
	return out
}

// messagesOf are the validator's messages without the policy's name.
func messagesOf(err error) []string {
	messages := []string{}
	for l := range strings.Lines(err.Error()) {
		messages = append(messages, forPolicy.ReplaceAllString(strings.TrimSpace(l), ""))
	}
	return sortUnique(messages)
}

// datesHint says what can be asked of texts, which dates and times are, too.
const datesHint = `a text has no order, not even a date's: compare it with == or like "2026-12-*"; datetime("2026-12-24") is an instant, and of the arguments those of the format date-time are`

var (
	quoted    = regexp.MustCompile("`([^`]+)`")
	inContext = regexp.MustCompile("attribute `([^`]+)` in context for (\\S+)")
	onEntity  = regexp.MustCompile("attribute `([^`]+)` on entity type `([^`]+)`")
)

// hint says what to do about the validator's message.
func (c *checker) hint(p *policy, message string) string {
	switch {
	case strings.Contains(message, `for Action::"see" not found`):
		return `this scope also covers the see action; write: action in Action::"call_tool", or action == Action::"approve"`
	case strings.Contains(message, `for Action::"approve" not found`):
		return `this scope also covers the approve action; write: action in Action::"call_tool"`
	case message == noAction:
		return "no tool takes this principal, action and resource together; exeat policy schema prints what there is"
	case strings.Contains(message, "unrecognized"):
		return c.suggestName(message)
	case strings.Contains(message, "optional attribute"):
		return askFirst(message)
	case strings.Contains(message, "not found"):
		return c.suggestAttribute(message)
	case strings.Contains(message, "AnyEntity"):
		return `in asks about entities; whether a text is one of several: ["a", "b"].contains(context.input.x)`
	case strings.Contains(message, "not compatible") && strings.Contains(message, string(workloadType)):
		return `a principal is a User or a Workload, which a set cannot mix; write: principal in [User::"a", User::"b"]`
	case strings.Contains(message, "datetime") && strings.Contains(message, "saw String"):
		return datesHint
	case strings.Contains(message, "decimal"):
		if path := c.comparedDecimal(p); path != nil {
			return "a decimal has methods, with decimals; write: context." + strings.Join(path, ".") + `.greaterThan(decimal("100.0")), or lessThan, lessThanOrEqual, greaterThanOrEqual, ==`
		}
	}
	return "exeat policy schema prints what can be asked"
}

// runsIn are the words of a policy that the validator's message is about.
func (c *checker) runsIn(p *policy, message string) [][]string {
	var runs [][]string
	if strings.Contains(message, "decimal") {
		if path := c.comparedDecimal(p); path != nil {
			runs = append(runs, path)
		}
	}
	if m := literal.FindString(message); m != "" && (strings.Contains(message, "unrecognized") || strings.Contains(message, "failed to parse")) {
		runs = append(runs, []string{strings.Trim(m, `"`)})
	}
	for _, m := range quoted.FindAllStringSubmatch(message, -1) {
		path := strings.FieldsFunc(m[1], func(r rune) bool { return r == '.' || r == ':' })
		if len(path) > 0 {
			runs = append(runs, path, path[len(path)-1:])
		}
	}
	if len(runs) == 0 {
		if path := c.culprit(p, message); path != nil {
			runs = append(runs, path)
		}
	}
	return runs
}

// plainTypes are the validator's own types as people would say them.
var plainTypes = strings.NewReplacer("Set<__cedar::internal::AnyEntity>, or __cedar::internal::AnyEntity", "an entity or a set of them",
	"__cedar::internal::AnyEntity", "an entity", "Set<__cedar::internal::Any>", "a set")

// comparedDecimal is the path, below context, of a decimal that a policy compares
// with something that is none.
func (c *checker) comparedDecimal(p *policy) []string {
	actions, _, _ := c.scope(p)
	var found []string
	for _, condition := range p.ast.Conditions {
		ast.Inspect(ast.NewNode(condition.Body), func(n ast.IsNode) bool {
			for _, side := range operands(n) {
				root, path, has, ok := chainOf(side)
				if found != nil || !ok || has || root != "context" || len(path) < 2 || path[0] != "input" {
					continue
				}
				if slices.ContainsFunc(actions, func(a *action) bool { t := a.input.at(path[1:]); return t != nil && t.kind == kindDecimal }) {
					found = path
				}
			}
			return true
		})
	}
	return found
}

// operands are the sides of a comparison, or the arguments of a method of
// decimals that gets another type.
func operands(n ast.IsNode) []ast.IsNode {
	switch n := n.(type) {
	case ast.NodeTypeLessThan:
		return []ast.IsNode{n.Left, n.Right}
	case ast.NodeTypeLessThanOrEqual:
		return []ast.IsNode{n.Left, n.Right}
	case ast.NodeTypeGreaterThan:
		return []ast.IsNode{n.Left, n.Right}
	case ast.NodeTypeGreaterThanOrEqual:
		return []ast.IsNode{n.Left, n.Right}
	case ast.NodeTypeEquals:
		return []ast.IsNode{n.Left, n.Right}
	case ast.NodeTypeNotEquals:
		return []ast.IsNode{n.Left, n.Right}
	case ast.NodeTypeExtensionCall:
		return n.Args
	}
	return nil
}

// suggestName finds the action or entity type that was probably meant.
func (c *checker) suggestName(message string) string {
	if c.known == nil {
		for uid := range c.byUID {
			c.known = append(c.known, uid.String())
		}
		for uid := range c.groups {
			c.known = append(c.known, uid.String())
		}
		for t := range c.schemaFor(nil, nil).Entities {
			c.known = append(c.known, string(t))
		}
		c.known = append(c.known, approveAction.String(), seeAction.String())
		slices.Sort(c.known)
	}
	for _, m := range quoted.FindAllStringSubmatch(message, -1) {
		// The name may be right and the namespace missing.
		for _, k := range c.known {
			if strings.HasSuffix(k, "::"+m[1]) {
				return "did you mean " + k + "?"
			}
		}
		if s := nearest.Find(m[1], c.known, 3+len(m[1])/4, nil); s != "" {
			return "did you mean " + s + "?"
		}
	}
	return "exeat policy schema prints what there is"
}

// askFirst says how an attribute that may be absent is used.
func askFirst(message string) string {
	of, path := "principal", ""
	if m := inContext.FindStringSubmatch(message); m != nil {
		of, path = "context", m[1]
	} else if m := onEntity.FindStringSubmatch(message); m != nil {
		path = m[1]
	}
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		of, path = of+"."+path[:i], path[i+1:]
	}
	if path == "" || strings.ContainsAny(path, "[") {
		return "it may be absent; ask with has first"
	}
	return fmt.Sprintf("it may be absent; write: %s has %s && …", of, path)
}

// suggestAttribute finds the attribute that was probably meant.
func (c *checker) suggestAttribute(message string) string {
	var name string
	var names []string
	if m := inContext.FindStringSubmatch(message); m != nil {
		for _, a := range c.actions {
			if a.uid.String() == m[2] {
				name, names = m[1], attributes(callContext(a.input))
			}
		}
	} else if m := onEntity.FindStringSubmatch(message); m != nil {
		name, names = m[1], attributes(sharedEntities()[types.EntityType(m[2])].Shape)
	}
	if s := nearest.Find(name, names, cmp.Or(min(3, len(name)/3), 1), nil); s != "" {
		return "did you mean " + s + "?"
	}
	return "exeat policy schema prints what can be asked"
}

// attributes are all names in a record and in the records in it.
func attributes(r resolved.RecordType) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		names = append(names, string(name))
		t := r[name].Type
		for set, ok := t.(resolved.SetType); ok; set, ok = t.(resolved.SetType) {
			t = set.Element
		}
		if inner, ok := t.(resolved.RecordType); ok {
			names = append(names, attributes(inner)...)
		}
	}
	return names
}
