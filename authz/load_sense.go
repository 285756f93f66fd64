package authz

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"github.com/exeat/exeat/openapi/nearest"
)

// Cedar's validator takes "has" on any name, any path and any text, and a policy
// with a misspelt one is quietly never satisfied: a forbid would forbid nothing.
// So what can be true for no operation in a policy's scope is an error here,
// unless the policy says with @not_yet why it is there.

const notYetHint = `@not_yet("why") lets a policy speak of what the documents do not have`

// sense looks for such conditions in one policy.
type sense struct {
	*Engine
	p        *policy
	actions  []*action
	holds    []types.EntityUID // actions on holds
	problems []Problem
}

// checkSense checks every policy whose scope has an operation in it. One that does not
// validate is not blamed for deciding nothing as well.
func (e *Engine) checkSense(policies []*policy, invalid []Problem) []Problem {
	var problems []Problem
	wrong := map[string]bool{}
	for _, x := range invalid {
		wrong[x.Policy] = true
	}
	for _, p := range policies {
		s := &sense{Engine: e, p: p}
		s.actions, s.holds, _ = e.scope(p)
		if p.notYet {
			continue
		}
		s.scopeEntities()
		if len(s.actions)+len(s.holds) > 0 {
			for _, c := range p.ast.Conditions {
				ast.Inspect(ast.NewNode(c.Body), s.node)
			}
		}
		if len(s.problems) == 0 && !wrong[p.id] && len(s.actions) > 0 && len(s.holds) == 0 && !e.touchesAny(p) {
			s.problems = append(s.problems, p.problem("no call of any tool in its scope can meet this policy, so it decides nothing", notYetHint))
		}
		problems = append(problems, s.problems...)
	}
	return problems
}

// complain points at the first place in the policy where the word stands.
func (s *sense) complain(word, message, hint string) {
	x := s.p.problemAt(message, hint, []string{word})
	if !slices.ContainsFunc(s.problems, func(y Problem) bool { return y.Message == x.Message }) {
		s.problems = append(s.problems, x)
	}
}

// node looks at one node of a condition.
func (s *sense) node(n ast.IsNode) bool {
	if root, path, has, ok := chainOf(n); ok {
		if has {
			s.has(root, path)
		}
		return false
	}
	switch n := n.(type) {
	case ast.NodeTypeEquals:
		s.compare(n.Left, n.Right, true)
	case ast.NodeTypeNotEquals:
		s.compare(n.Left, n.Right, true)
	case ast.NodeTypeContains:
		s.compare(n.Left, n.Right, false)
	case ast.NodeTypeContainsAll:
		s.compare(n.Left, n.Right, false)
	case ast.NodeTypeContainsAny:
		s.compare(n.Left, n.Right, false)
	case ast.NodeTypeLike:
		s.like(n)
	case ast.NodeTypeIn:
		s.within(n.Left, n.Right)
	case ast.NodeTypeIs:
		s.is(n.Left, n.EntityType)
	case ast.NodeTypeIsIn:
		s.is(n.Left, n.EntityType)
		s.within(n.Left, n.Entity)
	case ast.NodeTypeHasTag:
		s.complain("hasTag", "nothing has tags here, so the condition decides nothing", "exeat policy schema prints what can be asked")
	}
	return true
}

// roots are the types that a variable has for the actions in scope. They are made
// one by one, as there may be thousands.
func (s *sense) roots(name string) iter.Seq[resolved.RecordType] {
	return func(yield func(resolved.RecordType) bool) {
		switch name {
		case "context":
			for _, a := range s.actions {
				if !yield(callContext(a.input)) {
					return
				}
			}
			for _, uid := range s.holds {
				if !yield(holdContext(uid)) {
					return
				}
			}
		case "principal":
			yield(identityShape)
		case "resource":
			if len(s.holds) > 0 {
				yield(sharedEntities()[holdType].Shape)
			}
		}
	}
}

// shapeAt is the record that a path leads to, through entities as well.
func shapeAt(r resolved.RecordType, path []string) (resolved.RecordType, bool) {
	for _, name := range path {
		attr, ok := r[types.String(name)]
		if !ok {
			return nil, false
		}
		switch t := attr.Type.(type) {
		case resolved.RecordType:
			r = t
		case resolved.EntityType:
			r = sharedEntities()[types.EntityType(t)].Shape
		default:
			return nil, false
		}
	}
	return r, true
}

// has looks at a question whether something has an attribute.
func (s *sense) has(root string, path []string) {
	base, name := path[:len(path)-1], path[len(path)-1]
	var names []string
	for r := range s.roots(root) {
		shape, ok := shapeAt(r, base)
		if !ok {
			continue
		}
		if _, ok := shape[types.String(name)]; ok {
			return
		}
		for n := range shape {
			names = append(names, string(n))
		}
	}
	of := strings.Join(append([]string{root}, base...), ".")
	hint := "exeat policy schema prints what can be asked"
	if note := s.note(base, name); note != "" {
		hint = "the document has it, but policies cannot ask about it: " + note
	} else if near := nearest.Find(name, sortUnique(names), slack(name), nil); near != "" {
		hint = "did you mean " + near + "?"
	}
	s.complain(name, fmt.Sprintf("%s never has %q for any tool that this policy is about, so the condition decides nothing", of, name), hint)
}

// slack is how many letters of a word may be wrong: two, if there are as many
// others.
func slack(word string) int { return min(2+len(word)/9, len(word)/2) }

// note is what is said in the schema of an argument that could not be typed.
func (s *sense) note(base []string, name string) string {
	if len(base) == 0 || base[0] != "input" {
		return ""
	}
	pointer := unheld{path: append(slices.Clone(base), name)}.pointer()
	for _, a := range s.actions {
		for _, n := range a.notes {
			if at, why, ok := strings.Cut(n, ": "); ok && at == pointer {
				return why
			}
		}
	}
	return ""
}
