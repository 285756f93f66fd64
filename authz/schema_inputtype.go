package authz

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// inputType is the Cedar type of a JSON Schema, made once at load. Arguments
// are converted by it, never by unmarshalling.
type inputType struct {
	kind   kind
	elem   *inputType   // of a set
	fields []inputField // of a record, by name
	enum   []string     // the only values of a string or an integer; nil if there are others
	exact  bool         // a decimal never has more digits than Cedar can hold
}

type kind int

const (
	kindBool kind = iota
	kindLong
	kindString
	kindDecimal
	kindDatetime
	kindRecord
	kindSet
)

type inputField struct {
	name     string
	quoted   string // the name as a Cedar string
	required bool   // present and not null
	nullable bool
	typ      *inputType
}

// cedar is the type in the schema.
func (t *inputType) cedar() resolved.IsType {
	switch t.kind {
	case kindBool:
		return boolT
	case kindLong:
		return longT
	case kindString:
		return stringT
	case kindDecimal:
		return decimalT
	case kindDatetime:
		return datetimeT
	case kindSet:
		return resolved.SetType{Element: t.elem.cedar()}
	}
	return t.record()
}

func (t *inputType) record() resolved.RecordType {
	r := resolved.RecordType{}
	for _, f := range t.fields {
		r[types.String(f.name)] = resolved.Attribute{Type: f.typ.cedar(), Optional: !f.required}
	}
	return r
}

// field returns the type of a field of a record, and nil of anything else.
func (t *inputType) field(name string) *inputType {
	if t.kind == kindRecord {
		for _, f := range t.fields {
			if f.name == name {
				return f.typ
			}
		}
	}
	return nil
}

// at is the type of what a path below context.input leads to, or nil.
func (t *inputType) at(path []string) *inputType {
	for _, name := range path {
		if t == nil {
			return nil
		}
		t = t.field(name)
	}
	return t
}

// requiring is t with the named fields required, unless they may be null.
func (t *inputType) requiring(names any) *inputType {
	list, _ := names.([]any)
	if t.kind != kindRecord || len(list) == 0 {
		return t
	}
	must := map[any]bool{}
	for _, name := range list {
		if s, ok := name.(string); ok {
			must[s] = true
		}
	}
	out := &inputType{kind: kindRecord, fields: slices.Clone(t.fields)}
	for i, f := range out.fields {
		out.fields[i].required = f.required || must[f.name] && !f.nullable
	}
	return out
}

// meet is the type of a value that has both types, or nil if Cedar has none.
func meet(a, b *inputType) *inputType {
	switch {
	case a.kind == kindRecord && b.kind == kindRecord:
		return meetRecords(a, b)
	case a.kind == kindSet && b.kind == kindSet:
		if elem := meet(a.elem, b.elem); elem != nil {
			return &inputType{kind: kindSet, elem: elem}
		}
		return nil
	case a.kind == b.kind && a.enum != nil && b.enum != nil:
		return &inputType{kind: a.kind, enum: slices.DeleteFunc(slices.Clone(a.enum), func(v string) bool { return !slices.Contains(b.enum, v) })}
	case a.kind == b.kind && (b.enum != nil || b.exact):
		return b
	case a.kind == b.kind, a.kind == kindLong && b.kind == kindDecimal, a.kind == kindDatetime && b.kind == kindString:
		return a
	case b.kind == kindLong && a.kind == kindDecimal, b.kind == kindDatetime && a.kind == kindString:
		return b
	}
	return nil
}

// meetRecords has the fields of both. One whose two types do not meet is left out.
func meetRecords(a, b *inputType) *inputType {
	out := &inputType{kind: kindRecord}
	for _, f := range a.fields {
		if i := slices.IndexFunc(b.fields, func(g inputField) bool { return g.name == f.name }); i >= 0 {
			g := b.fields[i]
			f.required = f.required || g.required
			f.nullable = f.nullable && g.nullable
			if f.typ = meet(f.typ, g.typ); f.typ == nil {
				continue
			}
		}
		out.fields = append(out.fields, f)
	}
	for _, g := range b.fields {
		if !slices.ContainsFunc(a.fields, func(f inputField) bool { return f.name == g.name }) {
			out.fields = append(out.fields, g)
		}
	}
	slices.SortFunc(out.fields, func(f, g inputField) int { return strings.Compare(f.name, g.name) })
	return out
}
