package authz

import (
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// truth is the set of results that an expression may still have. cedar-go's
// partial evaluation leaves "unknown && false" as it is; taken for a condition
// that might hold, it would make calls wait that no person can release.
type truth uint8

const (
	mayHold truth = 1 << iota
	mayNot
	mayFail // an error

	mayAnything = mayHold | mayNot | mayFail
)

func (t truth) not() truth {
	n := t & mayFail
	if t&mayHold != 0 {
		n |= mayNot
	}
	if t&mayNot != 0 {
		n |= mayHold
	}
	return n
}

// and is Cedar's &&: the right side counts only where the left holds.
func (t truth) and(right truth) truth {
	if t&mayHold == 0 {
		return t
	}
	return t&^mayHold | right
}

func (t truth) or(right truth) truth { return t.not().and(right.not()).not() }

// truthOf is what is left of a condition after partial evaluation. What it does
// not understand may be anything.
func (a *action) truthOf(n ast.IsNode) truth {
	switch n := n.(type) {
	case ast.NodeValue:
		switch n.Value {
		case types.True:
			return mayHold
		case types.False:
			return mayNot
		}
		if _, ok := n.Value.(types.EntityUID); ok {
			return mayAnything // an unknown is an entity to cedar-go
		}
		return mayFail
	case ast.NodeTypeExtensionCall:
		if _, failed := eval.ToPartialError(n); failed {
			return mayFail
		}
	case ast.NodeTypeNot:
		return a.truthOf(n.Arg).not()
	case ast.NodeTypeAnd:
		return a.truthOf(n.Left).and(a.truthOf(n.Right))
	case ast.NodeTypeOr:
		return a.truthOf(n.Left).or(a.truthOf(n.Right))
	case ast.NodeTypeIfThenElse:
		c := a.truthOf(n.If)
		t := c & mayFail
		if c&mayHold != 0 {
			t |= a.truthOf(n.Then)
		}
		if c&mayNot != 0 {
			t |= a.truthOf(n.Else)
		}
		return t
	case ast.NodeTypeIs:
		if isResource(n.Left) {
			return a.resourceIs(n.EntityType)
		}
	case ast.NodeTypeIn:
		if uid, ok := entityOf(n.Right); ok && isResource(n.Left) {
			return a.resourceIn(uid)
		}
	case ast.NodeTypeIsIn:
		if uid, ok := entityOf(n.Entity); ok && isResource(n.Left) {
			return a.resourceIs(n.EntityType).and(a.resourceIn(uid))
		}
	}
	return mayAnything
}

// remains is what is left of a whole policy: its scope and all its conditions.
func (a *action) remains(p *ast.Policy) truth {
	t := a.scopeTruth(p.Resource)
	for _, scope := range []any{p.Principal, p.Action} {
		if _, all := scope.(ast.ScopeTypeAll); !all {
			t = t.and(mayHold | mayNot)
		}
	}
	for _, c := range p.Conditions {
		holds := a.truthOf(c.Body)
		if c.Condition == ast.ConditionUnless {
			holds = holds.not()
		}
		t = t.and(holds)
	}
	return t
}

// scopeTruth is what is known of a resource scope although the path is not.
func (a *action) scopeTruth(scope ast.IsResourceScopeNode) truth {
	switch s := scope.(type) {
	case ast.ScopeTypeAll:
		return mayHold
	case ast.ScopeTypeEq:
		return a.resourceIs(s.Entity.Type).and(mayHold | mayNot)
	case ast.ScopeTypeIs:
		return a.resourceIs(s.Type)
	case ast.ScopeTypeIn:
		return a.resourceIn(s.Entity)
	case ast.ScopeTypeIsIn:
		return a.resourceIs(s.Type).and(a.resourceIn(s.Entity))
	}
	return mayHold | mayNot
}

// resourceIs and resourceIn speak of any path of the action's API.
func (a *action) resourceIs(t types.EntityType) truth {
	if t == pathType(a.api) {
		return mayHold
	}
	return mayNot
}

func (a *action) resourceIn(uid types.EntityUID) truth {
	switch {
	case uid == types.NewEntityUID(apiType, types.String(a.api)), uid == types.NewEntityUID(pathType(a.api), "/"):
		return mayHold
	case uid.Type == pathType(a.api):
		return mayHold | mayNot
	}
	return mayNot
}

func isResource(n ast.IsNode) bool {
	v, ok := n.(ast.NodeTypeVariable)
	return ok && v.Name == "resource"
}

func entityOf(n ast.IsNode) (types.EntityUID, bool) {
	v, ok := n.(ast.NodeValue)
	if !ok {
		return types.EntityUID{}, false
	}
	uid, ok := v.Value.(types.EntityUID)
	return uid, ok
}
