package openapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// excerpt is which part of a schema somebody wants to see, and in how many bytes.
type excerpt struct {
	profile Profile
	pointer string
	from    int // the first member of the part
	budget  int
	text    int // of each description
}

// write gives a schema in at most budget bytes: with shorter descriptions, or if
// that is not enough, with its largest parts cut (see [fitter.fit]). What is cut
// says by which pointer [Operation.Describe] gives it.
func (w excerpt) write(root map[string]any) (schema json.RawMessage, cut bool) {
	markTexts(root)
	whole := measure(root)
	noted := whole.noted()
	if w.from == 0 && whole.longest() <= w.text && whole.size(w.text) <= w.budget {
		return writeSchema(root, w.text), noted
	}
	if whole.longest() > 0 && w.budget > 1<<10 {
		note(root, "Shortened: to read a text or a part whole, describe its pointer, such as "+w.pointer+"/properties/NAME")
		whole = measure(root)
	}
	room := -1
	if w.from == 0 {
		room = whole.room(w.budget, w.text)
	}
	if room < 0 {
		f := fitter{typed: w.profile == Gemini, sizes: map[uintptr]sized{}}
		root = f.cut(root, w.pointer, w.budget, w.from)
		whole = measure(root)
		room = whole.room(w.budget, w.text)
	}
	room = max(room, 0)
	giveBack(root, room, w.budget-whole.size(room))
	return writeSchema(root, room), true
}

func writeSchema(root map[string]any, most int) json.RawMessage {
	writeTexts(root, most)
	b, err := json.Marshal(root)
	if err != nil {
		return json.RawMessage(`{"type":"object"}`) // a tree that was decoded can be encoded
	}
	return b
}

// cut fits a schema and the shared schemas that it reaches: those that are nearest
// to the root stay, and where it says so in place of the others.
func (f fitter) cut(root map[string]any, pointer string, budget, from int) map[string]any {
	s := sharing{fitter: f, defs: mapOf(root["$defs"]), in: map[string]bool{}}
	delete(root, "$defs")
	visit(root, loosenForCut)
	for _, def := range s.defs {
		visit(def, loosenForCut)
	}
	used := size(s.stand(root), 0) + len(`,"$defs":{}`)
	if from > 0 || used > budget {
		return f.fit(mapOf(s.stand(root)), pointer, budget, from)
	}
	next := s.refs(root)
	for len(next) > 0 {
		more := 0
		for _, name := range next {
			s.in[name] = true
		}
		for _, name := range next {
			more += s.sizeOf(name)
		}
		if used+more > budget {
			for _, name := range next {
				delete(s.in, name)
			}
			break
		}
		used += more
		found := map[string]bool{}
		for _, name := range next {
			for _, deeper := range s.refs(s.defs[name]) {
				found[deeper] = true
			}
		}
		next = slices.Sorted(maps.Keys(found))
	}
	return s.fill(root, next, budget-used)
}

// sharing is which shared schemas are kept while a schema is cut.
type sharing struct {
	fitter
	defs map[string]any
	in   map[string]bool
}

// stand is v with what it says of shared schemas that are not kept: their type, and
// where they are.
func (s *sharing) stand(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = s.stand(x)
		}
		return out
	case map[string]any:
		if name, ok := refName(v); ok && !s.in[name] {
			if target, there := s.defs[name]; there {
				return s.standIn(v, name, target)
			}
		}
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = s.stand(x)
		}
		return out
	}
	return v
}

// standIn stands for a reference: all of what it leads to if that is short.
func (s *sharing) standIn(v map[string]any, name string, target any) any {
	m, ok := target.(map[string]any)
	if !ok {
		return target
	}
	typed := map[string]any{}
	if typ, ok := m["type"]; ok {
		typed["type"] = typ
	}
	out := s.stub(typed, "/$defs/"+escape(name))
	if s.size(m) <= size(out, 0) && len(namesOf(m)) == 0 {
		out = maps.Clone(m)
	}
	if said, _ := v["description"].(text); said.said != "" {
		t, _ := out["description"].(text)
		out["description"] = text{said: said.said, note: t.note}
	}
	return out
}

// refName is the name of the shared schema that a schema refers to.
func refName(m map[string]any) (string, bool) {
	ref, ok := m["$ref"].(string)
	return unescape(strings.TrimPrefix(ref, "#/$defs/")), ok
}

// namesOf lists the shared schemas that a schema refers to, in order.
func namesOf(v any) []string {
	found := map[string]bool{}
	visit(v, func(m map[string]any) {
		if name, ok := refName(m); ok {
			found[name] = true
		}
	})
	return slices.Sorted(maps.Keys(found))
}

// refs lists the shared schemas that v refers to and that are not kept yet; short
// ones stand in place.
func (s *sharing) refs(v any) []string {
	return slices.DeleteFunc(namesOf(v), func(name string) bool {
		_, there := s.defs[name]
		return s.in[name] || !there
	})
}

// sizeOf is how many bytes a shared schema takes beside those that are kept.
func (s *sharing) sizeOf(name string) int {
	return size(s.stand(s.defs[name]), 0) + textSize(name) + 2
}

// leastShared is the least room that a part of a shared schema is written in.
const leastShared = 300

// fill keeps of the next shared schemas those that fit into what is left, the small
// ones first, and parts of the others.
func (s *sharing) fill(main map[string]any, next []string, left int) map[string]any {
	sizes := map[string]int{}
	for _, name := range next {
		sizes[name] = s.sizeOf(name)
	}
	slices.SortStableFunc(next, func(a, b string) int { return sizes[a] - sizes[b] })
	for len(next) > 0 && sizes[next[0]] <= left {
		s.in[next[0]] = true
		left -= sizes[next[0]]
		next = next[1:]
	}
	next = next[:min(len(next), max(left, 0)/leastShared)]
	parts := map[string]any{}
	for i, name := range next {
		room := left/(len(next)-i) - textSize(name) - 2
		s.in[name] = true // what is within itself refers to it
		parts[name] = s.fit(mapOf(s.stand(s.defs[name])), "/$defs/"+escape(name), room, -1)
		left -= size(parts[name], 0) + textSize(name) + 2
	}
	out := mapOf(s.stand(main))
	defs := map[string]any{}
	for name := range s.in {
		if defs[name] = parts[name]; parts[name] == nil {
			defs[name] = s.stand(s.defs[name])
		}
	}
	if len(defs) > 0 {
		out["$defs"] = defs
	}
	return out
}

// loosenForCut takes out of a schema what would refuse more once parts of it, or of
// what it refers to, are cut.
func loosenForCut(m map[string]any) {
	delete(m, "unevaluatedProperties")
	delete(m, "unevaluatedItems")
	for _, k := range conditions {
		if len(namesOf(m[k])) > 0 {
			delete(m, k)
		}
	}
	list, ok := m["oneOf"].([]any)
	if !ok {
		return
	}
	// Of alternatives that are cut more than one may fit.
	delete(m, "oneOf")
	if other, both := m["anyOf"].([]any); both {
		parts, _ := m["allOf"].([]any)
		m["allOf"] = append(slices.Clone(parts), map[string]any{"anyOf": other})
	}
	m["anyOf"] = list
}
