package authz

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds of what is typed of one input schema. What lies beyond is left out,
// as Cedar cannot speak of it anyway.
const (
	maxTypeDepth = 12
	maxTypeNodes = 2000
)

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

// value types what an attribute or an element holds: a record of nothing would
// be nothing to ask about.
func (t *typer) value(schema any, pointer string, depth int) (*inputType, bool) {
	notes := len(t.notes)
	typ, nullable := t.typ(schema, pointer, depth)
	if typ != nil && typ.kind == kindRecord && len(typ.fields) == 0 {
		if len(t.notes) > notes {
			return nil, false // said already
		}
		return t.leaveOut(pointer, "an object without declared properties")
	}
	return typ, nullable
}

// typ types a schema. A nil type is left out; nullable values are left out of
// the context when they are null.
//
// A value satisfies all that its schema says: its own type, what it refers to,
// allOf, oneOf and anyOf. So whatever of these can be typed types the value.
func (t *typer) typ(schema any, pointer string, depth int) (*inputType, bool) {
	if t.nodes++; t.nodes == maxTypeNodes || depth > maxTypeDepth {
		return t.leaveOut(pointer, "too deep or too large")
	} else if t.nodes > maxTypeNodes {
		return nil, false // said once
	}
	s, ok := schema.(map[string]any)
	if !ok {
		return t.leaveOut(pointer, "any value")
	}
	all := t.conjuncts(s, pointer, depth)
	if len(all) == 0 {
		return t.leaveOut(pointer, "several or no types")
	}
	var typ *inputType
	nullable := true
	for _, c := range all {
		switch {
		case c.typ == nil:
			continue // noted
		case typ == nil:
			typ = c.typ
		default:
			if typ = meet(typ, c.typ); typ == nil {
				return t.leaveOut(pointer, "a combination of types")
			}
		}
		nullable = nullable && c.nullable
	}
	if typ == nil {
		return nil, false
	}
	parts, _ := s["allOf"].([]any)
	for _, p := range append([]any{s}, parts...) {
		if m, ok := p.(map[string]any); ok {
			typ = typ.requiring(m["required"])
		}
	}
	return typ, nullable
}

type conjunct struct {
	typ      *inputType // nil if it cannot be typed
	nullable bool
}

// conjuncts are the types that a schema says its value has, all at once.
func (t *typer) conjuncts(s map[string]any, pointer string, depth int) []conjunct {
	var all []conjunct
	add := func(typ *inputType, nullable bool) { all = append(all, conjunct{typ, nullable}) }
	if says(s, "type", "properties", "enum", "const") {
		add(t.own(s, pointer, depth))
	}
	if ref, ok := s["$ref"].(string); ok {
		add(t.ref(ref, pointer, depth))
	}
	parts, _ := s["allOf"].([]any)
	for _, p := range parts {
		if speaks(p) {
			add(t.typ(p, pointer, depth+1))
		}
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		if parts, _ := s[key].([]any); slices.ContainsFunc(parts, speaks) {
			add(t.union(parts, pointer, depth))
		}
	}
	return all
}

// says reports whether a schema has one of the keywords.
func says(s map[string]any, keywords ...string) bool {
	return slices.ContainsFunc(keywords, func(k string) bool { return s[k] != nil })
}

// speaks reports whether a schema says anything of the type, as one that only
// describes or bounds a value does not.
func speaks(schema any) bool {
	s, ok := schema.(map[string]any)
	return ok && says(s, "type", "properties", "enum", "const", "$ref", "allOf", "oneOf", "anyOf")
}

// own types what a schema says itself.
func (t *typer) own(s map[string]any, pointer string, depth int) (*inputType, bool) {
	name, nullable := typeName(s)
	if k, ok := scalar(s, name); ok {
		t := &inputType{kind: k, exact: k == kindDecimal && isCoarse(s["multipleOf"])}
		if k == kindString || k == kindLong {
			t.enum = valuesOf(s, k)
		}
		return t, nullable
	}
	switch name {
	case "array":
		elem, null := t.value(s["items"], pointer+"/items", depth+1)
		if elem == nil {
			return nil, false
		}
		if null || s["prefixItems"] != nil {
			return t.leaveOut(pointer, "a list of mixed or null values")
		}
		return &inputType{kind: kindSet, elem: elem}, nullable
	case "object":
		props, _ := s["properties"].(map[string]any)
		return t.object(props, pointer, depth), nullable
	}
	return t.leaveOut(pointer, "several or no types")
}

// scalar is the kind of a type that has no parts.
func scalar(s map[string]any, name string) (kind, bool) {
	switch name {
	case "boolean":
		return kindBool, true
	case "integer":
		return kindLong, true
	case "number":
		return kindDecimal, true
	case "string":
		if s["format"] == "date-time" {
			return kindDatetime, true
		}
		return kindString, true
	}
	return 0, false
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

func (t *typer) object(props map[string]any, pointer string, depth int) *inputType {
	out := &inputType{kind: kindRecord}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		typ, nullable := t.value(props[name], pointer+"/"+pointerEscaper.Replace(name), depth+1)
		if typ != nil {
			out.fields = append(out.fields, inputField{name: name, quoted: cedarString(name), nullable: nullable, typ: typ})
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
	return t.typ(target, pointer, depth)
}

// union types "T or null", and alternatives that are all of one scalar type;
// any other union is left out.
func (t *typer) union(parts []any, pointer string, depth int) (*inputType, bool) {
	nullable := false
	var rest []any
	for _, p := range parts {
		if m, ok := p.(map[string]any); ok && m["type"] == "null" {
			nullable = true
			continue
		}
		rest = append(rest, p)
	}
	if len(rest) == 1 {
		typ, null := t.typ(rest[0], pointer, depth+1)
		return typ, nullable || null
	}
	var kinds []kind
	var enum []string // of all alternatives, if each has one
	for i, p := range rest {
		s, _ := p.(map[string]any)
		name, null := typeName(s)
		k, ok := scalar(s, name)
		if !ok || len(kinds) > 0 && kinds[0] != k || says(s, "$ref", "allOf", "oneOf", "anyOf") {
			return t.leaveOut(pointer, "one of several types")
		}
		kinds, nullable = append(kinds, k), nullable || null
		if values := valuesOf(s, k); values == nil || i > 0 && enum == nil {
			enum = nil
		} else {
			enum = append(enum, values...)
		}
	}
	if len(kinds) == 0 {
		return t.leaveOut(pointer, "one of several types")
	}
	typ := &inputType{kind: kinds[0]}
	if typ.kind == kindString || typ.kind == kindLong {
		typ.enum = enum
	}
	return typ, nullable
}

// valuesOf are the only texts or integers that a schema allows, or nil if it allows
// others.
func valuesOf(s map[string]any, k kind) []string {
	values, _ := s["enum"].([]any)
	if c, ok := s["const"]; ok {
		values = []any{c}
	}
	var texts []string
	for _, v := range values {
		if text, ok := v.(string); ok && k == kindString {
			texts = append(texts, text)
		}
		if x, problem := scalarValue(kindLong, v, nil); k == kindLong && problem == "" {
			texts = append(texts, x.String())
		}
	}
	return texts
}

// isCoarse reports whether multiples of a number have at most four digits after
// the point.
func isCoarse(multiple any) bool {
	n, ok := multiple.(json.Number)
	if !ok {
		return false
	}
	_, err := decimal(n)
	return err == nil
}
