package openapi

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"mime"
	"strconv"
	"strings"

	"github.com/exeat/exeat/openapi/strictjson"
)

// xmlScope is one element that is being written.
type xmlScope struct {
	attributes bytes.Buffer
	content    bytes.Buffer
	elements   map[string]string // which argument wrote an element of that name
	names      map[string]string // and an attribute
	prefixes   map[string]string // to namespaces, here and around
	left       *space            // of the whole document
}

// encodeXML writes a body by the xml hints of its schema, or sends a string of
// XML as it stands. Properties come in the order of the document, others after
// them in canonical order.
func (x *body) encodeXML(v any) (string, []byte, *ArgumentError) {
	media := x.Media
	if _, params, err := mime.ParseMediaType(media); err == nil && params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		media = x.Essence + "; charset=utf-8"
	}
	if x.XML == nil {
		s, ok := v.(string)
		if !ok {
			return "", nil, refuse("/body", "must be a string of XML")
		}
		if err := wellFormed(s); err != nil {
			return "", nil, refuse("/body", "is no XML that can be sent: %v", err)
		}
		return media, []byte(s), nil
	}
	document := &xmlScope{prefixes: map[string]string{"xml": xmlNamespace}, left: &space{maxWritten}}
	if bad := document.value(*x.XML, x.XML.name, v, "/body", "/body"); bad != nil {
		return "", nil, bad
	}
	return media, append([]byte(xml.Header), document.content.Bytes()...), nil
}

// value writes v as n says. inherited is the name of the property it belongs
// to, owner that property's pointer.
func (s *xmlScope) value(n xmlNode, inherited string, v any, at, owner string) *ArgumentError {
	if v == nil {
		return notWritten(v, at)
	}
	list, isArray := v.([]any)
	switch {
	case isArray && n.xmlShape != nil && n.inner != nil:
		// An element around the array of a reference.
	case isArray && n.kind != xmlElement && n.kind != xmlNone:
		return refuse(at, "cannot be written as an array here: it is sent as XML %s", n.kind)
	case isArray && n.wrapped && n.kind == xmlElement:
		name := n.name
		if name == "" {
			name = inherited
		}
		return s.element(n, name, at, owner, func(in *xmlScope) *ArgumentError { return in.items(n, name, list, at, owner) })
	case isArray && len(list) == 0:
		return refuse(at, "cannot be written empty in XML: leave it out")
	case isArray:
		return s.items(n, inherited, list, at, owner)
	}
	object, isObject := v.(map[string]any)
	switch n.kind {
	case xmlAttribute:
		return s.attribute(n, inherited, v, at, owner)
	case xmlText, xmlCDATA:
		return s.text(n.kind, v, at)
	case xmlNone:
		if !isObject {
			return refuse(at, "has no place in XML: its schema's nodeType is none")
		}
		return s.members(n, object, at)
	}
	name := n.name
	if name == "" {
		name = inherited
	}
	return s.element(n, name, at, owner, func(in *xmlScope) *ArgumentError {
		switch {
		case n.xmlShape != nil && n.inner != nil:
			return in.value(*n.inner, name, v, at, at)
		case isObject:
			return in.members(n, object, at)
		}
		return in.text(xmlText, v, at)
	})
}

// items writes those of an array, one after the other.
func (s *xmlScope) items(n xmlNode, name string, list []any, at, owner string) *ArgumentError {
	for i, v := range list {
		where := at + "/" + strconv.Itoa(i)
		item := xmlNode{xmlLabel: xmlLabel{kind: xmlElement}}
		if n.xmlShape != nil && i < len(n.tuple) {
			item = n.tuple[i]
		} else if n.xmlShape != nil && n.items != nil {
			item = *n.items
		}
		if _, isArray := v.([]any); isArray && !item.wrapped {
			return refuse(where, "cannot be written in XML: an array within an array has to be wrapped, and the schema does not say so")
		}
		if item.kind == xmlAttribute || (item.kind == xmlText || item.kind == xmlCDATA) && len(list) > 1 && len(n.tuple) == 0 {
			return refuse(where, "cannot be written in XML: the items of an array would run together")
		}
		if bad := s.value(item, name, v, where, owner); bad != nil {
			return bad
		}
	}
	return nil
}

// members writes an object's properties: those of the schema in its order, then
// the others.
func (s *xmlScope) members(n xmlNode, object map[string]any, at string) *ArgumentError {
	write := func(member xmlNode, name string) *ArgumentError {
		where := at + "/" + escape(name)
		return s.value(member, name, object[name], where, where)
	}
	if n.xmlShape == nil {
		n.xmlShape = &xmlShape{}
	}
	for _, name := range n.order {
		if _, given := object[name]; given {
			if bad := write(n.props[name], name); bad != nil {
				return bad
			}
		}
	}
	for _, name := range canonicalKeys(object) {
		if _, known := n.props[name]; known {
			continue
		}
		other := xmlNode{xmlLabel: xmlLabel{kind: xmlElement}}
		if n.more != nil {
			other = *n.more
		}
		if bad := write(other, name); bad != nil {
			return bad
		}
	}
	return nil
}

// element writes one element; within writes what it holds.
func (s *xmlScope) element(n xmlNode, name, at, owner string, within func(*xmlScope) *ArgumentError) *ArgumentError {
	if bad := claim(&s.elements, name, at, owner); bad != nil {
		return bad
	}
	in := &xmlScope{prefixes: s.prefixes, left: s.left}
	tag, bad := in.qualified(n, name, at)
	if bad == nil && !s.left.take(2*len(tag)+in.attributes.Len()+64) {
		bad = tooLarge(at)
	}
	if bad == nil {
		bad = within(in)
	}
	if bad != nil {
		return bad
	}
	s.content.WriteString("<" + tag)
	s.content.Write(in.attributes.Bytes())
	s.content.WriteByte('>')
	s.content.Write(in.content.Bytes())
	s.content.WriteString("</" + tag + ">")
	return nil
}

// claim refuses a name that another argument has written in the same element: a
// policy would see one value and the API another.
func claim(taken *map[string]string, name, at, owner string) *ArgumentError {
	if !ncName.MatchString(name) {
		return refuse(at, "cannot be written in XML: its name is no XML name")
	}
	if *taken == nil {
		*taken = map[string]string{}
	}
	key := strictjson.Fold(name)
	if first, given := (*taken)[key]; given && first != owner {
		return refuse(at, "would be written under the same XML name as %q", first)
	}
	(*taken)[key] = owner
	return nil
}

// qualified is the name with its prefix. A namespace that is not known here yet
// is declared on this element.
func (s *xmlScope) qualified(n xmlNode, name, at string) (string, *ArgumentError) {
	if known, ok := s.prefixes[n.prefix]; n.namespace != "" && (!ok || known != n.namespace) {
		attribute := "xmlns"
		if n.prefix != "" {
			attribute += ":" + n.prefix
		}
		if strings.Contains(s.attributes.String(), " "+attribute+"=") {
			return "", refuse(at, "cannot be written in XML: the document gives the prefix %q two namespaces in one element", n.prefix)
		}
		s.prefixes = maps.Clone(s.prefixes)
		s.prefixes[n.prefix] = n.namespace
		s.attributes.WriteString(" " + attribute + `="`)
		_ = xml.EscapeText(&s.attributes, []byte(n.namespace))
		s.attributes.WriteByte('"')
	}
	if n.prefix == "" {
		return name, nil
	}
	if s.prefixes[n.prefix] == "" {
		return "", refuse(at, "cannot be written in XML: the document gives the prefix %q no namespace", n.prefix)
	}
	return n.prefix + ":" + name, nil
}

func (s *xmlScope) attribute(n xmlNode, inherited string, v any, at, owner string) *ArgumentError {
	name := n.name
	if name == "" {
		name = inherited
	}
	text, ok := plainText(v)
	if !ok {
		return notWritten(v, at)
	}
	if name == "xmlns" {
		return refuse(at, "cannot be written in XML: xmlns is no attribute for values")
	}
	if bad := claim(&s.names, name, at, owner); bad != nil {
		return bad
	}
	if bad := xmlChars(text, at); bad != nil {
		return bad
	}
	tag, bad := s.qualified(n, name, at)
	if bad != nil {
		return bad
	}
	s.attributes.WriteString(" " + tag + `="`)
	_ = xml.EscapeText(&s.attributes, []byte(text))
	s.attributes.WriteByte('"')
	return nil
}

// text writes a scalar as text or as a CDATA section, where a carriage return
// cannot be told from a line feed.
func (s *xmlScope) text(kind xmlKind, v any, at string) *ArgumentError {
	text, ok := plainText(v)
	if !ok {
		return notWritten(v, at)
	}
	if bad := xmlChars(text, at); bad != nil {
		return bad
	}
	if kind == xmlText {
		_ = xml.EscapeText(&s.content, []byte(text))
		return nil
	}
	if strings.Contains(text, "\r") {
		return refuse(at, "cannot be written in XML: a CDATA section holds no carriage return")
	}
	s.content.WriteString("<![CDATA[" + strings.ReplaceAll(text, "]]>", "]]]]><![CDATA[>") + "]]>")
	return nil
}

// xmlRune reports a character of XML 1.0 (§2.2).
func xmlRune(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}

func xmlChars(s, at string) *ArgumentError {
	if strings.ContainsFunc(s, func(r rune) bool { return !xmlRune(r) }) {
		return refuse(at, "cannot be written in XML: it holds a control character, or one that XML does not have")
	}
	return nil
}

// wellFormed checks XML that the caller wrote: one root element, UTF-8, and no
// document type, which could make the reader fetch something.
func wellFormed(s string) error {
	d := xml.NewDecoder(strings.NewReader(s))
	depth, roots := 0, 0
	for {
		start := d.InputOffset()
		token, err := d.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.New("it is not well-formed")
		}
		switch token := token.(type) {
		case xml.Directive:
			return errors.New("it has a document type or another declaration")
		case xml.ProcInst:
			if token.Target != "xml" || start != 0 {
				return errors.New("it has a processing instruction")
			}
		case xml.StartElement:
			if depth++; depth == 1 {
				roots++
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && strings.TrimSpace(string(token)) != "" {
				return errors.New("it has text outside its root element")
			}
		}
	}
	if roots != 1 {
		return errors.New("it has to have one root element")
	}
	// Only Token checks that the ends match.
	for d = xml.NewDecoder(strings.NewReader(s)); ; {
		if _, err := d.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return errors.New("it is not well-formed")
		}
	}
}
