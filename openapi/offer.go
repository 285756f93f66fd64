package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Profile names what a host is known to refuse in schemas.
type Profile string

// The profiles. See docs/hosts.md for what each host refuses, and since when
// that is known.
const (
	Generic Profile = "generic" // JSON Schema 2020-12
	Claude  Profile = "claude"  // as generic: what Claude refuses no profile has
	OpenAI  Profile = "openai"  // without oneOf, not and conditions
	Gemini  Profile = "gemini"  // without references and most keywords
)

// Profiles lists them all.
func Profiles() []Profile { return []Profile{Generic, Claude, OpenAI, Gemini} }

// DefaultBudget bounds an offered schema, in bytes. Of some 6,000 operations of
// real documents one in fifty is larger.
const DefaultBudget = 16 << 10

// Offer is the input schema as hosts get it: names that hosts refuse are
// replaced, a host's profile is kept to, and what does not fit into budget bytes
// (0 means DefaultBudget) is cut, with a hint at the JSON Pointer by which
// [Operation.Describe] gives it. It admits all that Input does: calls are
// checked against Input.
func (op *Operation) Offer(p Profile, budget int) (schema json.RawMessage, cut bool) {
	if budget <= 0 {
		budget = DefaultBudget
	}
	plain := p == "" || p == Generic || p == Claude
	if plain && len(op.aliases) == 0 && len(op.Input) <= budget {
		return op.Input, false
	}
	root, err := op.shown(p)
	if err != nil {
		return op.Input, false
	}
	return shrink(root, "", budget)
}

// Describe is the part of the offered schema, before anything was cut from it,
// that a JSON Pointer (RFC 6901) leads to; its references lead to /$defs of the
// whole. If it is large, parts of it are cut in turn. The error says that there is
// nothing at the pointer.
func (op *Operation) Describe(p Profile, pointer string) (json.RawMessage, error) {
	if pointer != "" && pointer[0] != '/' || len(pointer) > 2000 {
		return nil, errors.New("the pointer is no JSON Pointer; one looks like /properties/body")
	}
	root, err := op.shown(p)
	if err != nil {
		return nil, errors.New("the tool has no schema")
	}
	d := document{root: root}
	part, ok := d.at(pointer)
	if !ok {
		return nil, errors.New("the schema has nothing at this pointer")
	}
	m, ok := part.(map[string]any)
	if !ok {
		return json.Marshal(part)
	}
	schema, _ := shrink(m, pointer, 2*DefaultBudget)
	return schema, nil
}

// shown is the schema under the names that agents see and as a profile wants it.
func (op *Operation) shown(p Profile) (map[string]any, error) {
	var root map[string]any
	dec := json.NewDecoder(bytes.NewReader(op.Input))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil {
		return nil, err
	}
	if len(op.aliases) > 0 {
		rename(root, op.aliases)
	}
	switch p {
	case OpenAI:
		narrow(root, openAI)
	case Gemini:
		defs, _ := root["$defs"].(map[string]any)
		delete(root, "$defs")
		in := inliner{defs: defs, left: maxInlined}
		root, _ = in.schema(root).(map[string]any)
		narrow(root, gemini)
	}
	return root, nil
}

// alias is the name that stands for one that hosts refuse. It depends on nothing
// but that name, and no honest API has a name like it.
func alias(name string) string {
	sum := sha256.Sum256([]byte(name))
	s := cut(strings.Trim(propertyChars.ReplaceAllString(name, "_"), "_"), 50)
	return strings.TrimLeft(s+"_"+hex.EncodeToString(sum[:3]), "_")
}

// rename notes names that hosts refuse.
func (op *Operation) rename(odd []string) {
	for _, name := range odd {
		if op.aliases == nil {
			op.aliases, op.originals = map[string]string{}, map[string]string{}
		}
		a := alias(name)
		op.aliases[name], op.originals[a] = a, name
	}
}

// agentNames puts into the pointers of problems the names that agents see.
func (op *Operation) agentNames(bad *ArgumentError) {
	if len(op.aliases) == 0 || bad == nil {
		return
	}
	for i, p := range bad.Problems {
		path := tokens(p.Pointer)
		for j, t := range path {
			if a, ok := op.aliases[t]; ok {
				path[j] = a
			}
		}
		bad.Problems[i].Pointer = join(path...)
	}
}

// rename puts names that agents see in the place of those that hosts refuse.
func rename(v any, names map[string]string) {
	each(v, func(m map[string]any) {
		for _, key := range []string{"properties", "dependentSchemas", "dependentRequired"} {
			props, _ := m[key].(map[string]any)
			for _, name := range slices.Collect(maps.Keys(props)) {
				if to, ok := names[name]; ok {
					props[to] = props[name]
					delete(props, name)
				}
				if list, ok := props[name].([]any); ok {
					renameList(list, names)
				}
			}
		}
		if list, ok := m["required"].([]any); ok {
			renameList(list, names)
		}
	})
}

func renameList(list []any, names map[string]string) {
	for i, x := range list {
		if to, ok := names[str(x)]; ok {
			list[i] = to
		}
	}
}

// original puts the API's names in the place of those that agents see, wherever
// they stand in arguments.
func original(v any, names map[string]string) *ArgumentError {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if bad := original(x, names); bad != nil {
				return bad
			}
		}
	case map[string]any:
		for from, to := range names {
			if x, ok := v[from]; ok {
				if _, both := v[to]; both {
					return refuse("/"+escape(from), "stands for %q, which is given too", to)
				}
				v[to] = x
				delete(v, from)
			}
		}
		for _, x := range v {
			if bad := original(x, names); bad != nil {
				return bad
			}
		}
	}
	return nil
}

// Where schemas stand within a schema.
var (
	oneSchema   = []string{"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems"}
	listSchemas = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	mapSchemas  = []string{"properties", "patternProperties", "dependentSchemas", "$defs"}
)

// each calls fn for every schema within v, v first.
func each(v any, fn func(map[string]any)) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	fn(m)
	for _, k := range oneSchema {
		each(m[k], fn)
	}
	for _, k := range listSchemas {
		list, _ := m[k].([]any)
		for _, x := range list {
			each(x, fn)
		}
	}
	for _, k := range mapSchemas {
		props, _ := m[k].(map[string]any)
		for _, x := range props {
			each(x, fn)
		}
	}
}

// shrink writes a schema in at most budget bytes, if it can be done: as many
// levels as fit, then without descriptions, at last without what is optional at
// the root.
func shrink(root map[string]any, pointer string, budget int) (schema json.RawMessage, cut bool) {
	write := func(s shrinker) json.RawMessage {
		s.pointer, s.defs = pointer, root["$defs"]
		b, err := json.Marshal(s.whole(root))
		if err != nil {
			return json.RawMessage(`{"type":"object"}`) // a tree that was decoded can be encoded
		}
		return b
	}
	const deepest = 40
	if whole := write(shrinker{levels: deepest}); len(whole) <= budget {
		return whole, false
	}
	for _, bare := range []bool{false, true} {
		// The most levels that fit, found by halving.
		low, high := 0, deepest
		for low+1 < high {
			if mid := (low + high) / 2; len(write(shrinker{levels: mid, bare: bare})) <= budget {
				low = mid
			} else {
				high = mid
			}
		}
		if low > 0 {
			return write(shrinker{levels: low, bare: bare}), true
		}
	}
	return write(shrinker{levels: 1, bare: true, needed: true}), true
}

// shrinker copies a schema down to a number of levels.
type shrinker struct {
	levels  int
	bare    bool // without descriptions
	needed  bool // without properties that are not required
	pointer string
	defs    any
	reached map[string]int // shared schemas, and the least level they are met at
}

func (s *shrinker) whole(root map[string]any) map[string]any {
	s.reached = map[string]int{}
	rest := maps.Clone(root)
	delete(rest, "$defs")
	out := s.schema(rest, s.pointer, 0)
	all, _ := s.defs.(map[string]any)
	kept := map[string]any{}
	// A shared schema that is met again nearer to the root is written anew, with
	// more of it.
	for changed := true; changed; {
		changed = false
		for _, name := range slices.Sorted(maps.Keys(s.reached)) {
			level := s.reached[name]
			m, ok := all[name].(map[string]any)
			if !ok {
				if _, has := kept[name]; !has {
					kept[name] = all[name]
				}
				continue
			}
			if old, done := kept[name].(leveled); done && old.level <= level {
				continue
			}
			kept[name] = leveled{s.schema(m, "/$defs/"+escape(name), level), level}
			changed = true
		}
	}
	if len(kept) > 0 {
		out["$defs"] = kept
	}
	return out
}

// leveled is a shared schema as it was written for a level.
type leveled struct {
	schema map[string]any
	level  int
}

// MarshalJSON implements json.Marshaler.
func (l leveled) MarshalJSON() ([]byte, error) { return json.Marshal(l.schema) }

func (s *shrinker) schema(m map[string]any, at string, level int) map[string]any {
	if level >= s.levels {
		return s.stub(m, at)
	}
	out := maps.Clone(m)
	if s.bare {
		delete(out, "description")
	}
	if ref, ok := m["$ref"].(string); ok {
		name := unescape(strings.TrimPrefix(ref, "#/$defs/"))
		if old, met := s.reached[name]; !met || level < old {
			s.reached[name] = level
		}
	}
	child := func(v any, at string) any {
		if sub, ok := v.(map[string]any); ok {
			return s.schema(sub, at, level+1)
		}
		return v
	}
	last := level+1 >= s.levels
	for _, k := range oneSchema {
		v, ok := m[k]
		if !ok {
			continue
		}
		if _, isMap := v.(map[string]any); last && isMap && slices.Contains([]string{"not", "if", "then", "else", "propertyNames", "unevaluatedProperties", "unevaluatedItems", "contains"}, k) {
			delete(out, k) // a stub in its place would mean something else
			continue
		}
		out[k] = child(v, at+"/"+k)
	}
	for _, k := range listSchemas {
		list, ok := m[k].([]any)
		if !ok {
			continue
		}
		next := make([]any, len(list))
		for i, x := range list {
			next[i] = child(x, fmt.Sprintf("%s/%s/%d", at, k, i))
		}
		out[k] = next
		if k == "oneOf" {
			// Of alternatives that are cut more than one may fit.
			delete(out, k)
			out["anyOf"] = next
			if other, both := m["anyOf"].([]any); both {
				out["allOf"] = []any{map[string]any{"anyOf": next}}
				out["anyOf"] = other
			}
		}
	}
	for _, k := range mapSchemas {
		props, ok := m[k].(map[string]any)
		if !ok {
			continue
		}
		next := map[string]any{}
		for name, x := range props {
			if s.needed && level == 0 && k == "properties" && !requires(m, name) {
				delete(out, "additionalProperties")
				continue
			}
			next[name] = child(x, at+"/"+k+"/"+escape(name))
		}
		out[k] = next
	}
	return out
}

func requires(m map[string]any, name string) bool {
	list, _ := m["required"].([]any)
	return slices.Contains(list, any(name))
}

// stub stands for a schema that is cut: its type, if it is a scalar all of it,
// and where the rest is.
func (s *shrinker) stub(m map[string]any, at string) map[string]any {
	out := map[string]any{}
	if ref, ok := m["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#")
	} else if typ, ok := m["type"].(string); ok {
		out["type"] = typ
		if typ != "object" && typ != "array" {
			for _, k := range []string{"enum", "format", "contentEncoding"} {
				if list, isList := m[k].([]any); m[k] != nil && (!isList || len(list) <= 20) {
					out[k] = m[k]
				}
			}
			return out
		}
		if typ == "array" {
			out["items"] = map[string]any{}
		}
	}
	out["description"] = "cut for length: describe it with the pointer " + at
	return out
}
