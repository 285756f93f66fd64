package openapi

import (
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
)

// essence is a media type without parameters, in small letters.
func essence(media string) string {
	e, _, err := mime.ParseMediaType(media)
	if err != nil {
		e, _, _ = strings.Cut(media, ";")
		e = strings.ToLower(strings.TrimSpace(e))
	}
	return e
}

func isJSON(essence string) bool {
	return essence == "application/json" || strings.HasSuffix(essence, "+json") || slices.Contains([]string{"text/json", "application/x-json", "text/x-json"}, essence)
}

func isXML(essence string) bool {
	return essence == "application/xml" || essence == "text/xml" || strings.HasSuffix(essence, "+xml")
}

// isLines reports JSON values one after the other, which are given as an array.
func isLines(essence string) bool {
	return slices.Contains([]string{"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl",
		"application/jsonlines", "application/x-jsonlines"}, essence) || isSequence(essence)
}

// isSequence reports JSON text sequences (RFC 7464).
func isSequence(essence string) bool {
	return essence == "application/json-seq" || strings.HasSuffix(essence, "+json-seq")
}

const (
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"
)

// The ranks order media types by how well arguments fit them.
const (
	rankNone = iota - 1 // cannot be written
	rankJSON
	rankLikeJSON
	rankForm
	rankMultipart
	rankLines
	rankXML
	rankBytes
	rankText
)

func rank(essence string) int {
	switch essence = meantBy(essence); {
	case essence == "application/json":
		return rankJSON
	case isJSON(essence), essence == "*/*", essence == "application/*":
		return rankLikeJSON
	case essence == formType:
		return rankForm
	case essence == multipartType:
		return rankMultipart
	case isLines(essence):
		return rankLines
	case isXML(essence):
		return rankXML
	case strings.HasPrefix(essence, "text/"):
		return rankText
	case strings.HasPrefix(essence, "multipart/"):
		return rankNone
	}
	return rankBytes
}

// writable orders the media types that a body can be sent as, the best first.
func writable(media []string) []string {
	list := slices.DeleteFunc(slices.Clone(media), func(m string) bool {
		return rank(essence(m)) == rankNone || !visibleASCII(m) || len(m) > 200 // it would end up in a header
	})
	slices.SortStableFunc(list, func(a, b string) int { return rank(essence(a)) - rank(essence(b)) })
	return list
}

// chooseMedia is the media type that somebody chose for the operation's body, out of
// those that it takes, or "".
func (b *builder) chooseMedia(media []string) (string, error) {
	chosen, from := b.media, "the content type chosen for it"
	if x, ok := b.v["x-exeat-content-type"]; ok && chosen == "" {
		if chosen, from = str(x), "its x-exeat-content-type"; chosen == "" {
			return "", errors.New("x-exeat-content-type is a media type")
		}
	}
	if chosen == "" {
		return "", nil
	}
	list := writable(media)
	for _, same := range []func(string) bool{
		func(m string) bool { return m == chosen },
		func(m string) bool { return essence(m) == essence(chosen) },
	} {
		if i := slices.IndexFunc(list, same); i >= 0 {
			return list[i], nil
		}
	}
	return "", fmt.Errorf("%s is %q; its body can be sent as %s", from, shorten(chosen, 200), shorten(strings.Join(list, ", "), 500))
}

func (b *builder) requestBody() error {
	v, ok := b.v["requestBody"]
	if !ok || v == nil {
		_, err := b.chooseMedia(nil)
		return err
	}
	at, m, err := b.c.loader.follow(b.at.to("requestBody"), v)
	if err != nil {
		return &placedError{b.at.to("requestBody"), err}
	}
	content, _ := m["content"].(map[string]any)
	media := writable(b.inOrder(at.to("content"), content))
	wanted, err := b.chooseMedia(media)
	if err != nil {
		return &placedError{at, err}
	}
	if wanted != "" {
		media = []string{wanted}
	}
	required := m["required"] == true
	var root *xmlNode
	var unsaid error
	for len(media) > 0 && rank(essence(media[0])) == rankXML {
		// A schema may be no XML; then the next media type may do.
		where, mt, err := b.c.loader.follow(at.to("content", media[0]), content[media[0]])
		if err == nil {
			root, err = b.xmlRoot(where.to("schema"), mt["schema"])
		}
		if err == nil {
			break
		}
		unsaid, media = err, media[1:]
	}
	switch {
	case len(media) == 0 && unsaid != nil && (required || wanted != ""):
		return unsaid
	case len(media) == 0 && required:
		return &placedError{at, fmt.Errorf("its body can only be sent as %s, which is not supported", strings.Join(sortedKeys(content), ", "))}
	case len(media) == 0 && unsaid != nil:
		b.c.finding(at, b.name, false, "its optional body is left out: "+unsaid.Error())
		return nil
	case len(media) == 0 && len(content) > 0:
		b.c.finding(at, b.name, false, "its optional body is left out: none of its media types is supported")
		return nil
	case len(media) == 0:
		return nil
	}
	types, err := b.mediaTypes(at, content, media)
	if err != nil {
		return err
	}
	x, chosen := b.newBody(types)
	x.Required, x.XML = required, root
	return b.setBody(x, chosen.at, chosen.v, clean(str(m["description"]), maxText))
}

// setBody translates the schema of a Media Type Object as its type wants it.
func (b *builder) setBody(x *body, at place, mt map[string]any, description string) error {
	if err := b.withholdFrom(x, at.to("schema"), mt["schema"]); err != nil {
		return err
	}
	var out any
	var err error
	switch kind := rank(x.Essence); {
	case x.Bytes:
		x.Encoding = b.wireEncoding(at.to("schema"), mt["schema"])
		out = x.bytesSchema()
	case kind == rankText && b.plainValue(at.to("schema"), mt["schema"]):
		if out, err = b.bodySchema(at.to("schema"), mt["schema"]); err != nil {
			return err
		}
	case kind == rankText:
		out = map[string]any{"type": "string"}
	case kind == rankXML && x.XML == nil:
		out = map[string]any{"type": "string", "description": "a whole XML document"}
	case kind == rankForm || kind == rankMultipart:
		if out, err = b.formSchema(x, at.to("schema"), mt["schema"], mt["encoding"]); err != nil {
			return err
		}
	case kind == rankLines && mt["itemSchema"] != nil:
		items, err := b.bodySchema(at.to("itemSchema"), mt["itemSchema"])
		if err != nil {
			return err
		}
		out = map[string]any{"type": "array", "items": items}
	default:
		if out, err = b.bodySchema(at.to("schema"), mt["schema"]); err != nil {
			return err
		}
		if kind == rankLines && b.typeOf(at.to("schema"), mt["schema"]) != "array" {
			// Before 3.2, people describe one line.
			out = map[string]any{"type": "array", "items": out}
		}
	}
	b.bodyWords(at, mt, out, description)
	return b.putBody(x, out)
}

// plainValue reports whether a schema is of one value that is written as text.
func (b *builder) plainValue(at place, schema any) bool {
	return slices.Contains([]string{"string", "boolean", "integer", "number"}, b.typeOf(at, schema)) && !b.binary(at, schema)
}

func (b *builder) bodySchema(at place, schema any) (any, error) {
	t := translator{c: b.c, withheld: b.withheld}
	out, err := t.schema(at, schema, 0)
	b.bodyRefs = append(b.bodyRefs, t.refs...)
	return out, err
}

// consumes is what a Swagger 2.0 operation takes. A parameter for Content-Type with
// an enum says it more exactly.
func (b *builder) consumes() []string {
	v, ok := b.v["consumes"]
	if !ok {
		v = b.c.doc["consumes"]
	}
	list := stringsOf(v)
	among := func(m string) bool { return slices.Contains(list, m) }
	switch {
	case slices.ContainsFunc(b.contentType, among):
		return slices.DeleteFunc(slices.Clone(b.contentType), func(m string) bool { return !among(m) })
	case len(b.contentType) > 0:
		return b.contentType
	}
	return list
}

func (b *builder) swaggerBody(p parameter) error {
	list := b.consumes()
	if len(list) == 0 {
		list = []string{"application/json"}
	}
	media := writable(slices.DeleteFunc(slices.Clone(list), func(m string) bool { e := meantBy(essence(m)); return e == formType || e == multipartType }))
	wanted, err := b.chooseMedia(media)
	switch {
	case err != nil:
		return err
	case wanted != "":
		media = []string{wanted}
	case len(media) == 0:
		return &placedError{p.at, fmt.Errorf("its body can only be sent as %s, which is not supported", strings.Join(list, ", "))}
	}
	var types []mediaType
	for _, m := range media {
		types = append(types, mediaType{m, p.at, p.v})
	}
	x, _ := b.newBody(types)
	x.Required = p.v["required"] == true
	if rank(x.Essence) == rankXML {
		if x.XML, err = b.xmlRoot(p.at.to("schema"), p.v["schema"]); err != nil {
			return err
		}
	}
	return b.setBody(x, p.at, p.v, clean(str(p.v["description"]), maxText))
}

// contentTypes applies the choices of Options: an operation's body is compiled
// again, as what was chosen. Its name is not known before all others are.
func (c *compiler) contentTypes(ops []*Operation) *Error {
	for _, key := range slices.Sorted(maps.Keys(c.opts.ContentTypes)) {
		op, bad := c.findOperation(key, "content type", ops)
		if bad != nil {
			return bad
		}
		b := c.builders[op]
		c.api.Findings = slices.DeleteFunc(c.api.Findings, func(f Finding) bool { return f.Operation == oneLine(b.name, 2000) })
		b.media = c.opts.ContentTypes[key]
		op.params, op.body, op.Tags, op.aliases, op.originals = nil, nil, nil, nil, nil
		if err := b.build(); err != nil {
			return &Error{File: c.location, Message: fmt.Sprintf("the content type for %q cannot be: %v", key, err)}
		}
	}
	return nil
}

// findOperation finds the one operation of an id or tool name that an option is for.
func (c *compiler) findOperation(key, what string, ops []*Operation) (*Operation, *Error) {
	var found []*Operation
	named := slices.ContainsFunc(ops, func(op *Operation) bool { return op.Name == key })
	for _, op := range ops {
		if op.Name == key || !named && op.ID == key {
			found = append(found, op)
		}
	}
	switch len(found) {
	case 0:
		return nil, &Error{File: c.location, Message: fmt.Sprintf("the %s for %q matches no operation%s", what, key, suggestion(key, ops))}
	case 1:
		return found[0], nil
	}
	var names []string
	for _, op := range found {
		names = append(names, op.Name)
	}
	// A document may give the id of a harmless operation to others.
	return nil, &Error{File: c.location, Message: fmt.Sprintf("the %s for %q matches %d operations", what, key, len(found)), Hint: "name one: " + shorten(strings.Join(names, ", "), 500)}
}
