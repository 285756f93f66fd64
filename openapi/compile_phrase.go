package openapi

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/currency"
)

// Hints are what a document says for the sentence that tells a person what a call
// does, by its x-exeat- extensions and by what its schemas say of values.
type Hints struct {
	// Sentence is the operation's own, by language (BCP 47; "" for any other), with
	// arguments as {name} or {/body/pointer}. Nothing else of it is a format.
	Sentence map[string]string
	Noun     string // what the last thing in the path is called, or ""
	// Collection says that the document has paths for what is in this one.
	Collection bool
	// Marks are words that say what kind of danger there is, such as money.
	Marks []string
	// Title and Facts are fields, by name or JSON Pointer, that tell one thing from
	// others: what it is called, and what else is worth saying of it.
	Title, Facts []string
	// Body and Answer are what the schemas of the body and of good answers say.
	Body, Answer *Thing
}

// Thing is what the schema of an object says of its members.
type Thing struct {
	Title, Facts []string
	Names        []string // of its members
	Fields       map[string]Meaning
}

// Meaning is what the values of a member are.
type Meaning struct {
	Format string // date, date-time, currency or ""
	// Currency is what an amount is in: a code of ISO 4217, or the name of the member
	// that holds one. Minor says that it counts the smallest unit, such as cents.
	Currency string
	Minor    bool
	Titles   map[string]string // what values of an enum are called
	Hidden   bool              // format password, or writeOnly
	ReadOnly bool
}

// Bounds of hints: more is left out.
const (
	maxHintText   = 200
	maxHintList   = 10
	maxHintFields = 300
	maxHintDepth  = 4
	maxHintSteps  = 1000 // schemas that one is all of
)

// phrase reads the hints of the operation.
func (b *builder) phrase() {
	h := &b.op.Hints
	h.Sentence = b.sentence()
	h.Noun = oneLine(str(firstOf(b.v["x-exeat-noun"], b.item["x-exeat-noun"])), 40)
	h.Title, h.Facts = hintList(b.v["x-exeat-title"]), hintList(b.v["x-exeat-facts"])
	for _, m := range hintList(b.v["x-exeat-marks"]) {
		if !markWord.MatchString(m) {
			b.c.finding(b.at.to("x-exeat-marks"), b.name, false, fmt.Sprintf("the mark %q is left out: marks are words of small letters, such as money", m))
			continue
		}
		h.Marks = append(h.Marks, m)
	}
	paths, _ := b.c.doc["paths"].(map[string]any)
	_, h.Collection = b.c.collections(paths)[b.op.Path]
	h.Body, h.Answer = b.bodyThing(), b.answerThing()
}

var markWord = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,29}$`)

// collections are the paths that others continue by one parameter.
func (c *compiler) collections(paths map[string]any) map[string]bool {
	if c.within == nil {
		c.within = map[string]bool{}
		for path := range paths {
			parent, last := "", path
			if i := strings.LastIndex(strings.TrimSuffix(path, "/"), "/"); i >= 0 {
				parent, last = path[:i], path[i+1:]
			}
			last, json := strings.CutSuffix(strings.TrimSuffix(last, "/"), ".json")
			if json {
				parent += ".json"
			}
			if strings.HasPrefix(last, "{") && strings.Count(last, "{") == 1 && strings.HasSuffix(last, "}") {
				c.within[parent] = true
			}
		}
	}
	return c.within
}

func firstOf(list ...any) any {
	for _, x := range list {
		if x != nil {
			return x
		}
	}
	return nil
}

// hintList is a text, or a list of them.
func hintList(v any) (out []string) {
	list, ok := v.([]any)
	if !ok && v != nil {
		list = []any{v}
	}
	for _, x := range list[:min(len(list), maxHintList)] {
		if s := oneLine(str(x), maxHintText); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// sentence is x-exeat-sentence, a text or one for each language.
func (b *builder) sentence() map[string]string {
	out := map[string]string{}
	switch x := b.v["x-exeat-sentence"].(type) {
	case string:
		out[""] = oneLine(x, maxHintText)
	case map[string]any:
		for _, lang := range sortedKeys(x)[:min(len(x), maxHintList)] {
			out[lang] = oneLine(str(x[lang]), maxHintText)
		}
		if _, ok := out[""]; !ok {
			out[""] = out["en"]
		}
	}
	maps.DeleteFunc(out, func(_, s string) bool { return s == "" })
	return out
}

// bodyThing is what the body's schema says.
func (b *builder) bodyThing() *Thing {
	if b.c.swagger2 {
		all, _ := b.collect() // what is wrong with it, others say
		for _, p := range all {
			if p.in == "body" {
				return b.c.thing(p.at.to("schema"), p.v["schema"])
			}
		}
		return nil
	}
	at, m, err := b.c.loader.follow(b.at.to("requestBody"), b.v["requestBody"])
	if err != nil {
		return nil
	}
	return b.mediaThing(at, m)
}

// answerThing is what the schema of the first good answer with one says.
func (b *builder) answerThing() *Thing {
	responses, _ := b.v["responses"].(map[string]any)
	for _, status := range sortedKeys(responses) {
		if !strings.HasPrefix(status, "2") {
			continue
		}
		at, m, err := b.c.loader.follow(b.at.to("responses", status), responses[status])
		if err != nil {
			continue
		}
		t := b.mediaThing(at, m)
		if b.c.swagger2 {
			t = b.c.thing(at.to("schema"), m["schema"])
		}
		if t != nil {
			return t
		}
	}
	return nil
}

func (b *builder) mediaThing(at place, m map[string]any) *Thing {
	content := mapOf(m["content"])
	for _, media := range writable(sortedKeys(content)) {
		where, mt, err := b.c.loader.follow(at.to("content", media), content[media])
		if err != nil {
			continue
		}
		if t := b.c.thing(where.to("schema"), mt["schema"]); t != nil {
			return t
		}
	}
	return nil
}

// thing reads a schema, once.
func (c *compiler) thing(at place, schema any) *Thing {
	where, m, err := c.loader.follow(at, schema)
	if schema == nil || err != nil {
		return nil
	}
	if t, ok := c.things[where]; ok {
		return t
	}
	t := &Thing{Fields: map[string]Meaning{}}
	steps := maxHintSteps
	c.addMembers(t, where, m, 0, &steps)
	slices.Sort(t.Names)
	if t.Names = slices.Compact(t.Names); len(t.Names) == 0 {
		t = nil
	}
	if c.things == nil {
		c.things = map[place]*Thing{}
	}
	c.things[where] = t
	return t
}

// addMembers adds the members of a schema, and of those that it is all of.
func (c *compiler) addMembers(t *Thing, at place, m map[string]any, depth int, steps *int) {
	if *steps--; depth > maxHintDepth || *steps < 0 {
		return
	}
	if t.Title == nil {
		t.Title = hintList(m["x-exeat-title"])
	}
	if t.Facts == nil {
		t.Facts = hintList(m["x-exeat-facts"])
	}
	props := mapOf(m["properties"])
	for _, name := range sortedKeys(props) {
		if len(t.Names) >= maxHintFields {
			break
		}
		_, p, err := c.loader.follow(at.to("properties", name), props[name])
		if err != nil {
			continue
		}
		t.Names = append(t.Names, name)
		if x, told := meaningOf(p, mapOf(props[name])); told {
			t.Fields[name] = x
		}
	}
	parts, _ := m["allOf"].([]any)
	for i, part := range parts[:min(len(parts), maxHintFields)] {
		if where, sub, err := c.loader.follow(at.to("allOf", fmt.Sprint(i)), part); err == nil {
			c.addMembers(t, where, sub, depth+1, steps)
		}
	}
}

// meaningOf is what a member's schema says, and what stands beside its reference.
func meaningOf(schema, beside map[string]any) (x Meaning, told bool) {
	said := func(key string) any { return firstOf(beside[key], schema[key]) }
	switch f := str(schema["format"]); f {
	case "date", "date-time", "currency":
		x.Format = f
	case "iso-4217", "currency-code":
		x.Format = "currency"
	}
	enum, _ := schema["enum"].([]any)
	if x.Format == "" && len(enum) > 0 && !slices.ContainsFunc(enum, func(v any) bool { _, err := currency.ParseISO(str(v)); return err != nil }) {
		x.Format = "currency"
	}
	x.Currency = oneLine(str(said("x-exeat-currency")), maxHintText)
	x.Minor = said("x-exeat-minor-units") == true
	x.Hidden = schema["format"] == "password" || said("writeOnly") == true
	x.ReadOnly = said("readOnly") == true
	x.Titles = enumTitles(schema, enum)
	return x, x.Format != "" || x.Currency != "" || x.Hidden || x.ReadOnly || x.Titles != nil
}

// enumTitles is what values are called: by constants with a title, or by one of the
// extensions that generators of code read.
func enumTitles(schema map[string]any, enum []any) map[string]string {
	out := map[string]string{}
	for _, k := range []string{"oneOf", "anyOf"} {
		list, _ := schema[k].([]any)
		for _, x := range list[:min(len(list), maxHintFields)] {
			m := mapOf(x)
			if value, ok := plainText(m["const"]); ok && str(m["title"]) != "" {
				out[value] = oneLine(str(m["title"]), 60)
			}
		}
	}
	for _, k := range []string{"x-enum-varnames", "x-enumNames", "x-enum-names"} {
		if list, ok := schema[k].([]any); ok && len(list) == len(enum) && len(list) <= maxHintFields {
			for i, x := range list {
				if value, ok := plainText(enum[i]); ok && str(x) != "" && str(x) != value {
					out[value] = oneLine(str(x), 60)
				}
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// marks applies those of Options, and its titles.
func (c *compiler) marks(ops []*Operation) *Error {
	for _, key := range slices.Sorted(maps.Keys(c.opts.Marks)) {
		op, bad := c.findOperation(key, "marks", ops)
		if bad != nil {
			return bad
		}
		for _, m := range c.opts.Marks[key] {
			if !markWord.MatchString(m) {
				return &Error{File: c.location, Message: fmt.Sprintf("the mark %q for %q is no word of small letters, such as money", m, key)}
			}
			if !slices.Contains(op.Hints.Marks, m) {
				op.Hints.Marks = append(op.Hints.Marks, m)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.opts.Titles)) {
		op, bad := c.findOperation(key, "title", ops)
		if bad != nil {
			return bad
		}
		op.Hints.Title = []string{c.opts.Titles[key]}
	}
	return nil
}
