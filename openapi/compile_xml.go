package openapi

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// xmlLabel is the xml object of one schema. An empty name is the one of the
// property, or array, that the schema describes.
type xmlLabel struct {
	kind                    xmlKind
	wrapped                 bool // for arrays: an element around the items
	name, namespace, prefix string
}

// xmlKind is OpenAPI 3.2's nodeType.
type xmlKind string

const (
	xmlElement   xmlKind = "element"
	xmlAttribute xmlKind = "attribute"
	xmlText      xmlKind = "text"
	xmlCDATA     xmlKind = "cdata"
	xmlNone      xmlKind = "none"
)

// xmlNode is how the values of one schema are written. The zero node is a
// schema that says nothing.
type xmlNode struct {
	xmlLabel
	*xmlShape
}

// xmlShape is what lies within. Nodes of one schema share it, also those inside it.
type xmlShape struct {
	order []string // of props, as the document has them
	props map[string]xmlNode
	more  *xmlNode // other properties
	items *xmlNode
	tuple []xmlNode // the first items
	inner *xmlNode  // 3.2: an element around the element of a reference
}

func (s *xmlShape) leaf() bool {
	return s == nil || len(s.props) == 0 && s.more == nil && s.items == nil && len(s.tuple) == 0 && s.inner == nil
}

// maxXMLNodes bounds what is kept of the schemas of one XML body.
const maxXMLNodes = 10_000

// ncName is a name without a prefix (Namespaces in XML §4), of ASCII: that is
// what all parsers agree on.
var ncName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// xmlCompiler compiles the schemas of one XML body.
type xmlCompiler struct {
	c      *compiler
	since3 bool // 3.2, where references and components name elements by themselves
	nodes  map[place]xmlNode
}

// xmlRoot compiles the schema of an XML body. It returns nil for one that is a
// string of XML as it stands.
func (b *builder) xmlRoot(at place, schema any) (*xmlNode, error) {
	if schema == nil {
		return nil, nil
	}
	where, m, err := b.c.loader.follow(at, schema)
	if err != nil {
		return nil, &placedError{at, err}
	}
	if m["xml"] == nil && (len(m) == 0 || b.typeOf(at, schema) == "string") {
		return nil, nil
	}
	x := &xmlCompiler{c: b.c, since3: strings.HasPrefix(str(b.c.doc["openapi"]), "3.2"), nodes: map[place]xmlNode{}}
	n, err := x.node(at, schema)
	if err != nil {
		return nil, err
	}
	n.name = cmp.Or(n.name, componentName(where))
	switch isArray := b.typeOf(at, schema) == "array"; {
	case n.name == "":
		return nil, &placedError{at, errors.New("the root of its XML has no name: give the schema xml.name, or put it under components")}
	case !ncName.MatchString(n.name):
		return nil, &placedError{at, fmt.Errorf("%q cannot be the name of an XML element", n.name)}
	case isArray && !n.wrapped || !isArray && n.kind != xmlElement:
		return nil, &placedError{at, errors.New("an XML document has one root element, and the schema makes none: an array has to be wrapped, and the root's nodeType is element")}
	}
	return &n, nil
}

// componentName is the name of a shared schema, or "".
func componentName(p place) string {
	for _, prefix := range []string{"/components/schemas/", "/definitions/"} {
		if name, ok := strings.CutPrefix(p.pointer, prefix); ok && !strings.Contains(name, "/") {
			return unescape(name)
		}
	}
	return ""
}

// node compiles one schema, once for each place.
func (x *xmlCompiler) node(p place, v any) (xmlNode, error) {
	if n, ok := x.nodes[p]; ok {
		return n, nil
	}
	if err := cmp.Or(x.c.spend(1), x.full()); err != nil {
		return xmlNode{}, &placedError{p, err}
	}
	own, isMap := v.(map[string]any)
	if !isMap {
		return xmlNode{xmlLabel: xmlLabel{kind: xmlElement}}, nil // true, false or nothing
	}
	if own["$ref"] != nil {
		return x.reference(p, own)
	}
	n := xmlNode{xmlShape: &xmlShape{props: map[string]xmlNode{}}}
	var err error
	if n.xmlLabel, err = x.label(p, own["xml"], xmlElement); err != nil {
		return n, &placedError{p.to("xml"), err}
	}
	if x.since3 {
		n.name = cmp.Or(n.name, componentName(p))
	}
	x.nodes[p] = n
	return n, x.fill(n.xmlShape, p, own, 0)
}

func (x *xmlCompiler) full() error {
	if len(x.nodes) > maxXMLNodes {
		return fmt.Errorf("the schemas of its XML body have more than %d parts", maxXMLNodes)
	}
	return nil
}

// reference compiles a schema that is a reference, with what stands beside it.
func (x *xmlCompiler) reference(p place, v map[string]any) (xmlNode, error) {
	at, m, err := x.c.loader.follow(p, v)
	if err != nil {
		return xmlNode{}, &placedError{p, err}
	}
	n, err := x.node(at, m)
	if err != nil || !x.c.siblings || v["xml"] == nil {
		return n, err
	}
	own, err := x.label(p, v["xml"], "")
	if err != nil {
		return n, &placedError{p.to("xml"), err}
	}
	if x.since3 && own.kind == xmlElement {
		return xmlNode{own, &xmlShape{inner: &n}}, nil
	}
	n.kind, n.wrapped = cmp.Or(own.kind, n.kind), own.wrapped || n.wrapped
	if own.name != "" {
		n.name = own.name
	}
	if own.namespace != "" {
		n.namespace, n.prefix = own.namespace, own.prefix
	}
	return n, nil
}

// label reads an xml object and refuses what no XML can say.
func (x *xmlCompiler) label(p place, v any, otherwise xmlKind) (xmlLabel, error) {
	m, _ := v.(map[string]any)
	l := xmlLabel{kind: otherwise, wrapped: m["wrapped"] == true, name: str(m["name"]), namespace: str(m["namespace"]), prefix: str(m["prefix"])}
	if m["attribute"] == true {
		l.kind = xmlAttribute
	}
	if s := str(m["nodeType"]); s != "" && x.since3 {
		l.kind, l.wrapped = xmlKind(s), s == string(xmlElement)
		if !slices.Contains([]xmlKind{xmlElement, xmlAttribute, xmlText, xmlCDATA, xmlNone}, l.kind) {
			return l, fmt.Errorf("there is no nodeType %q", s)
		}
	}
	switch {
	case l.name != "" && (!ncName.MatchString(l.name) || l.name == "xmlns"):
		return l, fmt.Errorf("%q cannot be the name of an XML element or attribute", l.name)
	case l.prefix != "" && (!ncName.MatchString(l.prefix) || strings.EqualFold(l.prefix, "xmlns")):
		return l, fmt.Errorf("%q cannot be an XML prefix", l.prefix)
	case l.prefix == "xml" && l.namespace != "" && l.namespace != xmlNamespace, l.prefix != "xml" && l.namespace == xmlNamespace:
		return l, errors.New("the prefix xml and its namespace belong together")
	case strings.ContainsFunc(l.namespace, func(r rune) bool { return r <= ' ' || r == 0x7f || !xmlRune(r) }):
		return l, errors.New("the namespace is no URI")
	case l.kind == xmlAttribute && l.namespace != "" && l.prefix == "":
		return l, errors.New("an attribute with a namespace needs a prefix")
	}
	return l, nil
}

const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

// fill notes what lies within a schema: its properties and items, and those of
// the schemas that it is composed of.
func (x *xmlCompiler) fill(s *xmlShape, p place, m map[string]any, depth int) error {
	for _, key := range []string{"allOf", "", "anyOf", "oneOf"} {
		if key == "" {
			if err := x.properties(s, p, m); err != nil {
				return err
			}
			continue
		}
		parts, _ := m[key].([]any)
		for i, part := range parts {
			at, v, err := x.c.loader.follow(p.to(key, fmt.Sprint(i)), part)
			if err != nil || depth > 10 {
				if _, isBool := part.(bool); isBool {
					continue
				}
				return &placedError{p.to(key), errors.New("the schemas that it is composed of cannot be followed")}
			}
			if err := x.c.spend(1 + len(v)); err != nil {
				return &placedError{at, err}
			}
			if err := x.fill(s, at, v, depth+1); err != nil {
				return err
			}
		}
	}
	var err error
	if s.more, err = x.one(s.more, p.to("additionalProperties"), m["additionalProperties"]); err != nil {
		return err
	}
	if s.items, err = x.one(s.items, p.to("items"), m["items"]); err != nil {
		return err
	}
	tuple, _ := m["prefixItems"].([]any)
	if len(tuple) > 0 && len(s.tuple) > 0 {
		return &placedError{p, errors.New("its first items are described in two ways, and XML has to be one")}
	}
	for i, v := range tuple {
		n, err := x.node(p.to("prefixItems", fmt.Sprint(i)), v)
		if err != nil {
			return err
		}
		s.tuple = append(s.tuple, n)
	}
	return nil
}

// one compiles a schema that is there once, whichever part of a composition has it.
func (x *xmlCompiler) one(before *xmlNode, p place, v any) (*xmlNode, error) {
	if _, isMap := v.(map[string]any); !isMap {
		return before, nil
	}
	n, err := x.node(p, v)
	if err == nil && before != nil && !sameXML(*before, n) {
		err = &placedError{p, errors.New("it is described in two ways, and XML has to be one")}
	}
	return &n, err
}

func sameXML(a, b xmlNode) bool {
	return a.xmlLabel == b.xmlLabel && (a.xmlShape == b.xmlShape || a.leaf() && b.leaf())
}

// properties notes an object's properties, in the order of the document:
// schemas of XML often demand one.
func (x *xmlCompiler) properties(s *xmlShape, p place, m map[string]any) error {
	if m["properties"] == nil {
		return nil
	}
	at, props, err := x.c.loader.follow(p.to("properties"), m["properties"])
	if err != nil {
		return nil // the translation of the schema has said so
	}
	type property struct {
		name         string
		line, column int
	}
	var list []property
	for _, name := range sortedKeys(props) {
		line, column := at.doc.position(at.to(name).pointer)
		list = append(list, property{name, line, column})
	}
	slices.SortStableFunc(list, func(a, b property) int { return cmp.Or(a.line-b.line, a.column-b.column) })
	for _, entry := range list {
		n, err := x.node(at.to(entry.name), props[entry.name])
		if err != nil {
			return err
		}
		before, given := s.props[entry.name]
		if given && !sameXML(before, n) {
			return &placedError{at.to(entry.name), fmt.Errorf("the property %s is described in two ways, and XML has to be one", entry.name)}
		}
		if !given {
			s.order = append(s.order, entry.name)
		}
		s.props[entry.name] = n
	}
	return nil
}
