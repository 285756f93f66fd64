package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds on what a document may cost.
const (
	maxBytes = 64 << 20 // all files of a document together
	maxNodes = 4 << 20  // values of one file, YAML aliases expanded; GitHub's has half a million
	maxDepth = 256      // nesting of values
)

// document is one parsed file. Its root is a tree of map[string]any, []any,
// string, json.Number, bool and nil; of JSON, what calls seldom need is unread.
type document struct {
	name  string // as shown to people
	file  string // slash-separated, below the root folder; "" for a URL
	url   string // where it was asked for; "" for a file
	found string // where it was in the end, if that is another URL
	root  any
	data  []byte     // to find positions in JSON
	yaml  *yaml.Node // nil for JSON
	dupes []duplicate

	original *document // before overlays; positions are those of its text

	settled map[string]bool // pointers to what holds nothing unread any more

	finder *jsonFinder                   // made when the first position is asked for
	keys   map[*yaml.Node]map[string]int // likewise, of mappings: where in Content a key is
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
	if offset, message, hint := unreadable(d.data); message != "" {
		line, column := lineColumn(d.data, offset)
		return nil, &Error{File: name, Line: line, Column: column, Message: message, Hint: hint}
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
	v, path := d.root, tokens(pointer)
	for _, t := range path {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[t]
			if !ok {
				return nil, false
			}
			if later, ok := next.(unread); ok {
				next = later.read()
				x[t] = next
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
	if aroundUnread(path) && !d.settled[pointer] {
		readAll(v)
		if d.settled == nil {
			d.settled = map[string]bool{}
		}
		d.settled[pointer] = true
	}
	return v, true
}

func (d *document) parseJSON() *Error {
	fail := func(offset int, msg string) *Error {
		line, col := lineColumn(d.data, offset)
		return &Error{File: d.name, Line: line, Column: col, Message: msg}
	}
	if offset, msg := boundJSON(d.data); msg != "" {
		return fail(offset, msg)
	}
	r := newTreeReader(d.data)
	root, ok := r.document()
	if !ok {
		return fail(d.explainJSON())
	}
	if d.root = root; r.repeated {
		w := repeats{doc: d, finder: newJSONFinder(d.data)}
		w.value()
	}
	return nil
}

// explainJSON says what is wrong with a text that is not JSON, and where.
func (d *document) explainJSON() (offset int, msg string) {
	dec := json.NewDecoder(bytes.NewReader(d.data))
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return int(syntax.Offset) - 1, "the file is not valid JSON: " + syntax.Error()
		}
		return len(d.data), "the file is not valid JSON: " + err.Error()
	}
	_, _ = dec.Token() // which is where that begins
	return int(dec.InputOffset()), "the file has something after its JSON value"
}

// boundJSON counts values and depth before anything is allocated for them.
func boundJSON(data []byte) (offset int, msg string) {
	nodes, depth, long := 1, 0, -1
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			start := i
			if i = endOfString(data, i); i-start > 6*maxKey {
				long = start
			}
		case ',':
			nodes, long = nodes+1, -1
		case ':':
			if long >= 0 {
				return long, fmt.Sprintf("the key has more than %d bytes", maxKey)
			}
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
	if offset, msg := boundYAML(d.data); msg != "" {
		line, column := lineColumn(d.data, offset)
		return &Error{File: d.name, Line: line, Column: column, Message: msg}
	}
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
	at := n // the alias, where there is one
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if t.nodes++; t.nodes > maxNodes {
		return t.fail(at, fmt.Sprintf("the file has more than %d values once its aliases are expanded", maxNodes))
	}
	if n.Kind == yaml.ScalarNode {
		return scalar(n)
	}
	if t.active[n] {
		return t.fail(at, "the alias refers to a value that contains it")
	}
	if t.depth++; t.depth > maxDepth {
		return t.fail(at, fmt.Sprintf("the file nests deeper than %d levels", maxDepth))
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
		if len(k.Value) > maxKey {
			return t.fail(k, fmt.Sprintf("the key has more than %d bytes", maxKey))
		}
		if _, dup := m[k.Value]; dup {
			if len(t.doc.dupes) < maxFindings {
				t.doc.dupes = append(t.doc.dupes, duplicate{shorten(join(append(t.path, k.Value)...), 2000), k.Line, k.Column})
			}
			continue // the first one counts
		}
		m[k.Value] = t.child(k.Value, v)
	}
	for _, v := range merges {
		t.merge(m, v)
	}
	if m["type"] == "string" {
		ownTexts(m, n)
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
