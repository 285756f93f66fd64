package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Bounds on the input schemas of a document, in bytes.
const (
	maxSchema    = 256 << 10 // what arguments are checked against
	maxWhole     = 4 << 20   // what can be described of it
	maxInputs    = 64 << 20  // all of them; those of Kubernetes have 11 MB
	scarceInputs = 32 << 20  // from here on a tool gets less
)

// compiled is a shared schema, translated once for all tools that reach it.
type compiled struct {
	name string
	raw  json.RawMessage
	refs []place // shared schemas that it refers to
	err  error
	remarks
}

// translateShared returns the shared schema at p, translated. Its references are
// followed only when a tool needs them, so cycles are no trouble.
func (c *compiler) translateShared(p place) *compiled {
	if s, ok := c.schemas[p]; ok {
		return s
	}
	s := &compiled{name: c.defName(p)}
	c.schemas[p] = s
	t := translator{c: c}
	before := c.remarks
	c.remarks = remarks{}
	var out any
	var err error
	if base, kinds := strings.CutSuffix(p.pointer, kindsOf); kinds {
		v, _ := p.doc.at(base)
		out = t.kinds(place{p.doc, base}, mapOf(v))
	} else {
		v, _ := p.doc.at(p.pointer)
		out, err = t.schema(p, v, 0)
		out = withTypes(out, anyTypes)
	}
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
	if base, kinds := strings.CutSuffix(p.pointer, kindsOf); kinds {
		return c.defName(place{p.doc, base}) + ".kinds"
	}
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
	most := maxWhole
	if c.inputs > scarceInputs {
		most = 2 * maxSchema
	}
	// The nearest first: what is beyond the bound is deepest.
	for size := b.Len(); len(refs) > 0; refs = refs[1:] {
		s := c.translateShared(refs[0])
		if s.err != nil {
			return nil, s.err
		}
		if _, ok := defs[s.name]; ok {
			continue
		}
		if size += len(s.name) + len(s.raw) + 4; size > most {
			defs[s.name] = beyond
			continue
		}
		defs[s.name] = s.raw
		c.remarks.add(s.remarks)
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

// beyond stands for what is deeper in a schema than the bound.
var beyond = json.RawMessage(`{"description":"too large to describe; see the API's documentation"}`)

// limitInput gives what arguments are checked against: the schema, or of a large one what
// is nearest to its root. Whole is all of it then, if that may be kept.
func (c *compiler) limitInput(schema json.RawMessage) (input, whole json.RawMessage, err error) {
	most := maxSchema
	if c.inputs > scarceInputs {
		most = 2 * DefaultBudget
	}
	if len(schema) <= most {
		return schema, nil, nil
	}
	root, err := decodeSchema(schema)
	if err != nil {
		return nil, nil, err
	}
	input, _ = excerpt{budget: most, text: maxDescription}.write(root)
	if len(schema) > maxWhole || c.inputs > scarceInputs {
		return input, nil, nil
	}
	return input, schema, nil
}

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
