package jq

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

// rewriter rewrites a program so that what goes over whole values is charged for.
type rewriter struct{ vars []string }

func callOf(name string) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name}}}
}

func pipe(left, right *gojq.Query) *gojq.Query {
	return &gojq.Query{Left: left, Op: gojq.OpPipe, Right: right}
}

func term(q *gojq.Query) *gojq.Term { return &gojq.Term{Type: gojq.TermTypeQuery, Query: q} }

func refuse(what string) error { return fmt.Errorf("cannot use %s here", what) }

func (w *rewriter) query(q *gojq.Query) (*gojq.Query, error) {
	if q == nil {
		return nil, nil
	}
	if len(q.FuncDefs) > 0 {
		return nil, refuse("def")
	}
	if q.Term != nil {
		t, err := w.term(q.Term)
		return &gojq.Query{Term: t}, err
	}
	left, err := w.query(q.Left)
	if err != nil {
		return nil, err
	}
	before := len(w.vars)
	for _, p := range q.Patterns {
		if p.Name == "" {
			return nil, refuse("patterns")
		}
		w.vars = append(w.vars, p.Name)
	}
	right, err := w.query(q.Right)
	w.vars = w.vars[:before]
	if err != nil {
		return nil, err
	}
	out := &gojq.Query{Left: left, Op: q.Op, Right: right, Patterns: q.Patterns}
	switch q.Op {
	case gojq.OpPipe, gojq.OpComma, gojq.OpAnd, gojq.OpOr, gojq.OpAlt:
		return out, nil
	case gojq.OpAdd:
		out.Left, out.Right = pipe(left, callOf("_charge")), pipe(right, callOf("_charge"))
		return pipe(out, callOf("_charge")), nil
	case gojq.OpSub, gojq.OpMul, gojq.OpDiv, gojq.OpMod:
		out.Left, out.Right = pipe(left, callOf("_number")), pipe(right, callOf("_number"))
		return out, nil
	case gojq.OpEq, gojq.OpNe, gojq.OpGt, gojq.OpLt, gojq.OpGe, gojq.OpLe:
		out.Left = pipe(left, callOf("_charge"))
		return out, nil
	}
	return nil, refuse("assignments, or nothing,")
}

func (w *rewriter) term(t *gojq.Term) (*gojq.Term, error) {
	out := *t
	var err error
	switch t.Type {
	case gojq.TermTypeIdentity, gojq.TermTypeRecurse, gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber:
	case gojq.TermTypeIndex:
		err = w.index(t.Index)
	case gojq.TermTypeFunc:
		var inner *gojq.Term
		if inner, err = w.function(t.Func); err == nil {
			inner.SuffixList = t.SuffixList
			out = *inner
		}
	case gojq.TermTypeObject:
		made := &gojq.Term{Type: t.Type}
		made.Object, err = w.object(t.Object)
		out = *term(pipe(&gojq.Query{Term: made}, callOf("_object")))
		out.SuffixList = t.SuffixList
	case gojq.TermTypeArray:
		out.Array = &gojq.Array{}
		out.Array.Query, err = w.query(t.Array.Query)
	case gojq.TermTypeUnary:
		out.Unary = &gojq.Unary{Op: t.Unary.Op}
		out.Unary.Term, err = w.term(t.Unary.Term)
	case gojq.TermTypeFormat:
		if !slices.Contains(formats, t.Format) {
			return nil, refuse(t.Format)
		}
		out, err = w.text(t)
	case gojq.TermTypeString:
		out, err = w.text(t)
	case gojq.TermTypeIf:
		out.If, err = w.condition(t.If)
	case gojq.TermTypeTry:
		out.Try = &gojq.Try{}
		if out.Try.Body, err = w.query(t.Try.Body); err == nil {
			out.Try.Catch, err = w.query(t.Try.Catch)
		}
	case gojq.TermTypeQuery:
		out.Query, err = w.query(t.Query)
	default:
		return nil, refuse(strings.Fields(t.String())[0])
	}
	for _, s := range t.SuffixList {
		if err == nil && s.Index != nil {
			err = w.index(s.Index)
		}
	}
	return &out, err
}

// text charges for a string that is made of others.
func (w *rewriter) text(t *gojq.Term) (gojq.Term, error) {
	plain := *t
	plain.SuffixList = nil
	if t.Str != nil && t.Str.Queries != nil {
		s := &gojq.String{}
		for _, q := range t.Str.Queries {
			part, err := w.query(q)
			if err != nil {
				return gojq.Term{}, err
			}
			if part.Term == nil || part.Term.Str == nil {
				part = &gojq.Query{Term: term(pipe(part, callOf("_charge")))}
			}
			s.Queries = append(s.Queries, part)
		}
		plain.Str = s
	}
	if t.Type == gojq.TermTypeString && (t.Str == nil || t.Str.Queries == nil) {
		return *t, nil
	}
	out := *term(pipe(callOf("_charge"), pipe(&gojq.Query{Term: &plain}, callOf("_charge"))))
	out.SuffixList = t.SuffixList
	return out, nil
}

func (w *rewriter) condition(f *gojq.If) (*gojq.If, error) {
	out := &gojq.If{}
	var err error
	take := func(q *gojq.Query) *gojq.Query {
		if err != nil {
			return nil
		}
		q, err = w.query(q)
		return q
	}
	out.Cond, out.Then, out.Else = take(f.Cond), take(f.Then), take(f.Else)
	for _, e := range f.Elif {
		out.Elif = append(out.Elif, &gojq.IfElif{Cond: take(e.Cond), Then: take(e.Then)})
	}
	return out, err
}

func (w *rewriter) function(f *gojq.Func) (*gojq.Term, error) {
	if strings.HasPrefix(f.Name, "$") {
		if !slices.Contains(w.vars, f.Name) {
			return nil, refuse(f.Name)
		}
		return &gojq.Term{Type: gojq.TermTypeFunc, Func: f}, nil
	}
	name := fmt.Sprintf("%s/%d", f.Name, len(f.Args))
	key, heavy := slices.Contains(keyFunctions, name), slices.Contains(heavyFunctions, name)
	if !key && !heavy && !slices.Contains(plainFunctions, name) {
		return nil, fmt.Errorf("cannot use %s here; it selects with paths, map, select, sort_by, group_by, keys, length, join, test and the like", f.Name)
	}
	out := &gojq.Func{Name: f.Name}
	for i, a := range f.Args {
		q, err := w.argument(f.Name, i, a)
		if err != nil {
			return nil, err
		}
		if key {
			q = pipe(q, callOf("_charge"))
		}
		out.Args = append(out.Args, q)
	}
	if slices.Contains(ownFunctions, f.Name) {
		out.Name = "_" + f.Name
	}
	q := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: out}}
	switch {
	case name == "to_entries/0" || name == "with_entries/1":
		q = pipe(callOf("_entries"), pipe(q, callOf("_charge")))
	case key || heavy:
		q = pipe(callOf("_charge"), pipe(q, callOf("_charge")))
	}
	return term(q), nil
}

// argument rewrites the i-th argument of a function.
func (w *rewriter) argument(function string, i int, a *gojq.Query) (*gojq.Query, error) {
	if function == "del" {
		if !isPath(a) {
			return nil, errors.New("can delete plain paths only")
		}
		return a, nil
	}
	q, err := w.query(a)
	if err == nil && function == "test" && i == 0 {
		q = pipe(q, callOf("_pattern"))
	}
	return q, err
}
