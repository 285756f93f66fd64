package authz

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Engine is a compiled policy set over the schema of its APIs. It is immutable
// and safe for concurrent use.
type Engine struct {
	apis     []string
	actions  []*action // by API, then name
	byUID    map[types.EntityUID]*action
	groups   map[types.EntityUID]types.Entity
	members  map[types.EntityUID][]*action // of groups
	policies []*policy
	approve  candidates // candidates for the approve action
	entities types.EntityMap
	digest   string
}

// New compiles and validates policies against the schema of apis. No files
// means [DefaultPolicy]. An error is a *LoadError and names every problem.
func New(apis []API, policies []PolicyFile) (*Engine, error) {
	if len(policies) == 0 {
		policies = []PolicyFile{{Name: "built-in", Text: []byte(DefaultPolicy)}}
	}
	e := &Engine{byUID: map[types.EntityUID]*action{}}
	var problems []Problem
	spaces := map[string]string{}
	for _, api := range apis {
		if other, ok := spaces[namespace(api.Name)]; ok || namespace(api.Name) == "" {
			problems = append(problems, Problem{File: api.Name, Line: 1, Column: 1,
				Message: fmt.Sprintf("the APIs %q and %q have the same Cedar namespace", other, api.Name), Hint: "give one of them another name"})
			continue
		}
		spaces[namespace(api.Name)] = api.Name
		if err := e.addAPI(api); err != nil {
			problems = append(problems, Problem{File: api.Name, Line: 1, Column: 1, Message: err.Error()})
		}
	}
	slices.SortFunc(e.actions, func(a, b *action) int { return cmp.Or(cmp.Compare(a.api, b.api), cmp.Compare(a.Name, b.Name)) })
	e.groups = e.groupEntities()
	e.members = e.memberships()
	e.entities = e.actionEntities()

	var bad []Problem
	if e.policies, bad = parsePolicies(policies); len(bad) == 0 {
		bad = e.checkPolicies()
	}
	if problems = append(problems, bad...); len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b Problem) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, &LoadError{Problems: problems}
	}
	e.index()
	e.digest = e.sum(policies)
	return e, nil
}

func (e *Engine) addAPI(api API) error {
	e.apis = append(e.apis, api.Name)
	slices.Sort(e.apis)
	for _, a := range api.Actions {
		input, notes, err := typeInput(a.Input)
		if err != nil {
			return fmt.Errorf("%s: %v", a.Name, err)
		}
		switch a.Effect {
		case "read", "write", "delete":
		default:
			return fmt.Errorf("%s has the effect %q; it can be read, write or delete", a.Name, a.Effect)
		}
		x := &action{Action: a, api: api.Name, uid: actionUID(api.Name, a.Name), input: input, notes: notes}
		if e.byUID[x.uid] != nil {
			return fmt.Errorf("there are two actions named %s", a.Name)
		}
		e.byUID[x.uid] = x
		e.actions = append(e.actions, x)
	}
	return nil
}

// actionEntities are what "action in" walks; without them it is quietly false.
func (e *Engine) actionEntities() types.EntityMap {
	m := types.EntityMap{approveAction: {UID: approveAction}}
	for uid, g := range e.groups {
		m[uid] = g
	}
	for _, a := range e.actions {
		m[a.uid] = types.Entity{UID: a.uid, Parents: types.NewEntityUIDSet(actionParents(a.api, a.Action)...)}
	}
	return m
}

// index gives every action the policies whose scope can match it: Cedar itself
// looks at all policies for every decision.
func (e *Engine) index() {
	for _, p := range e.policies {
		actions, approve, _ := e.scope(p)
		for _, a := range actions {
			a.candidates = append(a.candidates, p)
		}
		if approve {
			e.approve = append(e.approve, p)
		}
	}
}

// scope is what a policy's action scope can match. groups is true if it names
// nothing but action groups that exist.
func (e *Engine) scope(p *policy) (actions []*action, approve, groups bool) {
	var named []types.EntityUID
	switch s := p.ast.Action.(type) {
	case ast.ScopeTypeEq:
		// == a group is the group itself, which nobody calls.
		if a := e.byUID[s.Entity]; a != nil {
			actions = []*action{a}
		}
		return actions, s.Entity == approveAction, false
	case ast.ScopeTypeIn:
		named = []types.EntityUID{s.Entity}
	case ast.ScopeTypeInSet:
		named = s.Entities
	default:
		return e.actions, true, false
	}
	groups = true
	seen := map[*action]bool{}
	for _, uid := range named {
		_, known := e.groups[uid]
		groups = groups && known
		approve = approve || uid == approveAction
		for _, a := range e.members[uid] {
			if !seen[a] {
				seen[a] = true
				actions = append(actions, a)
			}
		}
	}
	return actions, approve, groups
}

// memberships lists the actions of every group, and every action under itself.
func (e *Engine) memberships() map[types.EntityUID][]*action {
	members := map[types.EntityUID][]*action{}
	for _, a := range e.actions {
		members[a.uid] = append(members[a.uid], a)
		for _, g := range actionParents(a.api, a.Action) {
			members[g] = append(members[g], a)
		}
	}
	return members
}

// sum names the policies together with the schema that gives them meaning.
func (e *Engine) sum(files []PolicyFile) string {
	h := sha256.New()
	write := func(b []byte) { fmt.Fprintf(h, "%d\n", len(b)); h.Write(b) }
	files = slices.SortedFunc(slices.Values(files), func(a, b PolicyFile) int { return cmp.Compare(a.Name, b.Name) })
	for _, f := range files {
		write(f.Text)
	}
	io.WriteString(h, "schema\n")
	write(e.Schema())
	return hex.EncodeToString(h.Sum(nil))
}

// Digest names the policy set: 64 hex digits of SHA-256.
func (e *Engine) Digest() string { return e.digest }

// Policies is how many policies there are.
func (e *Engine) Policies() int { return len(e.policies) }

// Warnings are what a policy author probably does not mean.
func (e *Engine) Warnings() []string {
	var out []string
	permits := 0
	for _, p := range e.approve {
		if !p.permit {
			continue
		}
		permits++
		_, anybody := p.ast.Principal.(ast.ScopeTypeAll)
		_, anyAction := p.ast.Action.(ast.ScopeTypeAll)
		_, anything := p.ast.Resource.(ast.ScopeTypeAll)
		if anybody && anyAction && anything && len(p.ast.Conditions) == 0 {
			out = append(out, fmt.Sprintf("policy %s (%s:%d) also lets everybody approve everything; write: action in Action::\"call_tool\"", p.id, p.file, p.line))
		}
	}
	if permits == 0 {
		out = append(out, `no policy permits Action::"approve": what is held can only expire`)
	}
	return out
}

// UsesUsage reports whether a policy that can apply to the action reads
// context.usage, so that the caller need not count otherwise.
func (e *Engine) UsesUsage(api, name string) bool {
	a := e.byUID[actionUID(api, name)]
	return a != nil && slices.ContainsFunc(a.candidates, func(p *policy) bool { return p.usesUsage })
}

// candidates are policies as Cedar iterates over them.
type candidates []*policy

func (c candidates) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, p := range c {
			if !yield(cedar.PolicyID(p.id), p.cedar) {
				return
			}
		}
	}
}
