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
	approve  bool
	problems []Problem
}

// checkSense checks every policy whose scope has an operation in it.
func (e *Engine) checkSense(policies []*policy) []Problem {
	var problems []Problem
	for _, p := range policies {
		s := &sense{Engine: e, p: p}
		s.actions, s.approve, _ = e.scope(p)
		if p.notYet {
			continue
		}
		s.scopePaths()
		if len(s.actions) > 0 || s.approve {
			for _, c := range p.ast.Conditions {
				ast.Inspect(ast.NewNode(c.Body), s.node)
			}
		}
		if len(s.problems) == 0 && len(s.actions) > 0 && !s.approve && !e.touchesAny(p) {
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
	case ast.NodeTypeIn:
		for _, uid := range entitiesOf(n.Right) {
			s.place(uid, false)
		}
	case ast.NodeTypeIsIn:
		for _, uid := range entitiesOf(n.Entity) {
			s.place(uid, false)
		}
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
			if s.approve {
				yield(approveContext)
			}
		case "principal":
			yield(identityShape)
		case "resource":
			if s.approve {
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

// compare looks at a comparison of an attribute with texts or entities.
func (s *sense) compare(left, right ast.IsNode, equal bool) {
	for _, sides := range [][2]ast.IsNode{{left, right}, {right, left}} {
		for _, uid := range entitiesOf(sides[1]) {
			s.place(uid, equal)
		}
		root, path, has, ok := chainOf(sides[0])
		if !ok || has {
			continue
		}
		for _, text := range textsIn(sides[1]) {
			s.text(root, path, text)
		}
	}
}

// text looks at a text that an attribute is compared with.
func (s *sense) text(root string, path []string, text string) {
	var all []string
	known := false
	for _, values := range s.valuesOf(root, path) {
		if values == nil || slices.Contains(values, text) {
			return
		}
		known = true
		all = append(all, values...)
	}
	if !known {
		return
	}
	all = sortUnique(all)
	hint := "it is one of " + strings.Join(all[:min(len(all), 10)], ", ")
	if near := nearest.Find(text, all, slack(text), nil); near != "" {
		hint = "did you mean " + cedarString(near) + "?"
	}
	s.complain(text, fmt.Sprintf("%s is never %s", strings.Join(append([]string{root}, path...), "."), cedarString(text)), hint)
}

// valuesOf lists, for each action in scope that has the attribute, the texts that
// it can be; nil stands for any.
func (s *sense) valuesOf(root string, path []string) [][]string {
	var out [][]string
	switch at := strings.Join(path, "."); {
	case root == "context" && at == "session.transport":
		return [][]string{{"http", "stdio"}}
	case root == "resource" && at == "effect":
		return [][]string{{"delete", "read", "write"}}
	case root == "resource" && at == "api":
		return [][]string{s.apis}
	case root == "resource" && at == "action":
		var names []string
		for _, a := range s.Engine.actions {
			names = append(names, a.Name)
		}
		return [][]string{names}
	case root == "context" && len(path) > 1 && path[0] == "input":
		for _, a := range s.actions {
			t := a.input.at(path[1:])
			if t != nil && t.kind == kindSet {
				t = t.elem
			}
			if t != nil {
				out = append(out, t.enum)
			}
		}
	}
	return out
}

// textsIn are the texts of a literal: one, or those of a set.
func textsIn(n ast.IsNode) []string {
	var out []string
	for _, v := range literals(n) {
		if text, ok := v.(types.String); ok {
			out = append(out, string(text))
		}
	}
	return out
}

func entitiesOf(n ast.IsNode) []types.EntityUID {
	var out []types.EntityUID
	for _, v := range literals(n) {
		if uid, ok := v.(types.EntityUID); ok {
			out = append(out, uid)
		}
	}
	return out
}

// literals are the values that stand in the policy itself: one, or a set's.
func literals(n ast.IsNode) []types.Value {
	switch n := n.(type) {
	case ast.NodeValue:
		if set, ok := n.Value.(types.Set); ok {
			return set.Slice()
		}
		return []types.Value{n.Value}
	case ast.NodeTypeSet:
		var out []types.Value
		for _, x := range n.Elements {
			if v, ok := x.(ast.NodeValue); ok {
				out = append(out, v.Value)
			}
		}
		return out
	}
	return nil
}

// scopePaths looks at the resource that a policy's scope names.
func (s *sense) scopePaths() {
	switch r := s.p.ast.Resource.(type) {
	case ast.ScopeTypeEq:
		s.place(r.Entity, true)
	case ast.ScopeTypeIn:
		s.place(r.Entity, false)
	case ast.ScopeTypeIsIn:
		s.place(r.Entity, false)
	}
}

// place looks at a path or an API that a policy names.
func (s *sense) place(uid types.EntityUID, equal bool) {
	id := string(uid.ID)
	if uid.Type == apiType {
		if !slices.Contains(s.apis, id) {
			hint := "there are " + strings.Join(s.apis, ", ")
			if near := nearest.Find(id, s.apis, slack(id), nil); near != "" {
				hint = "did you mean " + types.NewEntityUID(apiType, types.String(near)).String() + "?"
			}
			s.complain(id, fmt.Sprintf("there is no API %q", id), hint)
		}
		return
	}
	var paths []string
	known := false
	for _, a := range s.Engine.actions {
		if pathType(a.api) != uid.Type {
			continue
		}
		known = true
		if a.mayBeAt(id, equal) {
			return
		}
		for at := a.Path; len(at) > 1; at = at[:strings.LastIndexByte(at, '/')] {
			paths = append(paths, at)
		}
	}
	if !known {
		return // the validator knows the types
	}
	hint := notYetHint
	if near := nearest.Find(id, sortUnique(paths), slack(id), nil); near != "" {
		hint = "did you mean " + near + "? " + hint
	}
	s.complain(id, fmt.Sprintf("no operation has the path %s", id), hint)
}
