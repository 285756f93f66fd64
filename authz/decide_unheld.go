package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// use is a value in the context that a policy asks for, as far as its text says.
type use struct {
	path []string // below context
	has  bool     // it asks only whether the value is there
}

// usesOf are all uses in a policy's conditions.
func usesOf(p *ast.Policy) []use {
	var uses []use
	for _, c := range p.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			if root, path, has, ok := chainOf(n); ok {
				if root == "context" {
					uses = append(uses, use{path, has})
				}
				return false
			}
			return true
		})
	}
	return uses
}

// asks reports whether one of the uses is of an entry of the context, or of all.
func asks(uses []use, entry string) bool {
	return slices.ContainsFunc(uses, func(u use) bool { return len(u.path) == 0 || u.path[0] == entry })
}

// chainOf reads context.input.a.b, and context.input.a has b, as a path from a
// variable.
func chainOf(n ast.IsNode) (root string, path []string, has, ok bool) {
	if h, isHas := n.(ast.NodeTypeHas); isHas {
		root, path, has, ok = chainOf(h.Arg)
		return root, append(path, string(h.Value)), true, ok && !has
	}
	switch n := n.(type) {
	case ast.NodeTypeAccess:
		root, path, has, ok = chainOf(n.Arg)
		return root, append(path, string(n.Value)), false, ok && !has
	case ast.NodeTypeVariable:
		return string(n.Name), nil, false, true
	}
	return "", nil, false, false
}

// touches reports whether the use asks for the value at a path, for one within
// it, or, as a whole, for a record that it is in.
func (u use) touches(path []string) bool {
	n := min(len(u.path), len(path))
	if !slices.Equal(u.path[:n], path[:n]) {
		return false
	}
	return !u.has || len(u.path) > len(path)
}

// refuseUnheld refuses a call if a policy that could apply asks for an argument
// that Cedar cannot hold. Nothing else depends on such a value: what is left of
// the policies without it is the same whatever it is.
func (a *action) refuseUnheld(q *question, context types.RecordMap) (Decision, bool) {
	if len(q.unheld) == 0 {
		return Decision{}, false
	}
	env := eval.Env{Entities: q.ents, Principal: q.Principal, Action: q.Action, Resource: q.Resource, Context: types.NewRecord(context)}
	var ids []string
	asked := map[string]string{} // pointer to problem
	for _, p := range a.candidates {
		scope := *p.ast
		scope.Conditions = nil
		if _, applies := eval.PartialPolicy(env, &scope); !applies {
			continue
		}
		left, keep := eval.PartialPolicy(env, p.ast)
		for _, u := range q.unheld {
			// A record with the value in it is compared as if it were known.
			asks := slices.ContainsFunc(p.uses, func(use use) bool { return len(use.path) < len(u.path) && use.touches(u.path) })
			if asks || keep && slices.ContainsFunc(usesOf(left), func(use use) bool { return use.touches(u.path) }) {
				ids = append(ids, p.id)
				asked[u.pointer()] = u.problem
			}
		}
	}
	if len(ids) == 0 {
		return Decision{}, false
	}
	ids = sortUnique(ids)
	d := newDenial("", RemedyArgs, nil)
	d.Policies = ids
	var which []string
	for pointer, problem := range asked {
		which = append(which, pointer+" "+problem)
	}
	d.Reason = fmt.Sprintf("%s asks about an argument that policies cannot compare: %s", list(ids), strings.Join(sortUnique(which), ", "))
	if slices.ContainsFunc(q.unheld, func(u unheld) bool { return a.asksNumber(asked, u) }) {
		d.Reason += "; the policy could ask context.rounded, where numbers are as near as they can be"
	}
	d.Errors = []string{d.Reason}
	return d, true
}

// asksNumber reports whether an unheld argument that was asked for is a number.
func (a *action) asksNumber(asked map[string]string, u unheld) bool {
	t := a.input.at(u.path[1:])
	return asked[u.pointer()] != "" && t != nil && u.path[0] == "input" && t.roundedType() != nil
}

// inexactUses says where a policy asks for a number that may have more digits
// than Cedar can hold.
func (e *Engine) inexactUses(p *policy) []string {
	var out []string
	actions, _, _ := e.scope(p)
	for _, u := range p.uses {
		if u.has || len(u.path) < 2 || u.path[0] != "input" {
			continue
		}
		for _, a := range actions {
			t := a.input.at(u.path[1:])
			if t == nil || t.kind != kindDecimal && (t.kind != kindSet || t.elem.kind != kindDecimal) || t.exact {
				continue
			}
			name := strings.Join(u.path, ".")
			out = append(out, fmt.Sprintf("policy %s (%s:%d) asks for context.%s: a call of %s whose number has more than 4 digits after the point is refused; context.%s is the number rounded to 4 digits",
				p.id, p.file, p.line, name, a.Name, "rounded"+strings.TrimPrefix(name, "input")))
			break
		}
	}
	return sortUnique(out)
}
