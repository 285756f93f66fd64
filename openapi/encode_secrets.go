package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds of looking for secrets: more are not marked one by one.
const (
	maxSecrets     = 200
	maxSecretSteps = 100_000
	maxSecretDepth = 64
)

// Secrets are the JSON Pointers (RFC 6901) of the arguments whose schema says
// that they are not for everybody's eyes: format password, or writeOnly. Also is
// more pointers of such arguments; a step of theirs that meets a list goes into
// each of its elements. If there are too many to name, it is the whole: "".
func (op *Operation) Secrets(args *Args, also ...string) []string {
	var root map[string]any
	if json.Unmarshal(op.schema(), &root) != nil {
		return []string{""}
	}
	w := &secrets{root: root, found: map[string]bool{}}
	w.walk(root, args.value, "", 0)
	for _, p := range also {
		if strings.HasPrefix(p, "/") {
			w.point(args.value, "", strings.Split(p[1:], "/"))
		}
	}
	if w.steps > maxSecretSteps || len(w.found) > maxSecrets {
		return []string{""}
	}
	var out []string
	for p := range w.found {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// Places are the JSON Pointers of the arguments that pointers name; a step that
// meets a list goes into each of its elements. They are none if there are too many
// to name.
func (op *Operation) Places(args *Args, pointers ...string) []string {
	w := &secrets{found: map[string]bool{}}
	for _, p := range pointers {
		if strings.HasPrefix(p, "/") {
			w.point(args.value, "", strings.Split(p[1:], "/"))
		}
	}
	if w.steps > maxSecretSteps || len(w.found) > maxSecrets {
		return nil
	}
	return slices.Sorted(maps.Keys(w.found))
}

type secrets struct {
	root  map[string]any
	found map[string]bool
	steps int
}

func (w *secrets) walk(schema, value any, at string, depth int) {
	s, ok := schema.(map[string]any)
	if w.steps++; !ok || w.steps > maxSecretSteps {
		return
	}
	if depth > maxSecretDepth {
		w.steps = maxSecretSteps + 1 // it cannot be told
		return
	}
	if s["writeOnly"] == true || s["format"] == "password" {
		w.found[at] = true
		return
	}
	if ref, ok := s["$ref"].(string); ok {
		if name, local := strings.CutPrefix(ref, "#/$defs/"); local {
			defs, _ := w.root["$defs"].(map[string]any)
			w.walk(defs[unescape(name)], value, at, depth+1)
		}
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		parts, _ := s[key].([]any)
		for _, part := range parts {
			w.walk(part, value, at, depth+1)
		}
	}
	for _, key := range []string{"if", "then", "else"} {
		w.walk(s[key], value, at, depth+1)
	}
	switch v := value.(type) {
	case map[string]any:
		props, _ := s["properties"].(map[string]any)
		patterns, _ := s["patternProperties"].(map[string]any)
		for name, x := range v {
			p := at + "/" + escape(name)
			if sub, ok := props[name]; ok {
				w.walk(sub, x, p, depth+1)
				continue
			}
			w.walk(s["additionalProperties"], x, p, depth+1)
			for _, sub := range patterns {
				w.walk(sub, x, p, depth+1)
			}
		}
	case []any:
		first, _ := s["prefixItems"].([]any)
		for i, x := range v {
			p := fmt.Sprintf("%s/%d", at, i)
			if i < len(first) {
				w.walk(first[i], x, p, depth+1)
				continue
			}
			w.walk(s["items"], x, p, depth+1)
		}
	}
}

// point follows a pointer that may go through lists.
func (w *secrets) point(value any, at string, steps []string) {
	if w.steps++; w.steps > maxSecretSteps {
		return
	}
	if len(steps) == 0 {
		w.found[at] = true
		return
	}
	switch v := value.(type) {
	case map[string]any:
		if x, ok := v[unescape(steps[0])]; ok {
			w.point(x, at+"/"+steps[0], steps[1:])
		}
	case []any:
		for i, x := range v {
			p := fmt.Sprintf("%s/%d", at, i)
			if steps[0] == fmt.Sprint(i) {
				w.point(x, p, steps[1:])
			} else {
				w.point(x, p, steps)
			}
		}
	}
}
