package authz

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// caller is what all calls of one principal, agent and session have in common. But for
// what it remembers, it does not change.
type caller struct {
	principal types.EntityUID
	agent     types.EntityUID
	session   types.Record
	own       types.EntityMap // the principal, its groups, the agent

	list    func() *listing // asked about the tools of a list
	visible []atomic.Uint32 // what Visible found out: two bits for each action
	narrow  sync.Map        // actions with the policies that can match the principal only
}

// maxCallers bounds the callers that are remembered.
const maxCallers = 1024

// callers remembers callers, since each of their calls needs all of it again. An engine
// does not change, so nothing in it becomes stale.
type callers struct {
	mu sync.RWMutex
	by map[string]*caller // by all that policies may know of them
}

// callerOf is newCaller, once.
func (e *Engine) callerOf(p Principal, a Agent, s Session) (*caller, error) {
	var room [512]byte
	key := appendCaller(room[:0], p, a, s)
	e.callers.mu.RLock()
	c := e.callers.by[string(key)]
	e.callers.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	c, err := e.newCaller(p, a, s)
	if err != nil {
		return nil, err
	}
	e.callers.mu.Lock()
	defer e.callers.mu.Unlock()
	if len(e.callers.by) >= maxCallers || e.callers.by == nil {
		e.callers.by = map[string]*caller{}
	}
	e.callers.by[string(key)] = c
	return c, nil
}

func (e *Engine) newCaller(p Principal, a Agent, s Session) (*caller, error) {
	ents := entities{own: types.EntityMap{}, shared: e.entities}
	principal, err := ents.principal(p)
	if err != nil {
		return nil, err
	}
	c := &caller{principal: principal, agent: ents.agent(a), session: sessionRecord(s), own: ents.own, visible: make([]atomic.Uint32, len(e.actions)/16+1)}
	c.list = sync.OnceValue(func() *listing { return e.newListing(c, p.Issuer != "", a.Issuer != "") })
	return c, nil
}

// appendCaller writes all that a caller is, so that no two are written alike.
func appendCaller(b []byte, p Principal, a Agent, s Session) []byte {
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	texts := func(list []string) {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, s := range list {
			text(s)
		}
	}
	for _, s := range [...]string{p.Type, p.ID, p.Issuer, p.Email, p.ACR, a.ID, a.Issuer, s.ID, s.Transport} {
		text(s)
	}
	for _, list := range [...][]string{p.Groups, p.Roles, p.Scopes, a.Chain, s.Labels} {
		texts(list)
	}
	b = append(b, bit(a.Verified), bit(p.AuthTime.IsZero()))
	return binary.AppendVarint(binary.AppendVarint(b, p.AuthTime.Unix()), int64(p.AuthTime.Nanosecond()/int(time.Millisecond)))
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// fewPolicies are so few that it is not worth to choose among them.
const fewPolicies = 24

// narrowed is an action with those of its policies whose scope can match the
// principal: thousands may be about other people. A policy that is left out is one that
// cannot apply, and in which nothing is evaluated that could fail.
func (c *caller) narrowed(a *action) *action {
	if len(a.candidates) <= fewPolicies {
		return a
	}
	if n, ok := c.narrow.Load(a); ok {
		return n.(*action)
	}
	n := *a
	n.candidates = nil
	for _, p := range a.candidates {
		if c.matches(p.ast.Principal) {
			n.candidates = append(n.candidates, p)
		}
	}
	c.narrow.Store(a, &n)
	return &n
}

// matches reports whether a policy with that scope can be about the principal.
func (c *caller) matches(scope ast.IsPrincipalScopeNode) bool {
	in := func(uid types.EntityUID) bool {
		return c.principal == uid || c.own[c.principal].Parents.Contains(uid)
	}
	switch s := scope.(type) {
	case ast.ScopeTypeEq:
		return s.Entity == c.principal
	case ast.ScopeTypeIn: // groups are in no other group
		return in(s.Entity)
	case ast.ScopeTypeIs:
		return s.Type == c.principal.Type
	case ast.ScopeTypeIsIn:
		return s.Type == c.principal.Type && in(s.Entity)
	}
	return true
}
