package openapi

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/exeat/exeat/openapi/strictjson"
)

// unread is a value of a JSON document that is known to be right, and is read once
// something refers to it: most of a large document is said of answers, of which calls
// need only what they may be. See [leftUnread].
type unread []byte

// read makes a tree of it.
func (u unread) read() any {
	r := newTreeReader(u)
	r.whole = true
	v, _ := r.value() // it was read once before
	return v
}

// leftUnread reports whether the object or list at a path of a document is left unread:
// all of what has names in its components, and of answers what they hold.
func leftUnread(path []string) bool {
	switch n := len(path); path[0] {
	case "components":
		return n == 3 && namedParts[path[1]]
	case "definitions":
		return n == 2
	case "paths":
		return n == 6 && path[3] == "responses" && path[5] != "content" || n == 7 && path[3] == "responses" && path[5] == "content"
	case "webhooks", "x-webhooks":
		return n == 1
	}
	return false
}

// namedParts are the components that are left unread. The others are looked at whole.
var namedParts = map[string]bool{"schemas": true, "responses": true, "examples": true, "headers": true, "links": true, "callbacks": true}

// aroundUnread reports whether what is at a path may hold what is left unread.
func aroundUnread(path []string) bool {
	n := len(path)
	if n == 0 {
		return true
	}
	switch path[0] {
	case "components":
		return n == 1 || n == 2 && namedParts[path[1]]
	case "definitions":
		return n == 1
	case "paths":
		return n <= 3 || n <= 6 && path[3] == "responses"
	}
	return false
}

// readAll reads what is unread within a tree.
func readAll(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if later, ok := x.(unread); ok {
				v[k] = later.read()
			} else {
				readAll(x)
			}
		}
	case []any:
		for _, x := range v {
			readAll(x)
		}
	}
}

// treeReader makes the tree of a JSON text, as encoding/json does with numbers as they are
// written, in a fraction of its time and memory: names and short texts, which come again
// and again, are kept once.
type treeReader struct {
	data     []byte
	pos      int
	whole    bool           // nothing is left unread
	path     []string       // to the value
	texts    map[string]any // those that may come again
	repeated bool           // a key stands in its object for the second time
	names    [][]byte       // of the objects that are passed over
}

func newTreeReader(data []byte) *treeReader {
	return &treeReader{data: data, texts: map[string]any{}}
}

// document reads a text that is one value. It is not ok if it is not JSON.
func (r *treeReader) document() (root any, ok bool) {
	if root, ok = r.value(); ok {
		ok = r.next() == 0 && r.pos == len(r.data)
	}
	return root, ok
}

// next is the next character that is no white space; 0 at the end.
func (r *treeReader) next() byte {
	if r.pos = strictjson.SkipSpace(r.data, r.pos); r.pos >= len(r.data) {
		return 0
	}
	return r.data[r.pos]
}

func (r *treeReader) value() (any, bool) {
	switch r.next() {
	case '{', '[':
		if !r.whole && len(r.path) > 0 && leftUnread(r.path) {
			start := r.pos
			ok := r.pass()
			return unread(r.data[start:r.pos]), ok
		}
		if r.data[r.pos] == '{' {
			return r.object()
		}
		return r.list()
	case '"':
		return r.text(maxKept)
	}
	end, err := strictjson.ScanScalar(r.data, r.pos)
	if err != nil {
		return nil, false
	}
	word := r.data[r.pos:end]
	r.pos = end
	switch word[0] {
	case 't':
		return true, true
	case 'f':
		return false, true
	case 'n':
		return nil, true
	}
	return json.Number(word), true
}

// more goes on after a member of an object or a list, to the next or the end.
func (r *treeReader) more(end byte) (another, ok bool) {
	c := r.next()
	r.pos++
	return c == ',', c == ',' || c == end
}

// empty takes the end of an object or a list that has nothing in it.
func (r *treeReader) empty(end byte) bool {
	r.pos++
	if r.next() != end {
		return false
	}
	r.pos++
	return true
}

func (r *treeReader) list() (any, bool) {
	list := []any{}
	if r.empty(']') {
		return list, true
	}
	r.path = append(r.path, "") // nothing in a list is left unread
	for another := true; another; {
		v, ok := r.value()
		if !ok {
			return nil, false
		}
		list = append(list, v)
		if another, ok = r.more(']'); !ok {
			return nil, false
		}
	}
	r.path = r.path[:len(r.path)-1]
	return list, true
}

func (r *treeReader) object() (any, bool) {
	object := map[string]any{}
	if r.empty('}') {
		return object, true
	}
	for n, another := 1, true; another; n++ {
		r.next()
		key, ok := r.text(maxKey)
		if !ok || r.next() != ':' {
			return nil, false
		}
		r.pos++
		name := key.(string)
		r.path = append(r.path, name)
		v, ok := r.value()
		if !ok {
			return nil, false
		}
		r.path = r.path[:len(r.path)-1]
		object[name] = v
		r.repeated = r.repeated || len(object) < n
		if another, ok = r.more('}'); !ok {
			return nil, false
		}
	}
	return object, true
}

// maxKept bounds the texts of which one stands for all that are equal, in bytes.
const maxKept = 24

// text reads a string, and keeps one of at most most bytes.
func (r *treeReader) text(most int) (any, bool) {
	end, err := strictjson.ScanString(r.data, r.pos)
	if err != nil {
		return nil, false
	}
	quoted := r.data[r.pos:end]
	r.pos = end
	raw := quoted[1 : len(quoted)-1]
	if known, ok := r.texts[string(raw)]; ok && len(raw) <= most {
		return known, true
	}
	s := string(raw)
	if bytes.IndexByte(raw, '\\') >= 0 {
		plain, ok := strictjson.Unquote(s)
		if !ok && json.Unmarshal(quoted, &plain) != nil { // half of a surrogate pair
			return nil, false
		}
		return plain, true
	}
	var v any = s
	if len(raw) <= most {
		r.texts[s] = v
	}
	return v, true
}

// pass goes over a value, which must be right, too.
func (r *treeReader) pass() bool {
	c := r.next()
	if c != '{' && c != '[' {
		end, err := strictjson.ScanScalar(r.data, r.pos)
		r.pos = end
		return err == nil
	}
	end := c + 2 // in ASCII, as of both kinds
	if r.empty(end) {
		return true
	}
	first := len(r.names)
	for another := true; another; {
		if c == '{' && !r.passName(first) {
			return false
		}
		ok := r.pass()
		if !ok {
			return false
		}
		if another, ok = r.more(end); !ok {
			return false
		}
	}
	r.names = r.names[:first]
	return true
}

// passName goes over a name of an object whose names before it are those from first on.
func (r *treeReader) passName(first int) bool {
	r.next()
	start := r.pos
	end, err := strictjson.ScanString(r.data, r.pos)
	if err != nil {
		return false
	}
	name := r.data[start:end]
	if r.pos = end; r.next() != ':' {
		return false
	}
	r.pos++
	if bytes.IndexByte(name, '\\') >= 0 {
		var plain string
		if json.Unmarshal(name, &plain) != nil {
			return false
		}
		name = []byte(`"` + plain + `"`)
	}
	same := func(other []byte) bool { return bytes.Equal(name, other) }
	if len(r.names)-first > maxNames || slices.ContainsFunc(r.names[first:], same) {
		r.repeated = true // it may be; who looks closer knows
	}
	r.names = append(r.names, name)
	return true
}

// maxNames bounds the names of an object that are compared with each other one by one.
const maxNames = 400
