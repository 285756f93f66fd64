package openapi

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Bounds on what is taken over beside a description, in bytes.
const (
	maxExample  = 200 // of a value; there are at most maxExamples
	maxExamples = 3
	maxBodyText = 600 // of a body's example
)

// wordsOf is what a schema says for people to read, beside its description: examples,
// and what the values of its enum are called.
func wordsOf(v map[string]any) string {
	var list []any
	if x, ok := v["example"]; ok {
		list = append(list, x)
	}
	more, _ := v["examples"].([]any)
	return joinWords(examplesText(append(list, more...), maxExample), enumText(v))
}

// joinWords puts texts under each other, without those that are empty or said already.
func joinWords(texts ...string) string {
	out := ""
	for _, s := range texts {
		switch {
		case s == "" || strings.Contains(out, s):
		case out == "":
			out = s
		default:
			out += "\n" + s
		}
	}
	return out
}

// examplesText shows the first few examples that are short enough.
func examplesText(list []any, most int) string {
	var words []string
	for _, x := range list {
		s, ok := x.(string)
		if !ok {
			b, err := json.Marshal(x)
			if s = string(b); err != nil {
				continue
			}
		}
		if s != "" && s != "null" && len(s) <= most && len(words) < maxExamples {
			words = append(words, s)
		}
	}
	switch len(words) {
	case 0:
		return ""
	case 1:
		return "Example: " + words[0]
	}
	return "Examples: " + strings.Join(words, "; ")
}

// enumText says what the values of an enum are called, where the document does by
// one of the extensions that generators of code read.
func enumText(v map[string]any) string {
	enum, _ := v["enum"].([]any)
	var names, meanings []any
	for _, k := range []string{"x-enum-varnames", "x-enumNames", "x-enum-names"} {
		if list, ok := v[k].([]any); ok && names == nil && len(list) == len(enum) {
			names = list
		}
	}
	for _, k := range []string{"x-enum-descriptions", "x-enumDescriptions"} {
		list, ok := v[k].([]any)
		if m, isMap := v[k].(map[string]any); isMap {
			list, ok = make([]any, len(enum)), true
			for i, x := range enum {
				value, _ := plainText(x)
				list[i] = m[value]
			}
		}
		if ok && meanings == nil && len(list) == len(enum) {
			meanings = list
		}
	}
	var words []string
	for i, x := range enum {
		value, _ := plainText(x)
		var said []string
		for _, list := range [][]any{names, meanings} {
			if list != nil && str(list[i]) != "" && str(list[i]) != value {
				said = append(said, oneLine(str(list[i]), maxExample))
			}
		}
		if len(said) > 0 {
			words = append(words, value+" = "+strings.Join(said, ": "))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "Values: " + strings.Join(words, ", ")
}

// parameterWords is what a parameter says for people to read: its own description and
// examples, and those of its schema.
func (b *builder) parameterWords(p parameter, schema any) string {
	var list []any
	for _, k := range []string{"example", "x-example"} {
		if x, ok := p.v[k]; ok {
			list = append(list, x)
		}
	}
	list = append(list, b.namedExamples(p.at, p.v["examples"])...)
	list = append(list, b.contentExamples(p)...)
	own := str(p.v["description"])
	if p.v["deprecated"] == true {
		own = joinWords(own, "(deprecated)")
	}
	m, _ := schema.(map[string]any)
	said := str(m["description"])
	text := examplesText(list, maxExample)
	if text != "" && strings.Contains(said, "Example") {
		said = str(mapOf(p.v["schema"])["description"]) // the parameter's example is nearer
	}
	return joinWords(own, said, text)
}

// contentExamples are those of the media type that describes a parameter in place of a
// style.
func (b *builder) contentExamples(p parameter) (list []any) {
	content := mapOf(p.v["content"])
	media := writable(sortedKeys(content))
	if len(media) == 0 {
		return nil
	}
	at, m, err := b.c.loader.follow(p.at.to("content", media[0]), content[media[0]])
	if err != nil {
		return nil // refused where it is read
	}
	if x, ok := m["example"]; ok {
		list = append(list, x)
	}
	return append(list, b.namedExamples(at, m["examples"])...)
}

// namedExamples are the values of Example Objects.
func (b *builder) namedExamples(at place, v any) (list []any) {
	named, _ := v.(map[string]any)
	for i, name := range sortedKeys(named) {
		if i == 2*maxExamples {
			break
		}
		_, m, err := b.c.loader.follow(at.to("examples", name), named[name])
		if err != nil {
			continue
		}
		for _, k := range []string{"serializedValue", "value", "dataValue"} {
			if x, ok := m[k]; ok {
				list = append(list, x)
				break
			}
		}
	}
	if more, ok := v.([]any); ok { // in the wrong place, but said
		list = append(list, more[:min(len(more), maxExamples)]...)
	}
	return list
}

// bodyWords adds to what a body's schema says the words around it: of the request
// body, and of the media type.
func (b *builder) bodyWords(at place, mt map[string]any, schema any, description string) {
	m, ok := schema.(map[string]any)
	if !ok {
		return
	}
	var list []any
	if x, ok := mt["example"]; ok {
		list = append(list, x)
	}
	list = append(list, b.namedExamples(at, mt["examples"])...)
	if len(list) > 1 {
		list = list[:1] // whole bodies are long
	}
	text := clean(joinWords(description, str(m["description"]), examplesText(list, maxBodyText)), maxText)
	if text == "" {
		return
	}
	m["description"] = text
	b.c.look(text, fmt.Sprint(description, examplesText(list, maxBodyText)))
	if len(text) > maxDescription {
		b.c.remarks.long++
	}
}
