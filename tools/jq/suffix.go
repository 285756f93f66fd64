package jq

import (
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

// index allows what needs no second value to be searched for: names, numbers.
func (w *rewriter) index(x *gojq.Index) error {
	for _, q := range []*gojq.Query{x.Start, x.End} {
		if q == nil {
			continue
		}
		t := q.Term
		if t != nil && t.Type == gojq.TermTypeUnary {
			t = t.Unary.Term
		}
		if t == nil || len(t.SuffixList) > 0 || t.Type != gojq.TermTypeNumber && (t.Type != gojq.TermTypeString || t.Str.Queries != nil) {
			return refuse("an index that is computed")
		}
	}
	if x.Str != nil && x.Str.Queries != nil {
		return refuse("a name that is computed")
	}
	return nil
}

func (w *rewriter) object(o *gojq.Object) (*gojq.Object, error) {
	out := &gojq.Object{}
	for _, kv := range o.KeyVals {
		x := *kv
		if x.KeyString != nil && x.KeyString.Queries != nil {
			return nil, refuse("a name that is put together; use with_entries")
		}
		if strings.HasPrefix(x.Key, "$") && !slices.Contains(w.vars, x.Key) {
			return nil, refuse(x.Key)
		}
		var err error
		if x.KeyQuery, err = w.query(kv.KeyQuery); err != nil {
			return nil, err
		}
		if x.Val, err = w.query(kv.Val); err != nil {
			return nil, err
		}
		out.KeyVals = append(out.KeyVals, &x)
	}
	return out, nil
}

// isPath reports whether a query is one path or several, without functions.
func isPath(q *gojq.Query) bool {
	if q.Term == nil {
		return q.Op == gojq.OpComma && isPath(q.Left) && isPath(q.Right)
	}
	return (q.Term.Type == gojq.TermTypeIndex || q.Term.Type == gojq.TermTypeIdentity) && (&rewriter{}).suffixes(q.Term) == nil
}

func (w *rewriter) suffixes(t *gojq.Term) error {
	if t.Index != nil {
		if err := w.index(t.Index); err != nil {
			return err
		}
	}
	for _, s := range t.SuffixList {
		if s.Index != nil {
			if err := w.index(s.Index); err != nil {
				return err
			}
		}
	}
	return nil
}
