package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"github.com/exeat/exeat/openapi/nearest"
)

// scopeEntities looks at the entities that a policy's scope names.
func (s *sense) scopeEntities() {
	switch r := s.p.ast.Resource.(type) {
	case ast.ScopeTypeEq:
		s.place(r.Entity, true)
	case ast.ScopeTypeIn:
		s.place(r.Entity, false)
	case ast.ScopeTypeIsIn:
		s.place(r.Entity, false)
	}
}

// within looks at a question whether something is in entities.
func (s *sense) within(left, right ast.IsNode) {
	uids := entitiesOf(right)
	for _, uid := range uids {
		s.place(uid, false)
	}
	s.kinds(left, uids, true)
}

// kinds looks whether what is compared with entities can be of their types, or, with
// in, within them. What is no type at all the validator knows.
func (s *sense) kinds(left ast.IsNode, uids []types.EntityUID, in bool) {
	can := s.kindsOf(left)
	if len(can) == 0 {
		return
	}
	all := sharedEntities()
	for _, uid := range uids {
		_, known := all[uid.Type]
		fits := func(t types.EntityType) bool {
			return t == uid.Type || in && (slices.Contains(all[t].ParentTypes, uid.Type) || s.isPath(t) && (uid.Type == apiType || s.isPath(uid.Type)))
		}
		if known && !slices.ContainsFunc(can, fits) {
			how := "is never"
			if in {
				how = "is never in"
			}
			s.complain(string(uid.Type), fmt.Sprintf("%s %s %s", nameOf(left), how, uid), "it is "+orList(can))
		}
	}
}

// is looks at a question for the type of an entity.
func (s *sense) is(left ast.IsNode, t types.EntityType) {
	can := s.kindsOf(left)
	if len(can) == 0 || slices.Contains(can, t) {
		return
	}
	word := string(t[strings.LastIndex(string(t), ":")+1:])
	hint := "it is " + orList(can)
	if near := nearest.Find(string(t), texts(can), slack(string(t)), nil); near != "" {
		hint = "did you mean " + near + "?"
	}
	s.complain(word, fmt.Sprintf("%s is never of the type %s", nameOf(left), t), hint)
}

// kindsOf are the types of entities that an expression can be, or none if it is
// something else. An attribute that is a User can be a Workload, see sharedEntities.
func (s *sense) kindsOf(n ast.IsNode) (out []types.EntityType) {
	root, path, has, ok := chainOf(n)
	switch {
	case !ok || has:
	case len(path) > 0:
		for r := range s.roots(root) {
			if shape, ok := shapeAt(r, path[:len(path)-1]); ok {
				if t, ok := shape[types.String(path[len(path)-1])].Type.(resolved.EntityType); ok {
					return withWorkloads(types.EntityType(t))
				}
			}
		}
	case root == "principal":
		return withWorkloads(userType)
	case root == "resource":
		for _, a := range s.actions {
			if t := pathType(a.api); !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
		if len(s.holds) > 0 {
			out = append(out, holdType)
		}
	}
	return out
}

func withWorkloads(t types.EntityType) []types.EntityType {
	if t == userType {
		return []types.EntityType{userType, workloadType}
	}
	return []types.EntityType{t}
}

// isPath reports whether a type is that of the paths of an API.
func (s *sense) isPath(t types.EntityType) bool {
	return slices.ContainsFunc(s.apis, func(api string) bool { return pathType(api) == t })
}

// nameOf is how a policy writes an attribute.
func nameOf(n ast.IsNode) string {
	root, path, _, _ := chainOf(n)
	return strings.Join(append([]string{root}, path...), ".")
}

func texts(list []types.EntityType) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = string(t)
	}
	return out
}

func orList(list []types.EntityType) string {
	names := texts(list)
	return strings.Join(names[:min(len(names), 5)], " or ")
}

// place looks at a path, an API or an action that a policy names.
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
	if uid.Type == actionType || strings.HasSuffix(string(uid.Type), "::Action") {
		s.actionName(uid)
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
	sent := pathAsSent(id)
	if sent != id && slices.ContainsFunc(s.Engine.actions, func(a *action) bool { return pathType(a.api) == uid.Type && a.mayBeAt(sent, equal) }) {
		hint = "paths are compared as they are sent: write " + sent
	} else if near := nearest.Find(id, sortUnique(paths), slack(id), nil); near != "" {
		hint = "did you mean " + near + "? " + hint
	}
	s.complain(id, fmt.Sprintf("no operation has the path %s", id), hint)
}

// actionName looks at an action that a condition names: the validator does not, where
// that alone makes the condition false.
func (s *sense) actionName(uid types.EntityUID) {
	_, group := s.groups[uid]
	if group || s.byUID[uid] != nil || slices.Contains(holdActions, uid) {
		return
	}
	var known []string
	for k := range s.byUID {
		known = append(known, k.String())
	}
	for k := range s.groups {
		known = append(known, k.String())
	}
	slices.Sort(known)
	hint := "exeat policy schema prints what there is"
	if near := nearest.Find(uid.String(), known, 3+len(uid.String())/4, nil); near != "" {
		hint = "did you mean " + near + "?"
	}
	s.complain(string(uid.ID), fmt.Sprintf("unrecognized action `%s`", uid), hint)
}
