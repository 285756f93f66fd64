package openapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/exeat/exeat/openapi/strictjson"
)

// parameter is one Parameter Object and where it stands.
type parameter struct {
	at   place
	v    map[string]any
	name string
	in   string
}

// collect merges the path item's parameters with the operation's, which win.
func (b *builder) collect() ([]parameter, error) {
	var all []parameter
	for _, from := range []struct {
		at place
		v  any
	}{{b.itemAt.to("parameters"), b.item["parameters"]}, {b.at.to("parameters"), b.v["parameters"]}} {
		list, _ := from.v.([]any)
		if err := b.c.spend(len(list)); err != nil || len(list) > maxParameters {
			return nil, &placedError{from.at, cmp.Or(err, fmt.Errorf("there are more than %d parameters", maxParameters))}
		}
		for i, x := range list {
			at, v, err := b.c.loader.follow(from.at.to(fmt.Sprint(i)), x)
			if err != nil {
				return nil, &placedError{from.at.to(fmt.Sprint(i)), err}
			}
			p := parameter{at: at, v: v, name: str(v["name"]), in: str(v["in"])}
			if p.name == "" || p.in == "" {
				return nil, &placedError{at, errors.New("a parameter needs a name and a place (in)")}
			}
			same := func(o parameter) bool { return o.name == p.name && o.in == p.in }
			if i := slices.IndexFunc(all, same); i >= 0 {
				all[i] = p
			} else {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// Bounds on an operation; what is beyond them is no honest one.
const (
	maxParameters = 1000
	maxTags       = 100
)

// placeOrder is the order in which parameters are named and written.
var placeOrder = []string{"path", "query", "querystring", "header", "cookie"}

func (b *builder) parameters() error {
	all, err := b.collect()
	if err != nil {
		return err
	}
	b.contentType = b.swaggerContentType(all)
	var plain []parameter
	var form []parameter
	for _, p := range all {
		switch {
		case b.fillsCredential(p):
		case p.in == "body" && b.c.swagger2:
			if err := b.swaggerBody(p); err != nil {
				return err
			}
		case p.in == "formData" && b.c.swagger2:
			form = append(form, p)
		case b.isCredential(p):
			b.c.finding(p.at, b.name, false, fmt.Sprintf("the parameter %s is left out: it is a credential, which exeat adds", p.name))
		case p.in == "header" && !isToken(p.name):
			return &placedError{p.at, fmt.Errorf("the header parameter %q has no legal name", p.name)}
		case p.in == "header" && ownHeader(p.name):
			b.c.finding(p.at, b.name, false, fmt.Sprintf("the header parameter %s is left out: exeat or HTTP itself sets it", p.name))
		case p.in == "header" && b.c.isFixed(p.name):
			b.c.finding(p.at, b.name, false, fmt.Sprintf("the header parameter %s is left out: the configuration sets it", p.name))
		case p.in == "cookie" && !isToken(p.name):
			return &placedError{p.at, fmt.Errorf("the cookie parameter %q has no legal name", p.name)}
		case p.in == "query" && b.op.query != "" && b.op.fixedQuery()[strictjson.Fold(p.name)]:
			b.c.finding(p.at, b.name, false, fmt.Sprintf("the parameter %s is left out: the path sets it", p.name))
		case slices.Contains(placeOrder, p.in):
			plain = append(plain, p)
		default:
			return &placedError{p.at, fmt.Errorf("there is no parameter place %q", p.in)}
		}
	}
	if form, err = b.withholdFields(form); err != nil {
		return err
	}
	if len(form) > 0 {
		if err := b.swaggerForm(form); err != nil {
			return err
		}
	}
	// Names must not depend on the order in which a document lists things.
	slices.SortFunc(plain, func(x, y parameter) int {
		return cmp.Or(slices.Index(placeOrder, x.in)-slices.Index(placeOrder, y.in), strings.Compare(x.name, y.name))
	})
	names := argumentNames(plain, b.op.body != nil || b.v["requestBody"] != nil)
	for i, p := range plain {
		if p.in == "querystring" {
			if err := b.wholeQuery(p, plain); err != nil {
				return &placedError{p.at, err}
			}
		}
		if err := b.parameter(p, names[i]); err != nil {
			return &placedError{p.at, fmt.Errorf("the parameter %s: %w", p.name, err)}
		}
	}
	return b.templateNames()
}

// swaggerContentType lists the media types that a Swagger 2.0 document allows in a
// parameter for them.
func (b *builder) swaggerContentType(all []parameter) []string {
	for _, p := range all {
		if b.c.swagger2 && p.in == "header" && strings.EqualFold(p.name, "Content-Type") {
			return stringsOf(p.v["enum"])
		}
	}
	return nil
}

// isCredential reports whether a parameter is where a security scheme of the
// document puts an API key. Capitals do not count: many APIs do not see them.
func (b *builder) isCredential(p parameter) bool {
	plain := func(name string) string {
		if p.in == "header" { // see ownHeader
			name = strings.ReplaceAll(name, "_", "-")
		}
		return strictjson.Fold(name)
	}
	for _, s := range b.c.declared {
		if s.Type == "apiKey" && s.In == p.in && plain(s.Name) == plain(p.name) {
			return true
		}
	}
	return false
}

// templateNames checks that the path's variables and parameters agree.
func (b *builder) templateNames() error {
	for _, m := range templateName.FindAllStringSubmatch(b.op.Path, -1) {
		if !slices.ContainsFunc(b.op.params, func(p param) bool { return p.In == "path" && p.Name == m[1] }) {
			return fmt.Errorf("the path has the variable {%s}, and no parameter describes it", m[1])
		}
	}
	b.op.params = slices.DeleteFunc(b.op.params, func(p param) bool {
		if p.In != "path" || strings.Contains(b.op.Path, "{"+p.Name+"}") {
			return false
		}
		b.c.finding(b.at, b.name, false, fmt.Sprintf("the path parameter %s is left out: the path has no such variable", p.Name))
		delete(b.props, p.Property)
		b.required = slices.DeleteFunc(b.required, func(s string) bool { return s == p.Property })
		return true
	})
	return nil
}

func defaultStyle(in string) string {
	if in == "query" || in == "cookie" || in == "formData" {
		return "form"
	}
	return "simple"
}

// styles are what each place allows (OpenAPI 3.2 §4.12.2).
var styles = map[string][]string{
	"path": {"simple", "label", "matrix"}, "query": {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
	"header": {"simple"}, "cookie": {"form", "cookie"},
}

func (b *builder) parameter(p parameter, property string) error {
	x := param{Property: property, Name: p.name, In: p.in, Style: defaultStyle(p.in), Required: p.v["required"] == true || p.in == "path",
		AllowReserved: p.v["allowReserved"] == true, Slashes: p.in == "path" && b.use(p.name, p.in) == AsSegment}
	schemaAt, schema := p.at.to("schema"), p.v["schema"]
	if b.c.swagger2 {
		var ok bool
		if x.Style, x.Explode, ok = collection(p.v, p.in); !ok {
			return fmt.Errorf("the collectionFormat %q cannot be written", str(p.v["collectionFormat"]))
		}
		schemaAt, schema = p.at, withoutParameterKeys(p.v)
	} else {
		if s := str(p.v["style"]); s != "" {
			x.Style = s
		}
		if p.in != "querystring" && !slices.Contains(styles[p.in], x.Style) {
			return fmt.Errorf("the style %q does not exist in %s", x.Style, p.in)
		}
		x.Explode = x.Style == "form" || x.Style == "cookie"
		if e, ok := p.v["explode"].(bool); ok {
			x.Explode = e
		}
		if p.in == "querystring" || p.v["content"] != nil && schema == nil {
			var err error
			if schemaAt, schema, err = b.content(&x, p); err != nil {
				return err
			}
		}
	}
	t := translator{c: b.c}
	out, err := t.schema(schemaAt, schema, 0)
	if err != nil {
		return err
	}
	if p.v["allowEmptyValue"] == true && p.in == "query" && x.ContentType == "" {
		out = orEmpty(out)
	}
	out = withTypes(out, anyTypes[:5]) // nothing writes null into a parameter
	if err := b.carry(&x, p, schemaAt, schema); err != nil {
		return err
	}
	b.sendable(x, p, out)
	x.Type = b.typeOf(schemaAt, schema)
	b.refs = append(b.refs, t.refs...)
	words := b.parameterWords(p, out)
	description := clean(words, maxText)
	b.c.look(description, words)
	if len(description) > maxDescription {
		b.c.remarks.long++
	}
	return b.add(x, out, description)
}

// add puts a parameter into the input schema.
func (b *builder) add(x param, schema any, description string) error {
	if m, ok := schema.(map[string]any); ok && description != "" {
		m["description"] = description
	}
	raw, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	b.props[x.Property] = raw
	if x.Required {
		b.required = append(b.required, x.Property)
	}
	b.op.params = append(b.op.params, x)
	return nil
}

// typeOf is the one type of a schema besides null, or "".
func (b *builder) typeOf(p place, v any) string {
	_, m, err := b.c.loader.follow(p, v)
	if err != nil {
		return ""
	}
	switch t := m["type"].(type) {
	case string:
		return t
	case []any:
		rest := slices.DeleteFunc(slices.Clone(t), func(x any) bool { return x == "null" })
		if len(rest) == 1 {
			return str(rest[0])
		}
	}
	if m["properties"] != nil {
		return "object"
	}
	return ""
}

// withoutParameterKeys is the schema part of a Swagger 2.0 parameter.
func withoutParameterKeys(v map[string]any) map[string]any {
	s := maps.Clone(v)
	for _, k := range []string{"name", "in", "required", "description", "collectionFormat", "allowEmptyValue"} {
		delete(s, k)
	}
	return s
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
