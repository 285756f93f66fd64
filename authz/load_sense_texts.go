package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/exeat/exeat/openapi/nearest"
)

// compare looks at a comparison of attributes with texts or entities.
func (s *sense) compare(left, right ast.IsNode, equal bool) {
	for _, sides := range [][2]ast.IsNode{{left, right}, {right, left}} {
		for _, uid := range entitiesOf(sides[1]) {
			s.place(uid, equal)
		}
		if equal {
			s.kinds(sides[0], entitiesOf(sides[1]), false)
		}
		for _, n := range elements(sides[0]) {
			root, path, has, ok := chainOf(n)
			if !ok || has {
				continue
			}
			for _, v := range literals(sides[1]) {
				s.value(root, path, v)
			}
		}
	}
}

// elements are what a set is written of, or the one that is no set.
func elements(n ast.IsNode) []ast.IsNode {
	if set, ok := n.(ast.NodeTypeSet); ok {
		return set.Elements
	}
	return []ast.IsNode{n}
}

// like looks at a pattern for an attribute that can only be some texts.
func (s *sense) like(n ast.NodeTypeLike) {
	root, path, has, ok := chainOf(n.Arg)
	if !ok || has {
		return
	}
	pattern := string(n.Value.MarshalCedar())
	s.fits(root, path, strings.Trim(pattern, `"`), "like "+pattern, func(value string) bool { return n.Value.Match(types.String(value)) })
}

// value looks at a text or an integer that an attribute is compared with.
func (s *sense) value(root string, path []string, v types.Value) {
	text := v.String()
	switch v := v.(type) {
	case types.String:
		s.fits(root, path, string(v), cedarString(string(v)), func(value string) bool { return value == string(v) })
	case types.Long:
		s.fits(root, path, text, text, func(value string) bool { return value == text })
	}
}

// fits looks whether an attribute can be what is asked of it.
func (s *sense) fits(root string, path []string, word, asked string, fits func(value string) bool) {
	var all []string
	known := false
	for _, values := range s.valuesOf(root, path) {
		if values == nil || slices.ContainsFunc(values, fits) {
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
	if near := nearest.Find(word, all, slack(word), nil); near != "" {
		hint = "did you mean " + cedarString(near) + "?"
	}
	s.complain(word, fmt.Sprintf("%s is never %s", strings.Join(append([]string{root}, path...), "."), asked), hint)
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
