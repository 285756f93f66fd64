package openapi

import (
	"encoding/json"
	"errors"
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
// (0 means DefaultBudget) is cut, with a hint at the pointer by which
// [Operation.Describe] gives it: descriptions first, then the largest parts, level
// by level. It admits all that Input does: calls are checked against Input.
func (op *Operation) Offer(p Profile, budget int) (schema json.RawMessage, cut bool) {
	if budget <= 0 {
		budget = DefaultBudget
	}
	plain := p == "" || p == Generic || p == Claude
	if plain && len(op.aliases) == 0 && len(op.Input) <= budget && op.whole == nil && !op.long {
		return op.Input, false
	}
	root, err := op.adapt(p)
	if err != nil {
		return op.Input, false
	}
	return excerpt{profile: p, budget: budget, text: maxDescription}.write(root)
}

// adapt gives the schema under the names that agents see and as a profile wants it.
func (op *Operation) adapt(p Profile) (map[string]any, error) {
	root, err := op.renamed()
	if err != nil {
		return nil, err
	}
	switch p {
	case OpenAI:
		each(root, toOpenAI)
	case Gemini:
		defs, _ := root["$defs"].(map[string]any)
		delete(root, "$defs")
		root = inline(root, defs, "")
		each(root, toGemini)
	}
	return root, nil
}

// renamed gives the schema under the names that agents see.
func (op *Operation) renamed() (map[string]any, error) {
	root, err := decodeSchema(op.schema())
	if err == nil && len(op.aliases) > 0 {
		rename(root, op.aliases)
	}
	return root, err
}

// adaptAt is adapt for who asks for what a pointer leads to. A host without references
// sees a shared schema as one of its own: then that is the root, and rest the pointer
// within it.
func (op *Operation) adaptAt(p Profile, pointer string) (root map[string]any, rest string, err error) {
	shared, ok := strings.CutPrefix(pointer, "/$defs/")
	if p != Gemini || !ok {
		root, err = op.adapt(p)
		return root, pointer, err
	}
	if root, err = op.renamed(); err != nil {
		return nil, "", err
	}
	name, rest, deeper := strings.Cut(shared, "/")
	if deeper {
		rest = "/" + rest
	}
	defs := mapOf(root["$defs"])
	def, ok := defs[unescape(name)].(map[string]any)
	if !ok {
		return nil, "", errNothing
	}
	root = inline(def, defs, unescape(name))
	each(root, toGemini)
	return root, rest, nil
}

// decodeSchema reads a schema with its numbers as they are written.
func decodeSchema(schema json.RawMessage) (map[string]any, error) {
	root, ok := unread(schema).read().(map[string]any)
	if !ok {
		return nil, errors.New("the schema is not a JSON object")
	}
	return root, nil
}

// Where schemas stand within a schema.
var (
	oneSchema   = []string{"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems"}
	listSchemas = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	mapSchemas  = []string{"properties", "patternProperties", "dependentSchemas", "$defs"}
)

// Which of these a keyword is of, for who looks at all keywords of a schema.
const (
	holdsOne = iota + 1
	holdsList
	holdsMap
)

// holds says what stands under a keyword: a schema, a list of them, an object of them;
// or 0, no schema.
var holds = func() map[string]int {
	all := map[string]int{}
	for kind, keywords := range [][]string{holdsOne: oneSchema, holdsList: listSchemas, holdsMap: mapSchemas} {
		for _, k := range keywords {
			all[k] = kind
		}
	}
	return all
}()

// each calls fn for every schema within v, v first, in the order of their names.
func each(v any, fn func(map[string]any)) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	fn(m)
	if !hasSchemas(m) {
		return
	}
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
		for _, name := range sortedKeys(props) {
			each(props[name], fn)
		}
	}
}

// hasSchemas reports whether schemas stand within one.
func hasSchemas(m map[string]any) bool {
	for k := range m {
		if holds[k] != 0 {
			return true
		}
	}
	return false
}

// visit is each in no order.
func visit(v any, fn func(map[string]any)) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	fn(m)
	for k, x := range m {
		switch holds[k] {
		case holdsOne:
			visit(x, fn)
		case holdsList:
			list, _ := x.([]any)
			for _, x := range list {
				visit(x, fn)
			}
		case holdsMap:
			props, _ := x.(map[string]any)
			for _, x := range props {
				visit(x, fn)
			}
		}
	}
}
