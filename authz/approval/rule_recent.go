package approval

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/exeat/exeat/store"
)

// recentMost bounds the held calls that a grant is tried on before it is given.
const recentMost = 200

// recent are the principal's newest held calls of the API, but for the hold.
func (s *Service) recent(ctx context.Context, h store.Hold) ([]store.Hold, error) {
	var list []store.Hold
	err := s.c.Store.View(ctx, func(tx *store.Tx) (err error) {
		list, err = tx.Recent(h.Subject, h.API, recentMost)
		return err
	})
	return slices.DeleteFunc(list, func(x store.Hold) bool { return x.ID == h.ID || !s.sealed(x) }), err
}

// WouldCover counts the recent held calls by this agent that a rule is about, of
// those of the tool, or of a task's tools.
func (s *Service) WouldCover(ctx context.Context, h store.Hold, r Rule) (hits, of int, err error) {
	list, err := s.recent(ctx, h)
	for _, x := range list {
		who, err := PartiesOf(x)
		if err != nil || who.Agent.ID != r.Agent || x.Tool != h.Tool && (r.Scope.Task == nil || !r.Scope.Task.names(x.Tool)) {
			continue
		}
		if of++; r.Matches(shapeOf(x, who)) {
			hits++
		}
	}
	return hits, of, err
}

// Propose is what a task could be for that a person gives on the page of a hold.
func (s *Service) Propose(ctx context.Context, h store.Hold) (Proposal, error) {
	who, err := PartiesOf(h)
	if err != nil {
		return Proposal{}, err
	}
	list, err := s.recent(ctx, h)
	return propose(h, who.Agent, list), err
}

// ToolsOf are the tools that a task is for, by their whole names.
func (s *Service) ToolsOf(r Rule) []string {
	if r.Scope.Task == nil {
		return nil
	}
	return slices.DeleteFunc(s.c.Engine.Tools(r.Scope.API), func(tool string) bool { return !r.Scope.Task.names(tool) })
}

// Told says in words what a rule is about.
func (r Rule) Told() string {
	var parts []string
	if r.Scope.Task != nil {
		parts = append(parts, r.Scope.Task.told(r.Sum))
	}
	switch r.Scope.Reach {
	case ReachExact:
		parts = append(parts, "on exactly "+r.Scope.Path)
	case ReachBelow:
		parts = append(parts, "on "+r.Scope.Path+" and below")
	case ReachAny:
		parts = append(parts, "on any path")
	}
	switch r.Scope.Args {
	case ArgsSame:
		parts = append(parts, "with exactly the arguments "+r.Scope.Same)
	case ArgsSome:
		for _, e := range r.Scope.Equal {
			parts = append(parts, "with "+e.Pointer+" = "+e.Value)
		}
	case ArgsAny:
		parts = append(parts, "with any arguments")
	}
	if r.Kind == KindGrant {
		parts = append(parts, "at "+r.Scope.Place.Origin+" only")
	}
	if r.Max > 0 {
		parts = append(parts, fmt.Sprintf("at most %d times", r.Max))
	}
	return strings.Join(parts, ", ")
}
