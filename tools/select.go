package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/exeat/exeat/openapi"
)

// selectArg is the argument of every tool with JSON answers that says which part
// of the answer is wanted, as a jq program. It is no part of the request.
const selectArg = "_select"

const selectSchema = `"_select":{"type":"string","description":"jq program over the answer, to get less of it, e.g. [.items[] | {id, name}]"}`

// Bounds of a projection. A program is the agent's and the answer is the API's:
// both may try to make exeat work for ever or grow.
const (
	maxProgram  = 2000     // bytes of a program
	maxSelected = 8 << 20  // bytes of an answer that a program is run over
	maxSteps    = 4 << 20  // instructions of one run
	maxWork     = 96 << 20 // bytes that functions may walk over or make in one run
	maxOutputs  = 100_000
)

// projection is a jq program that was checked, and rewritten so that a run can
// be bounded.
type projection struct{ query *gojq.Query }

// plainFunctions take a step or walk in steps; heavyFunctions go over all of
// their input at once. All other functions of jq are left out: they read the
// world, grow without bound, or take the square of their input.
var (
	plainFunctions = []string{"empty/0", "not/0", "length/0", "type/0", "has/1", "map/1", "select/1", "first/0", "last/0", "first/1", "last/1", "limit/2", "nth/1",
		"recurse/0", "isempty/1", "any/1", "all/1", "values/0", "nulls/0", "booleans/0", "numbers/0", "strings/0", "arrays/0", "objects/0", "iterables/0", "scalars/0",
		"tonumber/0", "startswith/1", "endswith/1", "ltrimstr/1", "rtrimstr/1", "with_entries/1", "map_values/1"}
	heavyFunctions = []string{"keys/0", "keys_unsorted/0", "to_entries/0", "from_entries/0", "add/0", "any/0", "all/0", "min/0", "max/0", "min_by/1", "max_by/1",
		"sort/0", "sort_by/1", "group_by/1", "unique/0", "unique_by/1", "reverse/0", "flatten/0", "flatten/1", "tostring/0", "tojson/0", "ascii_downcase/0", "ascii_upcase/0",
		"floor/0", "ceil/0", "round/0", "abs/0", "todate/0", "fromdate/0", "trim/0", "test/1", "test/2", "split/1", "join/1", "contains/1", "del/1"}
	formats = []string{"@text", "@json", "@csv", "@tsv"}
)

// newProjection checks and compiles a program. The error is for the agent.
func newProjection(program string) (p *projection, err error) {
	defer recovered(&err)
	if len(program) > maxProgram {
		return nil, fmt.Errorf("has more than %d bytes", maxProgram)
	}
	q, err := gojq.Parse(program)
	if err != nil {
		var bad *gojq.ParseError
		if errors.As(err, &bad) {
			return nil, fmt.Errorf("is no jq program: unexpected %q at byte %d", bad.Token, bad.Offset)
		}
		return nil, errors.New("is no jq program")
	}
	if len(q.Imports) > 0 || q.Meta != nil {
		return nil, errors.New("cannot import anything")
	}
	if q, err = bounded(q); err != nil {
		return nil, err
	}
	p = &projection{q}
	if _, err := p.compile(&meter{}); err != nil {
		return nil, fmt.Errorf("does not compile: %w", err)
	}
	return p, nil
}

func (p *projection) compile(m *meter) (code *gojq.Code, err error) {
	defer recovered(&err)
	return gojq.Compile(p.query, gojq.WithFunction("_charge", 0, 0, m.charge), gojq.WithFunction("_number", 0, 0, number), gojq.WithFunction("_tonumber", 0, 0, toNumber),
		gojq.WithFunction("_join", 1, 1, m.join), gojq.WithFunction("_contains", 1, 1, contains))
}

// run gives the program's outputs: the one value, or an array of several. The
// error is for the agent.
func (p *projection) run(ctx context.Context, v any) (_ any, err error) {
	defer recovered(&err)
	m := &meter{Context: ctx, steps: maxSteps, work: maxWork}
	code, err := p.compile(m)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for it := code.RunWithContext(m, v); ; {
		v, ok := it.Next()
		if m.spent {
			return nil, errors.New("takes too long, or makes too much of this answer")
		}
		if !ok {
			break
		}
		if err, failed := v.(error); failed {
			return nil, errors.New(shortened(err.Error(), 300))
		}
		if out = append(out, v); len(out) > maxOutputs {
			return nil, fmt.Errorf("gives more than %d values", maxOutputs)
		}
	}
	switch len(out) {
	case 0:
		return nil, errors.New("gives nothing of this answer")
	case 1:
		return out[0], nil
	}
	return out, nil
}

// recovered turns a panic of the interpreter, which is foreign code on foreign
// input, into an error.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = errors.New("is more than the interpreter can cope with")
	}
}

// meter counts what a run costs. The interpreter asks for Done before every
// instruction, so that is where instructions are counted.
type meter struct {
	context.Context
	steps, work int
	spent       bool
}

var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done implements context.Context.
func (m *meter) Done() <-chan struct{} {
	if m.steps--; m.steps < 0 || m.steps%64 == 0 && m.Context.Err() != nil {
		m.spent = true
	}
	if m.spent {
		return closed
	}
	return nil
}

// Err implements context.Context.
func (m *meter) Err() error {
	if m.spent {
		return context.Canceled
	}
	return nil
}

// charge takes the size of a value from what a run may walk over, and gives the
// value on.
func (m *meter) charge(v any, _ []any) any {
	if m.take(v); m.spent {
		return context.Canceled
	}
	return v
}

// take walks no further than the work reaches.
func (m *meter) take(v any) {
	if m.work <= 0 {
		m.spent = true
		return
	}
	m.work -= 16
	switch v := v.(type) {
	case string:
		m.work -= len(v)
	case *big.Int:
		m.work -= v.BitLen() / 4
	case json.Number:
		if m.work -= len(v); len(v) > maxDigits {
			m.work -= len(v) * len(v) // to compare it, it is parsed
		}
	case []any:
		for _, x := range v {
			if m.take(x); m.spent {
				return
			}
		}
	case map[string]any:
		for k, x := range v {
			m.work -= 32 + len(k)
			if m.take(x); m.spent {
				return
			}
		}
	}
}

// number passes numbers on: - * / and % of jq do more than arithmetic, and some
// of that grows.
func number(v any, _ []any) any {
	switch n := v.(type) {
	case int, float64:
		return v
	case *big.Int:
		if n.BitLen() <= 4*maxDigits {
			return v
		}
		return errLong
	case json.Number:
		if len(n) <= maxDigits {
			return v
		}
		return errLong
	}
	return fmt.Errorf("- * / and %% are for numbers here, not for %s", gojq.TypeOf(v))
}

// maxDigits bounds the numbers that are calculated with: the cost of long ones
// grows with their square.
const maxDigits = 400

var errLong = fmt.Errorf("a number has more than %d digits", maxDigits)

// toNumber is jq's tonumber for numbers of bounded length.
func toNumber(v any, _ []any) any {
	if s, ok := v.(string); ok {
		n := json.Number(strings.TrimSpace(s))
		if len(n) > maxDigits || !json.Valid([]byte(n)) || strings.Trim(string(n), "+-.0123456789eE") != "" {
			return errors.New("tonumber is for numbers and for texts that are numbers")
		}
		return n
	}
	return number(v, nil)
}

// join is jq's, but looks at the length first.
func (m *meter) join(v any, args []any) any {
	list, ok := v.([]any)
	separator, text := args[0].(string)
	if !ok || !text {
		return errors.New("join is for an array and a string")
	}
	parts := make([]string, len(list))
	for i, x := range list {
		switch x := x.(type) {
		case nil:
		case string:
			parts[i] = x
		case bool, int, float64, *big.Int, json.Number:
			b, err := gojq.Marshal(x)
			if err != nil {
				return err
			}
			parts[i] = string(b)
		default:
			return fmt.Errorf("join cannot take %s", gojq.TypeOf(x))
		}
	}
	if m.work -= len(separator) * len(list); m.work < 0 {
		m.spent = true
		return context.Canceled
	}
	return strings.Join(parts, separator)
}

// contains is jq's for strings; its search in arrays takes the square of them.
func contains(v any, args []any) any {
	s, ok := v.(string)
	part, text := args[0].(string)
	if !ok || !text {
		return errors.New("contains is for strings here")
	}
	return strings.Contains(s, part)
}

func shortened(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// bounds rewrites a program so that what goes over whole values is charged for.
type bounds struct{ vars []string }

func bounded(q *gojq.Query) (*gojq.Query, error) { return (&bounds{}).query(q) }

func call0(name string) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name}}}
}

func piped(left, right *gojq.Query) *gojq.Query {
	return &gojq.Query{Left: left, Op: gojq.OpPipe, Right: right}
}

func term(q *gojq.Query) *gojq.Term { return &gojq.Term{Type: gojq.TermTypeQuery, Query: q} }

func refused(what string) error { return fmt.Errorf("cannot use %s here", what) }

func (b *bounds) query(q *gojq.Query) (*gojq.Query, error) {
	if q == nil {
		return nil, nil
	}
	if len(q.FuncDefs) > 0 {
		return nil, refused("def")
	}
	if q.Term != nil {
		t, err := b.term(q.Term)
		return &gojq.Query{Term: t}, err
	}
	left, err := b.query(q.Left)
	if err != nil {
		return nil, err
	}
	before := len(b.vars)
	for _, p := range q.Patterns {
		if p.Name == "" {
			return nil, refused("patterns")
		}
		b.vars = append(b.vars, p.Name)
	}
	right, err := b.query(q.Right)
	b.vars = b.vars[:before]
	if err != nil {
		return nil, err
	}
	out := &gojq.Query{Left: left, Op: q.Op, Right: right, Patterns: q.Patterns}
	switch q.Op {
	case gojq.OpPipe, gojq.OpComma, gojq.OpAnd, gojq.OpOr, gojq.OpAlt:
		return out, nil
	case gojq.OpAdd:
		out.Left, out.Right = piped(left, call0("_charge")), piped(right, call0("_charge"))
		return piped(out, call0("_charge")), nil
	case gojq.OpSub, gojq.OpMul, gojq.OpDiv, gojq.OpMod:
		out.Left, out.Right = piped(left, call0("_number")), piped(right, call0("_number"))
		return out, nil
	case gojq.OpEq, gojq.OpNe, gojq.OpGt, gojq.OpLt, gojq.OpGe, gojq.OpLe:
		out.Left = piped(left, call0("_charge"))
		return out, nil
	}
	return nil, refused("assignments, or nothing,")
}

func (b *bounds) term(t *gojq.Term) (*gojq.Term, error) {
	out := *t
	var err error
	switch t.Type {
	case gojq.TermTypeIdentity, gojq.TermTypeRecurse, gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber:
	case gojq.TermTypeIndex:
		err = b.index(t.Index)
	case gojq.TermTypeFunc:
		var inner *gojq.Term
		if inner, err = b.function(t.Func); err == nil {
			inner.SuffixList = t.SuffixList
			out = *inner
		}
	case gojq.TermTypeObject:
		out.Object, err = b.object(t.Object)
	case gojq.TermTypeArray:
		out.Array = &gojq.Array{}
		out.Array.Query, err = b.query(t.Array.Query)
	case gojq.TermTypeUnary:
		out.Unary = &gojq.Unary{Op: t.Unary.Op}
		out.Unary.Term, err = b.term(t.Unary.Term)
	case gojq.TermTypeFormat:
		if !slices.Contains(formats, t.Format) {
			return nil, refused(t.Format)
		}
		out, err = b.text(t)
	case gojq.TermTypeString:
		out, err = b.text(t)
	case gojq.TermTypeIf:
		out.If, err = b.condition(t.If)
	case gojq.TermTypeTry:
		out.Try = &gojq.Try{}
		if out.Try.Body, err = b.query(t.Try.Body); err == nil {
			out.Try.Catch, err = b.query(t.Try.Catch)
		}
	case gojq.TermTypeQuery:
		out.Query, err = b.query(t.Query)
	default:
		return nil, refused(strings.Fields(t.String())[0])
	}
	for _, s := range t.SuffixList {
		if err == nil && s.Index != nil {
			err = b.index(s.Index)
		}
	}
	return &out, err
}

// text charges for a string that is made of others.
func (b *bounds) text(t *gojq.Term) (gojq.Term, error) {
	plain := *t
	plain.SuffixList = nil
	if t.Str != nil && t.Str.Queries != nil {
		s := &gojq.String{}
		for _, q := range t.Str.Queries {
			part, err := b.query(q)
			if err != nil {
				return gojq.Term{}, err
			}
			if part.Term == nil || part.Term.Str == nil {
				part = &gojq.Query{Term: term(piped(part, call0("_charge")))}
			}
			s.Queries = append(s.Queries, part)
		}
		plain.Str = s
	}
	if t.Type == gojq.TermTypeString && (t.Str == nil || t.Str.Queries == nil) {
		return *t, nil
	}
	out := *term(piped(call0("_charge"), piped(&gojq.Query{Term: &plain}, call0("_charge"))))
	out.SuffixList = t.SuffixList
	return out, nil
}

// index allows what needs no second value to be searched for: names, numbers.
func (b *bounds) index(x *gojq.Index) error {
	for _, q := range []*gojq.Query{x.Start, x.End} {
		if q == nil {
			continue
		}
		t := q.Term
		if t != nil && t.Type == gojq.TermTypeUnary {
			t = t.Unary.Term
		}
		if t == nil || len(t.SuffixList) > 0 || t.Type != gojq.TermTypeNumber && (t.Type != gojq.TermTypeString || t.Str.Queries != nil) {
			return refused("an index that is computed")
		}
	}
	if x.Str != nil && x.Str.Queries != nil {
		return refused("a name that is computed")
	}
	return nil
}

func (b *bounds) object(o *gojq.Object) (*gojq.Object, error) {
	out := &gojq.Object{}
	for _, kv := range o.KeyVals {
		x := *kv
		if x.KeyString != nil && x.KeyString.Queries != nil {
			return nil, refused("a name that is put together; use with_entries")
		}
		if strings.HasPrefix(x.Key, "$") && !slices.Contains(b.vars, x.Key) {
			return nil, refused(x.Key)
		}
		var err error
		if x.KeyQuery, err = b.query(kv.KeyQuery); err != nil {
			return nil, err
		}
		if x.Val, err = b.query(kv.Val); err != nil {
			return nil, err
		}
		out.KeyVals = append(out.KeyVals, &x)
	}
	return out, nil
}

func (b *bounds) condition(f *gojq.If) (*gojq.If, error) {
	out := &gojq.If{}
	var err error
	take := func(q *gojq.Query) *gojq.Query {
		if err != nil {
			return nil
		}
		q, err = b.query(q)
		return q
	}
	out.Cond, out.Then, out.Else = take(f.Cond), take(f.Then), take(f.Else)
	for _, e := range f.Elif {
		out.Elif = append(out.Elif, &gojq.IfElif{Cond: take(e.Cond), Then: take(e.Then)})
	}
	return out, err
}

func (b *bounds) function(f *gojq.Func) (*gojq.Term, error) {
	if strings.HasPrefix(f.Name, "$") {
		if !slices.Contains(b.vars, f.Name) {
			return nil, refused(f.Name)
		}
		return &gojq.Term{Type: gojq.TermTypeFunc, Func: f}, nil
	}
	name := fmt.Sprintf("%s/%d", f.Name, len(f.Args))
	heavy := slices.Contains(heavyFunctions, name)
	if !heavy && !slices.Contains(plainFunctions, name) {
		return nil, fmt.Errorf("cannot use %s here; it selects with paths, map, select, sort_by, group_by, keys, length, join, test and the like", f.Name)
	}
	out := &gojq.Func{Name: f.Name}
	for _, a := range f.Args {
		if f.Name == "del" {
			if !isPath(a) {
				return nil, errors.New("can delete plain paths only")
			}
			out.Args = append(out.Args, a)
			continue
		}
		q, err := b.query(a)
		if err != nil {
			return nil, err
		}
		out.Args = append(out.Args, q)
	}
	switch f.Name {
	case "join", "contains", "tonumber": // those of jq take what they get
		out.Name = "_" + f.Name
	}
	q := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: out}}
	if heavy {
		q = piped(call0("_charge"), piped(q, call0("_charge")))
	}
	return term(q), nil
}

// isPath reports whether a query is one path or several, without functions.
func isPath(q *gojq.Query) bool {
	if q.Term == nil {
		return q.Op == gojq.OpComma && isPath(q.Left) && isPath(q.Right)
	}
	return (q.Term.Type == gojq.TermTypeIndex || q.Term.Type == gojq.TermTypeIdentity) && (&bounds{}).suffixes(q.Term) == nil
}

func (b *bounds) suffixes(t *gojq.Term) error {
	if t.Index != nil {
		if err := b.index(t.Index); err != nil {
			return err
		}
	}
	for _, s := range t.SuffixList {
		if s.Index != nil {
			if err := b.index(s.Index); err != nil {
				return err
			}
		}
	}
	return nil
}

// selecting is how many projections run at a time in this process: each may need
// some hundred megabytes.
const selecting = 3

// selectWithin bounds the time of one.
const selectWithin = 5 * time.Second

// chosen reads the argument that says what part of the answer is wanted; nil is
// all of it.
func chosen(v any) (*projection, error) {
	if v == nil {
		return nil, nil
	}
	problem := func(message string) error {
		return &openapi.ArgumentError{Problems: []openapi.Problem{{Pointer: "/" + selectArg, Message: message}}}
	}
	program, ok := v.(string)
	if !ok {
		return nil, problem("must be a jq program, as a string")
	}
	p, err := newProjection(program)
	if err != nil {
		return nil, problem(err.Error())
	}
	return p, nil
}

// project puts in place of an answer what the program gives of it. An answer that
// is no JSON, or says that something went wrong, stays as it is. If the program
// fails the agent gets the shape of the answer, to mend its program by.
func (r *Runner) project(ctx context.Context, p *projection, res *Result) {
	e := &res.Envelope
	if p == nil || e.Status != Done || e.HTTPStatus >= 300 {
		return
	}
	if e.Response == nil || len(res.Blocks) > 0 {
		e.Note = join(e.Note, selectArg+" was not applied: the answer is no JSON")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, selectWithin)
	defer cancel()
	select {
	case r.selects <- struct{}{}:
		defer func() { <-r.selects }()
	case <-ctx.Done():
		e.Response, e.Note = nil, join(e.Note, selectArg+" could not be applied: too much else is being selected; ask again")
		return
	}
	v, err := exact(e.Response)
	if err == nil {
		var out any
		if out, err = p.run(ctx, v); err == nil {
			var b []byte
			if b, err = gojq.Marshal(out); err == nil {
				e.Response = b
				r.cut(e)
				return
			}
		}
	}
	e.Response, e.Shape = nil, shape(v, 0)
	e.Note = join(e.Note, selectArg+" "+err.Error()+"; the answer is left out, its shape is given instead")
}

// cut keeps what is selected within the limit of answers.
func (r *Runner) cut(e *Envelope) {
	if int64(len(e.Response)) <= r.ResponseLimit {
		return
	}
	size := len(e.Response)
	kept, where := openapi.Cut(e.Response, r.ResponseLimit)
	e.Response, e.Note = kept, join(e.Note, fmt.Sprintf("what was selected has %d bytes and was cut: %s", size, where))
}

// shape describes a value by its types, to a small depth.
func shape(v any, depth int) any {
	const deepest, most = 3, 30
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		if len(v) == 0 || depth == deepest {
			return fmt.Sprintf("array of %d", len(v))
		}
		return map[string]any{fmt.Sprintf("array of %d, the first is", len(v)): shape(v[0], depth+1)}
	case map[string]any:
		if depth == deepest {
			return fmt.Sprintf("object of %d", len(v))
		}
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if len(out) == most {
				out["…"] = fmt.Sprintf("%d more", len(v)-most)
				break
			}
			out[shortened(k, 100)] = shape(v[k], depth+1)
		}
		return out
	}
	return "number"
}
