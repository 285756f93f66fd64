package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds on what a document may cost.
const (
	maxBytes = 64 << 20 // all files of a document together
	maxNodes = 8 << 20  // values of one file, YAML aliases expanded
	maxDepth = 256      // nesting of values
)

// document is one parsed file. Its root is a tree of map[string]any, []any,
// string, json.Number, bool and nil.
type document struct {
	name  string // as shown to people
	file  string // slash-separated, below the root folder; "" for a URL
	root  any
	data  []byte     // to find positions in JSON
	yaml  *yaml.Node // nil for JSON
	dupes []duplicate

	finder *jsonFinder // made when the first position is asked for
}

// duplicate is a key that stands in its mapping for the second time.
type duplicate struct {
	pointer      string
	line, column int
}

// parseDocument reads JSON or YAML. JSON never goes through the YAML parser,
// which refuses escapes that JSON allows; only a .yaml file that starts like
// JSON but is not (YAML flow style) is given to it.
func parseDocument(name string, data []byte) (*document, *Error) {
	d := &document{name: name, data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))}
	ext := strings.ToLower(path.Ext(name))
	trimmed := bytes.TrimLeft(d.data, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, &Error{File: name, Message: "the file is empty", Hint: "give an OpenAPI document"}
	}
	if trimmed[0] == '{' || ext == ".json" {
		err := d.parseJSON()
		if err == nil {
			return d, nil
		}
		if ext != ".yaml" && ext != ".yml" {
			return nil, err
		}
	}
	if err := d.parseYAML(); err != nil {
		return nil, err
	}
	return d, nil
}

// at returns the value that a JSON Pointer (RFC 6901) leads to.
func (d *document) at(pointer string) (any, bool) {
	v := d.root
	for _, t := range tokens(pointer) {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[t]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(t)
			if err != nil || i < 0 || i >= len(x) || strconv.Itoa(i) != t {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// position returns the line and column, from 1, of the key or element that a
// pointer leads to, or of the nearest one above it.
func (d *document) position(pointer string) (line, column int) {
	if d.yaml != nil {
		return yamlPosition(d.yaml, tokens(pointer))
	}
	if d.finder == nil {
		d.finder = newJSONFinder(d.data)
	}
	return d.finder.lineColumn(d.finder.find(tokens(pointer)))
}

func (d *document) parseJSON() *Error {
	fail := func(offset int, msg string) *Error {
		line, col := lineColumn(d.data, offset)
		return &Error{File: d.name, Line: line, Column: col, Message: msg}
	}
	if offset, msg := boundJSON(d.data); msg != "" {
		return fail(offset, msg)
	}
	dec := json.NewDecoder(bytes.NewReader(d.data))
	dec.UseNumber()
	if err := dec.Decode(&d.root); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fail(int(syntax.Offset)-1, "the file is not valid JSON: "+syntax.Error())
		}
		return fail(len(d.data), "the file is not valid JSON: "+err.Error())
	}
	if _, err := dec.Token(); err != io.EOF {
		return fail(int(dec.InputOffset()), "the file has something after its JSON value")
	}
	return nil
}

// boundJSON counts values and depth before anything is allocated for them.
func boundJSON(data []byte) (offset int, msg string) {
	nodes, depth := 1, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = endOfString(data, i)
		case ',', ':':
			nodes++
		case '{', '[':
			if depth++; depth > maxDepth {
				return i, fmt.Sprintf("the file nests deeper than %d levels", maxDepth)
			}
			nodes++
		case '}', ']':
			depth--
		}
		if nodes > maxNodes {
			return i, fmt.Sprintf("the file has more than %d values", maxNodes)
		}
	}
	return 0, ""
}

// endOfString returns the index of the quote that ends the string that starts
// at data[i], or len(data).
func endOfString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return len(data)
		}
		i += n
		slashes := 0
		for data[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
	return len(data)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (d *document) parseYAML() (fail *Error) {
	defer func() {
		// The parser is foreign code on foreign bytes.
		if r := recover(); r != nil {
			fail = &Error{File: d.name, Message: "the YAML parser could not cope with the file"}
		}
	}()
	var root yaml.Node
	if err := yaml.Unmarshal(d.data, &root); err != nil {
		e := &Error{File: d.name}
		m := yamlLine.FindStringSubmatch(err.Error())
		if m != nil {
			if e.Line, _ = strconv.Atoi(m[1]); e.Line > 0 {
				e.Column = 1 // the parser does not say
			}
		}
		e.Message = "the file is not valid YAML: " + yamlLine.ReplaceAllString(err.Error(), "")
		return e
	}
	if len(root.Content) == 0 {
		return &Error{File: d.name, Message: "the file is empty", Hint: "give an OpenAPI document"}
	}
	d.yaml = root.Content[0]
	t := yamlTree{doc: d, active: map[*yaml.Node]bool{}}
	d.root = t.value(d.yaml)
	return t.err
}

// yamlTree turns YAML nodes into the tree that JSON gives.
type yamlTree struct {
	doc    *document
	nodes  int
	depth  int
	path   []string
	active map[*yaml.Node]bool // mappings and sequences being read, to find cycles
	err    *Error
}

func (t *yamlTree) fail(n *yaml.Node, msg string) any {
	if t.err == nil {
		t.err = &Error{File: t.doc.name, Line: n.Line, Column: n.Column, Pointer: join(t.path...), Message: msg}
	}
	return nil
}

func (t *yamlTree) value(n *yaml.Node) any {
	if t.err != nil {
		return nil
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if t.nodes++; t.nodes > maxNodes {
		return t.fail(n, fmt.Sprintf("the file has more than %d values once its aliases are expanded", maxNodes))
	}
	if n.Kind == yaml.ScalarNode {
		return scalar(n)
	}
	if t.active[n] {
		return t.fail(n, "the alias refers to a value that contains it")
	}
	if t.depth++; t.depth > maxDepth {
		return t.fail(n, fmt.Sprintf("the file nests deeper than %d levels", maxDepth))
	}
	t.active[n] = true
	defer func() { t.depth--; delete(t.active, n) }()
	if n.Kind == yaml.SequenceNode {
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			list[i] = t.child(strconv.Itoa(i), c)
		}
		return list
	}
	return t.mapping(n)
}

func (t *yamlTree) child(key string, n *yaml.Node) any {
	t.path = append(t.path, key)
	v := t.value(n)
	t.path = t.path[:len(t.path)-1]
	return v
}

func (t *yamlTree) mapping(n *yaml.Node) any {
	m := make(map[string]any, len(n.Content)/2)
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			return t.fail(k, "a mapping key is not a plain value")
		}
		if k.ShortTag() == "!!merge" {
			merges = append(merges, v)
			continue
		}
		if _, dup := m[k.Value]; dup {
			t.doc.dupes = append(t.doc.dupes, duplicate{join(append(t.path, k.Value)...), k.Line, k.Column})
			continue // the first one counts
		}
		m[k.Value] = t.child(k.Value, v)
	}
	for _, v := range merges {
		t.merge(m, v)
	}
	return m
}

// merge adds what "<<" brings in: one mapping or a list of them, the first
// wins, and keys of the mapping itself win over all.
func (t *yamlTree) merge(m map[string]any, n *yaml.Node) {
	switch v := t.child("<<", n).(type) {
	case map[string]any:
		addMissing(m, v)
	case []any:
		for _, e := range v {
			if e, ok := e.(map[string]any); ok {
				addMissing(m, e)
			}
		}
	}
}

func addMissing(m, from map[string]any) {
	for k, v := range from {
		if _, ok := m[k]; !ok {
			m[k] = v
		}
	}
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// scalar reads a YAML scalar as JSON would have it. What JSON cannot say
// (dates, infinities) stays text.
func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int", "!!float":
		if jsonNumber.MatchString(n.Value) {
			return json.Number(n.Value)
		}
		var i int64
		if n.Decode(&i) == nil {
			return json.Number(strconv.FormatInt(i, 10))
		}
		var f float64
		if n.Decode(&f) == nil {
			if s := strconv.FormatFloat(f, 'g', -1, 64); jsonNumber.MatchString(s) {
				return json.Number(s)
			}
		}
	}
	return n.Value
}

// lineColumn turns a byte offset into a line and column, both from 1; columns
// count bytes.
func lineColumn(data []byte, offset int) (line, column int) {
	offset = max(0, min(offset, len(data)))
	before := data[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, len(before) - start + 1
}

func escape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

func unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// join makes a JSON Pointer of tokens; tokens is its opposite.
func join(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		b.WriteString(escape(t))
	}
	return b.String()
}

func tokens(pointer string) []string {
	if pointer == "" {
		return nil
	}
	list := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, t := range list {
		list[i] = unescape(t)
	}
	return list
}

// yamlPosition walks as far as the tokens lead; what lies behind an alias is
// found at its anchor.
func yamlPosition(n *yaml.Node, path []string) (line, column int) {
	line, column = n.Line, n.Column
	for _, t := range path {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var key, next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content) && next == nil; i += 2 {
				if n.Content[i].Value == t {
					key, next = n.Content[i], n.Content[i+1]
				}
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
