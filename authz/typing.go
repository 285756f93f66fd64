package authz

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// Bounds of what is typed of one input schema. What lies beyond is left out,
// as Cedar cannot speak of it anyway.
const (
	maxTypeDepth = 12
	maxTypeNodes = 2000
)

// inputType is the Cedar type of a JSON Schema, made once at load. Arguments
// are converted by it, never by unmarshalling.
type inputType struct {
	kind   kind
	elem   *inputType   // of a set
	fields []inputField // of a record, by name
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
	required bool
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

// typer types one action's input schema and notes what it leaves out.
type typer struct {
	defs  map[string]any
	nodes int
	stack []string // $defs being typed, to cut cycles
	notes []string
}

// typeInput returns the record type of an input schema, and a note for each
// part that Cedar cannot type.
func typeInput(schema json.RawMessage) (*inputType, []string, error) {
	empty := &inputType{kind: kindRecord}
	if len(schema) == 0 {
		return empty, nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(schema))
	dec.UseNumber()
	var root map[string]any
	if err := dec.Decode(&root); err != nil {
		return nil, nil, fmt.Errorf("input schema: %v", err)
	}
	t := &typer{}
	t.defs, _ = root["$defs"].(map[string]any)
	typ, nullable := t.typ(root, "", 0)
	if typ == nil || nullable || typ.kind != kindRecord {
		typ = empty
	}
	return typ, t.notes, nil
}

func (t *typer) leaveOut(pointer, why string) (*inputType, bool) {
	t.notes = append(t.notes, pointer+": "+why)
	return nil, false
}

// typ types a schema. A nil type is left out; nullable values are left out of
// the context when they are null.
func (t *typer) typ(schema any, pointer string, depth int) (_ *inputType, nullable bool) {
	if t.nodes++; t.nodes > maxTypeNodes || depth > maxTypeDepth {
		return t.leaveOut(pointer, "too deep or too large")
	}
	s, ok := schema.(map[string]any)
	if !ok {
		return t.leaveOut(pointer, "any value")
	}
	if ref, ok := s["$ref"].(string); ok {
		return t.ref(ref, pointer, depth)
	}
	if parts, ok := s["allOf"].([]any); ok {
		return t.allOf(s, parts, pointer, depth)
	}
	if s["oneOf"] != nil || s["anyOf"] != nil {
		return t.union(s, pointer, depth)
	}
	name, nullable := typeName(s)
	switch name {
	case "boolean":
		return &inputType{kind: kindBool}, nullable
	case "integer":
		return &inputType{kind: kindLong}, nullable
	case "number":
		return &inputType{kind: kindDecimal}, nullable
	case "string":
		if s["format"] == "date-time" {
			return &inputType{kind: kindDatetime}, nullable
		}
		return &inputType{kind: kindString}, nullable
	case "array":
		elem, null := t.typ(s["items"], pointer+"/items", depth+1)
		if elem == nil {
			return nil, false
		}
		if null || s["prefixItems"] != nil {
			return t.leaveOut(pointer, "a list of mixed or null values")
		}
		return &inputType{kind: kindSet, elem: elem}, nullable
	case "object":
		props, _ := s["properties"].(map[string]any)
		if len(props) == 0 && pointer != "" {
			return t.leaveOut(pointer, "an object without declared properties")
		}
		return t.object(props, s["required"], pointer, depth), nullable
	}
	return t.leaveOut(pointer, "several or no types")
}

// typeName is the one type besides null that a schema allows, or "".
func typeName(s map[string]any) (name string, nullable bool) {
	switch v := s["type"].(type) {
	case string:
		return v, false
	case []any:
		for _, x := range v {
			switch x, _ := x.(string); {
			case x == "null":
				nullable = true
			case name == "":
				name = x
			default:
				return "", false
			}
		}
		return name, nullable
	}
	if s["properties"] != nil {
		return "object", false
	}
	values, _ := s["enum"].([]any)
	if c, ok := s["const"]; ok {
		values = []any{c}
	}
	for _, v := range values {
		if v == nil {
			nullable = true
		} else if _, ok := v.(string); !ok {
			return "", false
		}
	}
	if len(values) > 0 {
		return "string", nullable
	}
	return "", false
}

func (t *typer) object(props map[string]any, req any, pointer string, depth int) *inputType {
	must := map[string]bool{}
	list, _ := req.([]any)
	for _, r := range list {
		if name, ok := r.(string); ok {
			must[name] = true
		}
	}
	out := &inputType{kind: kindRecord}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		typ, nullable := t.typ(props[name], pointer+"/"+escaped, depth+1)
		if typ != nil {
			out.fields = append(out.fields, inputField{name: name, required: must[name] && !nullable, typ: typ})
		}
	}
	return out
}

func (t *typer) ref(ref, pointer string, depth int) (*inputType, bool) {
	name, ok := strings.CutPrefix(ref, "#/$defs/")
	name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	target, found := t.defs[name]
	if !ok || !found {
		return t.leaveOut(pointer, "a reference that leads nowhere")
	}
	if slices.Contains(t.stack, name) {
		return t.leaveOut(pointer, "a type that contains itself")
	}
	t.stack = append(t.stack, name)
	defer func() { t.stack = t.stack[:len(t.stack)-1] }()
	return t.typ(target, pointer, depth+1)
}

// allOf merges records; any other combination is left out.
func (t *typer) allOf(s map[string]any, parts []any, pointer string, depth int) (*inputType, bool) {
	merged := map[string]inputField{}
	own := maps.Clone(s)
	delete(own, "allOf")
	all := parts
	if own["properties"] != nil || own["type"] != nil {
		all = append(slices.Clone(parts), own)
	}
	for _, p := range all {
		typ, nullable := t.typ(p, pointer, depth+1)
		if typ != nil && len(all) == 1 {
			return typ, nullable
		}
		if typ == nil || nullable || typ.kind != kindRecord {
			return t.leaveOut(pointer, "a combination of types")
		}
		for _, f := range typ.fields {
			if had, ok := merged[f.name]; ok {
				f.required = f.required || had.required
			}
			merged[f.name] = f
		}
	}
	must, _ := s["required"].([]any)
	out := &inputType{kind: kindRecord}
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		f := merged[name]
		f.required = f.required || slices.Contains(must, any(name))
		out.fields = append(out.fields, f)
	}
	return out, false
}

// union types "T or null"; any other union is left out.
func (t *typer) union(s map[string]any, pointer string, depth int) (*inputType, bool) {
	for _, key := range []string{"oneOf", "anyOf"} {
		parts, _ := s[key].([]any)
		var rest []any
		for _, p := range parts {
			if m, ok := p.(map[string]any); ok && m["type"] == "null" {
				continue
			}
			rest = append(rest, p)
		}
		if len(rest) == 1 && len(rest) < len(parts) && s["properties"] == nil {
			typ, _ := t.typ(rest[0], pointer, depth+1)
			return typ, true
		}
	}
	return t.leaveOut(pointer, "one of several types")
}
