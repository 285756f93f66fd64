package authz

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

// policy is one compiled policy.
type policy struct {
	id          string
	file        string
	line        int
	column      int
	cedar       *cedar.Policy
	ast         *ast.Policy
	permit      bool
	obligations Obligations
	usesUsage   bool
}

func (e *LoadError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
		if p.Hint != "" {
			b.WriteString("; " + p.Hint)
		}
	}
	return b.String()
}

// parsePolicies reads all files and notes every problem.
func parsePolicies(files []PolicyFile) ([]*policy, []Problem) {
	var all []*policy
	var problems []Problem
	seen := map[string]*policy{}
	for _, f := range files {
		list, err := cedar.NewPolicyListFromBytes(f.Name, f.Text)
		if err != nil {
			problems = append(problems, parseProblem(f.Name, err))
			continue
		}
		for _, c := range list {
			p, bad := newPolicy(f.Name, c)
			problems = append(problems, bad...)
			if other, ok := seen[p.id]; ok {
				problems = append(problems, p.problem(fmt.Sprintf("the id %q is taken by the policy at %s:%d", p.id, other.file, other.line), "give each policy an @id of its own"))
				continue
			}
			seen[p.id] = p
			all = append(all, p)
		}
	}
	return all, problems
}

func (p *policy) problem(message, hint string) Problem {
	return Problem{File: p.file, Line: p.line, Column: p.column, Policy: p.id, Message: message, Hint: hint}
}

var parsePosition = regexp.MustCompile(`(?:<input>|at|:) ?(\d+):(\d+)`)

// parseProblem finds the position in the parser's message.
func parseProblem(file string, err error) Problem {
	p := Problem{File: file, Line: 1, Column: 1, Message: err.Error()}
	if m := parsePosition.FindStringSubmatch(p.Message); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Column, _ = strconv.Atoi(m[2])
	}
	if i := strings.LastIndex(p.Message, ": "); i >= 0 && strings.Contains(p.Message[:i], "parse error") {
		p.Message = "cannot be parsed: " + p.Message[i+2:]
	}
	p.Hint = "see docs.cedarpolicy.com for the syntax"
	return p
}

func newPolicy(file string, c *cedar.Policy) (*policy, []Problem) {
	pos := c.Position()
	p := &policy{file: file, line: pos.Line, column: pos.Column, cedar: c, ast: (*ast.Policy)(c.AST()), permit: c.Effect() == cedar.Permit}
	annotations := c.Annotations()
	p.id = string(annotations["id"])
	if p.id == "" {
		p.id = fmt.Sprintf("%s:%d", file, pos.Line)
		if pos.Column > 1 {
			p.id += fmt.Sprintf(":%d", pos.Column)
		}
	}
	text := string(c.MarshalCedar())
	p.usesUsage = strings.Contains(text, "usage")
	var problems []Problem
	for key, value := range annotations {
		if err := p.annotate(string(key), string(value)); err != nil {
			problems = append(problems, p.problem(fmt.Sprintf("@%s: %v", key, err), ""))
		}
	}
	return p, problems
}

// vocabulary are the annotations that mean something here.
var vocabulary = []string{"id", "description", "token_ttl", "grant_max", "redact"}

// maxTokenTTL is the longest life of a token that a policy may ask for.
const maxTokenTTL = time.Minute

func (p *policy) annotate(key, value string) error {
	switch key {
	case "id":
		if value == "" || len(value) > 100 {
			return errors.New("an id has 1 to 100 characters")
		}
	case "token_ttl":
		d, err := time.ParseDuration(value)
		if err != nil || d < time.Second || d > maxTokenTTL {
			return fmt.Errorf("%q is not a time from 1s to 60s, like \"30s\"", value)
		}
		p.obligations.TokenTTL = d
	case "grant_max":
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is not a time like \"20m\"", value)
		}
		p.obligations.GrantMax = d
	case "redact":
		for pointer := range strings.SplitSeq(value, ",") {
			pointer = strings.TrimSpace(pointer)
			if !strings.HasPrefix(pointer, "/") {
				return fmt.Errorf("%q is not a JSON Pointer: it begins with /", pointer)
			}
			p.obligations.Redact = append(p.obligations.Redact, pointer)
		}
	default:
		// Somebody else's annotations are fine; a misspelt one of ours would
		// quietly lose what it asks for.
		if s := nearest(key, vocabulary, 2); s != "" || strings.HasPrefix(key, "exeat") {
			return fmt.Errorf("there is no such annotation; did you mean one of @%s?", strings.Join(vocabulary, ", @"))
		}
	}
	if key != "id" && key != "description" && !p.permit && slices.Contains(vocabulary, key) {
		return errors.New("only a permit can carry this")
	}
	return nil
}

// checkPolicies validates each policy strictly against the actions in its scope.
func (e *Engine) checkPolicies() []Problem {
	var problems []Problem
	full := sync1(func() *validate.Validator { return validate.New(e.schemaFor(e.actions, true)) })
	single := map[*action]*validate.Validator{}
	for _, p := range e.policies {
		actions, approve, groups := e.scope(p)
		if len(actions) == 0 && !approve && groups {
			continue // these documents have, say, no deletes: nothing is wrong with it
		}
		v := full
		if len(actions) == 1 && !approve {
			a := actions[0]
			v = func() *validate.Validator {
				if single[a] == nil {
					single[a] = validate.New(e.schemaFor([]*action{a}, true))
				}
				return single[a]
			}
		}
		if err := v().Policy(p.id, p.ast); err != nil {
			// A condition may name other actions than the scope does.
			if err = full().Policy(p.id, p.ast); err != nil {
				problems = append(problems, p.problem(trimValidation(err.Error()), e.hint(err.Error())))
			}
		}
	}
	return problems
}

// sync1 makes a value on first use.
func sync1[T any](f func() T) func() T {
	var v T
	var made bool
	return func() T {
		if !made {
			v, made = f(), true
		}
		return v
	}
}

var forPolicy = regexp.MustCompile("^\\s*for policy `[^`]*`, ")

// trimValidation makes one line of the validator's, without the policy's id,
// which the problem names anyway.
func trimValidation(s string) string {
	var parts []string
	for line := range strings.Lines(s) {
		if part := forPolicy.ReplaceAllString(strings.TrimSpace(line), ""); !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}

var quoted = regexp.MustCompile("`([^`]+)`")

// hint suggests the known action or entity type that a message probably means.
func (e *Engine) hint(message string) string {
	if strings.Contains(message, `for Action::"approve" not found`) {
		return `this scope also covers the approve action; write: action in Action::"call_tool"`
	}
	if !strings.Contains(message, "unrecognized") {
		return "exeat policy schema prints what can be asked"
	}
	var known []string
	for uid := range e.byUID {
		known = append(known, quoteUID(uid))
	}
	for uid := range e.groups {
		known = append(known, quoteUID(uid))
	}
	for t := range e.schemaFor(nil, true).Entities {
		known = append(known, string(t))
	}
	known = append(known, quoteUID(approveAction))
	slices.Sort(known)
	for _, m := range quoted.FindAllStringSubmatch(message, -1) {
		// The name may be right and the namespace missing.
		for _, k := range known {
			if strings.HasSuffix(k, "::"+m[1]) {
				return "did you mean " + k + "?"
			}
		}
		if s := nearest(m[1], known, 3+len(m[1])/4); s != "" {
			return "did you mean " + s + "?"
		}
	}
	return "exeat policy schema prints what there is"
}

// nearest returns the candidate within a distance of word, or "".
func nearest(word string, candidates []string, within int) string {
	best := ""
	for _, c := range candidates {
		if c == word {
			continue
		}
		if d := levenshtein.ComputeDistance(word, c); d <= within && (best == "" || d < within) {
			best, within = c, d
		}
	}
	return best
}
