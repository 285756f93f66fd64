package authz

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Engine is a compiled policy set over the schema of its APIs. It does not
// change and is safe for concurrent use.
type Engine struct {
	apis     []string
	zones    []string  // of APIs whose times have one
	actions  []*action // by API, then name
	byUID    map[types.EntityUID]*action
	byName   map[[2]string]*action // by API and name
	groups   map[types.EntityUID]types.Entity
	members  map[types.EntityUID][]*action // of groups
	policies []*policy
	approve  candidates // candidates for the approve action
	see      candidates // and for the see action
	resume   candidates // and for the resume action, but for permits of everything
	entities types.EntityMap
	digest   string
	usesAll  bool // some policy counts calls of several tools together
	callers  callers
}

// New compiles and validates policies against the schema of apis. No files
// means [DefaultPolicy]. An error is a *LoadError and names every problem.
func New(apis []API, policies []PolicyFile) (*Engine, error) {
	if len(policies) == 0 {
		policies = []PolicyFile{{Name: "built-in", Text: []byte(DefaultPolicy)}}
	}
	e := &Engine{byUID: map[types.EntityUID]*action{}, byName: map[[2]string]*action{}}
	problems := e.addAPIs(apis)
	slices.SortFunc(e.actions, func(a, b *action) int { return cmp.Or(cmp.Compare(a.api, b.api), cmp.Compare(a.Name, b.Name)) })
	e.groups = e.groupEntities()
	e.members = e.memberships()
	e.entities = e.actionEntities()

	parsed, bad := parsePolicies(policies)
	e.policies = parsed
	if len(problems) == 0 {
		// With an API missing, policies about it would be blamed.
		problems = e.checkPolicies(parsed)
		problems = append(problems, e.checkSense(parsed, problems)...)
	}
	if problems = append(problems, bad...); len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b Problem) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		problems = slices.Compact(problems) // two checks may say the same
		for i := range problems {
			// They quote policies and documents, and end on a terminal.
			problems[i].Message, problems[i].Hint = comment(problems[i].Message), comment(problems[i].Hint)
		}
		return nil, &LoadError{Problems: problems}
	}
	e.index()
	e.digest = e.sum(policies)
	return e, nil
}

// addAPIs takes the APIs one by one and says what is wrong with them.
func (e *Engine) addAPIs(apis []API) []Problem {
	var problems []Problem
	spaces := map[string]string{}
	for _, api := range apis {
		p := Problem{File: api.Name, Line: 1, Column: 1}
		ns := namespace(api.Name)
		if other, taken := spaces[ns]; !identifier.MatchString(ns) {
			p.Message = fmt.Sprintf("the API's name %q makes no Cedar namespace", api.Name)
			p.Hint = "use a letter, then letters, digits and _"
		} else if taken {
			p.Message = fmt.Sprintf("the APIs %q and %q have the same Cedar namespace %s", other, api.Name, ns)
			p.Hint = "give one of them another name"
		} else if err := e.addAPI(api); err != nil {
			p.Message = err.Error()
		}
		if spaces[ns] = api.Name; p.Message != "" {
			problems = append(problems, p)
		}
	}
	return problems
}

func (e *Engine) addAPI(api API) error {
	e.apis = append(e.apis, api.Name)
	if api.Zone != nil {
		e.zones = append(e.zones, api.Name+" "+api.Zone.String())
	}
	slices.Sort(e.apis)
	for _, a := range api.Actions {
		input, notes, err := typeInput(a.Input)
		if err != nil {
			return fmt.Errorf("%s: %v", a.Name, err)
		}
		x := &action{Action: a, api: api.Name, zone: api.Zone, uid: actionUID(api.Name, a.Name), input: input, notes: notes, takesArgs: len(input.fields)+len(notes) > 0, root: rootEntities(api.Name)}
		switch {
		case a.Effect != "read" && a.Effect != "write" && a.Effect != "delete":
			return fmt.Errorf("%s has the effect %q; it can be read, write or delete", a.Name, a.Effect)
		case slices.Contains(groupActions, types.String(a.Name)), slices.ContainsFunc(holdActions, func(uid types.EntityUID) bool { return a.Name == string(uid.ID) }):
			// RFC 70 of Cedar: a namespace may not shadow the empty one.
			return fmt.Errorf("a tool cannot be named %q: policies have Action::%q", a.Name, a.Name)
		case e.byUID[x.uid] != nil:
			return fmt.Errorf("there are two actions named %s", a.Name)
		case strings.HasPrefix(a.Name, "tag:"):
			return fmt.Errorf("a tool cannot be named %q: so is a group of tools", a.Name)
		}
		e.byUID[x.uid], e.byName[[2]string{api.Name, a.Name}] = x, x
		e.actions = append(e.actions, x)
	}
	return nil
}

// actionEntities are what "action in" walks; without them it is quietly false.
func (e *Engine) actionEntities() types.EntityMap {
	m := types.EntityMap{approveAction: {UID: approveAction}, seeAction: {UID: seeAction}, resumeAction: {UID: resumeAction}}
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
	for i, a := range e.actions {
		a.at = i
	}
	for _, p := range e.policies {
		e.usesAll = e.usesAll || p.usesAll
		actions, holds, _ := e.scope(p)
		for _, a := range actions {
			a.candidates = append(a.candidates, p)
			a.rounds = a.rounds || asks(p.uses, "rounded")
			a.counts = a.counts || asks(p.uses, "approvals")
			a.usesUsage = a.usesUsage || p.usesUsage
		}
		if slices.Contains(holds, approveAction) {
			e.approve = append(e.approve, p)
		}
		if slices.Contains(holds, seeAction) {
			e.see = append(e.see, p)
		}
		// A permit of everything was not written with this in mind.
		if _, all := p.ast.Action.(ast.ScopeTypeAll); slices.Contains(holds, resumeAction) && !(all && p.permit) {
			e.resume = append(e.resume, p)
		}
	}
}

// scope is what a policy's action scope can match: actions of APIs, and those on
// holds. groups is true if it names nothing but action groups that exist.
func (e *Engine) scope(p *policy) (actions []*action, holds []types.EntityUID, groups bool) {
	var named []types.EntityUID
	switch s := p.ast.Action.(type) {
	case ast.ScopeTypeEq:
		// == a group is the group itself, which nobody calls.
		if a := e.byUID[s.Entity]; a != nil {
			actions = []*action{a}
		}
		return actions, slices.DeleteFunc(slices.Clone(holdActions), func(uid types.EntityUID) bool { return uid != s.Entity }), false
	case ast.ScopeTypeIn:
		named = []types.EntityUID{s.Entity}
	case ast.ScopeTypeInSet:
		named = s.Entities
	default:
		return e.actions, holdActions, false
	}
	groups = true
	seen := map[*action]bool{}
	for _, uid := range named {
		_, known := e.groups[uid]
		groups = groups && known
		if slices.Contains(holdActions, uid) {
			holds = append(holds, uid)
		}
		for _, a := range e.members[uid] {
			if !seen[a] {
				seen[a] = true
				actions = append(actions, a)
			}
		}
	}
	return actions, holds, groups
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
		write([]byte(f.Name)) // a policy without @id is named by its file
		write(f.Text)
	}
	io.WriteString(h, "schema\n")
	write(e.Schema())
	for _, zone := range e.zones { // which decides what times are
		write([]byte(zone))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Digest names the policy set: 64 hex digits of SHA-256.
func (e *Engine) Digest() string { return e.digest }

// Tools are the names of an API's actions, in order.
func (e *Engine) Tools(api string) (names []string) {
	for _, a := range e.actions {
		if a.api == api {
			names = append(names, a.Name)
		}
	}
	return names
}

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
	for _, p := range e.policies {
		out = append(out, e.inexactUses(p)...)
		if !e.touchesAny(p) && !slices.Contains(e.approve, p) && !slices.Contains(e.see, p) {
			out = append(out, fmt.Sprintf("policy %s (%s:%d) touches no operation of these documents", p.id, p.file, p.line))
		}
	}
	if permits == 0 {
		out = append(out, `no policy permits Action::"approve": what is held can only expire`)
	}
	return out
}

// Knows reports whether an action is one of the documents.
func (e *Engine) Knows(api, name string) bool { return e.byName[[2]string{api, name}] != nil }

// ReadsUsage reports what of context.usage has to be counted for a call: its own
// tool's, because a policy that can apply to the action reads it, and all tools',
// because some policy counts several together.
func (e *Engine) ReadsUsage(api, name string) (own, all bool) {
	a := e.byName[[2]string{api, name}]
	return a != nil && a.usesUsage, e.usesAll
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
