package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxSchema bounds a tool's input schema. Beyond it the body becomes a generic
// one: no model reads more, and some hosts refuse more.
const maxSchema = 256 << 10

// compiled is a shared schema, translated once for all tools that reach it.
type compiled struct {
	name string
	raw  json.RawMessage
	refs []place // shared schemas that it refers to
	err  error
	remarks
}

// shared returns the shared schema at p, translated. Its references are
// followed only when a tool needs them, so cycles are no trouble.
func (c *compiler) shared(p place) *compiled {
	if s, ok := c.schemas[p]; ok {
		return s
	}
	s := &compiled{name: c.defName(p)}
	c.schemas[p] = s
	v, _ := p.doc.at(p.pointer)
	t := translator{c: c}
	before := c.remarks
	c.remarks = remarks{}
	out, err := t.schema(p, v, 0)
	s.remarks, c.remarks = c.remarks, before
	if err != nil {
		s.err = err
		return s
	}
	s.raw, s.err = json.Marshal(out)
	s.refs = t.refs
	return s
}

var defChars = regexp.MustCompile(`[^a-zA-Z0-9_.-]`)

// defName names a shared schema in $defs: by its own name if it is a component,
// else with a hash of its place.
func (c *compiler) defName(p place) string {
	parent, last := "", p.pointer
	if i := strings.LastIndex(p.pointer, "/"); i >= 0 {
		parent, last = p.pointer[:i], unescape(p.pointer[i+1:])
	}
	name := defChars.ReplaceAllString(last, "_")
	if p.doc == c.root && name == last && name != "" && (parent == "/components/schemas" || parent == "/definitions") {
		return name
	}
	sum := sha256.Sum256([]byte(p.doc.file + c.elsewhere(p.doc) + "#" + p.pointer))
	return strings.TrimLeft(cut(name, 40)+"_"+hex.EncodeToString(sum[:4]), "_")
}

// inputSchema writes the schema of a tool: its properties, and in $defs exactly
// the shared schemas that they reach.
func (c *compiler) inputSchema(props map[string]json.RawMessage, required []string, refs []place) (json.RawMessage, error) {
	var b bytes.Buffer
	b.WriteString(`{"type":"object","properties":{`)
	writeMembers(&b, props)
	b.WriteString(`}`)
	if len(required) > 0 {
		slices.Sort(required)
		list, err := json.Marshal(required)
		if err != nil {
			return nil, err
		}
		b.WriteString(`,"required":`)
		b.Write(list)
	}
	b.WriteString(`,"additionalProperties":false`)
	defs := map[string]json.RawMessage{}
	size := b.Len()
	if size > maxSchema {
		return nil, errTooLarge
	}
	for len(refs) > 0 {
		s := c.shared(refs[len(refs)-1])
		refs = refs[:len(refs)-1]
		if s.err != nil {
			return nil, s.err
		}
		if _, ok := defs[s.name]; ok {
			continue
		}
		defs[s.name] = s.raw
		c.remarks.add(s.remarks)
		if size += len(s.name) + len(s.raw) + 4; size > maxSchema {
			return nil, errTooLarge
		}
		refs = append(refs, s.refs...)
	}
	if len(defs) > 0 {
		b.WriteString(`,"$defs":{`)
		writeMembers(&b, defs)
		b.WriteString(`}`)
	}
	b.WriteString(`}`)
	return b.Bytes(), nil
}

// errTooLarge is an input schema beyond maxSchema.
var errTooLarge = errors.New("the input schema is larger than 256 KiB")

func writeMembers(b *bytes.Buffer, members map[string]json.RawMessage) {
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			key = []byte(`""`) // cannot happen: a string always marshals
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(members[name])
	}
}

// elsewhere is where a document beside the root was fetched from.
func (c *compiler) elsewhere(d *document) string {
	if d == c.root {
		return ""
	}
	return d.url
}
