package tools

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/exeat/exeat/authz/phrase"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// teller makes the sentence of a call, out of the document, the arguments and what was
// read before, and of nothing else.
type teller struct {
	op     *openapi.Operation
	args   map[string]any
	path   map[string]string // arguments within the path
	item   map[string]any    // as it was read, or nil
	body   map[string]any    // or nil
	masked []string
	about  *openapi.Thing // what is known of the item's members
	sends  *openapi.Thing // and of the body's
	title  []string       // where a title may be, the best first
	facts  []string
}

// hiddenValue stands for an argument in the path that is not shown.
const hiddenValue = "••••••"

// usualTitles are members that name a thing where nothing else is declared.
var usualTitles = []string{"name", "title", "subject", "email"}

// tell is the sentence of a call. Hidden are JSON Pointers of arguments that must not
// be part of it; also hides what a member of the same name was before.
func tell(op *openapi.Operation, args *openapi.Args, before *store.Snapshot, hidden, also []string) phrase.Sentence {
	t := &teller{op: op, args: args.Value(), path: op.PathValues(args), sends: op.Hints.Body, about: itemHints(op), masked: slices.Concat(hidden, also)}
	t.body, _ = t.args["body"].(map[string]any)
	if before != nil {
		t.item = parseObject(before.Value)
	}
	t.title, t.facts = slices.Clone(op.Hints.Title), slices.Clone(op.Hints.Facts)
	for _, x := range []*openapi.Thing{t.about, t.sends} {
		if x != nil {
			t.title, t.facts = append(t.title, x.Title...), append(t.facts, x.Facts...)
		}
	}
	t.title = append(t.title, usualTitles...)
	if slices.Contains(t.masked, "") || slices.Contains(t.masked, "/body") {
		t.body, t.item = nil, nil
	}
	if slices.Contains(t.masked, "") {
		t.args = nil
		for name := range t.path {
			t.path[name] = hiddenValue
		}
	}
	return t.sentence()
}

// itemHints is what is known of the members of what an operation's path leads to.
func itemHints(op *openapi.Operation) *openapi.Thing {
	for _, other := range op.API.Operations {
		if other.Path == op.Path && other.Method == http.MethodGet && other.Hints.Answer != nil {
			return other.Hints.Answer
		}
	}
	return cmp.Or(op.Hints.Answer, op.Hints.Body)
}

func parseObject(raw []byte) (m map[string]any) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	_ = dec.Decode(&m) // what is no object has no members
	return m
}

func (t *teller) sentence() phrase.Sentence {
	s := phrase.Sentence{Named: cmp.Or(t.op.Summary, t.op.ID)}
	things, item := t.things()
	s.Things, s.File = things, t.file()
	creates := t.op.Method == http.MethodPost && !item && t.op.Hints.Collection
	switch {
	case t.op.Effect == openapi.Delete:
		s.Verb = phrase.Delete
		if t.op.Method != http.MethodDelete { // an action that the document or the operator calls a delete
			s.Verb = phrase.Run
		}
	case s.File != nil:
		s.Verb = phrase.Upload
	case t.op.Effect == openapi.Read && t.op.Method != http.MethodPost:
		s.Verb = phrase.Read
	case t.op.Effect == openapi.Read:
		s.Verb = phrase.Run
	case creates:
		s.Verb = phrase.Create
	case t.op.Method == http.MethodPatch, item && t.op.Method == http.MethodPost && t.body != nil, t.op.Method == http.MethodPut && t.item != nil && t.body != nil:
		s.Verb = phrase.Change
		t.change(&s)
	case t.op.Method == http.MethodPut:
		s.Verb = phrase.Set
	default:
		s.Verb = phrase.Run
	}
	if len(s.Things) == 0 && s.Verb != phrase.Upload {
		s.Verb = phrase.Run
	}
	t.name(&s, creates)
	if t.op.Effect != openapi.Delete { // no document makes a delete sound like something else
		s.Own, s.Values = t.own()
	}
	return s
}

// name gives the innermost thing its title and facts: those of what was read, or of what
// is made.
func (t *teller) name(s *phrase.Sentence, creates bool) {
	if len(s.Things) == 0 {
		return
	}
	x := &s.Things[len(s.Things)-1]
	from, values, known := phrase.API, t.item, t.about
	if creates {
		from, values, known = phrase.Agent, t.body, t.sends
	} else if x.ID == nil {
		return
	}
	for _, field := range t.title {
		if v, ok := t.value(values, known, field, from); ok && v.Text != "" && v.Kind != phrase.Null {
			x.Title = &v
			break
		}
	}
	for _, field := range slices.Compact(t.facts) {
		if v, ok := t.value(values, known, field, from); ok {
			x.Facts = append(x.Facts, v)
		}
	}
	if creates && len(t.facts) == 0 { // money is said even if nobody asked for it
		for _, field := range slices.Sorted(maps.Keys(values)) {
			if v, ok := t.value(values, known, field, from); ok && v.Kind == phrase.Money {
				x.Facts = append(x.Facts, v)
			}
		}
	}
}

// change says which members change, and of one what it was and what it becomes.
func (t *teller) change(s *phrase.Sentence) {
	if t.body == nil {
		return
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(t.body)) {
		was, known := t.item[name]
		if t.item == nil || !known && t.body[name] != nil || known && !sameValue(was, t.body[name]) || t.hides(name) {
			names = append(names, name)
		}
	}
	if t.op.Method == http.MethodPut && t.sends != nil {
		for name, was := range t.item {
			if _, kept := t.body[name]; !kept && was != nil && slices.Contains(t.sends.Names, name) && !t.meaning(t.about, name).ReadOnly {
				s.Dropped++
			}
		}
	}
	if len(names) == 0 {
		s.Nothing = t.item != nil && s.Dropped == 0
		return
	}
	first := slices.IndexFunc(names, func(name string) bool {
		v, ok := t.value(t.body, t.sends, name, phrase.Agent)
		return ok && v.Kind == phrase.Money
	})
	if first < 0 && len(names) > 1 {
		s.Fields = names
		return
	}
	s.Field = names[max(first, 0)]
	s.Fields = slices.DeleteFunc(names, func(name string) bool { return name == s.Field })
	if v, ok := t.value(t.body, t.sends, s.Field, phrase.Agent); ok && (v.Kind != phrase.Null || t.item != nil) {
		s.Is = &v
	}
	if v, ok := t.value(t.item, t.about, s.Field, phrase.API); ok && s.Is != nil {
		s.Was = &v
	}
	if s.Is != nil && s.Is.Kind == phrase.Null && s.Was != nil {
		s.Is = nil
	}
}

func sameValue(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// own is the document's own sentence with the values that it names.
func (t *teller) own() (map[string]string, map[string]phrase.Value) {
	values := map[string]phrase.Value{}
	for _, text := range t.op.Hints.Sentence {
		for part := range strings.SplitSeq(text, "{") {
			name, _, ok := strings.Cut(part, "}")
			if !ok {
				continue
			}
			in, known := t.args, (*openapi.Thing)(nil)
			if _, outside := t.args[name]; !outside {
				in, known = t.body, t.sends
			}
			v, ok := t.value(in, known, name, phrase.Agent)
			if !ok {
				return nil, nil // it would not say all that it is to say
			}
			values[name] = v
		}
	}
	if len(t.op.Hints.Sentence) == 0 {
		return nil, nil
	}
	return t.op.Hints.Sentence, values
}

// file is the file that is sent, or nil.
func (t *teller) file() *phrase.File {
	members, whole := t.op.Files()
	if whole {
		return t.fileOf(t.args["body"], "/body")
	}
	for _, name := range members {
		if v, ok := t.body[name]; ok {
			return t.fileOf(v, "/body/"+name)
		}
	}
	return nil
}

func (t *teller) fileOf(v any, at string) *phrase.File {
	if v == nil || slices.ContainsFunc(t.masked, func(p string) bool { return p == at || strings.HasPrefix(p, at+"/") }) {
		return nil
	}
	f := &phrase.File{}
	data, _ := v.(string)
	if m, ok := v.(map[string]any); ok {
		data, _ = m["data"].(string)
		if name, ok := m["filename"].(string); ok && name != "" {
			named := phrase.NewText(name, phrase.Agent)
			f.Name = &named
		}
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		raw, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(data, "="))
	}
	if f.Size = len(raw); err != nil {
		f.Size = len(data)
		return f
	}
	media, _, _ := mime.ParseMediaType(http.DetectContentType(raw))
	f.Type = sniffed[media]
	return f
}

// sniffed are the types of files that their first bytes tell for certain.
var sniffed = map[string]string{"application/pdf": "PDF", "image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WebP",
	"application/zip": "ZIP", "application/x-gzip": "gzip", "text/html": "HTML", "text/xml": "XML", "video/mp4": "MP4", "audio/mpeg": "MP3"}

// value is a member with its meaning; false if there is none, it is hidden, or it is
// more than one value. A field that begins with a slash is a JSON Pointer.
func (t *teller) value(in map[string]any, known *openapi.Thing, field string, from phrase.Source) (phrase.Value, bool) {
	name, pointed := strings.CutPrefix(field, "/")
	var x any = in
	steps := []string{name}
	if pointed {
		steps = strings.Split(name, "/")
	}
	for _, step := range steps {
		m, _ := x.(map[string]any)
		var ok bool
		if pointed {
			step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		}
		if x, ok = m[step]; !ok || t.hides(step) {
			return phrase.Value{}, false
		}
	}
	m := t.meaning(known, name)
	if m.Hidden {
		return phrase.Value{}, false
	}
	return means(x, m, in, known, from)
}

func (t *teller) meaning(known *openapi.Thing, name string) openapi.Meaning {
	if known != nil {
		if m, ok := known.Fields[name]; ok {
			return m
		}
	}
	if t.sends != nil && known != t.sends { // an answer's schema may say less than the body's
		return t.sends.Fields[name]
	}
	return openapi.Meaning{}
}

// hides reports whether a member's name is that of something hidden, wherever it
// stands: what a call hides is hidden as it was before, too.
func (t *teller) hides(name string) bool {
	for _, x := range []*openapi.Thing{t.about, t.sends} {
		if x != nil && x.Fields[name].Hidden {
			return true
		}
	}
	step := strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	return slices.ContainsFunc(t.masked, func(p string) bool {
		return slices.Contains(strings.Split(p, "/")[1:], step)
	})
}

// means is a plain value with what its schema says of it.
func means(x any, m openapi.Meaning, beside map[string]any, known *openapi.Thing, from phrase.Source) (phrase.Value, bool) {
	v := phrase.Value{From: from}
	switch x := x.(type) {
	case nil:
		v.Kind = phrase.Null
		return v, true
	case bool:
		v.Kind, v.Text = phrase.Bool, fmt.Sprint(x)
	case json.Number:
		v.Kind, v.Text = phrase.Number, x.String()
	case string:
		v = phrase.NewText(x, from)
		if m.Format == "date" || m.Format == "date-time" {
			v.Kind = phrase.Date
		}
	default:
		return v, false
	}
	v.Title = m.Titles[v.Text]
	if v.Kind == phrase.Number || m.Currency != "" && v.Sum == "" {
		addCurrency(&v, m, beside, known)
	}
	return v, true
}

// addCurrency says in which currency an amount is, where that is declared: by the
// amount's schema, or by that of the one member that stands beside it.
func addCurrency(v *phrase.Value, m openapi.Meaning, beside map[string]any, known *openapi.Thing) {
	code := m.Currency
	if sibling, ok := beside[code].(string); ok {
		code = sibling
	}
	exact := false
	if m.Currency == "" && known != nil {
		var units []string
		for name, x := range known.Fields {
			if s, ok := beside[name].(string); ok && x.Format == "currency" {
				units = append(units, s)
			}
		}
		if len(units) != 1 || !numbersWithCurrency(beside) {
			return
		}
		code, exact = units[0], true
	}
	if !phrase.IsCurrency(code) {
		return
	}
	if m.Minor {
		amount, ok := phrase.FromMinor(v.Text, code)
		if !ok {
			return
		}
		v.Text = amount
	}
	v.Kind, v.Unit, v.Exact = phrase.Money, strings.ToUpper(code), exact
}

// numbersWithCurrency reports whether one number alone stands beside a currency: of
// several, nothing says which is the amount.
func numbersWithCurrency(beside map[string]any) bool {
	n := 0
	for _, x := range beside {
		if _, ok := x.(json.Number); ok {
			n++
		}
	}
	return n == 1
}
