package openapi

import (
	"bytes"
	"encoding/json"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// position returns the line and column, from 1, of the key or element that a
// pointer leads to, or of the nearest one above it.
func (d *document) position(pointer string) (line, column int) {
	if d.original != nil {
		if _, there := d.original.at(pointer); !there {
			return 0, 0 // an overlay put it in
		}
		return d.original.position(pointer)
	}
	if d.yaml != nil {
		return d.yamlPosition(tokens(pointer))
	}
	if d.finder == nil {
		d.finder = newJSONFinder(d.data)
	}
	return d.finder.lineColumn(d.finder.find(tokens(pointer)))
}

// lineColumn turns a byte offset into a line and column, both from 1; columns
// count bytes.
func lineColumn(data []byte, offset int) (line, column int) {
	offset = max(0, min(offset, len(data)))
	before := data[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, len(before) - start + 1
}

// yamlPosition walks as far as the tokens lead; what lies behind an alias is
// found at its anchor.
func (d *document) yamlPosition(path []string) (line, column int) {
	n := d.yaml
	line, column = n.Line, n.Column
	for _, t := range path {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var key, next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			if i, ok := d.keysOf(n)[t]; ok {
				key, next = n.Content[i], n.Content[i+1]
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(t); err == nil && i >= 0 && i < len(n.Content) {
				key, next = n.Content[i], n.Content[i]
			}
		}
		if next == nil {
			return line, column
		}
		line, column, n = key.Line, key.Column, next
	}
	return line, column
}

// keysOf lists where a mapping has its keys, and remembers it: a document of
// many findings asks for many of one mapping.
func (d *document) keysOf(n *yaml.Node) map[string]int {
	list, ok := d.keys[n]
	if !ok {
		list = map[string]int{}
		for i := len(n.Content) - 2; i >= 0; i -= 2 {
			list[n.Content[i].Value] = i // of equal keys, the first
		}
		if d.keys == nil {
			d.keys = map[*yaml.Node]map[string]int{}
		}
		d.keys[n] = list
	}
	return list
}

// jsonFinder finds places in JSON that is known to be valid. An object or array
// on the way is read once and remembered, so that many findings cost little
// more than one.
type jsonFinder struct {
	data    []byte
	i       int
	lines   []int                     // offsets at which lines start
	members map[int]map[string]member // by the offset of their object or array
}

// member is where a member of an object or an element of an array stands.
type member struct{ start, value int }

func newJSONFinder(data []byte) *jsonFinder {
	s := &jsonFinder{data: data, lines: []int{0}, members: map[int]map[string]member{}}
	for i, c := range data {
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// lineColumn counts columns in bytes, as Go does: a document is often one long line.
func (s *jsonFinder) lineColumn(offset int) (line, column int) {
	line = sort.SearchInts(s.lines, offset+1)
	return line, offset - s.lines[line-1] + 1
}

// find returns the offset of the last step that could be taken.
func (s *jsonFinder) find(path []string) int {
	s.i = 0
	s.space()
	at, value := s.i, s.i
	for _, t := range path {
		if value >= len(s.data) || s.data[value] != '{' && s.data[value] != '[' {
			break
		}
		if s.members[value] == nil {
			s.members[value] = s.read(value)
		}
		m, ok := s.members[value][t]
		if !ok {
			break
		}
		at, value = m.start, m.value
	}
	return at
}

// read lists the members of the object or array that starts at i. Of two equal
// keys the last one stays, as encoding/json has it.
func (s *jsonFinder) read(i int) map[string]member {
	list := map[string]member{}
	object := s.data[i] == '{'
	s.i = i + 1
	for n := 0; ; n++ {
		s.space()
		if s.i >= len(s.data) || s.data[s.i] == '}' || s.data[s.i] == ']' {
			return list
		}
		start, name := s.i, strconv.Itoa(n)
		if object {
			name = s.key()
			s.space()
		}
		list[name] = member{start, s.i}
		s.skip()
	}
}

func (s *jsonFinder) space() {
	for s.i < len(s.data) && strings.IndexByte(" \t\r\n,:", s.data[s.i]) >= 0 {
		s.i++
	}
}

func (s *jsonFinder) key() string {
	end := endOfString(s.data, s.i)
	if end >= len(s.data) {
		s.i = len(s.data)
		return ""
	}
	raw := s.data[s.i : end+1]
	s.i = end + 1
	var key string
	if json.Unmarshal(raw, &key) != nil {
		return ""
	}
	return key
}

func (s *jsonFinder) skip() {
	depth := 0
	for ; s.i < len(s.data); s.i++ {
		switch s.data[s.i] {
		case '"':
			s.i = endOfString(s.data, s.i)
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 { // the end of what holds a scalar
				return
			}
			depth--
		case ',':
			if depth == 0 {
				return
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			s.i++
			return
		}
	}
}
