package compare

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// Kind is what a value is.
type Kind string

// The kinds of values. Hidden is one that is there and must not be shown.
const (
	Null    Kind = "null"
	Boolean Kind = "boolean"
	Number  Kind = "number"
	Text    Kind = "text"
	List    Kind = "list"
	Object  Kind = "object"
	Hidden  Kind = "hidden"
)

// Value is a JSON value. Text is a text as it reads, and what is written of any other
// scalar. Quoted says that Text is the JSON of a text which cannot be told otherwise,
// such as half a surrogate pair.
type Value struct {
	Kind    Kind
	Text    string
	Quoted  bool
	Members []Member // of an object, in their order
	Items   []*Value // of a list

	sum [sha256.Size]byte // of what it says; see seal
}

// Member is one of an object's.
type Member struct {
	Name  string
	Value *Value
}

// errJSON is a text that is not JSON.
var errJSON = errors.New("it is not JSON")

// Parse reads one JSON value. Of members with the same name the last counts, as almost
// every reader has it.
func Parse(raw []byte) (*Value, error) {
	if !json.Valid(raw) { // and not nested deeper than a reader may go
		return nil, errJSON
	}
	p := parser{raw: raw}
	return p.value(), nil
}

// parser reads JSON that is known to be valid.
type parser struct {
	raw []byte
	at  int
}

func (p *parser) skip() byte {
	for strings.IndexByte(" \t\r\n", p.raw[p.at]) >= 0 {
		p.at++
	}
	return p.raw[p.at]
}

func (p *parser) value() *Value {
	switch p.skip() {
	case '{':
		return p.object()
	case '[':
		v := &Value{Kind: List}
		for p.at++; p.skip() != ']'; {
			v.Items = append(v.Items, p.value())
			if p.skip() == ',' {
				p.at++
			}
		}
		p.at++
		return v
	case '"':
		return p.text()
	}
	begin := p.at
	for p.at < len(p.raw) && strings.IndexByte(" \t\r\n,]}", p.raw[p.at]) < 0 {
		p.at++
	}
	v := &Value{Kind: Number, Text: string(p.raw[begin:p.at])}
	switch v.Text[0] {
	case 'n':
		v.Kind = Null
	case 't', 'f':
		v.Kind = Boolean
	}
	return v
}

func (p *parser) object() *Value {
	v, at := &Value{Kind: Object}, map[string]int{}
	for p.at++; p.skip() != '}'; {
		name := p.text().Text
		p.skip() // to the colon
		p.at++
		x := p.value()
		if i, twice := at[name]; twice {
			v.Members[i].Value = x
		} else {
			at[name] = len(v.Members)
			v.Members = append(v.Members, Member{name, x})
		}
		if p.skip() == ',' {
			p.at++
		}
	}
	p.at++
	return v
}

func (p *parser) text() *Value {
	begin := p.at
	for p.at++; p.raw[p.at] != '"'; p.at++ {
		if p.raw[p.at] == '\\' {
			p.at++
		}
	}
	p.at++
	raw := p.raw[begin:p.at]
	v := &Value{Kind: Text, Text: string(raw[1 : len(raw)-1])}
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return v
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || strings.ContainsRune(s, utf8.RuneError) {
		v.Text, v.Quoted = string(raw), true
		return v
	}
	v.Text = s
	return v
}

// Member is an object's member of that name, or nil.
func (v *Value) Member(name string) *Value {
	if i := v.index(name); i >= 0 {
		return v.Members[i].Value
	}
	return nil
}

func (v *Value) index(name string) int {
	return slices.IndexFunc(v.Members, func(m Member) bool { return m.Name == name })
}

// seal works out the sums of a value and all that is in it.
func (v *Value) seal() {
	h := sha256.New()
	field := func(b string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write([]byte(b))
	}
	field(string(v.Kind))
	if v.Quoted {
		field("quoted")
	}
	field(v.Text)
	for _, x := range v.Items {
		x.seal()
		h.Write(x.sum[:])
	}
	for _, m := range v.Members {
		m.Value.seal()
	}
	for _, m := range slices.SortedFunc(slices.Values(v.Members), func(a, b Member) int { return strings.Compare(a.Name, b.Name) }) {
		field(m.Name)
		h.Write(m.Value.sum[:])
	}
	h.Sum(v.sum[:0])
}

// Size is how many values a value is, itself among them.
func (v *Value) Size() int {
	n := 1
	for _, x := range v.Items {
		n += x.Size()
	}
	for _, m := range v.Members {
		n += m.Value.Size()
	}
	return n
}

// JSON is the value as JSON, on one line. What is hidden is said to be.
func (v *Value) JSON() string {
	var b strings.Builder
	v.write(&b)
	return b.String()
}

func (v *Value) write(b *strings.Builder) {
	comma := func(i int) {
		if i > 0 {
			b.WriteByte(',')
		}
	}
	switch {
	case v.Kind == List:
		b.WriteByte('[')
		for i, x := range v.Items {
			comma(i)
			x.write(b)
		}
		b.WriteByte(']')
	case v.Kind == Object:
		b.WriteByte('{')
		for i, m := range v.Members {
			comma(i)
			quote(b, m.Name)
			b.WriteByte(':')
			m.Value.write(b)
		}
		b.WriteByte('}')
	case v.Kind == Text && !v.Quoted:
		quote(b, v.Text)
	case v.Kind == Hidden:
		b.WriteString("(hidden)")
	default:
		b.WriteString(v.Text)
	}
}

func quote(b *strings.Builder, s string) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) == nil {
		b.Write(bytes.TrimSpace(out.Bytes()))
	}
}
